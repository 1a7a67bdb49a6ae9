"""`fielding apply`: what it sends, what it says, and everything that can get in its way."""

import csv
import errno
import json
import os
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fielding_async.cli.apply.tally import StopRule
from fielding_async.core.actions import Action, Complete, LaunchNow, Pause, Resume, Update
from fielding_async.core.errors import (
    AuthenticationError,
    NotFoundError,
    PermissionDeniedError,
    SkippedError,
    TransportError,
)
from fielding_async.core.models import RunRef
from fielding_async.sandbox import Cut, Sandbox, SecondWriter, Status
from tests.cli.conftest import Cli
from tests.cli.shared.plan.plans import CLOSING, Row, write_plan

NOBODY = "9" * 26


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the command is given in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def live(box: Sandbox, count: int, action: Action = Pause()) -> list[Row]:  # noqa: B008
    """Rows with one action on each of so many live runs."""
    return [(box.add_run("live"), action) for _ in range(count)]


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
    assert sorted(path.name for path in folder.iterdir()) == ["plan.csv", "plan.csv.journal"]


def test_a_plan_that_has_ended_is_not_applied_again(box: Sandbox, cli: Cli, folder: Path) -> None:
    """The same command again sends nothing, asks nothing, and reports the whole plan."""
    write_plan(folder / "plan.csv", [*live(box, 3), (box.add_run("completed"), Pause())])
    assert cli("apply", "plan.csv", "--yes").status == 1
    before = len(box.requests)
    ended = cli("apply", "plan.csv")
    assert ended.status == 1
    assert "nothing was left to do: all 4 rows had ended before; the journal is plan.csv.journal" in ended.out
    assert "going on with the journal plan.csv.journal: 4 rows have ended, 0 were under way" in ended.err
    assert "line 5: pause: failed: InvalidRunStateError: 422 invalid_state_error" in ended.err
    assert [request.operation for request in box.requests[before:]] == [None]  # is it a sandbox?


def test_rows_that_failed_become_a_plan_of_their_own(box: Sandbox, cli: Cli, folder: Path) -> None:
    """Failed rows and those skipped because of them are written with their error, and can be applied once mended."""
    ref = box.add_run("completed")
    gone = RunRef(101, box.project_id, NOBODY, "=cmd()")
    rows: list[Row] = [(ref, Pause()), (ref, Resume()), (gone, Complete()), *live(box, 2)]
    write_plan(folder / "plan.csv", rows)
    ended = cli("apply", "plan.csv", "--yes")
    assert ended.status == 1
    assert "failed and skipped rows, as a plan: plan.failed.csv" in ended.out
    assert "line 3: resume: skipped: SkippedError: not sent: an earlier row of this run failed" in ended.err
    with (folder / "plan.failed.csv").open(encoding="utf-8-sig", newline="") as file:
        found = list(csv.DictReader(file))
    assert [(row["fielding_run_id"], row["action"]) for row in found] == [
        (ref.fielding_run_id, "pause"),
        (ref.fielding_run_id, "resume"),
        ("'=cmd()", "complete"),
    ]
    assert found[0]["error"].startswith("InvalidRunStateError: 422 invalid_state_error")
    assert "[trace_id=" in found[0]["error"]
    box.touch(ref, status="live")
    assert cli("apply", "plan.failed.csv", "--yes").status == 1
    assert [write.operation for write in box.history if write.ref == ref and write.by == "client"] == [
        "pause",
        "resume",
    ]


