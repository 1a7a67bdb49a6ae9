"""`fielding journal show`: the journal alone says what was changed, when, from what to what, by which trace id."""

import csv
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fielding_async import FieldingRun, JournalRow, Pause, RunRef, journal_rows
from fielding_async.cli.shared.rows.selection import Selection
from fielding_async.cli.shared.rows.table import CSV_COLUMNS, csv_cells
from fielding_async.core.dates import to_text
from fielding_async.sandbox import Sandbox, SecondWriter
from tests.cli.command_line import Cli, Ended

from .conftest import CLOSING, Applied

NOW = datetime(2031, 5, 17, 9, tzinfo=UTC)
GROUP = "01BTGNYV6HRNK8K8VKZASZCFP1"
REF = RunRef(101, "0" * 26, GROUP, "RUN")
RUN = FieldingRun(id="RUN", status="live", version=1, start_fielding_at=NOW, end_fielding_at=NOW + timedelta(days=1))


def numbers(ended: Ended) -> list[int]:
    """The numbers of the rows that were shown."""
    assert ended.status == 0
    return sorted(row["number"] for row in ended.objects)


def show(cli: Cli, applied: Applied, *options: object) -> Ended:
    """Run the command on the journal."""
    return cli("journal", "show", applied.journal, *options)


def test_each_row_says_from_what_to_what_and_by_which_trace_id(box: Sandbox, cli: Cli, applied: Applied) -> None:
    """One object a row: time, run, what was asked, before and after, effect, trace id or error."""
    ended = show(cli, applied, "--json")
    assert ended.err == ""
    rows = {row["number"]: row for row in ended.objects}
    assert sorted(rows) == [0, 1, 2, 3, 4, 5]
    assert [rows[number]["effect"] for number in rows] == [
        *("accepted", "accepted", "already", "failed", "skipped", "accepted")
    ]
    first, dated, already, failed, skipped, last = (rows[number] for number in sorted(rows))
    assert (first["before"]["status"], first["after"]["status"]) == ("live", "paused")
    assert (last["before"]["status"], last["after"]["status"]) == ("paused", "live")
    assert first["before"]["end_fielding_at"] == first["after"]["end_fielding_at"]
    assert dated["after"]["end_fielding_at"] == to_text(CLOSING) != dated["before"]["end_fielding_at"]
    assert dated["after"]["start_fielding_at"] == dated["before"]["start_fielding_at"]
    assert dated["action"] == {"name": "update", "end_fielding_at": to_text(CLOSING)}
    assert [row["after"] for row in (already, failed, skipped)] == [None] * 3
    assert (failed["error"], skipped["error"]) == ("InvalidRunStateError", "SkippedError")
    for number, row in rows.items():
        ref = applied.refs[number]
        assert (row["ref"], row["target_group_id"]) == (str(ref), ref.target_group_id)
        assert row["fielding_run_id"] == ref.fielding_run_id
        assert datetime.fromisoformat(row["time"]).tzinfo is not None
    traced = {write.ref: write for write in box.history if write.by == "client"}
    assert len(traced) == 2
    assert len({row["trace_id"] for row in (first, dated, last)}) == 3


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--effect", "accepted"], [0, 1, 5]),
        (["--effect", "failed", "--effect", "skipped"], [3, 4]),
        (["--effect", "already"], [2]),
        (["--effect", "stuck"], []),
        (["--since", "2001-01-01T00:00:00+02:00", "--until", "2999-01-01T00:00:00Z"], [0, 1, 2, 3, 4, 5]),
        (["--until", "2001-01-01T00:00:00Z"], []),
        (["--since", "2999-01-01T00:00:00Z"], []),
    ],
)
def test_rows_are_selected(cli: Cli, applied: Applied, options: list[str], found: list[int]) -> None:
    """By effect and by time; where none is selected, that is said, and is no error."""
    ended = show(cli, applied, "--json", *options)
    assert numbers(ended) == found
    assert ("none of the journal's 6 rows is selected" in ended.err) == (not found)


