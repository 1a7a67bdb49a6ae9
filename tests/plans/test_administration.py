"""Plans are listed, asked how far they are, paused, resumed, cancelled and deleted."""

import asyncio
from datetime import timedelta

import pytest

from fielding_async import ConfigurationError, JournalCounts, SessionClosedError
from fielding_async.plans import PostgresPlans
from tests.plans.conftest import Driver
from tests.plans.rows import pairs
from tests.plans.test_submission import database_in, plans

__all__ = ["plans"]

pytestmark = pytest.mark.once


async def _set_shards(store: PostgresPlans, what: str, where: str = "true") -> None:
    async with database_in(store).connection() as connection:
        await connection.run(f"UPDATE fielding_plan_shard SET {what} WHERE {where}")


async def test_a_new_plan_has_everything_left(plans: PostgresPlans) -> None:
    """Its times are those of the server, aware and in UTC."""
    await plans.submit(pairs(64), plan="night")
    status = await plans.status("night")
    assert (status.name, status.state, status.rows, status.left) == ("night", "sealed", 64, 64)
    assert status.counts == JournalCounts()
    assert (status.workers, status.shards_finished) == ((), 0)
    assert (status.began_at, status.finished_at, status.last_written_at) == (None, None, None)
    assert (status.base_url, status.api_version) == (None, None)
    assert status.submitted_at.utcoffset() == timedelta(0)
    assert await plans.list() == [status]


async def test_the_counts_are_the_sums_of_the_shards(plans: PostgresPlans) -> None:
    """And so are the workers, with the lease that ends first, and the last commit."""
    await plans.submit(pairs(64), plan="a")
    await plans.submit(pairs(64), plan="b")
    await _set_shards(plans, "done = 1, failed = 2, unknown = 3, skipped = 4, in_flight = 5, stuck = 6")
    where = "shard = (SELECT {}(shard) FROM fielding_plan_shard)"
    lease = "written_at = clock_timestamp(), lease_until = clock_timestamp() + interval '{}'"
    await _set_shards(plans, f"holder = 'host:1', finished = true, {lease.format('1 hour')}", where.format("max"))
    await _set_shards(plans, f"holder = 'host:2', {lease.format('-1 hour')}", where.format("min"))
    first, second = await plans.list()
    shards = first.shards
    assert first.counts == JournalCounts(
        done=shards, failed=2 * shards, unknown=3 * shards, skipped=4 * shards, in_flight=5 * shards, stuck=6 * shards
    )
    assert (first.shards_finished, first.left) == (1, 64 - 10 * shards)
    one, two = first.workers
    assert (one.holder, one.shards, two.holder, two.lease_left) == ("host:1", 1, "host:2", 0)
    assert 3000 < one.lease_left <= 3600
    assert one.last_written_at is not None
    assert two.last_written_at is not None
    assert first.last_written_at == max(one.last_written_at, two.last_written_at)
    assert [worker.holder for worker in second.workers] == ["host:1", "host:2"]


async def test_a_plan_is_paused_resumed_and_cancelled(plans: PostgresPlans) -> None:
    """Each order says whether it changed anything; to cancel is final, and takes the time."""
    await plans.submit(pairs(1), plan="p")
    assert [await plans.pause("p"), await plans.pause("p")] == [True, False]
    assert (await plans.status("p")).state == "paused"
    assert [await plans.resume("p"), await plans.resume("p")] == [True, False]
    assert (await plans.status("p")).finished_at is None
    assert [await plans.cancel("p"), await plans.cancel("p")] == [True, False]
    status = await plans.status("p")
    assert (status.state, status.left) == ("cancelled", 1)
    assert status.finished_at is not None
    for order in (plans.pause, plans.resume):
        with pytest.raises(ConfigurationError, match="it was cancelled, which is final"):
            await order("p")
    assert (await plans.status("p")).finished_at == status.finished_at


async def test_orders_that_come_at_once_follow_each_other(plans: PostgresPlans) -> None:
    """Of many that pause a plan one has changed it."""
    await plans.submit(pairs(1), plan="p")
    assert sum(await asyncio.gather(*(plans.pause("p") for _ in range(12)))) == 1


