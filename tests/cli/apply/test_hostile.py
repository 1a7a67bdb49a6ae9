"""`fielding apply` where somebody means it no good, or is tired: odd names, odd files, odd values."""

import json
import os
import pty
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fielding_async.cli.shared.plan.row import BadLine, Defaults, read_row
from fielding_async.core.actions import Action, Pause
from fielding_async.core.models import RunRef
from fielding_async.sandbox import Hold, RawReply, Sandbox
from tests.cli.conftest import Cli, command, environment, process
from tests.cli.shared.plan.plans import Row, write_plan


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the command is given in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def failing(box: Sandbox) -> Row:
    """A row that fails."""
    return box.add_run("completed"), Pause()


def live(box: Sandbox, count: int, action: Action = Pause()) -> list[Row]:  # noqa: B008
    """Rows with one action on each of so many live runs."""
    return [(box.add_run("live"), action) for _ in range(count)]


# -- files that are in each other's way


@pytest.mark.parametrize("kind", ["failed", "unknown"])
@pytest.mark.parametrize("by_link", [False, True])
def test_the_journal_is_never_where_rows_that_failed_are_written(
    box: Sandbox, cli: Cli, folder: Path, kind: str, *, by_link: bool
) -> None:
    """It would be replaced at the end, and the next go begin anew: it is refused before anything is sent."""
    write_plan(folder / "plan.csv", live(box, 2))
    journal = f"plan.{kind}.csv"
    if by_link:
        (folder / "j").symlink_to(folder / journal)
        journal = "j"
    ended = cli("apply", "plan.csv", "--yes", "--journal", journal)
    assert (ended.status, box.history) == (2, ())
    assert f"--journal {journal}: rows that do not end well are written there; name another file" in ended.err


def test_a_journal_that_was_emptied_is_told_of(box: Sandbox, cli: Cli, folder: Path) -> None:
    """Whoever is asked whether to apply a plan learns that nothing of an earlier go is on record."""
    write_plan(folder / "plan.csv", live(box, 1))
    (folder / "plan.csv.journal").touch()
    ended = cli("apply", "plan.csv", "--yes")
    assert ended.status == 0
    assert "the journal plan.csv.journal is there, but holds nothing: the plan begins anew" in ended.err


def test_plans_with_one_stem_have_files_of_their_own(box: Sandbox, cli: Cli, folder: Path) -> None:
    """The rows that failed of a.csv are not replaced by those of a.jsonl, nor taken away because it has none."""
    write_plan(folder / "a.csv", [failing(box)])
    assert cli("apply", "a.csv", "--yes").status == 1
    before = (folder / "a.failed.csv").read_bytes()
    for name, rows in (("a.tsv", live(box, 1)), ("a.txt", [failing(box)])):
        write_plan(folder / name, rows)
        cli("apply", name, "--yes")
    assert (folder / "a.failed.csv").read_bytes() == before
    assert {path.name for path in folder.glob("*.failed.csv*")} == {"a.failed.csv", "a.txt.failed.csv"}


def test_what_somebody_worked_on_is_never_lost_and_its_new_name_is_told(box: Sandbox, cli: Cli, folder: Path) -> None:
    """However often a file of failed rows is changed and written again, each version is kept, and that is said."""
    write_plan(folder / "plan.csv", [failing(box)])
    cli("apply", "plan.csv", "--yes")
    for version, name in (("first", "plan.failed.csv~"), ("second", "plan.failed.csv~2")):
        (folder / "plan.failed.csv").write_text(version)
        ended = cli("apply", "plan.csv", "--yes", "--json")
        assert f"an older plan.failed.csv held other lines: it is now {name}" in ended.err
        assert (folder / name).read_text() == version
    assert (folder / "plan.failed.csv~").read_text() == "first"


def test_a_pipe_in_the_place_of_failed_rows_does_not_hold_up_the_report(box: Sandbox, cli: Cli, folder: Path) -> None:
    """It is not read, which would never end; it is put aside."""
    write_plan(folder / "plan.csv", [failing(box)])
    os.mkfifo(folder / "plan.failed.csv")
    writer = os.open(folder / "plan.failed.csv", os.O_RDWR)  # so that even a reader would not wait to open it
    try:
        done = subprocess.run(
            command("apply", "plan.csv", "--yes"), env=environment(box), capture_output=True, timeout=60, check=False
        )
    finally:
        os.close(writer)
    assert done.returncode == 1
    assert (folder / "plan.failed.csv~").is_fifo()
    assert "InvalidRunStateError" in (folder / "plan.failed.csv").read_text()


