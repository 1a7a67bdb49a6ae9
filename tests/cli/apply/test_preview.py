"""What `fielding apply` checks and shows before it sends anything."""

import os
import subprocess
from pathlib import Path

import pytest

from fielding_async.core.actions import Pause, Resume
from fielding_async.core.models import RunRef
from fielding_async.sandbox import Sandbox
from tests.cli.apply.plans import Row, live, starting, write_plan
from tests.cli.command_line import HANG, Cli, command, end_of, environment


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
        (["lacking.csv"], "fielding: lacking.csv: line 1: column action is missing"),
        (["plan.csv"], "fielding: there is no terminal to ask on: give --yes"),
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
        "runs: 3; 1 row says the same as an earlier row, first on line 6",
        "requests: about 8 (a GET of each run, a write for each row; conflicts and retries add more)",
        "time: about 1 min 20 s at 0.1 requests a second",
        "dry run: nothing was sent",
    ]
    assert "not known without --rate; it would be 2 s at 5 and 0 s at 20" in cli("apply", "plan.csv", "--dry-run").out
    (told,) = cli("apply", "plan.csv", "--dry-run", "--json", "--rate", 4).objects
    assert (told["kind"], told["rows"], told["requests"], told["seconds"]) == ("dry-run", 5, 8, 2.0)
    assert (told["distinct_runs"], told["duplicates"]) == (3, 1)
    assert box.requests == ()
    assert [path.name for path in folder.iterdir()] == ["plan.csv"]


@pytest.mark.parametrize("rate", ["1e-320", "1e-7", "nan", "inf", "1e10"])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_rate_that_is_none_is_refused(cli: Cli, folder: Path, rate: str, options: list[str]) -> None:
    """Slower than a request in eleven days is no rate: the time it takes could not even be written down."""
    write_plan(folder / "plan.csv", [(RunRef(101, "0" * 26, "0" * 26, "R"), Pause())])
    ended = cli("apply", "plan.csv", "--dry-run", "--rate", rate, *options)
    assert ended.status == 2
    assert "must be requests a second, 1e-06 to 1e+09" in ended.err


def test_a_closed_standard_input_is_one_message(box: Sandbox, tmp_path: Path) -> None:
    """`fielding apply - <&-` says what is wrong."""
    words = command("apply", "-", "--dry-run")
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *words],
        env=environment(box), capture_output=True, text=True, timeout=HANG, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (
        2,
        "fielding: standard input: cannot be read: it is closed: redirect a file to it\n",
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not hold root back")
def test_a_plan_that_may_not_be_read_is_told_to_machines_too(box: Sandbox, rows: list[Row], tmp_path: Path) -> None:
    """It is an error like any other, with its object on stdout."""
    (tmp_path / "plan.csv").chmod(0)
    with starting("--json", box=box, folder=tmp_path) as child:
        what = end_of(child)
    assert what.status == 2
    assert [told["message"] for told in what.objects] == [
        "plan.csv: cannot be read: Permission denied: name a file that can be read"
    ]


def test_columns_that_no_plan_has_are_left_out_when_asked_for(box: Sandbox, cli: Cli, folder: Path) -> None:
    """The refusal names the columns and the option, and with the option the plan is applied; the dates are pandas'."""
    ref = box.add_run()
    text = f",Ref,Action,End Fielding At,note\n0,{ref},Update,2031-05-17 12:00:00+00:00,x\n"
    (folder / "plan.csv").write_text(text)
    refused = cli("apply", "plan.csv", "--yes")
    assert refused.status == 2
    assert "line 1: column 'note' is unknown: remove it, or give --ignore-columns" in refused.err
    assert box.requests == ()
    assert cli("apply", "plan.csv", "--yes", "--ignore-columns").status == 0
    end = box.inspect(ref).end_fielding_at
    assert end is not None
    assert end.isoformat() == "2031-05-17T12:00:00+00:00"
