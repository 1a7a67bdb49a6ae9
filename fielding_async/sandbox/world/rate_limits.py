"""Rate limiters: five ways of counting requests. Time is an argument, in seconds of any monotonic clock."""

from collections import deque
from math import floor
from typing import Literal, Protocol, get_args

from fielding_async.core.errors import ConfigurationError
from fielding_async.sandbox.serving import checks

__all__ = [
    "FixedWindow",
    "LeakyBucket",
    "Limiter",
    "LimiterKind",
    "RequestCount",
    "SlidingWindow",
    "TokenBucket",
    "make_limiter",
]

LimiterKind = Literal["fixed-window", "sliding-window", "token-bucket", "leaky-bucket", "request-count"]
"""The kind of a limiter; see `Sandbox.rate_limit`."""

_MOST_PER_SECOND = 1e9
_MOST_BURST = 10**9
_LONGEST_WINDOW = 86_400.0  # seconds
_SLACK = 1e-9  # tolerates the rounding of floats, so that a request exactly on time passes


class Limiter(Protocol):
    """Counts requests against a limit."""

    def hit(self, at: float) -> float | None:
        """Count a request and return `None` if it may pass; else return the seconds until one may."""
        ...


class FixedWindow:
    """At most `limit` requests in each window of `window` seconds; the first starts at `start`."""

    def __init__(self, limit: int, window: float, start: float) -> None:
        self._limit, self._window, self._start = limit, window, start
        self._number = self._count = 0

    def hit(self, at: float) -> float | None:
        number = floor((at - self._start) / self._window + _SLACK)
        if number != self._number:
            self._number, self._count = number, 0
        if self._count < self._limit:
            self._count += 1
            return None
        return self._start + (number + 1) * self._window - at


class SlidingWindow:
    """At most `limit` requests in any span of `window` seconds."""

    def __init__(self, limit: int, window: float) -> None:
        self._limit, self._window = limit, window
        self._passed: deque[float] = deque()

    def hit(self, at: float) -> float | None:
        while self._passed and at - self._passed[0] >= self._window - _SLACK:
            self._passed.popleft()
        if len(self._passed) < self._limit:
            self._passed.append(at)
            return None
        return self._passed[0] + self._window - at


class TokenBucket:
    """A bucket of `burst` tokens, full at first, refilled with `rate` tokens a second; each request takes one."""

    def __init__(self, rate: float, burst: int, start: float) -> None:
        self._rate, self._burst = rate, burst
        self._tokens, self._at = float(burst), start

    def hit(self, at: float) -> float | None:
        self._tokens = min(self._burst, self._tokens + (at - self._at) * self._rate)
        self._at = at
        if self._tokens >= 1 - _SLACK:
            self._tokens -= 1
            return None
        return (1 - self._tokens) / self._rate


class LeakyBucket:
    """A bucket that holds `burst` requests and drains at `rate` a second; a request that overflows it is refused.

    With a burst of 1 requests must be evenly spaced.
    """

    def __init__(self, rate: float, burst: int) -> None:
        self._gap, self._room = 1 / rate, (burst - 1) / rate
        self._empty_at = float("-inf")

    def hit(self, at: float) -> float | None:
        early = self._empty_at - self._room - at
        if early > _SLACK:
            return early
        self._empty_at = max(self._empty_at, at) + self._gap
        return None


class RequestCount:
    """Lets `limit` requests pass, whatever time they take, and then refuses all for `window` seconds.

    So it depends on the number of requests alone whether one is refused, and not on the speed of the machine.
    """

    def __init__(self, limit: int, window: float) -> None:
        self._limit, self._window = limit, window
        self._count = 0
        self._opens_at = float("-inf")

    def hit(self, at: float) -> float | None:
        if at < self._opens_at - _SLACK:
            return self._opens_at - at
        if self._count < self._limit:
            self._count += 1
            return None
        self._count, self._opens_at = 0, at + self._window
        return self._window


def make_limiter(
    kind: LimiterKind, per_second: float, *, burst: int | None, window: float | None, start: float
) -> Limiter:
    """Return a limiter that lets `per_second` requests pass.

    `window` (seconds, 1 if left out) is for the window limiters and `"request-count"`; at least one request must pass
    in it. `burst` is for the buckets: by default the requests of one second for a token bucket, 1 for a leaky bucket.
    Raises `ConfigurationError`.
    """
    call = "rate_limit"
    checks.one_of(call, "kind", kind, get_args(LimiterKind))
    checks.number(call, "per_second", per_second, least=0, most=_MOST_PER_SECOND, above=True)
    is_bucket = "bucket" in kind
    if burst is not None:
        if not is_bucket:
            raise ConfigurationError(
                f"rate_limit(burst={burst!r}, kind={kind!r}): must be left out, as burst is for buckets only"
            )
        checks.whole(call, "burst", burst, 1, _MOST_BURST)
    if window is None:
        window = 1.0
    elif is_bucket:
        raise ConfigurationError(
            f"rate_limit(window={window!r}, kind={kind!r}): must be left out, as window is not for buckets"
        )
    checks.seconds(call, "window", window, most=_LONGEST_WINDOW, above=True)
    limit = floor(per_second * window + _SLACK)
    if limit < 1 and not is_bucket:
        raise ConfigurationError(
            f"rate_limit({per_second!r}, window={window!r}): must let a request pass in each window: write"
            f" window={1 / per_second:g}"
        )
    match kind:
        case "fixed-window":
            return FixedWindow(limit, window, start)
        case "sliding-window":
            return SlidingWindow(limit, window)
        case "token-bucket":
            return TokenBucket(per_second, burst or max(1, floor(per_second)), start)
        case "leaky-bucket":
            return LeakyBucket(per_second, burst or 1)
        case "request-count":
            return RequestCount(limit, window)
