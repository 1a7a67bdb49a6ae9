"""The files PLAN.failed.csv and PLAN.unknown.csv, and what may be at their paths already."""

import csv
import os
import secrets
import stat
import subprocess
from pathlib import Path

import pytest

from fielding_async.cli.shared.plan.writer import PlanWriter
from fielding_async.core.actions import Complete, Pause, Resume
from fielding_async.core.models import RunRef
from fielding_async.sandbox import Cut, Sandbox, SecondWriter
from tests.cli.apply.plans import Row, failing, live, write_plan
from tests.cli.command_line import HANG, Cli, command, environment

NOBODY = "9" * 26


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
    assert "rows that may or may not have been applied, to be checked: plan.unknown.csv" in ended.out
    assert ref.fielding_run_id in (folder / "plan.unknown.csv").read_text()
    assert not (folder / "plan.failed.csv").exists()


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
        "plan.csv.journal.head",
        "plan.failed.csv",
        "plan.failed.csv~",
    }


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
            command("apply", "plan.csv", "--yes"), env=environment(box), capture_output=True, timeout=HANG, check=False
        )
    finally:
        os.close(writer)
    assert done.returncode == 1
    assert (folder / "plan.failed.csv~").is_fifo()
    assert "InvalidRunStateError" in (folder / "plan.failed.csv").read_text()


def test_one_file_that_cannot_be_written_does_not_keep_the_other_back(box: Sandbox, cli: Cli, folder: Path) -> None:
    """Rows that are unknown are written down though plan.failed.csv is a folder, and which one is missing is said."""
    rows = [failing(box), *live(box, 1)]
    box.script(Cut("after"), SecondWriter(status="live"), on="pause", ref=rows[1][0])  # nobody can tell which it was
    write_plan(folder / "plan.csv", rows)
    (folder / "plan.failed.csv").mkdir()
    ended = cli("apply", "plan.csv", "--yes", "--json")
    assert (ended.status, ended.objects[-1]["unknown_plan"]) == (3, "plan.unknown.csv")
    assert "could not be written to plan.failed.csv (Is a directory)" in ended.err


def test_failed_rows_are_for_their_owner_only(box: Sandbox, cli: Cli, folder: Path) -> None:
    """The report has mode 0600 whatever the umask, also where an older one with another mode is replaced."""
    write_plan(folder / "plan.csv", [failing(box)])
    before = os.umask(0)
    try:
        assert cli("apply", "plan.csv", "--yes").status == 1
        assert stat.S_IMODE((folder / "plan.failed.csv").stat().st_mode) == 0o600
        (folder / "plan.failed.csv").chmod(0o644)
        assert cli("apply", "plan.csv", "--yes").status == 1
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "plan.failed.csv").stat().st_mode) == 0o600
    names = {"plan.csv", "plan.csv.journal", "plan.csv.journal.head", "plan.failed.csv"}
    assert {path.name for path in folder.iterdir()} == names


def test_no_temporary_file_is_written_through_a_link(box: Sandbox, cli: Cli, folder: Path) -> None:
    """A link at the name that a temporary file used to have, made from the process id, is met by nothing."""
    (folder / "victim").write_text("kept")
    for kind in ("failed", "unknown"):
        (folder / f".plan.{kind}.csv.{os.getpid()}.partial").symlink_to(folder / "victim")
    write_plan(folder / "plan.csv", [failing(box)])
    assert cli("apply", "plan.csv", "--yes").status == 1
    assert (folder / "victim").read_text() == "kept"
    assert "InvalidRunStateError" in (folder / "plan.failed.csv").read_text()


def test_temporary_names_cannot_be_guessed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two writers of one process have names of their own, and one whose name is taken, by a link, writes nothing."""
    writers = [PlanWriter(folder / "plan.failed.csv") for _ in range(2)]
    for writer in writers:
        writer.add(RunRef(101, NOBODY, NOBODY, "RUN"), Pause(), "failed")
    names = {path.name for path in folder.iterdir()}
    assert len(names) == 2
    assert all(len(name) > 30 and stat.S_IMODE((folder / name).stat().st_mode) == 0o600 for name in names)
    for writer in writers:
        writer.discard()
    assert list(folder.iterdir()) == []
    monkeypatch.setattr(secrets, "token_hex", "known{}".format)
    first, second = [PlanWriter(folder / "plan.failed.csv") for _ in range(2)]
    first.add(RunRef(101, NOBODY, NOBODY, "RUN"), Pause(), "failed")
    (partial,) = folder.iterdir()
    partial.unlink()
    partial.symlink_to(folder / "victim")
    with pytest.raises(FileExistsError):
        second.add(RunRef(101, NOBODY, NOBODY, "RUN"), Pause(), "failed")
    second.discard()
    assert [path.name for path in folder.iterdir()] == [partial.name]
    first.discard()


@pytest.mark.parametrize("kind", ["a symbolic link", "a file with a second name (hard link)", "a link to a folder"])
def test_a_link_in_the_place_of_failed_rows_is_put_aside_unread(
    box: Sandbox, cli: Cli, folder: Path, kind: str
) -> None:
    """It is renamed, which changes nothing behind it; its lines are neither read nor replaced, and that is told."""
    victim, report = folder / "victim", folder / "plan.failed.csv"
    if kind == "a link to a folder":
        victim.mkdir()
        report.symlink_to(victim)
    else:
        victim.write_text("account_id\n")
        if kind == "a symbolic link":
            report.symlink_to(victim)
        else:
            report.hardlink_to(victim)
    write_plan(folder / "plan.csv", [failing(box)])
    ended = cli("apply", "plan.csv", "--yes")
    assert ended.status == 1
    told = kind.replace("a link to a folder", "a symbolic link")
    assert f"plan.failed.csv was {told}: it is now plan.failed.csv~" in ended.err
    assert "InvalidRunStateError" in report.read_text()
    assert not report.is_symlink()
    if victim.is_dir():
        assert list(victim.iterdir()) == []
    else:
        assert victim.read_text() == "account_id\n"
    assert (folder / "plan.failed.csv~").samefile(victim)


def test_a_link_whose_target_is_gone_is_no_path_to_it(box: Sandbox, cli: Cli, folder: Path) -> None:
    """The report is written in place of the link, and the missing target is not made."""
    (folder / "plan.failed.csv").symlink_to(folder / "victim")
    write_plan(folder / "plan.csv", [failing(box)])
    assert cli("apply", "plan.csv", "--yes").status == 1
    assert not (folder / "victim").exists()
    assert not (folder / "plan.failed.csv").is_symlink()
    assert (folder / "plan.failed.csv~").is_symlink()


def test_a_journal_that_is_a_link_is_refused_before_anything_is_sent(box: Sandbox, cli: Cli, folder: Path) -> None:
    """Applied or tried, the path, the rule and the remedy are told, and the exit status is that of a bad journal."""
    write_plan(folder / "plan.csv", live(box, 1))
    (folder / "victim").touch(0o644)
    for make in (Path.symlink_to, Path.hardlink_to):
        journal = folder / "plan.csv.journal"
        make(journal, folder / "victim")
        ended = cli("apply", "plan.csv", "--yes")
        assert (ended.status, box.history, (folder / "victim").read_bytes()) == (2, (), b"")
        assert "plan.csv.journal" in ended.err
        assert "name the file itself" in ended.err or "copy it to a file of its own" in ended.err
        assert stat.S_IMODE((folder / "victim").stat().st_mode) == 0o644
        journal.unlink()
