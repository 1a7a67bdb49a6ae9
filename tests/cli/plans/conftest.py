"""The command line with a database of plans, and a plan on five runs of a sandbox."""

from pathlib import Path

import pytest

from fielding_async import Pause, Resume, RunRef
from fielding_async.sandbox import Sandbox
from tests.cli.apply.plans import Row, write_plan
from tests.cli.command_line import Cli


@pytest.fixture
def database(postgres_url: str, monkeypatch: pytest.MonkeyPatch, cli: Cli, tmp_path: Path) -> str:
    """An empty database with the tables of plans, as the command line finds it; the folder is a fresh one."""
    monkeypatch.setenv("FIELDING_PLANS_URL", postgres_url)
    monkeypatch.chdir(tmp_path)
    assert cli("plans", "create-tables").status == 0
    return postgres_url


@pytest.fixture
def refs(box: Sandbox) -> list[RunRef]:
    """Runs of the sandbox: two live ones, a paused one, a completed one."""
    return [box.add_run(status) for status in ("live", "live", "paused", "completed")]


@pytest.fixture
def plan(database: str, refs: list[RunRef], tmp_path: Path) -> Path:
    """Six rows: three are accepted, two of them on one run; one is done already, one fails, one is skipped."""
    live, other, paused, over = refs
    rows: list[Row] = [
        (live, Pause()),
        (other, Pause()),
        (paused, Pause()),
        (over, Pause()),
        (over, Resume()),
        (live, Resume()),
    ]
    return write_plan(tmp_path / "plan.csv", rows)
