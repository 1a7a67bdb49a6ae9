"""`fielding demo`, and the check that it rests on."""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from fielding_async.cli.demo.fault_plan import ACTIONS, make_fault_plan
from fielding_async.cli.demo.history_check import RequestedWrite, check_history
from fielding_async.core.models import RunRef
from fielding_async.sandbox import Sandbox, Write
from tests.cli.conftest import Cli, Ended, environment, process

MISLEADING = {
    "FIELDING_TOKEN": "two words",
    "FIELDING_BASE_URL": "nonsense",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
    "ALL_PROXY": "http://127.0.0.1:9",
}


@pytest.fixture(scope="module")
def demos() -> Iterator[dict[str, Ended]]:
    """Three demos, side by side to save time: for machines, for people, and for a reader that leaves."""
    with (
        process("demo", "--runs", 18, "--json", env=environment(None, **MISLEADING)) as machine,
        process("demo", "--runs", 7, env=environment()) as person,
        process("demo", "--runs", 1, env=environment()) as left,
    ):
        assert left.stdout is not None
        first = left.stdout.readline()
        left.stdout.close()
        ended = {"machine": ended_of(machine), "person": ended_of(person)}
        status = left.wait(60)
        assert left.stderr is not None
        yield ended | {"left": Ended(status, first, left.stderr.read())}


def ended_of(child: "subprocess.Popen[str]") -> Ended:
    """Wait for a process, and return what it left behind."""
    out, err = child.communicate(timeout=60)
    return Ended(child.returncode, out, err)


def test_the_demo_heals_all_it_meets_and_tells_the_truth(demos: dict[str, Ended]) -> None:
    """A demo meets 412s, 429s and lost replies, heals all, and ends well whatever settings are around."""
    ended = demos["machine"]
    assert (ended.status, ended.err) == (0, "")
    (report,) = ended.objects
    assert (report["ok"], report["runs"], report["problems"]) == (True, 18, [])
    assert [row["action"] for row in report["actions"]] == [*ACTIONS, "bulk-relaunch"]
    assert [row["runs"] for row in report["actions"]] == [18] * 5 + [12]
    total = report["total"]
    assert total["conflicts"] > 0
    assert total["rate_limited"] > 0
    assert total["lost"] == total["healed"] == 7
    assert report["history"]["writes_asked_for"] == report["history"]["writes_applied"] == 18 * 5 + 12
    assert report["history"]["writes_by_colleague"] > 0


def test_the_demo_for_people_is_plain_lines_of_80_columns(demos: dict[str, Ended]) -> None:
    """Without a terminal the demo writes plain lines while it goes on, then a table and the verdict."""
    ended = demos["person"]
    assert (ended.status, ended.err) == (0, "")
    assert "\x1b" not in ended.out
    assert max(map(len, ended.out.splitlines())) <= 80
    assert "of 35 actions done" in ended.out
    assert "42 writes asked for, each applied exactly once." in ended.out


def test_the_demo_outlives_its_reader(demos: dict[str, Ended]) -> None:
    """A reader that leaves after the first line causes no traceback, and the exit status is that of the demo."""
    ended = demos["left"]
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("1 fielding run ")


