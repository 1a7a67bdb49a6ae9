"""Rows of plans for tests, and a database without `PostgresPlans`."""

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager

from fielding_async import Pause, RunRef
from fielding_async.core.actions import Action, Guarded
from fielding_async.plans.database.address import read_address
from fielding_async.plans.database.choice import DriverName, open_driver
from fielding_async.plans.database.connection import Connection
from fielding_async.plans.database.database import Database
from fielding_async.plans.database.driver import Driver

Pair = tuple[RunRef, Action | Guarded]
NO_ENVIRONMENT: Mapping[str, str] = {}


def refs(count: int) -> Iterator[RunRef]:
    """Yield the refs of so many runs."""
    for number in range(count):
        yield RunRef(101, f"01HP{number % 7:022d}", f"01HT{number % 70:022d}", f"01HR{number:022d}")


def pairs(count: int) -> Iterator[Pair]:
    """Yield so many rows, each of a run of its own."""
    for ref in refs(count):
        yield ref, Pause()


def driver_of(url: str, name: DriverName, *, seconds: float = 30.0) -> Driver:
    """Return the driver for a URL. `seconds`: the limit of its statements."""
    driver = open_driver(name, read_address(url, NO_ENVIRONMENT, connect_timeout=30.0))
    driver.seconds = seconds
    return driver


async def no_check(connection: Connection) -> None:
    """Let any tables pass."""


@asynccontextmanager
async def database_of(url: str, name: DriverName, *, seconds: float = 30.0, most: int = 8) -> AsyncGenerator[Database]:
    """Give a database whose tables are not checked, and close it."""
    database = Database(driver_of(url, name, seconds=seconds), no_check, most=most)
    try:
        yield database
    finally:
        await database.aclose()
