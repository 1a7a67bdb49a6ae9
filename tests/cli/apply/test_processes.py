"""`fielding apply` in a process of its own: signals, terminals, pipes, full disks, two at once."""

import json
import os
import pty
import re
import resource
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fielding_async.core.actions import Complete, Pause
from fielding_async.sandbox import Hold, Sandbox, Status
from tests.cli.conftest import Ended, command, environment, process
from tests.cli.shared.plan.plans import Row, apply, check_against_history, write_plan

ROWS = 40


@pytest.fixture
def rows(box: Sandbox, tmp_path: Path) -> list[Row]:
    """A plan `plan.csv` in the test's folder: a pause on each of some live runs."""
    rows: list[Row] = [(box.add_run("live"), Pause()) for _ in range(ROWS)]
    write_plan(tmp_path / "plan.csv", rows)
    return rows


def ended(child: "subprocess.Popen[str]") -> Ended:
    """Wait for a process, which must not show a traceback."""
    out, err = child.communicate(timeout=60)
    assert "Traceback" not in err
    return Ended(child.returncode, out, err)


def line_with(child: "subprocess.Popen[str]", text: str) -> str:
    """Read lines of stderr up to one with a text in it, and return that."""
    assert child.stderr is not None
    for line in child.stderr:
        if text in line:
            return line
    raise AssertionError(text)


def starting(*options: object, box: Sandbox, folder: Path, **more: Any) -> Any:
    """Start on the plan, two rows at once."""
    options = ("apply", "plan.csv", "--yes", "--concurrency", 2, *options)
    return process(*options, env=environment(box), cwd=folder, **more)


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_first_signal_starts_no_more_rows_and_waits_for_those_under_way(
    box: Sandbox, rows: list[Row], tmp_path: Path, signum: signal.Signals, status: int
) -> None:
    """What is under way ends and is reported, what was never sent is counted, and the command to go on is told."""
    hold = Hold("after")
    box.script(hold, on="pause", ref=rows[4][0])
    with starting(box=box, folder=tmp_path) as child:
        hold.wait_arrived(30)
        child.send_signal(signum)
        line_with(child, f"apply: {signum.name}: no more rows are started; waiting for")
        hold.release()
        what = ended(child)
    assert what.status == status
    assert f"stopped by {signum.name} after" in what.err
    done = len(box.history)
    assert f"{done} of {ROWS} rows have ended" in what.out
    assert f"{ROWS - done} were never sent" in what.out
    assert "under way" not in what.out
    assert "to go on:\n  fielding apply plan.csv --concurrency 2 --yes\n" in what.out
    whole = apply(tmp_path / "plan.csv", environment(box))
    assert (whole.status, whole.counts) == (0, (ROWS, 0, 0, 0, 0, 0))
    check_against_history(box, rows, whole.bad)


def test_a_second_signal_waits_no_longer(box: Sandbox, rows: list[Row], tmp_path: Path) -> None:
    """What is under way is cut off and said to be in doubt; going on finds out, and sends nothing twice."""
    hold = Hold("after")
    box.script(hold, on="pause", ref=rows[4][0])
    with starting("--json", box=box, folder=tmp_path) as child:
        hold.wait_arrived(30)
        child.send_signal(signal.SIGINT)
        line_with(child, "once more: wait no longer")
        child.send_signal(signal.SIGTERM)
        what = ended(child)
    (*bad, whole) = what.objects
    assert (what.status, whole["signal"], whole["exit_status"]) == (130, "SIGINT", 130)
    assert (whole["in_flight"], [row["state"] for row in bad]) == (len(bad), ["in flight"] * len(bad))
    assert 6 in {row["line"] for row in bad}
    assert whole["done"] + whole["in_flight"] + whole["never_sent"] == ROWS
    assert whole["go_on"] == "fielding apply plan.csv --concurrency 2 --yes --json"
    hold.release()
    later = apply(tmp_path / "plan.csv", environment(box))
    assert (later.status, later.counts) == (0, (ROWS, 0, 0, 0, 0, 0))
    check_against_history(box, rows, later.bad)


def test_a_signal_before_the_first_row_sends_nothing(box: Sandbox, rows: list[Row], tmp_path: Path) -> None:
    """While the plan is still being read from standard input Ctrl-C ends it at once."""
    words = ["apply", "-", "--yes", "--journal", "j"]
    with process(*words, env=environment(box), cwd=tmp_path, stdin=subprocess.PIPE) as child:
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(1.5)
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == 130
    assert (box.requests, (tmp_path / "j").exists()) == ((), False)


def test_a_signal_at_the_first_look_begins_no_row(box: Sandbox, rows: list[Row], tmp_path: Path) -> None:
    """Interrupted while it finds out whether there is a server, the command says that no row was sent."""
    hold = Hold("before")
    box.script(hold, on="get")
    with starting(box=box, folder=tmp_path) as child:
        hold.wait_arrived(30)
        child.send_signal(signal.SIGINT)
        what = ended(child)
    hold.release()
    assert (what.status, what.out) == (130, "")
    assert "no row was sent" in what.err
    assert [path.name for path in tmp_path.iterdir()] == ["plan.csv"]


