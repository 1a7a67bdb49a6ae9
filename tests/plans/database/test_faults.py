"""A database that cannot be used says in one line why and what to do, and shows no password."""

import asyncio
import gc
import os
import signal
import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import closing

import pytest

from fielding_async import ConfigurationError, FieldingError, JournalError, SessionClosedError
from fielding_async.plans import PostgresPlans
from fielding_async.plans.database.errors import StoreLostError
from tests.plans.conftest import Driver
from tests.plans.rows import Pair, database_of, pairs
from tests.proofs.secrets import frames
from tests.tools.services import PgBouncer, PostgresServer
from tests.tools.services.fixtures import StartPostgres
from tests.tools.waits import HANG, Clock

pytestmark = pytest.mark.once

PASSWORD = "k9Zt-q7-Lm3-Xw"
WRONG = "Vb5-Rr8-Yk2-Jd"


def _assert_hidden(error: BaseException) -> None:
    assert error.__traceback__ is not None
    text = frames.of_error(error.with_traceback(error.__traceback__.tb_next))  # without the test, which has the URL
    assert PASSWORD not in text
    assert WRONG not in text
    for one in (error.__cause__, error.__context__):
        assert one is None or isinstance(one, FieldingError | OSError)


@pytest.fixture(scope="module")
def locked(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """A server that asks for a password, and has few connections."""
    request.getfixturevalue("postgres_of_process")  # skips where there is none
    with PostgresServer(password=PASSWORD, max_connections=8) as server:
        server.execute("CREATE ROLE plain LOGIN PASSWORD 'plain-password'")
        yield server


async def _error_of(url: str, driver: Driver) -> FieldingError:
    async with PostgresPlans(url, driver=driver) as plans:
        with pytest.raises(FieldingError) as caught:
            await plans.create_tables()
    _assert_hidden(caught.value)
    return caught.value


async def test_a_wrong_password_is_refused_and_not_shown(locked: PostgresServer, driver: Driver) -> None:
    """Neither the wrong one nor, in other ways to fail, the right one."""
    error = await _error_of(locked.url.replace(PASSWORD, WRONG), driver)
    assert isinstance(error, ConfigurationError)
    assert "password authentication failed for user" in error.message
    assert "check user, password, database and sslmode of FIELDING_PLANS_URL" in error.message


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda url: url.removesuffix("/postgres") + "/nowhere", 'database "nowhere" does not exist'),
        (lambda url: url.replace("//postgres:", "//nobody:"), "authentication failed"),
        (lambda url: f"{url}?sslmode=require", "SSL"),
        (lambda url: f"{url}?nonsense=1", "nonsense"),
        (lambda url: url.replace(f":{PASSWORD}", ""), "password"),
    ],
    ids=["no such database", "no such user", "no TLS", "no such parameter", "no password"],
)
async def test_what_is_wrong_with_a_url_is_said(
    locked: PostgresServer, driver: Driver, change: object, says: str
) -> None:
    """It is a `ConfigurationError`: to try again is no use."""
    assert callable(change)
    error = await _error_of(str(change(locked.url)), driver)
    assert isinstance(error, ConfigurationError), error
    assert says in error.message


