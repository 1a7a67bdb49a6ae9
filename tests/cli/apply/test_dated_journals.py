"""`--journal` with a date in the name: which journal is gone on with, and when a new one is begun."""

import contextlib
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from fielding_async import JournalSummary, read_journal
from fielding_async.cli.apply.journal_files import find_journal
from fielding_async.cli.apply.journal_pattern import parse_pattern
from fielding_async.cli.shared.plan.checked_plan import check_plan
from fielding_async.cli.shared.plan.row import PlanRow
from fielding_async.core.errors import ConfigurationError
from fielding_async.sandbox import Sandbox
from tests.cli.apply.plans import Row, failing, live, write_plan
from tests.cli.command_line import Cli

PATTERN = "plan-%Y-%m-%d.journal"
DAY = date(2026, 11, 29)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        (PATTERN, "plan-2026-11-29.journal"),
        ("a/b%%/j%d.%m.%Y%%Y", "a/b%/j29.11.2026%Y"),
        ("%Y%Y", "20262026"),
        ("plain", "plain"),
        ("100%%", "100%"),
    ],
)
def test_a_pattern_makes_a_path_of_a_date(pattern: str, path: str) -> None:
    """The date stands where its letters do, and what was made fits the pattern."""
    made = parse_pattern(Path(pattern))
    assert made.path(DAY) == Path(path)
    assert made.expression().fullmatch(Path(path).name)
    assert made.is_dated == ("%Y" in pattern.replace("%%", ""))
    assert parse_pattern(Path("%Y")).path(date(33, 1, 2)) == Path("0033")


@pytest.mark.parametrize(
    "name",
    [
        "plan-2026-13-01.journal",
        "plan-2026-00-01.journal",
        "plan-2026-11-32.journal",
        "plan-2026-1-1.journal",
        "plan-٢٠٢٦-11-29.journal",
        "plan-2026-11-29.journal.head",
        "my-plan-2026-11-29.journal",
        "plan-2026-11-29xjournal",
        "plan-2026-11-29.journal\n",
    ],
)
def test_other_names_do_not_fit(name: str) -> None:
    """What no day could have made is no journal of the pattern."""
    assert not parse_pattern(Path(PATTERN)).expression().fullmatch(name)
    assert not parse_pattern(Path("%Y-%Y")).expression().fullmatch("2025-2026")


@pytest.mark.parametrize("pattern", ["j%H", "j%", "%%%", "j%y", "%Y/j", "%%%d/j", "j%-d", "j%é"])
def test_another_percent_sign_is_refused_with_the_rule(box: Sandbox, cli: Cli, folder: Path, pattern: str) -> None:
    """Nothing is guessed: the option, the letters and their meaning are named, and nothing is sent."""
    write_plan(folder / "plan.csv", live(box, 1))
    ended = cli("apply", "plan.csv", "--yes", "--journal", pattern)
    assert (ended.status, box.requests) == (2, ())
    assert f"--journal {pattern}: " in ended.err
    assert "%%" in ended.err


def begin(cli: Cli, journal: str, *, whole: bool) -> None:
    """Apply the plan with a journal, whole or up to its second row, which fails."""
    options = [] if whole else ["--fail-fast", "--concurrency", 1]
    assert cli("apply", "plan.csv", "--yes", "--journal", journal, *options).status == 1


@pytest.fixture
def daily(box: Sandbox, folder: Path) -> list[Row]:
    """A plan whose second row fails."""
    rows = [*live(box, 1), failing(box), *live(box, 2)]
    write_plan(folder / "plan.csv", rows)
    return rows


def found(rows: list[Row], box: Sandbox, today: date = DAY) -> Path:
    """Find the journal for a plan of these rows."""
    checked = check_plan(PlanRow(line, *row) for line, row in enumerate(rows, 2))
    return find_journal(parse_pattern(Path(PATTERN)), checked, base_url=box.url, today=today)


def test_an_unfinished_journal_is_gone_on_with_and_a_finished_one_is_not(
    box: Sandbox, cli: Cli, folder: Path, daily: list[Row]
) -> None:
    """Whatever the date of the unfinished one; journals of other plans and torn beginnings do not count."""
    assert found(daily, box) == Path("plan-2026-11-29.journal")
    begin(cli, "plan-2026-11-28.journal", whole=True)
    assert found(daily, box) == Path("plan-2026-11-29.journal")
    begin(cli, "plan-2026-11-20.journal", whole=False)
    assert found(daily, box) == Path("plan-2026-11-20.journal")
    assert found(daily[:1], box) == Path("plan-2026-11-29.journal")
    (folder / "plan-2026-11-01.journal").write_bytes(b'{"fielding_jour')
    assert found(daily, box) == Path("plan-2026-11-20.journal")
    begin(cli, "plan-2026-11-20.journal", whole=True)
    assert found(daily, box) == Path("plan-2026-11-29.journal")


