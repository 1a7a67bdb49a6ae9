"""The values that the methods of `PostgresPlans` return which read what is on record of a plan's rows."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from attrs import frozen

from fielding_async.core.actions import Action
from fielding_async.core.models import RunRef
from fielding_async.journal.values import JournalCounts, JournalEvent, JournalRow, JournalRowState

from .plan_values import PlanState

__all__ = ["LateRow", "LateState", "PlanReport", "PlanRow"]

LateState = Literal["accepted", "already", "unconfirmed", "failed", "unknown", "skipped", "stuck", "not applied"]
"""What a late holder knew of a row: an effect, another end, `"stuck"`, or that its write was not applied."""


@frozen(kw_only=True)
class LateRow:
    """What a worker learned of a row after its lease was over. It is evidence, and no part of the plan's record.

    Another worker took the row over.
    """

    __module__ = "fielding_async.plans"

    number: int
    """The row's number in the plan, from 0."""
    ref: RunRef | None
    """The run of the row; `None` if it is not on record."""
    action: Action | None
    """The action of the row; `None` if it is not on record."""
    knew: LateState
    """What the late worker knew of the row: how it ended, that it is stuck, or that its write was not applied."""
    error: str = ""
    """The name of the error's class; empty unless `knew` is `"failed"`, `"unknown"`, `"skipped"` or `"stuck"`."""
    message: str = ""
    """The text of the error; empty if `error` is."""
    trace_id: str | None = None
    """The W3C trace id of the call; `None` where it is not on record."""
    etag: str | None = None
    """The run's ETag as the late worker's accepted write left it; `None` where that is not known."""
    conflicts: int = 0
    """412s of the call, counted as in `Outcome.conflicts`."""
    holder: str
    """The late worker's name, with host and process."""
    shard: int
    """The shard that the worker's lease was for, from 0."""
    epoch: int
    """The number of the worker's lease among the leases of the shard, from 1."""
    written_at: datetime
    """When the late worker wrote this down, aware, in UTC, by the server's clock."""
    on_record: JournalRowState = "not begun"
    """The state of the row by the plan's record, as in `PlanRow`."""


@frozen(kw_only=True)
class PlanRow(JournalRow):
    """A row of a plan in PostgreSQL: a `JournalRow`, whose `number` is its number in the plan, from 0.

    `state` may also be `"not begun"`: no end is on record, and nothing was sent that may still be applied.
    """

    __module__ = "fielding_async.plans"

    shard: int
    """The shard of the plan that the row is in, from 0."""
    late: tuple[LateRow, ...] = ()
    """What workers learned of the row after their leases were over, in order of time."""


@frozen(kw_only=True)
class PlanReport:
    """What is on record of a plan."""

    __module__ = "fielding_async.plans"

    name: str
    """The plan's name."""
    state: PlanState
    """The plan's state, as in `PlanStatus`; never `"deleting"`."""
    digest: str
    """The digest of all rows in order, as in `PlanStatus`."""
    base_url: str | None
    """The base URL of the exchange that the plan was first worked on at; `None` before."""
    api_version: str | None
    """The version of the API that the plan was first worked on with; `None` before."""
    rows: int
    """How many rows the plan has."""
    shards: int
    """In how many shards workers take the plan, 0 to 128."""
    counts: JournalCounts
    """How many rows ended in each way, are in flight or are stuck."""
    not_begun: int
    """How many rows have not ended and are neither in flight nor stuck."""
    outcomes: Mapping[tuple[str, str], int]
    """How many rows ended, by the name of the action and by `accepted`, `already`, `unconfirmed`, `failed`, `unknown`
    or `skipped`."""
    events: tuple[JournalEvent, ...]
    """The events of all workers and shards, in order of time.

    What several of them have on record at the same time is one event: an outage lasts from when the first of them met
    it to when the last one was free of it or had ended; a pause from its first start to its last end. An outage without
    a `"back"` behind it has not ended.
    """
    submitted_at: datetime
    """When the plan was submitted, aware, in UTC, by the server's clock."""
    finished_at: datetime | None
    """When the plan's last row ended, or it was cancelled, aware, in UTC, by the server's clock; `None` before."""
    began_at: datetime | None
    """When the first group of records was written, aware, in UTC, by a worker's clock; `None` before there is one."""
    last_written_at: datetime | None
    """When the last group of records was written, aware, in UTC, by a worker's clock; `None` before there is one."""
    late: tuple[LateRow, ...]
    """What workers learned of rows after their leases were over, in order of time."""
