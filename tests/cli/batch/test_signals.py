"""SIGINT and SIGTERM during `fielding batch`."""

import signal

from fielding_async.sandbox import Behaviour, Hold, Sandbox
from tests.cli.command_line import HANG, end_of, environment, process, unfinished_input, wait_until_read


def test_a_signal_while_a_job_goes_on_tells_how_to_wait_again() -> None:
    """Interrupted while waiting, `batch` names the job and the command that takes the wait up again."""
    with Sandbox(require_token=True, behaviour=Behaviour(job_seconds=600)) as box:
        ref = box.add_run("live")
        settings = environment(box, FIELDING_TOKEN=box.token or "")
        ids = ["--account", 101, "--project", box.project_id, ref.target_group_id]
        with process("batch", "pause", *ids, env=settings) as child:
            assert child.stderr is not None
            assert child.stderr.readline() == "batch pause: job made, for 1 target group\n"
            child.send_signal(signal.SIGTERM)
            what = end_of(child)
        assert what.status == 143
        assert f"job {box.jobs[0].job_id} was made and continues on the exchange" in what.err
        assert f"--idempotency-key {box.jobs[0].idempotency_key}" in what.err


def test_a_signal_while_a_job_is_made_tells_the_key(box: Sandbox) -> None:
    """Interrupted before the reply to the creation, `batch` says that there may be a job, and its key."""
    hold = Hold("after")
    box.script(hold, on="bulk-pause")
    ids = ["--account", 101, "--project", box.project_id, box.add_run("live").target_group_id]
    with process("batch", "pause", *ids, "--json", env=environment(box)) as child:
        hold.wait_arrived(HANG)
        child.send_signal(signal.SIGINT)
        what = end_of(child)
    hold.release()
    assert (what.status, what.out) == (130, "")
    assert "it is unknown whether the job was made" in what.err
    assert f"--idempotency-key {box.jobs[0].idempotency_key}" in what.err


def test_ctrl_c_ends_a_wait_for_standard_input(box: Sandbox) -> None:
    """`batch … -` with nobody typing ends on SIGINT at once, without a traceback."""
    ids = ["--account", 101, "--project", box.project_id, "-"]
    with (
        unfinished_input() as reading,
        process("batch", "pause", *ids, env=environment(box), stdin=reading, stderr=None) as child,
    ):
        wait_until_read(reading)
        assert child.poll() is None
        child.send_signal(signal.SIGINT)
        assert child.wait(HANG) == 130
