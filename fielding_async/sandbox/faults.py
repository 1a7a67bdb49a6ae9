"""Scripted faults, as values, and the script that hands them out."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from attrs import Attribute, field, frozen
from attrs.converters import optional

from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import RunRef, RunStatus

from .hold import Hold
from .serving.routes import OPERATIONS
from .world.records import JobFailure
from .world.rules import known_status

__all__ = [
    "Cut",
    "Delay",
    "DropHeader",
    "Fault",
    "Hold",
    "JobFails",
    "JobOmits",
    "RawReply",
    "Refuse",
    "Repeat",
    "Reply",
    "Script",
    "SecondWriter",
    "SetHeader",
    "Status",
]

Headers = tuple[tuple[str, str], ...]


def _pairs(headers: Headers | list[tuple[str, str]] | dict[str, str]) -> Headers:
    return tuple(headers.items() if isinstance(headers, dict) else headers)


def _status(owner: Any, attribute: "Attribute[Any]", value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 200 <= value <= 999:
        raise ConfigurationError(f"{type(owner).__name__}({attribute.name}={value!r}): must be 200 to 999")


@frozen
class Refuse:
    """Reset the connection; nothing is applied."""

    __module__ = "fielding_async.sandbox"


@frozen
class Cut:
    """Close the connection.

    `at`: `"before"` the request is judged (nothing is applied); `"after"` it is applied, with no byte of the
    reply; in the middle of the reply's `"headers"`; or of its `"body"` (of the headers, where the reply has
    no body).
    """

    __module__ = "fielding_async.sandbox"

    at: Literal["before", "after", "headers", "body"] = "after"


@frozen
class Delay:
    """Wait real `seconds` `"before"` the request is judged or `"after"` it, before the reply is sent."""

    __module__ = "fielding_async.sandbox"

    seconds: float
    when: Literal["before", "after"] = "before"


@frozen
class Status:
    """Answer with a status in place of the real answer; with `applied=True` the request is carried out all
    the same.

    The body is the exchange's usual one for the status, unless `body` is given. `retry_after` is the text of
    a Retry-After header, of any form; `headers` are added.
    """

    __module__ = "fielding_async.sandbox"

    code: int = field(validator=_status)
    applied: bool = False
    retry_after: str | None = None
    headers: Headers = field(default=(), converter=_pairs)
    body: bytes | None = None


@frozen
class Reply:
    """Answer with exactly this status, these headers and this body; a missing Date or length is added."""

    __module__ = "fielding_async.sandbox"

    status: int = field(default=200, validator=_status)
    headers: Headers = field(default=(), converter=_pairs)
    body: bytes = b""
    applied: bool = False


@frozen
class RawReply:
    """Write these bytes to the connection, whatever they are, and close it."""

    __module__ = "fielding_async.sandbox"

    data: bytes
    applied: bool = False


@frozen
class DropHeader:
    """Leave a header out of the reply, whatever the case of its name."""

    __module__ = "fielding_async.sandbox"

    name: str


@frozen
class SetHeader:
    """Set a header of the reply, in place of the one it has."""

    __module__ = "fielding_async.sandbox"

    name: str
    value: str


@frozen(kw_only=True)
class SecondWriter:
    """Let a colleague write to the run just `"before"` the request is judged, or just `"after"` it.

    What is not named stays as it is; with nothing named, the end moves by `shift_end`. It strikes only
    requests about a run that exists.
    """

    __module__ = "fielding_async.sandbox"

    status: RunStatus | None = field(default=None, converter=optional(known_status))
    start_fielding_at: datetime | None = None
    end_fielding_at: datetime | None = None
    shift_end: timedelta = timedelta(minutes=1)
    when: Literal["before", "after"] = "before"


@frozen
class Repeat:
    """Let the request reach the exchange twice, one copy right after the other; `answer` is the one sent."""

    __module__ = "fielding_async.sandbox"

    answer: Literal["first", "second"] = "second"


@frozen
class JobFails:
    """Let the job that the request makes end `Failed`, with nothing done. `failure` is for draft jobs."""

    __module__ = "fielding_async.sandbox"

    failure: JobFailure = field(factory=lambda: JobFailure("InternalError", "The job could not be carried out."))


@frozen
class JobOmits:
    """Let the bulk job that the request makes forget these target groups: not changed, in neither list."""

    __module__ = "fielding_async.sandbox"

    target_group_ids: tuple[str, ...] = field(converter=tuple[str, ...])


Fault = (
    Refuse
    | Cut
    | Delay
    | Hold
    | Status
    | Reply
    | RawReply
    | DropHeader
    | SetHeader
    | SecondWriter
    | Repeat
    | JobFails
    | JobOmits
)
"""What can be scripted: a way in which a request, its reply, or the job that it makes goes wrong."""

_KINDS = get_args(Fault)
_METHODS = {"GET", "POST", "PUT"}
_NAMES = {operation.name for operation in OPERATIONS}


@frozen
class _Line:
    faults: tuple[Fault, ...]
    on: str | None
    ref: RunRef | None

    def matches(self, method: str, operation: str, ref: RunRef | None, *, run_exists: bool, makes_job: bool) -> bool:
        if self.on is None or self.on in _METHODS:
            named = operation != "token" and self.on in {None, method}
        else:
            named = self.on == operation
        possible = all(
            run_exists if isinstance(fault, SecondWriter) else makes_job or not isinstance(fault, JobFails | JobOmits)
            for fault in self.faults
        )
        return named and possible and (self.ref is None or self.ref == ref)


class Script:
    """Faults in the order scripted; a request gets the first that matches it, and each is used once."""

    def __init__(self) -> None:
        self._lines: list[_Line] = []

    def add(self, faults: Iterable[Fault | tuple[Fault, ...]], on: str | None, ref: RunRef | None) -> None:
        """Append faults; a tuple of them strikes one request together. Raises `ConfigurationError`."""
        if on is not None and on not in _METHODS and on not in _NAMES:
            raise ConfigurationError(
                f"script(on={on!r}): neither an operation ({', '.join(sorted(_NAMES))}) nor a method"
            )
        lines: list[_Line] = []
        for entry in faults:
            together = entry if isinstance(entry, tuple) else (entry,)
            for fault in together:
                if not isinstance(fault, _KINDS):  # pyright: ignore[reportUnnecessaryIsInstance]
                    raise ConfigurationError(f"script({fault!r}): not a fault")
            lines.append(_Line(together, on, ref))
        self._lines += lines

    def take(
        self, method: str, operation: str, ref: RunRef | None, *, run_exists: bool, makes_job: bool
    ) -> tuple[Fault, ...]:
        """Return, and use up, what strikes a request; nothing for most."""
        for position, line in enumerate(self._lines):
            if line.matches(method, operation, ref, run_exists=run_exists, makes_job=makes_job):
                return self._lines.pop(position).faults
        return ()

    def unused(self) -> list[Fault]:
        """Return the faults that have not struck."""
        return [fault for line in self._lines for fault in line.faults]

    def clear(self) -> None:
        """Forget the faults that have not struck."""
        self._lines.clear()
