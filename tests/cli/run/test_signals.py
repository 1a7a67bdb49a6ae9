"""SIGINT and SIGTERM during `fielding run`."""

import signal

import pytest

from fielding_async.sandbox import Hold, Sandbox
from tests.cli.command_line import HANG, end_of, environment, process


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_during_a_write_says_that_it_may_have_been_applied(
    box: Sandbox, signum: signal.Signals, status: int
) -> None:
    """The first signal cancels the call, tells that the write is in doubt, and exits with 128 and its number."""
    hold = Hold("after")
    box.script(hold, on="pause")
    with process("run", "pause", box.add_run("live"), "--json", env=environment(box)) as child:
        hold.wait_arrived(HANG)
        child.send_signal(signum)
        what = end_of(child)
    hold.release()
    assert (what.status, what.out) == (status, "")
    assert "may or may not be applied" in what.err
    assert f"interrupted by {signum.name}" in what.err


def test_a_signal_before_the_write_says_that_nothing_was_changed(box: Sandbox) -> None:
    """Interrupted at the opening GET, the command says so, and nothing is applied."""
    hold = Hold("before")
    box.script(hold, on="get")
    with process("run", "pause", box.add_run("live"), env=environment(box)) as child:
        hold.wait_arrived(HANG)
        child.send_signal(signal.SIGINT)
        what = end_of(child)
    hold.release()
    assert what.status == 130
    assert "nothing was changed" in what.err
    assert box.history == ()