def test_one_file_that_cannot_be_written_does_not_keep_the_other_back(box: Sandbox, cli: Cli, folder: Path) -> None:
    """Rows that are unknown are written down though plan.failed.csv is a folder, and which one is missing is said."""
    rows = [failing(box), *live(box, 1)]
    box.script(*[RawReply(b"not HTTP\r\n\r\n")] * 5, on="pause", ref=rows[1][0])
    write_plan(folder / "plan.csv", rows)
    (folder / "plan.failed.csv").mkdir()
    ended = cli("apply", "plan.csv", "--yes", "--json")
    assert (ended.status, ended.objects[-1]["unknown_plan"]) == (3, "plan.unknown.csv")
    assert "could not be written to plan.failed.csv (Is a directory)" in ended.err


@pytest.mark.parametrize("what", ["deleted", "emptied", "replaced"])
def test_a_journal_that_is_lost_meanwhile_is_never_called_nothing_sent(box: Sandbox, tmp_path: Path, what: str) -> None:
    """It ends with 3, counts what ended, and warns of sending again: 2 would say that nothing was sent."""
    rows = live(box, 3)
    write_plan(tmp_path / "plan.csv", rows)
    journal = tmp_path / "plan.csv.journal"
    hold = Hold("after")
    box.script(hold, on="pause", ref=rows[2][0])
    options = ("apply", "plan.csv", "--yes", "--json")
    with process(*options, env=environment(box), cwd=tmp_path) as child:
        hold.wait_arrived(30)
        if what == "emptied":
            os.truncate(journal, 0)
        else:
            journal.unlink()
        if what == "replaced":
            journal.write_text("something else\n")
        hold.release()
        out, err = child.communicate(timeout=60)
    assert "Traceback" not in err
    assert child.returncode == 3
    assert "what has become of the rows cannot be told one by one any more: journal='plan.csv.journal': " in err
    assert "this go: 3 of 3 rows ended (3 done, 0 failed, 0 unknown, 0 skipped)" in err
    assert "restore the journal before anything is sent again" in err
    told = json.loads(out.splitlines()[-1])
    assert (told["kind"], told["done"], told["exit_status"]) == ("error", 3, 3)


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


# -- odd values


@pytest.mark.parametrize("value", [0, False, [], {}])
@pytest.mark.parametrize("column", ["project_id", "start_fielding_at", "end_fielding_at"])
def test_what_is_false_in_json_is_not_taken_for_nothing(column: str, value: Any) -> None:
    """Such a project is not filled in from --project, nor such a date passed over: the line is bad."""
    ulid = "01BTGNYV6HRNK8K8VKZASZCFP0"
    row = {"account_id": 101, "target_group_id": ulid, "fielding_run_id": "R", "action": "pause", column: value}
    read = read_row(1, row, Defaults(101, ulid))
    assert isinstance(read, BadLine)
    assert read.text.startswith(f"{column} '{value}' ")


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
        env=environment(box), capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, "fielding: standard input: cannot be read: it is closed\n")


def test_an_answer_in_another_encoding_is_no_yes(box: Sandbox, tmp_path: Path) -> None:
    """Whatever is typed at the question that is no text is a no, and nothing is sent."""
    write_plan(tmp_path / "plan.csv", live(box, 1))
    ours, theirs = pty.openpty()
    env = environment(box, PYTHONIOENCODING="ascii:strict")
    with process("apply", "plan.csv", env=env, cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs) as child:
        os.close(theirs)
        shown = b""
        while b"[y/N] " not in shown:
            shown += os.read(ours, 1024)
        os.write(ours, b"\xe9\n")
        while b"nothing was sent" not in shown and b"Traceback" not in shown:
            shown += os.read(ours, 1024)
        assert (child.wait(30), box.history) == (1, ())
    os.close(ours)
    assert b"Traceback" not in shown


def test_a_name_cannot_act_on_the_terminal(box: Sandbox, cli: Cli, folder: Path) -> None:
    """Escapes and line ends in the name of a plan are written as such, before and after, and dry."""
    name = "\x1b[31mplan\nok.csv"
    write_plan(folder / name, [failing(box)])
    for options in (["--dry-run"], ["--yes"], ["--yes"]):
        ended = cli("apply", name, *options)
        assert "\x1b" not in ended.out + ended.err
        assert "\nok.csv" not in ended.out + ended.err


# -- answers that are not the API's


@pytest.mark.parametrize("status", [403, 404])
def test_no_row_fails_for_an_answer_that_is_not_the_apis(box: Sandbox, cli: Cli, folder: Path, status: int) -> None:
    """A page that a proxy or a web server puts in the place of the API's 403 or 404 shows nothing of the row."""
    page = f"HTTP/1.1 {status} No\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<p/>"
    box.script(RawReply(page.encode()), on="get")
    write_plan(folder / "plan.csv", live(box, 2))
    ended = cli("apply", "plan.csv", "--yes")
    assert ended.status == 1
    assert "this is not the API's answer: look at FIELDING_BASE_URL, and at proxies" in ended.err
    assert (box.history, [path.name for path in folder.iterdir()]) == ((), ["plan.csv"])
    assert cli("apply", "plan.csv", "--yes").status == 0
