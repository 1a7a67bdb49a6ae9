"""Permissions to send, one for each attempt: the slots, the pace and the pauses of a session, over `Pacer` and asyncio.

Who waits is served by priority, and within a priority in the order in which the requests asked. A request whose
permission lapsed at the socket, because a pause began, keeps its place.
"""

import asyncio
from collections.abc import Callable
from enum import IntEnum
from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING

from attrs import define

from fielding_async.core.config import Limits
from fielding_async.core.errors import RateLimitError
from fielding_async.core.pace.pacer import Pacer, Permit

from .gate_queue import Alarm, GateQueue

if TYPE_CHECKING:
    from fielding_async.telemetry.signal_names import WaitReason

__all__ = ["Limiter", "Permit", "Priority", "WaitTooLongError"]

_MOST_WAIT = 1.0  # seconds that requests at the socket may need to leave; beyond that no permission is given
_MOST_PAUSES = 3  # pauses in a row, each followed by another 429


class Priority(IntEnum):
    """Who is served first: the lower number."""

    UNDER_WAY = 0
    """A request of a call that had a permission before."""
    FIRST = 1
    """The first request of a call."""


class WaitTooLongError(Exception):
    """The deadline passed before a permission, or will.

    `reason`: what the request waited for. `pause`: the 429 whose pause is the reason, if one is.
    """

    def __init__(self, reason: "WaitReason | None", pause: RateLimitError | None) -> None:
        super().__init__("the deadline passed before a request could be sent")
        self.reason = reason
        self.pause = pause


@define(eq=False)
class _Waiter:
    """A request that waits for its permission. `patience`: the seconds after which it gives up if all are refused."""

    permit: asyncio.Future[Permit]
    place: int
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
        self._line: list[tuple[Priority, int, _Waiter]] = []  # a heap
        self._count = 0  # of the places and permissions given so far
        self._alarm = Alarm(loop, self._serve)
        self.gate_queue: GateQueue = GateQueue(self._pacer, loop, self._queue_moved)
        """Where requests that may not leave yet wait at the socket."""
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
        return sum(not waiter.permit.done() for _, _, waiter in self._line)

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
        is_free = self._pacer.ready_at() <= self._loop.time() and not self._line and not self._is_crowded()
        return None if is_free else "rate"

    @property
    def refusal(self) -> RateLimitError | None:
        """The 429 that all requests wait for, if one is the reason."""
        return self._last_429 if self.pause_left or self._pacer.pauses_in_a_row else None

    @property
    def is_closed(self) -> bool:
        """Whether there are no permissions any more."""
        return self._closed is not None

    # -- permissions

    def try_acquire(self) -> Permit | None:
        """Return a permission if one can be given at once and nobody waits for it; otherwise `None`: use `acquire`."""
        if self._closed is not None or self._line or not self._free or (self.gate_queue.waiting and self._is_crowded()):
            return None
        found = self._pacer.try_take(self._loop.time())
        if not isinstance(found, Permit):
            return None
        self._free -= 1
        self._count = found.number = found.place = self._count + 1
        return found

    async def acquire(
        self, priority: Priority, *, deadline: float | None, patience: float | None = None, place: int | None = None
    ) -> Permit:
        """Wait for a slot and for the pace. Raises `WaitTooLongError` if the wait cannot end by the deadline.

        Without a deadline the wait may be long, as long as some requests are accepted. `patience`: the seconds after
        which it ends if none is, because each pause is followed by another 429; `None`: never. `place`: that of a
        permission of this request that was not used; left out, the request is the last of its priority.
        """
        if self._closed is not None:
            raise self._closed()
        now = self._loop.time()
        if self._last_429 is not None and deadline is not None and self._pacer.paused_until > max(deadline, now):
            raise WaitTooLongError("pause", self._last_429)
        self._count += 1
        if place is None:
            place = self._count
        is_first = bool(self._free) and not self._line and not self._is_crowded()
        found = self._pacer.try_take(now) if is_first else self._pacer.ready_at()
        if isinstance(found, Permit):
            return self._granted(found, place)
        ready_at = found
        if deadline is not None and deadline < ready_at < inf:
            raise self._too_long()
        permit: asyncio.Future[Permit] = self._loop.create_future()
        waiter = _Waiter(permit, place, None if deadline is not None else patience, now)
        heappush(self._line, (priority, place, waiter))
        timer = None if deadline is None else self._loop.call_at(deadline, self._expire, permit)
        if is_first:
            self._alarm.set(ready_at)
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

    def _granted(self, permit: Permit, place: int) -> Permit:
        self._free -= 1
        self._count = permit.number = self._count + 1
        permit.place = place
        return permit

    def throttled(self, permit: Permit, error: RateLimitError) -> float | None:
        """Note that the request met a 429: pause all requests of the session.

        Returns the seconds of the pause, or `None` if one was under way.
        """
        self._refusals += 1
        self._last_429 = error
        now = self._loop.time()
        before = self._pacer.pauses_in_a_row
        pause = self._pacer.throttled(permit, error.retry_after, now)
        if self.gate_queue.waiting:
            self.gate_queue.serve()  # their permissions have lapsed
        if self._line and self._pacer.pauses_in_a_row > before:
            self._give_up(now)
        return pause

    def release(self, permit: Permit) -> None:
        """Return a slot when the attempt is over. A permission whose request was not sent is returned as well."""
        self._pacer.ended(permit, self._loop.time())
        self._free += 1
        if self._line:
            self._serve()

    def close(self, error: Callable[[], BaseException]) -> None:
        """Fail all waiters, now and in future, each with an error of its own; nothing leaves any more."""
        self._closed = error
        self._alarm.set(inf)
        self.gate_queue.close()
        for _, _, waiter in self._line:
            if not waiter.permit.done():
                waiter.permit.set_exception(error())
        self._line.clear()

    # -- the line

    def _serve(self) -> None:
        """Give permissions to waiting requests, as far as slots, pace and gate allow."""
        line = self._line
        while line and self._free and not self._is_crowded():
            waiter = line[0][2]
            permit = waiter.permit
            if not permit.done():
                found = self._pacer.try_take(self._loop.time(), waited=True)
                if not isinstance(found, Permit):
                    self._alarm.set(found)
                    return
                permit.set_result(self._granted(found, waiter.place))
            heappop(line)

    def _is_crowded(self) -> bool:
        """Whether one more permission would only lengthen the wait at the socket."""
        waiting = self.gate_queue.waiting
        return waiting > 0 and waiting * self._pacer.interval > _MOST_WAIT

    def _queue_moved(self) -> None:
        if self._line:
            self._serve()

    def _too_long(self) -> WaitTooLongError:
        return WaitTooLongError(self.waits_for, self.refusal)

    def _expire(self, permit: asyncio.Future[Permit]) -> None:
        if not permit.done():
            permit.set_exception(self._too_long())

    def _give_up(self, now: float) -> None:
        """Fail the requests that have waited longer than their patience while only 429s came back."""
        for _, _, waiter in self._line:
            waiter.pauses += 1
            if waiter.patience is None or waiter.permit.done():
                continue
            pauses = min(waiter.pauses, self._pacer.pauses_in_a_row)
            if pauses >= _MOST_PAUSES and now - waiter.since >= waiter.patience:
                waiter.permit.set_exception(WaitTooLongError("pause", self._last_429))
