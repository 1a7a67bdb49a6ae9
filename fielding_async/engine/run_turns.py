"""Turns on runs: the actions of one run go one after the other, in call order. A run with no action costs no memory."""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from math import inf

from attrs import Factory, define

from fielding_async.core.models import RunRef

from .call import Call, OutOfTimeError
from .limiter import Limiter

__all__ = ["RunTurns"]


@define(eq=False)
class _Queue:
    """The calls that wait for the turn on a run. `rows`: those of the background, in it or at the turn, not lifted."""

    waiting: "deque[tuple[asyncio.Future[None], Call]]" = Factory(deque)  # pyright: ignore[reportUnknownVariableType]
    rows: dict[Call, None] = Factory(dict)  # pyright: ignore[reportUnknownVariableType]


class RunTurns:
    """First come, first served, for each run by itself. `waiting`: how many calls wait for a turn.

    Where a call waits behind rows of a batch, these rows move up to the class of calls.
    """

    def __init__(self, limiter: Limiter) -> None:
        self.waiting: int = 0
        self._limiter = limiter
        self._holders: dict[RunRef, Call] = {}
        self._queues: dict[RunRef, _Queue] = {}  # of the runs for whose turn a call waits
        self._closed: Callable[[], BaseException] | None = None

    def __len__(self) -> int:
        return len(self._holders)

    def take_now(self, ref: RunRef, call: Call) -> bool:
        """Take the turn if nobody has it."""
        if self._closed is not None:
            raise self._closed()
        holders = self._holders
        taken = len(holders)
        holders.setdefault(ref, call)  # so that the hash of a ref is computed once
        return len(holders) > taken

    async def take(self, ref: RunRef, call: Call) -> None:
        """Wait for the turn. Raises `OutOfTimeError` if the call's time is up before, or will be."""
        if self.take_now(ref, call):
            return
        limiter, deadline = self._limiter, call.time.waits_until
        queue = self._queues.get(ref)
        if queue is None:
            queue = self._queues[ref] = _Queue()
            if self._holders[ref].is_background:
                queue.rows[self._holders[ref]] = None
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        expired = partial(self._expired, loop.time(), deadline or inf, len(queue.waiting) + 1)
        if limiter.pause_beyond(deadline) is not None:
            raise expired()  # with the turn it would still wait for the end of the pause
        queue.waiting.append((turn, call))
        if call.is_background:
            queue.rows[call] = None
        else:
            for row in queue.rows:
                limiter.lift(row)
            queue.rows.clear()
        if deadline is not None:
            limiter.deadlines.add(deadline, turn, expired)
        self.waiting += 1
        try:
            await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.pass_on(ref)
            raise
        finally:
            self.waiting -= 1
            if deadline is not None:
                limiter.deadlines.discard()

    def _expired(self, since: float, deadline: float, ahead: int) -> OutOfTimeError:
        limiter, now = self._limiter, asyncio.get_running_loop().time()
        actions = "an earlier action on this run was" if ahead == 1 else f"{ahead} earlier actions on this run were"
        what = f"its turn: {actions} under way"
        pause = limiter.refusal if limiter.pause_left else None
        if deadline > now:
            return OutOfTimeError(pause, what, is_begun=False)
        return OutOfTimeError(pause, what, seconds=now - since)

    def pass_on(self, ref: RunRef) -> None:
        """Give the turn to the next in line."""
        call = self._holders.pop(ref)
        queue = self._queues.get(ref) if self._queues else None
        if queue is None:
            return
        while queue.waiting:
            queue.rows.pop(call, None)
            turn, call = queue.waiting.popleft()
            if not turn.done():
                self._holders[ref] = call
                turn.set_result(None)
                return
        del self._queues[ref]

    def close(self, error: Callable[[], BaseException]) -> None:
        """Fail all waiters, now and in future. A turn that is taken must still be passed on."""
        self._closed = error
        for queue in self._queues.values():
            for turn, _ in queue.waiting:
                if not turn.done():
                    turn.set_exception(error())
