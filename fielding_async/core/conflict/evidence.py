"""What a fetched run proves of a write that was sent: that its refusal is final, that it was not applied.

Values in, answers out. The rules that use them, and the assumptions A1 to A5, are those of `judgement`.
"""

from collections.abc import Mapping
from datetime import timedelta

from fielding_async.core.actions import (
    Action,
    Complete,
    LaunchNow,
    Pause,
    Relaunch,
    Resume,
    StatusAction,
    Update,
)
from fielding_async.core.dates import grain
from fielding_async.core.models import FieldingRun, RunStatus

__all__ = ["is_never_accepted", "is_next_version", "is_overtaken", "proves_not_applied"]

_WITHOUT_A_WRITE: Mapping[str, frozenset[str]] = {
    RunStatus.SCHEDULED: frozenset({RunStatus.SCHEDULED, RunStatus.LIVE, RunStatus.PAUSED, RunStatus.COMPLETED}),
    RunStatus.LIVE: frozenset({RunStatus.LIVE, RunStatus.PAUSED, RunStatus.COMPLETED}),
    RunStatus.PAUSED: frozenset({RunStatus.PAUSED, RunStatus.COMPLETED}),
    RunStatus.COMPLETED: frozenset({RunStatus.COMPLETED}),
}
"""The statuses that a run may have later, perhaps under the same ETag, if nobody writes to it (A4)."""

_ACCEPTED_IN: Mapping[str, frozenset[str]] = {
    LaunchNow.name: frozenset({RunStatus.SCHEDULED}),
    Pause.name: frozenset({RunStatus.LIVE}),
    Resume.name: frozenset({RunStatus.PAUSED}),
    Complete.name: frozenset({RunStatus.SCHEDULED, RunStatus.LIVE}),
    Relaunch.name: frozenset({RunStatus.COMPLETED}),
    Update.name: frozenset({RunStatus.SCHEDULED, RunStatus.LIVE, RunStatus.PAUSED}),
}
"""The statuses in which the exchange may accept an action. Not used before sending: the server decides that."""


def is_never_accepted(sent: Action, *runs: FieldingRun) -> bool:
    """Whether none of these states of a run can lead, without a write, to a status in which the action is accepted.

    Where a status is not known, that cannot be said. A resume of a paused run or a relaunch of a completed one may
    depend on the completes goal, which can change.
    """
    later = [_WITHOUT_A_WRITE.get(run.status) for run in runs]
    return all(statuses is not None and statuses.isdisjoint(_ACCEPTED_IN[sent.name]) for statuses in later)


def is_next_version(base: FieldingRun, fresh: FieldingRun) -> bool:
    """Whether exactly one write happened since `base` (A2)."""
    return base.version is not None and fresh.version == base.version + 1


def proves_not_applied(sent: Action, base: FieldingRun, fresh: FieldingRun) -> bool:
    """Whether exactly one write happened since `base`, and what ours sets still has its old value (R2d).

    Never for a resume or a relaunch: the exchange pauses and completes live runs by itself, so that an old status does
    not show that the action was not applied.
    """
    if not is_next_version(base, fresh) or isinstance(sent, Resume | Relaunch):
        return False
    if isinstance(sent, StatusAction):
        return fresh.status == base.status != sent.target
    return isinstance(sent, Update) and any(
        has == had and abs(wanted - had) >= _visible(fresh)
        for (wanted, has), (_, had) in zip(sent.bounds(fresh), sent.bounds(base), strict=True)
    )


def _visible(fresh: FieldingRun) -> timedelta:
    """Return the smallest change of a date that is visible, however coarsely the server stores dates."""
    # not those of the base, which may be as we sent them
    return grain([fresh.start_fielding_at, fresh.end_fielding_at])


def is_overtaken(wanted: Action, first: FieldingRun, base: FieldingRun, fresh: FieldingRun) -> bool:
    """Whether somebody else may have changed what `wanted` would change, since the run was `first` (R4).

    `base`: the run that the last write was sent under, up to which nobody had. Every value that the action names must
    be as it was, and at most one write may have happened since `base`: two can change a value and change it back.
    """
    if base.version is None or fresh.version is None or fresh.version > base.version + 1:
        return True
    if isinstance(wanted, StatusAction):
        return fresh.status != first.status
    if not isinstance(wanted, Update):
        return True
    return any(has != had for (_, has), (_, had) in zip(wanted.bounds(fresh), wanted.bounds(first), strict=True))
