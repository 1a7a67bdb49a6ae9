"""A row of a batch: made from the caller's input, checked, and kept with what is known of its writes."""

from collections.abc import Awaitable, Callable, Iterable, Sized
from typing import cast

from attrs import define

from fielding_async.core.actions import Action, Change, Guarded, Update, check_action, check_if_match
from fielding_async.core.batch_values import Done, DoneWithError, Leftover, LeftoverState
from fielding_async.core.conflict.attempts import outcome_unknown
from fielding_async.core.conflict.row_ends import RowFacts
from fielding_async.core.errors import (
    ConfigurationError,
    DeadlineExceededError,
    FieldingError,
    SessionClosedError,
    briefly,
)
from fielding_async.core.ids import check_ref
from fielding_async.core.models import FieldingRun, RunRef, as_ref
from fielding_async.journal.journal import Journal
from fielding_async.journal.lines import NO_ROW, row_digest
from fielding_async.journal.values import EndState

__all__ = ["Row", "facts_of", "input_too_short", "make_row", "outcome_unknown_if_unjudged", "resume", "runs_of"]


@define(eq=False)
class Row:
    """A row that was taken from the input and has not been yielded. It is the write log of its call.

    `ref`: as the caller gave it. `checked_ref`: the run that it names, `None` if it names none. `problem`: what is
    wrong with `ref`, `action` or `if_match`, if anything. `if_match`: the only ETag that it may be sent under, or
    `PREVIOUS`. `digest`: of what the row asks for, as the journal has it. `may_leave`: says whether a write on record
    there may leave now, `None` if it always may. `resumed`: the write of an earlier process
    that may be applied, as the action and the run under whose ETag it was sent. `in_doubt`: the call was cut off, and a
    write of it may be applied. `has_intent`: this try has made a write of its own. `pending`: the last write that may
    be applied. `tries`: how often the row was tried while it alone failed. `accepted_before`: how many rows had been
    accepted when it last failed. `problem_met`: the error of its last try, while the row is open. `started_at`: when
    that try started. `change_error`: what its callable change raised. `done`: how the row ended.
    """

    number: int
    ref: RunRef
    action: Action | Change
    checked_ref: RunRef | None
    problem: ConfigurationError | None
    if_match: str | None = None
    digest: int = NO_ROW
    journal: Journal | None = None
    may_leave: Callable[[], bool] | None = None
    resumed: tuple[Action, FieldingRun] | None = None
    in_doubt: bool = False
    has_intent: bool = False
    pending: tuple[Action, FieldingRun] | None = None
    tries: int = 0
    accepted_before: int = 0
    problem_met: Exception | None = None
    started_at: float = 0.0
    change_error: Exception | None = None
    done: Done | None = None

    def change(self, run: FieldingRun) -> Update | None:
        """Call the callable change, and keep what it raises."""
        assert not isinstance(self.action, Action)  # noqa: S101 - then there is nothing to call
        try:
            return self.action(run)
        except Exception as error:
            self.change_error = error
            raise

    def intend(self, action: Action, base: FieldingRun) -> Awaitable[None] | None:
        """Return what to wait for before `action` leaves under the ETag of `base`. If that raises, nothing leaves."""
        self.pending = action, base
        self.has_intent = True
        if self.journal is None:
            return None
        return self.journal.record_intent(self.number, self.digest, action, base, self.checked_ref)

    def settled(self) -> None:
        """Take note that nothing sent so far can be applied any more, or that nothing was sent."""
        self.pending = None
        if self.journal is not None:
            self.journal.record_settled(self.number, self.digest)

    @property
    def is_unjudged(self) -> bool:
        """Whether a write of an earlier process or try may be applied. An intent of this one proves that it was not."""
        return self.resumed is not None and not self.has_intent

    def try_again(self) -> None:
        """Make the row ready for another try, which goes on with a write that may be applied."""
        self.resumed = self.pending
        self.has_intent = self.in_doubt = False

    def end_open(self, error: Exception) -> Done:
        """Keep as `done` that the row is yielded with an error though it has not ended, and return it."""
        self.done = DoneWithError(self.ref, self.action, error, number=self.number, is_open=True)
        return self.done

    def leftover(self, *, started: bool) -> Leftover:
        """Return what the batch lists of the row if it is not yielded."""
        if self.done is not None:
            return Leftover(self.ref, self.action, "ended", self.done, number=self.number)
        in_doubt = self.is_unjudged or (self.problem_met is not None and self.pending is not None)
        state: LeftoverState = "unknown" if started or in_doubt else "never sent"
        return Leftover(self.ref, self.action, state, number=self.number)


def runs_of(rows: Iterable[Row]) -> dict[RunRef, None]:
    """Return the runs of rows, each once, in their order."""
    return {row.checked_ref: None for row in rows if row.checked_ref is not None}


