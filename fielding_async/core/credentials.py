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
    if not isinstance(value, str):
        raise ConfigurationError(f"{name}: must be a str, not {type(value).__name__}")
    problem = _problem_of(name, value)
    if problem is not None:
        raise ConfigurationError(f"{name}: {problem}")
    return Secret(value)


def _problem_of(name: str, value: str) -> str | None:
    """Return the rule that a token or secret breaks, with the remedy; `None` if it breaks none."""
    if not value:
        return "must not be empty: pass the text that the exchange gave you"
    is_token = "token" in name.lower()
    if is_token and value[:7].lower() in {"bearer", "bearer "}:
        return 'must be the token alone: leave out the word "Bearer", which the session adds'
    if value != value.strip():
        return (
            "must have no space and no line end around it: remove them (a text read from a file often ends in a line"
            " end; .strip() takes it away)"
        )
    if is_token and len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return "must have no quotation marks around it: remove them (files of environment variables often keep them)"
    if not is_sendable_token(value):
        return "must be printable ASCII characters without spaces: copy it again from where you got it"
    return None


@frozen(init=False)
class BearerToken:
    """A static token. Raises `ConfigurationError` if it cannot be sent in a header."""

    __module__ = "fielding_async"

    token: str = field(repr=False)
    """The token. Its `repr` is `'***'`."""

    def __init__(self, token: str) -> None:
        token = Secret.of(token)  # the frame of an `__init__` by attrs would hold it as it is
        object.__setattr__(self, "token", check_secret("token", token))


@frozen(init=False)
class ClientCredentials:
    """OAuth 2.0 client credentials, with which the session fetches and renews its tokens.

    Source: RFC 6749, section 4.4, with the fields that the exchange documents. Raises `ConfigurationError` for a
    missing secret, or a `token_url` that is not https (plain http is allowed for loopback hosts only).
    """

    __module__ = "fielding_async"

    client_id: str
    """The client's id."""
    client_secret: str = field(repr=False)
    """The client's secret. Its `repr` is `'***'`."""
    token_url: str = field(kw_only=True)
    """The URL of the token endpoint."""
    audience: str = field(kw_only=True)
    """The audience that the token is for."""

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
_KNOWN = ("FIELDING_TOKEN", *_CLIENT, "FIELDING_TOKEN_URL", "FIELDING_BASE_URL", "FIELDING_PLANS_URL")


def settings_of(environment: Mapping[str, str], others: Collection[str]) -> dict[str, str]:
    """Return the variables of the SDK and these others, so that no traceback with local variables shows a secret.

    Those whose names are like a variable of the SDK are there too, for messages.
    """
    return {
        name: value if name in _NOT_SECRET else Secret(value)
        for name, value in environment.items()
        if name.startswith("FIELDING_") or name in others or (name[:1] in "Ff" and _meant_by(name) is not None)
    }


def _meant_by(name: str) -> str | None:
    """Return the variable of the SDK that a similar name may be meant for; `None` for one of the SDK, and for others.

    `FIELDING_SHARED_URL` and others that no token comes from are none of the answers.
    """
    if name in _KNOWN:
        return None
    from difflib import get_close_matches  # for errors alone

    return next(iter(get_close_matches(name.upper(), ("FIELDING_TOKEN", *_CLIENT), 1, 0.85)), None)


def _misspelled(environment: Mapping[str, str]) -> str:
    """Return a sentence on variables that look misspelled, to be put before the remedy; empty if there are none."""
    names = sorted(name for name, value in environment.items() if value and name[:1] in "Ff" and _meant_by(name))
    return "".join(f"{name} is set, which is not read (did you mean {_meant_by(name)}?); " for name in names[:3])


_OR_PASS = ", or pass auth="  # noqa: S105 - words of a message


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
        raise ConfigurationError(f"auth: must be a value, not the class {auth.__name__}: pass {auth.__name__}(…)")
    given: object = auth
    if auth is not None:
        hint = ": pass ClientCredentials(client_id, client_secret)" if isinstance(auth, tuple | list | dict) else ""
        raise ConfigurationError(
            "auth: must be a token (a str), BearerToken, ClientCredentials or an async callable that returns a token,"
            f" not {type(given).__name__}{hint}"
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
    wrong = _misspelled(environment)
    if len(missing) == 1:
        has = _CLIENT[0] if missing[0] == _CLIENT[1] else _CLIENT[1]
        raise ConfigurationError(
            f"no token: {wrong}{has} is set, and {missing[0]} is not: set {missing[0]} too, or set FIELDING_TOKEN"
            f"{_OR_PASS}"
        )
    raise ConfigurationError(
        f"no token: {wrong}set FIELDING_TOKEN, or both FIELDING_CLIENT_ID and FIELDING_CLIENT_SECRET{_OR_PASS}"
    )
