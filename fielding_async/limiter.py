"""Permission to send, one HTTP exchange at a time: slots, pace and pauses, over `pacing` and asyncio.

Two classes of waiters: requests of calls already under way go first; within a class, first come, first served.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from math import inf

from .config import Limits
from .errors import RateLimitError
from .pacing import Pacer, Permit
from .signals import WaitReason

__all__ = ["Limiter", "Permit", "WaitTooLongError"]


class WaitTooLongError(Exception):
    """The deadline passed, or is bound to pass, before permission. `pause`: what kept it, if a 429's pause did."""

    def __init__(self, pause: RateLimitError | None) -> None:
        super().__init__("the deadline passed before a request could be sent")
        self.pause = pause


class Limiter:
    """The slots and the pace of one session. Lives on one event loop, whose clock it reads."""

    def __init__(
        self, limits: Limits, uniform: Callable[[float, float], float], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._loop = loop
        self._pacer = Pacer(limits, uniform)
        self._free = limits.concurrency
        self._concurrency = limits.concurrency
        self._under_way: deque[asyncio.Future[Permit]] = deque()
        self._first: deque[asyncio.Future[Permit]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = inf
        self._last_429: RateLimitError | None = None
        self._refusals = 0
        self._closed: Callable[[], BaseException] | None = None

    @property
    def in_flight(self) -> int:
        """How many slots are taken."""
        return self._concurrency - self._free

    @property
    def refusals(self) -> int:
        """How many requests met a 429."""
        return self._refusals

    @property
    def pause_left(self) -> float:
        """Seconds until the pause after a 429 is over; 0 when there is none."""
        return max(0.0, self._pacer.paused_until - self._loop.time())

    @property
    def waits_for(self) -> WaitReason | None:
        """What keeps the next request from leaving; `None` if it may leave at once."""
        if self.pause_left:
            return "pause"
        if not self._free:
            return "concurrency"
        is_free = self._pacer.ready_at() <= self._loop.time() and not (self._under_way or self._first)
        return None if is_free else "rate"

    async def acquire(self, *, under_way: bool, deadline: float | None) -> Permit:
        """Wait for a slot and for the pace. Raises `WaitTooLongError` where the deadline forbids."""
        if self._closed is not None:
            raise self._closed()
        now = self._loop.time()
        pause = self._pause_beyond(deadline, now)
        if pause is not None:
            raise WaitTooLongError(pause)
        if self._free and self._pacer.ready_at() <= now and not (self._under_way or self._first):
            return self._grant(now, waited=False)
        waiter: asyncio.Future[Permit] = self._loop.create_future()
        (self._under_way if under_way else self._first).append(waiter)
        timer = None if deadline is None else self._loop.call_at(deadline, self._expire, waiter)
        self._pump()
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.release(waiter.result())
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def try_acquire(self, *, under_way: bool) -> Permit | None:
        """Return a permit if there is one at once and nobody waits for it; else `None`: then `acquire`."""
        del under_way  # with nobody waiting, no class goes first
        now = self._loop.time()
        if self._closed is not None or self._under_way or self._first or not self._free:
            return None
        return self._grant(now, waited=False) if self._pacer.ready_at() <= now else None

    def _pause_beyond(self, deadline: float | None, now: float) -> RateLimitError | None:
        """Return the 429 whose pause lasts beyond the deadline."""
        if deadline is not None and self._last_429 is not None and self._pacer.paused_until > max(deadline, now):
            return self._last_429
        return None

    def _expire(self, waiter: asyncio.Future[Permit]) -> None:
        if not waiter.done():
            pause = self._last_429 if self._pacer.paused_until > self._loop.time() else None
            waiter.set_exception(WaitTooLongError(pause))

    def may_leave(self, permit: Permit) -> float | None:
        """Return 0 if the request may leave now, which uses up the permission; asked at the socket.

        Else the seconds to wait before asking again, or `None` if it may not leave: a pause has begun.
        """
        now = self._loop.time()
        leaves_at = self._pacer.leaves_at(permit, now)
        if leaves_at is None or leaves_at > now:
            return None if leaves_at is None else leaves_at - now
        self._pacer.left(permit, now)
        permit.used = True
        return 0.0

    def throttled(self, permit: Permit, error: RateLimitError) -> float | None:
        """Note that the request met a 429: pause all requests of the session.

        Returns the seconds of the pause, or `None` if one was under way.
        """
        permit.refused = True
        self._refusals += 1
        self._last_429 = error
        now = self._loop.time()
        was_paused = self._pacer.paused_until > now
        self._pacer.throttled(permit, error.retry_after, now)
        return None if was_paused else self._pacer.paused_until - now

    def release(self, permit: Permit) -> None:
        """Hand a slot back, once the exchange is over; a request that never left gives its turn back as well."""
        if not permit.used:
            self._pacer.give_back(permit)
        elif not permit.refused:
            self._pacer.answered(permit, self._loop.time())
        self._free += 1
        self._pump()

    def close(self, error: Callable[[], BaseException]) -> None:
        """Fail all waiters, now and to come, each with an error of its own."""
        self._closed = error
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for queue in (self._under_way, self._first):
            while queue:
                future = queue.popleft()
                if not future.done():
                    future.set_exception(error())

    def _grant(self, now: float, *, waited: bool) -> Permit:
        self._free -= 1
        return self._pacer.take(now, waited=waited)

    def _next(self) -> asyncio.Future[Permit] | None:
        for queue in (self._under_way, self._first):
            while queue:
                if not queue[0].done():
                    return queue[0]
                queue.popleft()
        return None

    def _pump(self) -> None:
        while self._free and (waiter := self._next()) is not None:
            now = self._loop.time()
            ready_at = self._pacer.ready_at()
            if ready_at > now:
                self._ring_at(ready_at)
                return
            waiter.set_result(self._grant(now, waited=True))

    def _ring_at(self, when: float) -> None:
        if self._timer is not None:
            if self._rings_at == when:
                return
            self._timer.cancel()
        self._rings_at = when  # not every loop's handle tells it
        self._timer = None if when == inf else self._loop.call_at(when, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._pump()
