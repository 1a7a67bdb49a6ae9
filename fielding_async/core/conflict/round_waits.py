"""How long a call waits after a conflict, before it fetches the run and writes again. Clock and dice are arguments.

Writers on one run take turns without knowing of each other. A round, a GET and then a write at once, wins if no other
write is accepted in between. Between two accepted writes at least the time of one request passes, as the second can
only be sent when the first is known. So the versions that two GETs show, and the time between them, tell for which
share of it the run was *busy*. Waits that leave it idle lose time; waits that leave it hardly idle lose requests to
conflicts.

1. The first round follows at once: there may have been one colleague.
2. The ceiling of the second wait is `conflict_base`, or the time of a GET if that is longer. The wait is anywhere up to
   it, so that writers that began together part.
3. Each further ceiling is the last one times a factor. The factor is 1 if the run was idle for 15 % of the time,
   more if it was less idle, less if it was more idle; where the versions do not tell, the ceiling doubles. The wait is
   anywhere in the upper half.
4. A ceiling is at least the time of a GET and at most that of 64, and at most `cap`. The longest matters as waits are
   adjusted only by those who wake: with longer ones, the last writers would sleep while nobody writes.
5. A wait after which another two rounds would not fit before the deadline is shortened, or not begun: a write must not
   be cut off by the deadline.

The figures are from a search over 2 to 200 writers and requests of 1 to 300 ms, with and without jitter; half or twice
of each changes times and requests by about a tenth. A session that wins goes on with the ETag that it was given, so
writers with many writes at once mostly do them one after the other.
"""

from collections.abc import Callable
from math import inf

from attrs import define, field

__all__ = ["RoundWaits"]

_IDLE = 0.15  # the share of time in which nobody's write is under way, that is aimed at
_FASTEST_GROWTH, _FASTEST_FALL = 2.0, 0.25
_LONGEST = 64  # the longest wait, in times that a GET takes
_GETS_KEPT = 7
_REQUESTS_TO_FIT = 4  # a round, and as much for what may have to be settled


@define(eq=False)
class RoundWaits:
    """The waits between the rounds of one call.

    `base`: the first ceiling (`Retry.conflict_base`), in seconds; with 0 there are no waits. `cap`: the longest
    ceiling. `uniform`: as `random.uniform`.
    """

    base: float
    cap: float
    uniform: Callable[[float, float], float]
    _rounds: int = field(init=False, default=0)
    _ceiling: float = field(init=False, default=0.0)
    _factor: float = field(init=False, default=_FASTEST_GROWTH)
    _gets: list[float] = field(init=False, factory=list[float])
    _seen: tuple[int, float] | None = field(init=False, default=None)

    def fetched(self, version: int | None, took: float, at: float) -> None:
        """Note a GET of the run: the version that it showed, and the seconds that it took, without waits to send it.

        `at`: when its reply came, in seconds of a clock of the caller's choice.
        """
        self._gets = [*self._gets[1 - _GETS_KEPT :], took]
        before, self._seen = self._seen, None if version is None else (version, at)
        self._factor = _FASTEST_GROWTH
        if before is not None and version is not None and self._request > 0 and at > before[1]:
            busy = (version - before[0]) * self._request / (at - before[1])
            if busy < 1:
                wanted = busy * _IDLE / ((1 - busy) * (1 - _IDLE))
                self._factor = min(max(wanted, _FASTEST_FALL), _FASTEST_GROWTH)

    @property
    def _request(self) -> float:
        """What a request takes: the median, as one may have waited for a new connection or a busy server."""
        return sorted(self._gets)[len(self._gets) // 2] if self._gets else 0.0

    def after_conflict(self, left: float) -> float:
        """Return the seconds to wait after a 412. `left`: those until the deadline; infinite if there is none.

        Infinite if no further round would fit.
        """
        self._rounds += 1
        if self._rounds == 1 or self.base == 0:
            return 0.0
        request = self._request
        ceiling, least = (self.base, 0.0) if self._rounds == 2 else (self._ceiling * self._factor, 0.5)
        longest = min(self.cap, max(self.base, _LONGEST * request))
        self._ceiling = min(max(ceiling, request), longest)
        ceiling = min(self._ceiling, (left - _REQUESTS_TO_FIT * request) / 2)
        return self.uniform(least * ceiling, ceiling) if ceiling >= 0 else inf
