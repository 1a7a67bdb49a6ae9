"""A plan from its file to its undo, by the commands that people type."""

from pathlib import Path

import pytest

from fielding_async import RunRef
from fielding_async.cli.shared.page.document import MARK
from fielding_async.sandbox import Sandbox
from tests.cli.command_line import SECRET, Cli

pytestmark = pytest.mark.once

COUNTS = {"done": 4, "failed": 1, "unknown": 0, "skipped": 1, "stuck": 0, "in_flight": 0}


def test_a_plan_is_submitted_worked_off_and_reported(
    cli: Cli, box: Sandbox, plan: Path, refs: list[RunRef], tmp_path: Path
) -> None:
    """Each row once, with what the exchange has; the report, the rows and the page say how each ended."""
    assert "there are no plans" in cli("plans", "list").err
    submitted = cli("plans", "submit", plan)
    assert (submitted.status, submitted.err) == (0, "")
    assert submitted.out.splitlines()[0] == "plan: 6 rows submitted"
    assert "  fielding plans work plan --until-done" in submitted.out
    again = cli("plans", "submit", plan, "--json")
    assert again.objects == [{"kind": "submitted", "plan": "plan", "rows": 6, "is_new": False, "exit_status": 0}]
    (listed,) = cli("plans", "list", "--json").objects
    assert (listed["plan"], listed["state"], listed["left"], listed["workers"]) == ("plan", "not-begun", 6, [])

    worked = cli("plans", "work", "plan", "--until-done")
    assert worked.status == 1
    assert "plan: finished, 6 of 6 rows ended; 6 of them here; 4 done, 1 failed, 1 skipped" in worked.out
    assert "to see why: fielding plans report plan" in worked.out
    assert [write.operation for write in box.history if write.ref == refs[0]] == ["pause", "resume"]
    assert [write.ref for write in box.history if write.ref != refs[0]] == [refs[1]]
    again = cli("plans", "work", "plan", "--json")
    (told,) = again.objects
    assert (again.status, told["kind"], told["rows_here"], told["exit_status"]) == (1, "work", 0, 1)
    assert {name: told[name] for name in COUNTS} == COUNTS
    assert len(box.history) == 3

    status = cli("plans", "status", "plan")
    assert status.out.startswith("plan: finished, 6 of 6 rows ended\n4 done, 1 failed, 1 skipped\n")
    assert f"exchange      {box.url}" in status.out
    watched = cli("plans", "status", "plan", "--watch", "--json")
    (shown,) = watched.objects
    assert (shown["state"], shown["left"], shown["rows_per_second"]) == ("finished", 0, 0.0)

    report = cli("plans", "report", "plan", "--html", "page.html")
    assert report.status == 0
    assert "plan: 6 of 6 rows ended; 4 done, 1 failed, 1 skipped" in report.out
    assert "report: page.html" in report.out
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.startswith(MARK)
    assert "Report of <span>plan</span>" in page
    assert "6 rows on record, 4 done, 2 not done" in page
    assert all(ref.fielding_run_id in page for ref in refs)
    assert SECRET not in page
    *_, summary = cli("plans", "report", "plan", "--json").objects
    assert {name: summary[name] for name in COUNTS} == COUNTS
    assert summary["outcomes"]["pause"] == {"accepted": 2, "already": 1, "failed": 1}

    rows = cli("plans", "rows", "plan", "--json").objects
    assert sorted((row["number"], row["effect"]) for row in rows) == [
        *((0, "accepted"), (1, "accepted"), (2, "already"), (3, "failed"), (4, "skipped"), (5, "accepted"))
    ]
    assert {row["shard"] for row in rows} == {0}
    assert all(row["late"] == [] for row in rows)
    one = cli("plans", "rows", "plan", "--run", refs[1].fielding_run_id)
    assert "1 of 6 rows" in one.out
    csv = cli("plans", "rows", "plan", "--effect", "failed", "--effect", "skipped", "--csv").out.splitlines()
    assert len(csv) == 3
    none = cli("plans", "rows", "plan", "--effect", "not-begun")
    assert (none.status, none.out) == (0, "")
    assert "none of the plan's 6 rows is selected" in none.err


