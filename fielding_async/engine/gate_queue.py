"""The gate at the socket: requests with a permission and a connection leave in the order of their permissions.

A request that may leave at once, while none waits, only asks. The others wait here, on one timer. A request with a
later permission leaves first only if the connection of the earlier one was not open yet.
"""

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush
from math import inf

from fielding_async.core.pace.pacer import Pacer, Permit
from fielding_async.http.transport import Gate

__all__ = ["Alarm", "GateQueue"]


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


class GateQueue:
    """The requests of one session that are ready to leave. Lives on one event loop, whose clock it reads.

    `waiting`: how many wait. `moved`: called when one waits no more.
    """

    def __init__(self, pacer: Pacer, loop: asyncio.AbstractEventLoop, moved: Callable[[], None]) -> None:
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
            return await turn
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
        """Let those leave that may. Those whose permission has lapsed are told so at once."""
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

    def close(self) -> None:
        """Let nobody leave any more."""
        for _, _, turn in self._line:
            if not turn.done():
                turn.set_result(False)
        self._line.clear()
        self._alarm.set(inf)
