"""Permission to send, one HTTP exchange at a time: slots, pace and pauses, over `pacing` and asyncio.

Two classes of waiters: requests of calls already under way go first; within a class, first come, first served.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

from attrs import define

from fielding_async.core.config import Limits
from fielding_async.core.errors import RateLimitError
from fielding_async.core.pace.pacer import Pacer, Permit

if TYPE_CHECKING:
    from fielding_async.telemetry.signal_names import WaitReason

__all__ = ["Limiter", "Permit", "WaitTooLongError"]

_IN_VAIN = 3  # pauses, each of them ended by another 429


class WaitTooLongError(Exception):
    """The deadline passed, or is bound to pass, before permission. `pause`: what kept it, if a 429's pause did."""

    def __init__(self, pause: RateLimitError | None) -> None:
        super().__init__("the deadline passed before a request could be sent")
        self.pause = pause


@define(eq=False)
class _Waiter:
    """One who waits for a permission. `patience`: the seconds after which to give up where everything is refused."""

    permit: asyncio.Future[Permit]
    patience: float | None
    since: float
    pauses: int = 0


class Limiter:
    """The slots and the pace of one session. Lives on one event loop, whose clock it reads."""

    def __init__(
        self, limits: Limits, uniform: Callable[[float, float], float], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._loop = loop
        self._pacer = Pacer(limits, uniform)
        self._free = limits.concurrency
        self._concurrency = limits.concurrency
        self._under_way: deque[_Waiter] = deque()
        self._first: deque[_Waiter] = deque()
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
    def waits_for(self) -> "WaitReason | None":
        """What keeps the next request from leaving; `None` if it may leave at once."""
        if self.pause_left:
            return "pause"
        if not self._free:
            return "concurrency"
        is_free = self._pacer.ready_at() <= self._loop.time() and not (self._under_way or self._first)
        return None if is_free else "rate"

    async def acquire(self, *, under_way: bool, deadline: float | None, patience: float | None = None) -> Permit:
        """Wait for a slot and for the pace. Raises `WaitTooLongError` where the deadline forbids.

        Without a deadline the wait may be long, as long as somebody gets on. `patience`: the seconds after which it
        ends all the same if nobody does, because each pause is followed by another 429; `None`: never.
        """
        if self._closed is not None:
            raise self._closed()
        now = self._loop.time()
        pause = self._pause_beyond(deadline, now)
        if pause is not None:
            raise WaitTooLongError(pause)
        ready_at = self._pacer.ready_at()
        if self._free and ready_at <= now and not (self._under_way or self._first):
            return self._grant(now, waited=False)
        if deadline is not None and deadline < ready_at < inf:
            raise WaitTooLongError(self.refusal)
        permit: asyncio.Future[Permit] = self._loop.create_future()
        waiter = _Waiter(permit, None if deadline is not None else patience, now)
        (self._under_way if under_way else self._first).append(waiter)
        timer = None if deadline is None else self._loop.call_at(deadline, self._expire, permit)
        self._pump()
        try:
            return await permit
        except asyncio.CancelledError:
            if permit.done() and not permit.cancelled() and permit.exception() is None:
                self.release(permit.result())
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

    @property
    def refusal(self) -> RateLimitError | None:
        """The 429 that keeps everybody waiting, if one does."""
        return self._last_429 if self.pause_left or self._pacer.vain_pauses else None

    def _expire(self, permit: asyncio.Future[Permit]) -> None:
        if not permit.done():
            permit.set_exception(WaitTooLongError(self.refusal))

    def _give_up(self, now: float) -> None:
        """Fail those who have waited too long while nothing but 429s came back."""
        for waiter in self._first:
            waiter.pauses += 1
            if waiter.patience is None or waiter.permit.done():
                continue
            pauses = min(waiter.pauses, self._pacer.vain_pauses)
            if pauses >= _IN_VAIN and now - waiter.since >= waiter.patience:
                waiter.permit.set_exception(WaitTooLongError(self._last_429))

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
        pauses = self._pacer.vain_pauses
        self._pacer.throttled(permit, error.retry_after, now)
        if self._pacer.vain_pauses > pauses:
            self._give_up(now)
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
                permit = queue.popleft().permit
                if not permit.done():
                    permit.set_exception(error())

    def _grant(self, now: float, *, waited: bool) -> Permit:
        self._free -= 1
        return self._pacer.take(now, waited=waited)

    def _next(self) -> asyncio.Future[Permit] | None:
        for queue in (self._under_way, self._first):
            while queue:
                if not queue[0].permit.done():
                    return queue[0].permit
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
