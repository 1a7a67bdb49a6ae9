"""The token endpoint: its request from client credentials, a token from its reply. Source: RFC 6749, section 4.4."""

import json
import re
from contextlib import suppress
from math import inf
from typing import Any, cast

from fielding_async.core.credentials import ClientCredentials, is_sendable_token
from fielding_async.core.errors import AuthenticationError, FieldingError, ProtocolError, TransportError

from .replies import Response

__all__ = ["read_token", "token_request_body"]

_DIGITS = re.compile(r"[0-9]{1,12}", re.ASCII)
_PASSING = {408, 425, 429}
"""Statuses below 500 after which another attempt may succeed."""


def token_request_body(auth: ClientCredentials) -> bytes:
    """Return the JSON that asks for a token, with the fields that the exchange documents."""
    return json.dumps(
        {
            "client_id": auth.client_id,
            "client_secret": auth.client_secret,
            "grant_type": "client_credentials",
            "auth_scopes": "app:api",
            "audience": auth.audience,
        }
    ).encode()


def read_token(answer: Response, path: str) -> tuple[str, float | None]:
    """Return a token and the seconds that it lasts (`None`: not said), from the reply of the token endpoint.

    Raises `AuthenticationError` (400, 401, 403), `TransportError` (another error status; final if it is one that comes
    again, as 404 and 407 do), `ProtocolError` (a reply that makes no sense, a redirect).
    """
    data: dict[str, Any] | None = None
    with suppress(ValueError, RecursionError):
        loaded = json.loads(answer.body)
        data = cast("dict[str, Any]", loaded) if isinstance(loaded, dict) else None
    if 300 <= answer.status < 400:  # to follow it, or to ask again, would show the secret once more
        text = f"no token: {answer.status} from the token endpoint: a redirect, which is not followed (check token_url)"
        raise ProtocolError(text, method="POST", path=path)
    if answer.status != 200:
        said = data.get("error") if data else None
        text = f": {said[:100]}" if isinstance(said, str) and said.isprintable() else ""
        raise _refusal(answer.status, f"no token: {answer.status} from the token endpoint{text}", path)
    if data is None:
        raise ProtocolError("no token: the token endpoint's reply is not a JSON object", method="POST", path=path)
    value: Any = data.get("access_token")
    seconds: Any = data.get("expires_in")
    if not is_sendable_token(value):
        raise ProtocolError("no token: $.access_token is not a usable token", method="POST", path=path)
    return value, _seconds(seconds, path)


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
