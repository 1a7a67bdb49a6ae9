"""SIGINT and SIGTERM during `fielding apply`."""

import signal
from pathlib import Path

import pytest

from fielding_async.sandbox import Hold, Sandbox
from tests.cli.apply.plans import ROWS, Row, apply, check_against_history, starting
from tests.cli.command_line import HANG, end_of, environment, line_with, process, unfinished_input, wait_until_read

pytestmark = [pytest.mark.slow, pytest.mark.once]


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
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
        hold.wait_arrived(HANG)
        child.send_signal(signal.SIGINT)
        line_with(child, "once more: wait no longer")
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


def test_a_signal_before_the_first_row_sends_nothing(box: Sandbox, rows: list[Row], tmp_path: Path) -> None:
    """While the plan is still being read from standard input Ctrl-C ends it at once."""
    words = ["apply", "-", "--yes", "--journal", "j"]
    with (
        unfinished_input() as reading,
        process(*words, env=environment(box), cwd=tmp_path, stdin=reading) as child,
    ):
        wait_until_read(reading)
        assert child.poll() is None
        child.send_signal(signal.SIGINT)
        assert child.wait(HANG) == 130
    assert (box.requests, (tmp_path / "j").exists()) == ((), False)


def test_a_signal_at_the_first_look_begins_no_row(box: Sandbox, rows: list[Row], tmp_path: Path) -> None:
    """Interrupted while it finds out whether there is a server, the command says that no row was sent."""
    hold = Hold("before")
    box.script(hold, on="get")
    with starting(box=box, folder=tmp_path) as child:
        hold.wait_arrived(HANG)
        child.send_signal(signal.SIGINT)
        what = end_of(child)
    hold.release()
    assert (what.status, what.out) == (130, "")
    assert "no row was sent" in what.err
    assert [path.name for path in tmp_path.iterdir()] == ["plan.csv"]
