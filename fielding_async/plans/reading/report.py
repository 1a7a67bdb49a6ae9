"""The report of a plan: one pass over the journals of its shards."""

from collections import Counter
from datetime import datetime

from attrs import define, field

from fielding_async.journal.replay import Replay
from fielding_async.journal.values import JournalCounts
from fielding_async.plans.database.database import Database
from fielding_async.plans.values.plan_report import LateRow, PlanReport

from .events import ShardEvents, merged
from .late_rows import late_rows, read_late_rows, states_of
from .record import read_plan, read_shards
from .shard_journal import deleted, feed_shard, row_numbers

__all__ = ["plan_report"]

_TIMES = "SELECT submitted_at, finished_at FROM fielding_plan WHERE plan_id = $1::bigint"


@define
class _Sums:
    """What the shards that were read have together."""

    counts: Counter[str] = field(factory=Counter[str])
    outcomes: Counter[tuple[str, str]] = field(factory=Counter[tuple[str, str]])
    first: datetime | None = None
    last: datetime | None = None

    def add(self, replay: Replay) -> None:
        """Add a shard."""
        counts = replay.counts()
        for name in ("done", "failed", "unknown", "skipped", "in_flight", "stuck"):
            self.counts[name] += getattr(counts, name)
        self.outcomes.update(replay.outcomes)
        first, last = replay.written()
        if first is not None and last is not None:
            self.first = first if self.first is None else min(self.first, first)
            self.last = last if self.last is None else max(self.last, last)


async def plan_report(database: Database, name: object) -> PlanReport:
    """Return the report of a plan; see `PostgresPlans.report`."""
    plan = await read_plan(database, name)
    async with database.connection() as connection:
        times = await connection.fetch(_TIMES, plan.plan_id)
    if not times:
        raise deleted(plan)
    ((submitted_at, finished_at),) = times
    written_late = await read_late_rows(database, plan)
    late: list[LateRow] = []
    sums, events = _Sums(), list[ShardEvents]()
    for shard in await read_shards(database, plan):
        replay, of_shard = Replay(keep=True), ShardEvents()
        async for epoch in feed_shard(database, plan, shard, replay):
            of_shard.add_group(epoch, replay.written()[1], replay.events)
            replay.events.clear()
            replay.rows.clear()
        of_shard.end()
        events.append(of_shard)
        sums.add(replay)
        if shard.shard in written_late:
            numbers = await row_numbers(database, plan, shard)
            late += late_rows(written_late[shard.shard], numbers, states_of(replay))
    counts = JournalCounts(**sums.counts)
    return PlanReport(
        name=plan.name,
        state=plan.state,
        digest=plan.digest,
        base_url=plan.base_url,
        api_version=plan.api_version,
        rows=plan.rows,
        shards=plan.shards,
        counts=counts,
        not_begun=plan.rows - counts.ended - counts.in_flight - counts.stuck,
        outcomes=dict(sums.outcomes),
        events=merged(events),
        submitted_at=submitted_at,
        finished_at=finished_at,
        began_at=sums.first,
        last_written_at=sums.last,
        late=tuple(sorted(late, key=lambda row: row.written_at)),
    )
