"""A folder with a plan."""

from pathlib import Path

import pytest

from fielding_async.core.actions import Pause
from fielding_async.sandbox import Sandbox
from tests.cli.apply.plans import ROWS, Row, write_plan


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the command is given in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def rows(box: Sandbox, tmp_path: Path) -> list[Row]:
    """A plan `plan.csv` in the test's folder: a pause on each of some live runs."""
    rows: list[Row] = [(box.add_run("live"), Pause()) for _ in range(ROWS)]
    write_plan(tmp_path / "plan.csv", rows)
    return rows
