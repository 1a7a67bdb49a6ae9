"""`fielding list runs … --plan …`: the plan for all runs that were found, and `fielding apply` behind it."""

import csv
import io
import shlex
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fielding_async import FieldingRun, FoundRun, Pause, RunRef, TargetGroupItem, Update
from fielding_async.cli.list.plan import plan_lines, summary
from fielding_async.cli.shared.plan.line_reader import read_lines
from fielding_async.cli.shared.plan.row import Defaults, PlanRow
from fielding_async.sandbox import Sandbox
from tests.cli.command_line import HANG, Cli, Ended, command, environment

from .conftest import World

pytestmark = pytest.mark.once

HEADING = "account_id,project_id,target_group_id,fielding_run_id,action,start_fielding_at,end_fielding_at"
END = datetime(2031, 8, 31, 18, tzinfo=UTC)


def piped(box: Sandbox, listing: list[str], applying: list[object]) -> tuple[Ended, Ended]:
    """Run two processes with a pipe between them, as a shell does."""
    pipe = subprocess.PIPE
    first = subprocess.Popen(command(*listing), env=environment(box), stdout=pipe, stderr=pipe, text=True)
    second = subprocess.Popen(
        command(*applying), env=environment(box), stdin=first.stdout, stdout=pipe, stderr=pipe, text=True
    )
    assert first.stdout is not None
    first.stdout.close()
    out, err = second.communicate(timeout=HANG)
    first.wait(HANG)
    assert first.stderr is not None
    with first.stderr:
        return Ended(first.returncode, "", first.stderr.read()), Ended(second.returncode, out, err)


def test_all_live_runs_are_paused_through_a_pipe(box: Sandbox, world: World, tmp_path: Path) -> None:
    """Exactly the live ones; the same command later finds none, sends nothing, and leaves the journal alone."""
    journal = tmp_path / "pause.journal"
    listing = ["list", "runs", world.project, "--status", "live", "--plan", "pause"]
    applying: list[object] = ["apply", "-", "--yes", "--journal", journal]
    listed, applied = piped(box, listing, applying)
    assert (listed.status, applied.status) == (0, 0)
    assert "a plan of 2 rows: pause, of runs that are now: 2 live" in listed.err
    assert sorted(str(write.ref) for write in box.history) == world.of("live")
    assert {write.operation for write in box.history} == {"pause"}
    kept, requests = journal.read_bytes(), len(box.requests)

    listed, applied = piped(box, listing, applying)
    assert (listed.status, applied.status) == (0, 0)
    assert "a plan without rows: there is no run to pause" in listed.err
    assert "nothing was sent" in applied.err
    assert len(box.history) == 2
    assert {request.method for request in box.requests[requests:]} == {"GET"}
    assert journal.read_bytes() == kept


def test_a_list_that_failed_is_no_plan(box: Sandbox, world: World, tmp_path: Path) -> None:
    """What `apply` reads then is empty: it refuses it, and exits with 2."""
    box.refuse("secret-token-of-the-test")
    listing = ["list", "runs", world.project, "--status", "live", "--plan", "pause"]
    journal = tmp_path / "pause.journal"
    listed, applied = piped(box, listing, ["apply", "-", "--yes", "--journal", journal])
    assert (listed.status, applied.status) == (1, 2)
    assert "AuthenticationError" in listed.err
    assert "empty" in applied.err
    assert not journal.exists()
    assert box.history == ()


def test_a_plan_that_nobody_can_read_is_refused(box: Sandbox, world: World) -> None:
    """With stdout closed nothing is sent, and the exit status says that there is no plan."""
    words = shlex.join(command("list", "runs", world.project, "--plan", "pause"))
    done = subprocess.run(
        ["/bin/sh", "-c", f"exec {words} >&-"],
        env=environment(box),
        stderr=subprocess.PIPE,
        text=True,
        timeout=HANG,
        check=False,
    )
    assert done.returncode == 2
    assert "stdout, which is closed" in done.stderr
    assert not box.requests


