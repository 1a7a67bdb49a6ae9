"""Each test of a database runs over both drivers."""

from typing import Literal

import pytest

Driver = Literal["asyncpg", "psycopg"]


@pytest.fixture(params=["asyncpg", "psycopg"])
def driver(request: pytest.FixtureRequest) -> Driver:
    """The name of a driver; the test is skipped where it is not installed."""
    name: Driver = request.param
    pytest.importorskip(name)
    return name