def test_of_finished_journals_only_the_ends_are_read(
    box: Sandbox, cli: Cli, folder: Path, daily: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their heads count the rows that ended. A head that does not name the last group is not relied on."""
    reads: list[Path] = []

    def read(path: Path) -> JournalSummary:
        reads.append(path)
        return read_journal(path)

    monkeypatch.setattr("fielding_async.cli.apply.journal_files.read_journal", read)
    old, left = folder / "plan-2026-11-20.journal", folder / "plan-2026-11-21.journal"
    begin(cli, old.name, whole=True)
    begin(cli, left.name, whole=False)
    assert found(daily, box) == Path(left.name)
    assert reads == [Path(left.name)]
    reads.clear()
    begin(cli, left.name, whole=True)  # continued: the rows of both times count
    assert found(daily, box) == Path("plan-2026-11-29.journal")
    assert reads == []
    whole = old.read_bytes()
    for text in (whole[: whole.rindex(b'{"commit":')], whole[:-5]):
        old.write_bytes(text)
        with contextlib.suppress(ConfigurationError):  # it was cut back, or its last group is broken
            found(daily, box)
        assert reads.pop() == Path(old.name)
    old.write_bytes(whole)
    (folder / "plan-2026-11-20.journal.head").unlink()
    assert found(daily, box) == Path("plan-2026-11-29.journal")
    assert reads == [Path(old.name)]


def test_a_journal_of_another_exchange_is_not_gone_on_with(box: Sandbox, cli: Cli, daily: list[Row]) -> None:
    """What was tried against a sandbox is begun anew elsewhere."""
    begin(cli, "plan-2026-11-28.journal", whole=False)
    checked = check_plan(PlanRow(line, *row) for line, row in enumerate(daily, 2))
    pattern = parse_pattern(Path(PATTERN))
    elsewhere = find_journal(pattern, checked, base_url="https://api.example", today=DAY)
    assert elsewhere == Path("plan-2026-11-29.journal")


def test_two_unfinished_journals_are_refused_by_name(box: Sandbox, cli: Cli, daily: list[Row]) -> None:
    """Which one the rows are on record in cannot be guessed."""
    begin(cli, "plan-2026-11-20.journal", whole=False)
    begin(cli, "plan-2026-11-21.journal", whole=False)
    before = len(box.requests)
    ended = cli("apply", "plan.csv", "--yes", "--journal", PATTERN)
    assert (ended.status, len(box.requests)) == (2, before)
    assert "2 journals of this plan are unfinished: plan-2026-11-20.journal and plan-2026-11-21.journal" in ended.err


def test_a_file_that_fits_and_is_no_journal_is_refused(box: Sandbox, cli: Cli, folder: Path, daily: list[Row]) -> None:
    """It might be the journal to go on with: what cannot be read is not taken for finished."""
    for content, problem in ((b"{}\n", "is not a journal"), (b"", None)):
        (folder / "plan-2026-11-20.journal").write_bytes(content)
        if problem is None:
            assert found(daily, box) == Path("plan-2026-11-29.journal")
            continue
        with pytest.raises(ConfigurationError, match=problem):
            found(daily, box)
    begin(cli, "plan-2026-11-20.journal", whole=False)
    whole = (folder / "plan-2026-11-20.journal").read_bytes()
    (folder / "plan-2026-11-20.journal").write_bytes(whole.replace(b'"end"', b'"End"'))
    with pytest.raises(ConfigurationError, match=r"is damaged.*repair it, or move it away"):
        found(daily, box)


def test_a_plan_of_every_day_is_sent_every_day(box: Sandbox, cli: Cli, folder: Path, daily: list[Row]) -> None:
    """After yesterday's journal is finished a new one is begun; the command that goes on names the pattern."""
    begin(cli, "plan-2025-01-31.journal", whole=False)
    options = ("apply", "plan.csv", "--yes", "--json", "--journal", PATTERN, "--concurrency", 1)
    *_, told = cli(*options, "--fail-fast").objects
    assert told["journal"] == "plan-2025-01-31.journal"
    assert told["sent_now"] == 4 - told["ended_before"] > 0
    days = {f"plan-{datetime.now(UTC):%Y-%m-%d}.journal"}
    *_, told = cli(*options, "--fail-fast").objects
    days.add(f"plan-{datetime.now(UTC):%Y-%m-%d}.journal")
    assert told["journal"] in days
    assert told["ended_before"] == 0
    assert told["go_on"] == f"fielding apply plan.csv --journal {PATTERN} --concurrency 1 --yes --json"
    *_, told = cli(*options).objects
    assert (told["journal"] in days, told["ended_before"] > 0, told["never_sent"]) == (True, True, 0)
    text = cli("apply", "plan.csv", "--yes", "--journal", told["journal"])
    assert "nothing was sent: all 4 rows had ended before" in text.out
