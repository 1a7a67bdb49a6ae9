"""The plan that is read, and its shards."""

from attrs import frozen

from fielding_async.core.errors import ConfigurationError
from fielding_async.journal.chain import Head
from fielding_async.plans.database.database import Database
from fielding_async.plans.database.plan_record import PlanRecord, find_plan
from fielding_async.plans.values.plan_values import check_plan_name

__all__ = ["ShardRecord", "read_plan", "read_shards"]


@frozen(kw_only=True)
class ShardRecord:
    """A row of `fielding_plan_shard`. `groups`: how many are on record, without the first line, which is number 0.

    `digest`: of all up to the last one. `ended`: how many of its rows have. `is_held`: whether it is leased to
    a worker.
    """

    shard: int
    rows: int
    groups: int
    digest: str
    ended: int
    is_held: bool

    @property
    def head(self) -> Head | None:
        """How far its journal must go, `None` if it need not have a group."""
        return Head(self.groups, self.digest) if self.groups else None


_SHARDS = """
SELECT shard, row_count, groups, digest, ended, holder IS NOT NULL AND lease_until > clock_timestamp()
FROM fielding_plan_shard WHERE plan_id = $1::bigint ORDER BY shard
"""


async def read_plan(database: Database, name: object) -> PlanRecord:
    """Return a plan. Raises `ConfigurationError` for a name that is none, and for a plan that is not there."""
    checked = check_plan_name("name", name)
    async with database.connection() as connection:
        plan = await find_plan(connection, checked)
    if plan.state == "deleting":
        raise ConfigurationError(
            f"plan {checked!r}: cannot be read: its deletion has started: delete it again to complete that"
        )
    return plan


async def read_shards(database: Database, plan: PlanRecord) -> tuple[ShardRecord, ...]:
    """Return the shards of a plan, in order."""
    async with database.connection() as connection:
        found = await connection.fetch(_SHARDS, plan.plan_id)
    return tuple(
        ShardRecord(shard=shard, rows=rows, groups=groups, digest=digest, ended=ended, is_held=is_held)
        for shard, rows, groups, digest, ended, is_held in found
    )
