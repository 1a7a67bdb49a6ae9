"""Permissions to send, one for each attempt: the slots, the pace and the pauses of a session, over `Pacer` and asyncio.

Two classes of waiters: requests of calls under way go first. Within a class the order is first come, first served.
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

_MOST_PAUSES = 3  # pauses in a row, each followed by another 429


class WaitTooLongError(Exception):
    """The deadline passed before a permission, or will. `pause`: the 429 whose pause is the reason, if one is."""

    def __init__(self, pause: RateLimitError | None) -> None:
        super().__init__("the deadline passed before a request could be sent")
        self.pause = pause


@define(eq=False)
class _Waiter:
    """A request that waits for its permission. `patience`: the seconds after which it gives up if all are refused."""

    permit: asyncio.Future[Permit]
    patience: float | None
    since: float
    pauses: int = 0


class Limiter:
    """The slots and the pace of one session. Lives on one event loop, whose clock it reads.

    `in_flight`, `waiting`, `refusals` and `pause_left` may be read at any time, by displays, tests and benchmarks:
    `fielding.engine().limiter` is their view.
    """

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
        self._fires_at = inf
        self._last_429: RateLimitError | None = None
        self._refusals = 0
        self._closed: Callable[[], BaseException] | None = None
        self.may_leave: Callable[[Permit, float], float | None] = self._pacer.may_leave
        """Asked at the socket, with the time, whether the request of a permission may be sent: see `Pacer`."""

    # -- its state

    @property
    def in_flight(self) -> int:
        """How many slots are taken."""
        return self._concurrency - self._free

    @property
    def waiting(self) -> int:
        """How many requests wait for a permission."""
        return sum(not waiter.permit.done() for waiter in (*self._under_way, *self._first))

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
        """What keeps the next request from being sent; `None` if nothing does."""
        if self.pause_left:
            return "pause"
        if not self._free:
            return "concurrency"
        is_free = self._pacer.ready_at() <= self._loop.time() and not (self._under_way or self._first)
        return None if is_free else "rate"

    @property
    def refusal(self) -> RateLimitError | None:
        """The 429 that all requests wait for, if one is the reason."""
        return self._last_429 if self.pause_left or self._pacer.pauses_in_a_row else None

    # -- permissions

    def try_acquire(self) -> Permit | None:
        """Return a permission if one can be given at once and nobody waits for it; otherwise `None`: use `acquire`."""
        if self._closed is not None or self._under_way or self._first or not self._free:
            return None
        found = self._pacer.try_take(self._loop.time())
        if not isinstance(found, Permit):
            return None
        self._free -= 1
        return found

    async def acquire(self, *, under_way: bool, deadline: float | None, patience: float | None = None) -> Permit:
        """Wait for a slot and for the pace. Raises `WaitTooLongError` if the wait cannot end by the deadline.

        `under_way`: the request is of a call that has sent one before. Without a deadline the wait may be long, as long
        as some requests are accepted. `patience`: the seconds after which it ends if none is, because each pause is
        followed by another 429; `None`: never.
        """
        if self._closed is not None:
            raise self._closed()
        now = self._loop.time()
        if self._last_429 is not None and deadline is not None and self._pacer.paused_until > max(deadline, now):
            raise WaitTooLongError(self._last_429)
        is_first = bool(self._free) and not (self._under_way or self._first)
        found = self._pacer.try_take(now) if is_first else self._pacer.ready_at()
        if isinstance(found, Permit):
            self._free -= 1
            return found
        ready_at = found
        if deadline is not None and deadline < ready_at < inf:
            raise WaitTooLongError(self.refusal)
        permit: asyncio.Future[Permit] = self._loop.create_future()
        waiter = _Waiter(permit, None if deadline is not None else patience, now)
        (self._under_way if under_way else self._first).append(waiter)
        timer = None if deadline is None else self._loop.call_at(deadline, self._expire, permit)
        if is_first:
            self._fire_at(ready_at)
        else:
            self._serve()
        try:
            return await permit
        except asyncio.CancelledError:
            if permit.done() and not permit.cancelled() and permit.exception() is None:
                self.release(permit.result())
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def throttled(self, permit: Permit, error: RateLimitError) -> float | None:
        """Note that the request met a 429: pause all requests of the session.

        Returns the seconds of the pause, or `None` if one was under way.
        """
        self._refusals += 1
        self._last_429 = error
        now = self._loop.time()
        before = self._pacer.pauses_in_a_row
        pause = self._pacer.throttled(permit, error.retry_after, now)
        if self._first and self._pacer.pauses_in_a_row > before:
            self._give_up(now)
        return pause

    def release(self, permit: Permit) -> None:
        """Return a slot when the attempt is over. A permission whose request was not sent is returned as well."""
        self._pacer.ended(permit, self._loop.time())
        self._free += 1
        if self._under_way or self._first:
            self._serve()

    def close(self, error: Callable[[], BaseException]) -> None:
        """Fail all waiters, now and in future, each with an error of its own."""
        self._closed = error
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for queue in (self._under_way, self._first):
            while queue:
                permit = queue.popleft().permit
                if not permit.done():
                    permit.set_exception(error())

    # -- the queues

    def _serve(self) -> None:
        """Give permissions to waiting requests, as far as slots and pace allow."""
        for queue in (self._under_way, self._first):
            while queue and self._free:
                permit = queue[0].permit
                if not permit.done():
                    found = self._pacer.try_take(self._loop.time(), waited=True)
                    if not isinstance(found, Permit):
                        self._fire_at(found)
                        return
                    self._free -= 1
                    permit.set_result(found)
                queue.popleft()

    def _fire_at(self, when: float) -> None:
        if self._timer is not None:
            if self._fires_at == when:
                return
            self._timer.cancel()
        self._fires_at = when  # not every loop's timer handle has a `when`
        self._timer = None if when == inf else self._loop.call_at(when, self._fire)

    def _fire(self) -> None:
        self._timer = None
        self._serve()

    def _expire(self, permit: asyncio.Future[Permit]) -> None:
        if not permit.done():
            permit.set_exception(WaitTooLongError(self.refusal))

    def _give_up(self, now: float) -> None:
        """Fail the requests that have waited longer than their patience while only 429s came back."""
        for waiter in self._first:
            waiter.pauses += 1
            if waiter.patience is None or waiter.permit.done():
                continue
            pauses = min(waiter.pauses, self._pacer.pauses_in_a_row)
            if pauses >= _MOST_PAUSES and now - waiter.since >= waiter.patience:
                waiter.permit.set_exception(WaitTooLongError(self._last_429))
