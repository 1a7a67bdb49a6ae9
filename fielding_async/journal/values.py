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
"""The recorded state of a row; see `JournalRow.state`."""

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
    """How many rows of a journal are in each state.

    The writes of stuck rows may have been applied. A batch that continues the journal tries these rows again.
    """

    __module__ = "fielding_async"

    done: int = 0
    """Rows that ended with an outcome."""
    failed: int = 0
    """Rows that ended with an error, except those that are counted as unknown or skipped."""
    unknown: int = 0
    """Rows that ended in `OutcomeUnknownError`."""
    skipped: int = 0
    """Rows that ended in `SkippedError`: they were not sent."""
    in_flight: int = 0
    """Rows that were in progress: their writes may have been applied, and no end is recorded."""
    stuck: int = 0
    """Rows that failed three times and were set aside; they are not counted as in flight."""

    @property
    def ended(self) -> int:
        """How many rows have ended: done, failed, unknown or skipped."""
        return self.done + self.failed + self.unknown + self.skipped


@frozen(kw_only=True)
class JournalSummary:
    """What a journal holds.

    Each key of `outcomes` is a pair: the name of the action, and `accepted`, `already`, `unconfirmed`, `failed`,
    `unknown` or `skipped`.

    A journal consists of groups of records. `began_at` and `last_written_at` are the times of the first and of the last
    group, by the clock of the machine that wrote the group. They are `None` if there is no group, and for groups of
    format 1. `resolved_runs` is above 0 only for a plan of `fielding apply` that names target groups and no runs.
    """

    __module__ = "fielding_async"

    base_url: str
    """The base URL of the exchange that the journal belongs to."""
    api_version: str
    """The version of the API that the journal belongs to."""
    plan: str | None
    """The digest of the plan that the journal belongs to; `None` if no digest was passed."""
    counts: JournalCounts
    """The number of rows in each state."""
    outcomes: Mapping[tuple[str, str], int]
    """The number of rows that ended, by the name of the action and the way in which they ended."""
    began_at: datetime | None = None
    """When the first group of records was written, aware, in UTC; `None` if that is not recorded."""
    last_written_at: datetime | None = None
    """When the last group of records was written, aware, in UTC; `None` if that is not recorded."""
    format: int
    """The format of the journal, 1 or 2, as in its first line."""
    resolved_runs: int = 0
    """The number of target groups whose run is recorded."""


@frozen(kw_only=True)
class JournalRow:
    """A row of a journal.

    `state` is one of these:

    - `"done"`, `"failed"`, `"unknown"` or `"skipped"`: the row has ended.
    - `"stuck"`: the row failed three times and was set aside. A batch that continues the journal tries it again.
    - `"in flight"`: the write of the row may have been applied, and no end is recorded.
    - `"not begun"`: only in a plan in PostgreSQL.
    """

    __module__ = "fielding_async"

    number: int
    """The row's place in the input, from 0."""
    ref: RunRef | None
    """The run; `None` if it was not valid or, for a row in flight in a journal of format 1, is not recorded."""
    action: Action | None
    """The action; `None` if it was not valid."""
    state: JournalRowState
    """The recorded state of the row: see above."""
    effect: Effect | None = None
    """The effect of a row that is done, as in `Outcome.effect`; otherwise `None`."""
    error: str = ""
    """The name of the error's class; empty for a row that is done or in flight."""
    message: str = ""
    """The text of the error; empty for a row that is done or in flight."""
    trace_id: str | None = None
    """The W3C trace id of the call; `None` if it is not recorded."""
    time: datetime | None = None
    """When the end of the row was recorded (for a row in flight: its last write), aware, in UTC; `None` in format 1."""
    before: FieldingRun | None = None
    """The run under whose ETag the last write was sent; `None` if nothing was sent.

    It has no ids of account, project and target group.
    """
    etag: str | None = None
    """The ETag of the run after our accepted write; `None` if it is not known."""
    conflicts: int = 0
    """The number of 412s that the row got, as in `Outcome.conflicts`."""
    if_match: str | None = None
    """The only ETag under which the row may be sent; `None` if the row's plan names none."""


@frozen(kw_only=True)
class JournalEvent:
    """Something that happened to a whole batch.

    `kind` is one of these:

    - `"outage"`: the exchange could not be used from this time on, and the batch waited.
    - `"back"`: the outage has ended.
    - `"pause"`: the session sent nothing for some time, because of a 429.

    A pause is recorded when it has ended. If there are many pauses, one event stands for several of them: `count` is
    their number, and `seconds` is their total duration. Times are by the clock of the machine that wrote them.
    """

    __module__ = "fielding_async"

    time: datetime
    """When the event was written, aware, in UTC."""
    kind: JournalEventKind
    """`"outage"`, `"back"` or `"pause"`: see above."""
    seconds: float | None
    """The duration of the outage or of the pauses, in seconds, 0 or more; `None` for `"outage"`."""
    reason: str
    """The cause, in words; for `"back"`, the last failure of the outage that has ended."""
    began_at: datetime | None = None
    """When the first of the pauses started, aware, in UTC; `None` for the other kinds."""
    ended_at: datetime | None = None
    """When the last of the pauses ended, aware, in UTC; `None` for the other kinds."""
    count: int = 1
    """The number of pauses that the event stands for, 1 or more; 1 for the other kinds."""
