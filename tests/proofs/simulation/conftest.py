"""Fixtures of the simulation."""

import gc
import logging
from collections.abc import Generator

import pytest


@pytest.fixture(autouse=True)
def lean() -> Generator[None]:
    """Keep the client's log from being formatted a hundred thousand times, and old objects from being searched."""
    logging.disable()
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()
    logging.disable(logging.NOTSET)