def test_two_processes_are_kept_apart(box: Sandbox, rows: list[Row], tmp_path: Path) -> None:
    """A second process on the same journal is refused, and the first one is not disturbed."""
    hold = Hold("after")
    box.script(hold, on="pause", ref=rows[4][0])
    with starting(box=box, folder=tmp_path) as child:
        hold.wait_arrived(30)
        with starting(box=box, folder=tmp_path) as second:
            refused = ended(second)
        hold.release()
        assert ended(child).status == 0
    assert (refused.status, refused.out) == (2, "")
    assert "is in use by another batch, of this process or another" in refused.err
    assert len(box.history) == ROWS


def _small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))


def test_a_full_disk_stops_before_anything_is_sent_that_is_not_on_record(
    box: Sandbox, rows: list[Row], tmp_path: Path
) -> None:
    """Where the journal cannot grow no more is sent; with room again the plan is finished, and nothing sent twice."""
    with starting(box=box, folder=tmp_path, preexec_fn=_small_files) as child:
        what = ended(child)
    assert what.status in {1, 3}
    assert "stopped: " in what.err
    assert "File too large" in what.err
    assert "to go on:" in what.out
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
            what = ended(child)
        assert (what.status, "Permission denied" in what.err, box.history) == (2, True, ())
        assert apply(plan, environment(box), "--journal", tmp_path / "j").status == 0
    finally:
        folder.chmod(0o700)


def test_a_plan_that_is_changed_meanwhile_ends_cleanly(box: Sandbox, tmp_path: Path) -> None:
    """Rows that were not checked are not sent, whatever becomes of the file; those before are reported."""
    rows: list[Row] = [(box.add_run("live"), Pause()) for _ in range(700)]
    plan = write_plan(tmp_path / "plan.csv", rows)
    hold = Hold("before")
    box.script(hold, on="pause", ref=rows[0][0])
    with starting(box=box, folder=tmp_path) as child:
        hold.wait_arrived(30)
        with plan.open("r+") as file:
            content = file.read()
            file.seek(0)
            file.write(content.replace(",pause,,", ",complete,,"))
        hold.release()
        what = ended(child)
    assert what.status == 1
    assert "the plan was changed while it was being applied; nothing from line" in what.err
    assert "were never sent" in what.out
    assert {write.operation for write in box.history} == {"pause"}
    assert 2 <= len(box.history) < 700


def test_nobody_reading_is_no_failure(box: Sandbox, rows: list[Row], tmp_path: Path) -> None:
    """With stdout closed, or its reader gone, the plan is applied all the same, and its status stands."""
    reading, writing = os.pipe()
    os.close(reading)
    with starting(box=box, folder=tmp_path, stdout=writing) as child:
        assert ended(child).status == 0
    os.close(writing)
    assert len(box.history) == ROWS
    again = f"exec {' '.join(command('apply', 'plan.csv', '--yes'))} >&- 2>&-"
    done = subprocess.run(["sh", "-c", again], env=environment(box), cwd=tmp_path, check=False)
    assert done.returncode == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_report_that_cannot_be_written_is_said(box: Sandbox, rows: list[Row], tmp_path: Path) -> None:
    """With stdout on a full disk all is applied and in the journal, and the command says what went wrong."""
    with Path("/dev/full").open("w") as full, starting(box=box, folder=tmp_path, stdout=full) as child:
        what = ended(child)
    assert what.status == 1
    assert "the output could not be written" in what.err
    assert len(box.history) == ROWS
    assert apply(tmp_path / "plan.csv", environment(box)).counts == (ROWS, 0, 0, 0, 0, 0)


class Terminal:
    """A process on a terminal of its own, and what it shows there."""

    def __init__(self, *words: object, box: Sandbox, folder: Path, columns: int = 80) -> None:
        self.shown = ""
        self._ours, theirs = pty.openpty()
        env = environment(box, TERM="xterm", COLUMNS=f"{columns}")
        self.child = subprocess.Popen(
            command("apply", *words), env=env, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)

    def wait_for(self, text: str) -> str:
        """Wait until a text is shown, or to the end; return all that was shown so far."""
        until = time.monotonic() + 30
        while text not in self.shown and time.monotonic() < until:
            if select.select([self._ours], [], [], 1)[0]:
                try:
                    data = os.read(self._ours, 65_536)
                except OSError:  # the other side is closed
                    break
                if not data:
                    break
                self.shown += data.decode(errors="replace")
        assert text in self.shown, self.shown
        return self.shown

    def type(self, text: str) -> None:
        """Type."""
        os.write(self._ours, text.encode())

    def close(self) -> int:
        """Wait for the end, and return the exit status."""
        try:
            return self.child.wait(30)
        finally:
            if self.child.poll() is None:
                self.child.kill()
                self.child.wait()
            os.close(self._ours)


