"""The shards of one plan in PostgreSQL: every change is one statement, and so one transaction and one round trip."""

from collections.abc import Mapping, Sequence
from typing import cast

from fielding_async.plans.database.connection import Row
from fielding_async.plans.database.database import Database
from fielding_async.plans.database.schema import DURABLE
from fielding_async.plans.values.plan_values import PlanState

from .shard_store import HELD_WAIT, Claim, Found, GroupCommit, Left, StoredRow

__all__ = ["PostgresShards"]

_NOW = "clock_timestamp()"  # not now(): a statement may wait for a lock
_CLAIM_COLUMNS = "s.shard, s.epoch, s.row_count, s.groups, s.digest, s.ended"

# Shards with records first: what a dead worker left in flight is settled soonest. Who finds a shard locked takes
# another one; who waited for a lock, in spite of that, finds its new lease, and leaves it.
_CLAIM = f"""
WITH durable AS MATERIALIZED (SELECT {DURABLE}),
free AS (
    SELECT shard FROM fielding_plan_shard
    WHERE plan_id = $1::bigint AND NOT finished
        AND (lease_until IS NULL OR lease_until <= {_NOW}) AND (not_before IS NULL OR not_before <= {_NOW})
        AND EXISTS (SELECT FROM fielding_plan WHERE plan_id = $1::bigint AND state = 'sealed')
    ORDER BY groups > 0 DESC, shard LIMIT $2::integer FOR UPDATE SKIP LOCKED
),
taken AS (
    UPDATE fielding_plan_shard AS s SET epoch = s.epoch + 1, holder = $3::text, not_before = NULL,
        lease_until = {_NOW} + make_interval(secs => $4::double precision)
    FROM free, durable WHERE s.plan_id = $1::bigint AND s.shard = free.shard
    RETURNING {_CLAIM_COLUMNS}
),
begun AS (
    INSERT INTO fielding_plan_group (plan_id, shard, number, epoch, lines)
    SELECT $1::bigint, shard, 0, epoch, $5::bytea FROM taken WHERE groups = 0 ON CONFLICT DO NOTHING
)
SELECT * FROM taken
"""  # noqa: S608
_CLAIMED = f"""
SELECT {_CLAIM_COLUMNS} FROM fielding_plan_shard AS s
WHERE plan_id = $1::bigint AND holder = $2::text AND lease_until > {_NOW} AND NOT finished
"""  # noqa: S608
_RENEW = f"""
WITH durable AS MATERIALIZED (SELECT {DURABLE}),
given AS (SELECT * FROM unnest($2::integer[], $3::bigint[]) AS g (shard, epoch)),
renewed AS (
    UPDATE fielding_plan_shard AS s
    SET lease_until = CASE WHEN s.finished THEN NULL ELSE {_NOW} + make_interval(secs => $4::double precision) END
    FROM given AS g, durable WHERE s.plan_id = $1::bigint AND s.shard = g.shard AND s.epoch = g.epoch
    RETURNING s.shard
)
SELECT (SELECT state FROM fielding_plan WHERE plan_id = $1::bigint), (SELECT array_agg(shard) FROM renewed)
"""  # noqa: S608
_COMMIT = f"""
WITH durable AS MATERIALIZED (SELECT {DURABLE}),
given AS (
    SELECT * FROM unnest($2::integer[], $3::bigint[], $4::integer[], $5::text[], $6::integer[], $7::integer[],
        $8::integer[], $9::integer[], $10::integer[], $11::integer[], $12::integer[], $13::bytea[])
        AS g (shard, epoch, number, digest, ended, done, failed, unknown, skipped, in_flight, stuck, lines)
),
moved AS (
    UPDATE fielding_plan_shard AS s
    SET groups = g.number, digest = g.digest, ended = s.ended + g.ended, done = g.done, failed = g.failed,
        unknown = g.unknown, skipped = g.skipped, in_flight = g.in_flight, stuck = g.stuck, written_at = {_NOW},
        finished = s.ended + g.ended >= s.row_count,
        holder = CASE WHEN s.ended + g.ended >= s.row_count THEN NULL ELSE s.holder END,
        lease_until = CASE WHEN s.ended + g.ended >= s.row_count THEN NULL ELSE s.lease_until END
    FROM given AS g, durable
    WHERE s.plan_id = $1::bigint AND s.shard = g.shard AND s.epoch = g.epoch AND s.groups = g.number - 1
    RETURNING s.shard
)
INSERT INTO fielding_plan_group (plan_id, shard, number, epoch, lines)
SELECT $1::bigint, shard, g.number, g.epoch, g.lines FROM given AS g JOIN moved USING (shard) RETURNING shard
"""  # noqa: S608
_FIND = """
SELECT s.shard, s.epoch, s.groups, g.lines
FROM unnest($2::integer[], $3::integer[]) AS w (shard, number)
JOIN fielding_plan_shard AS s ON s.shard = w.shard
LEFT JOIN fielding_plan_group AS g ON g.plan_id = $1::bigint AND g.shard = w.shard AND g.number = w.number
WHERE s.plan_id = $1::bigint
"""
_RELEASE = f"""
UPDATE fielding_plan_shard SET holder = NULL, lease_until = NULL,
    not_before = {_NOW} + make_interval(secs => $4::double precision), finished = finished OR ended >= row_count
WHERE plan_id = $1::bigint AND shard = $2::integer AND epoch = $3::bigint
"""  # noqa: S608
_LATE = """
INSERT INTO fielding_plan_late (plan_id, shard, epoch, holder, lines)
VALUES ($1::bigint, $2::integer, $3::bigint, $4::text, $5::bytea)
"""
_GROUPS = """
SELECT number, lines FROM fielding_plan_group
WHERE plan_id = $1::bigint AND shard = $2::integer AND number >= $3::integer AND number < $4::integer ORDER BY number
"""
_ROWS = """
SELECT account_id, project_id, target_group_id, fielding_run_id, action, if_match FROM fielding_plan_row
WHERE plan_id = $1::bigint AND shard = $2::integer AND place >= $3::integer AND place < $4::integer ORDER BY place
"""
_LEFT = f"""
SELECT coalesce(sum(row_count - ended), 0)::bigint,
    coalesce(sum(row_count - ended) FILTER (WHERE lease_until > {_NOW}), 0)::bigint,
    coalesce(min(greatest(0, least($2::double precision, extract(epoch FROM coalesce(lease_until, {_NOW}) - {_NOW})),
        extract(epoch FROM coalesce(not_before, {_NOW}) - {_NOW}))), 0)::double precision
FROM fielding_plan_shard WHERE plan_id = $1::bigint AND NOT finished
"""  # noqa: S608
_FINISH = f"""
UPDATE fielding_plan SET finished_at = {_NOW}
WHERE plan_id = $1::bigint AND finished_at IS NULL
    AND NOT EXISTS (SELECT FROM fielding_plan_shard WHERE plan_id = $1::bigint AND NOT finished)
"""  # noqa: S608


