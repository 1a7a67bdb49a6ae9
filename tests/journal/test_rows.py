"""What a journal answers alone: every row with its run, action, effect, trace id and time; and events of the batch."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fielding_async import (
    Action,
    DoneWithError,
    JournalEvent,
    Pause,
    RunRef,
    ServerError,
    Update,
    journal_events,
    journal_rows,
    read_journal,
)
from fielding_async.journal.file_storage import FileStorage
from fielding_async.journal.journal import Journal
from fielding_async.journal.lines import row_digest
from fielding_async.journal.values import Binding
from fielding_async.sandbox import Sandbox
from tests.tools.sessions import END, REF, run_value, session

BINDING = Binding("https://fake.invalid/v1", "2025-12-18")
BEGAN = datetime(2031, 5, 17, 8, tzinfo=UTC)


class Clock:
    """Each group is written a minute after the one before, or with `backwards` before it."""

    def __init__(self, *, backwards: bool = False) -> None:
        self._step = timedelta(minutes=-1 if backwards else 1)
        self._now = BEGAN

    def __call__(self) -> datetime:
        now, self._now = self._now, self._now + self._step
        return now


async def opened(path: Path, now: Clock) -> Journal:
    journal = Journal(FileStorage(str(path)), BINDING, now=now)
    await journal.open()
    return journal


async def test_every_row_says_what_became_of_which_run(sandbox: Sandbox, tmp_path: Path) -> None:
    """Who was changed, from what to what, under which trace id: as the batch reported it."""
    path = tmp_path / "rows.journal"
    refs = [sandbox.add_run(status="live"), sandbox.add_run(status="live"), sandbox.add_run(status="paused")]
    refs.append(sandbox.add_run(status="completed"))
    actions: list[Action] = [Pause(), Update(end_fielding_at=END), Pause(), Pause()]
    before = datetime.now(UTC) - timedelta(seconds=1)
    async with session(sandbox) as fielding:
        runs = [await fielding.run(*ref_parts(ref)).get() for ref in refs]
        async with fielding.perform_all(zip(refs, actions, strict=True), journal=path) as batch:
            found = {done.number: done async for done in batch}
    rows = {row.number: row for row in journal_rows(path, all=True)}
    assert [row.number for row in journal_rows(path)] == [3]
    assert sorted(rows) == [0, 1, 2, 3]
    for number, row in rows.items():
        assert (row.ref, row.action) == (refs[number], actions[number])
        assert row.time is not None
        assert before <= row.time <= datetime.now(UTC) + timedelta(seconds=1)
        outcome = found[number].outcome
        if outcome is None:
            continue
        assert (row.state, row.effect, row.trace_id) == ("done", outcome.effect, outcome.trace_id)
        assert row.conflicts == outcome.conflicts
    assert [rows[number].effect for number in range(4)] == ["accepted", "accepted", "already", None]
    for number in (0, 1):
        outcome = found[number].result()
        assert rows[number].etag == outcome.etag is not None
        sent_on = rows[number].before
        assert sent_on is not None
        assert (sent_on.etag, sent_on.status) == (runs[number].etag, "live")
        assert sent_on.end_fielding_at == runs[number].end_fielding_at
    assert rows[2].etag is None
    summary = read_journal(path)
    assert summary.format == 2
    assert summary.began_at is not None
    assert summary.last_written_at is not None
    assert before <= summary.began_at <= summary.last_written_at


def ref_parts(ref: RunRef) -> tuple[int, str, str, str]:
    return ref.account_id, ref.project_id, ref.target_group_id, ref.fielding_run_id


async def test_a_row_that_is_stuck_is_taken_up_again(tmp_path: Path) -> None:
    """It has not ended: it is listed with its error until another batch sends it or sees its end."""
    path = tmp_path / "rows.journal"
    digest = row_digest(REF, Pause())
    error = ServerError("500: no", status=500, trace_id="c" * 32)
    journal = await opened(path, Clock())
    await asyncio.gather(journal.record_intent(0, digest, Pause(), run_value(), REF))
    journal.record_stuck(digest, DoneWithError(REF, Pause(), error, number=0))
    journal.record_stuck(digest, DoneWithError(REF, Pause(), error, number=1))
    await journal.aclose()
    counts = read_journal(path).counts
    assert (counts.stuck, counts.in_flight, counts.ended) == (2, 0, 0)
    rows = list(journal_rows(path))
    assert [(row.number, row.state, row.ref, row.action, row.error) for row in rows] == [
        (number, "stuck", REF, Pause(), "ServerError") for number in (0, 1)
    ]
    assert [row.before for row in rows] == [run_value(), None]
    assert (rows[0].message, rows[0].trace_id) == (str(error), "c" * 32)
    assert rows[0].time == BEGAN + timedelta(minutes=1)
    journal = await opened(path, Clock())
    assert journal.replay.state(0) is journal.replay.state(1) is None
    assert list(journal.replay.open) == [0]  # gone on with under its ETag
    await asyncio.gather(journal.record_intent(1, digest, Pause(), run_value(), REF))
    journal.record_end(digest, DoneWithError(REF, Pause(), error, number=0))
    await journal.aclose()
    counts = read_journal(path).counts
    assert (counts.stuck, counts.in_flight, counts.failed) == (0, 1, 1)
    (_, in_flight) = journal_rows(path, all=True)
    assert (in_flight.state, in_flight.ref, in_flight.before) == (
        "in flight",
        RunRef(101, "0" * 26, "1" * 26, "run"),
        run_value(),
    )


@pytest.mark.parametrize("backwards", [False, True])
async def test_events_and_times_come_back(tmp_path: Path, backwards: bool) -> None:
    """What befell the batch stands in the order of the file, also where the clock went back."""
    path = tmp_path / "rows.journal"
    journal = await opened(path, Clock(backwards=backwards))
    journal.record_event("outage", None, "could not connect")
    await journal.flush()
    journal.record_event("back", 12.5, "the exchange answers again")
    await journal.aclose()
    later = BEGAN + timedelta(minutes=-1 if backwards else 1)
    assert list(journal_events(path)) == [
        JournalEvent(time=BEGAN, kind="outage", seconds=None, reason="could not connect"),
        JournalEvent(time=later, kind="back", seconds=12.5, reason="the exchange answers again"),
    ]
    summary = read_journal(path)
    assert (summary.began_at, summary.last_written_at) == (BEGAN, later)
    assert list(journal_rows(path, all=True)) == []