def test_a_row_that_cannot_be_told_is_listed_as_unknown_and_nowhere_else(box: Sandbox, cli: Cli, folder: Path) -> None:
    """An unknown row exits with 3 and is in plan.unknown.csv alone."""
    (ref, _), *_ = rows = live(box, 3)
    box.script((Cut("after"), SecondWriter(status="completed", when="after")), on="pause", ref=ref)
    write_plan(folder / "plan.csv", rows)
    ended = cli("apply", "plan.csv", "--yes")
    assert ended.status == 3
    assert "rows that may or may not have been applied, to be looked at: plan.unknown.csv" in ended.out
    assert ref.fielding_run_id in (folder / "plan.unknown.csv").read_text()
    assert not (folder / "plan.failed.csv").exists()


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
        "done": 2,
        "failed": 1,
        "unknown": 0,
        "skipped": 0,
        "in_flight": 0,
        "never_sent": 0,
        "outcomes": [
            {"action": "pause", "outcome": "accepted", "rows": 2},
            {"action": "update", "outcome": "failed", "rows": 1},
        ],
        "signal": None,
        "journal": "plan.csv.journal",
        "failed_plan": "plan.failed.csv",
        "unknown_plan": None,
        "go_on": None,
        "exit_status": 1,
    }


def test_one_bad_line_and_nothing_is_sent(box: Sandbox, cli: Cli, folder: Path) -> None:
    """Every bad line is named, to people and to machines; nothing is sent, and no journal is begun."""
    plan = write_plan(folder / "plan.csv", live(box, 3))
    plan.write_text(plan.read_text().replace("pause", "paused", 1) + "101,x\n")
    ended = cli("apply", "plan.csv", "--yes")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.splitlines()[0] == "fielding: plan.csv: 2 of 4 lines are not right; nothing was sent"
    assert "  line 2: action 'paused' is not an action" in ended.err
    assert "  line 5: has too few cells: is it cut off? (2, the header has 7)" in ended.err
    found = cli("apply", "plan.csv", "--json")
    assert [(bad["kind"], bad["line"]) for bad in found.objects[:-1]] == [("bad-line", 2), ("bad-line", 5)]
    assert found.objects[-1] == {"kind": "plan", "plan": "plan.csv", "rows": 2, "bad_lines": 2, "exit_status": 2}
    assert found.status == 2
    assert box.requests == ()
    assert [path.name for path in folder.iterdir()] == ["plan.csv"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.csv"], "fielding: nowhere.csv: cannot be read: No such file or directory"),
        (["."], "fielding: .: cannot be read: Is a directory"),
        (["empty.csv"], "fielding: empty.csv: is empty: the first line of a plan names its columns"),
        (["header.csv", "--yes"], "fielding: header.csv: holds no rows, only the names of the columns"),
        (["lacking.csv"], "fielding: lacking.csv: line 1: column action is missing"),
        (["plan.csv"], "fielding: nobody is there to be asked: give --yes"),
        (["-"], "fielding: a plan from standard input needs --journal FILE"),
        (["plan.csv", "--project", "x"], "fielding: project_id='x': must be a str of 26 characters"),
        (["plan.csv", "--account", "-1"], "fielding: account_id=-1: must be an int"),
        (["plan.csv", "--rate", "0"], "--rate"),
        (["plan.csv", "--yes", "--rate", "nan"], "--rate nan: must be requests a second, 1e-06 to 1e+09"),
        (["plan.csv", "--dry-run", "--rate", "inf"], "--rate inf: must be requests a second"),
        (["plan.csv", "--concurrency", "0"], "--concurrency"),
        (["plan.csv", "--yes", "--journal", "plan.csv"], "is not a journal of this library"),
        (["plan.csv", "--yes", "--journal", "."], "is not a regular file"),
        (["plan.csv", "--dry-run", "--journal", ".."], "is not a regular file"),
        (["plan.csv", "--yes", "--journal", "no/such/folder"], "no/such/folder"),
        (["plan.csv", "--yes", "--journal", "plan.csv/x"], "Not a directory"),
    ],
)
def test_what_cannot_be_begun_exits_with_2(
    box: Sandbox, cli: Cli, folder: Path, arguments: list[str], said: str
) -> None:
    """Plans, options and journals that will not do are told in a line or two, and nothing is sent."""
    write_plan(folder / "plan.csv", live(box, 1))
    header = (folder / "plan.csv").read_text().splitlines()[0]
    (folder / "empty.csv").touch()
    (folder / "header.csv").write_text(header)
    (folder / "lacking.csv").write_text(header.replace("action,", ""))
    ended = cli("apply", *arguments)
    assert (ended.status, ended.out) == (2, "")
    assert said in ended.err
    assert len(ended.err.splitlines()) <= 3
    assert box.history == ()
    assert {request.operation for request in box.requests} <= {None, "get"}


