"""Both drivers do the same for the same SQL, hold few connections, and leave none."""

import asyncio
import gc
import logging
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest

from fielding_async import ConfigurationError, JournalError, SessionClosedError
from fielding_async.plans.database.connection import Connection
from fielding_async.plans.database.database import Database
from fielding_async.plans.database.errors import StoreLostError
from tests.plans.conftest import Driver
from tests.plans.rows import database_of, driver_of, no_check
from tests.tools.fault_proxy import FaultProxy
from tests.tools.services import PostgresServer
from tests.tools.waits import HANG, Clock

TABLE = "CREATE TABLE t (i bigint PRIMARY KEY, s text)"


async def _lines(*lines: str) -> AsyncGenerator[bytes]:
    for line in lines:
        yield line.encode()


async def test_values_come_back_as_they_went(postgres_url: str, driver: Driver) -> None:
    """Numbers, texts, bytes, nothing, lists and times; a percent sign is no placeholder, and a time is in UTC."""
    when = datetime(2031, 5, 17, 12, 30, 15, 123456, tzinfo=UTC)
    async with database_of(postgres_url, driver) as database, database.connection() as connection:
        await connection.run("SET timezone = 'Asia/Tokyo'")
        rows = await connection.fetch(
            "SELECT $1::bigint, $2::text, $3::bytea, $4::text, $5::timestamptz, $6::double precision, $7::boolean,"
            " $2::text LIKE '%x', cardinality($8::integer[])",
            *(2**62, "ÄÖ\\x", bytes(range(256)), None, when, 0.25, True, [1, 2, 3]),
        )
    assert rows == [(2**62, "ÄÖ\\x", bytes(range(256)), None, when, 0.25, True, True, 3)]
    assert rows[0][4].utcoffset() == timedelta(0)


async def test_a_transaction_is_all_or_nothing(postgres_url: str, driver: Driver) -> None:
    """An exception rolls it back, and the connection can be used again; without one it is committed."""
    async with database_of(postgres_url, driver) as database, database.connection() as connection:
        await connection.run(TABLE)
        with pytest.raises(ZeroDivisionError):  # noqa: PT012
            async with connection.transaction():
                await connection.fetch("INSERT INTO t VALUES (1)")
                raise ZeroDivisionError
        assert await connection.fetch("SELECT count(*) FROM t") == [(0,)]
        async with connection.transaction():
            await connection.fetch("INSERT INTO t VALUES (1)")
            with pytest.raises(RuntimeError):
                async with connection.transaction():
                    pass
        async with database.connection() as another:
            assert await another.fetch("SELECT i FROM t") == [(1,)]


async def test_a_snapshot_does_not_move_and_does_not_write(postgres_url: str, driver: Driver) -> None:
    """What others commit meanwhile is not seen."""
    async with (
        database_of(postgres_url, driver) as database,
        database.connection() as connection,
        database.connection() as another,
    ):
        await connection.run(TABLE)
        async with connection.transaction(is_snapshot=True):
            assert await connection.fetch("SELECT count(*) FROM t") == [(0,)]
            await another.fetch("INSERT INTO t VALUES (1)")
            assert await connection.fetch("SELECT count(*) FROM t") == [(0,)]
        with pytest.raises(StoreLostError, match="read-only"):
            async with connection.transaction(is_snapshot=True):
                await connection.fetch("INSERT INTO t VALUES (2)")
        assert await connection.fetch("SELECT count(*) FROM t") == [(1,)]


async def test_a_stream_gives_all_rows_in_order(postgres_url: str, driver: Driver) -> None:
    """Two streams may be read at once, one may be left early, and outside a transaction there is none."""
    sql = "SELECT i FROM generate_series(1, $1::integer) AS i"
    async with database_of(postgres_url, driver) as database, database.connection() as connection:
        async with connection.transaction():
            first = [row[0] async for row in connection.stream(sql, 1234)]
            left = connection.stream(sql, 5000)
            assert await anext(left) == (1,)
            both = [row[0] async for row in connection.stream(sql, 3)]
            assert await anext(left) == (2,)
        assert (first, both) == (list(range(1, 1235)), [1, 2, 3])
        with pytest.raises(RuntimeError, match="transaction"):
            await anext(connection.stream(sql, 1))


