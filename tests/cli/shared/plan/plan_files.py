"""Plans as files, and what is read from them."""

from pathlib import Path

from fielding_async.cli.shared.plan.file import PlanFile
from fielding_async.cli.shared.plan.row import COLUMNS, BadLine, Defaults, PlanRow
from fielding_async.core.models import RunRef

PROJECT, GROUP = "0" * 26, "1" * 26

HEADER = ",".join(COLUMNS)

END = "2031-05-17T12:30:15Z"

PAUSE = f"101,{PROJECT},{GROUP},RUN1,pause,,"

NONE = Defaults()

REF = RunRef(101, PROJECT, GROUP, "RUN1")


def plan(content: str | bytes, tmp_path: Path, name: str = "plan.csv") -> PlanFile:
    """A plan with this content."""
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return PlanFile(str(path))


def read(content: str | bytes, tmp_path: Path, defaults: Defaults = NONE) -> list[PlanRow | BadLine]:
    """What a plan with this content holds."""
    with plan(content, tmp_path) as file:
        return list(file.rows(defaults))


def bad(line: int, *cells: str, tmp_path: Path) -> str:
    """What is wrong with a line of these cells."""
    (found,) = read("\n".join([HEADER, *[""] * (line - 2), ",".join(cells)]), tmp_path)
    assert isinstance(found, BadLine)
    assert found.line == line
    return found.text
