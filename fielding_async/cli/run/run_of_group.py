"""The one run of a target group, for commands that name only the target group."""

import asyncio
from typing import TYPE_CHECKING, Any

from fielding_async.cli.shared.arguments.places import GroupRef
from fielding_async.core.errors import FieldingError
from fielding_async.core.models import RunRef

if TYPE_CHECKING:
    from fielding_async import FieldingSession, Run

__all__ = ["NoRunError", "SeveralRunsError", "TimeLeft", "run_of"]


class NoRunError(FieldingError):
    """A target group without a run."""

    def __init__(self, group: GroupRef) -> None:
        super().__init__(
            f"target group {group} has no fielding run; one that is a draft gets its run by `fielding draft launch`"
            " or `fielding draft schedule`"
        )
        self.target_group: str = str(group)


class SeveralRunsError(FieldingError):
    """A target group with more than one run."""

    def __init__(self, group: GroupRef, runs: list[tuple[str, str]]) -> None:
        named = ", ".join(f"{group}/{run_id} ({status})" for run_id, status in runs)
        super().__init__(f"target group {group} has {len(runs)} fielding runs; name one of them: {named}")
        self.target_group: str = str(group)
        self.runs: tuple[str, ...] = tuple(f"{group}/{run_id}" for run_id, _ in runs)


class TimeLeft:
    """The seconds of `--timeout`, which all requests of a command share; `None`: the session's own limits."""

    def __init__(self, timeout: float | None) -> None:
        self._until = None if timeout is None else asyncio.get_running_loop().time() + timeout

    def limit(self) -> dict[str, Any]:
        """Return the argument `timeout` of the next call, or nothing."""
        if self._until is None:
            return {}
        return {"timeout": max(self._until - asyncio.get_running_loop().time(), 0.001)}


async def run_of(fielding: "FieldingSession", place: RunRef | GroupRef, time: TimeLeft) -> "Run":
    """Return the run, or the one run of the target group.

    Raises `NoRunError` and `SeveralRunsError` if there is not just one, and the errors of a read.
    """
    if isinstance(place, RunRef):
        return fielding.run(place)
    group = fielding.project(place.account_id, place.project_id).target_group(place.target_group_id)
    runs = await group.list_runs(**time.limit())
    if not runs:
        raise NoRunError(place)
    if len(runs) > 1:
        raise SeveralRunsError(place, [(run.id, str(run.status)) for run in runs])
    return group.run(runs[0].id)
