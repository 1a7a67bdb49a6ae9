"""Ways of pacing that are wrong. The claims must catch each of them: see `test_pace`."""

from collections import deque
from typing import Any

from .clients import Obedient, Uniform

__all__ = ["AlwaysSlower", "EveryRefusal"]


class EveryRefusal(Obedient):
    """Takes each refusal for its own rate limit: sends nine tenths of what it sent in the last second, then more.

    It does so however little it sent, and whatever the reason of the refusal.
    """

    _GROWTH = 1.05  # times, each second

    def __init__(self, uniform: Uniform) -> None:
        super().__init__(uniform)
        self._pace = 1000.0
        self._due = self._raised_at = 0.0
        self._times: deque[float] = deque()

    def ready_at(self) -> float:
        """Return the time from which the next permission can be given."""
        return max(super().ready_at(), self._due)

    def try_take(self, now: float, *, waited: bool = False) -> Any:
        """Give a permission, or return the time from which one can be given."""
        found = super().try_take(now, waited=waited)
        if found.__class__ is not float:
            self._due = now + 1 / self._pace
        return found

    def accepted(self, now: float) -> None:
        """Count what was sent, and become a little faster."""
        self._times.append(now)
        while self._times[0] < now - 1:
            self._times.popleft()
        if now - self._raised_at >= 1:
            self._raised_at = now
            self._pace = min(self._pace * self._GROWTH, 1000.0)

    def refused(self, now: float) -> None:
        """Become slower."""
        sent = sum(1 for at in self._times if at >= now - 1)
        self._raised_at = now
        self._pace = max(0.5, 0.9 * sent)


class AlwaysSlower(EveryRefusal):
    """The same, and never becomes faster again."""

    _GROWTH = 1.0
