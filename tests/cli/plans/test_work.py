"""`fielding plans work` as a process: signals, a worker that is killed, a database that goes away."""

import signal
import subprocess
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from fielding_async import Pause, RunRef
from fielding_async.sandbox import Hold, Sandbox
from tests.cli.apply.plans import write_plan
from tests.cli.command_line import HANG, SECRET, Cli, end_of, environment, line_with, process
from tests.tools.services import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.once]

ROWS = 40


@pytest.fixture
def paused_refs(box: Sandbox, database: str, cli: Cli, tmp_path: Path) -> list[RunRef]:
    """A plan that pauses forty runs, submitted as `forty`."""
    refs = [box.add_run("live") for _ in range(ROWS)]
    write_plan(tmp_path / "forty.csv", [(ref, Pause()) for ref in refs])
    assert cli("plans", "submit", "forty.csv").status == 0
    return refs


def worker(box: Sandbox, database: str) -> "AbstractContextManager[subprocess.Popen[str]]":
    """The command in a process of its own."""
    env = environment(box, FIELDING_PLANS_URL=database)
    return process("plans", "work", "forty", "--concurrency", "2", "--until-done", env=env)


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_ends_the_slice(
    box: Sandbox, database: str, paused_refs: list[RunRef], cli: Cli, signum: signal.Signals, status: int
) -> None:
    """No more rows are started, what is under way is recorded, and another worker goes on with the rest at once."""
    hold = Hold("after")
    box.script(hold, on="pause")
    with worker(box, database) as child:
        hold.wait_arrived(HANG)
        child.send_signal(signum)
        line_with(child, f"plans work: {signum.name}: no more rows are started; waiting for those in progress")
        hold.release()
        ended = end_of(child)
    assert ended.status == status
    assert len(box.history) < ROWS
    whole = cli("plans", "work", "forty", "--until-done")
    assert whole.status == 0
    assert sorted(str(write.ref) for write in box.history) == sorted(map(str, paused_refs))


def test_a_worker_that_is_killed_is_followed(
    box: Sandbox, database: str, paused_refs: list[RunRef], postgres_server: PostgresServer, cli: Cli
) -> None:
    """Its lease runs out, another worker ends its rows, and each write is applied once."""
    hold = Hold("after")
    box.script(hold, on="pause")
    with worker(box, database) as child:
        hold.wait_arrived(HANG)
        child.kill()
        child.wait(HANG)
    (told,) = cli("plans", "status", "forty", "--json").objects
    assert told["workers"]
    assert "lease left" in cli("plans", "status", "forty").out.lower()
    postgres_server.execute(
        "UPDATE fielding_plan_shard SET lease_until = clock_timestamp() WHERE holder IS NOT NULL",
        database.rpartition("/")[2],
    )
    (told,) = cli("plans", "list", "--json").objects
    assert told["state"] == "no-worker"
    assert cli("plans", "work", "forty", "--until-done").status == 0
    assert sorted(str(write.ref) for write in box.history) == sorted(map(str, paused_refs))


def test_a_watch_writes_a_line_for_each_change(
    box: Sandbox, database: str, paused_refs: list[RunRef], cli: Cli
) -> None:
    """Into a pipe; it ends with the plan."""
    env = environment(box, FIELDING_PLANS_URL=database)
    with process("plans", "status", "forty", "--watch", "--every", "0.5", env=env) as child:
        assert child.stdout is not None
        assert child.stdout.readline().startswith("forty: not begun, 0 of 40 rows ended; 0.0 rows/s; 0 done; 0 workers")
        assert cli("plans", "work", "forty", "--until-done").status == 0
        ended = end_of(child)
    assert ended.status == 0
    assert ended.out.splitlines()[-1].startswith("forty: finished, 40 of 40 rows ended")


def test_it_is_said_why_nothing_is_done(
    box: Sandbox, paused_refs: list[RunRef], cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a token that is not accepted, `work` and `status` say so; with the right one it is forgotten."""
    monkeypatch.setenv("FIELDING_TOKEN", "another-token-of-the-test")
    ended = cli("plans", "work", "forty", "--seconds", "2")
    assert ended.status == 3
    assert "forty: the exchange cannot be used since" in ended.err
    assert "401" in ended.err
    assert "the exchange cannot be used since" in " ".join(cli("plans", "status", "forty").out.split())
    assert len(box.history) == 0
    monkeypatch.setenv("FIELDING_TOKEN", SECRET)
    assert cli("plans", "work", "forty", "--until-done").status == 0
    assert len(box.history) == len(paused_refs)
    assert "cannot be used" not in cli("plans", "status", "forty").out
