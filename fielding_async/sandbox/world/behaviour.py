"""Settings for behaviour that the API's documentation leaves open."""

from collections.abc import Callable
from datetime import timedelta
from math import isfinite
from typing import Any, Literal

from attrs import Attribute, field, frozen

from fielding_async.core.errors import ConfigurationError
from fielding_async.sandbox.serving.dates import MILLISECOND

__all__ = ["Behaviour", "KeyReuse", "LocationForm", "RepeatAnswer"]

LocationForm = Literal["published", "url", "path", "id"]
RepeatAnswer = Literal["never", "first", "second"]
KeyReuse = Literal["same-job", "refuse"]


def _one_of(*allowed: str) -> Any:
    def check(_owner: Any, attribute: "Attribute[Any]", value: Any) -> None:
        if value not in allowed:
            raise ConfigurationError(f"Behaviour({attribute.name}={value!r}): must be one of {', '.join(allowed)}")

    return check


def _seconds(_owner: Any, attribute: "Attribute[Any]", value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
        raise ConfigurationError(f"Behaviour({attribute.name}={value!r}): must be seconds, 0 or more")


def _whole(minimum: int) -> Any:
    def check(_owner: Any, attribute: "Attribute[Any]", value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
            raise ConfigurationError(
                f"Behaviour({attribute.name}={value!r}): must be a whole number of {minimum} or more"
            )

    return check


def _flag_or_none(owner: Any, attribute: "Attribute[Any]", value: Any) -> None:
    if value is not None:
        _flag(owner, attribute, value)


def _flag(_owner: Any, attribute: "Attribute[Any]", value: Any) -> None:
    if not isinstance(value, bool):
        raise ConfigurationError(f"Behaviour({attribute.name}={value!r}): must be True or False")


@frozen(kw_only=True)
class Behaviour:
    """How the sandbox behaves where the API's documentation is silent. Times are seconds of the sandbox's clock.

    `etag`: the ETag of a version, as a format string over `{version}` or a function of the number; it must
    differ from version to version. `etag_offset`: added to the version before it goes into the ETag, so that
    the ETag's number is not the version. `version_step`: by how much a write raises the version.
    `clock_steps_version`: whether going live at the start and completing at the end raise it too.
    `clock_steps_etag`: whether they change the ETag; `None`: the same as `clock_steps_version`.
    `pause_steps_version`, `pause_steps_etag`: whether a pause by the exchange itself
    (`Sandbox.pause_by_exchange`, `ExchangePauses`) raises the version, and changes the ETag.

    `state_before_etag`: the state of the run is checked before the ETag, so that 422 comes before 412.
    `date_precision`: dates are stored cut down to whole multiples of it.

    `read_lag`: GETs of runs show each run as it was this long ago. `apply_delay`: an accepted update or
    action answers with the new ETag, and later writes are compared with it, but GETs and `Sandbox.inspect`
    show the new state only this much later. `repeat_requests`: every write is handled twice, the second copy
    right after the first; the value says which of the two answers the client gets.

    `location`: the form of a new job's `Location`: `"published"` (as in the documentation's examples, where
    the last segment is right and the path is not), `"url"` (full URL on the real host), `"path"` (with `/v1`)
    or `"id"`. `job_seconds` and `job_polls`: how long a job takes, and how many polls at least report it as
    processing. `job_nulls`: whether fields of a draft job without a value are sent as `null` or left out.
    `key_reuse`: the answer to an idempotency key that comes again at the same endpoint with another body: the
    job already made, or 400.
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
    date_precision: timedelta = MILLISECOND
    read_lag: float = field(default=0.0, validator=_seconds)
    apply_delay: float = field(default=0.0, validator=_seconds)
    repeat_requests: RepeatAnswer = field(default="never", validator=_one_of("never", "first", "second"))
    location: LocationForm = field(default="published", validator=_one_of("published", "url", "path", "id"))
    job_seconds: float = field(default=0.0, validator=_seconds)
    job_polls: int = field(default=0, validator=_whole(0))
    job_nulls: bool = field(default=False, validator=_flag)
    key_reuse: KeyReuse = field(default="same-job", validator=_one_of("same-job", "refuse"))

    def __attrs_post_init__(self) -> None:
        if self.date_precision <= timedelta(0):
            raise ConfigurationError(
                f"Behaviour(date_precision={self.date_precision!r}): must be a timedelta above zero"
            )
        try:
            first, second = self.etag_of(1), self.etag_of(2)
        except (LookupError, ValueError, TypeError) as error:
            raise ConfigurationError(f"Behaviour(etag={self.etag!r}): {error}") from error
        if not first or first == second:
            raise ConfigurationError(f"Behaviour(etag={self.etag!r}): must give a text that differs by version")

    def etag_of(self, version: int) -> str:
        """Return the ETag of a version."""
        number = version + self.etag_offset
        return self.etag.format(version=number) if isinstance(self.etag, str) else self.etag(number)
