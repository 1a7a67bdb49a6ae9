"""Response headers: Retry-After, Location, ETag. Each is read to a value, or to `None` if the text is not usable."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from math import isfinite

from fielding_async.core.ids import is_plain_id
from fielding_async.core.redaction import LEFT_OUT

__all__ = ["SENDABLE", "is_aged", "is_sendable", "job_id_from_location", "retry_after_seconds", "sendable_etag"]

_MAX_LENGTH = 4096
SENDABLE = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]*")
"""What `is_sendable` accepts, for code that must avoid the cost of the call."""

_DECIMAL = re.compile(r"\d{1,90}(?:\.\d{0,90})?", re.ASCII)
_LEADING = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/?#]*|[A-Za-z][A-Za-z0-9+.-]*:(?=/)")


def retry_after_seconds(value: str | None, date: str | None, now: datetime) -> float | None:
    """Return the seconds that a Retry-After asks for; `None` if it is absent, 0, past or junk.

    Whole or decimal seconds, or an HTTP date, which is read against the reply's own `Date` so that a wrong clock on
    either side has no effect; against `now` (aware) if the reply has none. Source: RFC 9110, section 10.2.3.
    """
    if value is None or len(value) > 100:
        return None
    value = value.strip(" \t")
    if _DECIMAL.fullmatch(value):
        seconds = float(value)
    else:
        until = _http_date(value)
        if until is None:
            return None
        seconds = (until - (_http_date(date or "") or now)).total_seconds()
    return seconds if seconds > 0 and isfinite(seconds) else None


def is_aged(value: str) -> bool:
    """Whether an `Age` says that a cache answered, without asking the exchange just then.

    A value that is not a number is taken for one above 0. Source: RFC 9111, section 5.1.
    """
    return value.strip(" \t").strip("0") != ""


def _http_date(text: str) -> datetime | None:
    if len(text) > 100:
        return None
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


def job_id_from_location(location: str) -> str | None:
    """Return the job id that a `Location` ends with: a full URL of any host, a path, or the id alone.

    `None` if it holds no id. Source: RFC 9110, section 10.2.2, and the published examples.
    """
    if len(location) > _MAX_LENGTH:
        return None
    path = _LEADING.sub("", location.strip(" \t"), count=1)
    path = re.split(r"[?#]", path, maxsplit=1)[0].rstrip("/")
    segment = path.rsplit("/", maxsplit=1)[-1]
    return segment if segment and is_plain_id(segment) else None


def is_sendable(text: str) -> bool:
    """Whether a text can be sent as the value of a header (RFC 9110, section 5.5): it has no control characters.

    Tabs, which the RFC allows, are not accepted either, nor are lone surrogates, which are no characters.
    """
    return SENDABLE.fullmatch(text) is not None


@lru_cache(maxsize=1024)
def sendable_etag(value: str | None) -> str | None:
    """Return an ETag if it can be sent back as the `If-Match` of one version, otherwise `None`.

    It must not be empty or `*`, and must be one line. Bytes that are not UTF-8 are lone surrogates here, and could not
    be sent back as they came. Equal ETags are returned as one str object: many runs in memory have the same few.
    """
    if not value or len(value) > _MAX_LENGTH or value in {"*", LEFT_OUT}:
        return None
    return value if is_sendable(value) and value == value.strip() else None
