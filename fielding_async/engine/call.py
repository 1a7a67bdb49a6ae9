"""One call of the SDK, from the caller's await to its end, and the requests that it sends."""

import asyncio
import copy
from collections.abc import Callable
from traceback import format_exception
from types import TracebackType
from typing import Self

from attrs import define

from fielding_async.core.config import Timeout
from fielding_async.core.conflict.attempts import RequestEnd, RetryLimit
from fielding_async.core.errors import (
    FieldingError,
    JournalError,
    OutcomeUnknownError,
    SessionClosedError,
    TransportError,
    public_name,
)
from fielding_async.core.models import RunRef
from fielding_async.core.pace.out_of_time import WAITED_FOR, OutOfTimeError
from fielding_async.core.pace.waiting_line import Priority, Waiter
from fielding_async.core.redaction import Secrets
from fielding_async.core.token_life import Token
from fielding_async.core.wire.replies import Accepted, Answer, Failed, Throttled
from fielding_async.core.wire.requests import Request
from fielding_async.http.transport import Gate
from fielding_async.telemetry.call_trace import CallTrace

__all__ = [
    "WAITED_FOR",
    "Call",
    "CallsUnderWay",
    "OutOfTimeError",
    "PendingRequest",
    "TimeLimit",
    "TokenSourceError",
    "is_cancelled",
    "no_token",
    "record_lapsed",
    "session_closed",
]


@define(eq=False)
class TimeLimit:
    """The time limit of a call. Times are those of the event loop's clock, in seconds.

    `total` seconds start with the call's first permission to send, from when it `is_running`; `None`: no limit. A
    `timeout=` of the caller's own starts with the call. `queue_until`: the time by which the call must have its turn
    and its next permission; `None` if nothing but `deadline` says so.
    """

    total: float | None
    deadline: float | None = None
    is_running: bool = False
    queue_until: float | None = None

    @classmethod
    def of(cls, limit: Timeout | float | None, clock: Callable[[], float], *, queues: bool) -> "TimeLimit":
        """Return the limit of a call that starts now.

        `limit`: the session's, or the caller's own `timeout=`; `None` is no limit. `queues`: `Timeout.queue` holds.
        """
        if isinstance(limit, Timeout):
            queue = limit.queue if queues else None
            return cls(limit.total, queue_until=None if queue is None else clock() + queue)
        return cls(None, None if limit is None else clock() + limit)

    @property
    def waits_until(self) -> float | None:
        """The time until which it may wait for its turn or for its next permission; `None`: without a limit."""
        until = self.queue_until
        if until is None or (self.deadline is not None and self.deadline < until):
            return self.deadline
        return until


class CallsUnderWay(set[object]):
    """The calls of a session that have not ended. `when_none`: called as the last one ends, if it is set."""

    when_none: Callable[[], None] | None = None


@define(eq=False)
class Call:
    """One call of the SDK: a context manager around what it does.

    It adds run, idempotency key and trace id to the errors that come out of it, and removes secrets from them.
    `secrets`: what no error may show. `under_way`: the calls that this one is among. `is_background`: it is a row of a
    batch, or polls a job, and no other call waits for it. `in_line`: its request that waits for a permission, if one
    does. `requests` counts the HTTP requests sent; `conflicts` the 412s, without those that may be due to our own lost
    write. `retry_limit`: the limit that its requests share with those of other calls, if there is one.
    """

    name: str
    trace: CallTrace
    time: TimeLimit
    secrets: Secrets
    under_way: CallsUnderWay
    is_background: bool = False
    in_line: Waiter | None = None
    ref: RunRef | None = None
    idempotency_key: str | None = None
    requests: int = 0
    conflicts: int = 0
    retry_limit: RetryLimit | None = None
    _left_out: set[str] | None = None

    def left_out(self, path: str) -> None:
        """Log the path of a field of a reply that could not be read and was left out; each path once."""
        if self._left_out is None:
            self._left_out = set()
        if path not in self._left_out:
            self._left_out.add(path)
            self.trace.left_out(path)

    def __enter__(self) -> Self:
        self.under_way.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        calls = self.under_way
        calls.discard(self)
        if not calls and calls.when_none is not None:
            calls.when_none()
        if isinstance(error, FieldingError):
            error.filled(ref=self.ref, idempotency_key=self.idempotency_key, trace_id=self.trace.trace_id)
            self._scrub(error)
            if isinstance(error, OutcomeUnknownError):
                self.trace.counts.unknown += 1
        if self.trace.is_observed or self.trace.span is not None:
            self.trace.end(
                error,
                None if error is None else public_name(error),
                requests=self.requests,
                conflicts=self.conflicts,
                redactor=self.secrets.redactor,
            )

    def _scrub(self, error: BaseException) -> None:
        redactor = self.secrets.redactor
        scrubbed: set[int] = set()
        current: BaseException | None = error
        while isinstance(current, FieldingError) and id(current) not in scrubbed:
            scrubbed.add(id(current))
            current.scrub(redactor)
            for other in {current.__cause__, current.__context__} - {None}:
                # an exception of the caller's token callable is not ours to change
                if not isinstance(other, FieldingError) and redactor.shows("".join(format_exception(other))):
                    current.__cause__ = current.__context__ = None
            current = current.__cause__

    def note_doubt(self, cancelled: BaseException, text: str) -> None:
        """Add to a `CancelledError`, and to the log, that a write of the cancelled call may still be applied."""
        cancelled.add_note(f"fielding-async: {text} [trace_id={self.trace.trace_id}]")
        self.trace.in_doubt(text)


