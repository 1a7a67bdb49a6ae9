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

    at: Literal["before", "after", "headers", "body"] = field(
        default="after", validator=checked(checks.one_of, ("before", "after", "headers", "body"))
    )


@frozen
class Delay:
    """Wait `seconds` (0 to 86400) of real time.

    `when`: `"before"` the request is handled, or `"after"` it and before its reply is sent.
    """

    __module__ = "fielding_async.sandbox"

    seconds: float = field(validator=checked(checks.seconds, most=_LONGEST_DELAY))
    when: Literal["before", "after"] = field(default="before", validator=checked(checks.one_of, _MOMENTS))


@frozen
class Status:
    """Answer with a status (200 to 999) in place of the real answer.

    With `applied=True` the request is handled as well. The body is the exchange's usual one for the status, unless
    `body` is given. `retry_after` is the text of a Retry-After header, of any form. `headers` are added.
    """

    __module__ = "fielding_async.sandbox"

    code: int = field(validator=checked(checks.whole, 200, 999))
    applied: bool = field(default=False, validator=checked(checks.flag))
    retry_after: str | None = field(default=None, validator=checked(checks.optional(checks.header_value)))
    headers: tuple[tuple[str, str], ...] = field(default=(), converter=_pairs, validator=checked(checks.headers))
    body: bytes | None = field(default=None, validator=checked(checks.optional(checks.data)))


@frozen
class Reply:
    """Answer with exactly this status, these headers and this body. A missing Date or length is added.

    With `applied=True` the request is handled as well.
    """

    __module__ = "fielding_async.sandbox"

    status: int = field(default=200, validator=checked(checks.whole, 200, 999))
    headers: tuple[tuple[str, str], ...] = field(default=(), converter=_pairs, validator=checked(checks.headers))
    body: bytes = field(default=b"", validator=checked(checks.data))
    applied: bool = field(default=False, validator=checked(checks.flag))


@frozen
class RawReply:
    """Write these bytes to the connection, whatever they are, and close it.

    With `applied=True` the request is handled as well.
    """

    __module__ = "fielding_async.sandbox"

    data: bytes = field(validator=checked(checks.data))
    applied: bool = field(default=False, validator=checked(checks.flag))


@frozen
class DropHeader:
    """Leave a header out of the reply, whatever the case of its name.

    It must be one that replies of the sandbox have: ETag, Location, Retry-After, Date, Server, Content-Type,
    Content-Length, Allow, Cache-Control, traceparent or tracestate.
    """

    __module__ = "fielding_async.sandbox"

    name: str = field(validator=checked(checks.header_name))

    def __attrs_post_init__(self) -> None:
        known = {name.lower(): name for name in _OWN_HEADERS}
        if self.name.lower() not in known:
            hint = checks.did_you_mean(self.name.lower(), known) or f"replies have {', '.join(_OWN_HEADERS)}"
            raise checks.wrong("DropHeader", "name", self.name, "a header that a reply of the sandbox has", hint)


@frozen
class SetHeader:
    """Set a header of the reply, in place of the one it has."""

    __module__ = "fielding_async.sandbox"

    name: str = field(validator=checked(checks.header_name))
    value: str = field(validator=checked(checks.header_value))


@frozen(kw_only=True)
class SecondWriter:
    """Write to the run as another user just `"before"` the request is handled, or just `"after"` it.

    What is not given stays as it is. With neither status nor dates given, the end moves by `shift_end`, at most 36500
    days forward or back; a minute if that is not given either. It does not move beyond the year 9999. It applies only
    to requests about a run that exists.
    """

    __module__ = "fielding_async.sandbox"

    status: RunStatus | None = field(default=None, converter=optional(known_status))
    start_fielding_at: datetime | None = field(default=None, validator=checked(_aware))
    end_fielding_at: datetime | None = field(default=None, validator=checked(_aware))
    shift_end: timedelta | None = field(
        default=None, validator=checked(checks.optional(checks.timedelta_within), _MOST_SHIFT)
    )
    when: Literal["before", "after"] = field(default="before", validator=checked(checks.one_of, _MOMENTS))

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
    """Let the exchange pause the run by itself just `"before"` the request is handled, or just `"after"` it.

    A run that is not live then is left as it is. With `"after"` nothing happens if the request is not handled. It
    applies only to requests about a run that exists. `Behaviour` says whether version and ETag step. For
    example, a resume that is applied, whose reply is lost, and after which the exchange pauses the run:
    `script((Cut("after"), ExchangePauses("after")), on="resume")`. `reason`: the code that the change log shows.
    """

    __module__ = "fielding_async.sandbox"

    when: Literal["before", "after"] = field(default="before", validator=checked(checks.one_of, _MOMENTS))
    reason: str = field(default=SOFT_LAUNCH_ENDED, converter=known_reason)


@frozen
class Repeat:
    """Handle the request twice, one copy right after the other. `answer` says which answer is sent.

    It applies only to requests that may write: actions, updates, and those that make a job.
    """

    __module__ = "fielding_async.sandbox"

    answer: Literal["first", "second"] = field(default="second", validator=checked(checks.one_of, ("first", "second")))


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
