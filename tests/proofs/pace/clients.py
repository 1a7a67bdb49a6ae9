"""The clients that play the worlds: ours, and what it is measured by."""

from collections.abc import Callable
from math import floor, inf
from typing import Any

from fielding_async import Limits
from fielding_async.core.pace.pacer import Pacer

from .play import MakePacer
from .session import PacerLike

__all__ = ["CLIENTS", "Aimd", "Botocore", "Obedient", "Uniform", "aimd", "botocore", "ours", "plain"]

Uniform = Callable[[float, float], float]


def ours(uniform: Uniform) -> PacerLike:
    """The SDK as it comes."""
    return Pacer(Limits(), uniform)


def plain(uniform: Uniform) -> PacerLike:
    """Plain obedience: the SDK with `adaptive=False`, which pauses for each Retry-After, and learns no pace."""
    return Pacer(Limits(adaptive=False), uniform)


class Obedient:
    """Plain obedience, to build clients on: what is asked of it is passed on, and `accepted` hears of successes."""

    def __init__(self, uniform: Uniform) -> None:
        self._plain = plain(uniform)
        self._sent: set[int] = set()  # the permissions whose requests have left, and were not refused yet

    @property
    def interval(self) -> float:
        """The planned seconds between requests."""
        return self._plain.interval

    @property
    def paused_until(self) -> float:
        """The end of the latest pause."""
        return self._plain.paused_until

    @property
    def pauses_in_a_row(self) -> int:
        """How many pauses there were with nothing but 429s between them."""
        return self._plain.pauses_in_a_row

    def ready_at(self) -> float:
        """Return the time from which the next permission can be given."""
        return self._plain.ready_at()

    def try_take(self, now: float, *, waited: bool = False) -> Any:
        """Give a permission, or return the time from which one can be given."""
        ready_at = self.ready_at()
        return ready_at if ready_at > now else self._plain.try_take(now, waited=waited)

    def leaves_at(self, permit: Any, now: float) -> float | None:
        """Return the time from which a permitted request may leave; `None`: it may not."""
        return self._plain.leaves_at(permit, now)

    def left(self, permit: Any, now: float) -> None:
        """Note that a request leaves."""
        self._sent.add(id(permit))
        self._plain.left(permit, now)

    def ended(self, permit: Any, now: float) -> None:
        """Note the end of a request, or that it did not leave."""
        if id(permit) in self._sent:
            self._sent.remove(id(permit))
            self.accepted(now)
        self._plain.ended(permit, now)

    def throttled(self, permit: Any, retry_after: float | None, now: float) -> float | None:
        """Note a 429."""
        self._sent.discard(id(permit))
        before = self._plain.pauses_in_a_row
        seconds = self._plain.throttled(permit, retry_after, now)
        if self._plain.pauses_in_a_row > before:
            self.refused(now)
        return seconds

    def accepted(self, now: float) -> None:
        """Note a reply that is no 429."""

    def refused(self, now: float) -> None:
        """Note the first 429 of a burst; `paused_until` has been set."""


class Aimd(Obedient):
    """Plain obedience, and a bound on what is in flight: one more for each round of successes, half after a 429.

    It starts with 4. The 429s of one burst count once.
    """

    def __init__(self, uniform: Uniform) -> None:
        super().__init__(uniform)
        self._bound, self._in_flight = 4.0, 0

    def ready_at(self) -> float:
        """Return infinity while enough is in flight: the next reply changes it."""
        return inf if self._in_flight >= int(self._bound) else super().ready_at()

    def try_take(self, now: float, *, waited: bool = False) -> Any:
        """Give a permission, or return the time from which one can be given."""
        found = super().try_take(now, waited=waited)
        self._in_flight += found.__class__ is not float
        return found

    def ended(self, permit: Any, now: float) -> None:
        """Note the end of a request."""
        self._in_flight -= 1
        super().ended(permit, now)

    def accepted(self, now: float) -> None:
        """Raise the bound."""
        self._bound += 1 / self._bound

    def refused(self, now: float) -> None:
        """Halve the bound."""
        self._bound = max(1.0, self._bound / 2)


class _BotocorePermit:
    __slots__ = ("refused", "used")

    def __init__(self) -> None:
        self.used = self.refused = False


