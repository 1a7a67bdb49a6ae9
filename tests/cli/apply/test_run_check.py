"""`fielding apply --check-runs`: runs that are not there are found before anything is sent."""

import signal
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from fielding_async.cli.apply.run_check import spread
from fielding_async.core.actions import Pause, Resume
from fielding_async.core.models import RunRef
from fielding_async.engine.call import Call
from fielding_async.engine.engine import Engine
from fielding_async.sandbox import Hold, Sandbox, Status
from tests.cli.apply.plans import Row, failing, live, starting, write_plan
from tests.cli.command_line import HANG, Cli, end_of


@pytest.mark.parametrize(
    ("count", "rows", "places"), [(1, 9, [0]), (2, 9, [0, 8]), (3, 9, [0, 4, 8]), (4, 4, [0, 1, 2, 3]), (0, 0, [])]
)
def test_a_sample_is_spread_from_the_first_row_to_the_last(count: int, rows: int, places: list[int]) -> None:
    """Every place once, both ends among them."""
    assert spread(count, rows) == places
    assert len(set(spread(rows // 2, rows))) == rows // 2


def spoilt(row: Row) -> Row:
    """The row with the id of a run that is not there."""
    ref, action = row
    return evolve(ref, fielding_run_id=f"{ref.fielding_run_id}X"), action


def gets(box: Sandbox) -> int:
    """How many runs were looked at."""
    return sum(request.operation == "get" for request in box.requests)


@pytest.mark.parametrize("option", ["--yes", "--dry-run"])
def test_runs_that_are_not_there_are_named_by_line(box: Sandbox, cli: Cli, folder: Path, option: str) -> None:
    """The first line of each is named, to people and machines; nothing is sent, and no journal is begun."""
    rows = live(box, 6)
    rows[2] = spoilt(rows[2])
    write_plan(folder / "plan.csv", [*rows, rows[0], rows[2]])
    ended = cli("apply", "plan.csv", option, "--check-runs", "all")
    assert (ended.status, ended.out, gets(box)) == (2, "", 6)
    assert "fielding: plan.csv: 1 of 6 runs checked does not exist; nothing was sent" in ended.err
    assert f"  line 4: {rows[2][0]}: " in ended.err
    missing, told = cli("apply", "plan.csv", option, "--json", "--check-runs", "all").objects
    assert (missing["kind"], missing["line"], missing["ref"]) == ("missing-run", 4, str(rows[2][0]))
    assert len(missing["trace_id"]) == 32
    assert (told["runs_checked"], told["runs_missing"], told["exit_status"]) == (6, 1, 2)
    assert box.history == ()
    assert [path.name for path in folder.iterdir()] == ["plan.csv"]


def test_many_missing_runs_are_told_in_a_few_lines(box: Sandbox, cli: Cli, folder: Path) -> None:
    """Ids that a spreadsheet has spoilt are no thousand lines on a terminal."""
    write_plan(folder / "plan.csv", [spoilt(row) for row in live(box, 30)])
    ended = cli("apply", "plan.csv", "--yes", "--check-runs", "all", "--concurrency", 3)
    assert "30 of 30 runs checked do not exist; nothing was sent" in ended.err
    assert "  and 10 more; --json lists every one of them" in ended.err
    lines = [line for line in ended.err.splitlines() if line.startswith("  line ")]
    assert [line.split(":")[0] for line in lines] == [f"  line {number}" for number in range(2, 22)]


def test_a_sample_is_looked_at_and_then_the_plan_is_applied(box: Sandbox, cli: Cli, folder: Path) -> None:
    """What is looked at is said; a run of several rows is looked at once."""
    rows = live(box, 5)
    rows[3] = spoilt(rows[3])
    write_plan(folder / "plan.csv", [*rows, (rows[0][0], Resume())])
    dry = cli("apply", "plan.csv", "--dry-run", "--check-runs", 2)
    assert (dry.status, gets(box)) == (0, 1)  # of the first row and the last, which are of one run
    assert "runs: 1 checked, it exists" in dry.out
    (told,) = cli("apply", "plan.csv", "--dry-run", "--check-runs", 3, "--json").objects
    assert told["runs_checked"] == 2
    ended = cli("apply", "plan.csv", "--yes", "--check-runs", 3)
    assert (ended.status, len(box.history)) == (1, 5)
    assert "runs: 2 checked, all exist" in ended.err


def test_runs_are_fetched_in_the_class_of_rows(
    box: Sandbox, cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the rows of a batch, they let the calls of a session go first."""
    classes: list[bool] = []
    call = Engine.call

    def observed(self: Engine, *arguments: Any, is_background: bool = False, **more: Any) -> Call:
        classes.append(is_background)
        return call(self, *arguments, is_background=is_background, **more)

    monkeypatch.setattr(Engine, "call", observed)
    write_plan(folder / "plan.csv", live(box, 5))
    assert cli("apply", "plan.csv", "--dry-run", "--check-runs", "all").status == 0
    assert (classes, gets(box)) == ([True] * 5, 5)


def test_rows_that_have_ended_are_not_looked_at(box: Sandbox, cli: Cli, folder: Path) -> None:
    """A run that was missing when its row was sent does not keep the rest of the plan from being sent."""
    rows = [spoilt(failing(box)), *live(box, 4)]
    write_plan(folder / "plan.csv", rows)
    assert cli("apply", "plan.csv", "--yes", "--fail-fast", "--concurrency", 1).status == 1
    left = 5 - 1 - len(box.history)
    ended = cli("apply", "plan.csv", "--yes", "--check-runs", "all")
    assert f"runs: {left} checked, " in ended.err
    assert len(box.history) == 4
    before = gets(box)
    assert "checked, " not in cli("apply", "plan.csv", "--yes", "--check-runs", "all").err
    assert gets(box) == before


def test_what_cannot_be_looked_at_is_an_error_and_nothing_is_sent(box: Sandbox, cli: Cli, folder: Path) -> None:
    """Another answer than a 404 of the exchange says nothing of the run: it is told as it is."""
    rows = live(box, 3)
    write_plan(folder / "plan.csv", rows)
    box.script(Status(404, body=b"<html>"), on="get", ref=rows[1][0])
    ended = cli("apply", "plan.csv", "--yes", "--check-runs", "all")
    assert (ended.status, box.history) == (1, ())
    assert "nothing was sent, because not all runs could be checked (--check-runs):" in ended.err
    assert "NotFoundError" in ended.err


@pytest.mark.parametrize("given", ["0", "-1", "some", "1.5", "", "ALL", "٣"])
def test_another_number_is_refused(cli: Cli, folder: Path, given: str) -> None:
    """It is a number of rows, or all."""
    write_plan(folder / "plan.csv", [(RunRef(101, "0" * 26, "0" * 26, "R"), Pause())])
    ended = cli("apply", "plan.csv", "--dry-run", f"--check-runs={given}")
    assert ended.status == 2
    assert "is neither a number of rows, 1 or more, nor all" in ended.err


@pytest.mark.slow
@pytest.mark.once
def test_a_signal_while_runs_are_looked_at_sends_nothing(box: Sandbox, rows: list[Row], tmp_path: Path) -> None:
    """It ends at once, and says so."""
    hold = Hold("before")
    box.script(hold, on="get", ref=rows[5][0])
    with starting("--check-runs", "all", box=box, folder=tmp_path) as child:
        hold.wait_arrived(HANG)
        child.send_signal(signal.SIGTERM)
        what = end_of(child)
    hold.release()
    assert (what.status, what.out, box.history) == (143, "", ())
    assert what.err.endswith("\nfielding: apply: SIGTERM: nothing was sent\n")
