"""What every test is held to: no task outlives it, and (with warnings as errors) no socket, coroutine or warning."""

import asyncio
import gc
import os
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import version

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from fielding_async.sandbox import Sandbox
from tests.tools.services.fixtures import (
    pgbouncer_of_process,
    pgbouncer_server,
    pgbouncer_url,
    postgres_module_url,
    postgres_of_process,
    postgres_server,
    postgres_url,
    redis_of_process,
    redis_server,
    redis_url,
    start_postgres,
    start_redis,
)
from tests.tools.waits import Clock

__all__ = [
    "pgbouncer_of_process",
    "pgbouncer_server",
    "pgbouncer_url",
    "postgres_module_url",
    "postgres_of_process",
    "postgres_server",
    "postgres_url",
    "redis_of_process",
    "redis_server",
    "redis_url",
    "start_postgres",
    "start_redis",
]

# How long an example takes depends on what else the machine does, and says nothing about the code.
untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("all", untimed)
settings.register_profile("few", untimed, max_examples=15)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "all"))


def pytest_report_header() -> str:
    """Say which aiohttp the tests run with: CI runs them with the lowest and the newest."""
    return f"aiohttp {version('aiohttp')}"


LONGEST = ("tests/proofs/simulation", "tests/proofs/conformance", "tests/core/pace", "tests/proofs/pace")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with what takes longest, so that no process is left with it at the end."""
    items.sort(key=lambda item: [not item.nodeid.startswith(folder) for folder in LONGEST])


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the environment of whoever runs the tests out of them."""
    for name in ("TOKEN", "CLIENT_ID", "CLIENT_SECRET", "TOKEN_URL", "BASE_URL", "SHARED_URL", "PLANS_URL"):
        monkeypatch.delenv(f"FIELDING_{name}", raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(autouse=True, scope="module")
def _collected() -> Iterator[None]:
    """Bring leaked sockets and unawaited coroutines to light in the module that leaked them."""
    yield
    gc.collect()


@pytest_asyncio.fixture
async def clock() -> Clock:
    """The clock of the test's own loop, which can be put forward."""
    return Clock(asyncio.get_running_loop())


@pytest_asyncio.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """A sandbox on the test's own loop that asks for a token; scripted faults must be used up, tasks must be over."""
    before = asyncio.all_tasks()
    async with Sandbox(require_token="secret-token-of-the-test") as box:
        yield box
        box.assert_faults_used()
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left, f"tasks left behind: {left}"
