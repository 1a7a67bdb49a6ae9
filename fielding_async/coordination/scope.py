"""Which sessions share with each other: those of one scope."""

import re
from hashlib import sha256

from fielding_async.core.credentials import Auth, ClientCredentials, TokenSource
from fielding_async.core.errors import ConfigurationError, briefly
from fielding_async.core.redaction import Secret

__all__ = ["check_scope", "default_scope", "key"]

_SCOPE = re.compile(r"[A-Za-z0-9._:/@+-]{1,200}", re.ASCII)
_DIGITS = 32  # of the digest, in hexadecimal


def check_scope(scope: object) -> str | None:
    """Return a `scope=` that can be part of a key, or `None`; raises `ConfigurationError`."""
    if scope is None:
        return None
    if not isinstance(scope, str):
        raise ConfigurationError(f"Shared(scope): must be a str, not {type(scope).__name__}")
    if _SCOPE.fullmatch(scope) is None:
        raise ConfigurationError(
            f"Shared(scope={briefly(scope)}): must have 1 to 200 characters: ASCII letters, digits and . _ : / @ + -"
        )
    return scope


def default_scope(base_url: str, auth: Auth | TokenSource) -> str | None:
    """Return the scope of a session that names none: a digest of its exchange and account; `None` if it has no digest.

    The account is known by the client id, or by the token.
    """
    if isinstance(auth, ClientCredentials):
        account = Secret(f"client {auth.client_id}")
    elif callable(auth):
        return None
    else:
        account = Secret(f"token {auth.token}")
    return sha256(f"{base_url}\n{account}".encode()).hexdigest()[:_DIGITS]


def key(scope: str, name: str) -> str:
    """Return the name of a key of a scope. All keys of a scope are in one slot of a cluster."""
    return f"fielding:{{{scope}}}:{name}"