def _claim(row: Row) -> Claim:
    shard, epoch, rows, groups, digest, ended = row
    return Claim(shard=shard, epoch=epoch, rows=rows, groups=groups, digest=digest, ended=ended)


class PostgresShards:
    """The `ShardStore` of one plan. `first_line`: of the journal of each shard."""

    def __init__(self, database: Database, plan_id: int, first_line: bytes) -> None:
        self._database = database
        self._plan_id = plan_id
        self._first_line = first_line

    async def _fetch(self, sql: str, *args: object) -> list[Row]:
        async with self._database.connection() as connection:
            return await connection.fetch(sql, self._plan_id, *args)

    async def claim(self, holder: str, count: int, seconds: float) -> list[Claim]:
        """Claim shards that nobody has."""
        return [_claim(row) for row in await self._fetch(_CLAIM, count, holder, seconds, self._first_line)]

    async def claimed(self, holder: str) -> list[Claim]:
        """Return the shards that this holder has."""
        return [_claim(row) for row in await self._fetch(_CLAIMED, holder)]

    async def renew(self, epochs: Mapping[int, int], seconds: float) -> tuple[set[int], PlanState | None]:
        """Renew leases. Return the shards that have these epochs, and the state of the plan."""
        ((state, renewed),) = await self._fetch(_RENEW, list(epochs), list(epochs.values()), seconds)
        return set(cast("list[int] | None", renewed) or ()), state

    async def commit(self, groups: Sequence[GroupCommit]) -> set[int]:
        """Add groups to their shards. Return the shards that were as expected."""
        counts = [group.counts for group in groups]
        rows = await self._fetch(
            _COMMIT,
            [group.shard for group in groups],
            [group.epoch for group in groups],
            [group.number for group in groups],
            [group.digest for group in groups],
            [group.ended for group in groups],
            [count.done for count in counts],
            [count.failed for count in counts],
            [count.unknown for count in counts],
            [count.skipped for count in counts],
            [count.in_flight for count in counts],
            [count.stuck for count in counts],
            [group.lines for group in groups],
        )
        return {row[0] for row in rows}

    async def find(self, groups: Sequence[GroupCommit]) -> dict[int, Found]:
        """Return what is there of the shards of these groups."""
        rows = await self._fetch(_FIND, [group.shard for group in groups], [group.number for group in groups])
        return {
            shard: Found(epoch=epoch, groups=count, lines=None if lines is None else bytes(lines))
            for shard, epoch, count, lines in rows
        }

    async def release(self, shard: int, epoch: int, pause: float | None) -> None:
        """Give a shard back."""
        await self._fetch(_RELEASE, shard, epoch, pause)

    async def add_late(self, shard: int, epoch: int, holder: str, lines: bytes) -> None:
        """Keep what the holder of an epoch that is over knew."""
        await self._fetch(_LATE, shard, epoch, holder, lines)

    async def groups(self, shard: int, first: int, before: int) -> list[tuple[int, bytes]]:
        """Return groups of a shard by their numbers, in order."""
        return [(row[0], bytes(row[1])) for row in await self._fetch(_GROUPS, shard, first, before)]

    async def rows(self, shard: int, first: int, before: int) -> list[StoredRow]:
        """Return rows of a shard by their places, in order."""
        return [cast("StoredRow", row) for row in await self._fetch(_ROWS, shard, first, before)]

    async def left(self) -> Left:
        """Return what is left of the plan, and finish the plan if that is nothing."""
        ((rows, held, wait),) = await self._fetch(_LEFT, HELD_WAIT)
        if not rows:
            await self._fetch(_FINISH)
        return Left(rows=rows, held=held, wait=wait)
