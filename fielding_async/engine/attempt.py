"""One attempt at a request, from its permission to its answer.

It runs in the task of its caller. A cancelled caller does not cut a write that has left: what remains of the attempt
goes on to its end in a task of its own, while the caller has stopped waiting for the reply.
"""

import asyncio
from datetime import UTC, datetime
from functools import partial
from urllib.parse import urlsplit

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
    Response,
    Throttled,
    error_type_of,
)
from fielding_async.http.transport import Gate, GoingOn, HeldBack, Outgoing
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

__all__ = ["Attempt", "AttemptRunner"]

_LEAST_TIME = 0.001  # seconds: with less left of its call's time, an attempt is not begun


def _now() -> datetime:
    return datetime.now(UTC)


@define(eq=False)
class AttemptRunner:
    """Makes the attempts of one session."""

    transport: GoingOn
    limiter: Limiter
    keeper: TokenKeeper
    timeout: Timeout
    base_url: str
    api_version: str
    secrets: Secrets
    loop: asyncio.AbstractEventLoop
    closing: bool = False
    # both ordered, so that closing goes through them in the same order every time
    under_way: "dict[Attempt, None]" = Factory(dict)  # pyright: ignore[reportUnknownVariableType]
    tasks: "dict[asyncio.Task[Answer | None], Attempt]" = Factory(dict)  # pyright: ignore[reportUnknownVariableType]
    address: dict[str, str | int] = Factory(lambda self: address_of(self.base_url), takes_self=True)
    base_path: str = Factory(lambda self: urlsplit(str(self.base_url)).path, takes_self=True)
    all_over: asyncio.Future[None] | None = None

    def start(self, pending: PendingRequest) -> "Attempt | None":
        """Start an attempt if there are a token and a permission at once; otherwise return `None`: call `start_later`.

        What is returned must be run. Raises `OutOfTimeError` and `SessionClosedError`.
        """
        token = self.keeper.usable()
        if token is None:
            return None
        permit = self.limiter.try_acquire(is_background=pending.call.is_background)
        if permit is None:
            return None
        return self._start(pending, permit, token, pending.ends_by(self.loop.time()))

    async def start_later(self, pending: PendingRequest) -> "Attempt | Failed":
        """Wait for a token and a permission, and start the attempt; returns the failure if there can be no token.

        Raises `OutOfTimeError` and `SessionClosedError`.
        """
        try:
            permit, token = await self._permission(pending, pending.waits_until(self.loop.time()))
        except (FieldingError, TokenSourceError) as error:
            return no_token(pending.request, error)
        return self._start(pending, permit, token, pending.ends_by(self.loop.time()))

    def _start(self, pending: PendingRequest, permit: Permit, token: Token, until: float | None) -> "Attempt":
        if self.closing:  # since the permission was given
            self.limiter.release(permit)
            raise session_closed()
        limit = self.timeout.attempt
        if until is not None and (left := until - self.loop.time()) < limit:
            limit = left
            if limit < _LEAST_TIME:
                self.limiter.release(permit)
                raise OutOfTimeError(self.limiter.refusal, WAITED_FOR["rate"])
        attempt = Attempt(self, pending, permit, token, limit)
        self.under_way[attempt] = None
        return attempt

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
        """Let nothing leave any more. The transport ends the attempts in flight when it closes."""
        self.closing = True
        for attempt in self.under_way:
            attempt.pending.abandon()

    async def aclose(self) -> None:
        """Wait until the attempts in flight have ended."""
        while self.under_way:
            if self.all_over is None:
                self.all_over = self.loop.create_future()
            await asyncio.shield(self.all_over)
        if self.tasks:
            await asyncio.wait(list(self.tasks))


