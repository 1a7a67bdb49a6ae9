"""The batch tool: stopped, killed and gone on with; nothing is applied twice, and what it says is true."""

import signal
import subprocess
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from attrs import astuple
from batch_tool import PlanError, read_plan

from fielding_async import RunRef, read_journal
from fielding_async.sandbox import Cut, Fault, Hold, Sandbox, SecondWriter
from tests.tools.waits import HANG

from .conftest import Start, ended

pytestmark = [pytest.mark.slow, pytest.mark.once]

COLUMNS = "account_id,project_id,target_group_id,fielding_run_id,action,end_fielding_at"


def write_plan(folder: Path, rows: list[tuple[RunRef, str]]) -> Path:
    """Write a plan; an action may bring its date along."""
    path = folder / "plan.csv"
    lines = [f"{','.join(map(str, astuple(ref)))},{action}" for ref, action in rows]
    path.write_text("\n".join([COLUMNS, *lines, ""]))
    return path


def applied(box: Sandbox) -> Counter[tuple[RunRef, str]]:
    """Count the writes of the client that were applied, by run and operation."""
    return Counter((write.ref, write.operation) for write in box.history if write.by == "client")


def test_a_plan_is_performed_once_however_often_it_is_given(box: Sandbox, start: Start, tmp_path: Path) -> None:
    """A plan of all kinds of rows is performed; given again, nothing is sent, and the summary is the same."""
    live, paused = box.add_run("live"), box.add_run("paused")
    rows = [(live, "update,2031-05-17T12:00:00+02:00"), (live, "pause"), (paused, "resume"), (paused, "complete")]
    plan = write_plan(tmp_path, rows)
    first = ended(start("batch_tool.py", plan))
    sent = len(box.requests)
    second = ended(start("batch_tool.py", plan))
    assert (first.status, first.err) == (0, "")
    assert "4 rows: 4 done, 0 failed, 0 unknown, 0 skipped, 0 in flight, 0 not begun" in first.out
    assert second == first
    assert len(box.requests) == sent
    assert sorted(applied(box).values()) == [1] * 4
    assert box.inspect(live).end_fielding_at.isoformat() == "2031-05-17T10:00:00+00:00"


def test_killed_at_any_moment_it_is_gone_on_with(box: Sandbox, start: Start, tmp_path: Path) -> None:
    """With SIGKILL three times and with replies lost, every row is applied exactly once, and the summary says so."""
    dice = Random(7)
    refs = [box.add_run("live") for _ in range(300)]
    plan = write_plan(tmp_path, [(ref, "pause") for ref in refs])
    for ref in dice.sample(refs, 15):
        faults: list[Fault] = [Cut("after"), Cut("before"), SecondWriter()]
        box.script(dice.choice(faults), on="pause", ref=ref)
    holds = [Hold(dice.choice(["before", "after"])) for _ in range(3)]
    for number, hold in zip((40, 120, 200), holds, strict=True):
        box.script(hold, on="pause", ref=refs[number])
    for hold in holds:
        child = start("batch_tool.py", plan)
        hold.wait_arrived(HANG)  # a write is under way, and is being held
        child.kill()
        child.communicate(timeout=HANG)
        assert child.returncode == -signal.SIGKILL
        hold.release()
    last = ended(start("batch_tool.py", plan))
    assert (last.status, last.err) == (0, "")
    assert "300 rows: 300 done, 0 failed, 0 unknown" in last.out
    assert applied(box) == {(ref, "pause"): 1 for ref in refs}


def interrupt(child: "subprocess.Popen[str]", hold: Hold) -> None:
    """Send SIGINT while a write is being held, and wait until it is heard."""
    hold.wait_arrived(HANG)
    child.send_signal(signal.SIGINT)
    assert child.stderr is not None
    assert child.stderr.readline().startswith("stopping: ")


def test_ctrl_c_waits_for_what_is_under_way(box: Sandbox, start: Start, tmp_path: Path) -> None:
    """SIGINT starts no more rows; those under way end well, and the plan can be gone on with."""
    refs = [box.add_run("live") for _ in range(600)]
    plan = write_plan(tmp_path, [(ref, "pause") for ref in refs])
    hold = Hold("after")
    box.script(hold, on="pause", ref=refs[5])
    child = start("batch_tool.py", plan)
    interrupt(child, hold)
    hold.release()
    stopped = ended(child)
    counts = read_journal(f"{plan}.journal").counts
    assert stopped.status == 130
    assert (counts.failed, counts.unknown, counts.in_flight) == (0, 0, 0)
    assert 0 < counts.done < 600
    assert f"600 rows: {counts.done} done" in stopped.out
    assert "Run it again to go on." in stopped.out
    assert ended(start("batch_tool.py", plan)).status == 0
    assert applied(box) == {(ref, "pause"): 1 for ref in refs}