async def test_an_unknown_name_is_an_error_with_names_like_it(plans: PostgresPlans) -> None:
    """Every method says so."""
    calls = (plans.status, plans.pause, plans.resume, plans.cancel, plans.delete)
    for call in calls:
        with pytest.raises(
            ConfigurationError, match=r"plan='nihgt': there is no plan of this name; the database has no"
        ):
            await call("nihgt")
    for name in ("night", "day", "dusk", "dawn"):
        await plans.submit([], plan=name)
    with pytest.raises(ConfigurationError, match=r"there is no plan of this name; did you mean 'night'\?$"):
        await plans.status("nihgt")
    with pytest.raises(ConfigurationError, match="use one of the 4 in the database, such as 'dawn', 'day', 'dusk'"):
        await plans.status("xyz")
    for call in calls:
        with pytest.raises(ConfigurationError, match="name: must be a str, the name of a plan, not int"):
            await call(5)  # type: ignore[arg-type]


async def _counts(store: PostgresPlans) -> list[int]:
    async with database_in(store).connection() as connection:
        return [
            int((await connection.fetch(f"SELECT count(*) FROM fielding_plan{table}"))[0][0])
            for table in ("", "_row", "_shard", "_group", "_late")
        ]


async def _add_groups(store: PostgresPlans) -> None:
    async with database_in(store).connection() as connection:
        await connection.run(
            "INSERT INTO fielding_plan_group (plan_id, shard, number, epoch, lines)"
            " SELECT plan_id, shard, number, 1, 'lines' FROM fielding_plan_shard, generate_series(0, 5) AS number;"
            "INSERT INTO fielding_plan_late (plan_id, shard, epoch, holder, lines)"
            " SELECT plan_id, shard, 1, 'host:1', 'lines' FROM fielding_plan_shard"
        )


async def test_a_deleted_plan_is_gone_with_all_of_it(plans: PostgresPlans) -> None:
    """Its rows, shards, groups and late knowledge; another plan keeps its own, and the name is free."""
    await plans.submit(pairs(100), plan="a")
    await plans.submit(pairs(20), plan="b")
    await _add_groups(plans)
    before = await _counts(plans)
    await plans.delete("a")
    assert [status.name for status in await plans.list()] == ["b"]
    shards = (await plans.status("b")).shards
    assert await _counts(plans) == [1, 20, shards, 6 * shards, shards]
    assert before[0] == 2
    assert (await plans.submit(pairs(3), plan="a")).is_new
    await plans.delete("a")
    await plans.delete("b")
    assert await _counts(plans) == [0, 0, 0, 0, 0]


async def test_a_plan_that_is_worked_on_is_deleted_by_force_alone(plans: PostgresPlans) -> None:
    """A lease that is over does not count. After the force no worker holds anything."""
    await plans.submit(pairs(100), plan="p")
    await _set_shards(plans, "holder = 'host:7', lease_until = clock_timestamp() + interval '1 hour'", "shard = 0")
    with pytest.raises(ConfigurationError, match="plan 'p' cannot be deleted: host:7 works on it; cancel it and wait"):
        await plans.delete("p")
    assert (await plans.status("p")).state == "sealed"
    await plans.delete("p", force=True)
    assert await _counts(plans) == [0] * 5
    await plans.submit(pairs(100), plan="p")
    await _set_shards(plans, "holder = 'host:7', lease_until = clock_timestamp()", "shard = 0")
    await plans.delete("p")
    assert await plans.list() == []


