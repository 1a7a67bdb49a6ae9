"""`fielding apply --report`: the page is written at the end, whatever became of the rows."""

import json
from pathlib import Path

import pytest

from fielding_async import journal_events
from fielding_async.cli.shared.page.document import MARK
from fielding_async.sandbox import Sandbox
from tests.cli.apply.plans import Row, failing, write_plan, writes
from tests.cli.command_line import SECRET, Cli


@pytest.mark.parametrize("form", ["--json", None])
def test_the_page_shows_lines_of_the_plan(
    box: Sandbox, cli: Cli, folder: Path, rows: list[Row], form: str | None
) -> None:
    """All rows are on the page, by their lines; its path is told; the same command replaces it."""
    write_plan(folder / "plan.csv", [*rows, failing(box)])
    for _ in range(2):
        ended = cli("apply", "plan.csv", "--yes", "--report", "page.html", *([form] if form else []))
        assert ended.status == 1
        if form:
            assert ended.objects[-1]["report"] == "page.html"
        else:
            assert "report: page.html" in ended.out.splitlines()
        text = (folder / "page.html").read_text(encoding="utf-8")
        assert text.startswith(MARK)
        assert SECRET not in text
        data = json.loads(text.partition('id="data">')[2].partition("</script>")[0])
        assert data["columns"][0]["name"] == "Line"
        assert sorted(row[0] for row in data["rows"]) == list(range(2, len(rows) + 3))
        assert "1 not done" in text
    assert writes(box) == len(rows)


def test_the_page_shows_the_pauses_of_the_batch(box: Sandbox, cli: Cli, folder: Path, rows: list[Row]) -> None:
    """A rate limit of the exchange: its pauses are on record and drawn, and none is left out."""
    box.rate_limit(40, window=0.5)
    assert cli("apply", "plan.csv", "--yes", "--report", "page.html").status == 0
    assert writes(box) == len(rows)
    events = list(journal_events(folder / "plan.csv.journal"))
    assert {event.kind for event in events} == {"pause"}
    text = (folder / "page.html").read_text(encoding="utf-8")
    count = sum(event.count for event in events)
    assert f'<svg class="band" role="img" aria-label="Pauses: {count}; ' in text
    assert text.count('<rect class="pause"') == len(events)
    assert "429" in text


def test_without_the_option_no_page_is_written(cli: Cli, folder: Path, rows: list[Row]) -> None:
    """The report is `null` in the JSON object."""
    assert cli("apply", "plan.csv", "--yes", "--json").objects[-1]["report"] is None
    assert not list(folder.glob("*.html"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("plan.csv", "is there already, and is no report"),
        ("plan.csv.journal", "plan.csv.journal is written there; name another file"),
        ("PLAN.csv.journal", "plan.csv.journal is written there; name another file"),
        ("plan.failed.csv", "plan.failed.csv is written there; name another file"),
        ("none/page.html", "there is no folder none"),
        (".", "is not a regular file"),
    ],
)
def test_a_bad_path_is_refused_before_anything_is_sent(
    box: Sandbox, cli: Cli, folder: Path, rows: list[Row], name: str, said: str
) -> None:
    """The option, the rule and the remedy are told, with status 2."""
    ended = cli("apply", "plan.csv", "--yes", "--report", name)
    assert (ended.status, ended.out) == (2, "")
    assert f"--report {name}: {said}" in ended.err
    assert writes(box) == 0
    assert not (folder / "plan.csv.journal").exists()


def test_a_page_that_cannot_be_written_changes_nothing_about_the_rows(
    box: Sandbox, cli: Cli, folder: Path, rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full at the end: the status is that of the rows, and the remedy is told."""

    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fielding_async.cli.shared.page.files.write_page", full)
    ended = cli("apply", "plan.csv", "--yes", "--report", "page.html")
    assert ended.status == 0
    assert "the report could not be written to page.html: No space left on device" in ended.err
    assert "to write it: fielding journal report plan.csv.journal" in ended.err
    assert writes(box) == len(rows)
