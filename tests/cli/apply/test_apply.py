"""`fielding apply`: rows are sent once, in order, from a plan in any of its forms."""

import json
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fielding_async.core.actions import LaunchNow, Pause, Resume, Update
from fielding_async.sandbox import Hold, Sandbox, SecondWriter
from tests.cli.apply.plans import CLOSING, Row, live, starting, write_plan
from tests.cli.command_line import HANG, Cli, end_of, environment, process


def test_a_plan_is_applied_row_by_row(box: Sandbox, cli: Cli, folder: Path) -> None:
    """Each row's action is applied once, in order for each run, and the report counts them by action and outcome."""
    first, second = box.add_run("live"), box.add_run("paused")
    rows: list[Row] = [(first, Pause()), (second, Pause()), (first, Update(end_fielding_at=CLOSING)), (first, Resume())]
    write_plan(folder / "plan.csv", rows)
    ended = cli("apply", "plan.csv", "--yes")
    assert ended.status == 0
    assert [(write.ref, write.operation) for write in box.history] == [
        (first, "pause"),
        (first, "update"),
        (first, "resume"),
    ]
    assert box.inspect(first).end_fielding_at == CLOSING
    assert ended.err == f"plan.csv: 4 rows (2 pause, 1 resume, 1 update), on SANDBOX at {box.url}\n"
    table = [[cell.strip() for cell in line.split("│")[1:-1]] for line in ended.out.splitlines() if "│" in line]
    assert table == [
        ["pause", "2", "1", "1"],
        ["resume", "1", "1", "0"],
        ["update", "1", "1", "0"],
        ["total", "4", "3", "1"],
    ]
    assert "4 of 4 rows have ended; this took" in ended.out
    assert f"on SANDBOX at {box.url}" in ended.out
    assert sorted(path.name for path in folder.iterdir()) == ["plan.csv", "plan.csv.journal", "plan.csv.journal.head"]


def test_a_plan_that_has_ended_is_not_applied_again(box: Sandbox, cli: Cli, folder: Path) -> None:
    """The same command again sends nothing, asks nothing, and reports the whole plan."""
    write_plan(folder / "plan.csv", [*live(box, 3), (box.add_run("completed"), Pause())])
    assert cli("apply", "plan.csv", "--yes").status == 1
    before = len(box.requests)
    ended = cli("apply", "plan.csv")
    assert ended.status == 1
    assert "nothing was sent: all 4 rows had ended before" in ended.out
    assert "nothing is sent: all 4 rows had ended before" in ended.err
    assert "to apply it again every day, give it a journal for each day" in ended.err
    assert "plan.csv-%Y-%m-%d.journal" in ended.err
    assert "line 5: pause: failed: InvalidRunStateError: 422 invalid_state_error" in ended.err
    assert [request.operation for request in box.requests[before:]] == [None]  # is it a sandbox?


def test_standard_input_is_a_plan_too(box: Sandbox, cli: Cli, folder: Path) -> None:
    """With a journal named, rows come from standard input, with account and project from the options."""
    ref = box.add_run("live")
    content = f"target_group_id;fielding_run_id;action\r\n{ref.target_group_id};{ref.fielding_run_id};pause\r\n"
    options = ["--account", ref.account_id, "--project", ref.project_id, "--journal", "j", "--yes"]
    assert cli("apply", "-", *options, stdin=content.encode()).status == 0
    assert box.inspect(ref).status == "paused"
    assert "nothing was sent: its only row had ended before" in cli("apply", "-", *options, stdin=content.encode()).out


def test_a_plan_named_like_an_option_can_be_gone_on_with(box: Sandbox, cli: Cli, folder: Path) -> None:
    """The command that is told for going on is one that works."""
    write_plan(folder / "-plan.csv", [(box.add_run("completed"), Pause()), *live(box, 3)])
    ended = cli("apply", "--yes", "--fail-fast", "--concurrency", 1, "--", "-plan.csv")
    (told,) = [line for line in ended.out.splitlines() if line.startswith("  fielding apply")]
    assert cli(*shlex.split(told)[1:]).status == 1
    assert len(box.history) == 3


def test_conflicts_are_worked_around_or_raised_as_asked(box: Sandbox, cli: Cli, folder: Path) -> None:
    """--on-conflict raise gives a row up where somebody else wrote, and the default does not."""
    rows = live(box, 2)
    for ref, _ in rows:
        box.script(SecondWriter(), on="pause", ref=ref)
    write_plan(folder / "one.csv", rows[:1])
    write_plan(folder / "two.csv", rows[1:])
    assert cli("apply", "one.csv", "--yes").status == 0
    ended = cli("apply", "two.csv", "--yes", "--on-conflict", "raise")
    assert (ended.status, "PreconditionFailedError" in ended.err) == (1, True)


def test_a_json_lines_plan_is_applied_too(box: Sandbox, cli: Cli, folder: Path) -> None:
    """Rows may be JSON objects; files beside it are named after it."""
    ref = box.add_run("scheduled")
    row = {"target_group_id": ref.target_group_id, "fielding_run_id": ref.fielding_run_id}
    rows = [row | {"action": LaunchNow.name}, row | {"action": "resume"}]
    (folder / "plan.jsonl").write_text("\n".join(map(json.dumps, rows)))
    options = ["--account", ref.account_id, "--project", ref.project_id]
    assert cli("apply", "plan.jsonl", *options, "--yes").status == 0
    assert {path.name for path in folder.iterdir()} == {"plan.jsonl", "plan.jsonl.journal", "plan.jsonl.journal.head"}
    assert box.inspect(ref).start_fielding_at <= datetime.now(UTC)


def test_a_plan_that_is_changed_meanwhile_ends_cleanly(box: Sandbox, tmp_path: Path) -> None:
    """Rows that were not checked are not sent, whatever becomes of the file; those before are reported."""
    rows: list[Row] = [(box.add_run("live"), Pause()) for _ in range(700)]
    plan = write_plan(tmp_path / "plan.csv", rows)
    hold = Hold("before")
    box.script(hold, on="pause", ref=rows[0][0])
    with starting(box=box, folder=tmp_path) as child:
        hold.wait_arrived(HANG)
        with plan.open("r+") as file:
            content = file.read()
            file.seek(0)
            file.write(content.replace(",pause,,", ",complete,,"))
        hold.release()
        what = end_of(child)
    assert what.status == 1
    assert "the plan was changed while it was being applied; nothing from line" in what.err
    assert "were never sent" in what.out
    assert {write.operation for write in box.history} == {"pause"}
    assert 2 <= len(box.history) < 700


@pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="there is no /dev/stdin")
def test_a_plan_by_a_descriptor_does_not_last(box: Sandbox, tmp_path: Path) -> None:
    """What is named by a descriptor is another file to whoever comes next: it needs a journal of its own name."""
    plan = write_plan(
        tmp_path / "plan.csv",
        [(box.add_run("completed"), Pause()), *[(box.add_run("live"), Pause()) for _ in range(3)]],
    )
    for words, status in (
        (["--yes"], 2),
        (["--yes", "--journal", "j.journal", "--fail-fast", "--concurrency", "1"], 1),
    ):
        with (
            plan.open() as file,
            process("apply", "/dev/stdin", *words, env=environment(box), cwd=tmp_path, stdin=file) as child,
        ):
            what = end_of(child)
        assert what.status == status
        assert ("a plan from standard input needs --journal FILE" in what.err) == (status == 2)
    assert "  (with the same rows on standard input)" in what.out
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "j.failed.csv",
        "j.journal",
        "j.journal.head",
        "plan.csv",
    ]
    assert not Path("/dev/stdin.journal").exists()
