"""How long a call waits after a conflict, before it fetches the run and writes again. The time and the source of
random numbers are arguments.

Writers on one run do not know of each other. A round is a GET and then, at once, a write. It succeeds if no other
write is accepted in between. Between two accepted writes at least the time of one request passes, as the second can
only be sent when the first is known. So the versions that two GETs show, and the time between them, tell for which
share of it the run was *busy*. Waits that leave it idle lose time; waits that leave it hardly idle lose requests to
conflicts.

1. The first round follows at once: there may have been one colleague.
2. After the second 412 the ceiling of the wait is `conflict_base`, or the time of a request if that is longer. The wait
   is anywhere up to it, so that writers that started together do not go on together.
3. Each further ceiling is the last one times a factor. The factor is 1 if the run was idle for 15 % of the time,
   more if it was less idle, less if it was more idle; where the versions do not tell, the ceiling doubles. The wait is
   anywhere in the upper half.
4. A ceiling is at least the time of a request and at most that of 64 (or `conflict_base`, if that is longer), and at
   most `cap`. A ceiling is adjusted only after a wait: with longer waits the last writers would wait while nobody
   writes.
5. A wait after which another two rounds would not fit before the deadline is shortened or left out: a write must not
   be cut off by the deadline.

The time of a request is that of the slower request of a round, with all that it waited for, as the median of the last
three rounds: it counts if a pace holds all writes back, but not if one request needed a new connection. The constants
are from a search over 2 to 200 writers and requests of 1 to 300 ms, with and without jitter: a longer longest wait or
more idle time takes fewer requests and more time. A session whose write was accepted goes on with the ETag of the
reply, so writers with many updates mostly make them one after the other.
"""

from collections.abc import Callable
from math import inf

from attrs import define, field

__all__ = ["RoundWaits"]

_IDLE = 0.15  # the share of time in which nobody's write is under way, that is aimed at
_FASTEST_GROWTH, _FASTEST_FALL = 2.0, 0.25
_LONGEST = 64  # the longest wait, in times that a request takes
_ROUNDS_KEPT = 3
_REQUESTS_TO_FIT = 4  # a round, and as much for what may have to be settled


@define(eq=False)
class RoundWaits:
    """The waits between the rounds of one call.

    `base`: the first ceiling (`Retry.conflict_base`), in seconds; with 0 there are no waits. `cap`: the longest
    ceiling. `uniform`: as `random.uniform`. All times are of one clock, in seconds.
    """

    base: float
    cap: float
    uniform: Callable[[float, float], float]
    _conflicts: int = field(init=False, default=0)
    _ceiling: float = field(init=False, default=0.0)
    _took: list[float] = field(init=False, factory=list[float])
    _get: tuple[float, float] | None = field(init=False, default=None)
    _shown: tuple[int, float] | None = field(init=False, default=None)
    _written: float | None = field(init=False, default=None)
    """How many writes a second there were between the last two GETs, if their versions tell."""

    def fetched(self, version: int | None, began: float, ended: float) -> None:
        """Note a GET of the run, the version that it showed, and when it started and ended."""
        self._get = (began, ended)
        before, self._shown = self._shown, None if version is None else (version, ended)
        self._written = None
        if before is not None and version is not None and ended > before[1]:
            self._written = (version - before[0]) / (ended - before[1])

    def after_conflict(self, now: float, deadline: float) -> float:
        """Return the seconds to wait after a 412 that came `now`. `deadline`: infinite if there is none.

        Infinite if no further round would fit.
        """
        self._conflicts += 1
        if self._get is not None:
            began, ended = self._get
            self._took = [*self._took[1 - _ROUNDS_KEPT :], max(ended - began, now - ended)]
        if self._conflicts == 1 or self.base == 0:
            return 0.0
        request = self._request
        ceiling, least = (self.base, 0.0) if self._conflicts == 2 else (self._ceiling * self._factor(request), 0.5)
        longest = min(self.cap, max(self.base, _LONGEST * request))
        self._ceiling = min(max(ceiling, request), longest)
        ceiling = min(self._ceiling, (deadline - now - _REQUESTS_TO_FIT * request) / 2)
        return self.uniform(least * ceiling, ceiling) if ceiling >= 0 else inf

    @property
    def _request(self) -> float:
        return sorted(self._took)[(len(self._took) - 1) // 2] if self._took else 0.0

    def _factor(self, request: float) -> float:
        busy = None if self._written is None else self._written * request
        if busy is None or request <= 0 or busy >= 1:
            return _FASTEST_GROWTH
        wanted = busy * _IDLE / ((1 - busy) * (1 - _IDLE))
        return min(max(wanted, _FASTEST_FALL), _FASTEST_GROWTH)
