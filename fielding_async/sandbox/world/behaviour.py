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
    """How the sandbox behaves where the API's documentation says nothing. Times are seconds of the sandbox's clock.

    `etag`: the ETag of a version, as a format string with `{version}` or as a function of the version; each version
    must have another ETag. `etag_offset`: a number that is added to the version in the ETag, so that the number in the
    ETag is not the version. `version_step`: by how much a write raises the version. `clock_steps_version`: whether the
    version is also raised when a run goes live at its start, and when it completes at its end. `clock_steps_etag`:
    whether these two events change the ETag; `None`: the same as `clock_steps_version`. `pause_steps_version`,
    `pause_steps_etag`: whether a pause by the exchange itself (`Sandbox.pause_by_exchange`, `ExchangePauses`) raises
    the version, and whether it changes the ETag.

    `state_before_etag`: whether the sandbox checks the state of the run before the ETag. A write with both mistakes
    then gets a 422 and not a 412. `date_precision`: dates are cut to multiples of this time.

    `read_lag`: GETs of runs show each run as it was this many seconds ago. `apply_delay`: the reply to an accepted
    update or action has the new ETag, and later writes need this new ETag. But GETs and `Sandbox.inspect` show the new
    state only after this many seconds. `repeat_requests`: with `"first"` or `"second"`, every write is handled twice,
    the second copy right after the first. The value says which of the two replies the client gets.

    `location`: the form of `Location` (of a new job, and of a target group that is no draft): `"published"` (as in the
    examples of the documentation, where only the last segment is right), `"url"` (a full URL on the real host),
    `"path"` (with `/v1`) or `"id"`. `job_seconds`, `job_polls`: how long a job takes, and the least number of polls
    that report it as processing. `job_nulls`: whether fields of a draft job without a value are sent as `null`, or left
    out. `key_reuse`: the reply if an idempotency key comes again at the same endpoint with another body: the job that
    was made already, or a 400.

    `last_cursor`: the form of `next_cursor` on the last page of projects and target groups: `"absent"` (left out),
    `"null"`, or `"empty"` (`""`, as on the last page of every change log). `endless_lists`: with another value than
    `"never"`, lists never end. After the last page comes this page again under its own cursor (`"same-cursor"`), the
    first page (`"first-page"`), or empty pages, each with a new cursor (`"fresh-cursors"`). `has_more_backwards`:
    whether `has_more` of target groups is also true if there are only earlier pages. `discovery_dates`: the form of the
    dates of accounts, projects, target groups and changes: `"milliseconds"` (three fractional digits and `Z`),
    `"seconds"` (no fraction) or `"offset"` (six fractional digits and an offset). `discovery_nulls`: whether optional
    fields without a value are sent as `null`, or left out.

    `assistant_before_first`: the reply to a GET of an assistant that was never updated: `"404"`, or `"empty"` (an empty
    object without ETag). `assistant_etag_on_write`: whether the reply to an update of an assistant has the new ETag.
    `assistant_nulls`: whether modules that are not enabled are sent as `null`, or left out. `assistant_adds_scale`:
    whether amounts of money that were sent without `currency_scale` are returned with a `currency_scale`.
    `assistant_noop_steps_etag`: whether an update that changes nothing changes the ETag.
    """

    __module__ = "fielding_async.sandbox"

    etag: str | Callable[[int], str] = 'W/"{version}"'
    etag_offset: int = field(default=0, validator=_whole(-(10**9)))
    version_step: int = field(default=1, validator=_whole(1))
    clock_steps_version: bool = field(default=True, validator=_flag)
    clock_steps_etag: bool | None = field(default=None, validator=_flag_or_none)
    pause_steps_version: bool = field(default=True, validator=_flag)
    pause_steps_etag: bool = field(default=True, validator=_flag)
    state_before_etag: bool = field(default=False, validator=_flag)
    date_precision: timedelta = field(
        default=MILLISECOND, validator=checked(checks.timedelta_above, least=timedelta(0))
    )
    read_lag: float = field(default=0.0, validator=_seconds)
    apply_delay: float = field(default=0.0, validator=_seconds)
    repeat_requests: RepeatAnswer = field(default="never", validator=_one_of("never", "first", "second"))
    location: LocationForm = field(default="published", validator=_one_of("published", "url", "path", "id"))
    job_seconds: float = field(default=0.0, validator=_seconds)
    job_polls: int = field(default=0, validator=_whole(0))
    job_nulls: bool = field(default=False, validator=_flag)
    key_reuse: KeyReuse = field(default="same-job", validator=_one_of("same-job", "refuse"))
    last_cursor: LastCursor = field(default="absent", validator=_one_of("absent", "null", "empty"))
    endless_lists: EndlessLists = field(
        default="never", validator=_one_of("never", "same-cursor", "first-page", "fresh-cursors")
    )
    has_more_backwards: bool = field(default=False, validator=_flag)
    discovery_dates: DateForm = field(default="milliseconds", validator=_one_of("milliseconds", "seconds", "offset"))
    discovery_nulls: bool = field(default=False, validator=_flag)
    assistant_before_first: BeforeFirst = field(default="404", validator=_one_of("404", "empty"))
    assistant_etag_on_write: bool = field(default=False, validator=_flag)
    assistant_nulls: bool = field(default=True, validator=_flag)
    assistant_adds_scale: bool = field(default=False, validator=_flag)
    assistant_noop_steps_etag: bool = field(default=True, validator=_flag)

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
