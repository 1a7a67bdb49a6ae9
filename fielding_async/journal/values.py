"""The values that a journal is read into, and the one that says what it belongs to."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit

from attrs import frozen

from fielding_async.core.actions import Action
from fielding_async.core.models import RunRef

__all__ = ["Binding", "EndState", "JournalCounts", "JournalRow", "JournalSummary", "is_same_exchange"]

EndState = Literal["done", "failed", "unknown", "skipped"]
"""How a row ended."""


@frozen
class Binding:
    """What a journal belongs to. `plan`: a digest of the whole plan, if the caller passed one."""

    base_url: str
    api_version: str
    plan: str | None = None


def is_same_exchange(url: str, other: str) -> bool:
    """Whether two base URLs are of one exchange. Hosts compare without case; a scheme's own port may be left out."""
    return url == other or _address(url) == _address(other)


def _address(url: str) -> object:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme), parts.path
    except ValueError:
        return url


@frozen(kw_only=True)
class JournalCounts:
    """How many rows of a journal ended in each way. `in_flight`: a write may be applied, and no end is on record."""

    __module__ = "fielding_async"

    done: int = 0
    failed: int = 0
    unknown: int = 0
    skipped: int = 0
    in_flight: int = 0

    @property
    def ended(self) -> int:
        """How many rows have ended, one way or another."""
        return self.done + self.failed + self.unknown + self.skipped


@frozen(kw_only=True)
class JournalSummary:
    """What a journal holds.

    `plan` is the digest of the plan that it is bound to, if one was passed. `outcomes` counts the rows that ended, by
    the name of the action and by `accepted`, `already`, `unconfirmed`, `failed`, `unknown` or `skipped`. `began_at`,
    `last_written_at`: when it was begun, and when its last group was written (aware, UTC); `None` in format 1, which
    has no times.
    """

    __module__ = "fielding_async"

    base_url: str
    api_version: str
    plan: str | None
    counts: JournalCounts
    outcomes: Mapping[tuple[str, str], int]
    began_at: datetime | None = None
    last_written_at: datetime | None = None
    format: int = 1


@frozen(kw_only=True)
class JournalRow:
    """A row of a journal that did not end well.

    `number` is its place in the input, from 0. `ref` and `action` are `None` if they were not valid; for a row in
    flight `ref` is not on record. `error` is the name of the error's class, `message` its text; both are empty for a
    row in flight.
    """

    __module__ = "fielding_async"

    number: int
    ref: RunRef | None
    action: Action | None
    state: Literal["failed", "unknown", "skipped", "in flight"]
    error: str = ""
    message: str = ""
    trace_id: str | None = None