async def test_what_is_copied_is_there(postgres_url: str, driver: Driver) -> None:
    """Chunks need not end where rows do; a backslash escapes."""
    async with database_of(postgres_url, driver) as database, database.connection() as connection:
        await connection.run(TABLE)
        await connection.copy_in("t", ("i", "s"), _lines("1\ta\\\\b\n2\t", "\\N\n"))
        await connection.copy_in("t", ("i", "s"), _lines())
        assert await connection.fetch("SELECT i, s FROM t ORDER BY i") == [(1, "a\\b"), (2, None)]


async def test_what_the_source_of_a_copy_raises_passes_through(postgres_url: str, driver: Driver) -> None:
    """Nothing is copied, and the connection can be used again, inside its transaction too after a rollback."""

    async def broken() -> AsyncGenerator[bytes]:
        yield b"1\ta\n"
        raise LookupError("no more")

    async with database_of(postgres_url, driver) as database, database.connection() as connection:
        await connection.run(TABLE)
        for _ in range(2):
            with pytest.raises(LookupError, match="no more") as caught:
                async with connection.transaction():
                    await connection.copy_in("t", ("i", "s"), broken())
            assert caught.value.__context__ is None
        with pytest.raises(ConfigurationError):
            await connection.copy_in("nothing", ("i", "s"), _lines("1\ta\n"))
        with pytest.raises(JournalError, match="duplicate key"):
            await connection.copy_in("t", ("i", "s"), _lines("1\ta\n1\tb\n"))
        assert await connection.fetch("SELECT count(*) FROM t") == [(0,)]


async def test_a_statement_without_an_answer_ends_in_time(postgres_url: str, driver: Driver, clock: Clock) -> None:
    """It is a lost store, and the next caller gets another connection."""
    async with database_of(postgres_url, driver) as database:
        async with database.connection() as connection:
            first = await connection.fetch("SELECT pg_backend_pid()")
        async with database.connection() as connection:
            waits = asyncio.create_task(connection.fetch("SELECT pg_sleep(1000)"))
            await _sleeps(database, "pg_sleep")
            clock.advance(31)
            with pytest.raises(StoreLostError, match="no answer in time"):
                await waits
            with pytest.raises(StoreLostError, match="lost before"):
                await connection.fetch("SELECT 1")
        async with database.connection() as connection:
            assert await connection.fetch("SELECT pg_backend_pid()") != first


async def test_a_transaction_with_a_failed_statement_does_not_end_well(postgres_url: str, driver: Driver) -> None:
    """Also if the block passes over the error: the server would answer the commit with a rollback, and no error."""
    async with database_of(postgres_url, driver) as database, database.connection() as connection:
        await connection.run(TABLE)
        with pytest.raises(JournalError, match="a statement of the transaction failed"):  # noqa: PT012
            async with connection.transaction():
                await connection.fetch("INSERT INTO t VALUES (1)")
                with pytest.raises(ConfigurationError):
                    await connection.fetch("SELECT 1 FROM nowhere")
        assert await connection.fetch("SELECT count(*) FROM t") == [(0,)]
        async with connection.transaction():
            await connection.fetch("INSERT INTO t VALUES (1)")
        assert await connection.fetch("SELECT count(*) FROM t") == [(1,)]


async def _sleeps(database: Database, statement: str) -> None:
    """Wait until the server is at a statement."""
    sql = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE $1::text || '%' AND state = 'active'"
    async with asyncio.timeout(HANG), database.connection() as watching:
        while await watching.fetch(sql, f"SELECT {statement}") == [(0,)]:
            await asyncio.sleep(0.01)


async def test_a_cancelled_statement_leaves_no_open_transaction(postgres_url: str, driver: Driver) -> None:
    """The task is cancelled at once, and what its transaction did is gone."""
    async with database_of(postgres_url, driver) as database:
        async with database.connection() as connection:
            await connection.run(TABLE)

        async def insert() -> None:
            async with database.connection() as connection, connection.transaction():
                await connection.fetch("INSERT INTO t VALUES (1)")
                await connection.fetch("SELECT pg_sleep(1000)")

        task = asyncio.create_task(insert())
        await _sleeps(database, "pg_sleep")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with database.connection() as connection, connection.transaction():
            await connection.run("LOCK TABLE t")  # waits until the server has noticed
            assert await connection.fetch("SELECT count(*) FROM t") == [(0,)]


