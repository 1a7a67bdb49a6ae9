"""Counts of rows by how they ended, and the rule that stops a plan when failures are not the rows' own."""

import time

from attrs import define, field

from fielding_async import Done, JournalCounts
from fielding_async.cli.shared.output import printable
from fielding_async.cli.shared.plan.checked_plan import CheckedPlan
from fielding_async.core.errors import (
    AuthenticationError,
    DeadlineExceededError,
    FieldingError,
    JournalError,
    OutcomeUnknownError,
    PermissionDeniedError,
    ProtocolError,
    RateLimitError,
    ServerError,
    SkippedError,
    TransportError,
)

__all__ = ["StopRule", "Tally", "unsent_rows"]

_IN_A_ROW = 20  # failures of rows one after the other


@define
class Tally:
    """How the rows of this process have ended so far. The display reads it from another thread."""

    began: float = field(factory=time.monotonic)
    done: int = 0
    failed: int = 0
    unknown: int = 0
    skipped: int = 0
    conflicts: int = 0

    @property
    def ended(self) -> int:
        """How many rows have ended."""
        return self.done + self.failed + self.unknown + self.skipped

    def add(self, done: Done) -> None:
        """Count a row."""
        error = done.error
        if error is None:
            self.done += 1
            self.conflicts += done.result().conflicts
        elif isinstance(error, OutcomeUnknownError):
            self.unknown += 1
        elif isinstance(error, SkippedError):
            self.skipped += 1
        elif not isinstance(error, JournalError):
            self.failed += 1


@define
class StopRule:
    """Stops a plan when rows fail for a cause that is not in the rows, such as an expired token or a lost network.

    A row that failed stays failed when the plan is continued, so such a cause must not fail a whole plan. The rule
    applies after one 401, after one failure to connect that is bound to recur, as with a proxy that wants another
    password, or after 20 failures in a row that can have such a cause.
    """

    in_a_row: int = 0
    reason: str | None = None

    def observe(self, error: Exception | None) -> bool:
        """Record how a row ended; return whether no more rows should be started."""
        if isinstance(error, SkippedError):
            return self.reason is not None
        kinds = (
            PermissionDeniedError,
            TransportError,
            DeadlineExceededError,
            ServerError,
            RateLimitError,
            ProtocolError,
            OutcomeUnknownError,
        )
        self.in_a_row = self.in_a_row + 1 if isinstance(error, kinds) else 0
        if isinstance(error, AuthenticationError):
            self.reason = f"the token is not accepted: {printable(error.message)}"
        elif isinstance(error, TransportError) and error.is_final:
            self.reason = printable(error.message)
        elif self.in_a_row >= _IN_A_ROW and isinstance(error, FieldingError):
            self.reason = f"{_IN_A_ROW} rows one after the other failed, at last with: {printable(error.message)}"
        return self.reason is not None


def unsent_rows(checked: CheckedPlan, counts: JournalCounts) -> int:
    """Return how many rows of a plan were never sent: those of which the journal has no record."""
    return checked.rows - counts.ended - counts.in_flight
