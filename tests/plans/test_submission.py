"""A plan is stored whole or not at all, once under each name, and its rows are those that were submitted."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from fielding_async import ConfigurationError, JournalError, LaunchNow, Pause, RunRef, Update
from fielding_async.core.actions import PREVIOUS, Guarded
from fielding_async.plans import PostgresPlans, Submitted
from fielding_async.plans.database.database import Database
from fielding_async.plans.database.errors import StoreLostError
from fielding_async.plans.values.row_text import read_action_text, shard_of
from tests.plans.conftest import Driver
from tests.plans.rows import Pair, pairs, refs
from tests.tools.services import PostgresServer
from tests.tools.waits import HANG

pytestmark = pytest.mark.once

END = datetime(2031, 5, 17, 12, 30, tzinfo=UTC)
Stored = tuple[int, RunRef, object, str | None]


@pytest_asyncio.fixture
async def plans(postgres_url: str, driver: Driver) -> AsyncIterator[PostgresPlans]:
    """A store of plans that is empty."""
    async with PostgresPlans(postgres_url, driver=driver) as store:
        await store.create_tables()
        yield store


def database_in(plans: PostgresPlans) -> Database:
    """Return the database of a store that was entered."""
    assert plans._database is not None
    return plans._database


async def stored(plans: PostgresPlans) -> list[Stored]:
    """Return what is stored, in the order of the plan, and check that places are dense in each shard."""
    async with database_in(plans).connection() as connection:
        rows = await connection.fetch(
            "SELECT number, account_id, project_id, target_group_id, fielding_run_id, action, if_match, shard, place"
            " FROM fielding_plan_row ORDER BY shard, place"
        )
        counts = await connection.fetch("SELECT shard, row_count FROM fielding_plan_shard ORDER BY shard")
    places: Counter[int] = Counter()
    before: dict[int, int] = {}
    for number, *_, shard, place in rows:
        assert place == places[shard]
        places[shard] += 1
        assert number > before.get(shard, -1)
        before[shard] = number
    assert counts == sorted(places.items())
    return sorted((row[0], RunRef(*row[1:5]), read_action_text(row[5]), row[6]) for row in rows)


async def test_what_was_submitted_is_stored(plans: PostgresPlans) -> None:
    """Runs, actions and ETags, with their numbers; rows of one run are in one shard, in their order."""
    run, other = refs(2)
    rows: list[Pair] = [
        (run, LaunchNow()),
        (other, Pause()),
        (run, Update(end_fielding_at=END)),
        (run, Guarded(Pause(), 'W/"5\\x"')),
        (run, Guarded(LaunchNow(), PREVIOUS)),
        (RunRef(0, "A" * 26, "B" * 26, "Läufe~1"), Pause()),
    ]
    assert await plans.submit(rows, plan="night") == Submitted(name="night", rows=6, is_new=True)
    expected: list[Stored] = []
    for number, (ref, order) in enumerate(rows):
        guarded = order if isinstance(order, Guarded) else Guarded(order, "")
        expected.append((number, ref, guarded.action, guarded.if_match or None))
    assert await stored(plans) == expected


@pytest.mark.parametrize("count", [0, 1, 33, 4095, 4096, 4097, 9001])
async def test_the_number_of_shards_follows_from_that_of_rows(plans: PostgresPlans, count: int) -> None:
    """However many rows are read at once; the same run is in the same shard."""
    assert (await plans.submit(pairs(count), plan="p")).rows == count
    rows = await stored(plans)
    assert [row[1] for row in rows] == list(refs(count))
    status = await plans.status("p")
    assert (status.rows, status.left) == (count, count)
    assert status.shards == len({shard_of(ref, max(1, min(128, count // 16))) for ref in refs(count)})
    assert (status.finished_at is not None) is (count == 0)


async def test_an_async_input_is_the_same_plan(plans: PostgresPlans) -> None:
    """The digest is of the rows alone."""

    async def rows() -> AsyncGenerator[Pair]:
        for pair in pairs(1001):
            yield pair

    assert (await plans.submit(rows(), plan="p")).is_new
    assert await plans.submit(pairs(1001), plan="p") == Submitted(name="p", rows=1001, is_new=False)
    assert (await plans.submit(iter(list(pairs(1001))), plan="q")).is_new
    first, second = await plans.list()
    assert first.digest == second.digest
    assert len(first.digest) == 64


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows[:-1],
        lambda rows: [*rows, rows[0]],
        lambda rows: [rows[1], rows[0], *rows[2:]],
        lambda rows: [(rows[0][0], LaunchNow()), *rows[1:]],
        lambda rows: [(rows[0][0], Guarded(Pause(), "x")), *rows[1:]],
        lambda rows: [(RunRef(102, *"ABC"), rows[0][1]), *rows[1:]] and [(next(iter(refs(9))), LaunchNow())],
    ],
    ids=["one less", "one more", "another order", "another action", "another ETag", "another plan"],
)
async def test_other_rows_under_the_same_name_are_refused(plans: PostgresPlans, change: Any) -> None:
    """The message has both numbers and digests; the plan stays as it is."""
    rows = list(pairs(40))
    await plans.submit(rows, plan="p")
    before = await stored(plans)
    with pytest.raises(ConfigurationError, match=r"^plan='p': is there already with other rows \(40, digest "):
        await plans.submit(change(rows), plan="p")
    assert await stored(plans) == before


BAD: list[tuple[object, str]] = [
    ((REF := next(iter(refs(1))),), "must be a pair of a RunRef and an action"),
    (("text", Pause()), "must be a RunRef"),
    ((RunRef(-1, *"abc"), Pause()), "account_id=-1"),
    ((REF, "pause"), r"must be LaunchNow\(\), Pause\(\)"),
    ((REF, Update()), "must name start_fielding_at"),
    ((REF, Guarded(Pause(), "*")), "must be an ETag"),
    ((REF, lambda run: None), "a callable change cannot be stored in a plan: use an Update"),
]


@pytest.mark.parametrize(("place", "bad", "says"), [(0, *BAD[0]), *((4100, *each) for each in BAD)])
async def test_a_bad_row_is_named_and_nothing_is_stored(
    plans: PostgresPlans, bad: object, says: str, place: int
) -> None:
    """The number is that of the row in the input, from 0."""
    rows: list[Any] = list(pairs(4101))
    rows[place] = bad
    with pytest.raises(ConfigurationError, match=rf"^pairs: row {place}\b.*{says}"):
        await plans.submit(rows, plan="p")
    assert await plans.list() == []
    assert await stored(plans) == []
    assert (await plans.submit(pairs(1), plan="p")).is_new


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("place", [0, 700, 4500])
async def test_what_the_input_raises_passes_through(plans: PostgresPlans, is_async: bool, place: int) -> None:
    """It is the very exception, nothing is stored, and the store can be used."""
    problem = LookupError("the file ends")

    def rows() -> Iterator[Pair]:
        yield from pairs(place)
        raise problem

    async def async_rows() -> AsyncGenerator[Pair]:
        for pair in rows():
            yield pair

    with pytest.raises(LookupError) as caught:
        await plans.submit(async_rows() if is_async else rows(), plan="p")
    assert caught.value is problem
    assert await plans.list() == []
    assert await stored(plans) == []


@pytest.mark.parametrize("pairs", ["text", b"bytes", {}, 5, None])
async def test_what_cannot_be_read_for_rows_is_refused(plans: PostgresPlans, pairs: Any) -> None:
    """As `perform_all` refuses it; and so is a bad name."""
    with pytest.raises(ConfigurationError, match="pairs: must be an iterable or async iterable"):
        await plans.submit(pairs, plan="p")
    with pytest.raises(ConfigurationError, match=r"plan=' p': must have 1 to 200"):
        await plans.submit([], plan=" p")


@pytest.mark.parametrize("is_same", [True, False])
async def test_of_two_submitters_of_one_name_one_stores_it(
    plans: PostgresPlans, postgres_url: str, driver: Driver, is_same: bool
) -> None:
    """The other one finds it, also if both had read all rows; with other rows it is refused."""
    ready = asyncio.Barrier(2)

    async def rows(count: int) -> AsyncGenerator[Pair]:
        for pair in pairs(count):
            yield pair
        await ready.wait()

    async def submit(count: int) -> Submitted:
        async with PostgresPlans(postgres_url, driver=driver) as store:
            return await store.submit(rows(count), plan="p")

    found = await asyncio.gather(submit(6000), submit(6000 if is_same else 5999), return_exceptions=True)
    new = [each for each in found if isinstance(each, Submitted) and each.is_new]
    (old,) = [each for each in found if each not in new]
    assert len(new) == 1
    if is_same:
        assert old == Submitted(name="p", rows=6000, is_new=False)
    else:
        assert isinstance(old, ConfigurationError)
    assert len(await stored(plans)) == new[0].rows


async def test_a_cancelled_submission_leaves_nothing(plans: PostgresPlans) -> None:
    """Whoever is cancelled while rows are read has stored none of them."""
    reading = asyncio.Event()

    async def rows() -> AsyncGenerator[Pair]:
        for pair in pairs(5000):
            yield pair
        reading.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(plans.submit(rows(), plan="p"))
    await reading.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await plans.list() == []
    async with asyncio.timeout(HANG):
        assert await stored(plans) == []


KILLED = """
import asyncio, sys
from fielding_async.plans import PostgresPlans
from tests.plans.rows import pairs

