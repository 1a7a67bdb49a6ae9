"""The rules of a run: which actions its status allows, what each action changes, and what the clock changes."""

from collections.abc import Mapping
from datetime import datetime

from attrs import evolve, frozen

from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import RunRef, RunStatus
from fielding_async.sandbox.serving.checks import did_you_mean
from fielding_async.sandbox.serving.dates import floor
from fielding_async.sandbox.serving.replies import InvalidParams

from .behaviour import Behaviour

__all__ = [
    "REASONS",
    "SOFT_LAUNCH_ENDED",
    "STATUS_AFTER",
    "Refusal",
    "StoredRun",
    "after_action",
    "date_problems",
    "due",
    "known_reason",
    "known_status",
    "refusal",
]


SOFT_LAUNCH_ENDED = "past_soft_launch_end_date"
"""The reason code of a pause by the exchange, unless another one is named."""

REASONS = (
    *("max_cpi_limit_reached", "live_respondent_unique_codes_exhausted", "past_scheduled_end_date"),
    *("total_completes_reached", SOFT_LAUNCH_ENDED, "no_completes_in_several_days"),
    *("no_completes_after_many_prescreens", "high_median_loi", "excessive_redirect_errors"),
    *("excessive_encryption_errors", "excessive_qualification_setup_errors", "high_drop_rates", "low_epc"),
    "high_client_side_termination_rate",
)
"""The reason codes that a change log may show for a change of status."""


@frozen(kw_only=True)
class StoredRun:
    """The stored state of a run. `etag_shift`: by how much the ETag's number is ahead of the version."""

    ref: RunRef
    status: RunStatus
    version: int
    start: datetime
    end: datetime
    changed_at: datetime
    changed_by: str
    goal_reached: bool = False
    etag_shift: int = 0


@frozen
class Refusal:
    """Why the state of a run does not allow an action: a text, and the code that bulk jobs report for it."""

    detail: str
    code: str = "StatusTransitionNotAllowed"


STATUS_AFTER: Mapping[str, RunStatus] = {
    "launch": RunStatus.LIVE,
    "launch-now": RunStatus.LIVE,
    "pause": RunStatus.PAUSED,
    "resume": RunStatus.LIVE,
    "complete": RunStatus.COMPLETED,
    "relaunch": RunStatus.LIVE,
}
"""The status of a run after each action. `launch` is the bulk job's name for `launch-now`."""

_STATUS_BEFORE: Mapping[str, tuple[RunStatus, ...]] = {
    "launch": (RunStatus.SCHEDULED,),
    "launch-now": (RunStatus.SCHEDULED,),
    "pause": (RunStatus.LIVE,),
    "resume": (RunStatus.PAUSED,),
    "complete": (RunStatus.LIVE, RunStatus.SCHEDULED),
    "relaunch": (RunStatus.COMPLETED,),
    "update": (RunStatus.SCHEDULED, RunStatus.LIVE, RunStatus.PAUSED),
}


def refusal(action: str, run: StoredRun, now: datetime) -> Refusal | None:
    """Return why the state of the run does not allow the action now; `None` if it does."""
    if run.status not in _STATUS_BEFORE[action]:
        return Refusal(f"A run that is {run.status} cannot be the object of {action}.")
    if action in {"resume", "relaunch"}:
        if run.end <= now:
            return Refusal("The end of the run is past.", "InvalidFieldingDates")
        if run.goal_reached:
            return Refusal("The run has reached its completes goal.")
    return None


def after_action(action: str, run: StoredRun, now: datetime, behaviour: Behaviour) -> StoredRun:
    """Return the run after a status action. Launching moves the start to now and keeps the length."""
    if action in {"launch", "launch-now"}:
        start = floor(now, behaviour.date_precision)
        return evolve(run, status=RunStatus.LIVE, start=start, end=start + (run.end - run.start))
    return evolve(run, status=STATUS_AFTER[action])


def date_problems(run: StoredRun, start: datetime, end: datetime, now: datetime) -> InvalidParams:
    """Return what is wrong with the dates of an update. A start in the past is allowed if it is the run's own."""
    problems: list[tuple[str, str]] = []
    if start < now and start != run.start:
        problems.append(("start_fielding_at", "must not be in the past"))
    if end <= start:
        problems.append(("end_fielding_at", "must be after start_fielding_at"))
    return tuple(problems)


def due(run: StoredRun) -> tuple[datetime, RunStatus] | None:
    """Return when the clock changes the status of the run next, and to which; `None` if it does not."""
    if run.status is RunStatus.SCHEDULED:
        return run.start, RunStatus.LIVE
    if run.status is RunStatus.LIVE:
        return run.end, RunStatus.COMPLETED
    return None


def known_reason(reason: str) -> str:
    """Return the reason code. Raises `ConfigurationError` if there is none of that name."""
    if not isinstance(reason, str) or reason not in REASONS:  # pyright: ignore[reportUnnecessaryIsInstance]
        hint = did_you_mean(reason, REASONS)
        raise ConfigurationError(f"reason={reason!r}: must be one of {', '.join(REASONS)}{f'; {hint}' if hint else ''}")
    return reason


def known_status(status: RunStatus | str) -> RunStatus:
    """Return the status of that name. Raises `ConfigurationError` if there is none."""
    try:
        return RunStatus(status)
    except ValueError:
        hint = did_you_mean(status, list(RunStatus))
        raise ConfigurationError(
            f"status={status!r}: must be one of {', '.join(RunStatus)}{f'; {hint}' if hint else ''}"
        ) from None
