"""One request of a call while it is sent: what attempts, retries and a cancellation share, and why it ends unsent."""

import asyncio
import copy

from attrs import define

from fielding_async.core.conflict.attempts import RequestEnd
from fielding_async.core.errors import FieldingError, RateLimitError, SessionClosedError, TransportError
from fielding_async.core.token_life import Token
from fielding_async.core.wire.replies import Accepted, Answer, Failed, Throttled
from fielding_async.core.wire.requests import Request
from fielding_async.http.transport import Gate

from .call import Call

__all__ = [
    "WAITED_FOR",
    "OutOfTimeError",
    "PendingRequest",
    "TokenSourceError",
    "is_cancelled",
    "no_token",
    "session_closed",
]

WAITED_FOR = {"rate": "the pace", "concurrency": "a slot", "pause": "the pause after a 429"}
"""What a request waited for, in words."""


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

    def report_end(self, task: "asyncio.Task[Answer | None]") -> None:
        """Tell log and metrics what became of a write that outlived its caller, by the reply to its last attempt."""
        lost_before = self.end.attempts.may_be_applied
        is_cut = task.cancelled() or task.exception() is not None
        answer = None if is_cut else task.result()
        status = getattr(answer.error, "status", None) if isinstance(answer, Failed | Throttled) else None
        said = "" if status is None else f" ({status})"
        if isinstance(answer, Accepted):
            self.call.trace.outlived("accepted", f"accepted ({answer.response.status})")
        elif is_cut or (isinstance(answer, Failed) and answer.may_be_applied):
            self.call.trace.outlived("lost", f"lost{said}: it may be applied")
        elif lost_before:
            # a refusal says nothing of the attempt before it
            what = "not sent again" if answer is None else f"refused{said}"
            self.call.trace.outlived("lost", f"{what}, but an earlier attempt was lost: it may be applied")
        elif answer is None or status is None:
            self.call.trace.outlived("not_sent", "not sent")
        else:
            self.call.trace.outlived("refused", f"refused{said}")


class OutOfTimeError(Exception):
    """Time ran out before an attempt could be sent.

    `pause`: the 429 whose pause is the reason, if one is. `waiting_for`: what the attempt waited for, if it waited.
    """

    def __init__(self, pause: RateLimitError | None, waiting_for: str | None = None) -> None:
        super().__init__()
        self.pause = pause
        self.waiting_for = waiting_for


class TokenSourceError(Exception):
    """The caller's token callable raised; its exception is the cause."""


def session_closed() -> SessionClosedError:
    """Return the error of a call that is under way when its session closes."""
    return SessionClosedError("the session was closed while the call was under way")


def is_cancelled() -> bool:
    """Whether the current task is being cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def no_token(request: Request, error: Exception) -> Failed:
    """Return the failure of a request for which there can be no token, with the exception that says why."""
    if isinstance(error, FieldingError):
        repeatable = isinstance(error, TransportError)
        return Failed(copy.copy(error), repeatable=repeatable, may_be_applied=False)
    cause = error.__cause__
    problem = TransportError(
        f"no token: the callable raised {type(cause).__name__}", method=request.operation.method, path=request.path
    )
    problem.__cause__ = cause
    return Failed(problem, repeatable=False, may_be_applied=False)
