"""`fielding apply` on a terminal, where it asks and shows progress live, and through pipes."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from fielding_async.core.actions import Complete
from fielding_async.sandbox import Hold, Sandbox, Status
from tests.cli.apply.plans import ROWS, Row, live, starting, write_plan
from tests.cli.command_line import HANG, command, end_of, environment, line_with, process, shown_on, terminal

pytestmark = pytest.mark.once


class Terminal:
    """A process on a terminal of its own, and what it shows there."""

    def __init__(self, *words: object, box: Sandbox, folder: Path, columns: int = 80) -> None:
        self.shown = ""
        self.ours, theirs = terminal()
        env = environment(box, TERM="xterm", COLUMNS=f"{columns}")
        self.child = subprocess.Popen(
            command("apply", *words), env=env, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)

    def wait_for(self, text: str) -> str:
        """Wait until a text is shown, or to the end; return all that was shown so far."""
        if text not in self.shown:
            self.shown += shown_on(self.ours, text)
        assert text in self.shown, self.shown
        return self.shown

    def type(self, text: str) -> None:
        """Type."""
        os.write(self.ours, text.encode())

    def close(self) -> int:
        """Wait for the end, and return the exit status."""
        try:
            return self.child.wait(HANG)
        finally:
            if self.child.poll() is None:
                self.child.kill()
                self.child.wait()
            os.close(self.ours)


@pytest.mark.parametrize("answer", ["n", "", "\x04"])
def test_by_hand_it_asks_before_the_first_write(box: Sandbox, rows: list[Row], tmp_path: Path, answer: str) -> None:
    """Anything but yes applies nothing."""
    terminal = Terminal("plan.csv", box=box, folder=tmp_path)
    assert f"SANDBOX at {box.url}"[:20] in terminal.wait_for("Apply it? [y/N] ")
    terminal.type(answer if answer == "\x04" else f"{answer}\r")
    terminal.wait_for("\nfielding: apply: not applied; nothing was sent")  # on a line of its own
    assert terminal.close() == 1
    assert (box.history, (tmp_path / "plan.csv.journal").exists()) == ((), False)


def test_by_hand_a_yes_applies_the_plan_and_shows_it_live(box: Sandbox, rows: list[Row], tmp_path: Path) -> None:
    """On a terminal there is a bar, with pace and counts, redrawn until the table takes its place."""
    hold = Hold("after")
    box.script(hold, on="pause", ref=rows[-1][0])
    terminal = Terminal("plan.csv", box=box, folder=tmp_path)
    terminal.wait_for("Apply it? [y/N] ")
    terminal.type("y\r")
    hold.wait_arrived(HANG)
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
    terminal.wait_for("\nfielding: apply: SIGINT: nothing was sent")
    assert (terminal.close(), box.history) == (130, ())


def screen(shown: str) -> list[str]:
    """What a terminal shows in the end of what was written to it, line by line."""
    lines, row, column = [""], 0, 0
    for control, argument, letter, text in re.findall(r"(\x1b\[[?]?(\d*)[\d;]*([A-Za-z])|\r|\n)|([^\x1b\r\n]+)", shown):
        if control == "\r":
            column = 0
        elif control == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif letter == "A":
            row = max(0, row - int(argument or 1))
        elif letter == "K":
            lines[row] = "" if argument == "2" else lines[row][:column]
        elif text:
            lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
            column += len(text)
    return lines


def test_after_ctrl_c_the_bar_is_drawn_once(box: Sandbox, rows: list[Row], tmp_path: Path) -> None:
    """The line about the signal stands above the bar, and nothing of the bar is left in the end."""
    holds = [Hold("after"), Hold("after")]  # one for each row at once
    for hold, (ref, _) in zip(holds, rows[4:], strict=False):
        box.script(hold, on="pause", ref=ref)
    terminal = Terminal("plan.csv", "--yes", "--concurrency", 2, box=box, folder=tmp_path)
    for hold in holds:
        hold.wait_arrived(HANG)
    terminal.wait_for("4 of 40")
    terminal.child.send_signal(signal.SIGINT)
    terminal.wait_for("a second signal ends the wait)")
    terminal.shown += shown_on(terminal.ours, "0 429s")  # the bar, drawn again
    lines = screen(terminal.shown)
    (told,) = [number for number, line in enumerate(lines) if "SIGINT: no more rows are started" in line]
    assert [number > told for number, line in enumerate(lines) if " of 40" in line] == [True]
    for hold in holds:
        hold.release()
    lines = screen(terminal.wait_for("to continue:"))
    assert [line for line in lines if "━" in line and "plan.csv" in line] == []
    assert [line.split(";")[0] for line in lines if " of 40" in line] == ["6 of 40 rows have ended"]
    assert terminal.close() == 130


def test_an_answer_in_another_encoding_is_no_yes(box: Sandbox, tmp_path: Path) -> None:
    """Whatever is typed at the question that is no text is a no, and nothing is sent."""
    write_plan(tmp_path / "plan.csv", live(box, 1))
    ours, theirs = terminal()
    env = environment(box, PYTHONIOENCODING="ascii:strict")
    with process("apply", "plan.csv", env=env, cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs) as child:
        os.close(theirs)
        shown = shown_on(ours, "[y/N] ")
        os.write(ours, b"\xe9\n")
        shown += shown_on(ours, "nothing was sent")
        assert (child.wait(HANG), box.history) == (1, ())
    os.close(ours)
    assert "nothing was sent" in shown
    assert "Traceback" not in shown


def test_through_pipes_there_are_lines_and_nothing_is_redrawn(box: Sandbox, tmp_path: Path) -> None:
    """Progress is a line now and then on stderr, without control characters; stdout has the report alone."""
    rows: list[Row] = [(box.add_run("live"), Complete()) for _ in range(3)]
    write_plan(tmp_path / "plan.csv", rows)
    hold = Hold("after")
    box.script(hold, on="complete", ref=rows[-1][0])
    with starting(box=box, folder=tmp_path) as child:
        line = line_with(child, "2 of 3 rows")
        hold.release()
        what = end_of(child)
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
        asked = line_with(child, "a second signal ends the wait")
        child.send_signal(signal.SIGINT)
        what = end_of(child)
    assert re.search(r" of 40 rows; .* rows/s.*; paused by the server, \d\d s to go; \d in flight, .*, 1 429s\n$", line)
    assert re.search(r"waiting for \d in progress; paused by the server, \d\d s to go \(a second signal ends ", asked)
    assert what.status == 130