@pytest.mark.parametrize("answer", ["n", "", "\x04"])
def test_by_hand_it_asks_before_the_first_write(box: Sandbox, rows: list[Row], tmp_path: Path, answer: str) -> None:
    """Anything but yes applies nothing."""
    terminal = Terminal("plan.csv", box=box, folder=tmp_path)
    assert f"SANDBOX at {box.url}"[:20] in terminal.wait_for("Apply it? [y/N] ")
    terminal.type(answer if answer == "\x04" else f"{answer}\r")
    terminal.wait_for("not applied; nothing was sent")
    assert terminal.close() == 1
    assert (box.history, (tmp_path / "plan.csv.journal").exists()) == ((), False)


def test_by_hand_a_yes_applies_the_plan_and_shows_it_live(box: Sandbox, rows: list[Row], tmp_path: Path) -> None:
    """On a terminal there is a bar, with pace and counts, redrawn until the table takes its place."""
    hold = Hold("after")
    box.script(hold, on="pause", ref=rows[-1][0])
    terminal = Terminal("plan.csv", box=box, folder=tmp_path)
    terminal.wait_for("Apply it? [y/N] ")
    terminal.type("y\r")
    hold.wait_arrived(30)
    shown = terminal.wait_for(f"{ROWS - 1} of {ROWS}")
    assert "SANDBOX" in shown
    assert "━" in shown
    terminal.wait_for("in flight, 0 failed, 0 unknown, 0 skipped, 0 conflicts, 0 429s")
    assert "rows/s" in terminal.shown
    hold.release()
    assert f"{ROWS} of {ROWS} rows have ended" in terminal.wait_for("rows have ended")
    assert terminal.close() == 0


def test_ctrl_c_at_the_question_sends_nothing(box: Sandbox, rows: list[Row], tmp_path: Path) -> None:
    """An interrupt there is an interrupt, and nothing was sent."""
    terminal = Terminal("plan.csv", box=box, folder=tmp_path)
    terminal.wait_for("Apply it? [y/N] ")
    terminal.child.send_signal(signal.SIGINT)
    terminal.wait_for("interrupted by SIGINT")
    assert (terminal.close(), box.history) == (130, ())


def test_through_pipes_there_are_lines_and_nothing_is_redrawn(box: Sandbox, tmp_path: Path) -> None:
    """Progress is a line now and then on stderr, without control characters; stdout has the report alone."""
    rows: list[Row] = [(box.add_run("live"), Complete()) for _ in range(3)]
    write_plan(tmp_path / "plan.csv", rows)
    hold = Hold("after")
    box.script(hold, on="complete", ref=rows[-1][0])
    with starting(box=box, folder=tmp_path) as child:
        line = line_with(child, "2 of 3 rows")
        hold.release()
        what = ended(child)
    assert what.status == 0
    assert line.startswith("plan.csv: 2 of 3 rows; ")
    assert line.endswith("; 1 in flight, 0 failed, 0 unknown, 0 skipped, 0 conflicts, 0 429s\n")
    assert "\x1b" not in what.err + what.out
    assert "rows/s" not in what.out


def test_a_pause_of_the_server_is_told_through_pipes_too(box: Sandbox, rows: list[Row], tmp_path: Path) -> None:
    """While nothing moves it is said why, and how long; also to whoever asks it to stop."""
    box.script(Status(429, retry_after="90"), on="pause", ref=rows[1][0])
    with starting(box=box, folder=tmp_path) as child:
        line = line_with(child, "paused by the server")
        child.send_signal(signal.SIGINT)
        asked = line_with(child, "once more: wait no longer")
        child.send_signal(signal.SIGINT)
        what = ended(child)
    assert re.search(r" of 40 rows; .* rows/s.*; paused by the server, \d\d s to go; \d in flight, .*, 1 429s\n$", line)
    assert re.search(r"waiting for \d under way; paused by the server, \d\d s to go \(once more: ", asked)
    assert what.status == 130


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
            what = ended(child)
        assert what.status == status
        assert ("a plan from standard input needs --journal FILE" in what.err) == (status == 2)
    assert "  (with the same rows on standard input)" in what.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["j.failed.csv", "j.journal", "plan.csv"]
    assert not Path("/dev/stdin.journal").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not hold root back")
def test_a_plan_that_may_not_be_read_is_told_to_machines_too(box: Sandbox, rows: list[Row], tmp_path: Path) -> None:
    """It is an error like any other, with its object on stdout."""
    (tmp_path / "plan.csv").chmod(0)
    with starting("--json", box=box, folder=tmp_path) as child:
        what = ended(child)
    assert what.status == 2
    assert [told["message"] for told in what.objects] == ["plan.csv: cannot be read: Permission denied"]


def test_help_does_not_load_what_it_does_not_need() -> None:
    """The commands' own modules are loaded when they are used: `--help` loads neither aiohttp nor rich."""
    code = "import sys; from fielding_async.cli.app import run; run(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"aiohttp", "rich"} & set(done.stderr.split())
    assert "apply" in done.stdout
    assert json.dumps(done.stdout).isascii()
