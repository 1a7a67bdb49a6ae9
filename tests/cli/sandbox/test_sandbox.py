"""`fielding sandbox`."""

import json
import signal
import socket

import pytest

from tests.cli.command_line import end_of, environment, process


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
            what = end_of(client)
        assert (what.status, what.out.splitlines()[0], what.err) == (0, "pause: done", "")
        server.send_signal(signum)
        what = end_of(server)
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
            assert end_of(client).status == 0
        server.send_signal(signal.SIGINT)
        assert end_of(server).status == 130


def test_a_port_in_use_is_one_line_and_exit_2() -> None:
    """`sandbox --port` on a port in use says so and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with process("sandbox", "--port", port, env=environment()) as child:
            what = end_of(child)
    assert (what.status, what.out, len(what.err.splitlines())) == (2, "", 1)
    assert f"port {port}: the port is in use" in what.err