def test_a_missing_token_is_told_before_anything_else(
    box: Sandbox, cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a token nothing is asked and no journal is begun."""
    write_plan(folder / "plan.csv", live(box, 1))
    monkeypatch.delenv("FIELDING_TOKEN")
    ended = cli("apply", "plan.csv", "--yes")
    assert (ended.status, len(ended.err.splitlines())) == (2, 1)
    assert "set FIELDING_TOKEN" in ended.err
    assert [path.name for path in folder.iterdir()] == ["plan.csv"]


def test_a_dry_run_says_what_would_be_sent_and_sends_nothing(
    box: Sandbox, cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows, requests and time are told; no token is needed, no request is sent and no journal is begun."""
    monkeypatch.delenv("FIELDING_TOKEN")
    (ref, action), *_ = rows = live(box, 3)
    write_plan(folder / "plan.csv", [*rows, (ref, Resume()), (ref, action)])
    ended = cli("apply", "plan.csv", "--dry-run", "--rate", 0.1)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        f"plan.csv: 5 rows (4 pause, 1 resume), on {box.url}",
        "requests: about 8 (a look at each run, a write for each row; conflicts and retries come on top)",
        "time: about 1 min 20 s at 0.1 requests a second",
        "dry run: nothing was sent",
    ]
    assert "not known without --rate; it would be 2 s at 5 and 0 s at 20" in cli("apply", "plan.csv", "--dry-run").out
    (told,) = cli("apply", "plan.csv", "--dry-run", "--json", "--rate", 4).objects
    assert (told["kind"], told["rows"], told["requests"], told["seconds"]) == ("dry-run", 5, 8, 2.0)
    assert box.requests == ()
    assert [path.name for path in folder.iterdir()] == ["plan.csv"]


def test_standard_input_is_a_plan_too(box: Sandbox, cli: Cli, folder: Path) -> None:
    """With a journal named, rows come from standard input, with account and project from the options."""
    ref = box.add_run("live")
    content = f"target_group_id;fielding_run_id;action\r\n{ref.target_group_id};{ref.fielding_run_id};pause\r\n"
    options = ["--account", ref.account_id, "--project", ref.project_id, "--journal", "j", "--yes"]
    assert cli("apply", "-", *options, stdin=content.encode()).status == 0
    assert box.inspect(ref).status == "paused"
    assert "nothing was left to do" in cli("apply", "-", *options, stdin=content.encode()).out


