"""Plans as programs write them: names in any case, dates in their forms, refs, columns that no plan has."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fielding_async.cli.shared.plan.cells.plan_dates import date_problem, read_plan_date
from fielding_async.cli.shared.plan.row import COLUMNS, BadLine, Defaults, PlanRow, read_row
from fielding_async.core.actions import LaunchNow, Pause, Update
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import RunRef
from tests.cli.shared.plan.plan_files import END, GROUP, HEADER, PAUSE, PROJECT, REF, bad, read

END_AT = datetime(2031, 5, 17, 12, 30, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    "header",
    [
        HEADER.upper(),
        "Account_Id,Project_ID,TARGET_GROUP_ID,Fielding_Run_Id,Action,Start_Fielding_At,End_Fielding_At",
        "Account Id,Project Id,Target Group Id,Fielding Run Id,Action,Start Fielding At,End Fielding At",
        "account-id,project-id,target-group-id,fielding-run-id,ACTION,start-fielding-at,end-fielding-at",
        HEADER.upper().replace(",", "|"),
    ],
)
def test_columns_are_named_in_any_case(header: str, tmp_path: Path) -> None:
    """The case of a name is no matter, and a blank or a hyphen stands for an underscore."""
    mark = "|" if "|" in header else ","
    assert read(f"{header}\n{PAUSE.replace(',', mark)}\n", tmp_path) == [PlanRow(2, REF, Pause())]


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    """Two spellings of one name are two columns of that name, in CSV and in JSON."""
    with pytest.raises(ConfigurationError, match=r"columns 'action' and 'Action' are all action: remove all but one"):
        read(f"{HEADER},Action\n", tmp_path)
    (found,) = read('{"action": "pause", "ACTION": "resume"}', tmp_path)
    assert isinstance(found, BadLine)
    assert found.text.startswith("names a key more than once, in several spellings: ")


def test_names_are_ascii(tmp_path: Path) -> None:
    """A letter that becomes ASCII in small (the Kelvin sign) makes no name of a column or an action."""
    with pytest.raises(ConfigurationError, match=r"is unknown"):
        read(f"{HEADER},if_match\u212a\n", tmp_path)
    assert "is not an action" in bad(2, "101", PROJECT, GROUP, "R", "\u212apause", "", "", tmp_path=tmp_path)


@pytest.mark.parametrize("name", ["launch-now", "LAUNCH-NOW", "launch_now", "Launch Now"])
def test_actions_are_named_in_any_case(name: str, tmp_path: Path) -> None:
    """An action is read in any case, with hyphens, underscores or blanks."""
    row = read(f"{HEADER}\n101,{PROJECT},{GROUP},RUN1,{name},,\n", tmp_path)
    assert row == [PlanRow(2, REF, LaunchNow())]


@pytest.mark.parametrize(
    "text",
    [
        END,
        "2031-05-17t12:30:15z",
        "2031-05-17 12:30:15Z",
        "2031-05-17 12:30:15+00:00",
        "2031-05-17 12:30:15+00",
        "2031-05-17T12:30:15+0000",
        "2031-05-17 14:30:15 +0200",
        "2031-05-17T12:30:15.000000+0000",
        "2031-05-17T07:00:15-05:30",
        "2031-05-17T12:30:15.000999999Z",
        "2031-05-17T12:30:14.1Z",
    ],
)
def test_a_date_is_read_as_programs_write_it(text: str, tmp_path: Path) -> None:
    """A blank for the T, offsets in three forms; what is finer than a millisecond is cut off."""
    (row,) = read(f"{HEADER}\n101,{PROJECT},{GROUP},RUN1,update,,{text}\n", tmp_path)
    assert isinstance(row, PlanRow), row.text
    end = END_AT.replace(second=14, microsecond=100_000) if ".1Z" in text else END_AT
    assert row.action == Update(end_fielding_at=end)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2031-05-17 12:30:15", "has no time zone: add Z for UTC, or an offset such as +02:00"),
        ("2031-05-17T12:30:15.5", "has no time zone: add Z"),
        (
            "2031-05-17 12:30:15 UTC",
            "as BigQuery, R and Ruby write it: write Z in its place",
        ),
        ("2031-05-17 12:30:15.000 GMT", "has GMT for its zone"),
        ("2031-05-17 12:30:15 CEST", "names its time zone: write its offset in its place, such as Z or +02:00"),
        ("2031-05-17T12:30:15+02:00[Europe/Berlin]", "names its time zone"),
        ("2031-05-17 12:30:15 Europe/Berlin", "names its time zone"),
        ("2031-05-17T12:30Z", "has no seconds: write hours, minutes, seconds and a zone"),
        ("2031-05-17 12:30", "has no seconds"),
        ("2031-05-17", "is a day without a time"),
        ("17/05/2031 12:30", "in a regional form: write UTC as yyyy-mm-dd"),
        ("5/17/2031 12:30:15 PM", "is a date in a regional form"),
        ("17.05.2031", "is a date in a regional form"),
        ("48000", "is a serial number of Excel, not a date"),
        ("47985.5211226852", "it stands for 2031-05-17 12:30:25, no zone"),
        (
            "1936787415",
            "of seconds since 1970, not an RFC 3339 date and time: write 2031-05-17T12:30:15.000Z",
        ),
        ("1936787415000", 'since 1970, not an RFC 3339 date and time (pandas: to_json(date_format="iso")): write 2031'),
        ("1936787415000000000", "is a number of nanoseconds since 1970"),
        ("20310517", "is a number, not an RFC 3339 date and time"),
        ("/Date(1936787415000)/", "is how Windows PowerShell writes a date in JSON"),
        ("NaT", "is how pandas writes a missing date: leave the cell empty"),
        ("NA", 'is how R writes a missing value: leave the cell empty (write.csv(..., na = ""))'),
        ("2031-05-17\u00a012:30:15Z", "it holds the invisible character U+00A0: delete it"),
        ("1.93679E+12", "is not an RFC 3339 date and time: it is a number in scientific notation"),
        ("\u201c2031-05-17T12:30:15Z\u201d", "did you mean '2031-05-17T12:30:15Z'?"),
        ("soon", "is not an RFC 3339 date and time, such as 2026-08-31T18:00:00Z"),
        ("2031-05-17T12:30:15+2", "is not an RFC 3339"),
        ("2031-05-17T25:30:15Z", "is not an RFC 3339"),
        ("\u0662\u0660\u0663\u0661-05-17T12:30:15Z", "is not an RFC 3339"),
    ],
)
def test_a_date_that_is_refused_says_what_to_write(text: str, said: str, tmp_path: Path) -> None:
    """A date without a zone, or of a program's own, is a bad row that names the program and the remedy."""
    assert said in bad(3, "101", PROJECT, GROUP, "R", "update", "", text, tmp_path=tmp_path)


