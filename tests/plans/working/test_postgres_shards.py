"""Claims, commits, renewals and releases against a real PostgreSQL, over both drivers."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from fielding_async.journal.values import JournalCounts
from fielding_async.plans import PostgresPlans
from fielding_async.plans.database.database import Database
from fielding_async.plans.working.postgres_shards import PostgresShards
from fielding_async.plans.working.shard_store import Claim, Found, GroupCommit
from tests.plans.conftest import Driver
from tests.plans.rows import database_of, pairs

FIRST = b"first line\n"
ROWS = 200  # in 12 shards


@asynccontextmanager
async def stored(url: str, driver: Driver) -> AsyncGenerator[tuple[PostgresShards, Database, PostgresPlans]]:
    """Give the shards of a plan."""
    async with PostgresPlans(url, driver=driver) as plans, database_of(url, driver) as database:
        await plans.create_tables()
        await plans.submit(pairs(ROWS), plan="p")
        async with database.connection() as connection:
            ((plan_id,),) = await connection.fetch("SELECT plan_id FROM fielding_plan")
        yield PostgresShards(database, plan_id, FIRST), database, plans


def group(claim: Claim, number: int = 1, *, ended: int = 0, lines: bytes = b"lines\n") -> GroupCommit:
    """Return a group of a shard."""
    counts = JournalCounts(done=ended, in_flight=2)
    return GroupCommit(
        shard=claim.shard, epoch=claim.epoch, number=number, digest="d", ended=ended, counts=counts, lines=lines
    )


async def expire(database: Database, shard: int) -> None:
    """Let the lease of a shard be over."""
    async with database.connection() as connection:
        await connection.fetch(
            "UPDATE fielding_plan_shard SET lease_until = clock_timestamp() - interval '1 second'"
            " WHERE shard = $1::integer",
            shard,
        )


async def test_two_workers_never_claim_one_shard(postgres_url: str, driver: Driver) -> None:
    """Ten claims at once: each shard goes to one of them, under its first epoch, with the first line in place."""
    async with stored(postgres_url, driver) as (shards, _, _), database_of(postgres_url, driver) as other:
        more = PostgresShards(other, shards._plan_id, FIRST)
        stores = [shards, more] * 5
        claims = await asyncio.gather(*(store.claim(f"w{n}", 2, 60.0) for n, store in enumerate(stores)))
        taken = [claim.shard for some in claims for claim in some]
        assert sorted(taken) == list(range(12))
        assert {claim.epoch for some in claims for claim in some} == {1}
        assert await shards.groups(3, 0, 10) == [(0, FIRST)]
        assert not await shards.claim("late", 5, 60.0)
        assert sum(claim.rows for some in claims for claim in some) == ROWS


async def test_a_shard_is_claimed_again_once_its_lease_is_over(postgres_url: str, driver: Driver) -> None:
    """Under the next epoch; what the earlier holder commits, renews and releases then does nothing."""
    async with stored(postgres_url, driver) as (shards, database, _):
        (first,) = await shards.claim("a", 1, 60.0)
        assert await shards.claimed("a") == [first]
        assert await shards.commit([group(first)]) == {first.shard}
        await expire(database, first.shard)
        (second,) = await shards.claim("b", 1, 60.0)
        assert (second.shard, second.epoch, second.groups) == (first.shard, 2, 1), "one with records comes first"
        assert await shards.commit([group(first, 2)]) == set()
        assert await shards.renew({first.shard: first.epoch}, 60.0) == (set(), "sealed")
        await shards.release(first.shard, first.epoch, None)
        assert await shards.claimed("b") == [second]
        found = await shards.find([group(first, 1), group(first, 1)])
        assert found == {first.shard: Found(epoch=2, groups=1, lines=b"lines\n")}


async def test_groups_of_many_shards_are_one_commit_and_fail_apart(postgres_url: str, driver: Driver) -> None:
    """One whose epoch is over, and one that is there already, keep no other from being committed."""
    async with stored(postgres_url, driver) as (shards, database, plans):
        claims = await shards.claim("a", 4, 60.0)
        assert await shards.commit([group(claims[2])]) == {claims[2].shard}
        await expire(database, claims[1].shard)
        await shards.claim("b", 1, 60.0)
        moved = await shards.commit([group(claim, ended=1) for claim in claims])
        assert moved == {claims[0].shard, claims[3].shard}
        status = await plans.status("p")
        assert (status.counts.done, status.counts.in_flight) == (2, 6)


async def test_a_shard_is_finished_with_its_last_row(postgres_url: str, driver: Driver) -> None:
    """Nobody claims it again, nothing is left of it, and the last one finishes the plan."""
    async with stored(postgres_url, driver) as (shards, _, plans):
        claims = await shards.claim("a", 20, 60.0)
        assert (await shards.left()).rows == ROWS
        assert (await shards.left()).held == ROWS
        last = claims.pop()
        await shards.commit([group(claim, ended=claim.rows) for claim in claims])
        left = await shards.left()
        assert (left.rows, left.held) == (last.rows, last.rows)
        assert 0.0 < left.wait <= 5.0
        assert await shards.renew({claims[0].shard: 1}, 60.0) == ({claims[0].shard}, "sealed")
        await shards.commit([group(last, ended=last.rows)])
        left = await shards.left()
        assert (left.rows, left.held, left.wait) == (0, 0, 0.0)
        status = await plans.status("p")
        assert status.finished_at is not None
        assert status.workers == ()


async def test_a_released_shard_is_free_at_once_or_after_a_pause(postgres_url: str, driver: Driver) -> None:
    """`left` says after how long."""
    async with stored(postgres_url, driver) as (shards, _, _):
        claims = await shards.claim("a", 20, 60.0)
        for claim in claims[1:]:
            await shards.release(claim.shard, claim.epoch, 50.0)
        left = await shards.left()
        assert left.held == claims[0].rows
        await shards.release(claims[0].shard, claims[0].epoch, 40.0)
        left = await shards.left()
        assert left.held == 0
        assert 30.0 < left.wait <= 40.0
        assert not await shards.claim("b", 20, 60.0)
        await shards.release(claims[0].shard, claims[0].epoch, None)
        assert [claim.epoch for claim in await shards.claim("b", 20, 60.0)] == [2]


@pytest.mark.parametrize("state", ["paused", "cancelled", "deleting"])
async def test_nothing_of_a_plan_is_claimed_that_may_not_be_worked_on(
    postgres_url: str, driver: Driver, state: str
) -> None:
    """Its workers learn of that as they renew."""
    async with stored(postgres_url, driver) as (shards, database, _):
        (claim,) = await shards.claim("a", 1, 60.0)
        async with database.connection() as connection:
            await connection.fetch("UPDATE fielding_plan SET state = $1::text", state)
        assert not await shards.claim("a", 1, 60.0)
        assert await shards.renew({claim.shard: 1}, 60.0) == ({claim.shard}, state)


async def test_late_knowledge_is_kept_and_rows_are_read_by_place(postgres_url: str, driver: Driver) -> None:
    """The rows of a shard come in their order."""
    async with stored(postgres_url, driver) as (shards, database, _):
        await shards.add_late(3, 7, "a", b"lines")
        async with database.connection() as connection:
            late = await connection.fetch("SELECT shard, epoch, holder, lines FROM fielding_plan_late")
            stored_rows = await connection.fetch(
                "SELECT fielding_run_id FROM fielding_plan_row WHERE shard = 3 ORDER BY place"
            )
        assert [(*row[:3], bytes(row[3])) for row in late] == [(3, 7, "a", b"lines")]
        rows = await shards.rows(3, 1, 5)
        assert [row[3] for row in rows] == [row[0] for row in stored_rows][1:5]
        assert rows[0][4:] == ("pause", None)
