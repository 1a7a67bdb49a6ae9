"""The column `if_match` of a plan: read, checked, part of what a plan is, and written again."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from fielding_async.cli.shared.plan.checked_plan import check_plan
from fielding_async.cli.shared.plan.line_reader import read_lines
from fielding_async.cli.shared.plan.row import BadLine, Defaults, PlanRow
from fielding_async.cli.shared.plan.writer import PlanWriter
from fielding_async.core.actions import PREVIOUS, Guarded, Pause
from tests.cli.shared.plan.plan_files import REF

HEADER = "ref,action,if_match\n"


def read(*lines: str, defaults: Defaults | None = None) -> list[PlanRow | BadLine]:
    return list(read_lines(lines, defaults or Defaults()))


def row(cell: str, header: str = HEADER) -> PlanRow | BadLine:
    (found,) = read(header, f"{REF},pause,{cell}\n")
    return found


@pytest.mark.parametrize(
    ("cell", "if_match"),
    [
        ('"W/""5"""', 'W/"5"'),
        ('"""5"""', '"5"'),
        (PREVIOUS, PREVIOUS),
        ('"\'=5"', "=5"),
        ("", None),
    ],
)
def test_the_cell_is_the_etag(cell: str, if_match: str | None) -> None:
    """A row is given to a batch with its ETag; an empty cell is none."""
    found = row(cell)
    assert isinstance(found, PlanRow)
    assert found.if_match == if_match
    order: Any = found.pair[1]
    assert order == (Pause() if if_match is None else Guarded(Pause(), if_match))


def test_json_has_the_key_as_well() -> None:
    """In JSON Lines it is a text; anything else is a bad line."""
    (found,) = read(json.dumps({"ref": str(REF), "action": "pause", "if_match": 'W/"5"'}))
    assert isinstance(found, PlanRow)
    assert found.if_match == 'W/"5"'
    (bad,) = read(json.dumps({"ref": str(REF), "action": "pause", "if_match": 5}))
    assert isinstance(bad, BadLine)
    assert "if_match '5' is not an ETag" in bad.text


@pytest.mark.parametrize("cell", ["*", "\x01", '"W/""\x7f"""'])
def test_what_cannot_be_sent_is_a_bad_line(cell: str) -> None:
    """A wildcard would send the row whatever the run is."""
    found = row(cell)
    assert isinstance(found, BadLine)
    assert "if_match" in found.text


@pytest.mark.parametrize("name", ["If-Match", "IF_MATCH", "if match"])
def test_the_column_is_found_in_any_spelling(name: str) -> None:
    """HTTP writes it with a hyphen."""
    found = row(PREVIOUS, f"ref,action,{name}\n")
    assert isinstance(found, PlanRow)
    assert found.if_match == PREVIOUS


def test_a_slip_in_its_name_is_never_left_out() -> None:
    """Without the column the rows would overwrite what somebody else wrote."""
    with pytest.raises(Exception, match="did you mean if_match"):
        read("ref,action,ifmatch\n", f"{REF},pause,previous\n", defaults=Defaults(ignores_extra=True))


def test_a_plan_with_another_etag_is_another_plan() -> None:
    """The digest is over the ETags too, and one without the column is what it was without it."""
    digests = {check_plan(read(HEADER, f"{REF},pause,{cell}\n")).digest for cell in ("", PREVIOUS, '"5"', '"6"')}
    assert len(digests) == 4
    plain = check_plan(read("ref,action\n", f"{REF},pause\n"))
    assert plain.digest in digests
    assert (plain.guarded, check_plan(read(HEADER, f"{REF},pause,previous\n")).guarded) == (0, 1)


@pytest.mark.parametrize("if_match", ['W/"5"', PREVIOUS, "=1+1", "'5", None])
def test_what_is_written_is_read_again(tmp_path: Path, if_match: str | None) -> None:
    """And no cell starts a formula."""
    writer = PlanWriter(tmp_path / "rows.csv", guarded=True)
    writer.add(REF, Pause(), "", if_match)
    path = writer.finish()
    assert path is not None
    text = path.read_text(encoding="utf-8-sig")
    assert not any(cell[:1] in set("=+-@\t\r\n") for cells in csv.reader(text.splitlines()) for cell in cells if cell)
    (found,) = read(*text.splitlines(keepends=True))
    assert isinstance(found, PlanRow)
    assert found.if_match == if_match
