"""The tables of plans are made once, whoever comes first; others than this version's are refused with what to do."""

import asyncio

import pytest

from fielding_async import ConfigurationError
from fielding_async.plans import PostgresPlans
from fielding_async.plans.database.schema import MIGRATIONS, migrate
from tests.plans.conftest import Driver
from tests.plans.rows import database_of, pairs
from tests.tools.services import PostgresServer

pytestmark = pytest.mark.once

COMMAND = "run `fielding plans create-tables`"


async def test_any_number_of_processes_make_the_tables_at_once(postgres_url: str, driver: Driver) -> None:
    """One makes them, the others find them."""

    async def make() -> bool:
        async with PostgresPlans(postgres_url, driver=driver) as plans:
            return await plans.create_tables()

    found = await asyncio.gather(*(make() for _ in range(12)))
    assert sorted(found) == [False] * 11 + [True]
    assert await make() is False


async def test_the_tables_are_made_behind_a_pooler(pgbouncer_url: str, driver: Driver) -> None:
    """The lock belongs to the transaction, not to the connection."""

    async def make() -> bool:
        async with PostgresPlans(pgbouncer_url, driver=driver) as plans:
            return await plans.create_tables()

    assert sorted(await asyncio.gather(*(make() for _ in range(8)))) == [False] * 7 + [True]


async def test_older_tables_are_migrated_once_and_step_by_step(postgres_url: str, driver: Driver) -> None:
    """A script that fails leaves what was there before."""
    scripts = [*MIGRATIONS, "ALTER TABLE fielding_plan ADD note text; UPDATE fielding_plan SET note = 'none'"]
    async with database_of(postgres_url, driver) as database:
        async with database.connection() as connection:
            assert await migrate(connection)
            with pytest.raises(ConfigurationError):
                await migrate(connection, [*scripts, "SELECT nothing FROM fielding_plan"])
            with pytest.raises(ConfigurationError):
                await connection.fetch("SELECT note FROM fielding_plan")

        async def step() -> bool:
            async with database.connection() as connection:
                return await migrate(connection, scripts)

        assert sorted(await asyncio.gather(step(), step(), step())) == [False, False, True]
        async with database.connection() as connection:
            assert await connection.fetch("SELECT note FROM fielding_plan") == []
            assert await connection.fetch("SELECT version FROM fielding_plan_schema") == [(2,)]
            with pytest.raises(
                ConfigurationError, match=r"version 2, and this library knows versions up to 1: use a newer"
            ):
                await migrate(connection)


async def test_no_tables_name_the_command(postgres_url: str, driver: Driver) -> None:
    """Every method says what to run; none makes the tables."""
    async with PostgresPlans(postgres_url, driver=driver) as plans:
        calls = [
            plans.submit(pairs(1), plan="p"),
            plans.list(),
            plans.status("p"),
            plans.pause("p"),
            plans.resume("p"),
            plans.cancel("p"),
            plans.delete("p"),
            plans.delete_older_than(1),
        ]
        for call in calls:
            with pytest.raises(ConfigurationError, match=COMMAND):
                await call


@pytest.mark.parametrize(("version", "match"), [(0, COMMAND), (99, "use a newer fielding-async")])
async def test_tables_of_another_version_are_refused(
    postgres_url: str, postgres_server: PostgresServer, driver: Driver, version: int, match: str
) -> None:
    """Older ones with the command that migrates them, newer ones with the word to upgrade."""
    async with PostgresPlans(postgres_url, driver=driver) as plans:
        await plans.create_tables()
        postgres_server.execute(f"UPDATE fielding_plan_schema SET version = {version}", postgres_url.rsplit("/", 1)[1])
        with pytest.raises(ConfigurationError, match=match):
            await plans.list()
        if version:
            with pytest.raises(ConfigurationError, match=match):
                await plans.create_tables()


async def test_tables_that_were_dropped_meanwhile_name_the_command(
    postgres_url: str, postgres_server: PostgresServer, driver: Driver
) -> None:
    """Also where they were there before."""
    async with PostgresPlans(postgres_url, driver=driver) as plans:
        await plans.create_tables()
        assert await plans.list() == []
        postgres_server.execute("DROP TABLE fielding_plan", postgres_url.rsplit("/", 1)[1])
        with pytest.raises(ConfigurationError, match=COMMAND):
            await plans.list()


async def test_tables_are_in_the_search_path(
    postgres_url: str, postgres_server: PostgresServer, driver: Driver
) -> None:
    """Two schemas of one database hold plans of their own; a schema that is not there is named."""
    name = postgres_url.rsplit("/", 1)[1]
    postgres_server.execute("CREATE SCHEMA one; CREATE SCHEMA two", name)

    def plans_in(schema: str) -> PostgresPlans:
        return PostgresPlans(f"{postgres_url}?options=-csearch_path%3D{schema}", driver=driver)

    async with plans_in("one") as one, plans_in("two") as two, plans_in("three") as three:
        await one.create_tables()
        await one.submit(pairs(1), plan="p")
        with pytest.raises(ConfigurationError, match=COMMAND):
            await two.list()
        await two.create_tables()
        assert (len(await one.list()), await two.list()) == (1, [])
        with pytest.raises(ConfigurationError, match="the search_path of the user must name a schema that exists"):
            await three.create_tables()


async def test_a_user_without_permissions_gets_one_clear_line(
    postgres_url: str, postgres_server: PostgresServer, driver: Driver
) -> None:
    """To make tables, to read and to write: the message names the table and says to grant it."""
    name = postgres_url.rsplit("/", 1)[1]
    postgres_server.execute("CREATE ROLE reader LOGIN", name)
    try:
        as_reader = postgres_url.replace("postgres@", "reader@")
        async with (
            PostgresPlans(as_reader, driver=driver) as reader,
            PostgresPlans(postgres_url, driver=driver) as plans,
        ):
            with pytest.raises(
                ConfigurationError, match="permission denied for schema public: grant the permission to the user"
            ):
                await reader.create_tables()
            await plans.create_tables()
            with pytest.raises(ConfigurationError, match="permission denied for table fielding_plan_schema: grant"):
                await reader.list()
            postgres_server.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader", name)
            assert await reader.create_tables() is False
            assert await reader.list() == []
            with pytest.raises(ConfigurationError, match=r"permission denied for .*fielding_plan.*: grant"):
                await reader.submit(pairs(1), plan="p")
            await plans.submit(pairs(1), plan="p")
            assert (await reader.status("p")).rows == 1
            for order in (reader.pause, reader.delete):
                with pytest.raises(ConfigurationError, match="permission denied for table fielding_plan: grant"):
                    await order("p")
    finally:
        postgres_server.execute("DROP OWNED BY reader; DROP ROLE reader", name)
