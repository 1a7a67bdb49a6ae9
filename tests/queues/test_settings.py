"""What the adapters refuse, and what they say where a broker is away; without a worker process, or with one."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from procrastinate import App
from procrastinate.testing import InMemoryConnector
from taskiq import InMemoryBroker
from taskiq_redis import RedisStreamBroker

from fielding_async import ConfigurationError, FieldingSession, JournalError
from fielding_async.plans import PostgresPlans, Worked
from fielding_async.queues import procrastinate, taskiq
from fielding_async.queues.worker_process import WorkerProcess
from tests.tools.services import free_port
from tests.tools.waits import HANG

from .documented import PAGE, command, write_app
from .workers import Process

NOWHERE = "redis://:secret-password@127.0.0.1:1"


def stream(**more: Any) -> RedisStreamBroker:
    """Return a broker over a stream; nothing is connected."""
    return RedisStreamBroker(NOWHERE, **{"xread_count": 1, **more})


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"seconds": 0}, "seconds=0: must be a number of seconds, 1 to 3600"),
        ({"seconds": True}, "seconds=True: must be"),
        ({"seconds": float("nan")}, "seconds=nan: must be"),
        ({"lanes": 0}, "lanes=0: must be a whole number, 1 to 1000"),
        ({"lanes": 1.5}, "lanes=1.5: must be"),
    ],
)
def test_a_bad_argument_is_named(wrong: dict[str, Any], told: str) -> None:
    """Both adapters name the argument and the rule."""
    for call in (
        lambda: procrastinate.add_plan_tasks(App(connector=InMemoryConnector()), **wrong),
        lambda: taskiq.add_plan_tasks(stream(), **wrong),
    ):
        with pytest.raises(ConfigurationError) as caught:
            call()
        assert caught.value.message.startswith(told)


def test_a_broker_that_gives_one_worker_everything_is_refused() -> None:
    """`xread_count` must be 1: the default of taskiq-redis is 100."""
    with pytest.raises(ConfigurationError, match="xread_count is 100, and must be 1"):
        taskiq.add_plan_tasks(stream(xread_count=100))


def test_a_redelivery_within_a_slice_is_refused() -> None:
    """`idle_timeout` must be longer than a slice, by a minute."""
    with pytest.raises(
        ConfigurationError, match=r"idle_timeout is 74999 ms, and must be at least 75000 with seconds=15"
    ):
        taskiq.add_plan_tasks(stream(idle_timeout=74_999))
    assert taskiq.add_plan_tasks(stream(idle_timeout=75_000)).lanes == 8


def test_what_is_no_app_and_no_stream_is_refused() -> None:
    """Another kind of object is named, and why a broker is of no use."""
    wrong: Any = object()
    with pytest.raises(ConfigurationError, match=r"app: must be a procrastinate\.App, not object"):
        procrastinate.add_plan_tasks(wrong)
    other: Any = InMemoryBroker()
    with pytest.raises(ConfigurationError, match=r"must be a taskiq_redis\.RedisStreamBroker, not InMemoryBroker"):
        taskiq.add_plan_tasks(other)


@pytest.mark.parametrize("name", ["procrastinate", "taskiq", "taskiq_redis"])
def test_a_missing_extra_is_told_with_the_command_that_installs_it(name: str) -> None:
    """The modules can be imported without the queue; the call says what to install."""
    module = name.partition("_")[0]
    code = f"""
import sys
sys.modules[{name!r}] = None
from fielding_async.queues.{module} import add_plan_tasks
try:
    add_plan_tasks(object())
except Exception as error:
    print(type(error).__name__, error)
"""
    printed = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=HANG
    ).stdout
    argument = "app" if name == "procrastinate" else "broker"
    remedy = f"pip install 'fielding-async[{module}]'"
    assert printed == f"ConfigurationError {argument}: {name} is not installed: {remedy}\n"


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.skipif(not PAGE.exists(), reason="not run from a checkout")
def test_a_redis_that_is_away_is_one_clear_line(tmp_path: Path) -> None:
    """A worker of taskiq says in one line which Redis cannot be used, without its password and without a traceback."""
    write_app("plan_broker.py", tmp_path)
    port = free_port()
    environment = {
        "FIELDING_SHARED_URL": f"redis://:secret-password@127.0.0.1:{port}/0",
        "FIELDING_PLANS_URL": "postgresql://postgres@127.0.0.1:1/x",
        "FIELDING_TOKEN": "any-token",
    }
    with Process(command("taskiq worker"), tmp_path, environment) as worker:
        worker.wait_for(f"fielding-async: the broker's Redis at 127.0.0.1:{port} cannot be used: ")
        worker.kill()
    assert "Traceback" not in worker.output
    assert "secret-password" not in worker.output


async def test_a_slice_that_the_database_cut_short_is_followed_by_a_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is away is not asked again at once. After a signal nothing is waited for."""
    process = WorkerProcess(lambda: FieldingSession("token"), lambda: PostgresPlans("postgresql://127.0.0.1/p"), 15.0)

    async def lost(*_: Any, **__: Any) -> Worked:
        raise JournalError("the database cannot be used now")

    monkeypatch.setattr(PostgresPlans, "work", lost)
    assert await process.work("plan") is None
    assert process.retry_in == 5.0
    process._stop()
    assert process.retry_in == 0.0
    await process.aclose()
