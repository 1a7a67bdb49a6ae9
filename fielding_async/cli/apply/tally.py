"""Counts of rows by how they ended, and the rule that stops a plan whose runs do not exist."""

import time

from attrs import define, field

from fielding_async import Done, JournalCounts
from fielding_async.cli.shared.plan.checked_plan import CheckedPlan
from fielding_async.core.errors import NotFoundError, OutcomeUnknownError, SkippedError

__all__ = ["MissingRuns", "Tally", "unsent_rows"]

_IN_A_ROW = 20  # failures of rows one after the other


@define
class Tally:
    """How the rows of this process have ended so far. The display reads it from another thread.

    `open`: those that came back without an end, `last_open`: with which error at last. `outcomes`: how many ended, by
    the name of the action and the outcome, as a journal counts them.
    """

    began: float = field(factory=time.monotonic)
    done: int = 0
    failed: int = 0
    unknown: int = 0
    skipped: int = 0
    open: int = 0
    conflicts: int = 0
    last_open: Exception | None = None
    outcomes: dict[tuple[str, str], int] = field(factory=dict[tuple[str, str], int])

    @property
    def ended(self) -> int:
        """How many rows have ended."""
        return self.done + self.failed + self.unknown + self.skipped

    def add(self, done: Done) -> None:
        """Count a row."""
        error, outcome = done.error, done.outcome
        if done.is_open:
            self.open += 1
            self.last_open = error
            return
        if outcome is not None:
            self.done += 1
            self.conflicts += outcome.conflicts
            ended: str = outcome.effect
        elif isinstance(error, OutcomeUnknownError):
            self.unknown += 1
            ended = "unknown"
        elif isinstance(error, SkippedError):
            self.skipped += 1
            ended = "skipped"
        else:
            self.failed += 1
            ended = "failed"
        key = done.action.name, ended
        self.outcomes[key] = self.outcomes.get(key, 0) + 1


@define
class MissingRuns:
    """Stops a plan when its runs do not exist, one after the other: then the plan is wrong, and not a row.

    The exchange says so of each row, which has therefore failed.
    """

    in_a_row: int = 0
    reason: str | None = None

    def observe(self, error: Exception | None) -> bool:
        """Record how a row ended; return whether no more rows should be started."""
        if isinstance(error, NotFoundError) and error.object is not None:
            self.in_a_row += 1
        elif error is None:
            self.in_a_row = 0
        if self.in_a_row >= _IN_A_ROW and self.reason is None:
            self.reason = f"{_IN_A_ROW} rows one after the other name runs that do not exist: check the ids and account"
        return self.reason is not None


def unsent_rows(checked: CheckedPlan, counts: JournalCounts) -> int:
    """Return how many rows of a plan were never sent: those of which the journal has no record."""
    return checked.rows - counts.ended - counts.in_flight - counts.stuck
