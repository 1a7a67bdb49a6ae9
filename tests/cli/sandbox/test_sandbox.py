"""`fielding sandbox`."""

import json
import re
import signal
import socket
import stat
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command_line import HANG, Cli, end_of, environment, process

pytestmark = pytest.mark.once


def printed(server: subprocess.Popen[str]) -> list[str]:
    """Return the lines that a sandbox prints when it starts."""
    assert server.stdout is not None
    lines: list[str] = []
    while not lines or not lines[-1].startswith("Ctrl-C"):
        line = server.stdout.readline()
        assert line, "it ended"
        lines.append(line.rstrip("\n"))
    return lines


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
    assert (what.status, what.out, what.err) == (status, "", "The sandbox has stopped.\n")


def test_the_sandbox_for_people_can_be_followed_word_for_word() -> None:
    """What `sandbox` prints fits 80 columns where it is not to be copied, and its example works as printed."""
    with process("sandbox", "--runs", 8, env=environment()) as server:
        lines = printed(server)
        exports = dict(line.split("export ", 1)[1].split("=", 1) for line in lines if "export " in line)
        assert set(exports) == {"FIELDING_BASE_URL", "FIELDING_TOKEN"}
        assert all(len(line) <= 80 for line in lines if not line.startswith("  fielding "))
        example = next(line for line in lines if line.startswith("  fielding run "))
        with process(*example.split()[1:], env=environment() | exports) as client:
            assert end_of(client).status == 0
        server.send_signal(signal.SIGINT)
        assert end_of(server).status == 130


def told_by(*arguments: object) -> tuple[dict[str, Any], str]:
    """Start a sandbox with `--json`, and return what it told on stdout and stderr."""
    with process("sandbox", "--json", *arguments, env=environment()) as server:
        assert server.stdout is not None
        told = json.loads(server.stdout.readline())
        server.send_signal(signal.SIGINT)
        return told, end_of(server).err


def test_the_token_is_another_one_at_each_start() -> None:
    """It is made at random, whatever the seed, and told whether it is required or not."""
    started = [told_by("--seed", 3, *options)[0] for options in ((), ("--require-token",), ("--require-token",))]
    assert [told["token_required"] for told in started] == [False, True, True]
    tokens = {told["token"] for told in started}
    assert len(tokens) == 3
    assert all(re.fullmatch(r"sandbox\.[\w-]{43}", token) for token in tokens)
    assert [told["environment"]["FIELDING_TOKEN"] for told in started] == [told["token"] for told in started]
    assert len({told["project_id"] for told in started}) == 1


def test_what_is_told_on_a_network_can_be_used_as_printed() -> None:
    """Listening on all addresses it asks for its token, and names the loopback URL and the way for other machines."""
    with process("sandbox", "--host", "0.0.0.0", "--allow-host", "box.example", env=environment()) as server:
        lines = printed(server)
        exports = dict(line.split("export ", 1)[1].split("=", 1) for line in lines if "export " in line)
        url, token = exports["FIELDING_BASE_URL"], exports["FIELDING_TOKEN"]
        assert url.startswith("http://127.0.0.1:")
        ref = next(line.split()[3] for line in lines if line.startswith("  fielding run "))
        for host, bearer, status in (
            ("localhost", token, 200),
            ("box.example", token, 200),
            ("box.example", "another", 401),
            ("evil.example", token, 421),
        ):
            assert status_of(url, ref, host, bearer) == status
        server.send_signal(signal.SIGINT)
        err = end_of(server).err
    port = url.removesuffix("/v1").rpartition(":")[2]
    assert f"ssh -L {port}:127.0.0.1:{port}" in err
    assert "--allow-host" in err


def status_of(url: str, ref: str, host: str, token: str) -> int:
    """GET a run under this host name, and return the status."""
    account, project, group, run = ref.split("/")
    path = f"/demand/accounts/{account}/projects/{project}/target-groups/{group}/fielding-runs/{run}"
    headers = {"Host": host, "Authorization": f"Bearer {token}", "Cint-API-Version": "2025-12-18"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url + path, headers=headers), timeout=HANG) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_an_address_that_the_sdk_refuses_is_not_offered_to_it() -> None:
    """Listening on one address of a network, no command is printed that would be refused, and why is told."""
    with process("sandbox", "--host", (address := _own_address()), env=environment()) as server:
        lines = printed(server)
        server.send_signal(signal.SIGINT)
        err = end_of(server).err
    assert lines[0].startswith(f"The sandbox serves at http://{address}:")
    assert lines[1].startswith("Every request needs this token")
    assert not [line for line in lines if "export" in line or line.startswith("  fielding ")]
    assert "plain http to loopback addresses only" in err


