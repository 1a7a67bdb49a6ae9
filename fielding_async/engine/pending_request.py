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


@define(eq=False)
class PendingRequest:
    """A request of a call, from its first attempt to its end.

    `settling`: it is the GET that settles a lost reply, and may use the call's reserve of time. `end`: what is known of
    how it ended. `sent`: how many attempts were sent. `error_type`: the kind of the last failure. `token`: that of the
    last attempt. `is_replayed`: an attempt was made again with another token. `place`: where the request stood
    in the line for permissions, if its permission lapsed. `task` and `gate`: those of the attempt in flight, if there
    is one.
    """

    call: Call
    request: Request
    settling: bool
    end: RequestEnd
    sent: int = 0
    error_type: str = ""
    token: Token | None = None
    is_replayed: bool = False
    place: int | None = None
    task: "asyncio.Task[Answer | None] | None" = None
    gate: Gate | None = None

    def abandon(self) -> "asyncio.Task[Answer | None] | None":
        """Keep an attempt that has not been sent from being sent, as the caller was cancelled.

        Returns the task of the attempt in flight, which ends by itself.
        """
        if self.gate is not None:
            self.gate.shut()
        return self.task
