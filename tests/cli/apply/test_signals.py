"""SIGINT, SIGTERM and SIGHUP during `fielding apply`."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fielding_async import read_journal
from fielding_async.sandbox import Hold, Sandbox
from tests.cli.apply.plans import ROWS, Row, apply, check_against_history, starting
from tests.cli.command_line import (
    HANG,
    command,
    end_of,
    environment,
    line_with,
    process,
    terminal,
    unfinished_input,
    wait_until_read,
)

pytestmark = [pytest.mark.slow, pytest.mark.once]


SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


@pytest.mark.parametrize(("signum", "status"), SIGNALS)
def test_a_first_signal_starts_no_more_rows_and_waits_for_those_under_way(
    box: Sandbox, rows: list[Row], tmp_path: Path, signum: signal.Signals, status: int
) -> None:
    """What is under way ends and is reported, what was never sent is counted, and the command to go on is told."""
    hold = Hold("after")
    box.script(hold, on="pause", ref=rows[4][0])
    with starting(box=box, folder=tmp_path) as child:
        hold.wait_arrived(HANG)
        child.send_signal(signum)
        line_with(child, f"apply: {signum.name}: no more rows are started; waiting for")
        hold.release()
        what = end_of(child)
    assert what.status == status
    assert f"stopped by {signum.name} after" in what.err
    done = len(box.history)
    assert f"{done} of {ROWS} rows have ended" in what.out
    assert f"{ROWS - done} were never sent" in what.out
    assert "in progress" not in what.out
    assert "to continue:\n  fielding apply plan.csv --concurrency 2 --yes\n" in what.out
    whole = apply(tmp_path / "plan.csv", environment(box))
    assert (whole.status, whole.counts) == (0, (ROWS, 0, 0, 0, 0, 0))
    check_against_history(box, rows, whole.bad)


def test_a_second_signal_waits_no_longer(box: Sandbox, rows: list[Row], tmp_path: Path) -> None:
    """What is under way is cut off and said to be in doubt; going on finds out, and sends nothing twice."""
    hold = Hold("after")
    box.script(hold, on="pause", ref=rows[4][0])
    with starting("--json", box=box, folder=tmp_path) as child:
        hold.wait_arrived(HANG)
        child.send_signal(signal.SIGINT)
        line_with(child, "a second signal ends the wait")
        child.send_signal(signal.SIGTERM)
        what = end_of(child)
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


@pytest.mark.parametrize(("signum", "status"), SIGNALS)
def test_a_signal_before_the_first_row_sends_nothing(
    box: Sandbox, rows: list[Row], tmp_path: Path, signum: signal.Signals, status: int
) -> None:
    """While the plan is still being read from standard input a signal ends it at once, and nothing was sent."""
    words = ["apply", "-", "--yes", "--journal", "j"]
    with (
        unfinished_input() as reading,
        process(*words, env=environment(box), cwd=tmp_path, stdin=reading) as child,
    ):
        wait_until_read(reading)
        assert child.poll() is None
        child.send_signal(signum)
        what = end_of(child)
    assert (what.status, what.err) == (status, f"fielding: apply: {signum.name}: nothing was sent\n")
    assert (box.requests, (tmp_path / "j").exists()) == ((), False)


def test_a_signal_at_the_first_look_lets_only_rows_under_way_end(box: Sandbox, rows: list[Row], tmp_path: Path) -> None:
    """Interrupted while it finds out whether there is a server, the command starts no other rows."""
    hold = Hold("before")
    box.script(hold, on="get")
    with starting("--concurrency", 1, box=box, folder=tmp_path) as child:
        hold.wait_arrived(HANG)
        child.send_signal(signal.SIGINT)
        line_with(child, "no more rows are started; waiting for 1 in progress")
        hold.release()
        what = end_of(child)
    assert what.status == 130
    assert f"{len(rows) - 1} were never sent" in what.out
    assert len(box.history) == 1


def test_a_hangup_that_is_ignored_stays_ignored(box: Sandbox, rows: list[Row], tmp_path: Path) -> None:
    """Under `nohup` the plan is applied to its end, whatever becomes of the terminal."""
    hold = Hold("after")
    box.script(hold, on="pause", ref=rows[4][0])

    def nohup() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with starting("--json", box=box, folder=tmp_path, preexec_fn=nohup) as child:
        hold.wait_arrived(HANG)
        child.send_signal(signal.SIGHUP)
        hold.release()
        what = end_of(child)
    (whole,) = what.objects
    assert (what.status, whole["signal"], whole["done"]) == (0, None, ROWS)


def test_a_terminal_that_is_closed_ends_in_order(box: Sandbox, rows: list[Row], tmp_path: Path) -> None:
    """What is under way is waited for, however often it hangs up and although nothing can be shown; then 129."""
    holds = [Hold("after"), Hold("after")]  # one for each row at once
    for hold, (ref, _) in zip(holds, rows[4:], strict=False):
        box.script(hold, on="pause", ref=ref)
    ours, theirs = terminal()
    words = ["apply", "plan.csv", "--yes", "--concurrency", 2]
    env = environment(box, TERM="xterm", COLUMNS="80")
    child = subprocess.Popen(
        [sys.executable, "-c", _ON_A_TERMINAL, *command(*words)],
        env=env, cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    try:
        os.close(theirs)
        for hold in holds:
            hold.wait_arrived(HANG)
        os.close(ours)  # the system sends SIGHUP
        child.send_signal(signal.SIGHUP)
        for hold in holds:
            hold.release()
        assert child.wait(HANG) == 129
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
    counts = read_journal(tmp_path / "plan.csv.journal").counts
    assert (counts.done, counts.in_flight) == (len(box.history), 0)
    assert counts.done == 6


_ON_A_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""
