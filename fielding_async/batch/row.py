"""The rows of a batch: taken from the caller's input, checked, and kept with what is known of them."""

from collections.abc import Awaitable, Container, Sized
from typing import cast

from attrs import define

from fielding_async.core.actions import Action, check_action
from fielding_async.core.batch_values import Done, Leftover, LeftState
from fielding_async.core.conflict.attempts import outcome_unknown
from fielding_async.core.errors import (
    ConfigurationError,
    DeadlineExceededError,
    FieldingError,
    JournalError,
    OutcomeUnknownError,
    SessionClosedError,
    SkippedError,
)
from fielding_async.core.ids import check_ref
from fielding_async.core.models import FieldingRun, RunRef
from fielding_async.journal.journal import Journal
from fielding_async.journal.lines import NO_ROW, row_digest
from fielding_async.journal.values import EndState

__all__ = ["Row", "in_truth", "is_for_good", "make_row", "resume", "too_short"]


@define(eq=False)
class Row:
    """A row on its way: the ledger of its call.

    `ref`: as it was given. `problem`: what is wrong with it or with the action. `lane`: the run that it names, if any,
    in whose order the row goes. `intended`: a write of it is on record. `done`: how it ended.
    """

    number: int
    ref: RunRef
    action: Action
    lane: RunRef | None
    problem: ConfigurationError | None
    digest: int = NO_ROW
    journal: Journal | None = None
    resumed: tuple[Action, FieldingRun] | None = None
    in_doubt: bool = False
    intended: bool = False
    done: Done | None = None

    def intend(self, action: Action, base: FieldingRun) -> Awaitable[None] | None:
        """Return what to wait for before `action` leaves under the ETag of `base`. If that raises, nothing leaves."""
        if self.journal is None:
            return None
        self.intended = True
        return self.journal.intend(self.number, self.digest, action, base)

    def settled(self) -> None:
        """Take note that nothing sent so far can be applied any more, or that nothing was sent."""
        if self.journal is not None:
            self.journal.settled(self.number, self.digest)

    @property
    def unjudged(self) -> bool:
        """Whether a write of an earlier process may be applied: a new intent of ours proves that it is not."""
        return self.resumed is not None and not self.intended

    def left(self, *, started: bool) -> Leftover:
        """Return what is to be said of the row if it is not yielded."""
        if self.done is not None:
            return Leftover(self.ref, self.action, "ended", self.done, number=self.number)
        state: LeftState = "unknown" if started or self.unjudged else "never sent"
        return Leftover(self.ref, self.action, state, number=self.number)


def make_row(number: int, pair: object, journal: Journal | None) -> Row:
    """Return the row that an element of the input is. Raises `ConfigurationError` if it is no pair at all."""
    if not isinstance(pair, tuple | list) or len(cast("Sized", pair)) != 2:
        raise ConfigurationError(f"pairs: row {number} is {pair!r:.100}: must be a pair of a RunRef and an action")
    ref, action = cast("tuple[RunRef, Action]", pair)
    lane: RunRef | None = None
    problem: ConfigurationError | None = None
    try:
        if not isinstance(ref, RunRef):
            raise ConfigurationError(f"ref={ref!r:.100}: must be a RunRef (a run's handle has one as .ref)")
        lane = check_ref(ref)
        check_action(action)
    except ConfigurationError as error:
        problem = error.filled(ref=lane)
    row = Row(number, ref, action, lane, problem, journal=journal)
    if journal is not None and lane is not None and problem is None:
        row.digest = row_digest(lane, action)
    return row


def resume(row: Row, journal: Journal) -> EndState | None:
    """Return how the row ended, if that is on record; otherwise set what is known of an attempt in flight.

    Raises `ConfigurationError` if another row is on record in its place.
    """
    replay = journal.replay
    if replay.differs(row.number, row.digest):
        raise ConfigurationError(f"{journal.name}: belongs to another plan: row {row.number} is not the one on record")
    row.resumed = replay.open.get(row.number)
    return replay.state(row.number)


def too_short(taken: int, journal: Journal) -> ConfigurationError | None:
    """Return what is wrong with an input of so many rows, if the journal has more on record."""
    rows = len(journal.replay)
    if taken >= rows:
        return None
    return ConfigurationError(
        f"{journal.name}: belongs to another plan: it has {rows} rows or more on record, this one ends after {taken}"
    )


def in_truth(row: Row, error: Exception) -> Exception:
    """Return what a row has ended in: if nothing left, a write of an earlier process may be applied all the same."""
    if not row.unjudged or not isinstance(error, DeadlineExceededError | SessionClosedError):
        return error
    out_of_time = isinstance(error, DeadlineExceededError)
    what = f"{row.action.name} may or may not have been applied by an earlier process"
    found = outcome_unknown(what, error, None, out_of_time=out_of_time)
    return found.filled(ref=error.ref or row.lane, trace_id=error.trace_id)


def is_for_good(row: Row, error: Exception, *, closing: bool, unsettled: Container[RunRef | None]) -> bool:
    """Whether a row has failed for good, or is to be gone on with by whoever resumes the journal.

    `unsettled`: runs of rows that have not ended for good, and so nor have the later ones of their run.
    """
    if isinstance(error, JournalError | SessionClosedError) or not isinstance(error, FieldingError):
        return False
    if isinstance(error, OutcomeUnknownError):
        learnt_nothing = row.resumed is not None and error.current is None
        return not learnt_nothing and not closing
    never_sent = isinstance(error, SkippedError) or error is row.problem
    return not never_sent or row.lane not in unsettled
