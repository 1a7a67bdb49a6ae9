"""Permissions to send, one for each attempt: the slots, the pace and the pauses of a session, over `Pacer` and asyncio.

`core.pace.waiting_line` decides which request is next. A request whose permission lapsed at the socket, because a pause
started, keeps its place.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from math import inf, nextafter

from attrs import define

from fielding_async.core.config import Limits
from fielding_async.core.errors import RateLimitError
from fielding_async.core.pace.pacer import Pacer, Permit
from fielding_async.core.pace.waiting_line import Patience, Priority, Waiter, WaitingLine

from .call import Call, OutOfTimeError
from .gate_queue import Alarm, Deadlines
from .limiter_state import LimiterState
from .membership import PacerLike

__all__ = ["Limiter", "Permit", "Priority"]

_BACKGROUND = Priority.BACKGROUND_UNDER_WAY  # from this one on, the lowest class


@define(eq=False, kw_only=True)
class _Waiter(Waiter):
    """A request that waits for its permission. `ahead`: how many were ahead of it when it started to wait."""

    permit: "asyncio.Future[Permit]"
    ahead: int


class Limiter(LimiterState):
    """The slots and the pace of one session. Lives on one event loop, whose clock it reads.

    Its state may be read at any time, by displays, tests and benchmarks: `fielding.engine().limiter` is their view.
    """

    def __init__(
        self,
        limits: Limits,
        uniform: Callable[[float, float], float],
        loop: asyncio.AbstractEventLoop,
        pacer: PacerLike | None = None,
    ) -> None:
        self._line: WaitingLine[_Waiter] = WaitingLine()
        pacer = Pacer(limits, uniform) if pacer is None else pacer
        super().__init__(pacer, limits.concurrency, self._line, loop, self._serve)
        self._told_interval = 0.0 if limits.rate is None else 1.0 / limits.rate
        self._patience: Patience[_Waiter] = Patience()
        self._count = 0  # of the places and permissions given so far
        self._alarm = Alarm(loop, self._serve)
        self.deadlines: Deadlines = Deadlines(loop)
        """The deadlines of all who wait for a permission, or for a turn before it."""
        self.on_pause: dict[Callable[[RateLimitError, float], None], None] = {}
        """What is called at each 429, with the 429 and the time at which the pause ends."""
        self.may_leave: Callable[[Permit, float], float | None] = pacer.may_leave
        """Asked at the socket, with the time, whether the request of a permission may be sent: see `Pacer`."""

    # -- permissions

    def try_acquire(self, *, is_background: bool = False) -> Permit | None:
        """Return a permission if one can be given at once and nobody waits for it; otherwise `None`: use `acquire`.

        `is_background`: the request is of the last class.
        """
        if (
            self._closed is not None
            or self._line.waiting
            or not self._free
            or (is_background and not self._free_in_background)
            or (self.gate_queue.waiting and self.gate_queue.is_crowded(is_background=is_background))
        ):
            return None
        found = self._pacer.try_take(self._loop.time())
        if not isinstance(found, Permit):
            return None
        return self._granted(found, self._count + 1, is_background=is_background)

    async def acquire(
        self,
        priority: Priority,
        *,
        deadline: float | None,
        patience: float | None = None,
        place: int | None = None,
        call: Call | None = None,
    ) -> Permit:
        """Wait for a slot and for the pace. Raises `OutOfTimeError` if the wait cannot end by the deadline.

        Without a deadline the wait may be long, as long as some requests are accepted. `patience`: the seconds after
        which it ends if none is, because each pause is followed by another 429; `None`: never; the same for all
        requests that have one. `place`: that of a permission of this request that was not used; left out, the request
        is the last of its priority. `call`: the one that it is of, for `lift`.
        """
        if self._closed is not None:
            raise self._closed()
        now = self._loop.time()
        if deadline is not None and (pause := self.pause_beyond(deadline)) is not None:
            raise self._too_late("pause", pause, deadline)
        self._count += 1
        is_background = priority >= _BACKGROUND
        is_first = not self._line.waiting and self._has_room(is_background=is_background)
        found = self._pacer.try_take(now) if is_first else self._pacer.ready_at()
        if isinstance(found, Permit):
            return self._granted(found, self._count if place is None else place, is_background=is_background)
        ahead = self._line.ahead_of(priority) if self._line.waiting else 0
        if deadline is not None:
            # what is in flight may not have left yet, and give its permission back
            certain = max(0, ahead - self.in_flight) if place is None and not is_background else 0
            if deadline < found + certain * self._told_interval < inf:
                raise self._too_late(self.waits_for, self.refusal, deadline, ahead)
        permit: asyncio.Future[Permit] = self._loop.create_future()
        waiter = _Waiter(priority=priority, place=place or self._count, since=now, permit=permit, ahead=ahead)
        self._line.enter(waiter)
        if deadline is not None:
            self.deadlines.add(deadline, permit, partial(self._expire, waiter, deadline))
        elif patience is not None:
            self._patience.enter(waiter, patience)
        if call is not None:
            call.in_line = waiter
        if is_first:
            self._alarm.set(found)
        else:
            self._serve()
        try:
            return await permit
        except asyncio.CancelledError:
            if permit.done() and not permit.cancelled() and permit.exception() is None:
                self.release(permit.result())
            raise
        finally:
            if waiter.waits:
                self._line.leave(waiter)
            if deadline is not None:
                self.deadlines.discard()
            elif patience is not None:
                self._patience.leave()
            if call is not None:
                call.in_line = None

    def _granted(self, permit: Permit, place: int, *, is_background: bool) -> Permit:
        self._free -= 1
        if is_background:
            self._free_in_background -= 1
            permit.is_background = True
        self._count = permit.number = self._count + 1
        permit.place = place
        return permit

    def lift(self, call: Call) -> None:
        """Move a call of the background up to the class of calls, as a call waits for it."""
        call.is_background = False
        waiter = call.in_line
        if isinstance(waiter, _Waiter):
            self._line.lift(waiter)
            self._serve()

    def pause_beyond(self, deadline: float | None) -> RateLimitError | None:
        """Return the 429 whose pause is known to last beyond the deadline, if there is one."""
        is_long = deadline is not None and self._pacer.paused_until > max(deadline, self._loop.time())
        return self._last_429 if is_long else None

    def throttled(self, permit: Permit, error: RateLimitError) -> float | None:
        """Note that the request met a 429: pause all requests of the session.

        Returns the seconds of the pause, or `None` if one was in progress.
        """
        self._refusals += 1
        before = self._pacer.pauses_in_a_row
        pause = self._pacer.throttled(permit, error.retry_after, self._loop.time())
        self._paused(error, before)
        return pause

    def pause_began(self, seconds: float) -> None:
        """Note that another session met a 429, and that the pacer pauses for so many seconds from now."""
        error = RateLimitError("429 to another session, which all pause for", status=429, retry_after=seconds)
        self._paused(error, self._pacer.pauses_in_a_row - 1)

    def _paused(self, error: RateLimitError, before: int) -> None:
        """Fail what the pause outlasts. `before`: how many pauses there were in a row without it."""
        self._last_429 = error
        now = self._loop.time()
        for observe in self.on_pause:
            observe(error, self._pacer.paused_until)
        if self.gate_queue.waiting:
            self.gate_queue.serve()  # their permissions have lapsed
        if self._patience.waiters and self._pacer.pauses_in_a_row > before:
            for waiter in self._patience.give_up(now, self._pacer.pauses_in_a_row):
                if not waiter.permit.done():
                    waiter.permit.set_exception(self._expire(waiter))
        if self.deadlines.waiting:
            # those whose deadline comes before the end of the pause
            self.deadlines.fail_until(nextafter(self._pacer.paused_until, -inf))

    def release(self, permit: Permit) -> None:
        """Return a slot when the attempt is over. A permission whose request was not sent is returned as well."""
        self._pacer.ended(permit, self._loop.time())
        self._free += 1
        if permit.is_background:
            self._free_in_background += 1
        if self._line.waiting:
            self._serve()

    def close(self, error: Callable[[], BaseException]) -> None:
        """Fail all waiters, now and in future, each with an error of its own; nothing leaves any more."""
        self._closed = error
        self._alarm.set(inf)
        self.gate_queue.close()
        for waiter in self._line.clear():
            if not waiter.permit.done():
                waiter.permit.set_exception(error())

    # -- the line

    def pace_changed(self) -> None:
        """Ask the pacer again: it has permissions now, or may have them at another time."""
        if self.gate_queue.waiting:
            self.gate_queue.serve()
        if self._line.waiting:
            self._serve()

    def _serve(self) -> None:
        """Give permissions to waiting requests, as far as slots, pace and gate allow."""
        line = self._line
        while line.waiting and self._has_room(is_background=False):
            waiter = line.first(with_background=self._has_room(is_background=True))
            if waiter is None:
                return
            if waiter.permit.done():  # it was cancelled, or its time is up, in this very step
                line.leave(waiter)
                continue
            found = self._pacer.try_take(self._loop.time(), waited=True)
            if not isinstance(found, Permit):
                self._alarm.set(found)
                return
            line.serve(waiter)
            is_background = waiter.priority >= _BACKGROUND
            waiter.permit.set_result(self._granted(found, waiter.place, is_background=is_background))

    def _expire(self, waiter: _Waiter, deadline: float = -inf) -> OutOfTimeError:
        """Return the error of a wait that has reached its deadline, or is known not to end before it."""
        now = self._loop.time()
        reason = self._waits_for(is_background=waiter.priority >= _BACKGROUND)
        if deadline > now:
            return self._too_late(reason, self.refusal, deadline, waiter.ahead)
        waited = now - waiter.since
        return OutOfTimeError.in_line(reason, self.refusal, ahead=waiter.ahead, pace=self.pace, seconds=waited)

    def _too_late(
        self, why: str | None, pause: RateLimitError | None, deadline: float, ahead: int = 0
    ) -> OutOfTimeError:
        """Return the error of a wait that cannot end in time."""
        left = max(0.0, deadline - self._loop.time())
        return OutOfTimeError.in_line(why, pause, ahead=ahead, pace=self.pace, left=left)