@define(eq=False)
class Attempt:
    """An attempt that has its permission. `limit`: in seconds. `lost`: what came of one that cannot go on."""

    runner: AttemptRunner
    pending: PendingRequest
    permit: Permit
    token: Token
    limit: float
    outgoing: Outgoing | None = None
    trace: AttemptTrace | None = None
    lost: Lost | None = None

    def _prepared(self) -> Outgoing:
        runner, pending = self.runner, self.pending
        call, request = pending.call, pending.request
        row, limiter = request.operation, runner.limiter
        ask = partial(limiter.may_leave, self.permit)
        gate = pending.gate = Gate(ask, runner.loop.time, limiter.gate_queue, self.permit, pending.may_leave)
        pending.token = self.token
        url = runner.base_url + request.path
        if call.trace.is_observed:
            headers: dict[str, str] = {}
            template = runner.base_path + row.path if row.path else ""
            trace = self.trace = call.trace.attempt(Target(row.method, url, template, runner.address, pending.sent))
            on_leave = trace.leave
        else:
            headers = call.trace.new_headers()
            on_leave = None
        headers["Authorization"] = self.token.header
        headers["Cint-API-Version"] = runner.api_version
        headers.update(request.headers)
        if request.query:
            url += request.query  # telemetry shows none
        return Outgoing(
            row.method, url, headers, request.body, gate, call.trace, on_leave=on_leave, outlives=row.is_write
        )

    async def run(self) -> Answer | None:
        """Send the request and read its answer. `None`: the permission had lapsed, nothing was sent.

        Cancelling it ends a read. A write that has left, or may still be held back at its gate, goes on in the task
        `pending.task`, which ends with its answer.
        """
        runner, pending = self.runner, self.pending
        outgoing = self.outgoing
        answer: Answer | None = None
        status: int | None = None
        error_type: str | None = "closed"
        is_held_back = is_handed_over = False
        try:
            if outgoing is None:
                outgoing = self.outgoing = self._prepared()
            attempted = self.lost or await runner.transport.send(
                outgoing, timeout=self.limit, connect_timeout=runner.timeout.connect
            )
            if outgoing.is_held:
                raise HeldBack  # its time was up at the gate: it waited for the pace, and not for a connection
            answer = read_clean(pending.request, attempted, runner.secrets.redactor, _now)
            if isinstance(attempted, Response):
                status = attempted.status
            if isinstance(answer, Accepted):
                error_type = None
                if self.token.trial is Trial.PENDING:
                    self.token.worked()
            elif status is not None or not runner.closing:
                error_type = error_type_of(attempted, answer)
                self._not_accepted(answer, error_type)
        except HeldBack:
            is_held_back = True
            pending.place = self.permit.place
        except asyncio.CancelledError as cancelled:
            error_type = "cancelled"
            is_handed_over = self._hand_over()
            raise without_frames(cancelled)  # noqa: B904 - it is the same one
        finally:
            if not is_handed_over:
                self._over(status, error_type, is_held_back=is_held_back)
        return answer

    def _over(self, status: int | None, error_type: str | None, *, is_held_back: bool = False) -> None:
        """Count the attempt, end its span, and return its slot."""
        runner, pending, outgoing = self.runner, self.pending, self.outgoing
        if outgoing is not None and outgoing.left:
            pending.call.requests += 1
            pending.call.trace.counts.requests += 1
            pending.sent += 1
        gate = pending.gate
        if gate is not None and gate.waited:
            pending.call.trace.waited("rate", gate.waited)
        if self.trace is not None:
            self.trace.end(status=status, error_type=error_type, held_back=is_held_back)
        del runner.under_way[self]
        runner.limiter.release(self.permit)
        if runner.all_over is not None and not runner.under_way:
            runner.all_over.set_result(None)
            runner.all_over = None

    def _hand_over(self) -> bool:
        """Let the rest of a write go on in a task of its own, as its caller was cancelled. Returns whether it does.

        One that has not left is kept from leaving.
        """
        outgoing, pending, runner = self.outgoing, self.pending, self.runner
        if outgoing is None or not outgoing.outlives or not (outgoing.left or outgoing.rest is not None):
            return False
        pending.abandon()
        outgoing.outlives = False  # a second cancellation is not its caller's: it ends the attempt
        if outgoing.rest is None:
            self.lost = Lost("the reply was not read")
        task = pending.task = runner.loop.create_task(self.run(), name="fielding-async write")
        runner.tasks[task] = self
        task.add_done_callback(self._handed_over_ended)
        return True

    def _handed_over_ended(self, task: asyncio.Task[Answer | None]) -> None:
        runner, outgoing = self.runner, self.outgoing
        del runner.tasks[task]
        if self in runner.under_way:  # the task was cancelled before its first step, so nothing of it has run
            if outgoing is not None and outgoing.rest is not None:
                runner.transport.give_up(outgoing)
            self._over(None, "cancelled")

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
