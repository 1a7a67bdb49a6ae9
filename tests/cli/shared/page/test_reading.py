"""A page is made of a journal alone."""

import asyncio
import re
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
    journal.record_event("outage", None, "refused")
    await journal.flush()
    journal.record_event("back", 60.0, "it is back")
    await journal.flush()
    now = asyncio.get_running_loop().time()
    journal.record_pauses(30.0, "429", began=now - 40, ended=now - 5, count=2)
    await journal.aclose()
    found = read_report(path)
    assert [event.kind for event in found.events] == ["outage", "back", "pause"]
    text = page(found)
    assert "<title>2031-05-17 09:00:00, 1 min 00 s: refused</title>" in text
    drawn = "2 pauses, 35 s from first to last: 429</title>"
    assert re.search(rf"<title>2031-05-17 09:01:(19|20), 30 s in {drawn}", text)


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
