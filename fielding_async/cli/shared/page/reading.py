"""Reads a journal into what its page shows."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from fielding_async import journal_events, journal_rows, read_journal
from fielding_async.core.redaction import Redactor

from .values import Report

__all__ = ["read_report", "redaction"]

_SECRETS = ("FIELDING_TOKEN", "FIELDING_CLIENT_SECRET", "FIELDING_PLANS_URL", "FIELDING_SHARED_URL")


def read_report(path: Path | str, *, total: int | None = None, line_of: Callable[[int], int] | None = None) -> Report:
    """Read a journal. Raises `ConfigurationError` if it cannot be read or is none."""
    summary = read_journal(path)
    return Report(
        name=Path(path).name,
        base_url=summary.base_url,
        made_at=datetime.now(UTC),
        rows=tuple(journal_rows(path, all=True)),
        events=tuple(journal_events(path)),
        began_at=summary.began_at,
        last_written_at=summary.last_written_at,
        total=total,
        line_of=line_of,
        # the session has taken them out of errors before they came into the journal; this is a second lock
        redact=redaction(),
    )


def redaction() -> Callable[[str], str]:
    """Return what takes the secrets of the environment out of a text."""
    return Redactor(filter(None, map(os.environ.get, _SECRETS))).text