def _own_address() -> str:
    """Return an address of this machine that is none of the loopback; skips the test where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no address beside loopback")
        return str(probe.getsockname()[0])


@pytest.mark.parametrize("name", ["box.example:80", "http://box", "a b", "*"])
def test_a_host_name_that_is_none_is_exit_2(cli: Cli, name: str) -> None:
    """`--allow-host` with a scheme, a port or a pattern says what it takes."""
    ended = cli("sandbox", "--allow-host", name)
    assert (ended.status, ended.out) == (2, "")
    assert f"--allow-host {name!r}: must be" in ended.err


def test_a_port_in_use_is_one_line_and_exit_2() -> None:
    """`sandbox --port` on a port in use says so and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with process("sandbox", "--port", port, env=environment()) as child:
            what = end_of(child)
    assert (what.status, what.out, len(what.err.splitlines())) == (2, "", 1)
    assert f"port {port}: the port is in use" in what.err


def asked(told: dict[str, Any], path: str) -> Any:
    """GET from the control door of a sandbox."""
    headers = {"Authorization": f"Bearer {told['control_token']}"}
    request = urllib.request.Request(told["control_url"] + path, headers=headers)
    with urllib.request.urlopen(request, timeout=HANG) as reply:
        return json.loads(reply.read())


def test_options_set_limits_faults_and_latency(tmp_path: Path) -> None:
    """What the options say is what the control door shows; the token of the door is kept in a file of its owner."""
    file = tmp_path / "token"
    options = ("--rate", 5, "--limit", "token-bucket", "--burst", 3, "--retry-after", "date", "--in-flight", 9)
    more = ("--latency", 0.2, "--jitter", 0.1, "--fault", "cut:after@pause", "--fault", "2*status:503@GET")
    arguments = ["--json", "--runs", 1, "--drafts", 2, *options, *more, "--control-token-file", file]
    with process("sandbox", *arguments, env=environment()) as server:
        assert server.stdout is not None
        told = json.loads(server.stdout.readline())
        state = asked(told, "")
        server.send_signal(signal.SIGINT)
        assert end_of(server).status == 130
    assert len(told["drafts"]) == 2
    assert file.read_text().strip() == told["control_token"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (state["rate_limit"], state["in_flight_limit"], state["latency"], state["jitter"]) == (5, 9, 0.2, 0.1)
    assert len(state["unused_faults"]) == 3


def test_a_token_of_the_caller_is_never_printed(tmp_path: Path) -> None:
    """A control token that was in the file before opens the door, and is in no output; the file is named."""
    file = tmp_path / "token"
    file.write_text(f"{(token := 'secret-of-the-caller')}\n")
    with process("sandbox", "--json", "--runs", 0, "--control-token-file", file, env=environment()) as server:
        assert server.stdout is not None
        out = server.stdout.readline()
        told = json.loads(out)
        assert asked(told | {"control_token": token}, "")["runs"] == 0
        server.send_signal(signal.SIGINT)
        err = end_of(server).err
    assert token not in out + err
    assert (told["control_token"], told["control_token_file"]) == (None, str(file))
    assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+/", told["page_url"])
    with process("sandbox", "--runs", 0, "--control-token-file", file, env=environment()) as server:
        lines = printed(server)
        server.send_signal(signal.SIGINT)
        err = end_of(server).err
    assert token not in "\n".join([*lines, err])
    assert f"  {file}" in lines


def test_a_client_fetches_its_tokens() -> None:
    """With `--token-life` what is printed holds a client's id and secret, and the command line works with them."""
    with process("sandbox", "--json", "--runs", 2, "--token-life", 60, env=environment()) as server:
        assert server.stdout is not None
        told = json.loads(server.stdout.readline())
        names = {"FIELDING_BASE_URL", "FIELDING_CLIENT_ID", "FIELDING_CLIENT_SECRET", "FIELDING_TOKEN_URL"}
        assert (set(told["environment"]), told["token"], told["token_required"]) == (names, None, True)
        with process("run", "pause", told["runs"][1]["ref"], env=environment() | told["environment"]) as client:
            assert end_of(client).status == 0
        server.send_signal(signal.SIGTERM)
        assert end_of(server).status == 143


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--fault", "cut:befor"), "did you mean 'before'?"),
        (("--fault", "cut:after@puase"), "did you mean 'pause'?"),
        (("--burst", 2), "--burst: needs --rate"),
        (("--retry-after", "date"), "--retry-after: needs --rate or --in-flight"),
        (("--rate", 5, "--burst", 2), "burst is for buckets only"),
        (("--rate", 5, "--limit", "leaky-bucket", "--window", 2), "window is not for buckets"),
        (("--jitter", 1), "--jitter: needs --latency"),
        (("--latency", 1, "--jitter", 2), "at most seconds"),
        (("--control-token-file", "/nowhere/token"), "--control-token-file"),
    ],
)
def test_options_that_do_not_fit_are_exit_2(cli: Cli, arguments: tuple[object, ...], said: str) -> None:
    """What an option would do silently, or never, is refused before anything is served."""
    ended = cli("sandbox", *arguments)
    assert (ended.status, ended.out) == (2, "")
    assert said in ended.err
