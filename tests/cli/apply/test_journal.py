"""`fielding apply` and its journal: of another plan, torn, damaged, lost, locked, or not writable."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from fielding_async.core.actions import Pause
from fielding_async.sandbox import Hold, Sandbox
from tests.cli.apply.plans import ROWS, Row, apply, check_against_history, live, starting, write_plan
from tests.cli.command_line import HANG, Cli, end_of, environment, process

pytestmark = [pytest.mark.slow, pytest.mark.once]


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
    assert (
        "the journal plan.csv.journal is of another plan, or this one has been changed since (the first 2 rows (up to"
        " line 3) are those on record; 1 row was added after them, or never sent: apply it (line 4) as a plan of its"
        " own)"
    ) in ended.err
    assert "move the journal away, with plan.csv.journal.head, or name another one with --journal" in ended.err
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
    journal.with_name("plan.csv.journal.head").unlink()
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
        "cannot be used: Permission denied; no row was sent. To continue, make it writable, or copy it and give the"
        " copy with --journal; with a new one the plan would start again"
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
        assert "is damaged: line 2 cannot be read: put back the whole file" in ended.err
        assert ended.err.count("nothing was sent") == 1
    shown = cli("journal", "show", journal)
    assert shown.status == 2
    assert "is damaged: line 2 cannot be read: put back the whole file" in shown.err
    assert "nothing was sent" not in shown.err  # rows were sent, as far as this command knows


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
    assert "the journal plan.csv.journal is there, but holds nothing: the plan starts again" in ended.err


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
        hold.wait_arrived(HANG)
        if what == "emptied":
            os.truncate(journal, 0)
        else:
            journal.unlink()
        if what == "replaced":
            journal.write_text("something else\n")
        hold.release()
        out, err = child.communicate(timeout=HANG)
    assert "Traceback" not in err
    assert child.returncode == 3
    assert "how each row ended is no longer known: journal='plan.csv.journal': " in err
    assert "this time: 3 of 3 rows ended (3 done, 0 failed, 0 unknown, 0 skipped)" in err
    assert "restore the journal before anything is sent again" in err
    told = json.loads(out.splitlines()[-1])
    assert (told["kind"], told["done"], told["exit_status"]) == ("error", 3, 3)


def test_two_processes_are_kept_apart(box: Sandbox, rows: list[Row], tmp_path: Path) -> None:
    """A second process on the same journal is refused, and the first one is not disturbed."""
    hold = Hold("after")
    box.script(hold, on="pause", ref=rows[4][0])
    with starting(box=box, folder=tmp_path) as child:
        hold.wait_arrived(HANG)
        with starting(box=box, folder=tmp_path) as second:
            refused = end_of(second)
        hold.release()
        assert end_of(child).status == 0
    assert (refused.status, refused.out) == (2, "")
    assert "is in use by another batch: wait for its end, or name another file" in refused.err
    assert len(box.history) == ROWS


def _small_files() -> None:
    import resource  # not on Windows

    resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))


def test_a_full_disk_stops_before_anything_is_sent_that_is_not_on_record(
    box: Sandbox, rows: list[Row], tmp_path: Path
) -> None:
    """Where the journal cannot grow no more is sent; with room again the plan is finished, and nothing sent twice."""
    pytest.importorskip("resource", reason="needs a limit on the size of files")
    with starting(box=box, folder=tmp_path, preexec_fn=_small_files) as child:
        what = end_of(child)
    assert what.status in {1, 3}
    assert "stopped: " in what.err
    assert "File too large" in what.err
    assert "to continue:" in what.out
    assert 0 < len(box.history) < ROWS
    whole = apply(tmp_path / "plan.csv", environment(box))
    assert (whole.status, whole.counts) == (0, (ROWS, 0, 0, 0, 0, 0))
    check_against_history(box, rows, whole.bad)
    assert len(box.history) == ROWS


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not hold root back")
def test_a_read_only_folder_is_refused_with_what_to_do(box: Sandbox, rows: list[Row], tmp_path: Path) -> None:
    """Without a place for the journal nothing is sent; with one named elsewhere the plan is applied."""
    folder = tmp_path / "read-only"
    folder.mkdir()
    plan = (tmp_path / "plan.csv").rename(folder / "plan.csv")
    folder.chmod(0o500)
    try:
        with process("apply", plan, "--yes", env=environment(box)) as child:
            what = end_of(child)
        assert (what.status, "Permission denied" in what.err, box.history) == (2, True, ())
        assert apply(plan, environment(box), "--journal", tmp_path / "j").status == 0
    finally:
        folder.chmod(0o700)
