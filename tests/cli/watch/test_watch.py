"""`fielding watch`, as a process and in this one, against a sandbox."""

import asyncio
import os
import re
import signal
import subprocess
from collections.abc import Callable

import pytest

from fielding_async import RunRef
from fielding_async.sandbox import Hold, Sandbox, Status
from tests.cli.command_line import HANG, Cli, command, end_of, environment, full_pipe, process, shown_on, terminal

from .watched import PROJECT

pytestmark = pytest.mark.once

NAME = f"101/{PROJECT}"


@pytest.fixture
def refs(box: Sandbox) -> list[RunRef]:
    """A project with two runs, and a draft."""
    box.add_target_group(101, PROJECT, name="A draft", status="draft")
    groups = [box.add_target_group(101, PROJECT, name=f"Group {number}") for number in range(2)]
    return [
        box.add_run(status, target_group_id=group) for status, group in zip(["live", "paused"], groups, strict=True)
    ]


class Clock:
    """The time that rests take, which passes at once. What is due at a time is done then."""

    def __init__(self) -> None:
        self.time = 0.0
        self._due: list[tuple[float, Callable[[], object]]] = []

    def at(self, time: float, action: Callable[[], object]) -> None:
        """Do something when so much time has passed."""
        self._due.append((time, action))

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.time += seconds
        while self._due and self._due[0][0] <= self.time:
            self._due.pop(0)[1]()
        await asyncio.sleep(0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replace the rests of the command."""
    found = Clock()
    monkeypatch.setattr("fielding_async.cli.watch.command._sleep", found.sleep)
    return found


def interrupt() -> None:
    """Send this process what Ctrl-C sends."""
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it(box: Sandbox, refs: list[RunRef], signum: signal.Signals, status: int) -> None:
    """A line for each run was written before; the exit status is that of the signal, and only GETs were sent."""
    with process("watch", NAME, env=environment(box)) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in refs]
        child.send_signal(signum)
        ended = end_of(child)
    assert {line.split()[1] for line in lines} == set(map(str, refs))
    assert any(re.search(r"'Group 0': live, [\d,]+ of 1,000, end \d{4}-", line) for line in lines)
    assert ended.status == status
    assert ended.err == f"fielding: watch: interrupted by {signum.name}\n"
    assert {request.method for request in box.requests} == {"GET"}


def test_json_lines_name_the_change(box: Sandbox, cli: Cli, refs: list[RunRef], clock: Clock) -> None:
    """New runs, a change by somebody else, and a run that is gone; the rest between is that of `--every`."""
    clock.at(5.0, lambda: box.touch(refs[0], status="paused"))
    clock.at(10.0, interrupt)
    ended = cli("watch", NAME, "--json", "--every", "5")
    assert ended.status == 130
    *new, changed = ended.objects
    assert [(entry["change"], entry["ref"]) for entry in new] == [("new", entry["ref"]) for entry in new]
    assert {entry["ref"] for entry in new} == set(map(str, refs))
    assert (changed["change"], changed["ref"], changed["status"]) == ("changed", str(refs[0]), "paused")
    assert changed["before"]["status"] == "live"
    lists = [request.path for request in box.requests if request.path.endswith("/fielding-runs")]
    assert max(map(lists.count, lists)) == 2


def test_a_terminal_has_a_table(box: Sandbox, refs: list[RunRef]) -> None:
    """With every run, redrawn; it is left on the screen after Ctrl-C."""
    ours, theirs = terminal()
    env = environment(box, TERM="xterm-256color", LINES="24", COLUMNS="100")
    with subprocess.Popen(command("watch", NAME), env=env, stdin=theirs, stdout=theirs, stderr=theirs) as child:
        os.close(theirs)
        shown = shown_on(ours, "again in")
        child.send_signal(signal.SIGINT)
        shown += shown_on(ours)
        assert child.wait(HANG) == 130
    os.close(ours)
    final = shown[shown.rindex("\x1b[?1049l") :]
    assert "2 runs: 1 live, 1 paused" in final.replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert "Group 0" in final
    assert "Group 1" in final
    assert "interrupted by SIGINT" in final
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")


def test_an_outage_is_told_on_stderr(box: Sandbox, cli: Cli, refs: list[RunRef], clock: Clock) -> None:
    """Once, with the reason and when it is tried again, and once when it is over."""
    box.script(*[Status(418)] * 2, on="list-target-groups")
    clock.at(15.0, interrupt)
    ended = cli("watch", NAME, "--every", "5")
    assert ended.status == 130
    assert len(ended.out.splitlines()) == len(refs)
    first, _trace_id, second, *rest = ended.err.splitlines()
    assert first.startswith("fielding: watch: APIError: 418 ")
    assert second == "fielding: watch: the runs cannot be read; trying again every 5 s"
    assert [line for line in rest if "read again" in line] != []


def test_an_outage_is_a_json_object(box: Sandbox, cli: Cli, refs: list[RunRef], clock: Clock) -> None:
    """With its error, between what was read before and after it; one more says that it is over."""
    assert refs
    clock.at(5.0, lambda: box.script(Status(418), on="list-target-groups"))
    clock.at(15.0, interrupt)
    ended = cli("watch", NAME, "--every", "5", "--json")
    assert [entry["kind"] for entry in ended.objects] == ["change", "change", "outage", "outage-over"]
    assert (ended.objects[2]["error"], ended.objects[2]["status"]) == ("APIError", 418)
    assert ended.status == 130


def test_a_reader_that_leaves_ends_it(box: Sandbox, refs: list[RunRef]) -> None:
    """`fielding watch … | head -1`: quiet, with exit status 0, though nothing changes any more."""
    assert refs
    reading, writing = os.pipe()
    with process("watch", NAME, env=environment(box), stdout=writing) as child:
        os.close(writing)
        with os.fdopen(reading) as lines:
            assert lines.readline()
        assert child.wait(HANG) == 0
        assert child.stderr is not None
        assert child.stderr.read() == ""


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_signal_ends_it_while_its_reader_reads_nothing(
    box: Sandbox, refs: list[RunRef], more: tuple[str, ...]
) -> None:
    """The command does not wait for a pipe that is full."""
    for number in range(50):
        box.add_run("live", target_group_id=box.add_target_group(101, PROJECT, name=f"Long {'name ' * 20}{number}"))
    with (
        full_pipe() as (writing, wait_until_written),
        process("watch", NAME, *more, env=environment(box), stdout=writing) as child,
    ):
        wait_until_written()
        child.send_signal(signal.SIGTERM)
        assert child.wait(HANG) == 143
        assert child.stderr is not None
        assert child.stderr.read() == "fielding: watch: interrupted by SIGTERM\n"


@pytest.mark.parametrize(
    ("wrong", "remedy"),
    [
        (["101"], "give 101/PROJECT"),
        ([NAME, "--every", "4.9"], "from 5"),
        ([NAME, "--every", "nan"], "from 5"),
        ([NAME, "--every", "inf"], "to 86400"),
        ([NAME, "--every", "soon"], "number of seconds"),
    ],
)
def test_a_mistake_is_told_with_its_remedy(box: Sandbox, cli: Cli, wrong: list[str], remedy: str) -> None:
    """Exit status 2, and no request."""
    ended = cli("watch", *wrong)
    assert (ended.status, ended.out, box.requests) == (2, "", ())
    assert remedy in ended.err


def test_a_project_that_is_not_there_ends_it(cli: Cli, refs: list[RunRef]) -> None:
    """Exit status 1, and the command that shows what there is."""
    assert refs
    ended = cli("watch", "101/01BTGNYV6HRNK8K8VKZASZCFZZ")
    assert (ended.status, ended.out) == (1, "")
    assert "`fielding list projects 101`" in ended.err


def test_a_token_that_is_not_accepted_ends_it(box: Sandbox, cli: Cli, refs: list[RunRef]) -> None:
    """Exit status 1: nothing would renew it."""
    assert refs
    box.refuse("secret-token-of-the-test")
    ended = cli("watch", NAME)
    assert ended.status == 1
    assert "FIELDING_TOKEN" in ended.err


def test_a_signal_during_a_read_ends_it(box: Sandbox, refs: list[RunRef]) -> None:
    """Nothing waits for the reply."""
    assert refs
    hold = Hold("before")
    box.script(hold, on="list-target-groups")
    with process("watch", NAME, env=environment(box)) as child:
        hold.wait_arrived(HANG)
        child.send_signal(signal.SIGINT)
        ended = end_of(child)
    hold.release()
    assert (ended.status, ended.out) == (130, "")