async def test_connections_are_opened_when_needed_and_bounded(
    postgres_url: str, postgres_server: PostgresServer, driver: Driver
) -> None:
    """None on entering, one for calls in a row, two for any number at once where two is the most."""
    name = postgres_url.rsplit("/", 1)[1]
    count = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'"
    most = 0
    lent = 0
    both = asyncio.Event()

    async def call(database: Database) -> None:
        async with database.connection() as connection:
            await connection.fetch("SELECT 1")

    async def hold(database: Database) -> None:
        nonlocal lent, most
        async with database.connection() as connection:
            lent += 1
            most = max(most, lent)
            if lent == 2:
                both.set()
            async with asyncio.timeout(HANG):
                await both.wait()
            await connection.fetch("SELECT 1")
            lent -= 1

    async with database_of(postgres_url, driver, most=2) as database:
        assert postgres_server.execute(count) == "0"
        for _ in range(3):
            await call(database)
        assert postgres_server.execute(count) == "1"
        await asyncio.gather(*(hold(database) for _ in range(20)))
        assert most == 2
        assert int(postgres_server.execute(count)) <= 2
    assert database.is_over


async def test_an_idle_connection_that_the_server_closed_is_not_used(
    postgres_url: str, postgres_server: PostgresServer, driver: Driver
) -> None:
    """The next call opens another one, and nobody notices."""
    async with database_of(postgres_url, driver) as database:
        async with database.connection() as connection:
            ((before,),) = await connection.fetch("SELECT pg_backend_pid()")
        postgres_server.execute(f"SELECT pg_terminate_backend({before}, 60000)")
        await asyncio.sleep(0)  # the loop reads that the connection has ended
        await asyncio.sleep(0)
        async with database.connection() as connection:
            ((after,),) = await connection.fetch("SELECT pg_backend_pid()")
        assert after != before


@pytest.mark.parametrize("is_close_now", [False, True])
async def test_closing_cuts_what_is_under_way(postgres_url: str, driver: Driver, is_close_now: bool) -> None:
    """Whoever waits for an answer, or for a connection, gets `SessionClosedError`; then nothing is open."""
    async with database_of(postgres_url, driver, most=2) as database:

        async def call() -> None:
            async with database.connection() as connection:
                await connection.fetch("SELECT pg_sleep(1000)")

        task = asyncio.create_task(call())
        await _sleeps(database, "pg_sleep")
        others = [asyncio.create_task(call()) for _ in range(2)]
        await asyncio.sleep(0)
        if is_close_now:
            database.close_now()
        await database.aclose()
        for each in (task, *others):
            with pytest.raises(
                SessionClosedError, match=r"the plans (were closed while the call was in progress|are closed)"
            ):
                await each
        assert database.is_over
        with pytest.raises(SessionClosedError, match="the plans are closed"):
            async with database.connection():
                pass


async def test_a_database_belongs_to_one_loop_and_thread(postgres_url: str, driver: Driver) -> None:
    """On another one it says so."""
    async with database_of(postgres_url, driver) as database:
        found: list[BaseException] = []

        async def use() -> None:
            try:
                async with database.connection():
                    pass
            except SessionClosedError as error:
                found.append(error)

        thread = threading.Thread(target=lambda: asyncio.run(use()))
        thread.start()
        await asyncio.to_thread(thread.join)
    assert str(found[0]).startswith("the plans were entered in another thread: ")


def test_a_database_belongs_to_one_loop(driver: Driver) -> None:
    """A second loop in the same thread is another one."""

    async def make() -> Database:
        return Database(driver_of("postgresql://127.0.0.1:1/db", driver), no_check)

    async def use(database: Database) -> None:
        with pytest.raises(SessionClosedError, match="another event loop"):
            async with database.connection():
                pass

    asyncio.run(use(asyncio.run(make())))


async def test_lists_as_arguments_leave_no_setting_behind_a_pooler(pgbouncer_url: str, driver: Driver) -> None:
    """asyncpg asks the server for the types of arrays, with `jit` off: in one transaction, so that it is as before."""
    sql = "SELECT cardinality($1::integer[]) + cardinality($2::bytea[]), current_setting('jit')"

    async def call(database: Database) -> tuple[object, ...]:
        async with database.connection() as connection:
            (row,) = await connection.fetch(sql, [1, 2], [b"a"])
            return row

    async with database_of(pgbouncer_url, driver) as database:
        async with database.connection() as connection:
            ((before,),) = await connection.fetch("SHOW jit")
        assert before == "on"
        for _ in range(5):
            assert set(await asyncio.gather(*(call(database) for _ in range(8)))) == {(3, before)}


