"""Deleting plans, table by table and some rows at a time, so that no transaction is long.

A plan that is being deleted is in a state of its own: nobody works on it, and the next deletion goes on with one that
was interrupted.
"""

from fielding_async.core.errors import ConfigurationError

from .database.connection import Connection
from .database.database import Database
from .database.plan_record import PlanRecord, find_plan
from .database.schema import DURABLE
from .values.plan_state import next_state

__all__ = ["delete_older_than", "delete_plan"]

_AT_ONCE = 20_000  # places of a shard
_LEASED = """
SELECT holder FROM fielding_plan_shard
WHERE plan_id = $1::bigint AND holder IS NOT NULL AND lease_until > clock_timestamp() ORDER BY holder LIMIT 1
"""
_OLD = """
SELECT name FROM fielding_plan
WHERE finished_at < clock_timestamp() - make_interval(secs => $1::double precision) ORDER BY finished_at, name
"""


async def delete_plan(database: Database, name: str, *, is_forced: bool = False) -> None:
    """Delete a plan; see `PostgresPlans.delete`."""
    async with database.connection() as connection:
        found = await _begin(connection, name, is_forced=is_forced)
        await _delete(connection, found.plan_id)


async def _begin(connection: Connection, name: str, *, is_forced: bool) -> PlanRecord:
    """Take the plan away from its workers. Raises `ConfigurationError` if one of them lives, unless that is forced."""
    async with connection.transaction():
        found = await find_plan(connection, name, is_locked=True)
        next_state(name, found.state, "delete", is_over=found.is_over)
        holders = [] if is_forced else await connection.fetch(_LEASED, found.plan_id)
        if holders:
            raise ConfigurationError(
                f"plan {name!r} cannot be deleted: {holders[0][0]} works on it; cancel it and wait until no worker"
                " holds a lease, or delete it with force, which loses the record of the rows in flight"
            )
        await connection.fetch(
            f"WITH durable AS MATERIALIZED (SELECT {DURABLE})"  # noqa: S608
            " UPDATE fielding_plan SET state = 'deleting' FROM durable"
            " WHERE plan_id = $1::bigint AND state <> 'deleting'",
            found.plan_id,
        )
        # whoever still holds a lease finds its epoch gone, and commits nothing more
        await connection.fetch(
            "UPDATE fielding_plan_shard SET epoch = epoch + 1, holder = NULL, lease_until = NULL"
            " WHERE plan_id = $1::bigint",
            found.plan_id,
        )
        return found


async def _delete(connection: Connection, plan_id: int) -> None:
    shards = await connection.fetch(
        "SELECT shard, row_count, (SELECT max(number) FROM fielding_plan_group AS g"
        " WHERE g.plan_id = s.plan_id AND g.shard = s.shard)"
        " FROM fielding_plan_shard AS s WHERE plan_id = $1::bigint ORDER BY shard",
        plan_id,
    )
    for shard, rows, last_group in shards:
        for table, column, end in (("row", "place", rows), ("group", "number", (last_group or 0) + 1)):
            for start in range(0, end, _AT_ONCE):
                await connection.fetch(
                    f"DELETE FROM fielding_plan_{table} WHERE plan_id = $1::bigint AND shard = $2::integer"  # noqa: S608
                    f" AND {column} >= $3::integer AND {column} < $3::integer + $4::integer",
                    plan_id,
                    shard,
                    start,
                    _AT_ONCE,
                )
    for table in ("fielding_plan_late", "fielding_plan_shard", "fielding_plan"):
        await connection.fetch(f"DELETE FROM {table} WHERE plan_id = $1::bigint", plan_id)  # noqa: S608


async def delete_older_than(database: Database, seconds: float) -> tuple[str, ...]:
    """Delete the plans that ended or were cancelled so long ago, and return their names.

    A plan of them that a worker still holds is left for the next time.
    """
    async with database.connection() as connection:
        names = [str(row[0]) for row in await connection.fetch(_OLD, seconds)]
    deleted: list[str] = []
    for name in names:
        async with database.connection() as connection:
            try:
                found = await _begin(connection, name, is_forced=False)
            except ConfigurationError:
                continue  # it is leased, or somebody else has deleted it
            await _delete(connection, found.plan_id)
        deleted.append(name)
    return tuple(deleted)
