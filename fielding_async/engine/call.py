"""One call of the SDK, from the caller's await to its end."""

from traceback import format_exception
from types import TracebackType
from typing import Self

from attrs import Factory, define

from fielding_async.core.errors import FieldingError, public_name
from fielding_async.core.models import RunRef
from fielding_async.core.redaction import Secrets
from fielding_async.telemetry.call_trace import CallTrace

__all__ = ["Call", "TimeLimit"]


@define(eq=False)
class TimeLimit:
    """The time limit of a call. Times are those of the event loop's clock, in seconds.

    `total` seconds start with the call's first permission to send, from when it `is_running`; `None`: no limit. A
    `timeout=` of the caller's own starts with the call.
    """

    total: float | None
    deadline: float | None = None
    is_running: bool = False

    @classmethod
    def of_caller(cls, seconds: float | None, now: float) -> "TimeLimit":
        """Return the limit for a caller's own `timeout=`, which starts now; `None` is no limit."""
        return cls(None, None if seconds is None else now + seconds)


@define(eq=False)
class Call:
    """One call of the SDK: a context manager around what it does.

    It adds run, idempotency key and trace id to the errors that come out of it, and removes secrets from them.
    `secrets`: what no error may show. `requests` counts the HTTP requests sent, `conflicts` the 412s.
    """

    name: str
    trace: CallTrace
    time: TimeLimit
    secrets: Secrets
    ref: RunRef | None = None
    idempotency_key: str | None = None
    requests: int = 0
    conflicts: int = 0
    _left_out: set[str] = Factory(set)  # pyright: ignore[reportUnknownVariableType]

    def left_out(self, path: str) -> None:
        """Log, once for each, the path of a field of a reply that could not be read and was left out."""
        if path not in self._left_out:
            self._left_out.add(path)
            self.trace.left_out(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, FieldingError):
            error.filled(ref=self.ref, idempotency_key=self.idempotency_key, trace_id=self.trace.trace_id)
            self._scrub(error)
        if self.trace.is_observed:
            self.trace.end(
                error,
                None if error is None else public_name(error),
                requests=self.requests,
                conflicts=self.conflicts,
                redactor=self.secrets.redactor,
            )

    def _scrub(self, error: BaseException) -> None:
        redactor = self.secrets.redactor
        scrubbed: set[int] = set()
        current: BaseException | None = error
        while isinstance(current, FieldingError) and id(current) not in scrubbed:
            scrubbed.add(id(current))
            current.scrub(redactor)
            for other in {current.__cause__, current.__context__} - {None}:
                # an exception of the caller's token callable is not ours to change
                if not isinstance(other, FieldingError) and redactor.shows("".join(format_exception(other))):
                    current.__cause__ = current.__context__ = None
            current = current.__cause__

    def note_doubt(self, cancelled: BaseException, text: str) -> None:
        """Add to a `CancelledError`, and to the log, that a write of the cancelled call may still be applied."""
        cancelled.add_note(f"fielding-async: {text} [trace_id={self.trace.trace_id}]")
        self.trace.in_doubt(text)
