"""`plans.work` against a real PostgreSQL and the sandbox: every row once, whatever happens to those who work."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from fielding_async import (
    ConfigurationError,
    FieldingSession,
    JournalError,
    Pause,
    Resume,
    Retry,
    RunRef,
    SessionClosedError,
    Timeout,
)
from fielding_async.core.actions import PREVIOUS, Guarded
from fielding_async.plans import PostgresPlans, Worked
from fielding_async.plans.working.lease import Terms
from fielding_async.sandbox import Hold, Sandbox, Status
from tests.plans.conftest import Driver
from tests.plans.rows import Pair, database_of
from tests.tools.services import PostgresServer
from tests.tools.sessions import applied, session
from tests.tools.waits import HANG

pytestmark = pytest.mark.once

THREE = Retry(base=0.001, cap=0.01, max_attempts=3)


def rows_of(sandbox: Sandbox, runs: int) -> list[Pair]:
    """Return two rows for each of so many new runs."""
    refs = [sandbox.add_run("live") for _ in range(runs)]
    return [*((ref, Pause()) for ref in refs), *((ref, Resume()) for ref in refs)]


@asynccontextmanager
async def submitted(url: str, driver: Driver, rows: list[Pair]) -> AsyncGenerator[PostgresPlans]:
    """Give plans with one plan, `p`."""
    async with PostgresPlans(url, driver=driver) as plans:
        await plans.create_tables()
        await plans.submit(rows, plan="p")
        yield plans


async def work_off(plans: PostgresPlans, fielding: FieldingSession, seconds: float = 15.0) -> list[Worked]:
    """Call `work` until nothing is left, without waiting for others longer than is said."""
    calls: list[Worked] = []
    async with asyncio.timeout(HANG):
        while not calls or calls[-1].left:
            if calls:
                await asyncio.sleep(min(calls[-1].wait, 0.2))
            calls.append(await plans.work(fielding, "p", seconds=seconds))
    return calls


async def execute(url: str, driver: Driver, sql: str) -> None:
    """Run a statement beside the plans."""
    async with database_of(url, driver) as database, database.connection() as connection:
        await connection.fetch(sql)


async def until_written(sandbox: Sandbox, writes: int) -> None:
    """Wait until so many writes were applied."""
    async with asyncio.timeout(HANG):
        while len(applied(sandbox)) < writes:
            await asyncio.sleep(0.005)


def assert_each_row_once(sandbox: Sandbox, rows: list[Pair]) -> None:
    """Each row was applied once, those of a run in their order."""
    by_run: dict[RunRef, list[str]] = {}
    for write in sandbox.history:
        by_run.setdefault(write.ref, []).append(write.operation)
    asked: dict[RunRef, list[str]] = {}
    for ref, action in rows:
        asked.setdefault(ref, []).append((action.action if isinstance(action, Guarded) else action).name)
    assert by_run == asked


@pytest.mark.parametrize("way", ["direct", "PgBouncer"])
async def test_two_workers_share_a_plan(
    request: pytest.FixtureRequest, sandbox: Sandbox, driver: Driver, way: str
) -> None:
    """Each row ends once, the counts of both add up, and the plan is finished."""
    url = request.getfixturevalue("postgres_url" if way == "direct" else "pgbouncer_url")
    rows = rows_of(sandbox, 60)
    async with submitted(url, driver, rows) as plans, PostgresPlans(url, driver=driver) as others:
        async with session(sandbox) as one, session(sandbox) as two:
            calls = await asyncio.gather(work_off(plans, one), work_off(others, two))
        assert sum(call.rows for some in calls for call in some) == len(rows)
        assert all(sum(call.rows for call in some) for some in calls), "both had some"
        status = await plans.status("p")
        assert (status.counts.done, status.workers, status.base_url) == (len(rows), (), sandbox.url)
        assert status.finished_at is not None
        async with session(sandbox) as fielding:
            assert await plans.work(fielding, "p") == Worked(rows=0, left=0, held=0, wait=0.0)
    assert_each_row_once(sandbox, rows)


async def test_many_short_slices_do_the_same_as_a_long_one(postgres_url: str, sandbox: Sandbox, driver: Driver) -> None:
    """What a slice leaves open, the next one goes on with: no row is sent twice, and none is lost."""
    rows = rows_of(sandbox, 150)
    async with submitted(postgres_url, driver, rows) as plans, session(sandbox) as fielding:
        calls = await work_off(plans, fielding, seconds=0.05)
    assert len(calls) > 2
    assert_each_row_once(sandbox, rows)


async def test_a_restart_of_the_database_stops_nothing(
    postgres_url: str, postgres_server: PostgresServer, sandbox: Sandbox, driver: Driver
) -> None:
    """Killed at once in the middle, twice: commits whose replies are lost are found or made again."""
    rows = rows_of(sandbox, 150)
    sandbox.latency(0.02)
    async with submitted(postgres_url, driver, rows) as plans, session(sandbox) as fielding:
        working = asyncio.create_task(work_off(plans, fielding))
        for writes in (60, 180):
            await until_written(sandbox, writes)
            await asyncio.to_thread(postgres_server.restart)
        await working
        report = await plans.report("p")
        assert report.counts.done == len(rows)
    assert_each_row_once(sandbox, rows)


async def test_an_epoch_that_is_over_stops_its_holder(postgres_url: str, sandbox: Sandbox, driver: Driver) -> None:
    """Another one goes on; what the late holder knew is evidence, and its writes are not made again."""
    rows = rows_of(sandbox, 100)
    hold = Hold("after")
    sandbox.script(hold, on="pause", ref=rows[50][0])
    sandbox.latency(0.02)
    async with submitted(postgres_url, driver, rows) as plans, session(sandbox) as fielding:
        working = asyncio.create_task(work_off(plans, fielding))
        await hold.arrived()
        await execute(
            postgres_url,
            driver,
            "UPDATE fielding_plan_shard SET epoch = epoch + 1, holder = NULL, lease_until = NULL WHERE NOT finished",
        )
        hold.release()
        await working
        status = await plans.status("p")
        assert status.counts.ended == len(rows)
        late = [(row.number, row.epoch) for row in (await plans.report("p")).late]
        assert late
        assert len(late) == len(set(late)), "each row once"
    assert_each_row_once(sandbox, rows)


async def test_a_plan_is_bound_to_the_exchange_of_its_first_work(
    postgres_url: str, sandbox: Sandbox, driver: Driver
) -> None:
    """A session for another exchange is refused, with both named, and sends nothing."""
    async with submitted(postgres_url, driver, rows_of(sandbox, 1)) as plans:
        async with session(sandbox) as fielding:
            await plans.work(fielding, "p", seconds=0.0)
        async with FieldingSession("token", base_url="https://other.invalid/v1") as other:
            with pytest.raises(ConfigurationError, match=r"started at http://127.*for https://other.*use a session"):
                await plans.work(other, "p")
        with pytest.raises(ConfigurationError, match="no plan of this name"):
            async with session(sandbox) as fielding:
                await plans.work(fielding, "q")


@pytest.mark.parametrize("seconds", [-1, float("nan"), "15", True, None])
async def test_a_bad_number_of_seconds_is_refused(
    postgres_url: str, sandbox: Sandbox, driver: Driver, seconds: float
) -> None:
    """Before anything is asked or sent."""
    async with PostgresPlans(postgres_url, driver=driver) as plans, session(sandbox) as fielding:
        with pytest.raises(ConfigurationError, match="seconds="):
            await plans.work(fielding, "p", seconds=seconds)


async def test_a_paused_or_cancelled_plan_is_left_as_it_is(postgres_url: str, sandbox: Sandbox, driver: Driver) -> None:
    """A paused one has rows left for later, of a cancelled one nothing is left to do."""
    rows = rows_of(sandbox, 3)
    async with submitted(postgres_url, driver, rows) as plans, session(sandbox) as fielding:
        await plans.pause("p")
        paused = await plans.work(fielding, "p")
        assert (paused.rows, paused.left, paused.held) == (0, 6, 0)
        assert paused.wait > 1.0
        await plans.cancel("p")
        assert await plans.work(fielding, "p") == Worked(rows=0, left=0, held=0, wait=0.0)
    assert not sandbox.requests


@pytest.mark.parametrize("order", ["pause", "cancel"])
async def test_a_worker_notices_a_pause_with_its_next_renewal(
    postgres_url: str, sandbox: Sandbox, driver: Driver, order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in flight ends, nothing more starts, and the leases are given back."""
    monkeypatch.setattr(Terms, "renew_every", 0.05)
    rows = rows_of(sandbox, 200)
    sandbox.latency(0.05)
    async with submitted(postgres_url, driver, rows) as plans, session(sandbox) as fielding:
        working = asyncio.create_task(plans.work(fielding, "p", seconds=HANG))
        await until_written(sandbox, 20)
        await (plans.pause if order == "pause" else plans.cancel)("p")
        worked = await working
        status = await plans.status("p")
        assert status.workers == ()
        assert 0 < worked.rows == status.counts.ended == len(applied(sandbox)) < len(rows)
        assert status.counts.in_flight == 0


