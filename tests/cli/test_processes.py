"""Signals, closed pipes, terminals and missing libraries: what only a process of its own can show."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from fielding_async.sandbox import Behaviour, Hold, Sandbox

from .conftest import Ended, command, environment, process


def ended(child: "subprocess.Popen[str]") -> Ended:
    """Wait for a process, which must not show a traceback."""
    out, err = child.communicate(timeout=20)
    assert "Traceback" not in err
    return Ended(child.returncode, out, err)


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_during_a_write_says_that_it_may_have_been_applied(
    box: Sandbox, signum: signal.Signals, status: int
) -> None:
    """The first signal cancels the call, tells that the write is in doubt, and exits with 128 and its number."""
    hold = Hold("after")
    box.script(hold, on="pause")
    with process("run", "pause", box.add_run("live"), "--json", env=environment(box)) as child:
        hold.wait_arrived(20)
        child.send_signal(signum)
        what = ended(child)
    hold.release()
    assert (what.status, what.out) == (status, "")
    assert "may or may not be applied" in what.err
    assert f"interrupted by {signum.name}" in what.err


def test_a_signal_before_the_write_says_that_nothing_was_changed(box: Sandbox) -> None:
    """Interrupted at the opening GET, the command says so, and nothing is applied."""
    hold = Hold("before")
    box.script(hold, on="get")
    with process("run", "pause", box.add_run("live"), env=environment(box)) as child:
        hold.wait_arrived(20)
        child.send_signal(signal.SIGINT)
        what = ended(child)
    hold.release()
    assert what.status == 130
    assert "nothing was changed" in what.err
    assert box.history == ()


def test_a_signal_while_a_job_goes_on_tells_how_to_wait_again() -> None:
    """Interrupted while waiting, `batch` names the job and the command that takes the wait up again."""
    with Sandbox(require_token=True, behaviour=Behaviour(job_seconds=600)) as box:
        ref = box.add_run("live")
        settings = environment(box, FIELDING_TOKEN=box.token or "")
        ids = ["--account", 101, "--project", box.project_id, ref.target_group_id]
        with process("batch", "pause", *ids, env=settings) as child:
            assert child.stderr is not None
            assert child.stderr.readline() == "batch pause: job made, for 1 target groups\n"
            child.send_signal(signal.SIGTERM)
            what = ended(child)
        assert what.status == 143
        assert f"job {box.jobs[0].job_id} was made and goes on by itself" in what.err
        assert f"--idempotency-key {box.jobs[0].idempotency_key}" in what.err


def test_a_signal_while_a_job_is_made_tells_the_key(box: Sandbox) -> None:
    """Interrupted before the reply to the creation, `batch` says that there may be a job, and its key."""
    hold = Hold("after")
    box.script(hold, on="bulk-pause")
    ids = ["--account", 101, "--project", box.project_id, box.add_run("live").target_group_id]
    with process("batch", "pause", *ids, "--json", env=environment(box)) as child:
        hold.wait_arrived(20)
        child.send_signal(signal.SIGINT)
        what = ended(child)
    hold.release()
    assert (what.status, what.out) == (130, "")
    assert "the job may or may not have been made" in what.err
    assert f"--idempotency-key {box.jobs[0].idempotency_key}" in what.err


def test_ctrl_c_ends_a_wait_for_standard_input(box: Sandbox) -> None:
    """`batch … -` with nobody typing ends on SIGINT at once, without a traceback."""
    ids = ["--account", 101, "--project", box.project_id, "-"]
    with process("batch", "pause", *ids, env=environment(box), stdin=subprocess.PIPE, stderr=None) as child:
        pass_stdin = child.stdin
        assert pass_stdin is not None
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(1.5)
        child.send_signal(signal.SIGINT)
        assert child.wait(20) == 130


def test_a_second_signal_ends_at_once(box: Sandbox) -> None:
    """A process that was signalled twice does not wait for anything."""
    code = (
        "import asyncio, sys\n"
        "from fielding_async.cli.shared.signal_handling import run_async\n"
        "async def stubborn():\n"
        "    print('ready', flush=True)\n"
        "    while True:\n"
        "        try: await asyncio.sleep(60)\n"
        "        except asyncio.CancelledError: print('cancelled', flush=True)\n"
        "run_async(stubborn)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "cancelled\n"
        child.send_signal(signal.SIGTERM)
        what = ended(child)
    assert what.status == 143
    assert "stopped at once" in what.err


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_sandbox_serves_until_it_is_stopped(signum: signal.Signals, status: int) -> None:
    """`sandbox --json` tells all on one line, the command line works against it, and a signal ends it cleanly."""
    arguments = ["sandbox", "--json", "--runs", 5, "--require-token", "--rate", 500, "--seed", 3]
    with process(*arguments, env=environment()) as server:
        assert server.stdout is not None
        told = json.loads(server.stdout.readline())
        assert [run["status"] for run in told["runs"]] == ["scheduled", "live", "paused", "completed", "scheduled"]
        assert told["environment"] == {"FIELDING_BASE_URL": told["url"], "FIELDING_TOKEN": told["token"]}
        with process("run", "pause", told["runs"][1]["ref"], env=environment() | told["environment"]) as client:
            what = ended(client)
        assert (what.status, what.out.splitlines()[0], what.err) == (0, "pause: done", "")
        server.send_signal(signum)
        what = ended(server)
    assert (what.status, what.out) == (status, "")


def test_the_sandbox_for_people_can_be_followed_word_for_word() -> None:
    """What `sandbox` prints fits 80 columns where it is not to be copied, and its example works as printed."""
    with process("sandbox", "--runs", 8, env=environment()) as server:
        assert server.stdout is not None
        lines: list[str] = []
        while not lines or not lines[-1].startswith("Ctrl-C"):
            lines.append(server.stdout.readline().rstrip("\n"))
        exports = dict(line.split("export ", 1)[1].split("=", 1) for line in lines if "export " in line)
        assert set(exports) == {"FIELDING_BASE_URL", "FIELDING_TOKEN"}
        assert all(len(line) <= 80 for line in lines if not line.startswith("  fielding "))
        example = next(line for line in lines if line.startswith("  fielding run "))
        with process(*example.split()[1:], env=environment() | exports) as client:
            assert ended(client).status == 0
        server.send_signal(signal.SIGINT)
        assert ended(server).status == 130


def test_a_port_in_use_is_one_line_and_exit_2() -> None:
    """`sandbox --port` on a port in use says so and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with process("sandbox", "--port", port, env=environment()) as child:
            what = ended(child)
    assert (what.status, what.out, len(what.err.splitlines())) == (2, "", 1)
    assert f"port {port}: the port is in use" in what.err


