"""Reads the runs of a project again and again, with a rest in between, and tells a display what changed."""

from collections.abc import AsyncIterable, Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from fielding_async.cli.shared.value_texts import reached
from fielding_async.core.conflict.row_ends import is_bound_to_fail_again
from fielding_async.core.errors import APIError, FieldingError, SessionClosedError

from .runs import Change, Watched, WatchedRun

if TYPE_CHECKING:
    from fielding_async import FoundRun

__all__ = ["Audience", "is_outage", "sweep_for_ever", "watched_run"]

_ABOUT_THE_PROJECT = {400, 404}
_NOT_ALLOWED = {401, 403}
_SLICE = 1.0  # seconds after which a rest finds that the audience is gone


class Audience(Protocol):
    """What the loop reports to. `is_gone`: nobody reads the reports any more, and the loop ends."""

    @property
    def is_gone(self) -> bool:
        """Whether nobody can see the reports."""
        ...

    def begins(self) -> None:
        """A reading of all runs starts."""
        ...

    def changed(self, change: Change) -> None:
        """A run is new, gone, or has other values."""
        ...

    def ended(self) -> None:
        """All runs were read."""
        ...

    def failed(self, error: FieldingError) -> None:
        """Not all runs could be read."""
        ...

    def rests(self, seconds: float) -> None:
        """The next reading starts after so many seconds."""
        ...


def is_outage(error: FieldingError, *, is_plain_token: bool, has_read: bool) -> bool:
    """Whether an error may pass by waiting. `has_read`: whether all runs were read before, so that access is allowed.

    What does not pass: a project that is not there, a token that is not accepted and that nothing renews, a
    certificate that is not trusted, a bad setting.
    """
    if isinstance(error, SessionClosedError) or is_bound_to_fail_again(error, is_plain_token=is_plain_token):
        return False
    if isinstance(error, APIError) and error.object is not None:
        return error.status not in _ABOUT_THE_PROJECT and (has_read or error.status not in _NOT_ALLOWED)
    return True


def watched_run(found: "FoundRun") -> WatchedRun:
    """Return what is shown of a run that was found. Its progress is counted as its target group's goal is."""
    run, group = found.run, found.target_group
    progress = group.statistics.progress
    return WatchedRun(
        ref=found.ref,
        name=group.name or group.human_readable_id or group.id,
        status=str(run.status),
        start=run.start_fielding_at,
        end=run.end_fielding_at,
        progress=reached(progress),
        goal=progress.filling_goal,
        changed_at=run.last_changed_at,
        changed_by=run.last_changed_by,
    )


async def sweep_for_ever(
    find: Callable[[], AsyncIterable["FoundRun"]],
    watched: Watched,
    audience: Audience,
    *,
    every: float,
    is_plain_token: bool,
    sleep: Callable[[float], Awaitable[object]],
) -> None:
    """Read all runs, rest, and so on, until the audience is gone.

    The rest starts when a reading ends, whether well or not, so that no run is fetched twice within `every` seconds.
    Raises the first `FieldingError` that is no outage.
    """
    while not audience.is_gone:
        audience.begins()
        watched.begin_sweep()
        try:
            async for found in find():
                change = watched.see(watched_run(found))
                if change is not None:
                    audience.changed(change)
        except FieldingError as error:
            if not is_outage(error, is_plain_token=is_plain_token, has_read=watched.sweeps > 0):
                raise
            audience.failed(error)
        else:
            for change in watched.end_sweep():
                audience.changed(change)
            audience.ended()
        audience.rests(every)
        left = every
        while left > 0 and not audience.is_gone:
            await sleep(min(left, _SLICE))
            left -= _SLICE
