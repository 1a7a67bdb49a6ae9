"""Rows of a plan, in CSV and JSON Lines: every way to write them, and every way they can be wrong."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fielding_async.cli.shared.plan.cells.actions import ACTIONS
from fielding_async.cli.shared.plan.row import BadLine, Defaults, PlanRow, read_row
from fielding_async.core.actions import Action, Complete, LaunchNow, Pause, Relaunch, Resume, Update
from fielding_async.core.models import RunRef
from tests.cli.shared.plan.plan_files import END, GROUP, HEADER, PAUSE, PROJECT, REF, bad, read


@pytest.mark.parametrize("action", [LaunchNow(), Pause(), Resume(), Complete(), Relaunch()], ids=lambda a: str(a.name))
def test_each_status_action_is_read_by_the_name_that_the_api_has(action: Action, tmp_path: Path) -> None:
    """A row with an action's name is that action on the run that its four ids name."""
    rows = read(f"{HEADER}\n101,{PROJECT},{GROUP},RUN1,{action.name},,\n", tmp_path)
    assert rows == [PlanRow(2, REF, action)]


def test_an_update_takes_one_date_or_both(tmp_path: Path) -> None:
    """An empty date leaves that bound; an offset is turned to UTC."""
    row = f"101,{PROJECT},{GROUP},RUN1,update"
    rows = read(f"{HEADER}\n{row},,{END}\n{row},2031-05-01T02:00:00+02:00,{END}\n", tmp_path)
    end = datetime(2031, 5, 17, 12, 30, 15, tzinfo=UTC)
    assert rows == [
        PlanRow(2, REF, Update(end_fielding_at=end)),
        PlanRow(3, REF, Update(start_fielding_at=datetime(2031, 5, 1, tzinfo=UTC), end_fielding_at=end)),
    ]


@pytest.mark.parametrize(
    "content",
    [
        f"\ufeff{HEADER}\r\n{PAUSE}\r\n",
        f"{HEADER}\r{PAUSE}\r",
        f"{HEADER}\n{PAUSE}".replace(",", ";"),
        f"sep=;\r\n{HEADER}\r\n{PAUSE}\r\n".replace(",", ";"),
        f"{HEADER}\n{PAUSE}\n".replace(",", "\t"),
        f"{HEADER},,\n{PAUSE},,\n,,,,,,,,\n\n   \n",
        "\n\n" + "\n".join('"{}"'.format(line.replace(",", '","')) for line in (HEADER, PAUSE)),
        f"action, fielding_run_id ,target_group_id,project_id,account_id\n pause , RUN1 ,{GROUP},{PROJECT},101\n",
        f"error,target_group_id,fielding_run_id,action\n=HYPERLINK(),{GROUP},RUN1,pause\n",
        f'{{"target_group_id": "{GROUP}", "fielding_run_id": "RUN1", "action": "pause", "account_id": 101}}\n\n',
        f'\ufeff{{"target_group_id":"{GROUP}","fielding_run_id":"RUN1","action":"pause","error":"x","project_id":null}}',
    ],
    ids=[
        "BOM and CRLF",
        "CR",
        "semicolons",
        "sep=",
        "tabs",
        "blank cells and lines",
        "quotes",
        "other order",
        "error",
        "JSON",
        "JSON with BOM",
    ],
)
def test_the_same_row_is_read_however_it_is_written(content: str, tmp_path: Path) -> None:
    """Spreadsheets' dialects and JSON Lines all give the same row."""
    (row,) = read(content, tmp_path, Defaults(101, PROJECT))
    assert isinstance(row, PlanRow), row.text
    assert (row.ref, row.action) == (REF, Pause())


def test_a_row_names_its_own_account_and_project_before_the_options(tmp_path: Path) -> None:
    """The options are for rows that name none."""
    rows = read(f"{HEADER}\n{PAUSE}\n,,{GROUP},RUN1,pause,,\n", tmp_path, Defaults(7, "7" * 26))
    assert [row.ref for row in rows if isinstance(row, PlanRow)] == [REF, RunRef(7, "7" * 26, GROUP, "RUN1")]