async def rows():
    for pair in pairs(8000):
        yield pair
    print("read", flush=True)
    await asyncio.Event().wait()

async def main():
    async with PostgresPlans(sys.argv[1], driver=sys.argv[2]) as plans:
        await plans.submit(rows(), plan="p")

asyncio.run(main())
"""


async def test_a_submitter_that_is_killed_leaves_nothing(
    plans: PostgresPlans, postgres_url: str, driver: Driver
) -> None:
    """The next one finds no plan of that name, and no row."""
    process = subprocess.Popen(  # noqa: ASYNC220 - it starts at once
        [sys.executable, "-c", KILLED, postgres_url, driver], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        assert await asyncio.to_thread(process.stdout.readline) == b"read\n"
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.stdout.close()
        await asyncio.to_thread(process.wait)
    assert await plans.list() == []
    assert await stored(plans) == []
    assert (await plans.submit(pairs(3), plan="p")).is_new


@pytest.mark.parametrize("is_applied", [True, False])
async def test_a_commit_whose_reply_is_lost_is_read_back(
    plans: PostgresPlans, driver: Driver, is_applied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it was applied the call says so; if not, it is an error, and the same call stores the plan."""
    from fielding_async.plans.database.driver import DriverConnection

    run = DriverConnection.run
    is_lost = True

    async def run_and_lose(connection: DriverConnection, sql: str) -> None:
        nonlocal is_lost
        if sql == "COMMIT" and is_lost:
            is_lost = False
            if is_applied:
                await run(connection, sql)
            connection.cut()
            raise StoreLostError("the reply is lost")
        await run(connection, sql)

    monkeypatch.setattr(DriverConnection, "run", run_and_lose)
    if is_applied:
        assert await plans.submit(pairs(10), plan="p") == Submitted(name="p", rows=10, is_new=True)
    else:
        with pytest.raises(JournalError, match="the reply is lost; the same call may succeed later"):
            await plans.submit(pairs(10), plan="p")
    assert not is_lost
    assert (await plans.submit(pairs(10), plan="p")).is_new is not is_applied