def test_the_demo_says_what_is_wrong_and_exits_with_1(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the history lacks a write, the demo names run and action on stderr and exits with 1."""
    whole: Any = vars(Sandbox)["history"].fget

    def lacking(sandbox: Sandbox) -> tuple[Write, ...]:
        return tuple(write for write in whole(sandbox) if write.operation != "resume")

    monkeypatch.setattr(Sandbox, "history", property(lacking))
    ended = cli("demo", "--runs", 1, "--json")
    assert ended.status == 1
    (report,) = ended.objects
    assert not report["ok"]
    assert "the check failed" in ended.err
    assert any(problem.startswith("resume on 101/") and "applied never" in problem for problem in report["problems"])


def test_every_planned_loss_is_one_that_can_be_healed() -> None:
    """A colleague never writes in between on an update whose reply is lost, and never touches a run with a lost one."""
    refs = tuple(RunRef(1, "P" * 26, "T" * 26, str(number)) for number in range(60))
    for seed in range(50):
        plan = make_fault_plan(refs, seed)
        assert len(plan.faults) == 20
        assert all(len(entry.faults) == 1 for entry in plan.faults if entry.action == "update")
        assert not {entry.ref for entry in plan.faults} & set(plan.colleague_runs)
        assert plan == make_fault_plan(refs, seed)


# -- the check

REF = RunRef(101, "P" * 26, "T" * 26, "R")
END = datetime(2099, 1, 1, tzinfo=UTC)


def write(number: int, operation: str, status: str, **more: Any) -> Write:
    """A write of ours that took the run from one version to the next."""
    values: dict[str, Any] = {
        "seq": number,
        "ref": REF,
        "operation": operation,
        "by": "client",
        "at": END - timedelta(days=1),
        "if_match": f'W/"{number}"',
        "etag_before": f'W/"{number}"',
        "etag_after": f'W/"{number + 1}"',
        "status_before": "live",
        "status_after": status,
        "start_before": None,
        "start_after": END - timedelta(days=9),
        "end_before": None,
        "end_after": END,
        "trace_id": operation,
    }
    return Write(**(values | more))


ASKED = (
    RequestedWrite(ref=REF, operation="update", status="live", trace_id="update", ends_at=END),
    RequestedWrite(ref=REF, operation="pause", status="paused", trace_id="pause"),
    RequestedWrite(ref=REF, operation="bulk-relaunch", status="live"),
)
COLLEAGUE = write(2, "touch", "live", by="colleague", if_match=None, trace_id=None)
JOB = write(4, "bulk-relaunch", "live", by="job", if_match=None)
HISTORY = (write(1, "update", "live"), COLLEAGUE, write(3, "pause", "paused"), JOB)


def test_a_history_with_each_write_once_passes() -> None:
    """What was asked for, once each and in order, passes, with a colleague's writes in between."""
    verdict = check_history(ASKED, HISTORY)
    assert verdict.ok
    assert (verdict.requested, verdict.applied, verdict.by_colleague) == (3, 3, 1)


UPDATE, _, PAUSE, _ = HISTORY


@pytest.mark.parametrize(
    ("history", "said"),
    [
        ((*HISTORY, write(5, "pause", "paused")), "pause on {ref}: asked for once, applied 2 times"),
        ((*HISTORY, evolve(JOB, etag_before=JOB.etag_after, etag_after="X")), "bulk-relaunch on {ref}: asked for once"),
        (HISTORY[:-1], "bulk-relaunch on {ref}: asked for once, applied never"),
        ((), "update on {ref}: asked for once, applied never"),
        ((*HISTORY, write(5, "complete", "completed")), "complete on {ref}: asked for never, applied once"),
        ((UPDATE, PAUSE, JOB), "pause on {ref}: a write before it is not in the history"),
        ((PAUSE, UPDATE, JOB), "applied in another order than asked for"),
        ((*HISTORY, write(5, "end", "completed", by="clock")), "made by the clock"),
        ((UPDATE, COLLEAGUE, evolve(PAUSE, trace_id="x"), JOB), "belongs to another call"),
        ((UPDATE, COLLEAGUE, evolve(PAUSE, if_match="*"), JOB), "sent under *"),
        ((UPDATE, COLLEAGUE, evolve(PAUSE, status_after="live"), JOB), "left the run live, not paused"),
        ((evolve(UPDATE, end_after=END + timedelta(1)), COLLEAGUE, PAUSE, JOB), "set the end to 2099-01-02"),
        ((UPDATE, COLLEAGUE, PAUSE, evolve(JOB, by="client")), "made by the client, not by a job"),
    ],
)
def test_the_check_finds_what_is_wrong(history: tuple[Write, ...], said: str) -> None:
    """A write applied twice, missing, unasked, out of order, hidden or with another effect than asked for is found."""
    verdict = check_history(ASKED, history)
    assert not verdict.ok
    assert any(said.format(ref=REF) in problem for problem in verdict.problems), verdict.problems
