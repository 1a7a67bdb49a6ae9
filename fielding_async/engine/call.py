"""One call of the SDK, from the caller's await to its end."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from attrs import define

from fielding_async.core.errors import FieldingError, public_name
from fielding_async.core.models import RunRef
from fielding_async.telemetry.call_trace import CallTrace

__all__ = ["Call", "CallsUnderWay", "TimeLimit"]

_RESERVE_SHARE = 0.1
_RESERVE_MOST = 5.0  # seconds


@define(eq=False)
class TimeLimit:
    """The time limit of a call. Times are those of the event loop's clock, in seconds.

    `total` seconds start with the call's first permission to send; `None`: no limit. A `timeout=` of the caller's own
    starts with the call. `reserve` seconds before the `deadline` are kept for the GET that settles a lost reply.
    """

    total: float | None
    deadline: float | None = None
    reserve: float = 0.0
    is_running: bool = False

    @classmethod
    def of_caller(cls, seconds: float | None, now: float) -> "TimeLimit":
        """Return the limit for a caller's own `timeout=`, which starts now; `None` is no limit."""
        limit = cls(None)
        if seconds is not None:
            limit._end_after(seconds, now)
        return limit

    def permitted(self, now: float, *, settling: bool) -> float | None:
        """Note a permission to send; the first one starts the session's own limit. Returns the same as `until`."""
        if not self.is_running:
            self.is_running = True
            if self.total is not None:
                self._end_after(self.total, now)
        return self.until(settling=settling)

    def _end_after(self, seconds: float, now: float) -> None:
        self.deadline = now + seconds
        self.reserve = min(seconds * _RESERVE_SHARE, _RESERVE_MOST)

    def until(self, *, settling: bool) -> float | None:
        """Return the time by which a request must have ended; `settling`: it is a GET that settles a lost reply."""
        return self.deadline if settling or self.deadline is None else self.deadline - self.reserve


class CallsUnderWay(set[object]):
    """The calls of a session that have not ended. `when_none`: called as the last one ends, if it is set."""

    when_none: Callable[[], None] | None = None


@define(eq=False)
class Call:
    """One call of the SDK: a context manager around what it does.

    It adds run, idempotency key and trace id to the errors that come out of it, and removes secrets from them.
    `secrets` returns the texts that no error may show. `under_way`: the calls that this one is among.
    `requests` counts the HTTP requests sent, `conflicts` the 412s.
    """

    name: str
    trace: CallTrace
    time: TimeLimit
    secrets: Callable[[], list[str]]
    under_way: CallsUnderWay
    ref: RunRef | None = None
    idempotency_key: str | None = None
    requests: int = 0
    conflicts: int = 0

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
        if self.trace.is_observed:
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

    def note_doubt(self, cancelled: BaseException, text: str) -> None:
        """Add to a `CancelledError`, and to the log, that a write of the cancelled call may still be applied."""
        cancelled.add_note(f"fielding-async: {text} [trace_id={self.trace.trace_id}]")
        self.trace.in_doubt(text)
