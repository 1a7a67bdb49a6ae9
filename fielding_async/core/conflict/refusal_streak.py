"""How many rows met the same refusal, one after the other, with none accepted between. Pure."""

from math import inf

from fielding_async.core.errors import APIError, OutcomeUnknownError, ProtocolError

from .row_ends import refusal_kind

__all__ = ["RefusalStreak"]

_IN_A_ROW = 20


class RefusalStreak:
    """Rows that met the same refusal since one was last accepted. `answered_at`: when a GET last succeeded, in seconds.

    Of rows that ran out of time, or of connections, those count that started after that: when a computer sleeps, all
    those in progress fail together.
    """

    def __init__(self) -> None:
        self._rows: set[int] = set()
        self._kind: str | None = None
        self._only_pages = True
        self.answered_at: float = inf

    def add(self, number: int, error: BaseException, began: float) -> None:
        """Add a row that failed with an error. `began`: when it was started, in seconds."""
        kind = refusal_kind(error)
        if kind is None and began < self.answered_at:
            return
        if kind != self._kind:
            self.clear()
            self._kind = kind
        self._rows.add(number)
        self._only_pages &= _is_page(error)

    def clear(self) -> None:
        """Start again: a row was accepted, or an outage is over."""
        self._rows.clear()
        self._only_pages = True

    @property
    def is_full(self) -> bool:
        """Whether it shows that the rows are not the cause."""
        return len(self._rows) >= _IN_A_ROW

    def is_of_all(self, rows: int) -> bool:
        """Whether it shows that for a batch of so many rows, which may be few: all of them met the refusal.

        One row that the exchange itself refuses shows nothing; one that met a page of something in between does.
        """
        return len(self._rows) == rows and (rows > 1 or self._only_pages)


def _is_page(error: BaseException) -> bool:
    """Whether something between here and the exchange made the answer."""
    if isinstance(error, OutcomeUnknownError) and error.__cause__ is not None:
        return _is_page(error.__cause__)
    if isinstance(error, APIError):  # a 412 says something of the run, whatever its body is
        return error.object is None and error.status != 412
    return isinstance(error, ProtocolError)
