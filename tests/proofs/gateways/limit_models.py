"""How nginx and HAProxy count requests, as limiters whose time is an argument, and the oracle's time at each.

What an ideal rests on
----------------------
nginx, `limit_req zone burst=B [nodelay]` with `rate=R` (nginx.org/en/docs/http/ngx_http_limit_req_module.html): each
key has an *excess*, in thousandths of a request. It falls by R thousandths a millisecond, never below zero, and each
request that passes raises it by 1,000; the first one of a key sets it to zero. A request that would raise it above
1,000 B is refused, and leaves no trace. So B + 1 requests pass at once, and then R a second: the oracle's n-th request
passes at (n - 1 - B) / R. Without `nodelay` a request that passes is held for excess / R, and the n-th one is answered
at (n - 1) / R: there a burst saves refusals, and no time.

HAProxy, `http-request track-sc0` and `http-request deny if { sc_http_req_rate(0) gt N }` over a table that stores
`http_req_rate(P)` (docs.haproxy.org, "stick-table", "sc_http_req_rate"): tracking counts each request, those that are
denied afterwards included. The rate is not that of a log of requests. It is what came in the current period of P, and
of what came in the period before, the share that P has left, rounded down. N requests pass at once. To a client that is
never refused each further period lets N pass, one by one as the share falls: the oracle's n-th request passes at about
(n - 1) / N periods. Each refused request takes the place of one that could have passed.

Both count whole milliseconds.
"""

from math import ceil, floor
from typing import Protocol

from attrs import define, field

__all__ = ["Counter", "HaproxyRate", "NginxRate", "oracle_seconds"]

_SECOND = 1000  # milliseconds
_REQUEST = 1000  # what nginx counts for one request


class Counter(Protocol):
    """Counts requests. Times are milliseconds of one clock, and never go back."""

    def hit(self, at: int) -> bool:
        """Count a request; return whether it passes."""
        ...

    def wait(self, at: int) -> int:
        """Return the milliseconds until a request passes, if none comes before; 0 if one passes now."""
        ...

    def held(self) -> int:
        """Return for how many milliseconds the request that passed last is kept back."""
        ...


@define
class NginxRate:
    """`limit_req` of nginx: `per_second` requests, and `burst` more at once. `delay`: those above the rate are held."""

    per_second: float
    burst: int = 0
    delay: bool = False
    _excess: float = field(default=0, init=False)
    _last: int | None = field(default=None, init=False)

    def _next(self, at: int) -> float:
        """Return the excess if a request passed now."""
        if self._last is None:
            return 0
        return max(0, self._excess - self.per_second * (at - self._last) + _REQUEST)

    def hit(self, at: int) -> bool:
        excess = self._next(at)
        if excess > self.burst * _REQUEST:
            return False
        self._excess, self._last = excess, at
        return True

    def wait(self, at: int) -> int:
        return ceil(max(0, self._next(at) - self.burst * _REQUEST) / self.per_second)

    def held(self) -> int:
        return floor(self._excess / self.per_second) if self.delay else 0


@define
class HaproxyRate:
    """`http_req_rate` of HAProxy: a request passes while no more than `limit` are counted over `period` ms."""

    limit: int
    period: int
    _now: int = field(default=0, init=False)
    _before: int = field(default=0, init=False)
    _start: int | None = field(default=None, init=False)

    def _turn(self, at: int) -> None:
        """Begin a new period if one is over."""
        if self._start is None:
            self._start = at & ~1  # the lowest bit is a lock
            return
        periods = (at - self._start) // self.period
        if periods >= 1:
            self._before, self._now = (self._now if periods == 1 else 0), 0
            self._start = (self._start + self.period if periods == 1 else at) & ~1

    def rate(self, at: int) -> int:
        """Return the rate as it is reported, in requests per period."""
        self._turn(at)
        if self._start is None or (not self._now and self._before <= 1):
            return self._before
        left = self._start + self.period - at
        return (self._now * self.period + self._before * left) // self.period

    def hit(self, at: int) -> bool:
        self._turn(at)
        self._now += 1
        return self.rate(at) <= self.limit

    def wait(self, at: int) -> int:
        self._turn(at)
        assert self._start is not None
        return next(ms for ms in range(2 * self.period + 1) if self._passes(at + ms))

    def _passes(self, at: int) -> bool:
        """Return whether a request would pass then, if none comes before."""
        assert self._start is not None
        now, before, left = self._now, self._before, self._start + self.period - at
        if left <= 0:
            now, before, left = 0, (now if left > -self.period else 0), left + self.period
        return ((now + 1) * self.period + before * left) // self.period <= self.limit

    def held(self) -> int:
        return 0


def oracle_seconds(counter: Counter, requests: int) -> float:
    """Return when the last of these requests is let through to a client that knows the counter's state.

    The counter is new, and the first request comes at 0. Each request comes as soon as it passes, and none is refused.
    """
    at = last = 0
    for _ in range(requests):
        at += counter.wait(at)
        assert counter.hit(at), "the oracle was refused"
        last = max(last, at + counter.held())
    return last / _SECOND