async def test_a_plan_is_submitted_through_a_pooler(plans: PostgresPlans, pgbouncer_url: str, driver: Driver) -> None:
    """Many at once, more than the pooler has connections."""
    async with PostgresPlans(pgbouncer_url, driver=driver) as pooled:
        found = await asyncio.gather(*(pooled.submit(pairs(5000), plan=f"p{number % 10}") for number in range(20)))
    assert sorted(each.is_new for each in found) == [False] * 10 + [True] * 10
    assert [status.rows for status in await plans.list()] == [5000] * 10


@pytest.mark.parametrize("order", ["submit", "cancel"])
async def test_the_commit_is_durable_whatever_the_database_says(
    plans: PostgresPlans, postgres_url: str, postgres_server: PostgresServer, driver: Driver, order: str
) -> None:
    """With `synchronous_commit = off` a server that dies at once still has the plan, and knows that it is cancelled."""
    if order == "cancel":
        await plans.submit(pairs(10), plan="p")
    name = postgres_url.rsplit("/", 1)[1]
    postgres_server.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    async with PostgresPlans(postgres_url, driver=driver) as store:
        async with database_in(store).connection() as connection:
            assert await connection.fetch("SHOW synchronous_commit") == [("off",)]
        # what is not synchronous waits for the writer of the log, which is put off here
        postgres_server.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        postgres_server.execute("SELECT pg_reload_conf()")
        try:
            await (store.cancel("p") if order == "cancel" else store.submit(pairs(10), plan="p"))
        finally:
            await asyncio.to_thread(postgres_server.restart)
            postgres_server.execute("ALTER SYSTEM RESET wal_writer_delay")
        assert (await store.status("p")).state == ("cancelled" if order == "cancel" else "sealed")
