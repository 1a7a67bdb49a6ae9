"""The faults that can be scripted, as values. Each is checked when it is made, and raises `ConfigurationError`.

What becomes of them: `script` beside this module, `request_pipeline` and `server`.
"""

from datetime import datetime, timedelta
from typing import Any, Literal, cast

from attrs import field, frozen
from attrs.converters import optional

from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import RunStatus
from fielding_async.sandbox.serving import checks
from fielding_async.sandbox.serving.checks import checked
from fielding_async.sandbox.world.job_faults import JobFails, JobOmits
from fielding_async.sandbox.world.rules import SOFT_LAUNCH_ENDED, known_reason, known_status

from .hold import Hold

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

_MOMENTS = ("before", "after")
_LONGEST_DELAY = 86_400  # seconds of real time
# the headers that a reply has by itself: another one cannot be dropped from it
_OWN_HEADERS = (
    *("ETag", "Location", "Retry-After", "Date", "Server", "Content-Type", "Content-Length", "Allow"),
    *("Cache-Control", "traceparent", "tracestate"),
)
_DEFAULT_SHIFT = timedelta(minutes=1)
_MOST_SHIFT = timedelta(days=36_500)


def _pairs(headers: Any) -> Any:
    """Return headers as pairs. What is no headers is left as it is, for the check that follows."""
    if isinstance(headers, dict):
        return tuple(cast("dict[str, str]", headers).items())
    return tuple(cast("list[tuple[str, str]]", headers)) if isinstance(headers, list) else headers


def _aware(call: str, name: str, value: Any) -> Any:
    return checks.aware(name, value, call)


@frozen
class Refuse:
    """Reset the connection. The request is not handled, so nothing is applied."""

    __module__ = "fielding_async.sandbox"


@frozen
class Cut:
    """Close the connection."""

    __module__ = "fielding_async.sandbox"

    at: Literal["before", "after", "headers", "body"] = field(
        default="after", validator=checked(checks.one_of, ("before", "after", "headers", "body"))
    )
    """Where the connection is closed: `"before"` the request is handled (nothing is applied); `"after"` it is handled,
    before the first byte of the reply; in the middle of the reply's `"headers"`; or of its `"body"` (of the headers, if
    the reply has no body)."""


@frozen
class Delay:
    """Wait for a number of seconds."""

    __module__ = "fielding_async.sandbox"

    seconds: float = field(validator=checked(checks.seconds, most=_LONGEST_DELAY))
    """Seconds of real time, 0 to 86400."""
    when: Literal["before", "after"] = field(default="before", validator=checked(checks.one_of, _MOMENTS))
    """When the wait is: `"before"` the request is handled, or `"after"` it and before its reply is sent."""


@frozen
class Status:
    """Answer with a status in place of the real answer."""

    __module__ = "fielding_async.sandbox"

    code: int = field(validator=checked(checks.whole, 200, 999))
    """The status, 200 to 999."""
    applied: bool = field(default=False, validator=checked(checks.flag))
    """Whether the request is handled as well."""
    retry_after: str | None = field(default=None, validator=checked(checks.optional(checks.header_value)))
    """The text of a `Retry-After` header, of any form; `None` adds no such header."""
    headers: tuple[tuple[str, str], ...] = field(default=(), converter=_pairs, validator=checked(checks.headers))
    """Headers that are added, as pairs of name and value; a dict is made into pairs."""
    body: bytes | None = field(default=None, validator=checked(checks.optional(checks.data)))
    """The body; `None` for the exchange's usual one for the status."""


@frozen
class Reply:
    """Answer with exactly this status, these headers and this body. A missing Date or length is added."""

    __module__ = "fielding_async.sandbox"

    status: int = field(default=200, validator=checked(checks.whole, 200, 999))
    """The status, 200 to 999."""
    headers: tuple[tuple[str, str], ...] = field(default=(), converter=_pairs, validator=checked(checks.headers))
    """The headers of the reply, as pairs of name and value; a dict is made into pairs."""
    body: bytes = field(default=b"", validator=checked(checks.data))
    """The body of the reply."""
    applied: bool = field(default=False, validator=checked(checks.flag))
    """Whether the request is handled as well."""


@frozen
class RawReply:
    """Write these bytes to the connection, whatever they are, and close it."""

    __module__ = "fielding_async.sandbox"

    data: bytes = field(validator=checked(checks.data))
    """The bytes that are written to the connection."""
    applied: bool = field(default=False, validator=checked(checks.flag))
    """Whether the request is handled as well."""


