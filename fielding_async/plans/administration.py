"""What plans there are and how far they are; pausing, resuming and cancelling them."""

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from fielding_async.journal.values import JournalCounts

from .database.connection import Connection, Row
from .database.database import Database
from .database.plan_record import find_plan
from .database.schema import DURABLE
from .values.plan_state import Order, next_state
from .values.plan_values import PlanState, PlanStatus, PlanWorker

__all__ = ["change_state", "list_plans", "plan_status"]

# a plan has at most 128 shards, whatever the number of its rows: no row and no journal is read
_PLANS = """
SELECT plan_id, p.name, p.state, p.digest, p.row_count, p.submitted_at, p.began_at, p.finished_at, p.base_url,
    p.api_version, count(s.shard)::integer, (count(*) FILTER (WHERE s.finished))::integer, max(s.written_at),
    coalesce(sum(s.done), 0)::bigint, coalesce(sum(s.failed), 0)::bigint, coalesce(sum(s.unknown), 0)::bigint,
    coalesce(sum(s.skipped), 0)::bigint, coalesce(sum(s.in_flight), 0)::bigint, coalesce(sum(s.stuck), 0)::bigint
FROM fielding_plan AS p LEFT JOIN fielding_plan_shard AS s USING (plan_id)
WHERE $1::bigint IS NULL OR plan_id = $1::bigint
GROUP BY plan_id ORDER BY p.submitted_at, p.name
"""
_WORKERS = """
SELECT plan_id, holder, count(*)::integer,
    greatest(0, extract(epoch FROM min(lease_until) - clock_timestamp()))::double precision, max(written_at)
FROM fielding_plan_shard
WHERE ($1::bigint IS NULL OR plan_id = $1::bigint) AND holder IS NOT NULL AND lease_until IS NOT NULL
GROUP BY plan_id, holder ORDER BY plan_id, holder
"""


async def list_plans(database: Database) -> list[PlanStatus]:
    """Return the status of each plan, in the order of submission."""
    async with database.connection() as connection, connection.transaction(is_snapshot=True):
        return await _read(connection, None)


async def plan_status(database: Database, name: str) -> PlanStatus:
    """Return the status of a plan. Raises `ConfigurationError` if there is none of this name."""
    async with database.connection() as connection, connection.transaction(is_snapshot=True):
        found = await find_plan(connection, name)
        (status,) = await _read(connection, found.plan_id)
        return status


async def _read(connection: Connection, plan_id: int | None) -> list[PlanStatus]:
    plans = await connection.fetch(_PLANS, plan_id)
    workers: dict[int, list[PlanWorker]] = {}
    for owner, holder, shards, lease_left, written_at in await connection.fetch(_WORKERS, plan_id):
        worker = PlanWorker(holder=holder, shards=shards, lease_left=lease_left, last_written_at=written_at)
        workers.setdefault(owner, []).append(worker)
    return [_status(row, workers.get(row[0], ())) for row in plans]


def _status(row: Row, workers: Sequence[PlanWorker]) -> PlanStatus:
    _, name, state, digest, rows, submitted_at, began_at, finished_at, base_url, api_version, *rest = row
    shards, shards_finished, written_at, *counts = rest
    done, failed, unknown, skipped, in_flight, stuck = cast("list[int]", counts)
    last_written_at: datetime | None = written_at
    return PlanStatus(
        name=name,
        state=cast("PlanState", state),
        digest=digest,
        rows=rows,
        counts=JournalCounts(
            done=done, failed=failed, unknown=unknown, skipped=skipped, in_flight=in_flight, stuck=stuck
        ),
        shards=shards,
        shards_finished=shards_finished,
        workers=tuple(workers),
        submitted_at=submitted_at,
        began_at=began_at,
        finished_at=finished_at,
        last_written_at=last_written_at,
        base_url=base_url,
        api_version=api_version,
    )


async def change_state(database: Database, name: str, order: Order) -> bool:
    """Pause, resume or cancel a plan, and return whether that changed anything. Raises `ConfigurationError`."""
    async with database.connection() as connection, connection.transaction():
        found = await find_plan(connection, name, is_locked=True)
        state = next_state(name, found.state, order, is_over=found.is_over)
        if state == found.state:
            return False
        await connection.fetch(
            # a cancellation that was reported, and that a crash takes back, would let rows be sent
            f"WITH durable AS MATERIALIZED (SELECT {DURABLE})"  # noqa: S608
            " UPDATE fielding_plan SET state = $2::text, finished_at = CASE $2::text WHEN 'cancelled'"
            " THEN clock_timestamp() ELSE finished_at END FROM durable WHERE plan_id = $1::bigint",
            found.plan_id,
            state,
        )
        return True
