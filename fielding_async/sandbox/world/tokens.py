"""Access tokens: issued for client credentials or set up as a static one; expired, refused."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, cast

from fielding_async.sandbox.serving.ids import IdGenerator
from fielding_async.sandbox.serving.replies import Reply, error_reply, json_reply

__all__ = ["Tokens"]

_REQUIRED = ("client_id", "client_secret", "grant_type", "auth_scopes", "audience")


class Tokens:
    """The tokens issued and refused so far.

    A request needs a token once there is a static token or a client. A token that has expired or is refused
    is rejected in any case.
    """

    def __init__(self, ids: IdGenerator, *, static: str | None, lifetime: float) -> None:
        self.lifetime = lifetime
        self._ids = ids
        self._clients: dict[str, str] = {}
        self._expires_at: dict[str, datetime | None] = {} if static is None else {static: None}
        self._refused: dict[str, int] = {}
        self._required = static is not None

    def add_client(self, client_id: str, client_secret: str) -> None:
        """Let a client fetch tokens. From now on every request needs one."""
        self._clients[client_id] = client_secret
        self._required = True

    def expire(self, now: datetime) -> bool:
        """Expire every token issued so far, the static one too. Return whether there was one."""
        self._expires_at = dict.fromkeys(self._expires_at, now)
        return bool(self._expires_at)

    def refuse(self, token: str, status: int) -> None:
        """Answer this token with 401 or 403 from now on."""
        self._refused[token] = status

    def check(self, authorization: str | None, now: datetime) -> Reply | None:
        """Check an Authorization header. Return `None` if it is accepted, else the 401 or 403 reply."""
        scheme, _, token = (authorization or "").partition(" ")
        token = token.strip()
        known = scheme.lower() == "bearer" and token in self._expires_at
        if scheme.lower() == "bearer" and token in self._refused:
            return error_reply(self._refused[token], self._ids, detail="The token is refused.")
        if known:
            end = self._expires_at[token]
            return error_reply(403, self._ids, detail="The token has expired.") if end and end <= now else None
        return error_reply(401, self._ids) if self._required else None

    def issue(self, body: bytes, now: datetime) -> Reply:
        """Answer a request to the token endpoint."""
        try:
            raw: object = json.loads(body)
        except (ValueError, RecursionError):
            raw = None
        fields: Mapping[str, Any] = cast("dict[str, Any]", raw) if isinstance(raw, dict) else {}
        missing = [name for name in _REQUIRED if not isinstance(fields.get(name), str) or not fields[name]]
        if missing:
            return _token_error(400, "invalid_request", f"missing or not a text: {', '.join(missing)}")
        if fields["grant_type"] != "client_credentials":
            return _token_error(400, "unsupported_grant_type", "only client_credentials is supported")
        if fields["auth_scopes"] != "app:api":
            return _token_error(400, "invalid_scope", "auth_scopes must be app:api")
        if self._clients.get(fields["client_id"]) != fields["client_secret"]:
            return _token_error(401, "access_denied", "unknown client, or wrong secret")
        token = f"{self._ids.hex(24)}.{self._ids.hex(48)}.{self._ids.hex(32)}"
        self._expires_at[token] = now + timedelta(seconds=self.lifetime)
        content = {"access_token": token, "expires_in": int(self.lifetime), "token_type": "Bearer"}
        return json_reply(200, content, (("Cache-Control", "no-store"),))


def _token_error(status: int, code: str, description: str) -> Reply:
    return json_reply(status, {"error": code, "error_description": description})
