"""One HTTP exchange with its attempts: token, permission, send, read, back off, until it stands or time runs out."""

import asyncio
import copy
from collections.abc import Iterator

from attrs import define, field

from fielding_async.core.config import Retry, Timeout
from fielding_async.core.conflict.attempts import Attempts, Next
from fielding_async.core.errors import (
    DeadlineExceededError,
    FieldingError,
    RateLimitError,
    SessionClosedError,
    TransportError,
)
from fielding_async.core.token_life import Token
from fielding_async.core.wire.replies import Accepted, Answer, Failed, Request

from .attempt_tasks import Flights
from .backoff_waits import Uniform, retry_waits
from .call import Call, Ended
from .limiter import Limiter, Permit, WaitTooLongError
from .token_keeper import TokenKeeper

__all__ = ["Exchanger"]

_TICK = 0.005  # timers of an event loop are about this exact


class _OutOfTime(Exception):  # noqa: N818 - internal signal
    def __init__(self, pause: RateLimitError | None, waiting_for: str = "permission to send") -> None:
        super().__init__()
        self.pause = pause
        self.waiting_for = waiting_for


@define(eq=False)
class Exchanger:
    """The one driver of HTTP exchanges of a session."""

    flights: Flights
    limiter: Limiter
    keeper: TokenKeeper
    retry: Retry
    timeout: Timeout
    uniform: Uniform
    loop: asyncio.AbstractEventLoop
    closing: bool = False
    # ordered, so that closing goes through them in the same order every time
    _sleepers: "dict[asyncio.Future[None], None]" = field(factory=dict)  # pyright: ignore[reportUnknownVariableType]

    async def exchange(self, call: Call, request: Request, *, settling: bool = False) -> Ended:
        """Attempt until the answer stands, attempts are used up, or a wait could not end in time."""
        ended = Ended(Attempts(self.retry.max_attempts))
        call.attempts = ended.attempts
        call.requests_before = call.requests
        waits: Iterator[float] | None = None
        try:
            while True:
                answer = await self._attempt(call, request, settling=settling)
                if isinstance(answer, Accepted):
                    ended.accepted = answer.response
                    return ended
                ended.failure = answer.error
                step = ended.attempts.note(answer)
                if self.closing:
                    raise _session_closed()
                if step is Next.AT_ONCE:
                    continue
                if step is Next.AFTER_A_WAIT:
                    waits = waits or retry_waits(self.retry, self.uniform)
                    wait = next(waits)
                    if isinstance(answer, Failed):
                        wait = max(wait, answer.retry_after)
                    until = call.until(settling=settling)
                    if until is None or self.loop.time() + wait < until:
                        call.trace.retrying(ended.attempts.used, call.error_type, wait)
                    if await self.sleep(wait, until):
                        call.trace.waited("backoff", wait)
                        continue
                    ended.out_of_time = True
                    if until is not None and self.loop.time() >= until - _TICK:
                        ended.failure = self._time_ran_out(request, None, answer.error)
                ended.gave_up = step is not Next.DONE
                return ended
        except SessionClosedError as closed:
            ended.gave_up = True
            ended.failure = closed
            return ended
        except _OutOfTime as out:
            ended.out_of_time = ended.gave_up = True
            ended.failure = self._time_ran_out(request, out.pause, ended.failure, out.waiting_for)
            return ended

    def _time_ran_out(
        self,
        request: Request,
        pause: RateLimitError | None,
        last: FieldingError | None,
        waiting_for: str = "permission to send",
    ) -> FieldingError:
        method, path = request.operation.method, request.path
        if pause is None:
            after = f" after: {last.message}" if last is not None else f" while waiting for {waiting_for}"
            error: FieldingError = DeadlineExceededError(f"time ran out{after}", method=method, path=path)
            error.__cause__ = last
            return error
        error = copy.copy(pause)
        error.__dict__.update(method=method, path=path, ref=None, trace_id=None, idempotency_key=None)
        return error

    async def sleep(self, seconds: float, until: float | None) -> bool:
        """Wait, holding no slot. Returns `False`, at once, if the wait could not end in time."""
        if self.closing:
            raise _session_closed()
        end = self.loop.time() + seconds
        if until is not None and end >= until:
            return False
        if seconds <= 0:
            return True
        wake: asyncio.Future[None] = self.loop.create_future()
        timer = self.loop.call_at(end, _wake, wake)
        self._sleepers[wake] = None
        try:
            await wake
        finally:
            timer.cancel()
            self._sleepers.pop(wake, None)
        return True

    async def _attempt(self, call: Call, request: Request, *, settling: bool) -> Answer:
        """Make one attempt. A token refused but renewable, and a permission lapsed, are no attempts."""
        replayed = False
        while True:
            token = self.keeper.usable()
            permit = None if token is None else self.limiter.try_acquire(under_way=call.permitted)
            if permit is None or token is None:
                try:
                    permit, token = await self._permission(call, call.until(settling=settling))
                except (FieldingError, _TokenSourceError) as error:
                    return self._no_token(request, error)
            now = self.loop.time()
            call.permit(now)
            until = call.until(settling=settling)
            limit = self.timeout.attempt if until is None else min(self.timeout.attempt, until - now)
            if limit <= 0:
                self.limiter.release(permit)
                raise _OutOfTime(self.limiter.refusal)
            try:
                answer = await self.flights.start(call, request, permit, token, limit)
            except asyncio.CancelledError:
                if self.closing and not _is_cancelled():
                    raise _session_closed() from None  # it was cut before its first step
                raise
            call.in_flight = None
            if isinstance(answer, Accepted):
                token.worked()
            elif answer is None:
                continue
            elif (status := getattr(answer.error, "status", 0)) in {401, 403} and self.keeper.refused(
                token, status, replayed=replayed
            ):
                call.trace.replaying(status)
                replayed = True
                continue
            return answer

    async def _permission(self, call: Call, until: float | None) -> tuple[Permit, Token]:
        while True:
            if self.keeper.usable() is None:
                await self._fetch_token(call, until)
            began, reason = self.loop.time(), self.limiter.waits_for
            try:
                permit = await self.limiter.acquire(under_way=call.permitted, deadline=until, patience=call.total)
            except WaitTooLongError as error:
                pause = error.pause
                call.trace.waited(reason, self.loop.time() - began)
            else:
                call.trace.waited(reason, self.loop.time() - began)
                token = self.keeper.usable()
                if token is not None:
                    return permit, token
                self.limiter.release(permit)  # it came to its end in the queue
                continue
            raise _OutOfTime(pause)

    async def _fetch_token(self, call: Call, until: float | None) -> None:
        if until is None and call.total is not None:
            until = self.loop.time() + call.total  # the call's own time starts with a permission, which needs a token
        limit = asyncio.timeout_at(until)
        began = self.loop.time()
        try:
            async with limit:
                await self.keeper.fetch(call.trace)
        except TimeoutError as error:
            if limit.expired():
                raise _OutOfTime(None, "a token") from None
            raise _TokenSourceError from error
        except FieldingError:
            raise
        except Exception as error:
            raise _TokenSourceError from error
        except asyncio.CancelledError as error:
            if _is_cancelled():
                raise
            if self.closing:
                raise _session_closed() from None
            raise _TokenSourceError from error  # the source was cancelled, not we
        finally:
            call.trace.waited("token", self.loop.time() - began)

    def _no_token(self, request: Request, error: Exception) -> Failed:
        if isinstance(error, FieldingError):
            repeatable = isinstance(error, TransportError)
            return Failed(copy.copy(error), repeatable=repeatable, may_be_applied=False)
        cause = error.__cause__
        problem = TransportError(
            f"no token: the callable raised {type(cause).__name__}", method=request.operation.method, path=request.path
        )
        problem.__cause__ = cause
        return Failed(problem, repeatable=False, may_be_applied=False)

    async def aclose(self) -> None:
        """End everything under way: waits fail, exchanges are cut."""
        self.closing = True
        self.limiter.close(_session_closed)
        for wake in self._sleepers:
            if not wake.done():
                wake.set_exception(_session_closed())
        await self.keeper.aclose()
        await self.flights.aclose()
        await self.flights.transport.aclose()


class _TokenSourceError(Exception):
    """The caller's token callable raised; its exception is the cause."""


def _session_closed() -> SessionClosedError:
    return SessionClosedError("the session was closed while the call was under way")


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _wake(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