@pytest.mark.parametrize(("action", "status"), [("pause", "live"), ("resume", "paused"), ("complete", "scheduled")])
def test_a_plan_has_a_row_for_each_run_found(cli: Cli, world: World, action: str, status: str) -> None:
    """In the order of their ids, so that the same runs make the same plan."""
    ended = cli("list", "runs", world.project, "--status", status, "--plan", action)
    heading, *rows = ended.out.splitlines()
    assert (ended.status, heading) == (0, HEADING)
    assert rows == [f"{ref.replace('/', ',')},{action},," for ref in world.of(status)]


def test_an_update_names_the_dates(cli: Cli, world: World) -> None:
    """Those of the options, in UTC; a bound that is not named stays as it is."""
    ended = cli(
        "list", "runs", world.project, "--status", "paused", "--plan", "update", "--end", "2031-08-31T20:00:00+02:00"
    )
    (row,) = csv.DictReader(io.StringIO(ended.out))
    assert (row["action"], row["start_fielding_at"], row["end_fielding_at"]) == (
        "update",
        "",
        "2031-08-31T18:00:00.000Z",
    )


def test_an_update_of_all_runs_is_applied(box: Sandbox, cli: Cli, world: World, tmp_path: Path) -> None:
    """The plan is one that `apply` takes as it is, from a file as well."""
    listed = cli("list", "runs", world.project, "--status", "live", "--plan", "update", "--end", "2099-01-01T00:00:00Z")
    plan = tmp_path / "plan.csv"
    plan.write_text(listed.out)
    assert cli("apply", plan, "--yes").status == 0
    assert sorted(str(write.ref) for write in box.history) == world.of("live")


def test_a_project_without_runs_has_a_plan_of_its_heading(box: Sandbox, cli: Cli, world: World) -> None:
    """Which is a plan, and sends nothing."""
    ended = cli("list", "runs", f"101/{world.other}", "--plan", "complete")
    assert (ended.status, ended.out) == (0, f"{HEADING}\n")
    applied = cli("apply", "-", "--yes", "--journal", "no.journal", stdin=ended.out.encode())
    assert applied.status == 0
    assert not Path("no.journal").exists()
    assert box.history == ()


def _found(number: int, status: str) -> FoundRun:
    ref = RunRef(101, "0" * 26, f"{number:026}", f"-RUN-{number}")
    run = FieldingRun(
        id=ref.fielding_run_id, status=status, version=1, start_fielding_at=END - timedelta(days=9), end_fielding_at=END
    )
    return FoundRun(ref=ref, run=run, target_group=TargetGroupItem(id=ref.target_group_id))


def test_the_summary_counts_the_runs_by_their_status() -> None:
    """So that a filter that was forgotten is seen before the plan is applied."""
    found = [_found(number, status) for number, status in enumerate(["live", "completed", "live", "\x1b[newer"])]
    assert summary(found, Pause(), limit=4, vanished=1) == (
        "a plan of 4 rows: pause, of runs that are now: 2 live, 1 completed, 1 \\x1b[newer;"
        " --limit 4 is reached: there may be more; 1 target group vanished while the list was read"
    )


def test_an_id_that_a_spreadsheet_would_calculate_is_marked() -> None:
    """As `apply` writes it, and reads it back."""
    found = [_found(number, "live") for number in range(3)]
    heading, *rows = plan_lines(found, Update(end_fielding_at=END))
    assert heading == HEADING
    assert [row.split(",")[3] for row in rows] == ["'-RUN-0", "'-RUN-1", "'-RUN-2"]
    read = [
        row for row in read_lines([f"{line}\n" for line in (heading, *rows)], Defaults()) if isinstance(row, PlanRow)
    ]
    assert [row.pair for row in read] == [(entry.ref, Update(end_fielding_at=END)) for entry in found]