class Botocore:
    """The adaptive mode of botocore: a token bucket on the client, whose rate follows CUBIC.

    After `botocore/retries/adaptive.py`, `throttling.py` and `bucket.py`: the first throttled reply starts the bucket
    at 0.7 times the measured rate; replies raise it by CUBIC's curve, to twice the measured rate at most. Each request
    that was refused waits by itself for `random() * 2 ** (attempts - 1)` seconds, 20 at most. Two things are better
    here than there: a request waits for its Retry-After, and it is tried until its time is up, not three times.
    """

    interval = 0.0
    paused_until = -inf
    pauses_in_a_row = 0

    _SCALE, _BETA = 0.4, 0.7
    _SMOOTHING = 0.8
    _LEAST_RATE = 0.5

    def __init__(self, uniform: Uniform) -> None:
        self._uniform = uniform
        self._is_on = False
        # the bucket
        self._rate = self._capacity = 1.0
        self._tokens, self._filled_at = 0.0, 0.0
        # the measured rate
        self._measured, self._slot, self._count = 0.0, -1.0, 0
        # the curve
        self._top, self._k, self._failed_at = 0.0, 0.0, 0.0

    def ready_at(self) -> float:
        """Return the time from which the next permission can be given."""
        if not self._is_on or self._tokens >= 1:
            return -inf
        return self._filled_at + (1 - self._tokens) / self._rate

    def try_take(self, now: float, *, waited: bool = False) -> "_BotocorePermit | float":
        """Give a permission, or return the time from which one can be given."""
        if self._slot < 0:
            self._slot = self._filled_at = self._failed_at = float(floor(now))
        if self._is_on:
            self._fill(now)
            if self._tokens < 1 - 1e-9:
                return now + (1 - self._tokens) / self._rate
            self._tokens -= 1
        return _BotocorePermit()

    def _fill(self, now: float) -> None:
        self._tokens = min(self._capacity, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now

    def leaves_at(self, permit: _BotocorePermit, now: float) -> float | None:
        """Let it leave."""
        return -inf

    def left(self, permit: _BotocorePermit, now: float) -> None:
        """Note that it leaves."""
        permit.used = True

    def ended(self, permit: _BotocorePermit, now: float) -> None:
        """Note the end of a request."""
        if permit.used and not permit.refused:
            self._measure(now)
            elapsed = now - self._failed_at
            self._set_rate(self._SCALE * (elapsed - self._k) ** 3 + self._top, now)

    def throttled(self, permit: _BotocorePermit, retry_after: float | None, now: float) -> float | None:
        """Note a 429."""
        permit.refused = True
        self._measure(now)
        rate = min(self._measured, self._rate) if self._is_on else self._measured
        self._top, self._failed_at = rate, now
        self._k = (rate * (1 - self._BETA) / self._SCALE) ** (1 / 3)
        self._is_on = True
        self._set_rate(rate * self._BETA, now)
        return retry_after

    def _set_rate(self, rate: float, now: float) -> None:
        self._fill(now)
        self._rate = max(min(rate, 2.0 * self._measured), self._LEAST_RATE)
        self._capacity = max(self._rate, 1.0)
        self._tokens = min(self._tokens, self._capacity)

    def _measure(self, now: float) -> None:
        slot = floor(now * 2) / 2
        self._count += 1
        if slot > self._slot:
            rate = self._count / (slot - self._slot)
            self._measured = rate * self._SMOOTHING + self._measured * (1 - self._SMOOTHING)
            self._count, self._slot = 0, slot

    def call_wait(self, attempts: int, retry_after: float | None, now: float) -> float:
        """Return the seconds that a request waits which was refused so often."""
        return max(min(self._uniform(0.0, 1.0) * 2.0 ** (attempts - 1), 20.0), retry_after or 0.0)


def aimd(uniform: Uniform) -> PacerLike:
    """A bound on what is in flight."""
    return Aimd(uniform)


def botocore(uniform: Uniform) -> PacerLike:
    """The adaptive mode of botocore."""
    return Botocore(uniform)


CLIENTS: dict[str, MakePacer] = {"ours": ours, "plain": plain, "botocore": botocore, "AIMD": aimd}