_RESERVE_SHARE = 0.1  # of the time that is left when the write is sent first
_RESERVE_MOST = 5.0  # seconds


@define(eq=False)
class PendingRequest:
    """A request of a call, from its first attempt to its end.

    `settling`: it is the GET that settles a lost reply. `end`: what is known of how it ended. `sent`: how many attempts
    were sent. `error_type`: the kind of the last failure. `reserve`: the seconds before the deadline that a write of a
    run action keeps for the GET that may have to settle it. `token`: that of the last attempt. `is_replayed`: an
    attempt was made again with another token. `place`: where the request stood in the line for permissions, if its
    permission lapsed. `may_leave`: of a write on record, whether its record still permits it. `task` and `gate`: those
    of the attempt in flight, if there is one.
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
    place: int | None = None
    may_leave: Callable[[], bool] | None = None
    task: "asyncio.Task[Answer | None] | None" = None
    gate: Gate | None = None

    def waits_until(self, now: float) -> float | None:
        """Return the time until which it may wait to be sent; `None`: without a limit."""
        return self.ends_by(now) if self.end.attempts.may_be_applied else self.call.time.waits_until

    @property
    def priority(self) -> Priority:
        """Its class in the line for permissions."""
        if self.settling:
            return Priority.SETTLING
        if self.call.is_background:
            return Priority.BACKGROUND_UNDER_WAY if self.call.time.is_running else Priority.BACKGROUND
        return Priority.UNDER_WAY if self.call.time.is_running else Priority.FIRST

    def ends_by(self, now: float) -> float | None:
        """Return the time by which an attempt that starts now must have ended; `None`: without a limit.

        With the call's first attempt the time of the call starts.
        """
        time = self.call.time
        time.queue_until = None
        if not time.is_running:
            time.is_running = True
            if time.total is not None:
                time.deadline = now + time.total
        deadline = time.deadline
        if deadline is None or not self.request.operation.is_action:
            return deadline
        if self.reserve is None:
            self.reserve = min((deadline - now) * _RESERVE_SHARE, _RESERVE_MOST)
        return deadline - self.reserve

    def abandon(self) -> "asyncio.Task[Answer | None] | None":
        """Keep an attempt that has not been sent from being sent, as the caller was cancelled.

        Returns the task of the attempt in flight, which ends by itself.
        """
        if self.gate is not None:
            self.gate.shut()
        return self.task

    def cancelled(self, error: asyncio.CancelledError, text: str) -> None:
        """Let a cancelled caller of a write go. `text`: what is in doubt, if anything is; log and error say so."""
        task = self.abandon()
        if task is not None:
            task.add_done_callback(self.report_end)
        if task is not None or self.end.attempts.may_be_applied:
            self.call.note_doubt(error, text)

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


class TokenSourceError(Exception):
    """The caller's token callable raised; its exception is the cause."""


def session_closed() -> SessionClosedError:
    """Return the error of a call that is in progress when its session closes."""
    return SessionClosedError("the session was closed while the call was in progress")


def record_lapsed(request: Request) -> JournalError:
    """Return the error of a write on record that may not be sent any more."""
    return JournalError(
        "not sent: the lease of what records it is over, so that another process may go on with it",
        method=request.operation.method,
        path=request.path,
    )


def is_cancelled() -> bool:
    """Whether the current task is being cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def no_token(request: Request, error: Exception) -> Failed:
    """Return the failure of a request for which there can be no token, with the exception that says why."""
    if isinstance(error, FieldingError):
        repeatable = isinstance(error, TransportError) and not error.is_final
        return Failed(copy.copy(error), repeatable=repeatable, may_be_applied=False)
    cause = error.__cause__
    problem = TransportError(
        f"no token: the callable raised {type(cause).__name__}", method=request.operation.method, path=request.path
    )
    problem.__cause__ = cause
    return Failed(problem, repeatable=False, may_be_applied=False)
