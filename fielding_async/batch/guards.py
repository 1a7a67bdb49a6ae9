"""Rows that are sent under one ETag only: which one, where that is the ETag that the row before on the same run left.

That row ends before the next one starts, so its ETag is known from its outcome, or from the journal if an earlier batch
performed it. If it did not end `accepted`, nobody knows under which ETag the run is as that row should have left it:
the next row is refused.
"""

from collections.abc import Mapping

from fielding_async.core.actions import PREVIOUS
from fielding_async.core.errors import PreconditionFailedError
from fielding_async.core.models import RunRef

from .row import Row

__all__ = ["Guards"]


class Guards:
    """The ETags that guarded rows left, by their run. `on_record`: those of earlier batches, by the row's number."""

    def __init__(self, on_record: Mapping[int, str]) -> None:
        self._on_record = on_record
        self._left: dict[RunRef, str | None] = {}  # of the last guarded row of a run; None if it is not known

    def passed_over(self, row: Row) -> None:
        """Take note of a row that ended in an earlier batch."""
        self._note(row, self._on_record.get(row.number))

    def ended(self, row: Row) -> None:
        """Take note of a row that has ended."""
        outcome = None if row.done is None else row.done.outcome
        self._note(row, None if outcome is None or outcome.effect != "accepted" else outcome.etag)

    def _note(self, row: Row, etag: str | None) -> None:
        if row.checked_ref is None:
            return
        if row.if_match is not None:
            self._left[row.checked_ref] = etag
        elif self._left:
            self._left.pop(row.checked_ref, None)  # the row before the next one is no guarded one

    def etag_for(self, row: Row) -> str | None:
        """Return the only ETag that a row may be sent under; `None` if any will do."""
        if row.if_match is None or row.checked_ref is None:
            return None
        if row.resumed is not None:
            return row.resumed[1].etag
        return self._left.get(row.checked_ref) if row.if_match == PREVIOUS else row.if_match

    def refused(self, row: Row) -> PreconditionFailedError | None:
        """Return the error of a row that is not sent, as it is not known under which ETag."""
        if row.if_match is None or self.etag_for(row) is not None:
            return None
        why = "the row before on this run did not end accepted"
        if row.checked_ref not in self._left:
            why = "there is no row with an if_match before it on this run"
        return PreconditionFailedError(
            f"not sent: if_match is {PREVIOUS}, and {why}", status=412, ref=row.checked_ref, wanted=row.action
        )
