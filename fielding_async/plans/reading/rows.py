"""The rows of a plan, shard by shard, with their numbers in the plan."""

from collections.abc import AsyncGenerator, Sequence
from operator import attrgetter
from typing import Any

from attrs import fields_dict

from fielding_async.core.models import RunRef
from fielding_async.journal.replay import Replay
from fielding_async.journal.values import JournalRow
from fielding_async.plans.database.database import Database
from fielding_async.plans.database.plan_record import PlanRecord
from fielding_async.plans.values.plan_report import LateRow, PlanRow
from fielding_async.plans.values.row_text import read_action_text

from .late_rows import late_rows, read_late_rows
from .record import ShardRecord, read_plan, read_shards
from .shard_journal import damaged, feed_shard, row_numbers

__all__ = ["NumberedRows", "plan_rows", "shard_rows"]

_AT_ONCE = 1000  # rows that were not begun
_FIELDS = tuple(fields_dict(JournalRow))
_values = attrgetter(*_FIELDS)

_ROWS = """
SELECT place, number, account_id, project_id, target_group_id, fielding_run_id, action, if_match FROM fielding_plan_row
WHERE plan_id = $1::bigint AND shard = $2::integer AND place >= $3::integer ORDER BY place LIMIT $4::integer
"""


async def plan_rows(database: Database, name: object, *, all: bool = False) -> AsyncGenerator[PlanRow]:  # noqa: A002 - reads well
    """Yield the rows of a plan; see `PostgresPlans.rows`."""
    plan = await read_plan(database, name)
    late = await read_late_rows(database, plan)
    for shard in await read_shards(database, plan):
        numbers = await row_numbers(database, plan, shard)
        replay = Replay(keep=True, keep_done=all)
        numbered = NumberedRows(plan, shard, numbers, late.get(shard.shard, ()))
        async for row in shard_rows(database, plan, shard, replay):
            yield numbered.row(row)
        if all:
            async for row in _not_begun(database, plan, shard, replay):
                yield numbered.row(row)


async def shard_rows(
    database: Database, plan: PlanRecord, shard: ShardRecord, replay: Replay
) -> AsyncGenerator[JournalRow]:
    """Yield the rows that `replay` keeps of a shard, by their place in it, those without an end last."""
    async for _ in feed_shard(database, plan, shard, replay):
        for row in replay.rows:
            yield row
        replay.rows.clear()
        replay.events.clear()
    for row in replay.without_end():
        yield row


class NumberedRows:
    """Makes the rows of a shard rows of the plan."""

    def __init__(
        self, plan: PlanRecord, shard: ShardRecord, numbers: Sequence[int], late: Sequence[LateRow] = ()
    ) -> None:
        self._plan = plan
        self._shard = shard
        self._numbers = numbers
        self._late: dict[int, list[LateRow]] = {}
        for row in late:
            self._late.setdefault(row.number, []).append(row)

    def row(self, row: JournalRow) -> PlanRow:
        """Return the row of the plan; raises `ConfigurationError` if the shard has none of this place."""
        place = row.number
        if place >= len(self._numbers):
            raise damaged(
                self._plan, self._shard, f"it has {len(self._numbers):,} rows, and a record is of row {place}"
            )
        values: dict[str, Any] = dict(zip(_FIELDS, _values(row), strict=True))
        values["number"] = self._numbers[place]
        if place in self._late:
            values["late"] = tuple(late_rows(self._late[place], self._numbers, lambda _: row.state))
        return PlanRow(**values, shard=self._shard.shard)


async def _not_begun(
    database: Database, plan: PlanRecord, shard: ShardRecord, replay: Replay
) -> AsyncGenerator[JournalRow]:
    """Yield the rows of a shard that have no end, and of which nothing was sent that may still be applied."""
    without_end = {row.number for row in replay.without_end()}
    following = 0
    while following < shard.rows:
        async with database.connection() as connection:
            found = await connection.fetch(_ROWS, plan.plan_id, shard.shard, following, _AT_ONCE)
        for place, _number, *ids, action, if_match in found:
            if replay.state(place) is None and place not in without_end:
                yield JournalRow(
                    number=place,
                    ref=RunRef(*ids),
                    action=read_action_text(action),
                    state="not begun",
                    if_match=if_match,
                )
        if len(found) < _AT_ONCE:
            return
        following += _AT_ONCE
