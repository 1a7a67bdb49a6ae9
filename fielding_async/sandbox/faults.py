"""The faults that can be scripted, as values. What becomes of them: `fault_script`, `request_pipeline` and `server`."""

from datetime import datetime, timedelta
from typing import Any, Literal

from attrs import Attribute, field, frozen
from attrs.converters import optional

from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import RunStatus

from .hold import Hold
from .world.job_faults import JobFails, JobOmits
from .world.rules import known_status

__all__ = [
    "Cut",
    "Delay",
    "DropHeader",
    "ExchangePauses",
    "Fault",
    "Hold",
    "JobFails",
    "JobOmits",
    "RawReply",
    "Refuse",
    "Repeat",
    "Reply",
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
    """Reset the connection. Nothing is applied."""

    __module__ = "fielding_async.sandbox"


@frozen
class Cut:
    """Close the connection.

    `at`: `"before"` the request is handled (nothing is applied); `"after"` it is handled, before the first
    byte of the reply; in the middle of the reply's `"headers"`; or of its `"body"` (of the headers, if the
    reply has no body).
    """

    __module__ = "fielding_async.sandbox"

    at: Literal["before", "after", "headers", "body"] = "after"


@frozen
class Delay:
    """Wait `seconds` of real time `"before"` the request is handled, or `"after"` it and before the reply."""

    __module__ = "fielding_async.sandbox"

    seconds: float
    when: Literal["before", "after"] = "before"


@frozen
class Status:
    """Answer with a status in place of the real answer. With `applied=True` the request is handled as well.

    The body is the exchange's usual one for the status, unless `body` is given. `retry_after` is the text of
    a Retry-After header, of any form. `headers` are added.
    """

    __module__ = "fielding_async.sandbox"

    code: int = field(validator=_status)
    applied: bool = False
    retry_after: str | None = None
    headers: Headers = field(default=(), converter=_pairs)
    body: bytes | None = None


@frozen
class Reply:
    """Answer with exactly this status, these headers and this body. A missing Date or length is added.

    With `applied=True` the request is handled as well.
    """

    __module__ = "fielding_async.sandbox"

    status: int = field(default=200, validator=_status)
    headers: Headers = field(default=(), converter=_pairs)
    body: bytes = b""
    applied: bool = False


@frozen
class RawReply:
    """Write these bytes to the connection, whatever they are, and close it.

    With `applied=True` the request is handled as well.
    """

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
    """Write to the run as another user just `"before"` the request is handled, or just `"after"` it.

    What is not given stays as it is; with nothing given, the end moves by `shift_end`. It applies only to
    requests about a run that exists.
    """

    __module__ = "fielding_async.sandbox"

    status: RunStatus | None = field(default=None, converter=optional(known_status))
    start_fielding_at: datetime | None = None
    end_fielding_at: datetime | None = None
    shift_end: timedelta = timedelta(minutes=1)
    when: Literal["before", "after"] = "before"


def _moment(owner: Any, attribute: "Attribute[Any]", value: Any) -> None:
    if value not in {"before", "after"}:
        raise ConfigurationError(f"{type(owner).__name__}({attribute.name}={value!r}): must be 'before' or 'after'")


@frozen
class ExchangePauses:
    """Let the exchange pause the run by itself just `"before"` the request is handled, or just `"after"` it.

    A run that is not live then is left as it is. With `"after"` nothing happens if the request is not handled. It
    applies only to requests about a run that exists. `Behaviour` says whether version and ETag step. For
    example, a resume that is applied, whose reply is lost, and after which the exchange pauses the run:
    `script((Cut("after"), ExchangePauses("after")), on="resume")`.
    """

    __module__ = "fielding_async.sandbox"

    when: Literal["before", "after"] = field(default="before", validator=_moment)


@frozen
class Repeat:
    """Handle the request twice, one copy right after the other. `answer` says which answer is sent."""

    __module__ = "fielding_async.sandbox"

    answer: Literal["first", "second"] = "second"


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
    | ExchangePauses
    | Repeat
    | JobFails
    | JobOmits
)
"""A fault that can be scripted: of a request, of its reply, or of the job that it makes."""
