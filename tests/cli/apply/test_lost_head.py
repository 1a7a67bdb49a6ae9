"""A journal without its head: the warning is a message for the user, however Python is told to treat warnings."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fielding_async import Pause
from fielding_async.sandbox import Sandbox
from tests.cli.apply.plans import failing, live, write_plan
from tests.cli.command_line import Cli, environment

pytestmark = pytest.mark.once


@pytest.mark.parametrize("mode", ["default", "ignore", "error"])
def test_a_missing_head_is_told_in_one_line(fielding_sandbox: Sandbox, tmp_path: Path, mode: str) -> None:
    """Neither a line of source nor a traceback, and never silence."""
    write_plan(tmp_path / "plan.csv", [(fielding_sandbox.add_run("live"), Pause()) for _ in range(3)])
    told = []
    for _ in range(2):
        told.append(
            subprocess.run(
                [
                    sys.executable,
                    "-W",
                    mode,
                    "-m",
                    "fielding_async",
                    "apply",
                    "plan.csv",
                    "--yes",
                    "--concurrency",
                    "1",
                ],
                cwd=tmp_path,
                env=environment(fielding_sandbox),
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
        )
        journal = tmp_path / "plan.csv.journal"
        lines = journal.read_text().splitlines(keepends=True)
        groups = [number for number, line in enumerate(lines) if '"commit"' in line]
        journal.write_text("".join(lines[: groups[1]]))
        (tmp_path / "plan.csv.journal.head").unlink()
    assert [one.returncode for one in told] == [0, 0]
    assert "fielding: warning: journal='plan.csv.journal': its head" in told[1].stderr
    assert "await" not in told[1].stderr
    assert "Traceback" not in told[1].stderr


def test_it_is_told_before_anything_is_asked(box: Sandbox, cli: Cli, folder: Path) -> None:
    """Once, and in a dry run too; a plan that is finished has nothing to lose."""
    rows = [failing(box), *live(box, 3)]
    write_plan(folder / "plan.csv", rows)
    assert cli("apply", "plan.csv", "--yes", "--fail-fast", "--concurrency", 1).status == 1
    head = folder / "plan.csv.journal.head"
    head.unlink()
    warning = "fielding: warning: journal='plan.csv.journal': its head 'plan.csv.journal.head' is missing: "
    dry = cli("apply", "plan.csv", "--dry-run", "--json")
    assert dry.err.startswith(warning)
    assert dry.objects[0]["kind"] == "dry-run"
    asked = cli("apply", "plan.csv")
    assert asked.status == 2
    assert asked.err.index(warning) < asked.err.index("plan.csv: 4 rows (4 pause)") < asked.err.index("--yes")
    ended = cli("apply", "plan.csv", "--yes")
    assert ended.err.startswith(warning)
    assert ended.err.count("is missing") == 1
    assert len(box.history) == 3
    head.unlink()
    assert "is missing" not in cli("apply", "plan.csv", "--yes").err


def cut_back(journal: Path) -> None:
    """Leave the first two groups of a journal."""
    lines = journal.read_bytes().splitlines(keepends=True)
    groups = [number for number, line in enumerate(lines) if line.startswith(b'{"commit"')]
    journal.write_bytes(b"".join(lines[: groups[2]]))


@pytest.mark.parametrize("lose", [cut_back, Path.unlink])
def test_a_journal_that_is_lost_while_the_command_asks_is_refused(
    box: Sandbox, cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch, lose: Callable[[Path], None]
) -> None:
    """The answer was to a question about the journal that was there: what that had on record is not sent again."""
    write_plan(folder / "plan.csv", [*live(box, 5), failing(box), *live(box, 3)])
    cli("apply", "plan.csv", "--yes", "--fail-fast", "--concurrency", 1)
    sent = sum(request.operation is not None for request in box.requests)

    def ask() -> None:
        lose(folder / "plan.csv.journal")
        (folder / "plan.csv.journal.head").unlink()

    monkeypatch.setattr("fielding_async.cli.apply.preparation._ask", ask)
    ended = cli("apply", "plan.csv")
    assert ended.status == 2
    assert (
        "the journal plan.csv.journal was cut back or replaced after the command read it; no row was sent" in ended.err
    )
    assert sum(request.operation is not None for request in box.requests) == sent
