"""How many rows met the same refusal, one after the other, with none accepted between. Pure."""

from math import inf

from .row_ends import refusal_kind

__all__ = ["RefusalStreak"]

_IN_A_ROW = 20


class RefusalStreak:
    """Rows that met the same refusal since one was last accepted. `looked_at`: when a GET last succeeded, in seconds.

    Of rows that ran out of time, or of connections, only those count that began after that: when a computer sleeps, all
    those under way fail together.
    """

    def __init__(self) -> None:
        self._rows: set[int] = set()
        self._kind: str | None = None
        self.looked_at: float = inf

    def add(self, number: int, error: BaseException, began: float) -> None:
        """Add a row that failed with an error. `began`: when it was started, in seconds."""
        kind = refusal_kind(error)
        if kind is None and began < self.looked_at:
            return
        if kind != self._kind:
            self._rows.clear()
            self._kind = kind
        self._rows.add(number)

    def clear(self) -> None:
        """Begin anew: a row was accepted, or an outage is over."""
        self._rows.clear()

    @property
    def is_full(self) -> bool:
        """Whether it shows that the trouble is not the rows' own."""
        return len(self._rows) >= _IN_A_ROW