def test_a_closed_pipe_is_no_failure(box: Sandbox) -> None:
    """With nobody reading stdout, or with it closed, the work is done and its status stands, in silence."""
    refs = [box.add_run("live") for _ in range(2)]
    reading, writing = os.pipe()
    os.close(reading)
    with process("run", "pause", refs[0], env=environment(box), stdout=writing) as child:
        assert ended(child) == Ended(0, None, "")  # type: ignore[arg-type]
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
        what = ended(child)
    assert what.status == 1
    assert "the output could not be written" in what.err


@pytest.mark.parametrize(
    ("settings", "coloured"), [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False)]
)
def test_colours_are_for_terminals_that_want_them(box: Sandbox, settings: dict[str, str], coloured: bool) -> None:
    """On a terminal what failed is red, unless NO_COLOR is set."""
    ours, theirs = pty.openpty()
    ids = ["--account", 101, "--project", box.project_id, "A" * 26]
    box.add_run("live")
    with process("batch", "pause", *ids, env=environment(box, **settings), stdout=theirs) as child:
        os.close(theirs)
        assert child.wait(20) == 1
    shown = os.read(ours, 10_000).decode()
    os.close(ours)
    assert "TargetGroupNotFound" in shown
    assert ("\x1b[31m" in shown) is coloured


def test_an_encoding_that_lacks_characters_is_no_trouble(box: Sandbox) -> None:
    """Under an ASCII locale tables and texts are written with what there is."""
    ids = ["--account", 101, "--project", box.project_id, "A" * 26]
    box.add_run("live")
    with process("batch", "pause", *ids, env=environment(box, PYTHONIOENCODING="ascii")) as child:
        what = ended(child)
    assert what.status == 1
    assert what.out.isascii()
    assert "TargetGroupNotFound" in what.out


def test_without_its_libraries_the_command_line_gives_one_line_of_advice() -> None:
    """Without click or rich, `main` says what to install and returns 2; the SDK itself needs neither."""
    for name in ("click", "rich"):
        code = (
            f"import sys; sys.modules[{name!r}] = None\n"
            "import fielding_async.session, fielding_async.sandbox\n"
            "from fielding_async.__main__ import main\n"
            "sys.exit(main())"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == "fielding: the command line needs two more packages: pip install 'fielding-async[cli]'\n"