def test_a_journal_of_something_else_is_refused(
    box: Sandbox, cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan that was changed, or another exchange, is refused with what to do, before anything is asked or sent."""
    rows = live(box, 2)
    write_plan(folder / "plan.csv", rows)
    assert cli("apply", "plan.csv", "--yes").status == 0
    write_plan(folder / "plan.csv", [*rows, *live(box, 1)])
    ended = cli("apply", "plan.csv", "--yes")
    assert (ended.status, len(box.history)) == (2, 2)
    assert "the journal plan.csv.journal is of another plan, or this one has been changed since" in ended.err
    assert "move the journal away or name another one with --journal" in ended.err
    write_plan(folder / "plan.csv", rows)
    monkeypatch.setenv("FIELDING_BASE_URL", box.url.replace("127.0.0.1", "localhost"))
    ended = cli("apply", "plan.csv", "--yes")
    assert (ended.status, f"is of another exchange ({box.url}, not http://localhost" in ended.err) == (2, True)


def half_done(box: Sandbox, cli: Cli, folder: Path) -> Path:
    """Leave a plan of which one row was applied and the others were not; return its journal."""
    write_plan(folder / "plan.csv", [(box.add_run("completed"), Pause()), *live(box, 3)])
    assert cli("apply", "plan.csv", "--yes", "--fail-fast", "--concurrency", 1).status == 1
    return folder / "plan.csv.journal"


def test_a_journal_whose_first_line_was_torn_is_begun_anew(box: Sandbox, cli: Cli, folder: Path) -> None:
    """Before its first line is whole nothing has been sent, so that a crash right there is nothing to be mended."""
    journal = half_done(box, cli, folder)
    whole = journal.read_bytes()
    for size in (0, 5, whole.index(b"\n")):
        journal.write_bytes(whole[:size])
        (told,) = cli("apply", "plan.csv", "--dry-run", "--json").objects
        assert (told["kind"], told["ended_before"]) == ("dry-run", 0)
    assert "going on" not in cli("apply", "plan.csv", "--yes").err
    assert len(box.history) == 3


def test_of_a_journal_that_cannot_be_written_no_second_one_is_advised(
    box: Sandbox, cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another journal would begin the plan anew: what to do is to make the one there writable, or to copy it."""
    journal = half_done(box, cli, folder)
    opens = os.open

    def refuses(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if str(path) == journal.name and flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return opens(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", refuses)
    ended = cli("apply", "plan.csv", "--yes")
    assert (ended.status, box.history) == (2, ())
    assert (
        "cannot be used: Permission denied; no row was sent. To go on, make it writable, or copy it and give the copy"
        " with --journal; with a new one the plan would begin anew"
    ) in ended.err
    (folder / "new.csv").write_bytes((folder / "plan.csv").read_bytes())
    journal = folder / "new.csv.journal"
    assert "no row was sent (--journal FILE puts the journal elsewhere)" in cli("apply", "new.csv", "--yes").err


def test_while_a_plan_is_being_applied_waiting_is_advised(box: Sandbox, cli: Cli, folder: Path) -> None:
    """Two processes must not be led to apply one plan side by side, each with a journal of its own."""
    fcntl = pytest.importorskip("fcntl")
    with half_done(box, cli, folder).open("rb") as journal:
        fcntl.flock(journal, fcntl.LOCK_EX)
        ended = cli("apply", "plan.csv", "--yes")
    assert (ended.status, box.history) == (2, ())
    assert "is in use by another batch" in ended.err
    assert "no row was sent. The plan is being applied: wait for that to end" in ended.err
    assert "--journal" not in ended.err


def test_a_damaged_journal_is_named_with_its_line(box: Sandbox, cli: Cli, folder: Path) -> None:
    """What cannot be relied on is refused, and that nothing was sent is said."""
    journal = half_done(box, cli, folder)
    first, _, *rest = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([first, b"?\n", *rest]) + b'{"commit":9}\n')
    for option in ("--yes", "--dry-run"):
        ended = cli("apply", "plan.csv", option)
        assert (ended.status, box.history) == (2, ())
        assert "is damaged: line 2 cannot be read, and is not the end of the file; nothing was sent" in ended.err


def test_a_plan_named_like_an_option_can_be_gone_on_with(box: Sandbox, cli: Cli, folder: Path) -> None:
    """The command that is told for going on is one that works."""
    write_plan(folder / "-plan.csv", [(box.add_run("completed"), Pause()), *live(box, 3)])
    ended = cli("apply", "--yes", "--fail-fast", "--concurrency", 1, "--", "-plan.csv")
    (told,) = [line for line in ended.out.splitlines() if line.startswith("  fielding apply")]
    assert cli(*shlex.split(told)[1:]).status == 1
    assert len(box.history) == 3


def test_fail_fast_starts_no_more_rows(box: Sandbox, cli: Cli, folder: Path) -> None:
    """After the first row that fails no other is started; the rest is said to be left, with how to go on."""
    rows: list[Row] = [(box.add_run("completed"), Pause()), *live(box, 200)]
    write_plan(folder / "plan.csv", rows)
    ended = cli("apply", "plan.csv", "--yes", "--fail-fast", "--concurrency", 1)
    assert ended.status == 1
    assert "stopped at the first row that did not end well (--fail-fast)" in ended.err
    assert "200 were never sent" in ended.out
    assert "to go on:\n  fielding apply plan.csv --concurrency 1 --yes\n" in ended.out
    assert cli("apply", "plan.csv", "--concurrency", 16, "--yes").status == 1
    assert len(box.history) == 200


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"FIELDING_TOKEN": "some-other-token"}, "AuthenticationError: 401"),
        ({"FIELDING_BASE_URL": "http://127.0.0.1:9/v1"}, "TransportError: could not connect"),
    ],
)
def test_without_a_server_or_a_good_token_no_row_is_begun(
    box: Sandbox, cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], said: str
) -> None:
    """A look at the first row's run finds that out, before any row can fail for it; nothing is left behind."""
    write_plan(folder / "plan.csv", live(box, 2))
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    ended = cli("apply", "plan.csv", "--yes", "--json")
    assert ended.status == 1
    assert "no row was sent, for not even a look at the first one's run succeeded" in ended.err
    assert said in ended.err
    assert [value["kind"] for value in ended.objects] == ["error"]
    assert (box.history, [path.name for path in folder.iterdir()]) == ((), ["plan.csv"])