zones = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=zones), st.sampled_from(["", " "]), st.data())
def test_every_moment_is_read_back_from_every_form(moment: datetime, blank: str, data: st.DataObject) -> None:
    """T or a blank, an offset with or without a colon, after a blank or not: the same moment."""
    offset = moment.strftime("%z")
    offsets = [offset, f"{offset[:3]}:{offset[3:]}", *([offset[:3]] if offset.endswith("00") else [])]
    clock = moment.replace(tzinfo=None).isoformat(data.draw(st.sampled_from("Tt ")), "microseconds")
    digits = data.draw(st.text("0123456789", max_size=12))
    assert read_plan_date(f"{clock}{digits}{blank}{data.draw(st.sampled_from(offsets))}") == moment


cells = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()) | st.just({"a": 1})


@given(st.dictionaries(st.sampled_from([*COLUMNS, "ref"]), cells))
def test_no_value_breaks_a_row(values: dict[str, object]) -> None:
    """Whatever JSON holds, the line is bad in words that fit a line: no row lacks an id by chance."""
    found = read_row(1, values, Defaults())
    assert isinstance(found, BadLine)
    assert found.problems
    assert found.text.isprintable()


@pytest.mark.parametrize("value", [True, ["2031"], {}, 1e300, float("inf"), float("nan"), 10**400, -5])
def test_any_value_of_json_that_is_no_date_is_said_so(value: object) -> None:
    """No value breaks the message."""
    rule, _ = date_problem(value)
    assert "RFC 3339" in rule


