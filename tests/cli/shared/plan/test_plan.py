"""Plans: every way a file can be written, every way it can be wrong, and what is written back."""

import csv
import io
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fielding_async.cli.shared.plan.checked_plan import bad_plan_lines, check_plan, verified_rows
from fielding_async.cli.shared.plan.file import PlanFile
from fielding_async.cli.shared.plan.line_reader import LONGEST, read_lines
from fielding_async.cli.shared.plan.row import ACTIONS, COLUMNS, BadLine, Defaults, PlanRow
from fielding_async.cli.shared.plan.writer import PlanWriter, formula_safe
from fielding_async.core.actions import Action, Complete, LaunchNow, Pause, Relaunch, Resume, Update
from fielding_async.core.errors import ConfigurationError
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
        PlanRow(3, REF, Update(datetime(2031, 5, 1, tzinfo=UTC), end)),
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
        (("101", PROJECT, GROUP, "R", "Pause", "", ""), "did you mean 'pause'?"),
        (("101", PROJECT, GROUP, "R", "launch", "", ""), "is not an action (one of launch-now, pause, resume"),
        (("101", PROJECT, GROUP, "R", "pause", "", END), "has no place here: only update takes dates"),
        (("101", PROJECT, GROUP, "R", "update", "", ""), "update needs start_fielding_at, end_fielding_at or both"),
        (("101", PROJECT, GROUP, "R", "update", END, END), "is not after start_fielding_at"),
        (("101", PROJECT, GROUP, "R", "update", "", END[:-1]), "has no time zone: add Z for UTC"),
        (("101", PROJECT, GROUP, "R", "update", "", "31/08/2031"), "is not an RFC 3339 date and time"),
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
        ('{"acton": "pause"}', "key 'acton' is unknown (did you mean action?)"),
        ('{"account_id": true}', "account_id 'True' is not an account id"),
        ('{"account_id": 1.5}', "account_id '1.5' is not an account id"),
        ('{"action": ["pause"]}', "is not an action"),
        ('{"action": "update", "end_fielding_at": 1900000000}', "is not an RFC 3339"),
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


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n \r\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (f"{HEADER}\n{PAUSE}\n".encode("utf-16"), "is UTF-16 text: in Excel, save it as 'CSV UTF-8"),
        (f"{HEADER}\n{PAUSE}\n".encode("utf-16-le"), "is UTF-16 or binary"),
        (b"PK\x03\x04 and so on", "is a workbook or an archive"),
        (b"\x1f\x8b and so on", "is compressed"),
        (b'[{"action": "pause"}]', "is a JSON array: a plan in JSON has one object on each line"),
        (PAUSE.encode(), "line 1 names no column of a plan"),
        (b"RUN1\n", "line 1 names no column of a plan"),
        (b"account_id,project_id,target_group_id,fielding_run_id\n", "column action is missing"),
        (b"target_group_id,fielding_run_id,action\n", "column account_id is missing (or give --account)"),
        (f"{HEADER},end_fieldng_at\n".encode(), "column 'end_fieldng_at' is unknown (did you mean end_fielding_at?)"),
        (f"{HEADER},note\n".encode(), "column 'note' is unknown"),
        (f"{HEADER},action\n".encode(), "column action is there more than once"),
        (f'"{HEADER}\n'.encode(), "line 1 opens a quote"),
        (b"\xff\n", "line 1: is not UTF-8 text"),
        (b"x" * (LONGEST + 5), "line 1 is longer than 1,048,576 characters"),
    ],
)
def test_what_cannot_be_a_plan_is_refused_as_a_whole(content: bytes, said: str, tmp_path: Path) -> None:
    """A file of another kind, or without the right columns, is one message that names the file."""
    with pytest.raises(ConfigurationError) as caught:
        read(content, tmp_path)
    assert caught.value.message.startswith(f"{tmp_path / 'plan.csv'}: ")
    assert said in caught.value.message


def test_bytes_that_are_not_utf_8_make_one_bad_line(tmp_path: Path) -> None:
    """The lines around a line in another encoding are read."""
    content = f"{HEADER}\n{PAUSE}\n{PAUSE}".encode() + b"\xe9\n" + PAUSE.encode()
    rows = read(content, tmp_path)
    assert [type(row) for row in rows] == [PlanRow, BadLine, PlanRow]
    assert isinstance(rows[1], BadLine)
    assert (rows[1].line, rows[1].text) == (3, "is not UTF-8 text")


def test_a_file_that_cannot_be_read_is_one_message(tmp_path: Path) -> None:
    """A missing file and a folder are said as such."""
    for path, said in ((tmp_path / "none.csv", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigurationError, match=said):
            PlanFile(str(path))


def test_a_pipe_is_read_twice(tmp_path: Path) -> None:
    """What cannot be read twice is copied, and is known not to last."""
    reading, writing = os.pipe()
    os.write(writing, f"{HEADER}\n{PAUSE}\n".encode())
    os.close(writing)
    with PlanFile(f"/dev/fd/{reading}") as file:
        os.close(reading)
        assert not file.is_lasting
        assert list(file.rows(Defaults())) == list(file.rows(Defaults())) == [PlanRow(2, REF, Pause())]


def test_the_check_counts_what_a_plan_holds(tmp_path: Path) -> None:
    """Rows, actions and requests are counted: a run costs a GET the first time it is acted on."""
    row = f"101,{PROJECT},{GROUP},RUN1"
    with plan(f"{HEADER}\n\n{row},pause,,\n{row},resume,,\n\n\n{row}9,pause,,\n", tmp_path) as file:
        checked = check_plan(file.rows(Defaults()))
    assert [checked.line(number) for number in range(3)] == [3, 4, 7]
    assert (checked.rows, checked.actions, checked.requests, checked.bad) == (3, {"pause": 2, "resume": 1}, 5, 0)


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


ids = st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters="/?#\\%"), min_size=1).filter(
    lambda text: text not in {".", ".."} and text.isprintable()
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


def test_the_names_of_the_actions_are_the_apis() -> None:
    """A plan speaks of actions as the API does."""
    assert ACTIONS == ("launch-now", "pause", "resume", "complete", "relaunch", "update")