def test_a_plan_is_taken_back(cli: Cli, box: Sandbox, plan: Path, refs: list[RunRef], tmp_path: Path) -> None:
    """As a file that `apply` takes, and as a plan, whose rows are sent under the ETags that the first one left."""
    assert cli("plans", "submit", plan).status == 0
    early = cli("plans", "undo", "plan")
    assert early.status == 2
    assert "plan 'plan': is not finished (6 of its 6 rows have not ended)" in early.err
    assert cli("plans", "work", "plan", "--until-done").status == 1
    shown = cli("plans", "undo", "plan")
    assert (shown.status, shown.err) == (0, "")
    assert "of 6 rows on record 3 can be taken back, 3 cannot" in shown.out
    assert "nothing was written: give --submit-as NAME or --plan FILE" in shown.out
    written = cli("plans", "undo", "plan", "--plan", "back.csv")
    assert "  fielding apply back.csv" in written.out
    assert len((tmp_path / "back.csv").read_text().splitlines()) == 4
    again = cli("plans", "undo", "plan", "--plan", "back.csv")
    assert (again.status, again.out) == (2, "")
    assert "back.csv: is there already, and is not replaced" in again.err
    *_, told = cli("plans", "undo", "plan", "--submit-as", "back", "--json").objects
    assert (told["undone"], told["submitted_as"], told["undo_plan"]) == (3, "back", None)
    assert told["apply"] == "fielding plans work --until-done back"
    box.touch(refs[1])  # a colleague: what the plan did there is not taken back
    ended = cli("plans", "work", "--until-done", "back")
    assert ended.status == 1
    assert "2 done, 1 failed" in ended.out
    assert str(box.inspect(refs[1]).status) == "paused"
    both = cli("plans", "undo", "plan", "--plan", "x", "--submit-as", "y")
    assert (both.status, both.out) == (2, "")


def test_orders_to_a_plan(cli: Cli, box: Sandbox, plan: Path) -> None:
    """A plan that is paused is left alone until it is resumed; one that was cancelled for good; then it is deleted."""
    assert cli("plans", "submit", plan).status == 0
    assert cli("plans", "pause", "plan").out == "plan: paused: no more rows are started\n"
    assert cli("plans", "pause", "plan").out == "plan: is paused already; nothing was changed\n"
    paused = cli("plans", "work", "plan")
    assert (paused.status, box.history) == (3, ())
    assert "plan: paused, 0 of 6 rows ended, 6 left" in paused.out
    assert cli("plans", "resume", "plan", "--json").objects == [
        {"kind": "resume", "plan": "plan", "changed": True, "exit_status": 0}
    ]
    unasked = cli("plans", "cancel", "plan")
    assert unasked.status == 2
    assert "there is no terminal to ask on: give --yes to cancel the plan; nothing was changed" in unasked.err
    assert cli("plans", "cancel", "plan", "--yes").status == 0
    cancelled = cli("plans", "work", "plan", "--until-done")
    assert (cancelled.status, box.history) == (1, ())
    assert "plan: cancelled, 0 of 6 rows ended" in cancelled.out
    assert cli("plans", "resume", "plan").status == 2
    assert cli("plans", "undo", "plan").status == 1
    assert cli("plans", "delete", "plan").status == 2
    assert cli("plans", "delete", "plan", "--yes").out == "1 plan deleted: plan\n"
    gone = cli("plans", "status", "plan")
    assert gone.status == 2
    assert "there is no plan of this name" in gone.err
    assert cli("plans", "submit", plan).status == 0
    assert cli("plans", "cancel", "plan", "--yes").status == 0
    assert cli("plans", "delete", "--older-than", "0", "--yes", "--json").objects == [
        {"kind": "delete", "plans": ["plan"], "exit_status": 0}
    ]