def test_a_long_text_is_no_date() -> None:
    """A cell of any length is refused quickly."""
    with pytest.raises(ValueError, match="not a date"):
        read_plan_date("2031-05-17T12:30:15" + " " * 1_000_000)
    rule, _ = date_problem("1" * 1_000_000)
    assert rule.startswith("is not an RFC 3339")


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        (0, "1.01E+02", "account_id '1.01E+02' is not an account id: it is a number in scientific notation, as Excel"),
        (0, "NA", "account_id 'NA' is how R writes a missing value"),
        (
            0,
            "\uff11\uff10\uff11",
            "input method writes them: write them in ASCII; did you mean '101'?",
        ),
        (0, "101,0", "account_id '101,0' is not an account id (a whole number"),
        (1, "1.23E+25", "project_id '1.23E+25' is not a project id: it is a number in scientific notation"),
        (2, "42.0", "is not a target group id: it is a number with a point, as pandas writes whole numbers"),
        (3, "42.0", "fielding_run_id '42.0' is not a run id: it is a number with a point, as pandas"),
        (3, "1.23E+05", "with digits lost: export it again with this column as text"),
        (
            3,
            "\u201cRUN1\u201d",
            "curly quotes, as word processors write them: remove them; did you mean 'RUN1'?",
        ),
        (3, "\uff32\uff35\uff2e\uff11", "it has fullwidth characters, as an East Asian input method"),
        (3, "RUN\u200b1", "it holds the invisible character U+200B: delete it"),
        (3, "NaN", "fielding_run_id 'NaN' is how pandas writes a missing value: leave the cell empty"),
        (3, "NULL", "fielding_run_id 'NULL' is how SQL writes a missing value"),
        (4, "\uff50\uff41\uff55\uff53\uff45", "did you mean 'pause'?"),
        (4, "NA", "action 'NA' is how R writes a missing value"),
    ],
)
def test_a_spoilt_cell_is_a_bad_row_before_anything_is_sent(column: int, value: str, said: str, tmp_path: Path) -> None:
    """Each names the program that writes such cells, and what to do."""
    cells = ["101", PROJECT, GROUP, "RUN1", "pause", "", ""]
    cells[column] = f'"{value}"'
    assert said in bad(2, *cells, tmp_path=tmp_path)


def test_a_whole_number_with_a_point_is_an_account(tmp_path: Path) -> None:
    """pandas writes whole numbers so where a column has an empty cell; JSON has such numbers too."""
    (row,) = read(f"{HEADER}\n{PAUSE.replace('101', '101.0', 1)}\n", tmp_path)
    assert row == PlanRow(2, REF, Pause())
    text = f'{{"account_id": 101.0, "project_id": "{PROJECT}", "target_group_id": "{GROUP}", "action": "pause", '
    assert read(f'{text}"fielding_run_id": "RUN1"}}', tmp_path) == [PlanRow(1, REF, Pause())]
    (found,) = read(f'{text}"fielding_run_id": 7}}', tmp_path)
    assert isinstance(found, BadLine)
    assert found.text == "fielding_run_id '7' is not a run id: it is a number: write a text, between quotes"


