"""Plans as pandas, polars, pyarrow, DuckDB, sqlite3, jq, R, LibreOffice and PowerShell write them."""

import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from fielding_async.cli.shared.plan.file import PlanFile
from fielding_async.cli.shared.plan.row import BadLine, Defaults, PlanRow
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import RunStatus
from fielding_async.sandbox import Sandbox
from tests.cli.command_line import Cli

CORPUS = Path(__file__).parent / "corpus"

EXPECTED: list[dict[str, Any]] = tomllib.loads((CORPUS / "expected.toml").read_text(encoding="utf-8"))["plan"]

NO_PLANS = {"README.md", "make.sh", "expected.toml", ".gitattributes"}


def _read(name: str, defaults: Defaults) -> list[PlanRow | BadLine]:
    with PlanFile(str(CORPUS / name)) as file:
        return list(file.rows(defaults))


def _said(plan: dict[str, Any]) -> dict[str, Any]:
    """What is made of a file: the number of its rows, or the message, or the messages of its lines."""
    defaults = Defaults(plan.get("account"), None, ignores_extra=plan.get("ignore_columns", False))
    try:
        rows = _read(plan["file"], defaults)
    except ConfigurationError as error:
        return {"refused": error.message.replace(str(CORPUS / plan["file"]), plan["file"])}
    bad = [f"line {row.line}: {row.text}" for row in rows if isinstance(row, BadLine)]
    return {"lines": bad} if bad else {"rows": len(rows)}


def _title(plan: dict[str, Any]) -> str:
    return " ".join([plan["file"], *(option for option in ("account", "ignore_columns") if option in plan)])


@pytest.mark.parametrize("plan", EXPECTED, ids=_title)
def test_each_file_is_taken_or_refused_with_this_message(plan: dict[str, Any]) -> None:
    """A file is taken with so many rows, or refused with exactly this message."""
    assert _said(plan) == {key: value for key, value in plan.items() if key in {"rows", "refused", "lines"}}


@pytest.mark.parametrize("plan", [plan for plan in EXPECTED if "rows" in plan and "other" not in plan], ids=_title)
def test_what_is_taken_says_what_its_source_says(plan: dict[str, Any]) -> None:
    """No program's form changes a row: the runs, the actions and the dates to the millisecond are the same."""
    rows = _read(plan["file"], Defaults(plan.get("account"), ignores_extra=plan.get("ignore_columns", False)))
    source = _read("source.csv", Defaults())
    assert [(row.ref, row.action) for row in rows if isinstance(row, PlanRow)] == [
        (row.ref, row.action) for row in source if isinstance(row, PlanRow)
    ]


def test_every_file_is_checked_and_explained() -> None:
    """No file is left out of the expectations, and each is in the README by its name or a pattern."""
    names = {path.name for path in CORPUS.iterdir()} - NO_PLANS
    assert names == {plan["file"] for plan in EXPECTED}
    cells = [line.split("|")[1] for line in (CORPUS / "README.md").read_text().splitlines() if line.startswith("| `")]
    patterns = [pattern.strip(" `") for cell in cells for pattern in cell.split(",")]
    told = {name for name in names if any(fnmatch(name, pattern) for pattern in patterns)}
    assert names - told == {"source.csv"}


@pytest.mark.parametrize("name", ["pandas-failed.csv", "duckdb-failed.csv"])
def test_rows_that_failed_are_a_plan_after_another_program_wrote_them(
    name: str, box: Sandbox, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of failed rows, read and written by pandas or DuckDB, is applied."""
    monkeypatch.chdir(tmp_path)
    for row in _read("source.csv", Defaults()):
        assert isinstance(row, PlanRow)
        ref = row.ref
        status = RunStatus.LIVE if row.action.name == "pause" else RunStatus.SCHEDULED
        box.add_run(
            status,
            account_id=ref.account_id,
            project_id=ref.project_id,
            target_group_id=ref.target_group_id,
            fielding_run_id=ref.fielding_run_id,
        )
    Path("plan.csv").write_bytes((CORPUS / name).read_bytes())
    ended = cli("apply", "plan.csv", "--yes", "--json")
    assert ended.status == 0, ended.err
    assert sum(write.by == "client" for write in box.history) == 3