def test_a_second_ctrl_c_waits_no_longer(box: Sandbox, start: Start, tmp_path: Path) -> None:
    """What is cut off is in flight in the journal, and is settled by the next go."""
    ref = box.add_run("live")
    plan = write_plan(tmp_path, [(ref, "pause")])
    hold = Hold("after")
    box.script(hold, on="pause")
    child = start("batch_tool.py", plan)
    interrupt(child, hold)
    child.send_signal(signal.SIGINT)
    cut = ended(child)
    hold.release()
    assert cut.status == 130
    assert "1 rows: 0 done, 0 failed, 0 unknown, 0 skipped, 1 in flight, 0 not begun" in cut.out
    assert ended(start("batch_tool.py", plan)).status == 0
    assert applied(box) == {(ref, "pause"): 1}


def test_a_bad_plan_is_refused_before_anything_is_sent(box: Sandbox, start: Start, tmp_path: Path) -> None:
    """The place of what is wrong is named, be it an action, a date or an id."""
    ref = box.add_run("live")
    for action in ("stop", "update,tomorrow", "update,2031-05-17T12:00"):
        with pytest.raises(PlanError, match="line 3"):
            list(read_plan(write_plan(tmp_path, [(ref, "pause"), (ref, action)])))
    bad = RunRef(101, "NO-PROJECT", ref.target_group_id, ref.fielding_run_id)
    what = ended(start("batch_tool.py", write_plan(tmp_path, [(ref, "pause"), (bad, "pause")])))
    assert (what.status, "row 2: project_id='NO-PROJECT'" in what.err) == (2, True)
    assert ended(start("batch_tool.py", tmp_path / "nothing.csv")).status == 2
    assert box.requests == ()


def test_what_did_not_end_well_is_named(box: Sandbox, start: Start, tmp_path: Path) -> None:
    """A row that the server refuses fails, the later rows of its run are skipped, and the others go on: exit 1."""
    over, live = box.add_run("completed"), box.add_run("live")
    plan = write_plan(tmp_path, [(over, "pause"), (over, "resume"), (live, "pause")])
    what = ended(start("batch_tool.py", plan))
    assert what.status == 1
    assert "3 rows: 1 done, 1 failed, 0 unknown, 1 skipped, 0 in flight, 0 not begun" in what.out
    assert "row 1: failed: InvalidRunStateError" in what.out
    assert "row 2: skipped: SkippedError" in what.out


def test_what_is_unknown_is_said_to_be(box: Sandbox, start: Start, tmp_path: Path) -> None:
    """A write whose reply was lost, and after which somebody else wrote, is unknown: exit 3."""
    ref = box.add_run("live")
    box.script((Cut("after"), SecondWriter(status="completed", when="after")), on="pause")
    what = ended(start("batch_tool.py", write_plan(tmp_path, [(ref, "pause")])))
    assert what.status == 3
    assert "1 unknown" in what.out
    assert "check these runs" in what.out


def test_a_token_that_is_refused_does_not_fail_the_whole_plan(box: Sandbox, start: Start, tmp_path: Path) -> None:
    """It stops at once with all rows open, so that they are done once the token is mended."""
    refs = [box.add_run("live") for _ in range(200)]
    plan = write_plan(tmp_path, [(ref, "pause") for ref in refs])
    what = ended(start("batch_tool.py", plan, FIELDING_TOKEN="another"))
    counts = read_journal(f"{plan}.journal").counts
    assert what.status == 1
    assert (counts.done, counts.failed) == (0, 0)
    assert ended(start("batch_tool.py", plan)).status == 0
    assert sum(applied(box).values()) == 200


def test_the_demo_shows_all_of_it(start: Start) -> None:
    """The demo is interrupted, goes on, and the exchange bears it out."""
    what = ended(start("batch_tool.py", "--demo", FIELDING_TOKEN="two words", FIELDING_BASE_URL="nonsense"))
    assert (what.status, what.err) == (0, "")
    assert "Run it again to go on." in what.out
    assert "300 rows: 299 done, 1 failed, 0 unknown, 0 skipped, 0 in flight, 0 not begun" in what.out
    assert "The exchange applied 298 of our writes, at most 1 to a run." in what.out


def test_a_journal_that_cannot_be_written_is_said(box: Sandbox, start: Start, tmp_path: Path) -> None:
    """A journal in a folder that is not there: one line, exit 2, and nothing is sent."""
    plan = write_plan(tmp_path, [(box.add_run("live"), "pause")])
    what = ended(start("batch_tool.py", plan, "--journal", tmp_path / "no" / "such.journal"))
    assert (what.status, what.out, len(what.err.splitlines())) == (2, "", 1)
    assert box.requests == ()
