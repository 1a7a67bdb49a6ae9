"""A journal of a plan that was applied: done, there already, failed, and skipped, on five runs."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from attrs import frozen

from fielding_async import Pause, Resume, RunRef, Update
from fielding_async.sandbox import Sandbox
from tests.cli.apply.plans import Row, write_plan
from tests.cli.command_line import Cli

CLOSING = datetime(2031, 5, 17, 12, 30, 15, tzinfo=UTC)


@frozen
class Applied:
    """A plan's rows, and its journal."""

    rows: list[Row]
    journal: Path

    @property
    def refs(self) -> list[RunRef]:
        """The runs of the rows."""
        return [ref for ref, _ in self.rows]


@pytest.fixture
def applied(box: Sandbox, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Applied:
    """A plan of seven rows, applied."""
    monkeypatch.chdir(tmp_path)
    live, dated, paused, over = (box.add_run(status) for status in ("live", "live", "paused", "completed"))
    rows: list[Row] = [
        (live, Pause()),
        (dated, Update(end_fielding_at=CLOSING)),
        (paused, Pause()),
        (over, Pause()),
        (over, Resume()),
        (live, Resume()),
    ]
    write_plan(tmp_path / "plan.csv", rows)
    assert cli("apply", "plan.csv", "--yes", "--concurrency", 1).status == 1
    return Applied(rows, tmp_path / "plan.csv.journal")
