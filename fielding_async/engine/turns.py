"""Turns on runs and assistants: the writes of one go one after the other, in call order.

One that nobody writes to costs no memory.
"""

import asyncio
from collections import deque
from functools import partial
from math import inf

from attrs import Factory, define

from fielding_async.core.conflict.etag_memory import Ref
from fielding_async.core.errors import SessionClosedError

from .call import Call, OutOfTimeError
from .limiter import Limiter

__all__ = ["Turns"]


@define(eq=False)
class _Queue:
    """The calls that wait for one turn. `rows`: those of the background, in it or at the turn, not lifted."""

    waiting: "deque[tuple[asyncio.Future[None], Call]]" = Factory(deque)  # pyright: ignore[reportUnknownVariableType]
    rows: dict[Call, None] = Factory(dict)  # pyright: ignore[reportUnknownVariableType]


class Turns:
    """First come, first served, for each resource by itself. `waiting`: how many calls wait for a turn.

    Where a call waits behind rows of a batch, these rows move up to the class of calls.
    """

    def __init__(self, limiter: Limiter) -> None:
        self.waiting: int = 0
        self._limiter = limiter
        self._holders: dict[Ref, Call] = {}
        self._queues: dict[Ref, _Queue] = {}  # where a call waits for the turn
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._holders)

    def take_now(self, ref: Ref, call: Call) -> bool:
        """Take the turn if nobody has it."""
        if self._is_closed:
            raise _session_closed()
        holders = self._holders
        taken = len(holders)
        holders.setdefault(ref, call)  # so that the hash of a ref is computed once
        return len(holders) > taken

    async def take(self, ref: Ref, call: Call, noun: str = "run") -> None:
        """Wait for the turn, on the `noun`. Raises `OutOfTimeError` if the call's time is up before, or will be."""
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
        expired = partial(self._expired, loop.time(), deadline or inf, len(queue.waiting) + 1, noun)
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

    def _expired(self, since: float, deadline: float, ahead: int, noun: str) -> OutOfTimeError:
        limiter, now = self._limiter, asyncio.get_running_loop().time()
        actions = (
            f"an earlier action on this {noun} was" if ahead == 1 else f"{ahead} earlier actions on this {noun} were"
        )
        what = f"its turn: {actions} in progress"
        pause = limiter.refusal if limiter.pause_left else None
        if deadline > now:
            return OutOfTimeError(pause, what, is_begun=False)
        return OutOfTimeError(pause, what, seconds=now - since)

    def pass_on(self, ref: Ref) -> None:
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

    def close(self) -> None:
        """Fail all waiters, now and in future. A turn that is taken must still be passed on."""
        self._is_closed = True
        for queue in self._queues.values():
            for turn, _ in queue.waiting:
                if not turn.done():
                    turn.set_exception(_session_closed())


def _session_closed() -> SessionClosedError:
    return SessionClosedError("the session was closed while the call was waiting for its turn")
