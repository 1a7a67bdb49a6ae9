"""Sending a request: attempts with backoffs between them, until an answer stands or time runs out."""

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

from attrs import Factory, define

from fielding_async.core.config import Retry
from fielding_async.core.conflict.attempts import Attempts, Next, RequestEnd, SingleAttempts
from fielding_async.core.conflict.write_log import WriteLog
from fielding_async.core.errors import FieldingError, SessionClosedError
from fielding_async.core.wire.replies import Accepted, Answer, Failed
from fielding_async.core.wire.requests import Request

from .attempt import AttemptRunner
from .backoff_waits import Uniform, retry_waits
from .call import Call, OutOfTimeError, PendingRequest, record_lapsed, session_closed

__all__ = ["RequestSender"]

_T = TypeVar("_T")
_TICK = 0.005  # seconds: about the precision of an event loop's timers


@define(eq=False)
class RequestSender:
    """Sends the requests of one session."""

    attempts: AttemptRunner
    retry: Retry
    uniform: Uniform
    loop: asyncio.AbstractEventLoop
    closing: bool = False
    # ordered, so that closing goes through them in the same order every time
    _sleepers: "dict[asyncio.Future[None], None]" = Factory(dict)  # pyright: ignore[reportUnknownVariableType]
    _readers: "dict[asyncio.Task[Any], None]" = Factory(dict)  # pyright: ignore[reportUnknownVariableType]

    def prepare(
        self,
        call: Call,
        request: Request,
        *,
        settling: bool = False,
        attempts: Attempts | None = None,
        log: WriteLog | None = None,
    ) -> PendingRequest:
        """Return a request to `send`. `settling`: it is the GET that settles a lost reply.

        `attempts`: those made before, if it is sent on. `log`: asked before each attempt whether it may leave.
        """
        pending = PendingRequest(call, request, settling, RequestEnd(attempts or Attempts(self.retry.max_attempts)))
        if log is not None:
            pending.may_leave = log.may_leave
        return pending

    def prepare_raw(self, call: Call, request: Request) -> PendingRequest:
        """Return a request of the caller's own to `send`: a write is not sent again where it may have been applied."""
        kind = SingleAttempts if request.operation.is_sent_once else Attempts
        return self.prepare(call, request, attempts=kind(self.retry.max_attempts))

    async def send(self, pending: PendingRequest) -> RequestEnd:
        """Attempt until the answer stands, attempts are used up, or a wait could not end in time.

        Neither a permission that lapsed, nor a token that was refused and can be renewed, counts as an attempt. A write
        whose record permits it no more ends in a `JournalError`.
        """
        end, attempts = pending.end, self.attempts
        waits: Iterator[float] | None = None
        try:
            while True:
                answer: Answer | None
                if pending.may_leave is not None and not pending.may_leave():
                    end.gave_up, end.failure = True, record_lapsed(pending.request)
                    return end
                started = attempts.start(pending) or await attempts.start_later(pending)
                if isinstance(started, Failed):
                    answer = started
                else:
                    answer = await started.run()
                    pending.gate = None
                if answer is None:
                    continue
                if pending.call.retry_limit is not None:
                    pending.call.retry_limit.note(answer, self.loop.time())
                if isinstance(answer, Accepted):
                    end.accepted = answer.response
                    return end
                status = getattr(answer.error, "status", 0)
                if (
                    status in {401, 403}
                    and answer is not started
                    and isinstance(answer, Failed)
                    and not (end.attempts.is_single and answer.may_be_applied)
                    and attempts.renewed_token_helps(pending, status)
                ):
                    end.attempts.doubt(answer)
                    continue
                pending.is_replayed = False
                end.failure = answer.error
                end.unclear = answer.unclear if isinstance(answer, Failed) else None
                step = end.attempts.note(answer)
                if self.closing:
                    raise session_closed()
                if step is Next.AT_ONCE:
                    continue
                if step is Next.AFTER_A_WAIT:
                    waits = waits or retry_waits(self.retry, self.uniform)
                    wait = next(waits)
                    if isinstance(answer, Failed):
                        wait = max(wait, answer.retry_after)
                    if await self._back_off(pending, wait, answer.error):
                        continue
                end.gave_up = step is not Next.FINAL
                return end
        except SessionClosedError as closed:
            end.gave_up = True
            end.failure = closed
            return end
        except OutOfTimeError as out:
            end.out_of_time = end.gave_up = True
            end.failure = out.error(pending.request.operation.method, pending.request.path, end.failure)
            return end

    async def _back_off(self, pending: PendingRequest, wait: float, error: FieldingError) -> bool:
        """Wait before the next attempt. Returns `False` if there is none.

        That is so at once where the wait could not end in time; else when the limit of the call for retries is reached.
        """
        call, now = pending.call, self.loop.time()
        until, end = pending.waits_until(now), now + wait
        if until is None or end < until:
            limit = call.retry_limit
            if limit is not None and limit.until <= now:
                return False
            call.trace.retrying(pending.end.attempts.used, pending.error_type, wait)
            while limit is not None and limit.until < end:
                if limit.until <= self.loop.time():
                    return False
                # others that share the limit may be answered meanwhile, which moves it
                await self.sleep(limit.until - self.loop.time(), None)
        if await self.sleep(end - self.loop.time(), until):
            call.trace.waited("backoff", wait)
            return True
        pending.end.out_of_time = True
        if until is not None and self.loop.time() >= until - _TICK:
            request = pending.request
            pending.end.failure = OutOfTimeError(None).error(request.operation.method, request.path, error)
        return False

    async def sleep(self, seconds: float, until: float | None) -> bool:
        """Wait, holding no slot. Returns `False`, at once, if the wait could not end by `until`.

        Raises `SessionClosedError` when the session closes.
        """
        if self.closing:
            raise session_closed()
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

    def start_reader(self, work: Coroutine[Any, Any, _T]) -> "asyncio.Task[_T]":
        """Start a task that reads a list. It ends by itself when the session closes, as its requests do."""
        task = self.loop.create_task(work, name="fielding-async reader")
        self._readers[task] = None
        task.add_done_callback(self._readers.pop)
        return task

    def close_now(self) -> None:
        """End everything in progress: waits fail, attempts are cancelled, the transport closes. Waits for nothing."""
        self.closing = True
        attempts = self.attempts
        attempts.limiter.close(session_closed)
        for wake in self._sleepers:
            if not wake.done():
                wake.set_exception(session_closed())
        attempts.keeper.close_now()
        attempts.close_now()
        attempts.transport.close_now()

    async def aclose(self) -> None:
        """Wait until everything has ended that `close_now` ends."""
        attempts = self.attempts
        try:
            await attempts.aclose()
            await attempts.keeper.aclose()
            while self._readers:  # one that just ended may have started another, which ends at once
                await asyncio.wait(list(self._readers))
        finally:
            await attempts.transport.aclose()


def _wake(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
