"""The handle of a run. Handles hold checked ids, are cheap and immutable, and do no I/O of their own."""

from collections.abc import Coroutine
from datetime import datetime
from typing import Any, overload

from attrs import field, frozen

from fielding_async.core.actions import (
    Action,
    Change,
    Complete,
    LaunchNow,
    Pause,
    Relaunch,
    Resume,
    Update,
    check_action,
    check_change,
    check_on_conflict,
)
from fielding_async.core.config import DEFAULT_TIMEOUT, TimeoutArg
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import FieldingRun, OnConflict, Outcome, RunRef
from fielding_async.engine.engine import EngineSource
from fielding_async.engine.writing.write_call import WriteCall

__all__ = ["Run"]


@frozen
class Run:
    """The handle of a fielding run, from `session.run(…)`. Handles with the same session and the same ids are equal.

    All actions have these arguments:

    `seen`: a `FieldingRun` from `get()`, on which your decision is based. The call first tries the ETag of `seen`. The
    action is refused if the status or a date of the run has changed since. `on_conflict`: what the call does after a
    conflict. `"reapply"` fetches the run, and sends the action again if it is still wanted. `"raise"` refuses the
    action. `timeout`: seconds from now. If left out, the session's `Timeout` applies. `None` is no limit.

    Every action returns an `Outcome`, and raises: `OutcomeUnknownError` (it is unknown whether the write was applied),
    `PreconditionFailedError` (refused by `seen=` or `on_conflict="raise"`), `InvalidRunStateError` (the exchange does
    not allow the action in this state of the run), `NotFoundError`, `PermissionDeniedError`, `AuthenticationError`,
    `BadRequestError`, `RateLimitError`, `ServerError`, `TransportError`, `ProtocolError`, `DeadlineExceededError`,
    `ConfigurationError`, `SessionClosedError`.
    """

    __module__ = "fielding_async"

    _session: EngineSource = field(repr=False)
    ref: RunRef
    """The four ids of the run."""

    async def get(self, *, timeout: TimeoutArg = DEFAULT_TIMEOUT) -> FieldingRun:
        """Return the run as it is now. Source: `GET …/fielding-runs/{fielding_run_id}`. Raises the errors of a read."""
        return await self._session.engine().get_run(self.ref, timeout)

    async def launch_now(
        self,
        *,
        seen: FieldingRun | None = None,
        on_conflict: OnConflict = "reapply",
        timeout: TimeoutArg = DEFAULT_TIMEOUT,
    ) -> Outcome:
        """Launch a scheduled run now. The duration of the run does not change, and the outcome has the new dates.

        Source: `POST …/fielding-runs/{fielding_run_id}/launch-now`.
        """
        return await self._perform(LaunchNow(), seen, on_conflict, timeout)

    async def pause(
        self,
        *,
        seen: FieldingRun | None = None,
        on_conflict: OnConflict = "reapply",
        timeout: TimeoutArg = DEFAULT_TIMEOUT,
    ) -> Outcome:
        """Pause a live run. Source: `POST …/fielding-runs/{fielding_run_id}/pause`."""
        return await self._perform(Pause(), seen, on_conflict, timeout)

    async def resume(
        self,
        *,
        seen: FieldingRun | None = None,
        on_conflict: OnConflict = "reapply",
        timeout: TimeoutArg = DEFAULT_TIMEOUT,
    ) -> Outcome:
        """Resume a paused run. Source: `POST …/fielding-runs/{fielding_run_id}/resume`."""
        return await self._perform(Resume(), seen, on_conflict, timeout)

    async def complete(
        self,
        *,
        seen: FieldingRun | None = None,
        on_conflict: OnConflict = "reapply",
        timeout: TimeoutArg = DEFAULT_TIMEOUT,
    ) -> Outcome:
        """Complete a live or scheduled run. Source: `POST …/fielding-runs/{fielding_run_id}/complete`."""
        return await self._perform(Complete(), seen, on_conflict, timeout)

    async def relaunch(
        self,
        *,
        seen: FieldingRun | None = None,
        on_conflict: OnConflict = "reapply",
        timeout: TimeoutArg = DEFAULT_TIMEOUT,
    ) -> Outcome:
        """Relaunch a completed run. Source: `POST …/fielding-runs/{fielding_run_id}/relaunch`."""
        return await self._perform(Relaunch(), seen, on_conflict, timeout)

    @overload
    async def update(
        self,
        *,
        start_fielding_at: datetime | None = None,
        end_fielding_at: datetime | None = None,
        seen: FieldingRun | None = None,
        on_conflict: OnConflict = "reapply",
        timeout: TimeoutArg = DEFAULT_TIMEOUT,
    ) -> Outcome: ...

    @overload
    async def update(
        self,
        change: Change | Update,
        *,
        seen: FieldingRun | None = None,
        on_conflict: OnConflict = "reapply",
        timeout: TimeoutArg = DEFAULT_TIMEOUT,
    ) -> Outcome: ...

    async def update(
        self,
        change: Change | Update | None = None,
        *,
        start_fielding_at: datetime | None = None,
        end_fielding_at: datetime | None = None,
        seen: FieldingRun | None = None,
        on_conflict: OnConflict = "reapply",
        timeout: TimeoutArg = DEFAULT_TIMEOUT,
    ) -> Outcome:
        """Change the dates of the run: aware datetimes, floored to milliseconds. A date that you leave out is kept.

        Or pass an `Update`. Or pass a callable that gets the `FieldingRun` as it is now, and returns an `Update`, or
        `None` if there is nothing to do. The session calls the callable again after every conflict, so that the
        increments of several writers all count. If the callable raises an exception, `update` raises it, and sends
        nothing more. If the session knows the run from its own last write, `last_changed_at` and `last_changed_by` are
        `None`.

            from datetime import timedelta
            from fielding_async import Update

            await run.update(lambda now: Update(end_fielding_at=now.end_fielding_at + timedelta(days=2)))

        Source: `PUT …/fielding-runs/{fielding_run_id}`.
        """
        named = start_fielding_at is not None or end_fielding_at is not None
        if change is not None:
            if named:
                raise ConfigurationError("update: pass dates, an Update or a callable, and only one of them")
            if isinstance(change, Update):
                check_action(change)
            else:
                check_change(change)
            return await self._perform(change, seen, on_conflict, timeout)
        update = check_action(Update(start_fielding_at=start_fielding_at, end_fielding_at=end_fielding_at))
        return await self._perform(update, seen, on_conflict, timeout)

    async def perform(
        self,
        action: Action,
        *,
        seen: FieldingRun | None = None,
        on_conflict: OnConflict = "reapply",
        timeout: TimeoutArg = DEFAULT_TIMEOUT,
    ) -> Outcome:
        """Perform an action that you pass as a value: `LaunchNow()`, `Pause()`, `Update(end_fielding_at=…)`, …"""
        return await self._perform(check_action(action), seen, on_conflict, timeout)

    def _perform(
        self, order: Action | Change, seen: FieldingRun | None, on_conflict: OnConflict, timeout: TimeoutArg
    ) -> Coroutine[Any, Any, Outcome]:
        if on_conflict != "reapply":
            check_on_conflict(on_conflict)
        if seen is not None:
            _check_seen(seen, self.ref)
        return WriteCall(self._session.engine(), self.ref, order, seen, on_conflict, timeout).run()


def _check_seen(seen: object, ref: RunRef) -> None:
    if not isinstance(seen, FieldingRun):
        raise ConfigurationError(f"seen: must be a FieldingRun from run.get(), not {type(seen).__name__}")
    if seen.id != ref.fielding_run_id:
        raise ConfigurationError(
            f"seen: must be of the run of the action, {ref.fielding_run_id!r}, not of {seen.id!r}: use run.get()"
        )
    if seen.etag is None:
        raise ConfigurationError("seen: must have an ETag, and a run from a list has none: use run.get()")
    if (seen.start_fielding_at or seen.end_fielding_at) is None:  # pyright: ignore[reportUnnecessaryComparison]
        raise ConfigurationError(
            "seen: must have dates, and this one has none (its call used another session's hint): use run.get()"
        )