async def test_an_unreachable_host_may_be_tried_again(driver: Driver) -> None:
    """Nobody listens at the port: the message names the address."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        error = await _error_of(f"postgresql://user:{PASSWORD}@127.0.0.1:{port}/db", driver)
    assert isinstance(error, JournalError)
    assert f"PostgreSQL at 127.0.0.1:{port}, database 'db': " in error.message
    assert error.message.endswith("the same call may succeed later")


async def test_a_host_without_an_answer_ends_in_time(driver: Driver, clock: Clock) -> None:
    """A port that accepts and says nothing: the limit is that of the URL."""
    asked = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server, asyncio.timeout(HANG * 10):
        port = server.sockets[0].getsockname()[1]
        url = f"postgresql://user:{PASSWORD}@127.0.0.1:{port}/db?connect_timeout=900"
        task = asyncio.create_task(_error_of(url, driver))
        await asked.wait()
        clock.advance(901)
        error = await task
        assert isinstance(error, JournalError)
        assert "no answer in time" in error.message


async def test_connecting_may_be_cancelled_or_closed(driver: Driver) -> None:
    """Whoever is cancelled gets that alone, and no local variable of the traceback shows the password."""
    asked = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        asked.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        for is_closed in (False, True):
            asked.clear()
            plans = PostgresPlans(f"postgresql://user:{PASSWORD}@127.0.0.1:{port}/db", driver=driver)
            async with plans:
                task = asyncio.create_task(plans.list())
                await asked.wait()
                if is_closed:
                    await plans.aclose()
                else:
                    task.cancel()
                with pytest.raises((SessionClosedError, asyncio.CancelledError)) as caught:
                    await task
                assert isinstance(caught.value, SessionClosedError) is is_closed
                _assert_hidden(caught.value)


async def test_no_connection_left_may_be_tried_again(locked: PostgresServer, driver: Driver) -> None:
    """The server has as many clients as it takes, with those it keeps for superusers."""
    url = locked.url.replace(f"postgres:{PASSWORD}", "plain:plain-password")
    async with database_of(url, driver, most=20) as database:
        async with asyncio.timeout(HANG):
            while True:
                with pytest.raises(StoreLostError) as caught:
                    async with (
                        database.connection(),
                        database.connection(),
                        database.connection(),
                        database.connection(),
                        database.connection(),
                        database.connection(),
                    ):
                        pass
                break
    assert "connection" in caught.value.message
    _assert_hidden(caught.value)


async def test_a_server_that_wants_tls_says_so(start_postgres: StartPostgres, driver: Driver) -> None:
    """A server that lets in connections over TLS alone: the message has its reason, and names sslmode."""
    server = start_postgres(password=PASSWORD)
    (server.folder / "data" / "pg_hba.conf").write_text(
        "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n"
    )
    server.execute("SELECT pg_reload_conf()")
    async with asyncio.timeout(HANG):
        while "no pg_hba.conf entry" not in (error := await _error_of(server.url, driver)).message:
            await asyncio.sleep(0.05)  # until every part of the server has read it
    assert isinstance(error, ConfigurationError), error
    assert "sslmode" in error.message


async def test_a_parameter_that_a_pooler_does_not_take_is_named(pgbouncer_url: str, driver: Driver) -> None:
    """PgBouncer refuses what the server would take."""
    error = await _error_of(f"{pgbouncer_url}?options=-cgeqo%3Doff", driver)
    assert isinstance(error, ConfigurationError), error
    assert "a parameter of the URL cannot be used: " in error.message
    assert "options" in error.message


async def test_a_server_that_restarts_may_be_tried_again(
    postgres_url: str, postgres_server: PostgresServer, driver: Driver
) -> None:
    """While it is down a call is a `JournalError`; when it is back the same plans go on."""
    async with PostgresPlans(postgres_url, driver=driver) as plans:
        await plans.create_tables()
        await plans.submit(pairs(3), plan="p")
        await asyncio.to_thread(postgres_server.kill)
        with pytest.raises(JournalError, match="the same call may succeed later") as caught:
            await plans.status("p")
        _assert_hidden(caught.value)
        await asyncio.to_thread(postgres_server.restart)
        assert (await plans.status("p")).rows == 3


async def test_a_server_that_dies_in_the_middle_of_a_submission_has_nothing_of_it(
    postgres_url: str, postgres_server: PostgresServer, driver: Driver
) -> None:
    """The call is a `JournalError`; when it is repeated the plan is new."""
    killed = asyncio.Event()

    async def rows() -> AsyncGenerator[Pair]:
        for number, pair in enumerate(pairs(6000)):
            if number == 5500:
                await asyncio.to_thread(postgres_server.restart)
                killed.set()
            yield pair

    async with PostgresPlans(postgres_url, driver=driver) as plans:
        await plans.create_tables()
        with pytest.raises(JournalError, match="the same call may succeed later") as caught:
            await plans.submit(rows(), plan="p")
        assert killed.is_set()
        _assert_hidden(caught.value)
        assert await plans.list() == []
        found = await plans.submit(pairs(6000), plan="p")
    assert (found.rows, found.is_new) == (6000, True)
    name = postgres_url.rsplit("/", 1)[1]
    assert postgres_server.execute("SELECT count(*) FROM fielding_plan_row", name) == "6000"


async def test_a_standby_is_lost_until_it_is_promoted(
    postgres_url: str, postgres_server: PostgresServer, driver: Driver
) -> None:
    """A database that only reads is one that failed over, or will: what writes may be tried again."""
    name = postgres_url.rsplit("/", 1)[1]
    async with PostgresPlans(postgres_url, driver=driver) as plans:
        await plans.create_tables()
    postgres_server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    async with PostgresPlans(postgres_url, driver=driver) as plans:
        assert await plans.list() == []
        with pytest.raises(JournalError, match="it is read-only, as a standby is"):
            await plans.submit(pairs(1), plan="p")


async def test_a_pooler_without_its_server_may_be_tried_again(start_postgres: StartPostgres, driver: Driver) -> None:
    """PgBouncer lives, PostgreSQL does not; then both do."""
    server = start_postgres()
    with PgBouncer(server, "server_login_retry = 1", "query_wait_timeout = 2") as pooler:
        async with PostgresPlans(pooler.url, driver=driver) as plans:
            await plans.create_tables()
            await asyncio.to_thread(server.kill)
            with pytest.raises(JournalError):
                await plans.list()
            await asyncio.to_thread(server.start)
            async with asyncio.timeout(HANG):
                while True:
                    try:
                        assert await plans.list() == []
                        break
                    except JournalError:
                        await asyncio.sleep(0.05)  # the pooler tries again once a second


# whether it has, depends on the libraries; the child calls one method and ends
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
async def test_a_forked_child_may_not_use_the_connections(postgres_url: str, driver: Driver) -> None:
    """Two processes on one connection would garble it."""
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    async with PostgresPlans(postgres_url, driver=driver) as plans:
        await plans.create_tables()
        child = os.fork()
        if child == 0:
            try:
                plans._entered()
            except SessionClosedError as error:
                os._exit(7 if "another process" in error.message else 8)
            finally:
                os.kill(os.getpid(), signal.SIGKILL)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        assert os.waitstatus_to_exitcode(status) == 7
        assert await plans.list() == []


async def test_plans_that_were_never_closed_warn(postgres_url: str, driver: Driver) -> None:
    """The warning names the class, and the connection is cut."""
    plans = PostgresPlans(postgres_url, driver=driver)
    await plans.__aenter__()
    await plans.create_tables()
    database = plans._database
    assert database is not None
    with pytest.warns(ResourceWarning, match="unclosed <PostgresPlans PostgreSQL at 127.0.0.1"):  # noqa: PT031
        del plans
        gc.collect()
    await database.aclose()
    assert database.is_over
