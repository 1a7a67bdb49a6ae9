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
    """What `submit` did. `rows`: how many the plan has. `is_new`: whether it was stored now, not before."""

    __module__ = "fielding_async.plans"

    name: str
    rows: int
    is_new: bool


@frozen(kw_only=True)
class Worked:
    """What a call of `work` did, and what is left of the plan.

    `rows`: how many rows ended in this call. `left`: how many of the plan have not ended. `held`: how many of those are
    leased by other workers. `wait`: the seconds before another call is of use, 0 or more; 0 also if nothing is left.
    """

    __module__ = "fielding_async.plans"

    rows: int
    left: int
    held: int
    wait: float


@frozen(kw_only=True)
class PlanWorker:
    """A worker of a plan. `holder`: its name, with host and process. `shards`: how many it holds.

    `lease_left`: the seconds until the first of its leases is over, by the server's clock, 0 or more; 0 if one has run
    out, as that of a worker that crashed. `last_written_at`: when it last committed a record, aware and in UTC, by the
    server's clock; `None` if it has not yet.
    """

    __module__ = "fielding_async.plans"

    holder: str
    shards: int
    lease_left: float
    last_written_at: datetime | None


@frozen(kw_only=True)
class PlanStatus:
    """How far a plan is. All times are aware, in UTC, and by the server's clock.

    `state` is `"sealed"` (it may be worked on), `"paused"`, `"cancelled"` (finally) or `"deleting"` (a deletion was
    interrupted; `delete` completes it). `digest` is that of all rows in order: of what they ask for. `rows`: how
    many it has. `counts`: how many of them ended in each way, are in flight or are stuck, as the workers' last commits
    say. `shards` is in how many parts workers take it, `shards_finished` how many of those have no row left. `workers`:
    who holds leases, by name.

    `began_at`: when it was first worked on, `None` if it was not yet; `finished_at`: when its last row ended, or it was
    cancelled, `None` before; `last_written_at`: when a worker last committed a record. `base_url` and `api_version` are
    those of the exchange that it was first worked off at, `None` before.
    """

    __module__ = "fielding_async.plans"

    name: str
    state: PlanState
    digest: str
    rows: int
    counts: JournalCounts
    shards: int
    shards_finished: int
    workers: tuple[PlanWorker, ...]
    submitted_at: datetime
    began_at: datetime | None
    finished_at: datetime | None
    last_written_at: datetime | None
    base_url: str | None
    api_version: str | None

    @property
    def left(self) -> int:
        """How many rows have not ended."""
        return self.rows - self.counts.ended
