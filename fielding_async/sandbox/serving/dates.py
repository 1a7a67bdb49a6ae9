"""Timestamps as the API writes them: RFC 3339 in UTC with three fractional digits."""

import re
from datetime import UTC, datetime, timedelta

__all__ = ["MILLISECOND", "floor", "parse", "text"]

MILLISECOND = timedelta(milliseconds=1)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]+))?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def floor(moment: datetime, step: timedelta) -> datetime:
    """Return the latest whole multiple of `step` (counted from 1970) that is not after `moment`, in UTC."""
    since = (moment if moment.tzinfo is UTC else moment.astimezone(UTC)) - _EPOCH
    rest = since % step
    return _EPOCH + (since - rest if rest else since)


def text(moment: datetime) -> str:
    """Write a timestamp in UTC with three fractional digits (six where needed) and a `Z`."""
    moment = moment.astimezone(UTC)
    digits = "milliseconds" if moment.microsecond % 1000 == 0 else "microseconds"
    return moment.replace(tzinfo=None).isoformat(timespec=digits) + "Z"


def parse(raw: object) -> datetime:
    """Read a timestamp; digits beyond microseconds are cut off.

    Raises `ValueError`, with a reason fit for `invalid_params`, for anything but an RFC 3339 text in UTC.
    """
    if not isinstance(raw, str):
        raise ValueError("must be a string")
    match = _RFC3339.fullmatch(raw)
    if match is None:
        raise ValueError("must be an RFC 3339 date and time in UTC")
    day, clock, fraction, zone = match.groups()
    if zone not in {"Z", "z", "+00:00"}:
        raise ValueError("must be in UTC")
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}+00:00")
    except ValueError:
        raise ValueError("is no date and time of the calendar") from None
    return moment.replace(microsecond=int((fraction or "")[:6].ljust(6, "0")))
