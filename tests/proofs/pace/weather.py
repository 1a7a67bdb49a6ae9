"""The network, the client's event loop, and refusals that have nothing to do with a limit."""

import random
from bisect import bisect_right

from attrs import frozen

from .servers import RetryAfter

__all__ = ["BusyLoop", "EventLoop", "Network", "StraySource", "Strays"]


@frozen
class Network:
    """`round_trip`: seconds there and back. `jitter`: each way takes up to so many seconds more.

    `connect`: round trips that a new connection takes to open; a session opens as many as it needs, and keeps them.
    """

    round_trip: float = 0.02
    jitter: float = 0.0
    connect: float = 2.0


@frozen
class EventLoop:
    """The event loop of a client. `busy`: it is busy for up to so many seconds at a time, a `share` of all time.

    While it is busy it sees neither timers nor replies. `late`: timers ring up to so many seconds late.
    """

    busy: float = 0.0
    share: float = 0.0
    late: float = 0.0005


class BusyLoop:
    """When a loop sees what happens."""

    def __init__(self, loop: EventLoop, dice: random.Random) -> None:
        self._loop, self._dice = loop, dice
        self._begins: list[float] = []
        self._ends: list[float] = [0.0]

    def sees(self, at: float) -> float:
        """Return when the loop sees what happens at a time: then, or when it is not busy any more."""
        begins, ends, loop, dice = self._begins, self._ends, self._loop, self._dice
        while ends[-1] <= at:
            busy = loop.busy * (0.5 + dice.random() / 2)
            begins.append(ends[-1] + dice.expovariate(1.0) * loop.busy * 0.75 * (1 - loop.share) / loop.share)
            ends.append(begins[-1] + busy)
        number = bisect_right(begins, at)
        return max(at, ends[number])  # the end of the last busy time that began before


@frozen
class Strays:
    """Refusals that have nothing to do with our pace: 429s, or 503s.

    `share`: of the requests, hit one by one; or, where `burst` is not 0, of the time, in which bursts of so many
    seconds hit all requests. `numbers`: these requests are hit, counted from 1. `times`: the first request after each
    of these times is hit. `status`: 429 or 503; 0 is either, by chance. `retry_after` and `wait`: as for `told`.
    """

    share: float = 0.0
    burst: float = 0.0
    status: int = 429
    retry_after: RetryAfter = "exact"
    wait: float = 0.1
    numbers: tuple[int, ...] = ()
    times: tuple[float, ...] = ()


class StraySource:
    """Decides, request by request, which are hit."""

    def __init__(self, strays: Strays, dice: random.Random) -> None:
        self.strays, self._dice = strays, dice
        self._count = 0
        self._numbers = set(strays.numbers)
        self._times = list(strays.times)
        self._begin = self._end = 0.0
        if strays.burst:
            self._next_burst(0.0)

    def _next_burst(self, after: float) -> None:
        strays = self.strays
        self._begin = after + self._dice.expovariate(1.0) * strays.burst * (1 - strays.share) / strays.share
        self._end = self._begin + strays.burst

    def hits(self, at: float) -> int:
        """Return the status that hits a request; 0 if none does."""
        strays = self.strays
        self._count += 1
        if strays.burst:
            while at >= self._end:
                self._next_burst(self._end)
            is_hit = at >= self._begin
        else:
            is_hit = bool(strays.share) and self._dice.random() < strays.share
        if self._count in self._numbers:
            is_hit = True
        if self._times and at >= self._times[0]:
            self._times.pop(0)
            is_hit = True
        if not is_hit:
            return 0
        return strays.status or (429 if self._dice.random() < 0.5 else 503)