def test_one_target_group_and_one_run_are_selected(cli: Cli, applied: Applied) -> None:
    """All that was done to a target group, or to a run of it."""
    live = applied.refs[0]
    for options in (["--target-group", live.target_group_id], ["--run", live.fielding_run_id]):
        ended = show(cli, applied, "--json", *options)
        same = [number for number, ref in enumerate(applied.refs) if str(ref).endswith(options[1]) or ref == live]
        assert set(same) <= set(numbers(ended))
        assert {row["ref"] for row in ended.objects if row["fielding_run_id"] == live.fielding_run_id} == {str(live)}
    assert numbers(show(cli, applied, "--json", "--run", live.fielding_run_id)) == [0, 5]


def test_a_time_is_in_from_since_and_out_at_until(cli: Cli, applied: Applied) -> None:
    """`--since` is inclusive, `--until` exclusive: two periods side by side show each row once."""
    times = sorted(row.time for row in journal_rows(applied.journal, all=True) if row.time is not None)
    middle = to_text(times[3])
    before, after = (numbers(show(cli, applied, "--json", option, middle)) for option in ("--until", "--since"))
    assert sorted([*before, *after]) == [0, 1, 2, 3, 4, 5]
    selection = Selection(since=NOW, until=NOW + timedelta(seconds=1))
    assert [selection.has(_row(time=NOW + timedelta(seconds=n))) for n in (-1, 0, 1)] == [False, True, False]


def _row(**more: Any) -> JournalRow:
    values: dict[str, Any] = {"number": 7, "ref": REF, "action": Pause(), "state": "done", "effect": "accepted"}
    return JournalRow(**values | more)


def test_what_a_journal_does_not_say_is_not_guessed() -> None:
    """A row without a time, or of an unknown run, is neither in nor out."""
    assert Selection(since=NOW).has(_row()) is None
    assert Selection(target_group=GROUP).has(_row(ref=None)) is None
    assert Selection(run="RUN").has(_row(ref=None, before=RUN)) is True
    assert Selection(run="RUN", since=NOW, effects=["failed"]).has(_row()) is False
    assert Selection(effects=["in flight"]).has(_row(state="in flight", effect=None)) is True


def test_rows_of_a_former_format_are_counted_where_they_cannot_be_selected(cli: Cli, tmp_path: Path) -> None:
    """A journal of format 1 has neither times nor the runs of rows that are done: a filter says what it left out."""
    path = tmp_path / "old.journal"
    path.write_bytes(
        b'{"fielding_journal":1,"base_url":"https://fake.invalid/v1","api_version":"2025-12-18","plan":null}\n'
        b'{"commit":1}\n'
        b'{"end":0,"row":"0a0b0c0d","as":"accepted","do":"pause","trace":"0123"}\n'
        b'{"end":1,"row":"0a0b0c0e","as":"already","do":"pause","trace":"4567"}\n'
    )
    ended = cli("journal", "show", path, "--json", "--since", "2001-01-01T00:00:00Z")
    assert numbers(ended) == []
    assert "2 more rows may match" in ended.err
    assert numbers(cli("journal", "show", path, "--json", "--effect", "already")) == [1]
    assert "no time" in cli("journal", "show", path).out


