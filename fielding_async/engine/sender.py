"""Sending a request: attempts with backoffs between them, until an answer stands or time runs out."""

import asyncio
from collections.abc import Iterator

from attrs import Factory, define

from fielding_async.core.config import Retry
from fielding_async.core.conflict.attempts import Attempts, Next, RequestEnd
from fielding_async.core.errors import FieldingError, SessionClosedError
from fielding_async.core.wire.replies import Accepted, Answer, Failed
from fielding_async.core.wire.requests import Request

from .attempt import AttemptRunner
from .backoff_waits import Uniform, retry_waits
from .call import Call, OutOfTimeError, PendingRequest, session_closed

__all__ = ["RequestSender"]

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

    def prepare(
        self, call: Call, request: Request, *, settling: bool = False, attempts: Attempts | None = None
    ) -> PendingRequest:
        """Return a request to `send`. `settling`: it is the GET that settles a lost reply.

        `attempts`: those made before, if it is sent on.
        """
        return PendingRequest(call, request, settling, RequestEnd(attempts or Attempts(self.retry.max_attempts)))

    async def send(self, pending: PendingRequest) -> RequestEnd:
        """Attempt until the answer stands, attempts are used up, or a wait could not end in time.

        Neither a permission that lapsed, nor a token that was refused and can be renewed, counts as an attempt.
        """
        end, attempts = pending.end, self.attempts
        waits: Iterator[float] | None = None
        try:
            while True:
                answer: Answer | None
                started = attempts.start(pending) or await attempts.start_later(pending)
                if isinstance(started, Failed):
                    answer = started
                else:
                    answer = await started.run()
                    pending.gate = None
                if answer is None:
                    continue
                if isinstance(answer, Accepted):
                    end.accepted = answer.response
                    return end
                status = getattr(answer.error, "status", 0)
                if status in {401, 403} and answer is not started and attempts.renewed_token_helps(pending, status):
                    if isinstance(answer, Failed):
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
        """Wait before the next attempt. Returns `False`, at once, if the wait could not end in time."""
        call = pending.call
        until = pending.waits_until(self.loop.time())
        if until is None or self.loop.time() + wait < until:
            call.trace.retrying(pending.end.attempts.used, pending.error_type, wait)
        if await self.sleep(wait, until):
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

    def close_now(self) -> None:
        """End everything under way: waits fail, attempts are cancelled, the transport closes. Waits for nothing."""
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
        finally:
            await attempts.transport.aclose()


def _wake(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
