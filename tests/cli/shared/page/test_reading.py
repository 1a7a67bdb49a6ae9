"""A page is made of a journal alone."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from fielding_async import Pause
from fielding_async.cli.shared.page.document import page
from fielding_async.cli.shared.page.reading import read_report
from fielding_async.journal.file_storage import FileStorage
from fielding_async.journal.journal import Journal
from fielding_async.journal.values import Binding
from fielding_async.sandbox import Sandbox
from tests.tools.sessions import session

from .journals import BEGAN


def _minutes() -> Iterator[datetime]:
    now = BEGAN
    while True:
        yield now
        now += timedelta(minutes=1)


async def test_what_befell_the_batch_is_on_the_page(tmp_path: Path) -> None:
    """Outages and pauses on record are read, and drawn at their times."""
    path = tmp_path / "plan.journal"
    journal = Journal(FileStorage(str(path)), Binding("https://fake.invalid/v1", "2025-12-18"), now=_minutes().__next__)
    await journal.open()
    for kind, seconds, reason in (("outage", None, "refused"), ("back", 60.0, "it is back"), ("pause", 30.0, "429")):
        journal.record_event(kind, seconds, reason)  # type: ignore[arg-type]
        await journal.flush()
    await journal.aclose()
    found = read_report(path)
    assert [event.kind for event in found.events] == ["outage", "back", "pause"]
    text = page(found)
    assert "<title>2031-05-17 09:00:00, 1 min 00 s: refused</title>" in text
    assert "<title>2031-05-17 09:01:30, 30 s: 429</title>" in text


async def test_a_journal_can_be_read_while_it_is_written(sandbox: Sandbox, tmp_path: Path) -> None:
    """The page of a batch under way has the rows that are on record by then."""
    path = tmp_path / "plan.journal"
    refs = [sandbox.add_run("live") for _ in range(3)]
    async with (
        session(sandbox) as fielding,
        fielding.perform_all(((ref, Pause()) for ref in refs), journal=path, concurrency=1) as batch,
    ):
        async for done in batch:
            found = read_report(path)
            assert done.number in {row.number for row in found.rows}
            assert "rows on record" in page(found)
    assert [row.ref for row in read_report(path).rows] == refs
