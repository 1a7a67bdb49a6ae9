"""A journal without its head: the warning is a message for the user, however Python is told to treat warnings."""

import subprocess
import sys
from pathlib import Path

import pytest

from fielding_async import Pause
from fielding_async.sandbox import Sandbox
from tests.cli.apply.plans import write_plan
from tests.cli.command_line import environment


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
