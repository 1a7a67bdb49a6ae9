"""Reads a plan into what its page shows."""

from datetime import UTC, datetime

from fielding_async.cli.shared.page.reading import redaction
from fielding_async.cli.shared.page.values import Report
from fielding_async.plans import PlanReport, PlanRow, PostgresPlans

from .late import late_lines

__all__ = ["read_page"]


async def read_page(plans: PostgresPlans, report: PlanReport) -> Report:
    """Return the contents of the page: the rows on record, and what the report of the plan has."""
    rows: list[PlanRow] = [row async for row in plans.rows(report.name, all=True) if row.state != "not begun"]
    rows.sort(key=lambda row: (row.time is None, row.time or report.submitted_at, row.number))
    return Report(
        name=report.name,
        base_url=report.base_url or "not worked off at any yet",
        made_at=datetime.now(UTC),
        rows=tuple(rows),
        events=report.events,
        began_at=report.began_at,
        last_written_at=report.last_written_at,
        total=report.rows,
        notes=tuple(late_lines(report.late)),
        redact=redaction(),
    )