def test_a_token_that_is_refused_midway_does_not_fail_a_whole_plan(box: Sandbox, cli: Cli, folder: Path) -> None:
    """A 401 starts no more rows: with a good token the rest of the plan can still be applied."""
    rows = live(box, 300)
    # early on, for how many more start before the failure is durable, and so seen, is up to the disk
    box.script(Status(401), on="pause", ref=rows[20][0])
    write_plan(folder / "plan.csv", rows)
    ended = cli("apply", "plan.csv", "--yes", "--json", "--concurrency", 4)
    assert ended.status == 1
    assert "stopped: the token is not accepted: 401" in ended.err
    counts = {name: ended.objects[-1][name] for name in ("done", "failed", "never_sent")}
    assert counts["failed"] == 1
    assert counts["never_sent"] >= 240
    whole = cli("apply", "plan.csv", "--yes", "--json").objects[-1]
    assert (whole["done"], whole["failed"], len(box.history)) == (299, 1, 299)


def test_failures_in_a_row_that_say_nothing_of_the_rows_stop_a_plan() -> None:
    """Twenty such failures one after the other do, a 401 alone does, and failures of the rows themselves never do."""
    forbidden = PermissionDeniedError("403", status=403)
    stop_rule = StopRule()
    assert not any(stop_rule.observe(error) for error in [forbidden] * 19)
    assert not stop_rule.observe(None)
    assert not any(stop_rule.observe(error) for error in [TransportError("gone")] * 19)
    assert not any(stop_rule.observe(SkippedError("no", because=forbidden)) for _ in range(50))
    assert stop_rule.observe(TransportError("gone"))
    assert stop_rule.reason == "20 rows one after the other failed, at last with: gone"
    assert not any(StopRule().observe(NotFoundError("404", status=404)) for _ in range(100))
    assert StopRule().observe(AuthenticationError("401", status=401))


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
    assert {path.name for path in folder.iterdir()} == {"plan.jsonl", "plan.jsonl.journal"}
    assert box.inspect(ref).start_fielding_at <= datetime.now(UTC)


def test_rows_that_cannot_be_written_down_are_told(box: Sandbox, cli: Cli, folder: Path) -> None:
    """Where plan.failed.csv cannot be written the report says so, and that nothing is lost; nothing else changes."""
    write_plan(folder / "plan.csv", [(box.add_run("completed"), Pause()), *live(box, 2)])
    (folder / "plan.failed.csv~").mkdir()
    (folder / "plan.failed.csv").mkdir()
    (folder / "plan.failed.csv" / "x").touch()
    ended = cli("apply", "plan.csv", "--yes")
    assert (ended.status, len(box.history)) == (1, 2)
    assert "the rows that did not end well could not be written to plan.failed.csv (" in ended.err
    assert "they are in the journal" in ended.err
    assert {path.name for path in folder.iterdir()} == {
        "plan.csv",
        "plan.csv.journal",
        "plan.failed.csv",
        "plan.failed.csv~",
    }