def test_the_table_fits_the_terminal(cli: Cli, applied: Applied) -> None:
    """Ids and trace ids are whole in 80 columns, and the last line counts."""
    ended = show(cli, applied)
    assert (ended.status, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert max(map(len, lines)) <= 80
    for row in journal_rows(applied.journal, all=True):
        assert row.ref is not None
        assert row.ref.target_group_id in ended.out
        assert row.ref.fielding_run_id in ended.out
        assert (row.trace_id or "") in ended.out
    assert "live -> paused" in ended.out
    assert f"-> {to_text(CLOSING).replace('.000Z', 'Z')}" in ended.out
    assert lines[-1] == "6 of 6 rows"


def test_a_conflict_is_counted(box: Sandbox, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a colleague did in between is told, and the run is shown as it was then."""
    monkeypatch.chdir(tmp_path)
    ref = box.add_run("live")
    Path("plan.csv").write_text(
        "account_id,project_id,target_group_id,fielding_run_id,action\n" + str(ref).replace("/", ",") + ",pause\n"
    )
    box.script(SecondWriter(), on="pause")
    assert cli("apply", "plan.csv", "--yes").status == 0
    (row,) = cli("journal", "show", "plan.csv.journal", "--json").objects
    assert (row["conflicts"], row["effect"]) == (1, "accepted")
    assert "accepted, 1 conflict" in cli("journal", "show", "plan.csv.journal").out


def test_csv_has_a_column_for_each_value(cli: Cli, applied: Applied) -> None:
    """Each row is a line under the names of the columns."""
    ended = show(cli, applied, "--csv")
    assert (ended.status, ended.err) == (0, "")
    head, *lines = csv.reader(io.StringIO(ended.out))
    assert tuple(head) == CSV_COLUMNS
    rows = {int(row["number"]): row for row in (dict(zip(head, line, strict=True)) for line in lines)}
    assert len(rows) == 6
    assert (rows[0]["status_before"], rows[0]["status_after"], rows[0]["effect"]) == ("live", "paused", "accepted")
    assert (rows[1]["asked_end"], rows[1]["end_after"]) == (to_text(CLOSING),) * 2
    assert rows[3]["error"] == "InvalidRunStateError"


@pytest.mark.parametrize("text", ["=1+1", "@x", "-1", "+1", "a,=cmd", "\t=1", "'x"])
def test_no_cell_is_a_formula(text: str) -> None:
    """A message, a status or an id from outside is never a formula in a spreadsheet."""
    ref = RunRef(101, "0" * 26, GROUP, text)
    run = FieldingRun(id=text, status=text, version=1, start_fielding_at=NOW, end_fielding_at=NOW, etag=text)
    row = _row(ref=ref, before=run, state="failed", effect=None, error="E", message=text, trace_id=text)
    for cell in csv_cells(row):
        assert not cell.lstrip().startswith(("=", "+", "-", "@"))
        assert ",=" not in cell


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--target-group", "x"], "--target-group='x': must be a str of 26 characters"),
        (["--run", "a/b"], "--run='a/b'"),
        (["--since", "yesterday"], "is not an RFC 3339 date and time"),
        (["--until", "2031-05-17T12:00:00"], "has no time zone"),
        (["--effect", "done"], "'done' is not one of"),
        (["--json", "--csv"], "exclude each other"),
        (["--since", "2031-05-17T12:00:00Z", "--until", "2031-05-17T12:00:00Z"], "--until must be after --since"),
    ],
)
def test_bad_arguments_are_named(cli: Cli, applied: Applied, options: list[str], said: str) -> None:
    """The option and the rule are told, and the status is 2."""
    ended = show(cli, applied, *options)
    assert ended.status == 2
    assert said in ended.err


def test_what_is_no_journal_is_refused(cli: Cli, tmp_path: Path) -> None:
    """A file that is not there, and one that is no journal."""
    other = tmp_path / "other"
    other.write_text("a,b\n")
    for path, said in ((tmp_path / "none", "cannot be read"), (other, "is not a journal")):
        for words in (["show"], ["report"]):
            ended = cli("journal", *words, path)
            assert (ended.status, ended.out) == (2, "")
            assert said in ended.err
    assert not (tmp_path / "other.html").exists()


def test_a_journal_without_rows_is_said_to_have_none(cli: Cli, applied: Applied) -> None:
    """A journal of a batch that has begun, and of which nothing is on record."""
    head = applied.journal.read_bytes().splitlines(keepends=True)[0]
    empty = applied.journal.with_name("empty.journal")
    empty.write_bytes(head)
    ended = cli("journal", "show", empty)
    assert (ended.status, ended.out) == (0, "")
    assert "the journal has no rows yet" in ended.err