@frozen
class DropHeader:
    """Leave a header out of the reply, whatever the case of its name."""

    __module__ = "fielding_async.sandbox"

    name: str = field(validator=checked(checks.header_name))
    """The name of a header that replies of the sandbox have: ETag, Location, Retry-After, Date, Server, Content-Type,
    Content-Length, Allow, Cache-Control, traceparent or tracestate."""

    def __attrs_post_init__(self) -> None:
        known = {name.lower(): name for name in _OWN_HEADERS}
        if self.name.lower() not in known:
            hint = checks.did_you_mean(self.name.lower(), known) or f"replies have {', '.join(_OWN_HEADERS)}"
            raise checks.wrong("DropHeader", "name", self.name, "a header that a reply of the sandbox has", hint)


@frozen
class SetHeader:
    """Set a header of the reply. If the reply already has this header, its value is replaced."""

    __module__ = "fielding_async.sandbox"

    name: str = field(validator=checked(checks.header_name))
    """The header's name."""
    value: str = field(validator=checked(checks.header_value))
    """The header's value, without line breaks."""


@frozen(kw_only=True)
class SecondWriter:
    """Write to the run as another user, just before or just after the request is handled.

    It applies only to requests about a run that exists.
    """

    __module__ = "fielding_async.sandbox"

    status: RunStatus | None = field(default=None, converter=optional(known_status))
    """The status that the run gets; `None` leaves it as it is."""
    start_fielding_at: datetime | None = field(default=None, validator=checked(_aware))
    """When fielding starts, aware; `None` leaves it as it is."""
    end_fielding_at: datetime | None = field(default=None, validator=checked(_aware))
    """When fielding ends, aware; `None` leaves it as it is, or moves it by `shift_end`."""
    shift_end: timedelta | None = field(
        default=None, validator=checked(checks.optional(checks.timedelta_within), _MOST_SHIFT)
    )
    """By how much the end moves if neither status nor dates are given, at most 36500 days forward or back, and not
    beyond the year 9999; `None` for a minute."""
    when: Literal["before", "after"] = field(default="before", validator=checked(checks.one_of, _MOMENTS))
    """When the write is made: `"before"` or `"after"` the request is handled."""

    def __attrs_post_init__(self) -> None:
        start, end = self.start_fielding_at, self.end_fielding_at
        if self.shift_end is not None and (self.status, start, end) != (None, None, None):
            raise ConfigurationError(
                f"SecondWriter(shift_end={self.shift_end!r}): applies only without status, start_fielding_at and"
                " end_fielding_at; pass end_fielding_at instead"
            )
        if start is not None and end is not None and end <= start:
            raise ConfigurationError("SecondWriter: end_fielding_at must be after start_fielding_at")

    @property
    def shift(self) -> timedelta:
        """By how much the end moves if neither status nor dates are given."""
        return _DEFAULT_SHIFT if self.shift_end is None else self.shift_end


@frozen
class ExchangePauses:
    """Let the exchange pause the run by itself, just before or just after the request is handled.

    A run that is not live then is left as it is. It applies only to requests about a run that exists. `Behaviour` says
    whether version and ETag step. For example, a resume that is applied, whose reply is lost, and after which the
    exchange pauses the run: `script((Cut("after"), ExchangePauses("after")), on="resume")`.
    """

    __module__ = "fielding_async.sandbox"

    when: Literal["before", "after"] = field(default="before", validator=checked(checks.one_of, _MOMENTS))
    """When the run is paused: `"before"` the request is handled, or `"after"` it; then nothing happens if the request
    is not handled."""
    reason: str = field(default=SOFT_LAUNCH_ENDED, converter=known_reason)
    """The reason code that the change log shows."""


@frozen
class Repeat:
    """Handle the request twice, one copy right after the other.

    `answer`: which of the two replies the client gets. The fault applies only to requests that may write: actions,
    updates, and requests that make a job.
    """

    __module__ = "fielding_async.sandbox"

    answer: Literal["first", "second"] = field(default="second", validator=checked(checks.one_of, ("first", "second")))
    """Which answer is sent: the `"first"` or the `"second"`."""


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
"""A fault that can be scripted: a fault of a request, of its reply, or of the job that the request makes."""
