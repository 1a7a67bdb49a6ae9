"""Rows of a batch that failed though others succeed: each is tried again later, after a random wait."""

import asyncio
from collections.abc import Callable

from fielding_async.engine.engine import Engine

from .row import Row

__all__ = ["RowsAside"]

_FIRST_RETRY, _NEXT_RETRY = 1.0, 4.0  # seconds at most until the second and the third try


class RowsAside:
    """The rows that are set aside. `on_due`: is called when the time of one of them has come."""

    def __init__(self, engine: Engine, on_due: Callable[[], None]) -> None:
        self._engine = engine
        self._loop = engine.loop
        self._on_due = on_due
        self._timer: asyncio.TimerHandle | None = None
        self.rows: dict[Row, tuple[float, int]] = {}
        """When each is tried again, and how many rows had been accepted when it was set aside."""

    def add(self, row: Row, accepted: int) -> None:
        """Set a row aside; `set_timer` must follow. `accepted`: how many rows were accepted until now."""
        ceiling = _FIRST_RETRY if row.tries == 1 else _NEXT_RETRY
        self.rows[row] = self._loop.time() + self._engine.uniform(ceiling / 2, ceiling), accepted

    def take_due(self, accepted: int, *, is_idle: bool) -> Row | None:
        """Take out the next row whose time has come. `is_idle`: nothing else can be started."""
        now = self._loop.time()
        for row, (due, accepted_before) in self.rows.items():
            # others come first, so that a refusal that all rows meet shows before a row is out of tries
            if due <= now and (is_idle or accepted > accepted_before):
                del self.rows[row]
                return row
        return None

    def set_timer(self) -> None:
        """Have `on_due` called at the next time that has not come yet."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._loop.time()
        times = [due for due, _ in self.rows.values() if due > now]
        if times:
            self._timer = self._loop.call_at(min(times), self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.set_timer()
        self._on_due()

    def stop(self) -> None:
        """Leave all rows out, and call `on_due` no more."""
        self.rows.clear()
        if self._timer is not None:
            self._timer.cancel()
