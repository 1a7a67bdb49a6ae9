"""Tokens: issued for client credentials, static, expired, refused."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, cast

from fielding_async.sandbox.serving.ids import Ids
from fielding_async.sandbox.serving.replies import Reply, error, json_reply

__all__ = ["Tokens"]

_NEEDED = ("client_id", "client_secret", "grant_type", "auth_scopes", "audience")


class Tokens:
    """What the exchange knows of tokens.

    Tokens are asked for once there is a static token or a client; until then a request needs none. A token
    known to have expired, or refused, is turned away in any case.
    """

    def __init__(self, ids: Ids, *, static: str | None, lifetime: float) -> None:
        self.lifetime = lifetime
        self._ids = ids
        self._clients: dict[str, str] = {}
        self._ends: dict[str, datetime | None] = {} if static is None else {static: None}
        self._refused: dict[str, int] = {}
        self._required = static is not None

    def add_client(self, client_id: str, client_secret: str) -> None:
        """Let a client fetch tokens; from now on every request needs one."""
        self._clients[client_id] = client_secret
        self._required = True

    def expire(self, now: datetime) -> None:
        """End every token issued so far, the static one too."""
        self._ends = dict.fromkeys(self._ends, now)

    def refuse(self, token: str, status: int) -> None:
        """Answer this token with 401 or 403 from now on."""
        self._refused[token] = status

    def verdict(self, authorization: str | None, now: datetime) -> Reply | None:
        """Judge an Authorization header: `None` if it will do, else the 401 or 403 to answer."""
        scheme, _, token = (authorization or "").partition(" ")
        token = token.strip()
        known = scheme.lower() == "bearer" and token in self._ends
        if scheme.lower() == "bearer" and token in self._refused:
            return error(self._refused[token], self._ids, detail="The token is refused.")
        if known:
            end = self._ends[token]
            return error(403, self._ids, detail="The token has expired.") if end and end <= now else None
        return error(401, self._ids) if self._required else None

    def issue(self, body: bytes, now: datetime) -> Reply:
        """Answer a request to the token endpoint."""
        try:
            raw: object = json.loads(body)
        except (ValueError, RecursionError):
            raw = None
        fields: Mapping[str, Any] = cast("dict[str, Any]", raw) if isinstance(raw, dict) else {}
        lacking = [name for name in _NEEDED if not isinstance(fields.get(name), str) or not fields[name]]
        if lacking:
            return _denied(400, "invalid_request", f"missing or not a text: {', '.join(lacking)}")
        if fields["grant_type"] != "client_credentials":
            return _denied(400, "unsupported_grant_type", "only client_credentials is supported")
        if fields["auth_scopes"] != "app:api":
            return _denied(400, "invalid_scope", "auth_scopes must be app:api")
        if self._clients.get(fields["client_id"]) != fields["client_secret"]:
            return _denied(401, "access_denied", "unknown client, or wrong secret")
        token = f"{self._ids.hex(24)}.{self._ids.hex(48)}.{self._ids.hex(32)}"
        self._ends[token] = now + timedelta(seconds=self.lifetime)
        content = {"access_token": token, "expires_in": int(self.lifetime), "token_type": "Bearer"}
        return json_reply(200, content, (("Cache-Control", "no-store"),))


def _denied(status: int, code: str, description: str) -> Reply:
    return json_reply(status, {"error": code, "error_description": description})
