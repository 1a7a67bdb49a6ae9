"""Submits the plan of a kill run, and reads what became of it: from the plan's reports, and from its tables."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import LiteralString

import psycopg
from attrs import define, field

from fielding_async.plans import PostgresPlans
from tests.tools.services import PostgresServer

from .plan import make_plan, planned
from .records import AppliedWrite, Evidence, RecordedIntent, ReportedRow, read_shard

__all__ = ["Gathered", "gather", "lease_left", "shards_left", "submit"]


@define
class Gathered:
    """What is known after a run.

    `taken_over`: how often another epoch began while a row was in flight, by row. `problems`: what is wrong with the
    tables themselves. `late`: how many entries of late knowledge there are.
    """

    evidence: Evidence
    taken_over: dict[int, int] = field(factory=dict)
    problems: list[str] = field(factory=list)
    effects: Counter[str] = field(factory=Counter)
    epochs: int = 0
    late: int = 0


def submit(url: str, name: str, rows: int, seed: int) -> None:
    """Make the tables and submit the plan."""

    async def main() -> None:
        async with PostgresPlans(url) as plans:
            await plans.create_tables()
            submitted = await plans.submit(make_plan(rows, seed), plan=name)
            assert submitted.rows == rows

    asyncio.run(main())


def shards_left(postgres: PostgresServer, database: str) -> int:
    """Return how many shards are not finished."""
    return int(postgres.execute("SELECT count(*) FROM fielding_plan_shard WHERE NOT finished", database))


def lease_left(postgres: PostgresServer, database: str) -> float:
    """Return in how many seconds the last of all leases will be over."""
    left = "extract(epoch FROM max(lease_until) - clock_timestamp())"
    return max(0.0, float(postgres.execute(f"SELECT coalesce({left}, 0) FROM fielding_plan_shard", database)))


def gather(url: str, name: str, rows: int, seed: int, writes: Sequence[AppliedWrite]) -> Gathered:
    """Return all that is known after a run."""
    reports, counts = asyncio.run(_reports(url, name))
    intents: dict[int, list[RecordedIntent]] = {}
    gathered = Gathered(Evidence(planned(rows, seed), writes, intents, reports, counts))
    gathered.effects.update(report.effect or report.state for report in reports)
    with psycopg.connect(url) as connection:
        (plan_id,) = _one(connection, "SELECT plan_id FROM fielding_plan WHERE name = %s", name)
        for shard, epoch in connection.execute(
            "SELECT shard, epoch FROM fielding_plan_shard WHERE plan_id = %s", (plan_id,)
        ).fetchall():
            gathered.epochs += epoch
            numbers = connection.execute(
                "SELECT number FROM fielding_plan_row WHERE plan_id = %s AND shard = %s ORDER BY place",
                (plan_id, shard),
            ).fetchall()
            groups = connection.execute(
                "SELECT epoch, lines FROM fielding_plan_group WHERE plan_id = %s AND shard = %s ORDER BY number",
                (plan_id, shard),
            ).fetchall()
            log = read_shard(groups, [number for (number,) in numbers])
            intents.update(log.intents)
            gathered.taken_over.update(log.taken_over)
            gathered.problems += [f"row {row} ended {times} times" for row, times in log.ends.items() if times > 1]
        (gathered.late,) = _one(connection, "SELECT count(*) FROM fielding_plan_late WHERE plan_id = %s", plan_id)
    return gathered


def _one(connection: "psycopg.Connection[tuple[int]]", sql: LiteralString, *arguments: object) -> tuple[int]:
    found = connection.execute(sql, arguments).fetchone()
    assert found is not None
    return found


async def _reports(url: str, name: str) -> tuple[list[ReportedRow], dict[str, int]]:
    async with PostgresPlans(url) as plans:
        reports = [
            ReportedRow(row.number, row.state, row.effect or "", row.trace_id or "", row.etag)
            async for row in plans.rows(name, all=True)
        ]
        counts = (await plans.status(name)).counts
    states = {"done": counts.done, "failed": counts.failed, "unknown": counts.unknown, "skipped": counts.skipped}
    return reports, states
