"""The tokens of a sandbox: the one that it requires, those that clients fetch, and those that it refuses."""

import re
from typing import Literal

from fielding_async.core.errors import ConfigurationError

from .serving import checks
from .traffic_control import TrafficControl

__all__ = ["TokenControl", "check_token"]

_TOKEN = re.compile(r"[\x21-\x7e]+")


def check_token(call: str, name: str, token: object) -> None:
    """Raise `ConfigurationError`, which does not show it, unless this can be sent as a token."""
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise ConfigurationError(f"{call}({name}=…): must be a token: a str of ASCII characters without blanks")


class TokenControl(TrafficControl):
    """The part of a `Sandbox` that issues, expires and refuses tokens."""

    @property
    def token(self) -> str | None:
        """The token that requests need; `None` unless `require_token` was given."""
        return self._pipeline.token

    def add_client(self, client_id: str, client_secret: str) -> None:
        """Let a client fetch tokens at `token_url`. From now on every request needs a token.

        Raises `ConfigurationError` if one of the texts is empty, or is not a text.
        """
        checks.text("add_client", "client_id", client_id)
        if not isinstance(client_secret, str) or not client_secret:  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigurationError("add_client(client_secret=…): must be a str, not empty")
        with self._pipeline.lock:
            self._pipeline.engine.tokens.add_client(client_id, client_secret)

    def expire_tokens(self) -> None:
        """Expire every token that was issued until now, and `token`. From now on, requests with these tokens get a 403.

        Raises `ConfigurationError` if there is no such token: no client has fetched a token yet, or requests need no
        token.
        """
        with self._pipeline.lock:
            if not self._pipeline.engine.tokens.expire(self._pipeline.now()):
                raise ConfigurationError(
                    "expire_tokens(): there is no token to expire: pass require_token to the sandbox, or call"
                    " add_client"
                    " and let a client fetch a token with its first request"
                )

    def refuse(self, token: str, status: Literal[401, 403] = 401) -> None:
        """From now on, answer requests with this token with `status` (401 or 403), as if the token had been revoked.

        Raises `ConfigurationError` for another status, or for a text that cannot be a token.
        """
        check_token("refuse", "token", token)
        if status not in (401, 403) or isinstance(status, bool):
            raise checks.wrong("refuse", "status", status, "401 or 403")
        with self._pipeline.lock:
            self._pipeline.engine.tokens.refuse(token, status)

    @property
    def token_lifetime(self) -> float:
        """The lifetime of tokens issued from now on, in seconds of the sandbox's clock: above 0, at most 1e10."""
        return self._pipeline.engine.tokens.lifetime

    @token_lifetime.setter
    def token_lifetime(self, seconds: float) -> None:
        self._pipeline.engine.tokens.lifetime = checks.seconds("Sandbox", "token_lifetime", seconds, above=True)
