"""One request of a call while it is sent: what its attempts, its retries and a cancellation share."""

import asyncio

from attrs import define

from fielding_async.core.conflict.attempts import RequestEnd
from fielding_async.core.token_life import Token
from fielding_async.core.wire.replies import Answer
from fielding_async.core.wire.requests import Request
from fielding_async.http.transport import Gate

from .call import Call

__all__ = ["PendingRequest"]

_RESERVE_SHARE = 0.1  # of the time that is left when the write is sent first
_RESERVE_MOST = 5.0  # seconds


@define(eq=False)
class PendingRequest:
    """A request of a call, from its first attempt to its end.

    `settling`: it is the GET that settles a lost reply. `end`: what is known of how it ended. `sent`: how many attempts
    were sent. `error_type`: the kind of the last failure. `reserve`: the seconds before the deadline that a write of a
    run action keeps for the GET that may have to settle it. `token`: that of the last attempt. `is_replayed`: an
    attempt was made again with another token. `task` and `gate`: those of the attempt in flight, if there is one.
    """

    call: Call
    request: Request
    settling: bool
    end: RequestEnd
    sent: int = 0
    error_type: str = ""
    reserve: float | None = None
    token: Token | None = None
    is_replayed: bool = False
    task: "asyncio.Task[Answer | None] | None" = None
    gate: Gate | None = None

    def waits_until(self, now: float) -> float | None:
        """Return the time until which it may wait to be sent; `None`: without a limit."""
        return self.ends_by(now) if self.end.attempts.may_be_applied else self.call.time.deadline

    def ends_by(self, now: float) -> float | None:
        """Return the time by which an attempt that starts now must have ended; `None`: without a limit.

        With the call's first attempt the time of the call starts.
        """
        time = self.call.time
        if not time.is_running:
            time.is_running = True
            if time.total is not None:
                time.deadline = now + time.total
        deadline = time.deadline
        if deadline is None or self.request.operation.precondition != "if-match":
            return deadline
        if self.reserve is None:
            self.reserve = min((deadline - now) * _RESERVE_SHARE, _RESERVE_MOST)
        return deadline - self.reserve

    def abandon(self) -> "asyncio.Task[Answer | None] | None":
        """Keep an attempt that has not been sent from being sent, as the caller was cancelled.

        Returns the task of the attempt in flight, which ends by itself.
        """
        if self.gate is not None:
            self.gate.is_shut = True
        return self.task
