"""`fielding demo`."""

import subprocess
from collections.abc import Iterator
from inspect import getattr_static
from typing import Any

import pytest

from fielding_async.cli.demo.fault_plan import ACTIONS
from fielding_async.sandbox import Sandbox, Write
from tests.cli.command_line import HANG, Cli, Ended, environment, process

pytestmark = pytest.mark.once

MISLEADING = {
    "FIELDING_TOKEN": "two words",
    "FIELDING_BASE_URL": "nonsense",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "http_proxy": "http://127.0.0.1:9",
    "ALL_PROXY": "http://127.0.0.1:9",
}


@pytest.fixture(scope="module")
def demos() -> Iterator[dict[str, Ended]]:
    """Three demos, side by side to save time: for machines, for people, and for a reader that leaves."""
    with (
        process("demo", "--runs", 18, "--json", env=environment(None, **MISLEADING)) as machine,
        process("demo", "--runs", 7, env=environment()) as person,
        process("demo", "--runs", 1, env=environment()) as left,
    ):
        assert left.stdout is not None
        first = left.stdout.readline()
        left.stdout.close()
        ended = {"machine": ended_of(machine), "person": ended_of(person)}
        status = left.wait(HANG)
        assert left.stderr is not None
        yield ended | {"left": Ended(status, first, left.stderr.read())}


def ended_of(child: "subprocess.Popen[str]") -> Ended:
    """Wait for a process, and return what it left behind."""
    out, err = child.communicate(timeout=HANG)
    return Ended(child.returncode, out, err)


def test_the_demo_heals_all_it_meets_and_tells_the_truth(demos: dict[str, Ended]) -> None:
    """A demo meets 412s, 429s and lost replies, heals all, and ends well whatever settings are around."""
    ended = demos["machine"]
    assert (ended.status, ended.err) == (0, "")
    (report,) = ended.objects
    assert (report["ok"], report["runs"], report["problems"]) == (True, 18, [])
    assert [row["action"] for row in report["actions"]] == [*ACTIONS, "bulk-relaunch"]
    assert [row["runs"] for row in report["actions"]] == [18] * 5 + [12]
    total = report["total"]
    assert total["conflicts"] > 0
    assert total["rate_limited"] > 0
    assert total["lost"] == total["healed"] == 7
    assert report["history"]["writes_asked_for"] == report["history"]["writes_applied"] == 18 * 5 + 12
    assert report["history"]["writes_by_colleague"] > 0
    assert report["remarks"] == []


def test_the_demo_for_people_is_plain_lines_of_80_columns(demos: dict[str, Ended]) -> None:
    """Without a terminal the demo writes plain lines while it goes on, then a table and the verdict."""
    ended = demos["person"]
    assert (ended.status, ended.err) == (0, "")
    assert "\x1b" not in ended.out
    assert max(map(len, ended.out.splitlines())) <= 80
    assert "of 35 actions done" in ended.out
    assert "42 writes asked for, each applied exactly once." in ended.out


def test_the_demo_outlives_its_reader(demos: dict[str, Ended]) -> None:
    """A reader that leaves after the first line causes no traceback, and the exit status is that of the demo."""
    ended = demos["left"]
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("1 fielding run ")


def test_the_demo_says_what_is_wrong_and_exits_with_1(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the history lacks a write, the demo names run and action on stderr and exits with 1."""
    whole: Any = getattr_static(Sandbox, "history").fget

    def lacking(sandbox: Sandbox) -> tuple[Write, ...]:
        return tuple(write for write in whole(sandbox) if write.operation != "resume")

    monkeypatch.setattr(Sandbox, "history", property(lacking))
    ended = cli("demo", "--runs", 1, "--json")
    assert ended.status == 1
    (report,) = ended.objects
    assert not report["ok"]
    assert "the check failed" in ended.err
    assert any(problem.startswith("resume on 101/") and "applied never" in problem for problem in report["problems"])
