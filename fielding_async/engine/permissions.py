"""What an attempt needs before it is sent: a token and a permission of the limiter, or the error of a wait for them."""

import asyncio
import copy

from attrs import frozen

from fielding_async.core.errors import FieldingError, RateLimitError, SessionClosedError, TransportError
from fielding_async.core.token_life import Token
from fielding_async.core.wire.replies import Failed
from fielding_async.core.wire.requests import Request

from .call import Call
from .limiter import Limiter, Permit, Priority, WaitTooLongError
from .pending_request import PendingRequest
from .token_keeper import TokenKeeper

__all__ = [
    "WAITED_FOR",
    "OutOfTimeError",
    "Permissions",
    "TokenSourceError",
    "is_cancelled",
    "no_token",
    "session_closed",
]

WAITED_FOR = {"rate": "the pace", "concurrency": "a slot", "pause": "the pause after a 429"}
"""What a request waited for, in words."""


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


@frozen
class Permissions:
    """Waits for permissions and tokens, for the attempts of one session."""

    limiter: Limiter
    keeper: TokenKeeper
    loop: asyncio.AbstractEventLoop

    async def wait(self, pending: PendingRequest, until: float | None) -> tuple[Permit, Token]:
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
                    Priority.UNDER_WAY if call.time.is_running else Priority.FIRST,
                    deadline=until,
                    patience=call.time.total,
                    place=place,
                )
            except WaitTooLongError as error:
                call.trace.waited(reason, self.loop.time() - started)
                raise OutOfTimeError(error.pause, WAITED_FOR[error.reason or "rate"]) from None
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
                raise OutOfTimeError(None, "a token") from None
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
