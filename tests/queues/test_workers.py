"""Workers of procrastinate and of taskiq, started by the commands of the documentation, work plans off."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen

from fielding_async.sandbox import Hold, Sandbox

from .documented import PAGE, command, write_app
from .workers import Process, python, run_to_end, status_of, submit_pauses, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.once,
    pytest.mark.skipif(not PAGE.exists(), reason="not run from a checkout"),
]

# one call at a time, and leases that are soon over: what the tests cannot wait for otherwise
QUICK = """
from fielding_async import FieldingSession, Limits, Timeout


def session() -> FieldingSession:
    return FieldingSession(limits=Limits(concurrency=1), timeout=Timeout(total=60, attempt=2, connect=2))


"""
START = {
    "procrastinate": """
import asyncio
from plan_app import app, plan_tasks

async def main():
    async with app.open_async():
        print(await plan_tasks.start("friday"), "jobs")

asyncio.run(main())
""",
    "taskiq": """
import asyncio
from plan_broker import broker, plan_tasks

async def main():
    await broker.startup()
    print(await plan_tasks.start("friday"), "jobs")
    await broker.shutdown()

asyncio.run(main())
""",
}


@frozen
class Queue:
    """A queue whose workers can be started, by the page's command."""

    name: str
    folder: Path
    environment: dict[str, str]
    worker: list[str]

    def start(self) -> str:
        """Start the jobs of the plan, as the page says; return what that prints."""
        return run_to_end(python(START[self.name]), self.folder, self.environment)

    def new_worker(self) -> Process:
        """Start a worker."""
        return Process(self.worker, self.folder, self.environment)


@pytest.fixture(params=["procrastinate", "taskiq"])
def engine(request: pytest.FixtureRequest) -> str:
    """The name of a queue."""
    name: str = request.param
    return name


@pytest.fixture
def exchange() -> Iterator[Sandbox]:
    """An exchange on a thread of its own."""
    with Sandbox() as sandbox:
        yield sandbox


def queue_of(
    request: pytest.FixtureRequest, engine: str, exchange: Sandbox, folder: Path, *, options: str = "", before: str = ""
) -> Queue:
    """Return the queue, after its app is written as the page has it, and its tables are made."""
    environment = {
        "FIELDING_PLANS_URL": request.getfixturevalue("postgres_url"),
        "FIELDING_BASE_URL": exchange.url,
        "FIELDING_TOKEN": "any-token",
    }
    if engine == "procrastinate":
        write_app("plan_app.py", folder, options=options, before=before)
        run_to_end(command("procrastinate --app=plan_app.app schema"), folder, environment)
        worker = command("procrastinate --app=plan_app.app worker")
    else:
        environment["FIELDING_SHARED_URL"] = request.getfixturevalue("redis_url")
        write_app("plan_broker.py", folder, options=options, before=before)
        worker = command("taskiq worker")
    return Queue(engine, folder, environment, worker)


def test_a_plan_is_worked_off(
    request: pytest.FixtureRequest, engine: str, exchange: Sandbox, tmp_path: Path, postgres_url: str
) -> None:
    """Two workers work off a plan, each row once; jobs that wait already are not doubled; a SIGTERM ends them."""
    queue = queue_of(request, engine, exchange, tmp_path)
    refs = submit_pauses(postgres_url, exchange, 60)
    assert queue.start() == "8 jobs\n"
    assert queue.start() == "0 jobs\n"
    with queue.new_worker() as first, queue.new_worker() as second:
        status = until(postgres_url, ended=60)
        for worker in (first, second):
            worker.terminate()
        assert (first.ended(), second.ended()) == (0, 0), first.output + second.output
    assert (status.counts.done, status.left) == (60, 0)
    assert Counter(write.ref for write in exchange.history) == Counter(refs)


def test_a_sigterm_ends_a_slice_and_cuts_no_call(
    request: pytest.FixtureRequest, engine: str, exchange: Sandbox, tmp_path: Path, postgres_url: str
) -> None:
    """After a SIGTERM no more calls start, the one under way ends and is on record, and others may go on at once."""
    queue = queue_of(request, engine, exchange, tmp_path, options="session=session, seconds=500", before=QUICK)
    submit_pauses(postgres_url, exchange, 20)
    hold = Hold("after")
    exchange.script(hold, on="pause")
    queue.start()
    with queue.new_worker() as worker:
        hold.wait_arrived()
        worker.terminate()
        # what the workers of taskiq log is lost where they are not forked, as from CPython 3.14 on
        worker.wait_for({"procrastinate": "Waiting for job to finish", "taskiq": "Stopped process worker-0"}[engine])
        hold.release()
        assert worker.ended() == 0, worker.output
    status = status_of(postgres_url)
    assert len(exchange.history) == 1
    assert (status.counts.done, status.counts.in_flight, status.left, status.workers) == (1, 0, 19, ())


def test_the_plan_of_a_worker_that_was_killed_is_gone_on_with(
    request: pytest.FixtureRequest, engine: str, exchange: Sandbox, tmp_path: Path, postgres_url: str
) -> None:
    """A worker is killed with a write under way: another one judges that row, and works off all others, each once."""
    options = "session=session, seconds=1, lanes=1"
    queue = queue_of(request, engine, exchange, tmp_path, options=options, before=QUICK)
    refs = submit_pauses(postgres_url, exchange, 20)
    hold = Hold("after")
    exchange.script(hold, on="pause")
    queue.start()
    with queue.new_worker() as worker:
        hold.wait_arrived()
        worker.kill()
    hold.release()
    with queue.new_worker() as other:
        queue.start()  # what `ensure` does each minute
        status = until(postgres_url, ended=20)
        other.terminate()
        assert other.ended() == 0, other.output
    assert (status.counts.done, status.left) == (20, 0)
    assert Counter(write.ref for write in exchange.history) == Counter(refs)
