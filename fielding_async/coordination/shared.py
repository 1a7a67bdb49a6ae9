"""`Shared`: what a session is given so that it shares its pace with others, and their hints of runs."""

import os
import warnings
from typing import NoReturn

from fielding_async.core.credentials import Auth, BearerToken, TokenSource, settings_of
from fielding_async.core.errors import ConfigurationError, briefly
from fielding_async.core.redaction import Secret
from fielding_async.engine.membership import Joining

from .address import VARIABLE, Address, resolve_address
from .member import Member, MemberOptions
from .scope import check_scope, default_scope

__all__ = ["Shared"]


class Shared:
    """One pace and one pause for many sessions, through Redis or Valkey: `FieldingSession(shared=Shared(url))`.

    Sessions with the same scope together send no faster than one session would, and pause together after a 429.
    `Limits.rate` is then the rate of all these sessions together. Without `Limits.rate`, one of the sessions finds the
    pace for all of them. The sessions also give each other the runs that they fetch, as *hints*. If Redis cannot be
    reached, no call fails or hangs because of this. Each session then continues with its part of the pace, and uses
    Redis again when it can be reached.

    `url`: an address that starts with `redis://`, `rediss://` or `unix://`. `None` reads `FIELDING_SHARED_URL`. The
    address may contain a password, which the SDK shows nowhere. `scope`: a text of 1 to 200 of the ASCII letters,
    digits and `. _ : / @ + -`. Sessions with the same scope share. If left out, sessions with the same base URL and the
    same client id or token share. `expected`: the number of sessions, 1 or more. A session that has never reached Redis
    divides the rate by this number. If left out, it is 1. `runs`: whether the sessions give each other the runs that
    they fetch.

    You may pass one `Shared` to several sessions. Raises `ConfigurationError` for a bad argument, and if redis-py is
    not installed. A session raises it if its token comes from a callable and the `Shared` has no `scope`.
    """

    __module__ = "fielding_async.coordination"

    # for the `repr` of one that is half made, in a traceback with local variables
    _address: Address | None = None
    _scope: str | None = None

    def __init__(
        self, url: str | None = None, *, scope: str | None = None, expected: int | None = None, runs: bool = True
    ) -> None:
        url = Secret.of(url)  # a traceback may show local variables
        self._scope = check_scope(scope)
        if expected is not None and (isinstance(expected, bool) or not isinstance(expected, int) or expected < 1):
            raise ConfigurationError(
                f"Shared(expected={briefly(expected)}): must be a whole number of at least 1, or None"
            )
        if not isinstance(runs, bool):  # pyright: ignore[reportUnnecessaryIsInstance] - whatever a caller passes
            raise ConfigurationError(f"Shared(runs={briefly(runs)}): must be True or False")
        self._expected = expected
        self._runs = runs
        self._address = resolve_address(url, settings_of(os.environ, [VARIABLE]))
        self._has_warned = False

    def __repr__(self) -> str:
        return f"<Shared {self._address!r} scope={self._scope!r}>"

    def __reduce__(self) -> NoReturn:
        # the address holds a password
        raise TypeError("a Shared cannot be pickled: make one in each process")

    def check(self, base_url: str, auth: Auth | TokenSource) -> None:
        """Raise `ConfigurationError` if a session with these settings cannot join: for `FieldingSession`."""
        if self._scope is not None:
            return
        if default_scope(base_url, auth) is None:
            raise ConfigurationError("Shared: a token from a callable names no account: pass scope=")
        if isinstance(auth, BearerToken) and not self._has_warned:
            self._has_warned = True
            warnings.warn(
                "Shared without scope= and with a plain token: sessions share while they have the same token,"
                " and a new token is a new scope; pass scope=, or use ClientCredentials",
                stacklevel=4,
            )

    def join(self, joining: Joining) -> Member:
        """Return the membership of a session that is entered on the running event loop: for `FieldingSession`."""
        scope = self._scope or default_scope(joining.base_url, joining.auth)
        assert scope is not None  # noqa: S101 - by `check`
        assert self._address is not None  # noqa: S101 - by `__init__`
        return Member(self._address, MemberOptions(scope, self._expected or 1, self._runs), joining)
