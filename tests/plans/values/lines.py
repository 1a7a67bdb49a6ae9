"""A run, and a time, for records of a journal."""

from datetime import UTC, datetime

from fielding_async import FieldingRun

NOW = datetime(2026, 5, 17, 12, tzinfo=UTC)
BASE = FieldingRun(
    id="run", status="live", version=5, start_fielding_at=NOW, end_fielding_at=NOW.replace(year=2027), etag='W/"5"'
)
