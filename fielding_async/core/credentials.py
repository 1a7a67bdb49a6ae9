"""The sources of bearer tokens, checked: a static token, an async callable or OAuth 2.0 client credentials.

The environment is an argument.
"""

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
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
    "settings_of",
]

_CLIENT = ("FIELDING_CLIENT_ID", "FIELDING_CLIENT_SECRET")
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


_NOT_SECRET = {"FIELDING_BASE_URL", "FIELDING_CLIENT_ID", "FIELDING_TOKEN_URL"}


def settings_of(environment: Mapping[str, str], others: Collection[str]) -> dict[str, str]:
    """Return the variables of the SDK and these others, so that no traceback with local variables shows a secret."""
    return {
        name: value if name in _NOT_SECRET else Secret(value)
        for name, value in environment.items()
        if name.startswith("FIELDING_") or name in others
    }


def resolve_auth(auth: object, environment: Mapping[str, str]) -> Auth | TokenSource:
    """Return the source of tokens: the argument, or `FIELDING_TOKEN`, or the client credentials' variables.

    `FIELDING_TOKEN_URL` is the token endpoint of client credentials that come from the environment, and of no others.
    Raises `ConfigurationError`.
    """
    auth = Secret.of(auth)  # a traceback may show local variables
    if isinstance(auth, BearerToken | ClientCredentials):
        return auth
    if isinstance(auth, str):
        return BearerToken(auth)
    if callable(auth) and not isinstance(auth, type):
        return cast("TokenSource", auth)
    if isinstance(auth, type):
        raise ConfigurationError(f"auth: is the class {auth.__name__}; pass a value of it, such as {auth.__name__}(…)")
    if auth is not None:
        raise ConfigurationError(
            f"auth: must be a token, BearerToken, ClientCredentials or an async callable, not {type(auth).__name__}"
        )
    if environment.get("FIELDING_TOKEN"):
        return BearerToken(check_secret("FIELDING_TOKEN", environment["FIELDING_TOKEN"]))
    missing = [name for name in _CLIENT if not environment.get(name)]
    if not missing:
        client_id, client_secret = (check_secret(name, environment[name]) for name in _CLIENT)
        token_url = environment.get("FIELDING_TOKEN_URL")
        if token_url:
            return ClientCredentials(client_id, client_secret, token_url=check_url("FIELDING_TOKEN_URL", token_url))
        return ClientCredentials(client_id, client_secret)
    if len(missing) == 1:
        raise ConfigurationError(
            f"no token: pass auth=, or set {missing[0]} (of {' and '.join(_CLIENT)} only the other is set), or"
            " FIELDING_TOKEN"
        )
    raise ConfigurationError(
        "no token: pass auth=, or set FIELDING_TOKEN, or both FIELDING_CLIENT_ID and FIELDING_CLIENT_SECRET"
    )
