"""The report of a plan for people and as JSON. Pure."""

from collections import Counter
from typing import Any

from rich.box import HORIZONTALS
from rich.table import Table

from fielding_async import JournalEvent
from fielding_async.cli.shared.output import counted, duration, printable
from fielding_async.cli.shared.value_texts import json_value
from fielding_async.plans import PlanReport

from .late import late_lines
from .texts import COUNTS

__all__ = ["event_lines", "event_object", "late_text_lines", "outcomes_table", "report_lines", "report_object"]

_OUTCOMES = ("accepted", "already", "unconfirmed", "failed", "unknown", "skipped")
_WHAT = {"outage": "the exchange could not be used", "back": "the exchange was back", "pause": "paused by the server"}
_SHOWN = 20  # events, and rows of late workers, that are shown one by one


def report_lines(report: PlanReport) -> list[str]:
    """Return the counts and times of a plan as lines."""
    counts = report.counts
    found = [(name.replace("_", " "), getattr(counts, name)) for name in COUNTS]
    found.append(("not begun", report.not_begun))
    ended = f"{counts.ended:,} of {counted(report.rows, 'row')} ended"
    lines = [
        f"{report.name}: {ended}; {', '.join(f'{count:,} {name}' for name, count in found if count or name == 'done')}",
        f"  exchange   {report.base_url or 'none yet'}",
    ]
    if report.began_at is not None and report.last_written_at is not None:
        seconds = (report.last_written_at - report.began_at).total_seconds()
        took = f", {duration(seconds)}" if seconds >= 0 else ""
        lines.append(f"  from       {report.began_at:%Y-%m-%d %H:%M:%S} UTC")
        lines.append(f"  to         {report.last_written_at:%Y-%m-%d %H:%M:%S} UTC{took}")
    return [printable(line) for line in lines]


def outcomes_table(report: PlanReport) -> Table:
    """Return how many rows of each action ended in each way, as a table."""
    shown = [name for name in _OUTCOMES if any(outcome == name for _, outcome in report.outcomes)]
    table = Table(box=HORIZONTALS, pad_edge=False)
    table.add_column("Action", no_wrap=True)
    for name in shown:
        table.add_column(name.capitalize(), justify="right")
    actions: Counter[str] = Counter()
    for (action, _), rows in report.outcomes.items():
        actions[action] += rows
    for action in sorted(actions, key=lambda name: (-actions[name], name)):
        cells = [report.outcomes.get((action, name), 0) for name in shown]
        table.add_row(printable(action), *(f"{cell:,}" if cell else "" for cell in cells))
    return table


def event_lines(report: PlanReport) -> list[str]:
    """Return the last outages and pauses as lines."""
    events = report.events
    left = len(events) - _SHOWN
    lines = [f"{counted(left, 'event')} before that; all of them: --json or --html"] if left > 0 else []
    return lines + [_event(event) for event in events[-_SHOWN:]]


def _event(event: JournalEvent) -> str:
    took = "" if event.seconds is None else f", {event.seconds:.1f} s"
    times = f" in {event.count:,} pauses" if event.count > 1 else ""
    time = (event.began_at or event.time) if event.kind == "pause" else event.time
    reason = f": {event.reason}" if event.reason else ""
    return printable(f"{time:%Y-%m-%d %H:%M:%S} UTC  {_WHAT[event.kind]}{took}{times}{reason}")


def late_text_lines(report: PlanReport) -> list[str]:
    """Return what late workers learned as lines."""
    lines = late_lines(report.late[:_SHOWN])
    left = len(report.late) - _SHOWN
    return lines + ([f"and {left:,} more of late workers; all of them: --json"] if left > 0 else [])


def event_object(event: JournalEvent) -> dict[str, Any]:
    """Return an event as a JSON object."""
    return {
        "kind": event.kind,
        "time": json_value(event.time),
        "seconds": event.seconds,
        "count": event.count,
        "began_at": json_value(event.began_at),
        "ended_at": json_value(event.ended_at),
        "reason": event.reason,
    }


def report_object(report: PlanReport) -> dict[str, Any]:
    """Return the counts and times of a plan as a JSON object."""
    outcomes: dict[str, dict[str, int]] = {}
    for (action, outcome), rows in sorted(report.outcomes.items()):
        outcomes.setdefault(action, {})[outcome] = rows
    return {
        "kind": "report",
        "plan": report.name,
        "rows": report.rows,
        **{name: getattr(report.counts, name) for name in COUNTS},
        "not_begun": report.not_begun,
        "outcomes": outcomes,
        "events": len(report.events),
        "late": len(report.late),
        "state": report.state,
        "shards": report.shards,
        "digest": report.digest,
        "base_url": report.base_url,
        "api_version": report.api_version,
        "submitted_at": json_value(report.submitted_at),
        "began_at": json_value(report.began_at),
        "last_written_at": json_value(report.last_written_at),
        "finished_at": json_value(report.finished_at),
    }
