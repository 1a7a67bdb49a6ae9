"""What is said of a plan that was changed since its journal was written."""

from pathlib import Path

import pytest

from fielding_async.cli.apply.rows.plan_changes import changes_text
from fielding_async.sandbox import Sandbox
from tests.cli.apply.plans import Row, failing, live, write_plan
from tests.cli.command_line import Cli


def text(record: str, plan: str, *, have_ended: bool = True) -> str:
    """Compare rows that are a letter each, `.` for one that is not on record; each is on the line after the heading."""
    digests = [0 if row == "." else ord(row) for row in record]
    return changes_text(digests, [ord(row) for row in plan], lambda number: number + 2, have_ended=have_ended)


@pytest.mark.parametrize(
    ("record", "plan", "said"),
    [
        (
            "abc",
            "abcde",
            (
                "the first 3 rows (up to line 4) are those on record; 2 rows were added after them, or never"
                " sent: apply them (lines 5 to 6) as a plan of their own"
            ),
        ),
        (
            "a",
            "ab",
            (
                "the first row (line 2) is that on record; 1 row was added after it, or never sent: apply it"
                " (line 3) as a plan of its own"
            ),
        ),
        ("abcd", "ab", "the 2 rows of this plan are the first on record; 2 rows were removed after them"),
        ("abcd", "a", "the one row of this plan is the first on record; 3 rows were removed after it"),
        (
            "abcd",
            "abXcd",
            (
                "the first 2 rows (up to line 3) are those on record; 1 row was added (line 4), and what"
                " follows is the same"
            ),
        ),
        ("abcd", "XYabcd", "2 rows were added (lines 2 to 3), and what follows is the same"),
        (
            "abcd",
            "abd",
            (
                "the first 2 rows (up to line 3) are those on record; 1 row was removed before line 4, and what"
                " follows is the same"
            ),
        ),
        ("abcd", "cd", "2 rows were removed before line 2, and what follows is the same"),
        ("abcd", "abXd", "the first 2 rows (up to line 3) are those on record; 1 row was changed (line 4)"),
        (
            "abcdefg",
            "aXcdYfg",
            ("the first row (line 2) is that on record; 2 rows were changed (between lines 3 and 6)"),
        ),
        (
            "abcdefg",
            "aXYdefghi",
            (
                "the first row (line 2) is that on record; 2 rows were changed (lines 3 to 4);"
                " 2 rows are behind those on record (added, or never sent)"
            ),
        ),
        (
            "abcdefg",
            "aXcdef",
            ("the first row (line 2) is that on record; 1 row was changed (line 3); 1 row was removed at the end"),
        ),
        ("a.cd", "aXcY", "the first 3 rows (up to line 4) are those on record; 1 row was changed (line 5)"),
        ("abcd", "acbd", "the first row (line 2) is that on record; the rows from line 3 on are in another order"),
        (
            "abcdef",
            "aXcdYeZ",
            (
                "the first row (line 2) is that on record; from line 3 on they differ: 3 rows are not"
                " on record (added, changed, or never sent), and 2 rows were removed or changed"
            ),
        ),
        ("abc", "xyz", "none of the rows on record is in this plan"),
        ("", "xyz", "no row is on record"),
        ("a.c", "abc", "the rows on record are those of this plan; another row was changed"),
    ],
)
def test_the_change_is_told(record: str, plan: str, said: str) -> None:
    """Rows the same up to a line, then how many were added, removed or changed."""
    assert text(record, plan) == said


def test_rows_behind_unfinished_ones_are_not_to_be_applied_alone() -> None:
    """While rows on record are under way the way to go on is their own plan."""
    said = text("abc", "abcd", have_ended=False)
    assert said.endswith("1 row was added after them, or never sent")
    assert text("a.c", "abcd", have_ended=False) == said


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ("012345N", "the first 6 rows (up to line 7) are those on record; 1 row was added after"),
        ("0123", "the 4 rows of this plan are the first on record; 2 rows were removed after them"),
        ("01N345", ("the first 2 rows (up to line 3) are those on record; 1 row was changed (line 4)")),
        ("01345", "1 row was removed before line 4, and what follows is the same"),
        ("N", "none of the rows on record is in this plan"),
    ],
)
@pytest.mark.parametrize("option", ["--yes", "--dry-run"])
def test_a_changed_plan_is_refused_with_what_was_changed(
    box: Sandbox, cli: Cli, folder: Path, changed: str, said: str, option: str
) -> None:
    """The journal knows its rows, those that failed too; nothing is sent."""
    rows: list[Row] = [*live(box, 3), failing(box), *live(box, 2)]
    write_plan(folder / "plan.csv", rows)
    assert cli("apply", "plan.csv", "--yes").status == 1
    of = {**dict(zip("012345", rows, strict=True)), "N": live(box, 1)[0]}
    write_plan(folder / "plan.csv", [of[row] for row in changed])
    before = len(box.requests)
    ended = cli("apply", "plan.csv", option)
    assert (ended.status, len(box.requests)) == (2, before)
    assert said in ended.err
    assert "To continue, restore what it is of" in ended.err
