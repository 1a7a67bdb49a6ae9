"""Output to closed pipes, full disks, terminals and streams that lack characters."""

import io
import os
import subprocess
from pathlib import Path

import pytest

from fielding_async.cli.shared.output import stdout_has_reader, write_stdout
from fielding_async.sandbox import Sandbox
from tests.cli.command_line import HANG, Ended, command, end_of, environment, process, shown_on, terminal


def test_a_closed_pipe_is_no_failure(box: Sandbox) -> None:
    """With nobody reading stdout, or with it closed, the work is done and its status stands, in silence."""
    refs = [box.add_run("live") for _ in range(2)]
    reading, writing = os.pipe()
    os.close(reading)
    with process("run", "pause", refs[0], env=environment(box), stdout=writing) as child:
        assert end_of(child) == Ended(0, None, "")  # type: ignore[arg-type]
    os.close(writing)
    closed = f"exec {' '.join(command('run', 'pause', refs[1]))} >&-"
    done = subprocess.run(["sh", "-c", closed], env=environment(box), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert {box.inspect(ref).status for ref in refs} == {"paused"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_said(box: Sandbox) -> None:
    """Output that cannot be written is one line on stderr, and exit 1."""
    with (
        Path("/dev/full").open("w") as full,
        process("run", "get", box.add_run(), env=environment(box), stdout=full) as child,
    ):
        what = end_of(child)
    assert what.status == 1
    assert "the output could not be written" in what.err


@pytest.mark.parametrize(
    ("settings", "coloured"), [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False)]
)
def test_colours_are_for_terminals_that_want_them(box: Sandbox, settings: dict[str, str], coloured: bool) -> None:
    """On a terminal what failed is red, unless NO_COLOR is set."""
    ours, theirs = terminal()
    ids = ["--account", 101, "--project", box.project_id, "A" * 26]
    box.add_run("live")
    with process("batch", "pause", *ids, env=environment(box, **settings), stdout=theirs) as child:
        os.close(theirs)
        shown = shown_on(ours)
        assert child.wait(HANG) == 1
    os.close(ours)
    assert "TargetGroupNotFound" in shown
    assert ("\x1b[31m" in shown) is coloured


def test_an_encoding_that_lacks_characters_is_no_trouble(box: Sandbox) -> None:
    """Under an ASCII locale tables and texts are written with what there is."""
    ids = ["--account", 101, "--project", box.project_id, "A" * 26]
    box.add_run("live")
    with process("batch", "pause", *ids, env=environment(box, PYTHONIOENCODING="ascii")) as child:
        what = end_of(child)
    assert what.status == 1
    assert what.out.isascii()
    assert "TargetGroupNotFound" in what.out


def test_a_reader_that_has_left_is_found_without_writing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As a command needs it that writes only now and then; a file and a stream of the test have readers always."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as pipe, (tmp_path / "file").open("w") as file:
        for stream in (pipe, file, io.StringIO()):
            monkeypatch.setattr("sys.stdout", stream)
            assert stdout_has_reader()
        os.close(reading)
        monkeypatch.setattr("sys.stdout", pipe)
        assert not stdout_has_reader()
        monkeypatch.setattr("sys.stdout", None)
        assert not stdout_has_reader()


def test_a_write_says_whether_there_is_a_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one that nobody reads says so."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as pipe:
        monkeypatch.setattr("sys.stdout", pipe)
        assert write_stdout("read")
        os.close(reading)
        assert not write_stdout("not read")
