"""The token endpoint: its request from client credentials, a token from its reply. Source: RFC 6749, section 4.4."""

import json
import re
from contextlib import suppress
from math import inf
from typing import Any, cast

from attrs import frozen

from fielding_async.core.credentials import ClientCredentials, is_sendable_token
from fielding_async.core.errors import AuthenticationError, FieldingError, ProtocolError, TransportError
from fielding_async.core.redaction import Secret, SecretBytes

from .replies import Response

__all__ = ["read_token", "token_request_body"]

_DIGITS = re.compile(r"[0-9]{1,12}", re.ASCII)
_PASSING = {408, 425, 429}
"""Statuses below 500 after which another attempt may succeed."""

_MAX_SHOWN = 100


def token_request_body(auth: ClientCredentials) -> SecretBytes:
    """Return the JSON that asks for a token, with the fields that the exchange documents."""
    return SecretBytes(
        json.dumps(
            {
                "client_id": auth.client_id,
                "client_secret": auth.client_secret,
                "grant_type": "client_credentials",
                "auth_scopes": "app:api",
                "audience": auth.audience,
            }
        ).encode()
    )


@frozen
class _Said:
    """The fields of a reply that are read; no error is raised where the whole reply is available."""

    is_object: bool = False
    error: str | None = None
    token: Secret | None = None
    seconds: Any = None


def _said(body: bytes) -> _Said:
    data: Any = None
    with suppress(ValueError, RecursionError):
        data = json.loads(body)
    if not isinstance(data, dict):
        return _Said()
    fields = cast("dict[str, Any]", data)
    error, token = fields.get("error"), fields.get("access_token")
    return _Said(
        is_object=True,
        error=error[:_MAX_SHOWN] if isinstance(error, str) and error.isprintable() else None,
        token=Secret(token) if is_sendable_token(token) else None,
        seconds=fields.get("expires_in"),
    )


def read_token(answer: Response, path: str) -> tuple[Secret, float | None]:
    """Return a token and the seconds that it lasts (`None`: not said), from the reply of the token endpoint.

    Raises `AuthenticationError` (400, 401, 403), `TransportError` (another error status; final if it is one that comes
    again, as 404 and 407 do), `ProtocolError` (a reply that makes no sense, a redirect).
    """
    said = _said(answer.body)
    if 300 <= answer.status < 400:  # to follow it, or to ask again, would show the secret once more
        text = f"no token: {answer.status} from the token endpoint: a redirect, which is not followed (check token_url)"
        raise ProtocolError(text, method="POST", path=path)
    if answer.status != 200:
        text = f": {said.error}" if said.error else ""
        raise _refusal(answer.status, f"no token: {answer.status} from the token endpoint{text}", path)
    if not said.is_object:
        raise ProtocolError("no token: the token endpoint's reply is not a JSON object", method="POST", path=path)
    if said.token is None:
        raise ProtocolError("no token: $.access_token is not a usable token", method="POST", path=path)
    return said.token, _seconds(said.seconds, path)


def _seconds(value: Any, path: str) -> float | None:
    """Return `expires_in` (RFC 6749, section 5.1); digits in a text are read, too."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not value < inf:
        raise ProtocolError("no token: $.expires_in is not a number of seconds", method="POST", path=path)
    if value <= 0:
        raise ProtocolError(
            f"no token: $.expires_in is {value:g}: the token has ended before it is used", method="POST", path=path
        )
    return value


def _refusal(status: int, message: str, path: str) -> FieldingError:
    if status in {400, 401, 403}:
        return AuthenticationError(
            f"{message} (check the client id and secret)", status=status, method="POST", path=path
        )
    error = TransportError(message, method="POST", path=path)
    error.is_final = status < 500 and status not in _PASSING
    return error
