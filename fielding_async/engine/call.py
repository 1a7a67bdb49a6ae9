"""One call of the SDK, from the caller's await to its end, and how an HTTP exchange of it ended."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from attrs import define, field

from fielding_async.core.conflict.attempts import Attempts
from fielding_async.core.errors import FieldingError, public_name
from fielding_async.core.models import RunRef
from fielding_async.core.wire.replies import Answer, Response
from fielding_async.telemetry.call_trace import CallTrace

__all__ = ["Call", "Ended"]

_RESERVE_SHARE = 0.1
_RESERVE_MOST = 5.0


@define(eq=False)
class Call:
    """One call of the SDK, from the caller's await to its end: a context manager around what it does.

    `deadline` is a time of the loop's clock; `total` becomes one with the first permission to send, unless the caller
    gave a timeout of their own. `reserve` seconds of it are kept for the look that settles a lost reply.
    `requests_before`: those sent before the exchange under way. `abandoned`: the caller was cancelled, so what has not
    left must not leave any more. `error_type`: what its last attempt failed with, in a word.
    """

    name: str
    trace: CallTrace
    total: float | None
    secrets: Callable[[], list[str]]
    deadline: float | None = None
    ref: RunRef | None = None
    idempotency_key: str | None = None
    permitted: bool = False
    requests: int = 0
    requests_before: int = 0
    conflicts: int = 0
    abandoned: bool = False
    in_flight: "asyncio.Task[Answer | None] | None" = None
    attempts: Attempts | None = None
    reserve: float = field(default=0.0)
    error_type: str = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, FieldingError):
            error.filled(ref=self.ref, idempotency_key=self.idempotency_key, trace_id=self.trace.trace_id)
            self._scrub(error)
        if self.trace.is_told:
            self.trace.end(
                error,
                None if error is None else public_name(error),
                requests=self.requests,
                conflicts=self.conflicts,
                secrets=self.secrets(),
            )

    def _scrub(self, error: BaseException) -> None:
        secrets = self.secrets()
        scrubbed: set[int] = set()
        current: BaseException | None = error
        while isinstance(current, FieldingError) and id(current) not in scrubbed:
            scrubbed.add(id(current))
            for secret in secrets:
                current.scrub(secret)
            current = current.__cause__

    def set_own_timeout(self, timeout: float | None, now: float) -> None:
        """Take the caller's own timeout, which counts from now; `None` is no limit."""
        self.total = None
        if timeout is not None:
            self._limit(timeout, now)

    def permit(self, now: float) -> None:
        """Note a permission to send; with the first one the session's own time limit starts."""
        if not self.permitted:
            self.permitted = True
            if self.total is not None:
                self._limit(self.total, now)

    def _limit(self, seconds: float, now: float) -> None:
        self.deadline = now + seconds
        self.reserve = min(seconds * _RESERVE_SHARE, _RESERVE_MOST)

    def tell_doubt(self, cancelled: BaseException, text: str) -> None:
        """Say on the error, and in the log, what a cancelled call leaves in doubt."""
        cancelled.add_note(f"fielding-async: {text} [trace_id={self.trace.trace_id}]")
        self.trace.in_doubt(text)

    def until(self, *, settling: bool) -> float | None:
        """Return the time by which an exchange must be over: the look that settles a lost reply may use it all."""
        return self.deadline if settling or self.deadline is None else self.deadline - self.reserve


@define(eq=False)
class Ended:
    """How an exchange ended: `accepted`, or else the `failure`. `out_of_time`: the deadline had a part in it."""

    attempts: Attempts
    accepted: Response | None = None
    failure: FieldingError | None = None
    gave_up: bool = False
    out_of_time: bool = False

    @property
    def error(self) -> FieldingError:
        """The failure of an exchange that was not accepted."""
        assert self.failure is not None  # noqa: S101 - callers look at `accepted` first
        return self.failure
