"""The servers: ways of limiting requests, and of writing a Retry-After.

Time is an argument, in seconds; it never goes back.

A counter has two parts, so that the oracle may look without being counted: `wait` says how long the next request would
have to wait, and `take` counts one that passes. `hit` is what an ordinary client meets.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from math import ceil, floor, inf
from typing import Literal

from tests.proofs.gateways.limit_models import NginxRate

__all__ = [
    "SLACK",
    "Counter",
    "CountsRefused",
    "FixedWindow",
    "Free",
    "Gcra",
    "InFlight",
    "Moving",
    "Nginx",
    "Obedience",
    "RetryAfter",
    "Several",
    "SlidingCounter",
    "SlidingLog",
    "TokenBucket",
    "told",
]

SLACK = 1e-9  # seconds: tolerates the rounding of floats, so that a request exactly on time passes
RetryAfter = Literal["exact", "rounded up", "always 1", "always 5", "date", "absent", "zero"]


class Counter(ABC):
    """A way of limiting requests. `reply_after`: the seconds by which the reply to the last one that passed is late."""

    reply_after: float = 0.0

    @abstractmethod
    def wait(self, at: float) -> float:
        """Return the seconds until a request passes; up to `SLACK`, it would pass now."""

    @abstractmethod
    def take(self, at: float) -> None:
        """Count a request that passes."""

    def refused(self, at: float) -> None:  # noqa: B027 - most servers do not count it
        """Note a request that is refused."""

    def hit(self, at: float) -> float:
        """Count a request: 0 if it passes, else the seconds until one would."""
        wait = self.wait(at)
        if wait <= SLACK:
            self.take(at)
            return 0.0
        self.refused(at)
        return self.wait(at)


class Free(Counter):
    """No limit."""

    def wait(self, at: float) -> float:
        return 0.0

    def take(self, at: float) -> None:
        pass


class FixedWindow(Counter):
    """At most `limit` requests in each window of `window` seconds; the first begins at `start`."""

    def __init__(self, limit: int, window: float, start: float = 0.0) -> None:
        self.limit, self.window, self.start = limit, window, start
        self._end, self._count = start + window, 0

    def wait(self, at: float) -> float:
        if at >= self._end - SLACK:
            self._end = self.start + (floor((at - self.start) / self.window + SLACK) + 1) * self.window
            self._count = 0
        return 0.0 if self._count < self.limit else self._end - at

    def take(self, at: float) -> None:
        self._count += 1


class SlidingLog(Counter):
    """At most `limit` requests in any span of `window` seconds."""

    def __init__(self, limit: int, window: float) -> None:
        self.limit, self.window = limit, window
        self._passed: deque[float] = deque()

    def wait(self, at: float) -> float:
        passed, limit = self._passed, at - self.window + SLACK
        while passed and passed[0] <= limit:
            passed.popleft()
        return 0.0 if len(passed) < self.limit else passed[0] + self.window - at

    def take(self, at: float) -> None:
        self._passed.append(at)


class SlidingCounter(Counter):
    """At most `limit` in a window; of the fixed window before, the part that still counts is estimated."""

    def __init__(self, limit: int, window: float, start: float = 0.0) -> None:
        self.limit, self.window = limit, window
        self._begin, self._count, self._before = start, 0, 0

    def _turn(self, at: float) -> None:
        windows = floor((at - self._begin) / self.window + SLACK)
        if windows > 0:
            self._before = self._count if windows == 1 else 0
            self._count = 0
            self._begin += windows * self.window

    def wait(self, at: float) -> float:
        self._turn(at)
        room = self.limit - 1 - self._count
        if room >= 0:
            if self._before * (1 - (at - self._begin) / self.window) <= room + SLACK:
                return 0.0
            return self._begin + self.window * (1 - room / self._before) - at
        # full by itself: in the next window this one is the one before
        share = max(0.0, 1 - (self.limit - 1) / self._count)
        return self._begin + self.window * (1 + share) - at

    def take(self, at: float) -> None:
        self._count += 1


class CountsRefused(SlidingCounter):
    """A sliding counter that counts refused requests too, as stick tables of HAProxy do with `http_req_rate`."""

    def refused(self, at: float) -> None:
        self._count += 1


class TokenBucket(Counter):
    """A bucket of `burst` tokens, full at first, refilled with `rate` tokens a second; each request takes one."""

    def __init__(self, rate: float, burst: int) -> None:
        self.rate, self.burst = rate, burst
        self._tokens, self._at = float(burst), -inf

    def wait(self, at: float) -> float:
        self._tokens = min(self.burst, self._tokens + (at - self._at) * self.rate)
        self._at = at
        return 0.0 if self._tokens >= 1 - SLACK else (1 - self._tokens) / self.rate

    def take(self, at: float) -> None:
        self._tokens -= 1


class Gcra(Counter):
    """The generic cell rate algorithm: requests `1 / rate` apart, of which `burst` may come together.

    With a burst of 1 it is strict spacing.
    """

    def __init__(self, rate: float, burst: int = 1) -> None:
        self.gap, self._room = 1 / rate, (burst - 1) / rate
        self._due = -inf

    def wait(self, at: float) -> float:
        early = self._due - self._room - at
        return early if early > SLACK else 0.0

    def take(self, at: float) -> None:
        self._due = max(self._due, at) + self.gap


class Nginx(Counter):
    """`limit_req` of nginx, which counts in milliseconds: `burst` requests beyond the rate pass.

    With `delay` they are held back until they would be on time; otherwise (`nodelay`) they are served at once.
    """

    def __init__(self, rate: float, burst: int = 0, *, delay: bool = False) -> None:
        self._model = NginxRate(rate, burst, delay)

    def wait(self, at: float) -> float:
        return self._model.wait(_milliseconds(at)) / 1000

    def take(self, at: float) -> None:
        self._model.hit(_milliseconds(at))
        self.reply_after = self._model.held() / 1000


def _milliseconds(at: float) -> int:
    return floor(at * 1000 + 1e-6)  # the slack is for times that are whole milliseconds but for their rounding


class InFlight(Counter):
    """At most `limit` requests at once, each of which takes `service` seconds."""

    def __init__(self, limit: int, service: float) -> None:
        self.limit = limit
        self.reply_after = service
        self._ends: deque[float] = deque()

    def wait(self, at: float) -> float:
        ends = self._ends
        while ends and ends[0] <= at + SLACK:
            ends.popleft()
        return 0.0 if len(ends) < self.limit else ends[0] - at

    def take(self, at: float) -> None:
        self._ends.append(at + self.reply_after)


class Several(Counter):
    """Several limits at once: a request passes if it passes all; one that does not is counted by none."""

    def __init__(self, *limits: Counter) -> None:
        self._limits = limits

    def wait(self, at: float) -> float:
        return max([limit.wait(at) for limit in self._limits])

    def take(self, at: float) -> None:
        for limit in self._limits:
            limit.take(at)
        self.reply_after = max(limit.reply_after for limit in self._limits)

    def refused(self, at: float) -> None:
        for limit in self._limits:
            limit.refused(at)


class Moving(Counter):
    """A limit that changes: each phase, from its start on, has a counter of its own, which starts counting anew."""

    def __init__(self, phases: Sequence[tuple[float, Counter]]) -> None:
        self._phases = list(phases)
        self._current = self._phases.pop(0)[1]

    def wait(self, at: float) -> float:
        phases = self._phases
        while phases and at >= phases[0][0] - SLACK:
            self._current = phases.pop(0)[1]
        wait = self._current.wait(at)
        return min(wait, phases[0][0] - at) if phases else wait

    def take(self, at: float) -> None:
        self._current.take(at)
        self.reply_after = self._current.reply_after

    def refused(self, at: float) -> None:
        self._current.refused(at)


class Obedience(Counter):
    """A limit that refuses a client again, whatever there is room for, until its Retry-After (`style`) has passed."""

    def __init__(self, limit: Counter, style: RetryAfter) -> None:
        self._limit, self._style = limit, style
        self._closed_until = -inf

    def wait(self, at: float) -> float:
        return max(self._limit.wait(at), self._closed_until - at)

    def take(self, at: float) -> None:
        self._limit.take(at)
        self.reply_after = self._limit.reply_after

    def refused(self, at: float) -> None:
        if at >= self._closed_until - SLACK:
            self._closed_until = at + (told(self._style, self._limit.wait(at), at) or 0.0)
        self._limit.refused(at)


def told(style: RetryAfter, wait: float, at: float) -> float | None:
    """Return the seconds that the client reads from a Retry-After; `None` where there is none, or none that is usable.

    `wait`: the seconds after which a request would pass. A date has whole seconds, and is read against the reply's own
    `Date`, which has whole seconds too: `at` decides how the two are rounded.
    """
    if style == "exact":
        return max(0.001, ceil(wait * 1000 - 1e-6) / 1000)
    if style == "rounded up":
        return float(max(1, ceil(wait - SLACK)))
    if style == "always 1":
        return 1.0
    if style == "always 5":
        return 5.0
    if style == "date":
        return float(ceil(at + wait - SLACK) - floor(at)) or None
    return None
