"""What a session that shares with others needs of the store they share: protocols that `coordination` fulfils.

Without `shared=` a session has none of this: its limiter has a `Pacer` of its own, and `Engine.hints` is `None`.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, cast

from attrs import frozen

from fielding_async.core.config import Limits
from fielding_async.core.credentials import Auth, TokenSource
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import FieldingRun, RunRef
from fielding_async.core.pace.pacer import Permit

if TYPE_CHECKING:
    from fielding_async.core.wire.replies import Response

__all__ = ["Joining", "Line", "Membership", "PacerLike", "RunHints", "SharedPacerLike", "SharedSource", "check_shared"]


class PacerLike(Protocol):
    """When the next request may be sent: what `Limiter` and `GateQueue` use of `core.pace.pacer.Pacer`.

    All times are seconds of the event loop's clock. What the methods do, return and expect is said there.
    """

    @property
    def interval(self) -> float:
        """The planned seconds between requests of this session; 0: nothing spaces them."""
        ...

    @property
    def paused_until(self) -> float:
        """The end of the latest pause; in the past, or minus infinity, when there is none."""
        ...

    @property
    def pauses_in_a_row(self) -> int:
        """How many pauses there were in a row with nothing but 429s between them."""
        ...

    def ready_at(self) -> float:
        """Return the time from which the next permission can be given: infinity if it is not known."""
        ...

    def try_take(self, now: float, *, waited: bool = False) -> Permit | float:
        """Give a permission, or return the time from which one can be given: infinity if it is not known."""
        ...

    def leaves_at(self, permit: Permit, now: float) -> float | None:
        """Return the time from which a permitted request may leave; `None` if its permission has lapsed."""
        ...

    def may_leave(self, permit: Permit, now: float) -> float | None:
        """Use the permission up and return 0, or return the seconds to wait, or `None` if it has lapsed."""
        ...

    def left(self, permit: Permit, now: float) -> None:
        """Note that the request leaves now."""
        ...

    def ended(self, permit: Permit, now: float) -> None:
        """Note that the request of a permission is over: it was answered, or lost, or it never left."""
        ...

    def throttled(self, permit: Permit, retry_after: float | None, now: float) -> float | None:
        """Note a 429. Returns the seconds of the pause that starts with it; `None` if one was in progress."""
        ...


class Line(Protocol):
    """The requests of a session that wait for permissions, as a pacer that others change needs them."""

    def demand(self) -> tuple[int, int]:
        """Return how many requests wait: of calls, and of the background."""
        ...

    def pace_changed(self) -> None:
        """Ask the pacer again: it has permissions now, or may have them at another time."""
        ...

    def pause_began(self, seconds: float) -> None:
        """Note that another session met a 429, and that the pacer pauses for so many seconds from now."""
        ...


class SharedPacerLike(PacerLike, Protocol):
    """A pacer whose permissions also change by what other sessions do."""

    def attach(self, line: Line) -> None:
        """Set the line that is asked for its demand, and is notified of changes. Called once, before anything else."""
        ...


class RunHints(Protocol):
    """Runs as other sessions have just read them. Wrong or missing hints cost requests, never correctness."""

    async def get(self, ref: RunRef) -> FieldingRun | None:
        """Return a run, with its ETag, as another session read it; `None`: there is none in time. Never raises."""
        ...

    def offer(self, ref: RunRef, response: "Response") -> None:
        """Hand the reply to a GET of the run to the other sessions, as it came. Returns at once, never raises."""
        ...

    def listen(self, forget: Callable[[RunRef, str | None], None]) -> None:
        """Call `forget` with what other sessions take back. Called once, before anything else."""
        ...

    def drop(self, ref: RunRef, etag: str | None) -> None:
        """Take back what was offered, after a write on the run was accepted or refused. Returns at once.

        `etag`: the one that the write was sent under; `None`: whatever is there.
        """
        ...


class Membership(Protocol):
    """What one entered session has of `Shared`."""

    @property
    def pacer(self) -> SharedPacerLike:
        """The pace of this session, as a part of the shared one."""
        ...

    @property
    def hints(self) -> RunHints | None:
        """The hints of runs; `None` if they are not shared."""
        ...

    @property
    def members(self) -> int:
        """How many sessions share the pace, this one included, as last heard; 0 while the store cannot be reached."""
        ...

    @property
    def fallbacks(self) -> int:
        """How often the store could not be reached any more."""
        ...

    def close_now(self) -> None:
        """Cut the connections and end all tasks, as far as that is possible without a wait. May be called again."""
        ...

    async def aclose(self) -> None:
        """Tell the others that this session is gone, for a short time at most, and close everything. Never raises."""
        ...


@frozen
class Joining:
    """What a membership needs of its session."""

    base_url: str
    auth: Auth | TokenSource
    limits: Limits
    uniform: Callable[[float, float], float]
    loop: asyncio.AbstractEventLoop


class SharedSource(Protocol):
    """`Shared` itself, which is not bound to an event loop."""

    def check(self, base_url: str, auth: Auth | TokenSource) -> None:
        """Raise `ConfigurationError` if a session with these settings cannot join."""
        ...

    def join(self, joining: Joining) -> Membership:
        """Return the membership of a session that is entered now, on the running event loop. Sends nothing yet."""
        ...


def check_shared(shared: SharedSource | None, base_url: str, auth: Auth | TokenSource) -> SharedSource | None:
    """Return a `shared=` that a session with these settings can join, or `None`; raises `ConfigurationError`."""
    if shared is None:
        return None
    given = cast("object", shared)
    if isinstance(given, type | str | bytes) or not callable(getattr(given, "join", None)):  # a str has a `join`
        what = f"the class {given.__name__}" if isinstance(given, type) else type(given).__name__
        remedy = "pass Shared(url)" if isinstance(given, str) else "pass Shared()"
        raise ConfigurationError(f"shared: must be a Shared of fielding_async.coordination, not {what}: {remedy}")
    shared.check(base_url, auth)
    return shared
