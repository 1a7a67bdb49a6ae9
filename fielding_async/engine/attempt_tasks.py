"""Attempts on their way, each in a task of its own: a write goes on to its end even if its caller is cancelled."""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime

from attrs import Factory, define

from fielding_async.core.config import Timeout
from fielding_async.core.token_life import Token
from fielding_async.core.wire.replies import (
    Accepted,
    Answer,
    Failed,
    Lost,
    NotSent,
    Request,
    Response,
    Throttled,
    error_type_of,
    read,
)
from fielding_async.http.transport import HeldBack, Outgoing, Transport
from fielding_async.telemetry.attempt_trace import AttemptTrace, Target, address_of

from .call import Call
from .limiter import Limiter, Permit

__all__ = ["Flights"]


class Flights:
    """The attempts under way of one session."""

    def __init__(
        self,
        transport: Transport,
        limiter: Limiter,
        timeout: Timeout,
        base_url: str,
        api_version: str,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self.transport: Transport = transport
        self.limiter: Limiter = limiter
        self.connect_timeout: float = timeout.connect
        self.base_url: str = base_url
        self.api_version: str = api_version
        self.closing: bool = False
        self.address: dict[str, str | int] = address_of(base_url)
        self._loop = loop
        # ordered, so that closing goes through them in the same order every time
        self.tasks: dict[asyncio.Task[Answer | None], _Flight] = {}

    def start(
        self, call: Call, request: Request, permit: Permit, token: Token, limit: float
    ) -> Awaitable[Answer | None]:
        """Start an attempt, and return what to wait for: the answer, or `None` if the permission had lapsed.

        To stop waiting ends a read; a write goes on. The permit is handed back when it is over.
        """
        flight = _Flight(self, call, request, permit, token, limit)
        task = call.in_flight = flight.task = self._loop.create_task(flight.fly())
        self.tasks[task] = flight
        if not request.operation.is_write:
            # it may be cancelled before its first step, and then it never lands by itself
            task.add_done_callback(flight.over)
            return task
        flight.reply = self._loop.create_future()
        return flight.reply

    async def aclose(self) -> None:
        """Cut what is under way, and wait until it is over."""
        self.closing = True
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for task, flight in list(self.tasks.items()):
            flight.over(task)  # cancelled before its first step


@define(eq=False)
class _Flight:
    """One attempt. `reply`: what the caller of a write waits for, who may go while the write goes on."""

    flights: Flights
    call: Call
    request: Request
    permit: Permit
    token: Token
    limit: float
    task: "asyncio.Task[Answer | None] | None" = None
    reply: "asyncio.Future[Answer | None] | None" = None
    attempt: AttemptTrace | None = None
    headers: dict[str, str] = Factory(dict[str, str])

    async def fly(self) -> Answer | None:
        """Send and read. `None`: the permission had lapsed, nothing was sent."""
        flights, call, request, headers = self.flights, self.call, self.request, self.headers
        row = request.operation
        url = flights.base_url + request.path
        outgoing = Outgoing(row.method, url, headers, request.body, self.may_leave, call.trace)
        answer: Answer | None = None
        status: int | None = None
        error_type: str | None = "closed"
        is_held_back = False
        try:
            if call.trace.is_told:
                resend = call.requests - call.requests_before
                self.attempt = call.trace.attempt(Target(row.method, url, row.path, flights.address, resend))
            else:
                headers.update(call.trace.mint())
            headers["Authorization"] = self.token.header
            headers["Cint-API-Version"] = flights.api_version
            headers.update(request.headers)
            attempted = await flights.transport.send(
                outgoing, timeout=self.limit, connect_timeout=flights.connect_timeout
            )
            answer = read(request, attempted, datetime.now(UTC))
            if isinstance(attempted, Response):
                status = attempted.status
            error_type = None if isinstance(answer, Accepted) else error_type_of(attempted, answer)
            if error_type is not None:
                self.not_accepted(answer, error_type)
        except HeldBack:
            is_held_back = True
        except asyncio.CancelledError as cancelled:
            if not flights.closing:
                error_type = "cancelled"
                self.broke_off(cancelled)
                raise
            reason = "the session was closed"
            answer = read(request, Lost(reason) if outgoing.left else NotSent(reason), datetime.now(UTC))
        except BaseException as error:
            self.broke_off(error)
            raise
        finally:
            call.requests += outgoing.left
            if self.attempt is not None:
                self.attempt.end(status=status, error_type=error_type, held_back=is_held_back)
        self.landed(answer)
        return answer

    def not_accepted(self, answer: Answer, error_type: str) -> None:
        """Tell the limiter, and whoever listens, of an answer that is no success."""
        call = self.call
        call.error_type = error_type
        if isinstance(answer, Throttled):
            pause = self.flights.limiter.throttled(self.permit, answer.error)
            if pause is not None:
                call.trace.pausing(pause)
        elif isinstance(answer, Failed) and answer.may_be_applied and self.request.operation.is_write:
            call.trace.lost_reply(error_type)

    def may_leave(self) -> float | None:
        """Return when the request may leave, as the limiter says it; asked at the socket."""
        wait = None if self.call.abandoned else self.flights.limiter.may_leave(self.permit)
        if self.attempt is not None and wait == 0:
            self.headers.update(self.attempt.leave())
        return wait

    def landed(self, answer: Answer | None) -> None:
        """Hand the permit back, and tell the caller of a write."""
        self.hand_back()
        if self.reply is not None and not self.reply.done():
            self.reply.set_result(answer)

    def broke_off(self, error: BaseException) -> None:
        """Hand the permit back, and pass the exception on to the caller of a write."""
        self.hand_back()
        reply = self.reply
        if reply is None:
            return
        if isinstance(error, asyncio.CancelledError):
            reply.cancel()
        elif not reply.done():
            reply.set_exception(error)
        assert self.task is not None  # noqa: S101 - it is running
        self.task.add_done_callback(_note)  # whose caller waits for the reply, not for the task

    def hand_back(self) -> None:
        """Give the permit back."""
        assert self.task is not None  # noqa: S101 - set before the first step
        del self.flights.tasks[self.task]
        self.flights.limiter.release(self.permit)

    def over(self, task: "asyncio.Task[Answer | None]") -> None:
        """Land what was cancelled before its first step."""
        if task in self.flights.tasks:
            self.broke_off(asyncio.CancelledError())


def _note(task: "asyncio.Task[Answer | None]") -> None:
    if not task.cancelled():
        task.exception()
