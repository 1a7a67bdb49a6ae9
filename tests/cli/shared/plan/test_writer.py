"""Files of rows that failed: plans again, safe in a spreadsheet, and never lost."""

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fielding_async.cli.shared.csv_output import formula_safe
from fielding_async.cli.shared.plan.cells.hints import MISSING, cell_hint
from fielding_async.cli.shared.plan.line_reader import read_lines
from fielding_async.cli.shared.plan.row import COLUMNS, Defaults, PlanRow
from fielding_async.cli.shared.plan.writer import PlanWriter
from fielding_async.core.actions import Action, Complete, LaunchNow, Pause, Update
from fielding_async.core.models import RunRef
from tests.cli.shared.plan.plan_files import GROUP, HEADER, PAUSE, PROJECT, REF

ids = st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters="/?#\\%"), min_size=1).filter(
    lambda text: text not in {".", "..", *MISSING} and text.isprintable() and cell_hint(text, is_text=True) is None
)

moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))

actions = st.sampled_from([LaunchNow(), Pause(), Complete()]) | st.builds(Update, end_fielding_at=moments)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(ids, actions, st.text()), min_size=1))
def test_what_is_written_is_a_plan_and_no_cell_is_a_formula(rows: list[tuple[str, Action, str]]) -> None:
    """Any rows with any errors, written and read again, are the same rows; no cell starts a formula."""
    written = io.StringIO()
    from fielding_async.cli.shared.plan.writer import cells

    writer = csv.writer(written)
    writer.writerow([*COLUMNS, "error"])
    for run, action, error in rows:
        writer.writerow(cells(RunRef(101, PROJECT, GROUP, run), action, error))
    lines = written.getvalue().splitlines(keepends=True)
    assert not any(cell[:1] in set("=+-@\t\r\n") for row in csv.reader(lines) for cell in row if cell)
    found = list(read_lines(lines, Defaults()))
    assert [(row.ref.fielding_run_id, row.action) for row in found if isinstance(row, PlanRow)] == [
        (run, action) for run, action, _ in rows
    ]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=1+1", "'=1+1"),
        ("  @x", "'  @x"),
        ("\t=1", r"\t=1"),
        ("404: x; =cmd()", "404: x; '=cmd()"),
        ('a",-1', "a\",'-1"),
        ("\uff1d1", "'\uff1d1"),
        ("plain", "plain"),
    ],
)
def test_an_error_cannot_become_a_formula(text: str, written: str) -> None:
    """Not at its start, and not where a spreadsheet with other separators would begin a cell."""
    assert formula_safe(text) == written


def test_a_written_file_takes_its_place_at_the_end(tmp_path: Path) -> None:
    """Until it is finished an older file stands; without a row, or discarded, nothing is left over."""
    path = tmp_path / "plan.failed.csv"
    assert PlanWriter(path).finish() is None
    for count in (1, 2):
        writer = PlanWriter(path)
        for _ in range(count):
            writer.add(REF, Pause(), "no")
        assert path.exists() is (count == 2)
        assert writer.finish() == path
    assert path.read_text("utf-8-sig") == f"{HEADER},error\n{PAUSE},no\n{PAUSE},no\n"
    discarded = PlanWriter(path)
    discarded.add(REF, Pause(), "no")
    discarded.discard()
    assert [entry.name for entry in tmp_path.iterdir()] == ["plan.failed.csv"]


def test_a_file_that_was_worked_on_is_kept(tmp_path: Path) -> None:
    """A file of failed rows that somebody has changed is not lost when it is written again, or no more needed."""
    path, kept = tmp_path / "plan.failed.csv", tmp_path / "plan.failed.csv~"
    path.write_text("mended")
    writer = PlanWriter(path)
    writer.add(REF, Pause(), "no")
    assert writer.finish() == path
    assert (kept.read_text(), PAUSE in path.read_text()) == ("mended", True)
    path.write_text("mended again")
    last = PlanWriter(path)
    assert last.finish() is None
    again = tmp_path / "plan.failed.csv~2"
    assert (last.kept, kept.read_text(), again.read_text()) == (again, "mended", "mended again")
    assert not path.exists()
