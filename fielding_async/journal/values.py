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
    "JournalCounts",
    "JournalEvent",
    "JournalEventKind",
    "JournalRow",
    "JournalRowState",
    "JournalSummary",
    "ResolvedRuns",
    "is_same_exchange",
]

FORMAT = 2
"""The format of the journals that this version starts."""

EndState = Literal["done", "failed", "unknown", "skipped"]
"""How a row ended."""

JournalRowState = Literal["done", "failed", "unknown", "skipped", "stuck", "in flight", "not begun"]
"""What is on record of a row; see `JournalRow.state`."""

ResolvedRuns = dict[tuple[int, str], dict[str, str]]
"""The fielding run of each target group, by account and project and then by target group."""

JournalEventKind = Literal["outage", "back", "pause"]
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
    of them may be applied; a batch that is resumed tries them again. A row that is stuck is not counted as in flight.
    """

    __module__ = "fielding_async"

    done: int = 0
    """Rows that ended with an outcome."""
    failed: int = 0
    """Rows that ended with an error, without those that are unknown or skipped."""
    unknown: int = 0
    """Rows that ended in `OutcomeUnknownError`."""
    skipped: int = 0
    """Rows that ended in `SkippedError`: they were not sent."""
    in_flight: int = 0
    """Rows whose write may be applied, and of which no end is on record."""
    stuck: int = 0
    """Rows that were set aside after three tries; they are not counted as in flight."""

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
    for groups of format 1. `resolved_runs` is the number of target groups whose run is recorded; it is above 0 only for
    a plan of `fielding apply` that names target groups and no runs.
    """

    __module__ = "fielding_async"

    base_url: str
    """The base URL of the exchange that the journal belongs to."""
    api_version: str
    """The version of the API that the journal belongs to."""
    plan: str | None
    """The digest of the plan that it is bound to; `None` if none was passed."""
    counts: JournalCounts
    """How many rows are in which state."""
    outcomes: Mapping[tuple[str, str], int]
    """How many rows ended how, by the name of the action and the end."""
    began_at: datetime | None = None
    """When the first group of records was written, aware, in UTC; `None` where that is not on record."""
    last_written_at: datetime | None = None
    """When the last group of records was written, aware, in UTC; `None` where that is not on record."""
    format: int
    """The format of its first line, 1 or 2."""
    resolved_runs: int = 0
    """How many target groups have their run on record."""


@frozen(kw_only=True)
class JournalRow:
    """A row of a journal.

    `number` is its place in the input, from 0. `ref` and `action` are `None` if they were not valid; for a row in
    flight in a journal of format 1, `ref` is not on record. `state` is `"done"`, `"failed"`, `"unknown"`, `"skipped"`,
    `"stuck"` (set aside after three tries; a batch that is resumed tries it again) or `"in flight"` (its write may be
    applied, and no end is on record); of a plan in PostgreSQL also `"not begun"`. `effect` is that of a row that is
    done, see `Outcome.effect`. `error` is the name of the error's class, `message` its text; both are empty for a row
    that is done or in flight.

    `time` is when the group of records with the end was written (in flight: that with the last intent), aware and in
    UTC; `None` in format 1. `before` is the run under whose ETag the last write of the row was sent, without the ids of
    account, project and target group; `None` if nothing was sent. `etag` is the run's ETag as our accepted write left
    it, `None` where that is not known. `conflicts` is `Outcome.conflicts`. `if_match` is that of the
    row's plan, if it has one.
    """

    __module__ = "fielding_async"

    number: int
    """The row's place in the input, from 0."""
    ref: RunRef | None
    """The run; `None` if it is not on record or was not valid."""
    action: Action | None
    """The action; `None` if it was not valid."""
    state: JournalRowState
    """What is on record of the row, as above."""
    effect: Effect | None = None
    """The effect of a row that is done, otherwise `None`."""
    error: str = ""
    """The name of the error's class; empty for a row that is done or in flight."""
    message: str = ""
    """The text of the error; empty for a row that is done or in flight."""
    trace_id: str | None = None
    """The W3C trace id of the call; `None` where it is not on record."""
    time: datetime | None = None
    """When the group of records with the end, or with the last intent, was written, aware, in UTC; `None` in format
    1."""
    before: FieldingRun | None = None
    """The run under whose ETag the last write was sent; `None` if nothing was sent."""
    etag: str | None = None
    """The run's ETag as our accepted write left it; `None` where that is not known."""
    conflicts: int = 0
    """412s met, as `Outcome.conflicts`."""
    if_match: str | None = None
    """The only ETag that the row may be sent under; `None` if its plan names none."""


@frozen(kw_only=True)
class JournalEvent:
    """Something that happened to a whole batch.

    `kind` is `"outage"` (the exchange could not be used, and the batch waits), `"back"` (it can be used again) or
    `"pause"` (the session sent nothing for a while, as the exchange asks with a 429). `time` is when the event was
    written, aware and in UTC. `seconds`, 0 or more, is how long the outage or pause took; `None` for `"outage"`, which
    has only started. `reason` says why, in words; for `"back"` it is the last failure of the outage that ended.

    A pause is written when it is over. If there are many, one event stands for `count` pauses, 1 or more. The first one
    started at `began_at`, the last one ended at `ended_at`, and `seconds` is their total duration. Both are aware,
    in UTC, by the clock of the machine that wrote them. They are `None` for the other kinds.
    """

    __module__ = "fielding_async"

    time: datetime
    """When the event was written, aware, in UTC."""
    kind: JournalEventKind
    """`"outage"`, `"back"` or `"pause"`, as above."""
    seconds: float | None
    """How long the outage or pause took, in seconds, 0 or more; `None` for `"outage"`."""
    reason: str
    """The cause, in words; for `"back"` the last failure of the outage that ended."""
    began_at: datetime | None = None
    """When the first pause started, aware, in UTC; `None` for the other kinds."""
    ended_at: datetime | None = None
    """When the last pause ended, aware, in UTC; `None` for the other kinds."""
    count: int = 1
    """How many pauses the event stands for, 1 or more."""
