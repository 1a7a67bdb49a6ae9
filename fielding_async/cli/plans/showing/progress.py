"""How fast a plan is worked off: rows a second over the last statuses. Pure."""

from collections import deque

from attrs import define, field

from fielding_async.plans import PlanStatus

__all__ = ["Pace"]

_WINDOW = 20.0  # seconds
_MOST = 100


@define
class Pace:
    """The rows that ended by several times, of all workers together."""

    _samples: deque[tuple[float, int]] = field(factory=lambda: deque[tuple[float, int]](maxlen=_MOST))

    def add(self, time: float, status: PlanStatus) -> None:
        """Take note of a status. `time`: of any clock that does not go back, in seconds."""
        self._samples.append((time, status.counts.ended))
        while time - self._samples[0][0] > _WINDOW and len(self._samples) > 2:
            self._samples.popleft()

    @property
    def rows_per_second(self) -> float:
        """How many rows ended each second, lately; 0 before that can be told."""
        if not self._samples:
            return 0.0
        (began, before), (ended, after) = self._samples[0], self._samples[-1]
        return (after - before) / (ended - began) if ended > began else 0.0
