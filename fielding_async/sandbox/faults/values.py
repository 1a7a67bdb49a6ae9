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
    """Close the connection.

    `at`: the moment. `"before"`: before the request is handled, so nothing is applied. `"after"`: after the request was
    handled, and before the first byte of the reply. `"headers"`: in the middle of the reply's headers. `"body"`: in the
    middle of the reply's body (of its headers, if the reply has no body).
    """

    __module__ = "fielding_async.sandbox"

    at: Literal["before", "after", "headers", "body"] = field(
        default="after", validator=checked(checks.one_of, ("before", "after", "headers", "body"))
    )


@frozen
class Delay:
    """Wait `seconds` (0 to 86400) of real time.

    `when`: `"before"` the request is handled, or `"after"` the request was handled and before its reply is sent.
    """

    __module__ = "fielding_async.sandbox"

    seconds: float = field(validator=checked(checks.seconds, most=_LONGEST_DELAY))
    when: Literal["before", "after"] = field(default="before", validator=checked(checks.one_of, _MOMENTS))


@frozen
class Status:
    """Answer with a status (200 to 999) in place of the real reply.

    With `applied=True`, the request is handled as well. The body is the body that the exchange sends with this status,
    unless you give a `body`. `retry_after`: the text of the header Retry-After, in any form. `headers`: more headers.
    """

    __module__ = "fielding_async.sandbox"

    code: int = field(validator=checked(checks.whole, 200, 999))
    applied: bool = field(default=False, validator=checked(checks.flag))
    retry_after: str | None = field(default=None, validator=checked(checks.optional(checks.header_value)))
    headers: tuple[tuple[str, str], ...] = field(default=(), converter=_pairs, validator=checked(checks.headers))
    body: bytes | None = field(default=None, validator=checked(checks.optional(checks.data)))


@frozen
class Reply:
    """Answer with exactly this status, these headers and this body.

    The headers Date and Content-Length are added if you do not give them. With `applied=True`, the request is handled
    as well.
    """

    __module__ = "fielding_async.sandbox"

    status: int = field(default=200, validator=checked(checks.whole, 200, 999))
    headers: tuple[tuple[str, str], ...] = field(default=(), converter=_pairs, validator=checked(checks.headers))
    body: bytes = field(default=b"", validator=checked(checks.data))
    applied: bool = field(default=False, validator=checked(checks.flag))


@frozen
class RawReply:
    """Write these bytes to the connection as they are, and close the connection.

    With `applied=True`, the request is handled as well.
    """

    __module__ = "fielding_async.sandbox"

    data: bytes = field(validator=checked(checks.data))
    applied: bool = field(default=False, validator=checked(checks.flag))


@frozen
class DropHeader:
    """Leave a header out of the reply. The case of its name does not matter.

    It must be a header that replies of the sandbox have: ETag, Location, Retry-After, Date, Server, Content-Type,
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
    """Set a header of the reply. If the reply already has this header, its value is replaced."""

    __module__ = "fielding_async.sandbox"

    name: str = field(validator=checked(checks.header_name))
    value: str = field(validator=checked(checks.header_value))


@frozen(kw_only=True)
class SecondWriter:
    """Write to the run, as if another user did it, just `"before"` or just `"after"` the request is handled.

    A value that is left out stays as it is. If neither a status nor a date is given, the end of the run moves by
    `shift_end`: at most 36500 days forward or back, and a minute if this is left out too. The end does not move beyond
    the year 9999. The fault applies only to requests about a run that exists.
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
    """Let the exchange pause the run by itself, just `"before"` or just `"after"` the request is handled.

    If the run is not live at that moment, it stays as it is. With `"after"`, nothing happens if the request is not
    handled. The fault applies only to requests about a run that exists. `Behaviour` determines whether the pause raises
    the version and changes the ETag. In this example, a resume is applied, its reply is lost, and then the exchange
    pauses the run:

        script((Cut("after"), ExchangePauses("after")), on="resume")

    `reason`: the code that the change log shows.
    """

    __module__ = "fielding_async.sandbox"

    when: Literal["before", "after"] = field(default="before", validator=checked(checks.one_of, _MOMENTS))
    reason: str = field(default=SOFT_LAUNCH_ENDED, converter=known_reason)


@frozen
class Repeat:
    """Handle the request twice, one copy right after the other, as if a proxy had repeated it.

    `answer`: which of the two replies the client gets. The fault applies only to requests that may write: actions,
    updates, and requests that make a job.
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
"""A fault that can be scripted: a fault of a request, of its reply, or of the job that the request makes."""
