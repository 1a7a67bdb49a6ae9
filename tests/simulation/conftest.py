"""Fixtures of the simulation."""

import logging
from collections.abc import Generator

import pytest


@pytest.fixture(autouse=True)
def quiet_logs() -> Generator[None]:
    """Keep the client's log from being formatted a hundred thousand times."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)
