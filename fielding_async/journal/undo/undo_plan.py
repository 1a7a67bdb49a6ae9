"""The rows that take back what the rows of a plan did, and why others cannot be taken back. Pure.

The rows of a run are taken back from the last one on, so that each meets the run as the row that it takes back left it.
The first is sent under the ETag that the run's last accepted write left, each later one under that which the row before
it leaves: what somebody else wrote since is never overwritten. Nor is what somebody else wrote between two rows of the
plan: the later one must have been sent under the ETag that the earlier one left.
"""

from collections.abc import Iterable

from attrs import frozen

from fielding_async.core.actions import PREVIOUS, Action, Complete, Guarded, LaunchNow, Pause, Relaunch, Resume, Update
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import FieldingRun, RunRef, RunStatus
from fielding_async.journal.values import JournalRow

__all__ = ["NotUndone", "UndoPlan", "UndoRow", "undo_plan"]

_NOTHING_RECORDED = "the journal does not hold the run as it was before (a journal of format 1)"
_NO_ETAG = "the journal does not hold the ETag that our last write left (a journal of format 1)"
_BETWEEN = "somebody else wrote to the run between this row and the next one: taking it back would overwrite that"
_SAME = "it changed nothing: the run was there before"
_ENDS = {
    "already": "it changed nothing: the run was already in the wanted state",
    "unconfirmed": "its reply was lost: somebody else may have done it",
    "failed": "it failed: nothing was applied",
    "unknown": "it is unknown whether it was applied",
    "skipped": "it was skipped: nothing was sent",
    "stuck": "it has not ended",
    "in flight": "it has not ended",
}
_FINAL = {
    LaunchNow.name: "a launch cannot be taken back",
    Complete.name: "a complete cannot be taken back",
    Relaunch.name: "a relaunch cannot be taken back",
}


@frozen
class UndoRow:
    """A row of the plan that takes rows back."""

    __module__ = "fielding_async.plans"

    number: int
    """The number of the row that it takes back, from 0."""
    ref: RunRef
    """The run."""
    action: Action
    """The action that takes the row back."""
    if_match: str
    """The only ETag that it is sent under, or `previous` for the ETag that the row before it on the same run leaves."""


@frozen
class NotUndone:
    """A row that is not taken back, and why."""

    __module__ = "fielding_async.plans"

    number: int
    """The row's number, from 0."""
    ref: RunRef | None
    """The run of the row; `None` if it is not on record."""
    action: Action | None
    """The action of the row; `None` if it is not on record."""
    reason: str
    """Why the row is not taken back, in words."""


@frozen
class UndoPlan:
    """What takes back the rows of a plan."""

    __module__ = "fielding_async.plans"

    rows: tuple[UndoRow, ...]
    """The rows to send, in the order in which they are to be sent."""
    listed: tuple[NotUndone, ...]
    """The rows that are not taken back, by number."""

    @property
    def pairs(self) -> tuple[tuple[RunRef, Guarded], ...]:
        """The rows as `submit` and `perform_all` take them."""
        return tuple((row.ref, Guarded(row.action, row.if_match)) for row in self.rows)


class _NotInvertibleError(Exception):
    """The row cannot be taken back, for the reason that the text says."""


def undo_plan(rows: Iterable[JournalRow]) -> UndoPlan:
    """Return what takes back the rows of a journal. Every row is either taken back or listed with a reason.

    `rows`: all rows on record, in any order. The rows of a run are taken back from its last one on, up to the first one
    that cannot be, or behind which somebody else wrote; those before that one are listed with its reason. A row that
    changed nothing is listed, and keeps no row before it from being taken back.
    """
    by_run: dict[RunRef, list[JournalRow]] = {}
    listed: list[NotUndone] = []
    for row in rows:
        if row.ref is None:
            listed.append(NotUndone(row.number, None, row.action, "its run is not on record"))
        else:
            by_run.setdefault(row.ref, []).append(row)
    undone: list[UndoRow] = []
    for ref, of_run in by_run.items():
        of_run.sort(key=lambda row: -row.number)
        _undo_run(ref, of_run, undone, listed)
    undone.sort(key=lambda row: -row.number)
    listed.sort(key=lambda row: row.number)
    return UndoPlan(tuple(undone), tuple(listed))


def _undo_run(ref: RunRef, rows: list[JournalRow], undone: list[UndoRow], listed: list[NotUndone]) -> None:
    """Add the rows of one run, the last one first, to either list."""
    if_match = rows[0].etag
    behind = ""
    later: JournalRow | None = None
    for row in rows:
        reason = behind
        if not reason:
            try:
                action = _inverse(row)
                _follows(row, later)
                later = row
                if action is None:
                    reason = _SAME
                elif if_match is None:
                    raise _NotInvertibleError(_NO_ETAG)
                else:
                    undone.append(UndoRow(row.number, ref, action, if_match))
                    if_match = PREVIOUS
                    continue
            except _NotInvertibleError as problem:
                reason = str(problem)
                behind = f"a later row of this run cannot be taken back ({reason})"
        listed.append(NotUndone(row.number, ref, row.action, reason))


def _follows(row: JournalRow, later: JournalRow | None) -> None:
    """Raise `_NotInvertibleError` unless the run was, when the later row was sent, as this one had left it."""
    if later is None or later.before is None:
        return
    if row.etag is None:
        raise _NotInvertibleError(_NO_ETAG)
    if row.etag != later.before.etag:
        raise _NotInvertibleError(_BETWEEN)


def _inverse(row: JournalRow) -> Action | None:
    """Return the action that takes back a row; `None` if the row changed nothing. Raises `_NotInvertibleError`."""
    end = row.effect if row.state == "done" else row.state
    if end != "accepted":
        raise _NotInvertibleError(_ENDS.get(end or "", "it is not on record how it ended"))
    if row.action is None:
        raise _NotInvertibleError("its action is not on record")
    if row.action.name in _FINAL:
        raise _NotInvertibleError(_FINAL[row.action.name])
    if row.before is None:
        raise _NotInvertibleError(_NOTHING_RECORDED)
    if isinstance(row.action, Update):
        return _former_dates(row.action, row.before)
    former = RunStatus.LIVE if isinstance(row.action, Pause) else RunStatus.PAUSED
    if row.action.is_there(row.before):
        return None
    if row.before.status != former:
        raise _NotInvertibleError(f"the run was {row.before.status} before, and no action leads back to that")
    return Resume() if isinstance(row.action, Pause) else Pause()


def _former_dates(update: Update, before: FieldingRun) -> Update | None:
    """Return the update to the dates that the run had before, of those that `update` names."""
    if update.is_there(before):
        return None
    start = None if update.start_fielding_at is None else before.start_fielding_at
    end = None if update.end_fielding_at is None else before.end_fielding_at
    try:
        former = Update(start_fielding_at=start, end_fielding_at=end)
    except ConfigurationError:
        raise _NotInvertibleError("the dates before were not in order, and cannot be sent") from None
    if not former.is_there(before):
        raise _NotInvertibleError("a date before was finer than 1 ms, and cannot be sent")
    return former