@asynccontextmanager
async def _over(proxy: FaultProxy, url: str, driver: Driver) -> AsyncGenerator[Connection]:
    """Give a connection over a proxy, with a table."""
    async with proxy:
        there = url.replace(f":{proxy.target}/", f":{proxy.port}/")
        async with database_of(there, driver) as database, database.connection() as connection:
            await connection.run(TABLE)
            yield connection


async def test_rows_are_sent_after_the_response_to_the_copy(postgres_url: str, driver: Driver) -> None:
    """PgBouncer 1.26 discards those that come before, and then both sides wait."""
    proxy = FaultProxy(urlsplit(postgres_url).port or 0)
    async with _over(proxy, postgres_url, driver) as connection:
        proxy.delay = 0.05
        passed: list[int] = []

        async def lines() -> AsyncGenerator[bytes]:
            passed.append(proxy.passed - before)
            yield b"1\ta\n"

        for rows in (lines(), _lines("2\tb\n", "3\tc\n")):
            async with connection.transaction():
                before = proxy.passed
                await connection.copy_in("t", ("i", "s"), rows)
        assert await connection.fetch("SELECT count(*) FROM t") == [(3,)]
    assert passed[0] > 0


@pytest.mark.parametrize("end", ["silent", "cut"])
@pytest.mark.parametrize("when", ["before the response", "between rows", "in a full buffer"])
async def test_a_copy_ends_when_the_connection_does(
    postgres_url: str, driver: Driver, clock: Clock, when: str, end: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it waits for then. No exception is left that nobody has retrieved."""
    proxy = FaultProxy(urlsplit(postgres_url).port or 0)
    going, over = asyncio.Event(), asyncio.Event()

    async def lines() -> AsyncGenerator[bytes]:
        yield b"1\ta\n"
        if when == "between rows":
            going.set()
            await over.wait()
            yield b"2\ta\n"
            return
        proxy.is_silent = True
        number = 1
        while True:
            number += 1
            yield b"%d\t%s\n" % (number, b"x" * 65_536)
            sent[0] = number

    sent = [0]
    async with _over(proxy, postgres_url, driver) as connection:
        async with asyncio.timeout(HANG):
            if when == "before the response":
                proxy.is_silent = True
            copy = asyncio.create_task(connection.copy_in("t", ("i", "s"), lines()))
            if when == "between rows":
                await going.wait()
                proxy.is_silent = True
            elif when == "in a full buffer":
                before = -1
                while before != sent[0] or not before:
                    before = sent[0]
                    await asyncio.sleep(0.02)
            else:
                await asyncio.sleep(0)
            if end == "cut":
                proxy.cut()
            over.set()
            if end == "silent":
                await asyncio.sleep(0.02)
                clock.advance(31)
            with pytest.raises(StoreLostError):
                await copy
        proxy.is_silent = False
    gc.collect()
    assert not [record for record in caplog.records if record.name == "asyncio" and record.levelno >= logging.ERROR]


async def test_a_source_may_take_its_time(postgres_url: str, driver: Driver, clock: Clock) -> None:
    """The limit is for the server: it does not run while a chunk is made, the first or another."""

    async def lines() -> AsyncGenerator[bytes]:
        for number in range(2):
            clock.advance(31)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            yield b"%d\ta\n" % number

    async with database_of(postgres_url, driver) as database, database.connection() as connection:
        await connection.run(TABLE)
        await connection.copy_in("t", ("i", "s"), lines())
        assert await connection.fetch("SELECT count(*) FROM t") == [(2,)]


async def test_behind_a_pooler_nothing_is_left_on_a_connection(
    pgbouncer_url: str, postgres_url: str, driver: Driver
) -> None:
    """Statements, transactions, streams and copies work where each transaction has another connection."""
    async with database_of(postgres_url, driver) as database, database.connection() as connection:
        await connection.run(TABLE)

    async def call(database: Database, number: int) -> int:
        async with database.connection() as connection:
            await connection.fetch("SELECT $1::integer", number)
            async with connection.transaction():
                await connection.copy_in("t", ("i", "s"), _lines(f"{number}\ta\n"))
                rows = [row async for row in connection.stream("SELECT i FROM t WHERE i = $1::bigint", number)]
            ((prepared,),) = await connection.fetch("SELECT count(*) FROM pg_prepared_statements")
            return len(rows) + int(prepared)

    async with database_of(pgbouncer_url, driver) as one, database_of(pgbouncer_url, driver) as other:
        found = await asyncio.gather(*(call(one if number % 2 else other, number) for number in range(40)))
    assert found == [1] * 40