def test_line_numbers_stay_right_across_quoted_line_ends(tmp_path: Path) -> None:
    """A cell with line ends in it makes later rows no less findable."""
    rows = read(f'error,{HEADER}\r\n"two\r\nlines",{PAUSE}\r\n\r\nx,{PAUSE}\r\nx,nobody,,,,,\r\n', tmp_path)
    assert [row.line for row in rows] == [2, 5, 6]


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (("x", PROJECT, GROUP, "R", "pause", "", ""), "account_id 'x' is not an account id"),
        (("-1", PROJECT, GROUP, "R", "pause", "", ""), "is not an account id"),
        (("1_0", PROJECT, GROUP, "R", "pause", "", ""), "is not an account id"),
        (("2147483648", PROJECT, GROUP, "R", "pause", "", ""), "is not an account id"),
        (("9" * 5000, PROJECT, GROUP, "R", "pause", "", ""), "is not an account id"),
        (("1.01E+02", PROJECT, GROUP, "R", "pause", "", ""), "is not an account id"),
        (("", PROJECT, GROUP, "R", "pause", "", ""), "account_id is missing (or give --account)"),
        (("101", "p", GROUP, "R", "pause", "", ""), "project_id 'p' is not a project id (26 characters"),
        (("101", PROJECT, "", "R", "pause", "", ""), "target_group_id is missing"),
        (("101", PROJECT, GROUP, "a/b", "pause", "", ""), "fielding_run_id 'a/b' is not a run id"),
        (("101", PROJECT, GROUP, "..", "pause", "", ""), "is not a run id"),
        (("101", PROJECT, GROUP, "R", "", "", ""), "action is missing"),
        (("101", PROJECT, GROUP, "R", "Pausee", "", ""), "did you mean 'pause'?"),
        (("101", PROJECT, GROUP, "R", "launch", "", ""), "is not an action (one of launch-now, pause, resume"),
        (("101", PROJECT, GROUP, "R", "pause", "", END), "has no place here: only update takes dates"),
        (("101", PROJECT, GROUP, "R", "update", "", ""), "update needs start_fielding_at, end_fielding_at or both"),
        (("101", PROJECT, GROUP, "R", "update", END, END), "is not after start_fielding_at"),
        (("101", PROJECT, GROUP, "R", "update", "", END[:-1]), "has no time zone: add Z for UTC"),
        (("101", PROJECT, GROUP, "R", "update", "", "31/08/2031"), "is a date in a regional form"),
        (("101", PROJECT, GROUP, "R", "update", "", "2031-02-30T00:00:00Z"), "is not an RFC 3339 date and time"),
        (("101", PROJECT, GROUP, "R", "update", END), "has too few cells: is it cut off? (6, the header has 7)"),
        (("101", PROJECT, GROUP, "R", "update", "46234,5", END), "more cells than the header (8, the header has 7)"),
        (("101", PROJECT, GROUP, "R", "update", "0001-01-01T00:00:00+10:00", ""), "is not an RFC 3339"),
        (('"101', PROJECT, GROUP, "R", "pause", "", ""), "opens a quote that is never closed"),
        (('"1"01', PROJECT, GROUP, "R", "pause", "", ""), "has text right after a closing quote"),
        (('"' + "1" * 200_000, PROJECT, GROUP, "R", "pause", "", ""), "has a cell that is far too long"),
        (("101", PROJECT, GROUP, "R\0", "pause", "", ""), "holds a NUL character"),
    ],
)
def test_a_bad_line_is_named_with_its_reason(cells: tuple[str, ...], said: str, tmp_path: Path) -> None:
    """What is wrong with a line is said with its number, shortly however long the value is."""
    text = bad(4, *cells, tmp_path=tmp_path)
    assert said in text
    assert len(text) < 200


def test_all_that_is_wrong_with_a_line_is_said_at_once(tmp_path: Path) -> None:
    """A line with three problems names three."""
    assert bad(2, "x", "y", GROUP, "R", "stop", "", "", tmp_path=tmp_path).count("; ") >= 2


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("[]", "is not a JSON object"),
        ('{"action": }', "is not JSON: Expecting value, at character 12"),
        ('{"action": "pause", "action": "resume"}', "names a key more than once"),
        ('{"acton": "pause"}', "key 'acton' is unknown: did you mean action? Rename it"),
        ('{"account_id": true}', "account_id 'True' is not an account id"),
        ('{"account_id": 1.5}', "account_id '1.5' is not an account id"),
        ('{"action": ["pause"]}', "is not an action"),
        ('{"action": "update", "end_fielding_at": 1900000000}', "is a number of seconds since 1970, not an RFC 3339"),
        ('{"fielding_run_id": "\\ud800"}', "is not a run id"),
        ('{"account_id": ' + "9" * 5000 + "}", "is not JSON that can be read"),
        ('{"a": ' + "[" * 100_000, "is not JSON"),
    ],
)
def test_a_bad_line_of_json_is_named_with_its_reason(line: str, said: str, tmp_path: Path) -> None:
    """The same goes for JSON Lines."""
    first = f'{{"account_id": 101, "project_id": "{PROJECT}", "target_group_id": "{GROUP}",'
    first += ' "fielding_run_id": "RUN1", "action": "pause"}'
    good, found = read(f"{first}\n{line}\n", tmp_path)
    assert isinstance(good, PlanRow)
    assert isinstance(found, BadLine)
    assert found.line == 2
    assert said in found.text


@pytest.mark.parametrize("value", [0, False, [], {}])
@pytest.mark.parametrize("column", ["project_id", "start_fielding_at", "end_fielding_at"])
def test_what_is_false_in_json_is_not_taken_for_nothing(column: str, value: Any) -> None:
    """Such a project is not filled in from --project, nor such a date passed over: the line is bad."""
    ulid = "01BTGNYV6HRNK8K8VKZASZCFP0"
    row = {"account_id": 101, "target_group_id": ulid, "fielding_run_id": "R", "action": "pause", column: value}
    read = read_row(1, row, Defaults(101, ulid))
    assert isinstance(read, BadLine)
    assert read.text.startswith(f"{column} '{value}' ")


def test_the_names_of_the_actions_are_the_apis() -> None:
    """A plan speaks of actions as the API does."""
    assert ACTIONS == ("launch-now", "pause", "resume", "complete", "relaunch", "update")
