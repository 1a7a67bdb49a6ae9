"""The check of a whole plan: its counts, its digest, and the rows that are used after it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fielding_async.cli.shared.plan.checked_plan import bad_plan_lines, check_plan, verified_rows
from fielding_async.cli.shared.plan.row import BadLine, Defaults, PlanRow
from fielding_async.core.actions import Pause, Resume
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import RunRef
from tests.cli.shared.plan.plan_files import END, GROUP, HEADER, PAUSE, PROJECT, plan


def test_the_check_counts_what_a_plan_holds(tmp_path: Path) -> None:
    """Rows, actions and requests are counted: a run costs a GET the first time it is acted on."""
    row = f"101,{PROJECT},{GROUP},RUN1"
    with plan(f"{HEADER}\n\n{row},pause,,\n{row},resume,,\n\n\n{row}9,pause,,\n", tmp_path) as file:
        checked = check_plan(file.rows(Defaults()))
    assert [checked.line(number) for number in range(3)] == [3, 4, 7]
    assert (checked.rows, checked.actions, checked.requests, checked.bad) == (3, {"pause": 2, "resume": 1}, 5, 0)


def test_the_check_counts_runs_and_rows_that_are_there_twice(tmp_path: Path) -> None:
    """A row is a duplicate if an earlier one has the same action and dates on the same run, however it is written."""
    row = f"101,{PROJECT},{GROUP},RUN1"
    rows = [f"{row},update,,{END}", f"{row},pause,,", f"{row},update,,{END}", f"{row}9,pause,,"]
    rows += [f"{row},update,,2031-05-17 14:30:15+02", f"{row},update,{END[:2]}30{END[4:]},"]
    with plan("\n".join([HEADER, "", *rows]), tmp_path) as file:
        checked = check_plan(file.rows(Defaults()))
    assert (checked.rows, checked.distinct_runs, checked.duplicates, checked.first_duplicate) == (6, 2, 2, 5)
    assert checked.duplicates_text == "2 rows say the same as an earlier row, first on line 5"
    once = check_plan(_rows(1))
    assert (once.distinct_runs, once.duplicates, once.first_duplicate, once.duplicates_text) == (1, 0, None, "")


def test_the_digest_is_of_what_the_rows_say(tmp_path: Path) -> None:
    """A plan saved again in another dialect is the same plan; with another row it is not."""
    update = f"101,{PROJECT},{GROUP},RUN1,update,,2031-05-17T14:30:15+02:00"
    other = f"{HEADER}\r\n101,{PROJECT},{GROUP},RUN1,update,,{END}\r\n".replace(",", ";")
    contents = [f"{HEADER}\n{update}\n", other, f"{HEADER}\n{PAUSE}\n", f"{HEADER}\n{update}\n{update}\n"]
    digests: list[str] = []
    for content in contents:
        with plan(content, tmp_path) as file:
            digests.append(check_plan(file.rows(Defaults())).digest)
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def _rows(count: int) -> Iterator[PlanRow]:
    for number in range(count):
        yield PlanRow(number + 2, RunRef(101, PROJECT, GROUP, f"R{number}"), Pause())


def test_duplicates_are_counted_in_a_long_plan() -> None:
    """Each row but the first of its kind counts, wherever it stands."""
    rows = [*_rows(2000)]
    again = [PlanRow(line, rows[place].ref, Pause()) for line, place in enumerate(range(1999, 0, -3), 2002)]
    other = PlanRow(again[-1].line + 1, rows[0].ref, Resume())
    checked = check_plan([*rows, *again, other])
    assert (checked.distinct_runs, checked.duplicates, checked.first_duplicate) == (2000, len(again), 2002)


@pytest.mark.parametrize("count", [1, 255, 256, 257, 1000])
def test_only_rows_that_were_checked_are_used(count: int) -> None:
    """A plan that is changed, cut or grows between the two readings ends before the first row that was not checked."""
    checked = check_plan(_rows(count))
    assert list(verified_rows(_rows(count), checked)) == list(_rows(count))
    changed = [*_rows(count)]
    changed[-1] = PlanRow(count + 1, changed[-1].ref, Resume())
    for again in (changed, [*_rows(count + 1)], [*_rows(count)][:-1]):
        taken: list[PlanRow] = []
        with pytest.raises(ConfigurationError, match=r"was changed while it was being applied|has become shorter"):
            taken.extend(_each(verified_rows(again, checked), taken))
        assert taken == [*_rows(count)][: len(taken)]


def _each(rows: Iterator[PlanRow], taken: list[PlanRow]) -> Iterator[PlanRow]:
    for row in rows:
        taken.append(row)
    yield from ()


def test_thousands_of_bad_lines_are_told_in_a_few(tmp_path: Path) -> None:
    """The first twenty bad lines are shown in full, and all are counted by what is wrong with them."""
    good, naive = PAUSE, f"101,{PROJECT},{GROUP},RUN1,update,,2031-05-17T12:30:15"
    lines = [HEADER, *[naive] * 4000, *[good] * 10, *[PAUSE.replace("pause", "stop")] * 3]
    with plan("\n".join(lines), tmp_path) as file:
        told: list[BadLine] = []
        checked = check_plan(file.rows(Defaults()), on_bad=told.append)
    assert (checked.bad, len(told), len(checked.shown)) == (4003, 4003, 20)
    said = bad_plan_lines("plan.csv", checked, all_of_them="fielding apply plan.csv --dry-run --json")
    assert said[0] == "fielding: plan.csv: 4,003 of 4,013 lines are not right; nothing was sent"
    assert said[1].startswith("  line 2: end_fielding_at '2031-05-17T12:30:15' has no time zone")
    kind = "end_fielding_at has no time zone: add Z for UTC, or an offset such as +02:00"
    assert f"    4,000 x {kind} (lines 2-4001)" in said
    assert len(said) < 30