def test_a_ref_stands_for_the_four_ids(tmp_path: Path) -> None:
    """The text of a RunRef is enough, goes before the options, and may stand beside ids that say the same."""
    other = RunRef(7, "7" * 26, GROUP, "RUN2")
    rows = read(f"Ref,action\n{REF},pause\n{other},pause\n", tmp_path, Defaults(9, "9" * 26))
    assert [row.ref for row in rows if isinstance(row, PlanRow)] == [REF, other]
    assert read(f"ref,{HEADER}\n{REF},{PAUSE}\n,{PAUSE}\n", tmp_path) == [
        PlanRow(2, REF, Pause()),
        PlanRow(3, REF, Pause()),
    ]
    assert read(f'{{"ref": "{REF}", "account_id": 101, "action": "pause"}}', tmp_path) == [PlanRow(1, REF, Pause())]


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ("RUN1", "ref 'RUN1' is not the four ids of a run (account/project/target group/run)"),
        (f"{REF}/", "is not the four ids of a run"),
        (f"x/{PROJECT}/{GROUP}/RUN1", "account_id 'x' is not an account id"),
        (f"101/{PROJECT}/{GROUP}/RUN2", "fielding_run_id 'RUN1' is not what ref says ('RUN2')"),
        (f"101/{PROJECT}/{GROUP}/", "fielding_run_id 'RUN1' is not what ref says ('')"),
    ],
)
def test_a_ref_that_is_wrong_is_a_bad_row(ref: str, said: str, tmp_path: Path) -> None:
    """A ref has four ids, and none of them is another than a column of the row says."""
    content = f"ref,{HEADER}\n{ref},{PAUSE if 'RUN1' not in ref or ref.endswith('RUN2') else ',,,,pause,,'}\n"
    (found,) = read(content, tmp_path)
    assert isinstance(found, BadLine)
    assert said in found.text


def test_columns_that_no_plan_has_are_left_out_when_asked_for(tmp_path: Path) -> None:
    """Extra columns are refused with their names, and taken with --ignore-columns, as are row names."""
    content = f",{HEADER},status,Note\n0,{PAUSE},live,x\n"
    with pytest.raises(ConfigurationError) as caught:
        read(content, tmp_path)
    assert "columns 'status', 'Note' are unknown: remove them, or give --ignore-columns" in caught.value.message
    ignores = Defaults(ignores_extra=True)
    assert read(content, tmp_path, ignores) == [PlanRow(2, REF, Pause())]
    line = f'{{"ref": "{REF}", "status": "live", "action": "pause"}}'
    (found,) = read(line, tmp_path)
    assert isinstance(found, BadLine)
    assert found.text == "key 'status' is unknown: remove it, or give --ignore-columns"
    assert read(line, tmp_path, ignores) == [PlanRow(1, REF, Pause())]


def test_a_slip_is_no_column_to_leave_out(tmp_path: Path) -> None:
    """A name that is almost that of a missing column is refused: an update would lose a date."""
    ignores = Defaults(ignores_extra=True)
    with pytest.raises(ConfigurationError, match=r"'end_fieldng_at' is not left out: did you mean end_fielding_at"):
        read(f"{HEADER.replace('end_fielding', 'end_fieldng')}\n", tmp_path, ignores)
    assert read(f"{HEADER},end_fieldng_at\n{PAUSE},x\n", tmp_path, ignores) == [PlanRow(2, REF, Pause())]


def test_a_column_without_a_name_that_holds_something_is_a_bad_row(tmp_path: Path) -> None:
    """Row names are told as such."""
    (found,) = read(f",{HEADER}\n0,{PAUSE}\n", tmp_path)
    assert isinstance(found, BadLine)
    assert "R (row.names = FALSE) and pandas (index=False) write row names so" in found.text
    assert found.text.endswith("remove the column, or give --ignore-columns")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "# the rest is for tomorrow",
            "a plan has none; delete such lines: '# the rest is for tomorrow'",
        ),
        (f"#{PAUSE}", "is a comment: a plan has none"),
        ("---,---,---,---,---,---,---", "is laid out as a table for reading: export CSV instead"),
        (f"1,{PAUSE}", "has one cell more than the header, a row name: R (row.names = FALSE)"),
    ],
)
def test_a_line_that_is_no_row_is_told_for_what_it_is(line: str, said: str, tmp_path: Path) -> None:
    """Comments, rules under the names and rows with a name are said as such."""
    assert said in bad(2, line, tmp_path=tmp_path)
