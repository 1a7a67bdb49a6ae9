"""One attempt at a request, from its permission to its answer.

Each attempt runs in its own task, so that a cancelled caller does not cut a write: the write goes on to its end, while
the caller has stopped waiting for the reply.
"""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime
from functools import partial

from attrs import Factory, define

from fielding_async.core.config import Timeout
from fielding_async.core.errors import FieldingError
from fielding_async.core.redaction import Secrets, without_frames
from fielding_async.core.token_life import Token, Trial
from fielding_async.core.wire.clean_replies import read_clean
from fielding_async.core.wire.replies import (
    Accepted,
    Answer,
    Failed,
    Lost,
    NotSent,
    Response,
    Throttled,
    error_type_of,
    read,
)
from fielding_async.http.transport import Gate, HeldBack, Outgoing, Transport
from fielding_async.telemetry.attempt_trace import AttemptTrace, Target, address_of

from .call import (
    WAITED_FOR,
    Call,
    OutOfTimeError,
    PendingRequest,
    TokenSourceError,
    is_cancelled,
    no_token,
    session_closed,
)
from .limiter import Limiter, Permit
from .token_keeper import TokenKeeper

__all__ = ["AttemptRunner"]

_LEAST_TIME = 0.001  # seconds: with less left of its call's time, an attempt is not begun


def _now() -> datetime:
    return datetime.now(UTC)


@define(eq=False)
class AttemptRunner:
    """Makes the attempts of one session."""

    transport: Transport
    limiter: Limiter
    keeper: TokenKeeper
    timeout: Timeout
    base_url: str
    api_version: str
    secrets: Secrets
    loop: asyncio.AbstractEventLoop
    closing: bool = False
    # ordered, so that closing goes through them in the same order every time
    tasks: "dict[asyncio.Task[Answer | None], _Attempt]" = Factory(dict)  # pyright: ignore[reportUnknownVariableType]
    address: dict[str, str | int] = Factory(lambda self: address_of(self.base_url), takes_self=True)

    def start(self, pending: PendingRequest) -> "Awaitable[Answer | None] | None":
        """Start an attempt if there are a token and a permission at once; otherwise return `None`: call `start_later`.

        What is returned is awaited for the answer, which is `None` if the permission lapsed before the request was
        sent. Cancelling that wait ends a read; a write goes on. Raises `OutOfTimeError` and `SessionClosedError`.
        """
        token = self.keeper.usable()
        if token is None:
            return None
        permit = self.limiter.try_acquire(is_background=pending.call.is_background)
        if permit is None:
            return None
        return self._start(pending, permit, token, pending.ends_by(self.loop.time()))

    async def start_later(self, pending: PendingRequest) -> "Awaitable[Answer | None] | Failed":
        """Wait for a token and a permission, and start the attempt; returns the failure if there can be no token.

        Raises `OutOfTimeError` and `SessionClosedError`.
        """
        try:
            permit, token = await self._permission(pending, pending.waits_until(self.loop.time()))
        except (FieldingError, TokenSourceError) as error:
            return no_token(pending.request, error)
        return self._start(pending, permit, token, pending.ends_by(self.loop.time()))

    def _start(
        self, pending: PendingRequest, permit: Permit, token: Token, until: float | None
    ) -> Awaitable[Answer | None]:
        if self.closing:  # since the permission was given
            self.limiter.release(permit)
            raise session_closed()
        limit = self.timeout.attempt
        if until is not None:
            limit = min(limit, until - self.loop.time())
        if limit < _LEAST_TIME and limit < self.timeout.attempt:
            self.limiter.release(permit)
            raise OutOfTimeError(self.limiter.refusal, WAITED_FOR["rate"])
        limiter = self.limiter
        gate = Gate(partial(limiter.may_leave, permit), self.loop.time, limiter.gate_queue, permit)
        pending.gate = gate
        attempt = _Attempt(self, pending, permit, gate, token, limit)
        task = pending.task = attempt.task = self.loop.create_task(attempt.run())
        self.tasks[task] = attempt
        pending.token = token
        if not pending.request.operation.is_write:
            return task
        attempt.reply = self.loop.create_future()
        return attempt.reply

    def cancelled(self, pending: PendingRequest) -> None:
        """End a read whose caller was cancelled before its first step: it does not end by itself."""
        task = pending.task
        if task is not None and task.done() and task in self.tasks:
            self.tasks[task].over(task)

    def renewed_token_helps(self, pending: PendingRequest, status: int) -> bool:
        """Note that the last attempt met a 401 or 403. Returns whether to make it again with another token."""
        assert pending.token is not None  # noqa: S101 - of that attempt
        if not self.keeper.refused(pending.token, status, replayed=pending.is_replayed):
            return False
        pending.is_replayed = True
        pending.call.trace.replaying(status)
        return True

    async def _permission(self, pending: PendingRequest, until: float | None) -> tuple[Permit, Token]:
        """Wait for a permission to send and for a token that is usable then.

        Raises `OutOfTimeError`, `SessionClosedError`, and if there can be no token the `FieldingError` or
        `TokenSourceError` that says why.
        """
        call = pending.call
        place, pending.place = pending.place, None
        while True:
            if self.keeper.usable() is None:
                await self._fetch_token(call, until)
            started, reason = self.loop.time(), self.limiter.waits_for
            try:
                permit = await self.limiter.acquire(
                    pending.priority, deadline=until, patience=call.time.total, place=place, call=call
                )
            except OutOfTimeError:
                call.trace.waited(reason, self.loop.time() - started)
                raise
            call.trace.waited(reason, self.loop.time() - started)
            token = self.keeper.usable()
            if token is not None:
                return permit, token
            place = permit.place
            self.limiter.release(permit)  # the token expired while the call waited

    async def _fetch_token(self, call: Call, until: float | None) -> None:
        if until is None and call.time.total is not None:
            # the call's own time starts with a permission, which needs a token
            until = self.loop.time() + call.time.total
        limit = asyncio.timeout_at(until)
        started = self.loop.time()
        try:
            async with limit:
                await self.keeper.fetch(call.trace)
        except TimeoutError as error:
            if limit.expired():
                raise OutOfTimeError(None, "a token", seconds=self.loop.time() - started) from None
            raise TokenSourceError from error
        except FieldingError:
            raise
        except Exception as error:
            raise TokenSourceError from error
        except asyncio.CancelledError as error:
            if is_cancelled():
                raise
            if self.limiter.is_closed:
                raise session_closed() from None
            raise TokenSourceError from error  # the source was cancelled, not this call
        finally:
            call.trace.waited("token", self.loop.time() - started)

    def close_now(self) -> None:
        """Cancel the attempts in flight; none is sent any more."""
        self.closing = True
        for task, attempt in self.tasks.items():
            attempt.gate.shut()
            task.cancel()

    async def aclose(self) -> None:
        """Wait until the attempts in flight have ended, which `close_now` has cancelled."""
        tasks = list(self.tasks)
        if tasks:
            await asyncio.wait(tasks)
        for task, attempt in list(self.tasks.items()):
            attempt.over(task)  # cancelled before its first step


