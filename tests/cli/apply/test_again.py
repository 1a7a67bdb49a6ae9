"""A plan that is applied again: what this command sent, what had ended before, and when the plan was finished."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from attrs import evolve

from fielding_async import Batch, read_journal
from fielding_async.cli.apply.preview import finished_at
from fielding_async.cli.shared.plan.checked_plan import check_plan
from fielding_async.cli.shared.plan.row import PlanRow
from fielding_async.core.actions import Action, Complete, Pause
from fielding_async.core.dates import to_text
from fielding_async.core.models import RunRef
from fielding_async.journal.records import DoneRows
from fielding_async.sandbox import Sandbox
from tests.cli.apply.plans import failing, live, write_plan
from tests.cli.command_line import Cli
from tests.tools.sessions import session


def begun(box: Sandbox, folder: Path, rows: Sequence[tuple[RunRef, Action]], count: int) -> int:
    """Perform the first rows of plan.csv, with its journal. Returns how many failed."""
    digest = check_plan(PlanRow(number, *row) for number, row in enumerate(rows, 2)).digest

    async def perform() -> int:
        async with (
            session(box) as fielding,
            fielding.perform_all(rows[:count], journal=folder / "plan.csv.journal", plan=digest) as batch,
        ):
            return sum([done.error is not None async for done in batch])

    return asyncio.run(perform())


def test_a_finished_plan_says_to_machines_that_nothing_was_sent(box: Sandbox, cli: Cli, folder: Path) -> None:
    """The object of the second day differs from the first one's: nothing was sent, and everything had ended before."""
    write_plan(folder / "plan.csv", live(box, 3))
    (first,) = cli("apply", "plan.csv", "--yes", "--json").objects
    assert (first["sent_now"], first["ended_before"], first["done"]) == (3, 0, 3)
    (again,) = cli("apply", "plan.csv", "--yes", "--json").objects
    assert (again["sent_now"], again["ended_before"], again["done"]) == (0, 3, 3)
    assert again["finished_at"] == first["finished_at"]
    written = read_journal(folder / "plan.csv.journal").last_written_at
    assert written is not None
    assert (again["finished_at"], written.utcoffset()) == (to_text(written), timedelta())
    assert f"had ended before, the last at {first['finished_at']}; the" in cli("apply", "plan.csv", "--yes").out
    (dry,) = cli("apply", "plan.csv", "--dry-run", "--json").objects
    assert (dry["ended_before"], dry["finished_at"]) == (3, first["finished_at"])
    assert len(box.history) == 3


def test_what_had_ended_before_is_what_the_journal_held(box: Sandbox, cli: Cli, folder: Path) -> None:
    """The rows of the first go are counted as they were on record; those of this one are not mixed with them."""
    write_plan(folder / "plan.csv", [*live(box, 2), failing(box), *live(box, 5)])
    options = ("apply", "plan.csv", "--yes", "--json", "--concurrency", 1)
    *_, first = cli(*options, "--fail-fast").objects
    ended = first["done"] + first["failed"]
    assert (first["sent_now"], first["ended_before"], first["never_sent"]) == (ended, 0, 8 - ended)
    assert first["finished_at"] is None
    before = len(box.history)
    *_, second = cli(*options).objects
    assert (second["ended_before"], second["sent_now"], second["done"]) == (ended, 8 - ended, 7)
    assert len(box.history) - before == 8 - ended
    text = cli("apply", "plan.csv").out
    assert "nothing was sent: all 8 rows had ended before" in text


def test_a_plan_is_finished_when_its_last_row_has_ended(box: Sandbox, cli: Cli, folder: Path) -> None:
    """The time is that of the journal's last group; a journal without times, or with rows left, has none."""
    rows = live(box, 2)
    write_plan(folder / "plan.csv", rows)
    assert cli("apply", "plan.csv", "--yes").status == 0
    checked = check_plan(PlanRow(number, *row) for number, row in enumerate(rows, 2))
    at = datetime(2026, 11, 29, 9, 30, 15, tzinfo=UTC)
    summary = evolve(read_journal(folder / "plan.csv.journal"), last_written_at=at)
    assert finished_at(checked, summary) == "2026-11-29T09:30:15.000Z"
    assert finished_at(checked, evolve(summary, last_written_at=None)) is None
    longer = check_plan(PlanRow(number, *row) for number, row in enumerate([*rows, (rows[0][0], Pause())], 2))
    assert finished_at(longer, summary) is None


@pytest.mark.parametrize("options", [["--yes"], ["--dry-run"], []])
def test_a_plan_of_its_heading_alone_is_done(box: Sandbox, cli: Cli, folder: Path, options: list[str]) -> None:
    """A list that found nothing to act on is no mistake: nothing is sent, which is said, and no journal is touched."""
    write_plan(folder / "plan.csv", [])
    ended = cli("apply", "plan.csv", *options)
    assert (ended.status, ended.out) == (0, "")
    assert ended.err == "fielding: apply: nothing was sent: plan.csv holds no rows, only the names of the columns\n"
    (told,) = cli("apply", "plan.csv", *options, "--json").objects
    assert (told["kind"], told["rows"], told["sent_now"], told["exit_status"]) == ("apply", 0, 0, 0)
    (folder / "j").write_bytes(b"something else")
    assert cli("apply", "plan.csv", "--yes", "--journal", "j").status == 0
    assert (folder / "j").read_bytes() == b"something else"
    assert box.requests == ()
    assert sorted(path.name for path in folder.iterdir()) == ["j", "plan.csv"]


def test_a_long_plan_is_resumed_and_reported_without_reading_what_has_ended(
    box: Sandbox, cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows on record as done are passed over by the block; the report counts what ended, and does not read it again."""
    rows = live(box, 600)
    write_plan(folder / "plan.csv", rows)
    assert begun(box, folder, rows, 530) == 0
    taken: list[object] = []
    take = Batch.take

    def noting(batch: Batch, pair: object) -> None:
        taken.append(pair)
        take(batch, pair)

    with monkeypatch.context() as patched:
        patched.setattr(Batch, "take", noting)
        patched.setattr("fielding_async.cli.apply.execution.read_journal", None)
        (ended,) = cli("apply", "plan.csv", "--yes", "--json").objects
    assert [isinstance(pair, DoneRows) for pair in taken[:3]] == [True, True, False]
    assert len(taken) == 2 + 600 - 512
    assert (ended["ended_before"], ended["sent_now"], ended["done"], ended["exit_status"]) == (530, 70, 600, 0)
    summary = read_journal(folder / "plan.csv.journal")
    assert summary.counts.done == 600
    assert summary.last_written_at is not None
    assert ended["finished_at"] == to_text(summary.last_written_at)
    assert ended["outcomes"] == [{"action": "pause", "outcome": "accepted", "rows": 600}]
    assert len(box.history) == 600


def test_a_run_that_failed_before_is_not_passed_over(box: Sandbox, cli: Cli, folder: Path) -> None:
    """Later rows of a run that failed in an earlier go are skipped, whatever block of the plan they are in."""
    bad, *good = [failing(box), *live(box, 299)]
    rows = [bad, *good, (bad[0], Complete())]
    write_plan(folder / "plan.csv", rows)
    assert begun(box, folder, rows, 300) == 1
    *_, ended = cli("apply", "plan.csv", "--yes", "--json").objects
    assert (ended["done"], ended["failed"], ended["skipped"], ended["exit_status"]) == (299, 1, 1, 1)
