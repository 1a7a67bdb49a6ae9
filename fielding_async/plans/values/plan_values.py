"""The values that the methods of `PostgresPlans` return, and what a plan's name may be."""

from datetime import datetime
from typing import Literal

from attrs import frozen

from fielding_async.core.errors import ConfigurationError, briefly
from fielding_async.journal.values import JournalCounts

__all__ = ["PlanState", "PlanStatus", "PlanWorker", "Submitted", "Worked", "check_days", "check_plan_name"]

PlanState = Literal["sealed", "paused", "cancelled", "deleting"]
"""Whether a plan is worked on: only one that is sealed is. See `PlanStatus.state`."""

_LONGEST_NAME = 200
_MOST_DAYS = 1_000_000


def check_plan_name(argument: str, value: object) -> str:
    """Return a name of a plan: 1 to 200 printable characters, no blank at either end; raises `ConfigurationError`."""
    if not isinstance(value, str):
        raise ConfigurationError(f"{argument}: must be a str, the name of a plan, not {type(value).__name__}")
    if not 0 < len(value) <= _LONGEST_NAME or not value.isprintable() or value != value.strip():
        raise ConfigurationError(
            f"{argument}={briefly(value)}: must have 1 to {_LONGEST_NAME} characters, all printable, with no blank at"
            " either end"
        )
    return value


def check_days(value: object) -> float:
    """Return a number of days of at least 0, at most a million; raises `ConfigurationError`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST_DAYS:
        raise ConfigurationError(f"days={briefly(value)}: must be a number of at least 0, at most {_MOST_DAYS}")
    return value


@frozen(kw_only=True)
class Submitted:
    """What `submit` did."""

    __module__ = "fielding_async.plans"

    name: str
    """The plan's name."""
    rows: int
    """How many rows the plan has, 0 or more."""
    is_new: bool
    """Whether the plan was stored now, not before."""


@frozen(kw_only=True)
class Worked:
    """What a call of `work` did, and what is left of the plan."""

    __module__ = "fielding_async.plans"

    rows: int
    """How many rows ended in this call."""
    left: int
    """How many rows of the plan have not ended; 0 if the call found the plan cancelled."""
    held: int
    """How many of the rows in `left` are leased by other workers."""
    wait: float
    """Seconds before another call is of use, 0 or more; 0 also if nothing is left."""


@frozen(kw_only=True)
class PlanWorker:
    """A worker of a plan."""

    __module__ = "fielding_async.plans"

    holder: str
    """The worker's name, with host and process."""
    shards: int
    """How many shards the worker holds."""
    lease_left: float
    """Seconds until the first of its leases is over, by the server's clock, 0 or more; 0 if one has run out, as that of
    a worker that crashed."""
    last_written_at: datetime | None
    """When the worker last committed a record, aware, in UTC, by the server's clock; `None` if it has not yet."""


@frozen(kw_only=True)
class PlanStatus:
    """How far a plan is."""

    __module__ = "fielding_async.plans"

    name: str
    """The plan's name."""
    state: PlanState
    """`"sealed"` (it may be worked on), `"paused"`, `"cancelled"` (finally) or `"deleting"` (a deletion was
    interrupted; `delete` completes it)."""
    digest: str
    """The SHA-256 digest of what all rows ask for, in order, in 64 hexadecimal digits."""
    rows: int
    """How many rows the plan has."""
    counts: JournalCounts
    """How many rows ended in each way, are in flight or are stuck, as the workers' last commits say."""
    shards: int
    """In how many shards workers take the plan, 0 to 128."""
    shards_finished: int
    """How many of the shards have no row left."""
    workers: tuple[PlanWorker, ...]
    """The workers that hold leases, by name."""
    submitted_at: datetime
    """When the plan was submitted, aware, in UTC, by the server's clock."""
    began_at: datetime | None
    """When the plan was first worked on, aware, in UTC, by the server's clock; `None` if it was not yet."""
    finished_at: datetime | None
    """When the plan's last row ended, or it was cancelled, aware, in UTC, by the server's clock; `None` before."""
    last_written_at: datetime | None
    """When a worker last committed a record, aware, in UTC, by the server's clock; `None` before there is one."""
    base_url: str | None
    """The base URL of the exchange that the plan was first worked on at; `None` before."""
    api_version: str | None
    """The version of the API that the plan was first worked on with; `None` before."""

    @property
    def left(self) -> int:
        """How many rows have not ended."""
        return self.rows - self.counts.ended
