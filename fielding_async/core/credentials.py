"""The sources of bearer tokens, checked: a static token, an async callable or OAuth 2.0 client credentials.

The environment is an argument.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from attrs import field, frozen

from .addresses import check_url
from .errors import ConfigurationError
from .redaction import Secret

__all__ = [
    "Auth",
    "BearerToken",
    "ClientCredentials",
    "TokenSource",
    "check_secret",
    "is_sendable_token",
    "resolve_auth",
]

_VARIABLES = ("FIELDING_TOKEN", "FIELDING_CLIENT_ID", "FIELDING_CLIENT_SECRET")
_TOKEN = re.compile(r"[\x21-\x7e]+", re.ASCII)

TokenSource = Callable[[], Awaitable[str]]
"""An async callable that returns a token."""


def is_sendable_token(value: object) -> bool:
    """Whether a value is a text that can be sent as a bearer token (RFC 6750, section 2.1, and other visible ASCII)."""
    return isinstance(value, str) and _TOKEN.fullmatch(value) is not None


def check_secret(name: str, value: Any) -> Secret:
    """Return a token or secret that can be sent; raises `ConfigurationError`, without the value."""
    value = Secret.of(value)  # a traceback may show local variables
    if not isinstance(value, str) or not is_sendable_token(value):
        raise ConfigurationError(f"{name}: must be a non-empty str of printable ASCII characters without spaces")
    return Secret(value)


@frozen(init=False)
class BearerToken:
    """A static token. Raises `ConfigurationError` if it cannot be sent in a header."""

    __module__ = "fielding_async"

    token: str = field(repr=False)

    def __init__(self, token: str) -> None:
        token = Secret.of(token)  # the frame of an `__init__` by attrs would hold it as it is
        object.__setattr__(self, "token", check_secret("token", token))


@frozen(init=False)
class ClientCredentials:
    """OAuth 2.0 client credentials; the session fetches its tokens with them and renews them.

    Source: RFC 6749, section 4.4, with the fields that the exchange documents. Raises `ConfigurationError` for a
    missing secret, or a `token_url` that is not https (plain http is for loopback hosts only).
    """

    __module__ = "fielding_async"

    client_id: str
    client_secret: str = field(repr=False)
    token_url: str = field(kw_only=True)
    audience: str = field(kw_only=True)

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        *,
        token_url: str = "https://auth.cint.com/oauth/token",  # noqa: S107 - an address
        audience: str = "https://api.luc.id",
    ) -> None:
        client_secret = Secret.of(client_secret)
        values = {"client_id": client_id, "client_secret": client_secret, "token_url": token_url, "audience": audience}
        for name, value in values.items():
            object.__setattr__(self, name, value)  # first, so that a traceback can show the object
        check_secret("client_id", client_id)
        check_secret("client_secret", client_secret)
        object.__setattr__(self, "token_url", check_url("token_url", token_url))


Auth = BearerToken | ClientCredentials
"""What `FieldingSession(auth=…)` accepts, beside a plain token and an async callable that returns one."""


def resolve_auth(auth: object, environment: Mapping[str, str]) -> Auth | TokenSource:
    """Return the source of tokens: the argument, or `FIELDING_TOKEN`, or the client credentials' variables."""
    auth = Secret.of(auth)
    found = {name: Secret(environment.get(name, "")) for name in _VARIABLES}
    del environment  # a traceback may show local variables
    if isinstance(auth, BearerToken | ClientCredentials):
        return auth
    if isinstance(auth, str):
        return BearerToken(auth)
    if callable(auth):
        return cast("TokenSource", auth)
    if auth is not None:
        raise ConfigurationError(
            f"auth: must be a token, BearerToken, ClientCredentials or an async callable, not {type(auth).__name__}"
        )
    token, client_id, client_secret = found.values()
    if token:
        return BearerToken(check_secret("FIELDING_TOKEN", token))
    if client_id and client_secret:
        return ClientCredentials(
            check_secret("FIELDING_CLIENT_ID", client_id), check_secret("FIELDING_CLIENT_SECRET", client_secret)
        )
    raise ConfigurationError(
        "no token: pass auth=, or set FIELDING_TOKEN, or both FIELDING_CLIENT_ID and FIELDING_CLIENT_SECRET"
    )
