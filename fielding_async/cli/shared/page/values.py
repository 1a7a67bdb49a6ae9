"""What a page is made of."""

from collections.abc import Callable
from datetime import datetime

from attrs import frozen

from fielding_async import JournalEvent, JournalRow

__all__ = ["Report"]


def _same(text: str) -> str:
    return text


@frozen(kw_only=True)
class Report:
    """The contents of a journal, or of a plan in PostgreSQL, as the page shows them.

    `name`: the journal's file, or the plan's name. `made_at`: when the page is made. `total`: how many rows
    the plan has, where known. `line_of` returns the line in the plan of a row's number; without it the page shows the
    number. `notes`: what workers learned too late to record it. `redact` takes secrets out of texts that a server sent.
    """

    name: str
    base_url: str
    made_at: datetime
    rows: tuple[JournalRow, ...]
    events: tuple[JournalEvent, ...] = ()
    began_at: datetime | None = None
    last_written_at: datetime | None = None
    total: int | None = None
    line_of: Callable[[int], int] | None = None
    notes: tuple[str, ...] = ()
    redact: Callable[[str], str] = _same
