"""Settings for behaviour that the API's documentation leaves open."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Literal, cast

from attrs import field, frozen

from fielding_async.core.errors import ConfigurationError
from fielding_async.sandbox.catalog.bodies import DateForm
from fielding_async.sandbox.catalog.pages import EndlessLists, LastCursor
from fielding_async.sandbox.serving import checks
from fielding_async.sandbox.serving.checks import checked
from fielding_async.sandbox.serving.dates import MILLISECOND

__all__ = ["BeforeFirst", "Behaviour", "KeyReuse", "LocationForm", "RepeatAnswer"]

LocationForm = Literal["published", "url", "path", "id"]
"""The form of the `Location` of a new job; see `Behaviour.location`."""

RepeatAnswer = Literal["never", "first", "second"]
"""Which of its two replies a client gets for a write that arrives twice; see `Behaviour.repeat_requests`."""

BeforeFirst = Literal["404", "empty"]
"""The reply to a GET of an assistant that was never updated; see `Behaviour.assistant_before_first`."""

KeyReuse = Literal["same-job", "refuse"]
"""The reply to a second request with the same idempotency key; see `Behaviour.key_reuse`."""


def _one_of(*allowed: str) -> Any:
    return checked(checks.one_of, allowed)


def _whole(minimum: int) -> Any:
    return checked(checks.whole, minimum)


_seconds = checked(checks.seconds)
_flag = checked(checks.flag)
_flag_or_none = checked(checks.optional(checks.flag))


@frozen(kw_only=True)
class Behaviour:
    """How the sandbox behaves where the API's documentation is silent. Times are seconds of the sandbox's clock."""

    __module__ = "fielding_async.sandbox"

    etag: str | Callable[[int], str] = 'W/"{version}"'
    """The ETag of a version, as a format string over `{version}` or a function of the number; it must differ from
    version to version."""
    etag_offset: int = field(default=0, validator=_whole(-(10**9)))
    """A whole number, at least -1000000000, added to the version before it goes into the ETag, so that the ETag's
    number is not the version."""
    version_step: int = field(default=1, validator=_whole(1))
    """By how much a write raises the version, at least 1."""
    clock_steps_version: bool = field(default=True, validator=_flag)
    """Whether going live at the start and completing at the end raise the version."""
    clock_steps_etag: bool | None = field(default=None, validator=_flag_or_none)
    """Whether going live at the start and completing at the end change the ETag; `None`: as `clock_steps_version`
    says."""
    pause_steps_version: bool = field(default=True, validator=_flag)
    """Whether a pause by the exchange itself (`Sandbox.pause_by_exchange`, `ExchangePauses`) raises the version."""
    pause_steps_etag: bool = field(default=True, validator=_flag)
    """Whether a pause by the exchange itself (`Sandbox.pause_by_exchange`, `ExchangePauses`) changes the ETag."""
    state_before_etag: bool = field(default=False, validator=_flag)
    """Whether the state of the run is checked before the ETag, so that 422 comes before 412."""
    date_precision: timedelta = field(
        default=MILLISECOND, validator=checked(checks.timedelta_above, least=timedelta(0))
    )
    """Dates are stored cut down to whole multiples of this `timedelta`, which is above zero."""
    read_lag: float = field(default=0.0, validator=_seconds)
    """Seconds, 0 or more: GETs of runs show each run as it was this long ago."""
    apply_delay: float = field(default=0.0, validator=_seconds)
    """Seconds, 0 or more: an accepted update or action answers with the new ETag, and later writes are compared with
    it, but GETs and `Sandbox.inspect` show the new state only this much later."""
    repeat_requests: RepeatAnswer = field(default="never", validator=_one_of("never", "first", "second"))
    """Whether every write is handled twice, the second copy right after the first, and which of the two answers the
    client gets: `"never"`, `"first"` or `"second"`."""
    location: LocationForm = field(default="published", validator=_one_of("published", "url", "path", "id"))
    """The form of `Location` (of a new job, and where a draft was launched): `"published"` (as in the documentation's
    examples, where the last segment is right and the path is not), `"url"` (full URL on the real host), `"path"` (with
    `/v1`) or `"id"`."""
    job_seconds: float = field(default=0.0, validator=_seconds)
    """Seconds that a job takes, 0 or more."""
    job_polls: int = field(default=0, validator=_whole(0))
    """How many polls at least report a job as processing, 0 or more."""
    job_nulls: bool = field(default=False, validator=_flag)
    """Whether fields of a draft job without a value are sent as `null`; otherwise they are left out."""
    key_reuse: KeyReuse = field(default="same-job", validator=_one_of("same-job", "refuse"))
    """The answer to an idempotency key that comes again at the same endpoint with another body: `"same-job"` (the job
    already made) or `"refuse"` (400)."""
    last_cursor: LastCursor = field(default="absent", validator=_one_of("absent", "null", "empty"))
    """`next_cursor` on the last page of projects and target groups: `"absent"` (left out), `"null"`, or `"empty"`
    (`""`, as change logs always send it)."""
    endless_lists: EndlessLists = field(
        default="never", validator=_one_of("never", "same-cursor", "first-page", "fresh-cursors")
    )
    """What follows the last page of a list, so that the list never ends: `"same-cursor"` (that page again under its own
    cursor), `"first-page"`, or `"fresh-cursors"` (empty pages, each with a new cursor); `"never"`: nothing follows
    it."""
    has_more_backwards: bool = field(default=False, validator=_flag)
    """Whether `has_more` of target groups is also true if there are only earlier pages."""
    discovery_dates: DateForm = field(default="milliseconds", validator=_one_of("milliseconds", "seconds", "offset"))
    """The form of dates of accounts, projects, target groups and changes: `"milliseconds"` (three fractional digits and
    `Z`), `"seconds"` (no fraction) or `"offset"` (six fractional digits and an offset)."""
    discovery_nulls: bool = field(default=False, validator=_flag)
    """Whether optional fields of accounts, projects, target groups and changes without a value are sent as `null`;
    otherwise they are left out."""
    assistant_before_first: BeforeFirst = field(default="404", validator=_one_of("404", "empty"))
    """The reply to a GET of an assistant that was never updated: `"404"`, or `"empty"` (an empty object without
    ETag)."""
    assistant_etag_on_write: bool = field(default=False, validator=_flag)
    """Whether the reply to an update of an assistant has the new ETag."""
    assistant_nulls: bool = field(default=True, validator=_flag)
    """Whether modules that are not enabled are sent as `null`; otherwise they are left out."""
    assistant_adds_scale: bool = field(default=False, validator=_flag)
    """Whether amounts of money that were sent without `currency_scale` are returned with one."""
    assistant_noop_steps_etag: bool = field(default=True, validator=_flag)
    """Whether an update of an assistant that changes nothing changes the ETag."""

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.etag, str) and not callable(self.etag):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise checks.wrong("Behaviour", "etag", self.etag, "a format string over {version}, or a function")
        try:
            first, second = self.etag_of(1), self.etag_of(2)
        except (LookupError, ValueError, TypeError) as error:
            raise ConfigurationError(
                f"Behaviour(etag={self.etag!r}): must be a format string over {{version}}: {error!r}"
            ) from error
        if first == second:
            raise ConfigurationError(f"Behaviour(etag={self.etag!r}): must give a text that differs by version")

    def etag_of(self, version: int) -> str:
        """Return the ETag of a version. Raises `ConfigurationError` if the function `etag` does not return a text."""
        number = version + self.etag_offset
        made: Any = self.etag.format(version=number) if isinstance(self.etag, str) else self.etag(number)
        if not made or checks.header_value("Behaviour", "etag", made) != made.strip():
            raise checks.wrong("Behaviour", "etag", made, "a text without blanks at its ends")
        return cast("str", made)
