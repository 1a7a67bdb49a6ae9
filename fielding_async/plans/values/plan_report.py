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

    Another worker took the row over. `number` is its number in the plan, from 0. `knew`: what the late worker knew;
    `on_record`: the state of the row by the plan's record, as in `PlanRow`. `ref` and `action` are `None` if they are
    not on record. `error`, `message`, `trace_id`, `etag` and
    `conflicts` are as in `JournalRow`. `holder`: its name; `shard` and `epoch`: of its lease. `written_at`: when it
    wrote this down, aware, in UTC, by the server's clock.
    """

    __module__ = "fielding_async.plans"

    number: int
    ref: RunRef | None
    action: Action | None
    knew: LateState
    error: str = ""
    message: str = ""
    trace_id: str | None = None
    etag: str | None = None
    conflicts: int = 0
    holder: str
    shard: int
    epoch: int
    written_at: datetime
    on_record: JournalRowState = "not begun"


@frozen(kw_only=True)
class PlanRow(JournalRow):
    """A row of a plan in PostgreSQL: a `JournalRow`, whose `number` is its number in the plan, from 0.

    `state` may also be `"not begun"`: no end is on record, and nothing was sent that may still be applied. `shard`: the
    part of the plan that it is in. `late`: what workers learned of it after their leases were over, in order of time.
    """

    __module__ = "fielding_async.plans"

    shard: int
    late: tuple[LateRow, ...] = ()


@frozen(kw_only=True)
class PlanReport:
    """What is on record of a plan.

    `rows`: how many it has. `counts`: how many of them ended in each way, are in flight or are stuck. `not_begun`: how
    many of them are none of these. `outcomes` counts the rows that ended, by the name of the action and by `accepted`,
    `already`, `unconfirmed`, `failed`, `unknown` or `skipped`. `state`, `digest`, `shards`, `base_url`, `api_version`,
    `submitted_at` and `finished_at` are as in `PlanStatus`.

    `events` are those of all workers and shards, in order of time. What several of them have on record at the same time
    is one event: an outage lasts from when the first of them met it to when the last one was free of it or had ended; a
    pause from its first start to its last end. An outage without a `"back"` behind it has not ended.

    `began_at` and `last_written_at` are the times of the first and the last group of records, aware and in UTC, by the
    clocks of the workers; `None` before there is one. `late`: what workers learned after their leases were over.
    """

    __module__ = "fielding_async.plans"

    name: str
    state: PlanState
    digest: str
    base_url: str | None
    api_version: str | None
    rows: int
    shards: int
    counts: JournalCounts
    not_begun: int
    outcomes: Mapping[tuple[str, str], int]
    events: tuple[JournalEvent, ...]
    submitted_at: datetime
    finished_at: datetime | None
    began_at: datetime | None
    last_written_at: datetime | None
    late: tuple[LateRow, ...]
