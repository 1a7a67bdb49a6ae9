"""The rows of a batch: taken from the caller's input, checked, and kept with what is known of them."""

from collections.abc import Sized
from typing import cast

from attrs import define

from .actions import Action, check_action
from .batches import Done, Leftover
from .errors import ConfigurationError
from .ids import check_ref
from .journal import Journal
from .journal_records import NO_ROW, row_digest
from .models import FieldingRun, RunRef

__all__ = ["Row", "make_row"]


@define(eq=False)
class Row:
    """A row on its way: the ledger of its call.

    `problem`: what is wrong with its ref or its action. `lane`: the run in whose order it goes, if it names one.
    `intended`: a write of it is on record. `done`: how it ended.
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

    async def intend(self, action: Action, base: FieldingRun) -> None:
        """Return once it is on record that `action` leaves under the ETag of `base`. If it raises, nothing leaves."""
        if self.journal is not None:
            self.intended = True
            await self.journal.intend(self.number, self.digest, action, base)

    def settled(self) -> None:
        """Take note that nothing sent so far can be applied any more, or that nothing was sent."""
        if self.journal is not None:
            self.journal.settled(self.number, self.digest)

    def left(self, *, started: bool) -> Leftover:
        """Return what is to be said of the row if it is not yielded."""
        if self.done is not None:
            return Leftover(self.ref, self.action, "ended", self.done, number=self.number)
        unknown = started or self.resumed is not None
        return Leftover(self.ref, self.action, "unknown" if unknown else "never sent", number=self.number)


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
    if journal is not None and problem is None:
        row.digest = row_digest(ref, action)
    return row
