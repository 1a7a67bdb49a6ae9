"""Attempts on their way, each in a task of its own: a write goes on to its end even if its caller is cancelled."""

import asyncio
import logging
from collections.abc import Awaitable
from datetime import UTC, datetime
from urllib.parse import urlsplit

from attrs import define

from .calls import Call
from .config import Timeout
from .limiter import Limiter, Permit
from .tokens import Token
from .transport import HeldBack, Outgoing, Transport
from .wire import Answer, Lost, NotSent, Request, Response, Throttled, read

__all__ = ["Flights"]

_log = logging.getLogger("fielding_async")


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
        parts = urlsplit(base_url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        self.address: dict[str, str | int] = {"server.address": parts.hostname or "", "server.port": port}
        self._loop = loop
        # ordered, so that closing goes through them in the same order every time
        self.tasks: dict[asyncio.Task[Answer | None], None] = {}

    def start(
        self, call: Call, request: Request, permit: Permit, token: Token, limit: float
    ) -> Awaitable[Answer | None]:
        """Start an attempt, and return what to wait for: the answer, or `None` if the permission had lapsed.

        To stop waiting ends a read; a write goes on. The permit is handed back when it is over.
        """
        flight = _Flight(self, call, request, permit, token, limit)
        task = self._loop.create_task(flight.fly())
        self.tasks[task] = None
        # not in the task itself: one that is cancelled before its first step never runs
        task.add_done_callback(flight.over)
        call.in_flight = task
        if not request.operation.is_write:
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


@define(eq=False)
class _Flight:
    """One attempt. `reply`: what the caller of a write waits for, who may go while the write goes on."""

    flights: Flights
    call: Call
    request: Request
    permit: Permit
    token: Token
    limit: float
    reply: "asyncio.Future[Answer | None] | None" = None

    async def fly(self) -> Answer | None:
        """Send and read. `None`: the permission had lapsed, nothing was sent."""
        flights, call, request = self.flights, self.call, self.request
        row = request.operation
        trace = call.trace.attempt(row.method, row.path, flights.address, call.requests - call.requests_before)
        headers = trace.headers
        headers["Authorization"] = self.token.header
        headers["Cint-API-Version"] = flights.api_version
        headers.update(request.headers)
        outgoing = Outgoing(
            row.method, flights.base_url + request.path, headers, request.body, self.may_leave, quiet=True
        )
        status: int | None = None
        error_type: str | None = "held_back"
        try:
            attempted = await flights.transport.send(
                outgoing, timeout=self.limit, connect_timeout=flights.connect_timeout
            )
            if isinstance(attempted, Response):
                status, error_type = attempted.status, None
            else:
                error_type = "timeout" if isinstance(attempted, Lost) and attempted.timed_out else "connection"
            answer = read(request, attempted, datetime.now(UTC))
            if isinstance(answer, Throttled):
                flights.limiter.throttled(self.permit, answer.error)
                _log.info("%s: 429, all requests pause", call.name)
        except HeldBack:
            return None
        except asyncio.CancelledError:
            if not flights.closing:
                raise
            error_type = "closed"
            reason = "the session was closed"
            return read(request, Lost(reason) if outgoing.left else NotSent(reason), datetime.now(UTC))
        else:
            return answer
        finally:
            call.requests += outgoing.left
            trace.end(status=status, error_type=error_type)

    def may_leave(self) -> float | None:
        """Return when the request may leave, as the limiter says it; asked at the socket."""
        return None if self.call.abandoned else self.flights.limiter.may_leave(self.permit)

    def over(self, task: "asyncio.Task[Answer | None]") -> None:
        """Hand the permit back, and tell the caller of a write."""
        del self.flights.tasks[task]
        self.flights.limiter.release(self.permit)
        reply = self.reply
        if reply is None:
            return
        if task.cancelled():
            reply.cancel()
        elif (error := task.exception()) is not None:
            if not reply.done():
                reply.set_exception(error)
        elif not reply.done():
            reply.set_result(task.result())