async def test_a_cancelled_call_drains_and_gives_back(postgres_url: str, sandbox: Sandbox, driver: Driver) -> None:
    """Another call can go on at once, and no row is made twice."""
    rows = rows_of(sandbox, 60)
    sandbox.latency(0.02)
    async with submitted(postgres_url, driver, rows) as plans, session(sandbox) as fielding:
        working = asyncio.create_task(plans.work(fielding, "p", seconds=HANG))
        await until_written(sandbox, 20)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        status = await plans.status("p")
        assert status.workers == ()
        assert status.counts.ended == len(applied(sandbox))
        await work_off(plans, fielding)
    assert_each_row_once(sandbox, rows)


async def test_cancelled_twice_it_cuts_off_what_is_under_way(
    postgres_url: str, sandbox: Sandbox, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shard with a write on the way is not given back: nobody goes on with it before its lease is over.

    The write's intent is on record, and a later call finds out what became of it.
    """
    monkeypatch.setattr(Terms, "length", 3.0)
    monkeypatch.setattr(Terms, "renew_every", 0.3)
    ref = sandbox.add_run("live")
    rows: list[Pair] = [(ref, Pause()), (ref, Resume())]
    hold = Hold()
    sandbox.script(hold, on="pause")
    quick = Timeout(total=20, attempt=1)
    async with submitted(postgres_url, driver, rows) as plans, session(sandbox, timeout=quick) as fielding:
        working = asyncio.create_task(plans.work(fielding, "p", seconds=HANG))
        await hold.arrived()
        working.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        requests = len(sandbox.requests)
        async with session(sandbox) as other:
            worked = await plans.work(other, "p", seconds=0.5)
        hold.release()
        assert (worked.rows, worked.left, worked.held) == (0, 2, 2)
        assert len(sandbox.requests) == requests
        await work_off(plans, fielding)
        assert (await plans.status("p")).counts.done == len(rows)
    assert_each_row_once(sandbox, rows)


async def test_a_session_that_is_closed_meanwhile_ends_the_call(
    postgres_url: str, sandbox: Sandbox, driver: Driver
) -> None:
    """With `SessionClosedError`, and the leases are given back."""
    rows = rows_of(sandbox, 60)
    sandbox.latency(0.02)
    async with submitted(postgres_url, driver, rows) as plans:
        async with session(sandbox) as fielding:
            working = asyncio.create_task(plans.work(fielding, "p", seconds=HANG))
            await until_written(sandbox, 10)
        with pytest.raises(SessionClosedError):
            await working
        assert (await plans.status("p")).workers == ()
        async with session(sandbox) as fielding:
            await work_off(plans, fielding)
        assert (await plans.status("p")).counts.done == len(rows)
    assert_each_row_once(sandbox, rows)


@pytest.mark.parametrize("seconds", [0.2, 3.0])
async def test_in_an_outage_rows_stay_open_and_nobody_spins(postgres_url: str, driver: Driver, seconds: float) -> None:
    """The shards are given back for a while, `wait` says for how long, and later calls go on."""
    async with Sandbox() as gone:
        rows = rows_of(gone, 20)
        url = gone.url
    async with submitted(postgres_url, driver, rows) as plans:
        async with FieldingSession("token", base_url=url, timeout=Timeout(total=5, attempt=2)) as fielding:
            async with asyncio.timeout(HANG):
                # a database that is slow to answer can use up a short slice before any row is tried
                while (worked := await plans.work(fielding, "p", seconds=seconds)).wait <= 1.0:
                    assert (worked.rows, worked.left, worked.held) == (0, 40, 0)
        assert (worked.rows, worked.left, worked.held) == (0, 40, 0)
        assert (await plans.status("p")).workers == ()


async def test_an_outage_is_found_recorded_and_told(postgres_url: str, driver: Driver) -> None:
    """In a slice that is long enough for a row to use its attempts up, and for a probe."""
    async with Sandbox() as gone:
        rows = rows_of(gone, 5)
        url = gone.url
    async with submitted(postgres_url, driver, rows) as plans:
        quick = Retry(base=0.01, cap=0.02, max_attempts=2)
        async with FieldingSession("token", base_url=url, retry=quick) as fielding:
            worked = await plans.work(fielding, "p", seconds=4.0)
        assert worked.wait > 5.0, "the pause of an outage"
        outage = await plans.outage("p")
        assert outage is not None
        assert (outage.kind, "could not connect" in outage.reason) == ("outage", True)
        report = await plans.report("p")
        assert [event.kind for event in report.events] == ["outage"]
        assert report.not_begun == len(rows)


@pytest.mark.parametrize("status", [403, 500])
async def test_a_row_in_trouble_alone_is_stuck_and_left_for_a_while(
    postgres_url: str, sandbox: Sandbox, driver: Driver, status: int
) -> None:
    """All others end, `wait` says when it is of use to try it again, and until then nothing of it is sent."""
    rows: list[Pair] = [(sandbox.add_run("live"), Pause()) for _ in range(30)]
    alone = rows[7][0]
    attempts = 3 if status == 403 else 9  # a 500 is sent again within a try
    sandbox.script(*[Status(status)] * attempts, on="pause", ref=alone)
    async with submitted(postgres_url, driver, rows) as plans, session(sandbox, retry=THREE) as fielding:
        worked = await plans.work(fielding, "p", seconds=HANG)
        assert (worked.rows, worked.left, worked.held) == (29, 1, 0)
        assert 30.0 < worked.wait <= 60.0
        counts = (await plans.status("p")).counts
        assert (counts.done, counts.stuck, counts.in_flight) == (29, 1, 0)
        assert [(row.number, row.state) async for row in plans.rows("p")] == [(7, "stuck")]
        requests = len(sandbox.requests)
        assert (await plans.work(fielding, "p")).rows == 0
        assert len(sandbox.requests) == requests
        await execute(postgres_url, driver, "UPDATE fielding_plan_shard SET not_before = NULL")
        assert (await plans.work(fielding, "p")).left == 0
    assert [write.ref for write in sandbox.history].count(alone) == 1


async def test_a_row_that_failed_has_later_ones_of_its_run_skipped(
    postgres_url: str, sandbox: Sandbox, driver: Driver
) -> None:
    """Also where a later slice comes to them: that of one run that does not exist, and that of a guarded one."""
    ref, other = sandbox.add_run("live"), sandbox.add_run("live")
    missing = RunRef(ref.account_id, ref.project_id, ref.target_group_id, "01" + "Z" * 24)
    rows: list[Pair] = [
        (missing, Pause()),
        (missing, Resume()),
        (ref, Guarded(Pause(), sandbox.inspect(ref).etag or "")),
        (ref, Guarded(Resume(), PREVIOUS)),
        (other, Guarded(Pause(), '"another"')),
        (other, Guarded(Resume(), PREVIOUS)),
    ]
    async with submitted(postgres_url, driver, rows) as plans, session(sandbox) as fielding:
        await work_off(plans, fielding, seconds=0.02)
        found = {row.number: row.state async for row in plans.rows("p", all=True)}
    assert Counter(found.values()) == {"failed": 2, "skipped": 2, "done": 2}
    assert [found[number] for number in range(6)] == ["failed", "skipped", "done", "done", "failed", "skipped"]
    assert [write.operation for write in sandbox.history] == ["pause", "resume"]


async def test_a_journal_with_a_hole_is_refused(postgres_url: str, sandbox: Sandbox, driver: Driver) -> None:
    """By name of the plan and the shard; nothing of it is sent, and its lease is given back."""
    rows = rows_of(sandbox, 4)
    async with submitted(postgres_url, driver, rows) as plans, session(sandbox) as fielding:
        await plans.work(fielding, "p", seconds=0.0)
        hold = Hold("after")
        sandbox.script(hold, on="pause", ref=rows[0][0])
        working = asyncio.create_task(plans.work(fielding, "p", seconds=HANG))
        await hold.arrived()
        working.cancel()
        await asyncio.sleep(0)
        hold.release()
        await asyncio.wait([working])
        writes = len(applied(sandbox))
        assert writes < len(rows)
        await execute(postgres_url, driver, "DELETE FROM fielding_plan_group WHERE number = 1")
        with pytest.raises(ConfigurationError, match=r"plan 'p', shard 0: is damaged"):
            await plans.work(fielding, "p")
        assert len(applied(sandbox)) == writes
        assert (await plans.status("p")).workers == ()


async def test_a_database_that_stays_away_is_a_journal_error(
    postgres_url: str, postgres_server: PostgresServer, sandbox: Sandbox, driver: Driver
) -> None:
    """Once the slice is over; what was in flight is found out by the next call."""
    rows = rows_of(sandbox, 60)
    sandbox.latency(0.02)
    quick = Timeout(total=20, attempt=2)
    async with submitted(postgres_url, driver, rows) as plans, session(sandbox, timeout=quick) as fielding:
        working = asyncio.create_task(plans.work(fielding, "p", seconds=1.0))
        await until_written(sandbox, 10)
        await asyncio.to_thread(postgres_server.kill)
        with pytest.raises(JournalError, match="the same call may succeed later"):
            await working
        await asyncio.to_thread(postgres_server.start)
        await execute(postgres_url, driver, "UPDATE fielding_plan_shard SET lease_until = NULL, not_before = NULL")
        await work_off(plans, fielding)
        assert (await plans.status("p")).counts.done == len(rows)
    assert_each_row_once(sandbox, rows)
