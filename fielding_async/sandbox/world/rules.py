"""What each action does to a run, and when it is refused. Values in, values out."""

from collections.abc import Mapping
from datetime import datetime

from attrs import evolve, frozen

from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import RunRef, RunStatus
from fielding_async.sandbox.serving.dates import floor
from fielding_async.sandbox.serving.replies import InvalidParams

from .behaviour import Behaviour

__all__ = ["LEADS_TO", "Refusal", "StoredRun", "acted", "date_problems", "due", "known_status", "refusal"]


@frozen(kw_only=True)
class StoredRun:
    """A run as the exchange keeps it."""

    ref: RunRef
    status: RunStatus
    version: int
    start: datetime
    end: datetime
    changed_at: datetime
    changed_by: str
    goal_reached: bool = False


@frozen
class Refusal:
    """Why the state of a run does not allow an action: a text, and the code that bulk jobs give for it."""

    detail: str
    code: str = "StatusTransitionNotAllowed"


LEADS_TO: Mapping[str, RunStatus] = {
    "launch": RunStatus.LIVE,
    "launch-now": RunStatus.LIVE,
    "pause": RunStatus.PAUSED,
    "resume": RunStatus.LIVE,
    "complete": RunStatus.COMPLETED,
    "relaunch": RunStatus.LIVE,
}
"""The status that each action leads to; `launch` is the bulk job's word for `launch-now`."""

_FROM: Mapping[str, tuple[RunStatus, ...]] = {
    "launch": (RunStatus.SCHEDULED,),
    "launch-now": (RunStatus.SCHEDULED,),
    "pause": (RunStatus.LIVE,),
    "resume": (RunStatus.PAUSED,),
    "complete": (RunStatus.LIVE, RunStatus.SCHEDULED),
    "relaunch": (RunStatus.COMPLETED,),
    "update": (RunStatus.SCHEDULED, RunStatus.LIVE, RunStatus.PAUSED),
}


def refusal(action: str, run: StoredRun, now: datetime) -> Refusal | None:
    """Say why the state of the run does not allow the action now; `None` if it does."""
    if run.status not in _FROM[action]:
        return Refusal(f"A run that is {run.status} cannot be the object of {action}.")
    if action in {"resume", "relaunch"}:
        if run.end <= now:
            return Refusal("The end of the run is past.", "InvalidFieldingDates")
        if run.goal_reached:
            return Refusal("The run has reached its completes goal.")
    return None


def acted(action: str, run: StoredRun, now: datetime, behaviour: Behaviour) -> StoredRun:
    """Return the run as a status action leaves it; launching moves the start to now and keeps the length."""
    if action in {"launch", "launch-now"}:
        start = floor(now, behaviour.date_precision)
        return evolve(run, status=RunStatus.LIVE, start=start, end=start + (run.end - run.start))
    return evolve(run, status=LEADS_TO[action])


def date_problems(run: StoredRun, start: datetime, end: datetime, now: datetime) -> InvalidParams:
    """Say what is wrong with the dates of an update; a past start is fine where it is the run's own."""
    problems: list[tuple[str, str]] = []
    if start < now and start != run.start:
        problems.append(("start_fielding_at", "must not be in the past"))
    if end <= start:
        problems.append(("end_fielding_at", "must be after start_fielding_at"))
    return tuple(problems)


def due(run: StoredRun) -> tuple[datetime, RunStatus] | None:
    """Say when the clock will move the run next, and where to; `None` if it will not."""
    if run.status is RunStatus.SCHEDULED:
        return run.start, RunStatus.LIVE
    if run.status is RunStatus.LIVE:
        return run.end, RunStatus.COMPLETED
    return None


def known_status(status: RunStatus | str) -> RunStatus:
    """Return the status of that name. Raises `ConfigurationError` if there is none."""
    try:
        return RunStatus(status)
    except ValueError:
        raise ConfigurationError(f"status={status!r}: must be one of {', '.join(RunStatus)}") from None
