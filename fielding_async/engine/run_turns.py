"""Turns on runs: the actions of one run go one after the other, in call order. A run with no action costs no memory."""

import asyncio
from collections import deque
from collections.abc import Callable

from fielding_async.core.models import RunRef

__all__ = ["RunTurns"]


class RunTurns:
    """First come, first served, for each run by itself."""

    def __init__(self) -> None:
        self._queues: dict[RunRef, deque[asyncio.Future[None]] | None] = {}  # a queue as soon as a call waits
        self._closed: Callable[[], BaseException] | None = None

    def __len__(self) -> int:
        return len(self._queues)

    def take_now(self, ref: RunRef) -> bool:
        """Take the turn if nobody has it."""
        if self._closed is not None:
            raise self._closed()
        queues = self._queues
        taken = len(queues)
        queues.setdefault(ref, None)  # the hash of a ref is asked for once
        return len(queues) > taken

    async def take(self, ref: RunRef, deadline: float | None) -> None:
        """Wait for the turn. Raises `TimeoutError` at the deadline (a time of the loop's clock)."""
        if self.take_now(ref):
            return
        queue = self._queues[ref]
        if queue is None:
            queue = self._queues[ref] = deque()
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        queue.append(turn)
        timer = None if deadline is None else loop.call_at(deadline, _expire, turn)
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.pass_on(ref)
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def pass_on(self, ref: RunRef) -> None:
        """Give the turn to the next in line."""
        queue = self._queues.pop(ref)
        while queue:
            turn = queue.popleft()
            if not turn.done():
                self._queues[ref] = queue
                turn.set_result(None)
                return

    def close(self, error: Callable[[], BaseException]) -> None:
        """Fail all waiters, now and in future. A turn that is taken must still be passed on."""
        self._closed = error
        for queue in self._queues.values():
            for turn in queue or ():
                if not turn.done():
                    turn.set_exception(error())


def _expire(turn: "asyncio.Future[None]") -> None:
    if not turn.done():
        turn.set_exception(TimeoutError())
