"""The values that a journal is read into, and the one that says what it belongs to."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit

from attrs import field, frozen

from fielding_async.core.actions import Action
from fielding_async.core.models import Effect, FieldingRun, RunRef

__all__ = [
    "FORMAT",
    "Binding",
    "EndState",
    "EventKind",
    "JournalCounts",
    "JournalEvent",
    "JournalRow",
    "JournalSummary",
    "is_same_exchange",
]

FORMAT = 2
"""The format of the journals that this version begins."""

EndState = Literal["done", "failed", "unknown", "skipped"]
"""How a row ended."""

EventKind = Literal["outage", "back", "pause"]
"""What happened to a whole batch; see `JournalEvent.kind`."""


@frozen
class Binding:
    """What a journal belongs to. `plan`: a digest of the whole plan, if the caller passed one.

    `format`: that of the journal's first line.
    """

    base_url: str
    api_version: str
    plan: str | None = None
    format: int = field(default=FORMAT, kw_only=True, eq=False)


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
    """How many rows of a journal ended in each way.

    `in_flight`: a write may be applied, and no end is on record. `stuck`: set aside after three tries, a write of some
    of them may be applied; a batch that goes on tries them again. A row that is stuck is not counted as in flight.
    """

    __module__ = "fielding_async"

    done: int = 0
    failed: int = 0
    unknown: int = 0
    skipped: int = 0
    in_flight: int = 0
    stuck: int = 0

    @property
    def ended(self) -> int:
        """How many rows have ended, one way or another."""
        return self.done + self.failed + self.unknown + self.skipped


@frozen(kw_only=True)
class JournalSummary:
    """What a journal holds.

    `plan` is the digest of the plan that it is bound to, if one was passed. `outcomes` counts the rows that ended, by
    the name of the action and by `accepted`, `already`, `unconfirmed`, `failed`, `unknown` or `skipped`.

    `format` is that of the file's first line. `began_at` and `last_written_at` are the times of the first and the last
    group of records, aware and in UTC, by the clock of the machine that wrote them; `None` where there is none, and
    for groups of format 1.
    """

    __module__ = "fielding_async"

    base_url: str
    api_version: str
    plan: str | None
    counts: JournalCounts
    outcomes: Mapping[tuple[str, str], int]
    began_at: datetime | None = None
    last_written_at: datetime | None = None
    format: int


@frozen(kw_only=True)
class JournalRow:
    """A row of a journal.

    `number` is its place in the input, from 0. `ref` and `action` are `None` if they were not valid; for a row in
    flight in a journal of format 1, `ref` is not on record. `state` is `"done"`, `"failed"`, `"unknown"`, `"skipped"`,
    `"stuck"` (set aside after three tries; a batch that goes on tries it again) or `"in flight"` (its write may be
    applied, and no end is on record). `effect` is that of a row that is done, see `Outcome.effect`. `error` is the name
    of the error's class, `message` its text; both are empty for a row that is done or in flight.

    `time` is when the group of records with the end was written (in flight: that with the last intent), aware and in
    UTC; `None` in format 1. `before` is the run under whose ETag the last write of the row was sent, without the ids of
    account, project and target group; `None` if nothing was sent. `etag` is the run's ETag as our accepted write left
    it, `None` where that is not known. `conflicts` is `Outcome.conflicts`. `if_match` is that of the
    row's plan, if it has one.
    """

    __module__ = "fielding_async"

    number: int
    ref: RunRef | None
    action: Action | None
    state: Literal["done", "failed", "unknown", "skipped", "stuck", "in flight"]
    effect: Effect | None = None
    error: str = ""
    message: str = ""
    trace_id: str | None = None
    time: datetime | None = None
    before: FieldingRun | None = None
    etag: str | None = None
    conflicts: int = 0
    if_match: str | None = None


@frozen(kw_only=True)
class JournalEvent:
    """Something that happened to a whole batch.

    `kind` is `"outage"` (the exchange could not be used, and the batch waits), `"back"` (it can be used again) or
    `"pause"` (nothing was sent for a while; this version writes none). `time` is when the event was
    written, aware and in UTC. `seconds`, 0 or more, is how long the outage or pause took; `None` for `"outage"`, which
    has only begun. `reason` says why, in words; for `"back"` it is the last failure of the outage that ended.
    """

    __module__ = "fielding_async"

    time: datetime
    kind: EventKind
    seconds: float | None
    reason: str
