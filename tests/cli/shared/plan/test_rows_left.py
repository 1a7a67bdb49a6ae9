"""A plan that is read again from the middle, and lines that are read with one match."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal
from zlib import crc32

import pytest

from fielding_async.cli.shared.plan import line_reader
from fielding_async.cli.shared.plan.checked_plan import Block, CheckedPlan, check_plan, rows_left
from fielding_async.cli.shared.plan.file import PlanFile
from fielding_async.cli.shared.plan.lines import Place
from fielding_async.cli.shared.plan.row import BadLine, Defaults, PlanRow
from fielding_async.core.errors import ConfigurationError
from tests.cli.shared.plan.plan_files import END, GROUP, HEADER, PROJECT, plan, read

COUNT = 900
NONE = Defaults()


def csv(number: int) -> str:
    return f"101,{PROJECT},{GROUP},R{number},pause,,\n"


def spread_out(number: int) -> str:
    """Rows of all forms: quoted over two lines, behind blank lines, with CR LF, dates and what is not ASCII."""
    kinds = (
        csv(number),
        f'101,{PROJECT},{GROUP},"R{number}",update,,"\n{END}"\n',
        "\n" + csv(number),
        csv(number).replace("\n", "\r\n"),
        f" 101,{PROJECT},{GROUP},R{number},update,,2031-05-17 14:30:15+02\n",
        f"101,{PROJECT},{GROUP},R\N{SNOWMAN}{number},pause,,\n",
        csv(number).replace("\n", "\r"),
    )
    return kinds[number % len(kinds)]


def json(number: int) -> str:
    ids = f'"account_id": 101, "project_id": "{PROJECT}", "target_group_id": "{GROUP}", "fielding_run_id"'
    return f'{{{ids}: "R\N{SNOWMAN}{number}", "action": "pause"}}\n'


FORMS: dict[str, str] = {
    "csv": f"{HEADER}\n{''.join(map(csv, range(COUNT)))}",
    "with a byte order mark": f"\N{ZERO WIDTH NO-BREAK SPACE}\n{HEADER}\r\n{''.join(map(csv, range(COUNT)))}",
    "of all forms": f"sep=,\n{HEADER}\n{''.join(map(spread_out, range(COUNT)))}",
    "json": f"\n{''.join(map(json, range(COUNT)))}",
    "without a last end": f"{HEADER}\n{''.join(map(csv, range(COUNT)))}"[:-1],
    "exactly three blocks": f"{HEADER}\n{''.join(map(csv, range(768)))}",
}


def digest(row: PlanRow) -> int:
    return crc32(str(row.ref).encode())


def checked_and_rows(file: PlanFile) -> tuple[CheckedPlan, list[PlanRow]]:
    checked = check_plan(file.rows(NONE), place=lambda: file.place, row_digest=digest)
    assert not checked.bad
    return checked, [row for row in file.rows(NONE) if isinstance(row, PlanRow)]


def left(file: PlanFile, checked: CheckedPlan, passed: Callable[[Block], Block | None]) -> Iterator[PlanRow | Block]:
    def again(start: Place | None) -> Iterator[PlanRow | BadLine]:
        return file.rows(NONE, start=start)

    return rows_left(again, checked, passed)


@pytest.mark.parametrize("form", FORMS)
def test_blocks_that_are_passed_over_are_not_read(tmp_path: Path, form: str) -> None:
    """Whatever blocks these are, the other rows are those of the plan, with their lines."""
    with plan(FORMS[form], tmp_path) as file:
        checked, rows = checked_and_rows(file)
        assert len(rows) == checked.rows >= 768
        blocks = len(checked.blocks)
        for passed in range(1 << blocks):

            def is_passed(block: Block, passed: int = passed) -> Block | None:
                return block if passed >> block.first // 256 & 1 else None

            found = [*left(file, checked, is_passed)]
            wanted: list[PlanRow | int] = []
            for number in range(blocks):
                wanted += [number * 256] if passed >> number & 1 else rows[number * 256 : number * 256 + 256]
            assert [each.first if isinstance(each, Block) else each for each in found] == wanted


def test_a_block_says_which_rows_it_holds(tmp_path: Path) -> None:
    """The check sum is over the digests of the rows, so that a journal can be asked whether it has the same ones."""
    with plan(FORMS["csv"], tmp_path) as file:
        checked, rows = checked_and_rows(file)
        blocks = [each for each in left(file, checked, lambda block: block) if isinstance(each, Block)]
    assert [(block.first, block.rows) for block in blocks] == [(0, 256), (256, 256), (512, 256), (768, 132)]
    order: Literal["little", "big"] = "little" if memoryview(b"\1\0").cast("H")[0] == 1 else "big"
    sums = [b"".join(digest(row).to_bytes(4, order) for row in rows[n : n + 256]) for n in range(0, COUNT, 256)]
    assert [block.check_sum for block in blocks] == [*map(crc32, sums)]


@pytest.mark.parametrize("changed", [300, 767, 768, COUNT - 1])
def test_a_plan_changed_behind_what_is_passed_over_is_not_used(tmp_path: Path, changed: int) -> None:
    """The first block is passed over, and the row that changed is in a later one."""
    with plan(FORMS["csv"], tmp_path) as file:
        checked, rows = checked_and_rows(file)
        path = tmp_path / "plan.csv"
        path.write_text(path.read_text().replace(f",R{changed},pause", f",R{changed},resum"))
        taken: list[PlanRow] = []
        found = left(file, checked, lambda block: None if block.first else block)
        assert isinstance(next(found), Block)
        with pytest.raises(ConfigurationError, match="was changed while it was being applied"):
            taken.extend(_each(found, taken))
        assert taken == rows[256 : changed // 256 * 256]


def _each(rows: Iterator[PlanRow | Block], taken: list[PlanRow]) -> Iterator[PlanRow]:
    for row in rows:
        assert isinstance(row, PlanRow)
        taken.append(row)
    yield from ()


def test_without_places_nothing_is_passed_over() -> None:
    """Rows that were checked without a file have no places."""
    rows = list(line_reader.read_lines([f"{HEADER}\n", *map(csv, range(300))], NONE))
    checked = check_plan(rows)
    assert [*rows_left(lambda _: rows, checked, lambda block: block)] == rows


LINES = [
    f"101,{PROJECT},{GROUP},RUN1,pause,,",
    f"0101,{PROJECT},{GROUP},RUN1,pause,,",
    f"9999999999,{PROJECT},{GROUP},RUN1,pause,,",
    f"101,{PROJECT},{GROUP},NA,pause,,",
    f"101,{PROJECT},{GROUP},{'R' * 300},pause,,",
    f"101,{PROJECT[1:]},{GROUP},RUN1,pause,,",
    f"101,{PROJECT},{GROUP},,pause,,",
    f"101,{PROJECT},{GROUP},RUN1,Pause,,",
    f"101,{PROJECT},{GROUP},RUN1,launch-now,,",
    f"101,{PROJECT},{GROUP},RUN1,archive,,",
    f"101,{PROJECT},{GROUP},RUN1,pause,,{END}",
    f"101,{PROJECT},{GROUP},RUN1,update,,{END}",
    f"101,{PROJECT},{GROUP},RUN1,update,{END},{END}",
    f"101,{PROJECT},{GROUP},RUN1,update,,",
    f"101,{PROJECT},{GROUP},RUN1,update,,2031-05-17",
    f"101,{PROJECT},{GROUP},RUN1,pause",
    f"101,{PROJECT},{GROUP},RUN1,pause,,,",
    f'101,{PROJECT},{GROUP},"RUN1",pause,,',
    f"101,{PROJECT},{GROUP},RUN1,pause,,\r",
    "# a comment",
    "",
]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "order", [(0, 1, 2, 3, 4, 5, 6), (6, 4, 3, 2, 1, 0, 5), (0, 1, 2, 3, 4), (0, 1, 2, 3, 4, 6)], ids=str
)
def test_a_line_that_is_read_with_one_match_says_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: tuple[int, ...], end: str
) -> None:
    """Each row, and what is wrong with each line, is what reading it cell by cell finds."""
    lines: list[str] = []
    for line in [HEADER, *LINES]:
        cells = line.split(",")
        lines.append(",".join(cells[place] for place in order) if len(cells) == 7 else line)
    content = end.join(lines)
    quickly = read(content, tmp_path)
    monkeypatch.setattr(line_reader, "_plain_line", _no_plain_line)
    assert read(content, tmp_path) == quickly
    assert sum(isinstance(row, PlanRow) for row in quickly) >= 4


def _no_plain_line(_columns: list[str], _delimiter: str) -> None:
    return None