def _ref_of(value: object) -> RunRef:
    """Return the ref of a row: a `RunRef`, or that of a `Run`. Raises `ConfigurationError`."""
    ref = value if isinstance(value, RunRef) else as_ref(value)
    if isinstance(ref, RunRef):
        return ref
    hint = ": pass RunRef.parse(…)" if isinstance(value, str) else ""
    if isinstance(value, Action):
        hint = ": the action comes second"
    raise ConfigurationError(f"ref={briefly(value, 100)}: must be a RunRef or a Run{hint}")


def _check_change(order: object, *, has_journal: bool) -> None:
    """Raise `ConfigurationError` unless it is a callable change, and one that need not be put on record."""
    if isinstance(order, Guarded) or not callable(order) or isinstance(order, type):
        check_action(order.action if isinstance(order, Guarded) else order)
    elif has_journal:
        raise ConfigurationError(
            f"action={briefly(order)}: a callable change cannot be put on record: pass an Update, or leave journal= out"
        )


def make_row(number: int, pair: object, journal: Journal | None) -> Row:
    """Return the row for an element of the input. Raises `ConfigurationError` if that is not a pair at all."""
    given = pair  # without what the checks below narrow it to
    if not isinstance(pair, tuple | list) or len(cast("Sized", pair)) != 2:
        raise ConfigurationError(
            f"pairs: row {number} is {briefly(given, 100)}: must be a pair of a RunRef and an action, such as (ref,"
            " Pause())"
        )
    ref, order = cast("tuple[RunRef, Action | Guarded | Change]", pair)
    action, if_match = (order.action, order.if_match) if isinstance(order, Guarded) else (order, None)
    checked_ref: RunRef | None = None
    problem: ConfigurationError | None = None
    try:
        ref = _ref_of(ref)
        checked_ref = check_ref(ref)
        if isinstance(action, Action):
            check_action(action)
        else:
            _check_change(order, has_journal=journal is not None)
        if if_match is not None:
            check_if_match(if_match)
    except ConfigurationError as error:
        problem = error.filled(ref=checked_ref)
    row = Row(number, ref, action, checked_ref, problem, if_match, journal=journal)
    if journal is not None:
        row.may_leave = journal.may_leave
    if journal is not None and checked_ref is not None and problem is None and isinstance(action, Action):
        row.digest = row_digest(checked_ref, action, if_match)
    return row


def resume(row: Row, journal: Journal) -> EndState | None:
    """Return how the row ended, if that is on record. If not, set `resumed` from a write that was in flight.

    Raises `ConfigurationError` if another row is on record in its place.
    """
    replay = journal.replay
    if replay.differs(row.number, row.digest):
        raise ConfigurationError(
            f"{journal.name}: belongs to another plan: row {row.number} is not the one on record: pass"
            " the rows it was started with, or name another journal"
        )
    row.resumed = row.pending = replay.open.get(row.number)
    return replay.state(row.number)


def input_too_short(taken: int, journal: Journal) -> ConfigurationError | None:
    """Return the error for an input that ended after `taken` rows although the journal has more; `None` if not."""
    rows = len(journal.replay)
    if taken >= rows:
        return None
    return ConfigurationError(
        f"{journal.name}: belongs to another plan: it has {rows} rows or more on record, this one ends after {taken}:"
        " pass the rows it was started with, or name another journal"
    )


def outcome_unknown_if_unjudged(row: Row, error: Exception) -> Exception:
    """Return the error that a row ended in: unknown for one that sent nothing, if an earlier process may have."""
    if not row.is_unjudged or not isinstance(error, DeadlineExceededError | SessionClosedError):
        return error
    out_of_time = isinstance(error, DeadlineExceededError)
    what = f"{getattr(row.action, 'name', Update.name)} may or may not have been applied by an earlier process or try"
    found = outcome_unknown(what, error, None, out_of_time=out_of_time)
    return found.filled(ref=error.ref or row.checked_ref, trace_id=error.trace_id)


def _is_of_change(row: Row, error: Exception) -> bool:
    """Whether the row's callable change raised the error, or returned something else than an `Update` or `None`."""
    return error is row.change_error or (
        not isinstance(row.action, Action)
        and (isinstance(error, ConfigurationError) or not isinstance(error, FieldingError))
    )


def facts_of(row: Row, error: Exception, *, is_behind_open: bool, is_plain_token: bool, is_closing: bool) -> RowFacts:
    """Return what decides, with the error of a row, whether it has ended."""
    return RowFacts(
        is_bad=error is row.problem or _is_of_change(row, error),
        is_behind_open=is_behind_open,
        sent_under=None if row.pending is None else row.pending[1].etag,
        is_plain_token=is_plain_token,
        is_closing=is_closing,
    )