async def test_an_interrupted_deletion_is_gone_on_with(plans: PostgresPlans, monkeypatch: pytest.MonkeyPatch) -> None:
    """Meanwhile the plan is listed as being deleted, can be nothing else, and its name is taken."""
    from fielding_async.plans.database.driver import DriverConnection

    await plans.submit(pairs(100), plan="p")
    await _add_groups(plans)
    fetch = DriverConnection.fetch
    left = 4

    async def fetch_some(connection: DriverConnection, sql: str, *args: object) -> object:
        nonlocal left
        left -= sql.startswith("DELETE")
        if not left:
            raise KeyError("killed")
        return await fetch(connection, sql, *args)

    monkeypatch.setattr(DriverConnection, "fetch", fetch_some)
    with pytest.raises(KeyError):
        await plans.delete("p")
    monkeypatch.undo()
    assert (await plans.status("p")).state == "deleting"
    for order in (plans.pause, plans.resume, plans.cancel):
        with pytest.raises(ConfigurationError, match="its deletion has started"):
            await order("p")
    with pytest.raises(ConfigurationError, match="is being deleted: delete it again, or use another name"):
        await plans.submit(pairs(100), plan="p")
    async with database_in(plans).connection() as connection:
        assert await connection.fetch("SELECT bool_and(epoch > 0) FROM fielding_plan_shard") == [(True,)]
    await plans.delete("p")
    assert await _counts(plans) == [0] * 5


async def test_old_plans_are_deleted_and_others_kept(plans: PostgresPlans) -> None:
    """Those that ended or were cancelled long enough ago, and are not held by a worker."""
    for name in ("ended", "cancelled", "running", "recent", "held"):
        await plans.submit(pairs(40), plan=name)
    await plans.cancel("cancelled")
    await plans.cancel("held")
    async with database_in(plans).connection() as connection:
        for name, days in (("ended", 9), ("cancelled", 8), ("recent", 6), ("held", 10)):
            await connection.fetch(
                "UPDATE fielding_plan SET finished_at = clock_timestamp() - make_interval(days => $2::integer)"
                " WHERE name = $1::text",
                *(name, days),
            )
        await connection.run(
            "UPDATE fielding_plan_shard SET holder = 'host:1', lease_until = clock_timestamp() + interval '1 hour'"
            " WHERE plan_id = (SELECT plan_id FROM fielding_plan WHERE name = 'held')"
        )
    assert await plans.delete_older_than(7) == ("ended", "cancelled")
    assert {status.name for status in await plans.list()} == {"running", "recent", "held"}
    assert await plans.delete_older_than(0.5) == ("recent",)
    with pytest.raises(ConfigurationError, match="days=-1: must be a number of at least 0"):
        await plans.delete_older_than(-1)


async def test_two_deletions_at_once_delete_it_once(plans: PostgresPlans) -> None:
    """Whoever is second finds nothing more, or no plan."""
    await plans.submit(pairs(3000), plan="p")
    found = await asyncio.gather(*(plans.delete("p") for _ in range(4)), return_exceptions=True)
    assert None in found
    assert all(each is None or isinstance(each, ConfigurationError) for each in found)
    assert await _counts(plans) == [0] * 5


# -- the face


async def test_plans_are_used_between_entering_and_closing(postgres_url: str, driver: Driver) -> None:
    """Before, after and twice there is an error that says which; the `repr` says the state and no password."""
    store = PostgresPlans(postgres_url.replace("postgres@", "postgres:Lm3-Xw-k9Zt@"), driver=driver)
    assert repr(store).endswith("(not entered)>")
    with pytest.raises(SessionClosedError, match="use `async with PostgresPlans"):
        await store.list()
    async with store:
        await store.create_tables()
        assert repr(store).endswith("(open)>")
        with pytest.raises(SessionClosedError, match="entered already"):
            await store.__aenter__()
    assert repr(store).endswith("(closed)>")
    assert "Lm3" not in repr(store)
    await store.aclose()
    with pytest.raises(SessionClosedError, match="the plans are closed"):
        await store.list()
    with pytest.raises(SessionClosedError, match="can be entered once"):
        await store.__aenter__()


async def test_a_status_reads_no_row(plans: PostgresPlans) -> None:
    """What `status --watch` asks every second costs the same whatever the size of the plan."""
    await plans.submit(pairs(100), plan="p")
    async with database_in(plans).connection() as connection, connection.transaction():
        await connection.run("LOCK TABLE fielding_plan_row, fielding_plan_group IN ACCESS EXCLUSIVE MODE")
        assert (await plans.status("p")).rows == 100
        assert len(await plans.list()) == 1
