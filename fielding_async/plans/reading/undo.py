"""What takes back a plan: shard by shard, as all rows of a run are in one shard."""

from fielding_async.core.errors import ConfigurationError
from fielding_async.journal.replay import Replay
from fielding_async.journal.undo.undo_plan import NotUndone, UndoPlan, UndoRow, undo_plan
from fielding_async.journal.values import JournalRow
from fielding_async.plans.database.database import Database
from fielding_async.plans.database.plan_record import PlanRecord

from .record import ShardRecord, read_plan, read_shards
from .rows import NumberedRows, shard_rows
from .shard_journal import row_numbers

__all__ = ["undo_of"]


async def undo_of(database: Database, name: object) -> UndoPlan:
    """Return what takes a plan back; see `PostgresPlans.undo`."""
    plan = await read_plan(database, name)
    shards = await read_shards(database, plan)
    _check(plan, shards)
    undone: list[UndoRow] = []
    listed: list[NotUndone] = []
    for shard in shards:
        numbered = NumberedRows(plan, shard, await row_numbers(database, plan, shard))
        replay = Replay(keep=True, keep_done=True)
        rows: list[JournalRow] = [numbered.row(row) async for row in shard_rows(database, plan, shard, replay)]
        found = undo_plan(rows)
        undone += found.rows
        listed += found.listed
    undone.sort(key=lambda row: -row.number)
    listed.sort(key=lambda row: row.number)
    return UndoPlan(tuple(undone), tuple(listed))


def _check(plan: PlanRecord, shards: tuple[ShardRecord, ...]) -> None:
    """Raise `ConfigurationError` unless all that the plan changes is known: it has ended, or was cancelled."""
    held = sum(shard.is_held for shard in shards)
    if held:
        raise ConfigurationError(
            f"plan {plan.name!r}: is being worked on ({held:,} of its {len(shards):,} shards are leased), so not all"
            " its changes are known: wait until it is finished, or cancel it and wait for the leases to end"
        )
    left = plan.rows - sum(shard.ended for shard in shards)
    if left and plan.state != "cancelled":
        raise ConfigurationError(
            f"plan {plan.name!r}: is not finished ({left:,} of its {plan.rows:,} rows have not ended), so not all its"
            " changes are known: work it off first, or cancel it to take back what was done"
        )
