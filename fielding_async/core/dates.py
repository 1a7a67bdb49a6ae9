"""Timestamps of the API: RFC 3339, UTC, three fractional digits, `Z`."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from .errors import ConfigurationError, briefly

__all__ = [
    "check_period",
    "floor_to_milliseconds",
    "grain",
    "odd_text",
    "parse_timestamp",
    "read_date",
    "to_text",
]

_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.(\d{1,18}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_GRAINS = (timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1))


def floor_to_milliseconds(name: str, value: Any) -> datetime:
    """Return an aware datetime in UTC, floored to whole milliseconds; raises `ConfigurationError`."""
    if not isinstance(value, datetime):
        hint = ": pass datetime.fromisoformat(…)" if isinstance(value, str) else ""
        if isinstance(value, timedelta):
            hint = ": pass a moment; to move the date that the run has, pass a callable to run.update(…)"
        raise ConfigurationError(
            f"{name}={briefly(value)}: must be an aware datetime, not {type(value).__name__}{hint}"
        )
    if value.utcoffset() is None:
        raise ConfigurationError(
            f"{name}={briefly(value)}: must be aware: give it a tzinfo, such as datetime.UTC, with"
            " .replace(tzinfo=datetime.UTC)"
        )
    try:
        utc: datetime = value.astimezone(UTC)
    except OverflowError:
        raise ConfigurationError(f"{name}={briefly(value)}: must be within the years 1 to 9999 in UTC") from None
    # a plain datetime: one of a subclass may be finer, or compare differently
    floored = utc.microsecond // 1000 * 1000
    return datetime(utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second, floored, tzinfo=UTC)


def check_period(start: datetime | None, end: datetime | None) -> None:
    """Raise `ConfigurationError` unless the end is after the start, where both are named."""
    if start is not None and end is not None and end <= start:
        raise ConfigurationError(f"end_fielding_at={to_text(end)}: must be after start_fielding_at={to_text(start)}")


@lru_cache(1024)  # the runs of one plan share most of their dates
def to_text(value: datetime) -> str:
    """Write a datetime as the API does: UTC, three fractional digits, `Z`."""
    if value.tzinfo is not UTC:
        value = value.astimezone(UTC)
    return f"{value.isoformat(timespec='milliseconds').removesuffix('+00:00')}Z"


def parse_timestamp(text: str) -> datetime:
    """Read an RFC 3339 timestamp; digits beyond microseconds are cut. Raises `ValueError`.

    A leap second (`23:59:60`) is the second after it, and `24:00:00` (ISO 8601) the start of the next day.
    """
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        raise ValueError(f"not an RFC 3339 timestamp: {text[:60]!r}")
    day, clock, fraction, zone = match.groups()
    zone = "+00:00" if zone in {"Z", "z"} else zone
    later = timedelta(0)
    if clock.endswith(":59:60"):
        clock, later = f"{clock[:-2]}59", timedelta(seconds=1)
    elif clock == "24:00:00" and not (fraction or "").strip("0"):
        clock, later = "00:00:00", timedelta(days=1)
    try:
        date = datetime.fromisoformat(f"{day}T{clock}.{(fraction or '').ljust(6, '0')[:6]}{zone}")
        return (date + later).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"not a date and time: {text[:60]!r}") from None


@lru_cache(maxsize=1024)
def read_date(text: str) -> tuple[datetime, str | None]:
    """Return a date, and its text, or `None` if that is what `to_text` would write. Raises `ValueError`.

    Many runs share their dates, so the latest are kept.
    """
    date = parse_timestamp(text)
    return date, None if to_text(date) == text else text


def odd_text(value: Any) -> str | None:
    """Return the text of a date if it must be kept to send it back exactly; otherwise `None`, also if it is no date."""
    try:
        return read_date(value)[1]
    except (TypeError, ValueError):
        return None


def grain(dates: Iterable[datetime]) -> timedelta:
    """Return the coarsest unit in which a server that wrote these dates may be storing them.

    A change smaller than this may leave a stored date as it was.
    """
    offsets = [date - _EPOCH for date in dates]
    for unit in _GRAINS:
        if all(offset % unit == timedelta(0) for offset in offsets):
            return unit
    return timedelta(milliseconds=1)
