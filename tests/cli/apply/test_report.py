"""The report at the end of `fielding apply`, for people and for machines."""

import os
import subprocess
from pathlib import Path

import pytest

from fielding_async.core.actions import Pause, Update
from fielding_async.sandbox import Sandbox
from tests.cli.apply.plans import CLOSING, ROWS, Row, apply, failing, live, starting, write_plan
from tests.cli.command_line import Cli, command, end_of, environment

pytestmark = pytest.mark.once


def test_many_errors_are_told_in_a_few_lines(box: Sandbox, cli: Cli, folder: Path) -> None:
    """Rows that failed for the same reason are counted, with the lines they are on."""
    rows: list[Row] = [(box.add_run("completed"), Pause()) for _ in range(15)]
    write_plan(folder / "plan.csv", rows)
    ended = cli("apply", "plan.csv", "--yes")
    told = [line for line in ended.err.splitlines() if " x " in line]
    assert len(told) == 1
    assert told[0].startswith("     15 x pause: failed: InvalidRunStateError: 422")
    assert told[0].endswith("(lines 2-16)")


def test_the_report_for_machines_tells_all(box: Sandbox, cli: Cli, folder: Path) -> None:
    """With --json there is an object for each row that did not end well, and one for the whole plan at the end."""
    ref = box.add_run("completed")
    write_plan(folder / "plan.csv", [*live(box, 2), (ref, Update(end_fielding_at=CLOSING))])
    ended = cli("apply", "plan.csv", "--yes", "--json")
    row, whole = ended.objects
    assert (row["kind"], row["line"], row["state"], row["ref"]) == ("row", 4, "failed", str(ref))
    assert row["action"] == {"name": "update", "end_fielding_at": "2031-05-17T12:30:15.000Z"}
    assert (row["error"], len(row["trace_id"])) == ("InvalidRunStateError", 32)
    assert isinstance(whole.pop("seconds"), float)
    assert whole == {
        "kind": "apply",
        "plan": "plan.csv",
        "base_url": box.url,
        "sandbox": True,
        "rows": 3,
        "resolved_runs": 0,
        "done": 2,
        "failed": 1,
        "unknown": 0,
        "skipped": 0,
        "in_flight": 0,
        "stuck": 0,
        "open": 0,
        "never_sent": 0,
        "stopped": None,
        "outcomes": [
            {"action": "pause", "outcome": "accepted", "rows": 2},
            {"action": "update", "outcome": "failed", "rows": 1},
        ],
        "sent_now": 3,
        "ended_before": 0,
        "finished_at": whole["finished_at"],
        "signal": None,
        "journal": "plan.csv.journal",
        "failed_plan": "plan.failed.csv",
        "unknown_plan": None,
        "report": None,
        "go_on": None,
        "exit_status": 1,
    }


def test_skipped_rows_are_told_in_one_line_whatever_kept_them_back(box: Sandbox, cli: Cli, folder: Path) -> None:
    """What kept them back names no request, which is another one for each run, and no row of the journal."""
    rows = [(ref, action) for ref, _ in [failing(box) for _ in range(12)] for action in (Pause(), Pause())]
    write_plan(folder / "plan.csv", rows)
    said = "skipped: SkippedError: not sent: an earlier row of this run failed"
    ended = cli("apply", "plan.csv", "--yes")
    assert f"     12 x pause: {said}: 422 invalid_state_error" in ended.err
    write_plan(folder / "plan.csv", rows[:1] * 3)
    assert cli("apply", "plan.csv", "--yes", "--journal", "j", "--fail-fast", "--concurrency", 1).status == 1
    ended = cli("apply", "plan.csv", "--yes", "--journal", "j")
    assert "of the journal" not in ended.err + (folder / "plan.failed.csv").read_text()
    assert f"line 4: pause: {said}\n" in ended.err


def test_a_name_cannot_act_on_the_terminal(box: Sandbox, cli: Cli, folder: Path) -> None:
    """Escapes and line ends in the name of a plan are written as such, before and after, and dry."""
    name = "\x1b[31mplan\nok.csv"
    write_plan(folder / name, [failing(box)])
    for options in (["--dry-run"], ["--yes"], ["--yes"]):
        ended = cli("apply", name, *options)
        assert "\x1b" not in ended.out + ended.err
        assert "\nok.csv" not in ended.out + ended.err


def test_nobody_reading_is_no_failure(box: Sandbox, rows: list[Row], tmp_path: Path) -> None:
    """With stdout closed, or its reader gone, the plan is applied all the same, and its status stands."""
    reading, writing = os.pipe()
    os.close(reading)
    with starting(box=box, folder=tmp_path, stdout=writing) as child:
        assert end_of(child).status == 0
    os.close(writing)
    assert len(box.history) == ROWS
    again = f"exec {' '.join(command('apply', 'plan.csv', '--yes'))} >&- 2>&-"
    done = subprocess.run(["sh", "-c", again], env=environment(box), cwd=tmp_path, check=False)
    assert done.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_report_that_cannot_be_written_is_said(box: Sandbox, rows: list[Row], tmp_path: Path) -> None:
    """With stdout on a full disk all is applied and in the journal, and the command says what went wrong."""
    with Path("/dev/full").open("w") as full, starting(box=box, folder=tmp_path, stdout=full) as child:
        what = end_of(child)
    assert what.status == 1
    assert "the output could not be written" in what.err
    assert len(box.history) == ROWS
    assert apply(tmp_path / "plan.csv", environment(box)).counts == (ROWS, 0, 0, 0, 0, 0)
