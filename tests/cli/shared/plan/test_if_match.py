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
from fielding_async.core.errors import ConfigurationError
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


@pytest.mark.parametrize("cell", ["99", '"99"', "W/99", '""', '"W/""9"', "'=5", '"""5""6"""', "5E3", "PREVIOUS"])
def test_a_text_without_the_quotes_of_an_etag_is_a_bad_line(cell: str) -> None:
    """No run has such an ETag: the row would be refused whatever its run is. In CSV the quotes are easily lost."""
    found = row(cell)
    if cell == '""':  # an empty cell
        assert isinstance(found, PlanRow)
        return
    assert isinstance(found, BadLine)
    assert 'is not an ETag, which has quotes: W/"5" or "5" (in CSV """5"""), or previous' in found.text


@pytest.mark.parametrize("name", ["etag", "ETag", "e_tag", "run etag", "currentETag"])
def test_a_column_of_etags_under_another_name_is_never_left_out(name: str) -> None:
    """Its rows would be sent whatever their runs are; where `if_match` is there too, it is an extra column."""
    ignores = Defaults(ignores_extra=True)
    with pytest.raises(ConfigurationError, match=rf"'{name}' is not left out: did you mean if_match\? Rename it"):
        read(f"ref,action,{name}\n", f"{REF},pause,x\n", defaults=ignores)
    with pytest.raises(ConfigurationError, match=rf"'{name}' is unknown: did you mean if_match\? Rename it"):
        read(f"ref,action,{name}\n", f"{REF},pause,x\n")
    (found,) = read(f"ref,action,{name},if_match\n", f"{REF},pause,x,previous\n", defaults=ignores)
    assert isinstance(found, PlanRow)
    assert found.if_match == PREVIOUS


def test_a_key_of_etags_is_left_out_where_it_holds_none() -> None:
    """Lists of runs have the key, and no ETag in it."""
    ignores = Defaults(ignores_extra=True)
    values = {"ref": str(REF), "action": "pause", "etag": None}
    assert isinstance(read(json.dumps(values), defaults=ignores)[0], PlanRow)
    (bad,) = read(json.dumps({**values, "etag": 'W/"5"'}), defaults=ignores)
    assert isinstance(bad, BadLine)
    assert "key 'etag' is not left out: did you mean if_match?" in bad.text


@pytest.mark.parametrize("name", ["stage", "vantage", "tag", "etag_count", "metag"])
def test_other_columns_are_left_out(name: str) -> None:
    """A name that only looks a little like it holds no ETags."""
    (found,) = read(f"ref,action,{name}\n", f"{REF},pause,x\n", defaults=Defaults(ignores_extra=True))
    assert isinstance(found, PlanRow)


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
    etags = ("", PREVIOUS, '"W/""5"""', '"W/""6"""')
    digests = {check_plan(read(HEADER, f"{REF},pause,{cell}\n")).digest for cell in etags}
    assert len(digests) == 4
    plain = check_plan(read("ref,action\n", f"{REF},pause\n"))
    assert plain.digest in digests
    assert (plain.guarded, check_plan(read(HEADER, f"{REF},pause,previous\n")).guarded) == (0, 1)


@pytest.mark.parametrize("if_match", ['W/"5"', '"5"', PREVIOUS, None])
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
