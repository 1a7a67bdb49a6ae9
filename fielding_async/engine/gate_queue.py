"""The gate at the socket: requests with a permission and a connection leave in the order of their permissions.

A request that may leave at once, while none waits, only asks. The others wait here, on one timer. A request with a
later permission leaves first only if the connection of the earlier one was not open yet.

Here are also the timers of all waits: one for the gate, one for the pace, one for all deadlines.
"""

import asyncio
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from math import inf
from typing import Any

from fielding_async.core.pace.pacer import Permit
from fielding_async.http.transport import Gate

from .membership import PacerLike

__all__ = ["Alarm", "Deadlines", "GateQueue"]

_MOST_WAIT = 1.0  # seconds that requests at the socket may need to leave; beyond that no permission is given
_MOST_WAIT_IN_BACKGROUND = 0.25  # the same for the background: a call must not find many of its requests there
_LEAST_STALE = 64  # entries, below which cleaning up is not worth while


class Alarm:
    """One timer of an event loop, which is set again and again."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None
        self._at = inf  # not every loop's timer handle has a `when`

    def set(self, when: float) -> None:
        """Call `ring` at this time only; at infinity, never."""
        if self._timer is not None:
            if self._at == when:
                return
            self._timer.cancel()
        self._at = when
        self._timer = None if when == inf else self._loop.call_at(when, self._rings)

    def _rings(self) -> None:
        self._timer = None
        self._ring()


class Deadlines:
    """The deadlines of all waits for a turn or a permission, on one timer.

    Each wait is a future, which fails at its deadline with an exception that is made then. So a pause ends those waits
    at once that it would outlast, and ten thousand waits cost no more each than a few. `waiting`: how many there are.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._heap: list[tuple[float, int, asyncio.Future[Any], Callable[[], BaseException]]] = []
        self._entered = 0
        self.waiting: int = 0
        self._alarm = Alarm(loop, self._ring)
        self._rings_at = inf

    def add(self, when: float, waits: "asyncio.Future[Any]", error: Callable[[], BaseException]) -> None:
        """Fail `waits` at this time, unless it is done by then. When it is over, call `discard`."""
        self._entered += 1
        self.waiting += 1
        heappush(self._heap, (when, self._entered, waits, error))
        if when < self._rings_at:
            self._set(when)

    def discard(self) -> None:
        """Note that one of those that were added waits no more."""
        self.waiting -= 1
        heap = self._heap
        if not self.waiting:
            heap.clear()
            self._set(inf)
        elif len(heap) > 2 * self.waiting + _LEAST_STALE:
            heap[:] = [entry for entry in heap if not entry[2].done()]
            heapify(heap)

    def fail_until(self, when: float) -> None:
        """Fail at once whatever has its deadline by this time."""
        heap = self._heap
        while heap and (heap[0][0] <= when or heap[0][2].done()):
            _, _, waits, error = heappop(heap)
            if not waits.done():
                waits.set_exception(error())
        self._set(heap[0][0] if heap else inf)

    def _ring(self) -> None:
        self.fail_until(self._loop.time())

    def _set(self, when: float) -> None:
        self._rings_at = when
        self._alarm.set(when)


class GateQueue:
    """The requests of one session that are ready to leave. Lives on one event loop, whose clock it reads.

    `waiting`: how many wait. `moved`: called when one waits no more.
    """

    def __init__(self, pacer: PacerLike, loop: asyncio.AbstractEventLoop, moved: Callable[[], None]) -> None:
        self.waiting: int = 0
        self._pacer = pacer
        self._loop = loop
        self._moved = moved
        self._line: list[tuple[int, Permit, asyncio.Future[bool]]] = []  # a heap
        self._alarm = Alarm(loop, self.serve)

    async def wait(self, gate: Gate) -> bool:
        """Wait until the request may leave, and use its permission up. Returns `False` if it may not leave."""
        permit = gate.permit
        assert isinstance(permit, Permit)  # noqa: S101 - as for all gates of this queue
        turn: asyncio.Future[bool] = self._loop.create_future()
        gate.turn = turn
        started = self._loop.time()
        heappush(self._line, (permit.number, permit, turn))
        self.waiting += 1
        try:
            self.serve()
            may_leave = await turn and not gate.holds_back
            permit.used &= may_leave
            return may_leave
        except asyncio.CancelledError:
            permit.used = False  # it may have been served in the same moment
            raise
        finally:
            gate.turn = None
            gate.waited += self._loop.time() - started
            self.waiting -= 1
            self.serve()  # those behind it, if it has been cancelled or shut
            self._moved()

    def serve(self) -> None:
        """Let those leave that may. Those whose permission has lapsed fail at once."""
        line, pacer = self._line, self._pacer
        while line:
            _, permit, turn = line[0]
            if not turn.done():
                now = self._loop.time()
                leaves_at = pacer.leaves_at(permit, now)
                if leaves_at is not None and leaves_at > now:
                    self._alarm.set(leaves_at)
                    return
                if leaves_at is not None:
                    pacer.left(permit, now)
                turn.set_result(leaves_at is not None)
            heappop(line)
        self._alarm.set(inf)

    def is_crowded(self, *, is_background: bool = False) -> bool:
        """Whether one more permission would only lengthen the wait here."""
        most = _MOST_WAIT_IN_BACKGROUND if is_background else _MOST_WAIT
        return self.waiting > 0 and self.waiting * self._pacer.interval > most

    def close(self) -> None:
        """Let nobody leave any more."""
        for _, _, turn in self._line:
            if not turn.done():
                turn.set_result(False)
        self._line.clear()
        self._alarm.set(inf)