@define(eq=False)
class _Attempt:
    """An attempt that has its permission. `reply`: what the caller of a write awaits, who may stop waiting."""

    runner: AttemptRunner
    pending: PendingRequest
    permit: Permit
    gate: Gate
    token: Token
    limit: float
    task: "asyncio.Task[Answer | None] | None" = None
    reply: "asyncio.Future[Answer | None] | None" = None

    async def run(self) -> Answer | None:
        """Send the request and read its answer. `None`: the permission had lapsed, nothing was sent."""
        runner, pending = self.runner, self.pending
        call, request = pending.call, pending.request
        row = request.operation
        url = runner.base_url + request.path
        trace: AttemptTrace | None = None
        answer: Answer | None = None
        status: int | None = None
        error_type: str | None = "closed"
        is_held_back = False
        headers: dict[str, str] = {}
        outgoing = Outgoing(row.method, url, headers, request.body, self.gate, call.trace)
        try:
            if call.trace.is_observed:
                trace = call.trace.attempt(Target(row.method, url, row.path, runner.address, pending.sent))
                outgoing.on_leave = trace.leave
            else:
                headers.update(call.trace.new_headers())
            headers["Authorization"] = self.token.header
            headers["Cint-API-Version"] = runner.api_version
            headers.update(request.headers)
            attempted = await runner.transport.send(
                outgoing, timeout=self.limit, connect_timeout=runner.timeout.connect
            )
            if outgoing.is_held:
                raise HeldBack  # its time was up at the gate: it waited for the pace, and not for a connection
            answer = read_clean(request, attempted, runner.secrets.redactor, _now)
            if isinstance(attempted, Response):
                status = attempted.status
            error_type = None
            if isinstance(answer, Accepted):
                if self.token.trial is Trial.PENDING:
                    self.token.worked()
            else:
                error_type = error_type_of(attempted, answer)
                self._not_accepted(answer, error_type)
        except HeldBack:
            is_held_back = True
            pending.place = self.permit.place
        except asyncio.CancelledError as cancelled:
            if not runner.closing:
                error_type = "cancelled"
                self._broke_off(cancelled)
                raise without_frames(cancelled)  # noqa: B904 - it is the same one
            reason = "the session was closed"
            answer = read(request, Lost(reason) if outgoing.left else NotSent(reason), datetime.now(UTC))
        except BaseException as error:
            self._broke_off(error)
            raise
        finally:
            call.requests += outgoing.left
            call.trace.counts.requests += outgoing.left
            pending.sent += outgoing.left
            if self.gate.waited:
                call.trace.waited("rate", self.gate.waited)
            if trace is not None:
                trace.end(status=status, error_type=error_type, held_back=is_held_back)
        assert self.task is not None  # noqa: S101 - set before the first step
        del runner.tasks[self.task]
        runner.limiter.release(self.permit)
        if self.reply is not None and not self.reply.done():
            self.reply.set_result(answer)
        return answer

    def _not_accepted(self, answer: Answer, error_type: str) -> None:
        """Report an answer that is no success to the limiter and to the telemetry."""
        trace = self.pending.call.trace
        self.pending.error_type = error_type
        if isinstance(answer, Throttled):
            pause = self.runner.limiter.throttled(self.permit, answer.error)
            if pause is not None:
                trace.pausing(pause)
        elif isinstance(answer, Failed) and answer.may_be_applied and self.pending.request.operation.is_write:
            trace.lost_reply(error_type)

    def _broke_off(self, error: BaseException) -> None:
        """Return the permission, and pass the exception on to the caller of a write."""
        assert self.task is not None  # noqa: S101 - set before the first step
        del self.runner.tasks[self.task]
        self.runner.limiter.release(self.permit)
        reply = self.reply
        if reply is None:
            return
        if isinstance(error, asyncio.CancelledError):
            reply.cancel()
        elif not reply.done():
            reply.set_exception(error)
        self.task.add_done_callback(_retrieve)  # the caller awaits the reply, not the task

    def over(self, task: "asyncio.Task[Answer | None]") -> None:
        """End an attempt that was cancelled before its first step."""
        if task in self.runner.tasks:
            self._broke_off(asyncio.CancelledError())


def _retrieve(task: "asyncio.Task[Answer | None]") -> None:
    if not task.cancelled():
        task.exception()  # otherwise asyncio logs it as never retrieved
