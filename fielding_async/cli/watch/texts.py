"""Watched runs and their changes as texts and JSON objects. Pure."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from fielding_async.cli.shared.output import counted, duration, printable
from fielding_async.cli.shared.value_texts import json_value, progress_text, time_text
from fielding_async.core.dates import to_text

from .runs import Change, WatchedRun

__all__ = [
    "ORDER",
    "change_line",
    "change_object",
    "changed_text",
    "counts_text",
    "short_time",
    "span_text",
    "time_left_text",
]

ORDER = ("live", "paused", "scheduled", "completed")
"""The statuses in the order in which runs are shown. One that this version does not know comes before `completed`."""

_DAY = 86_400
_NAMES = {"start": "start", "end": "end", "progress": "progress", "goal": "goal", "name": "name"}
_KEYS = {"start": "start_fielding_at", "end": "end_fielding_at", "name": "target_group_name", "goal": "filling_goal"}


def span_text(seconds: float) -> str:
    """Return a length of time in short, such as `12 d 03 h` or `2 h 05 min`."""
    if seconds < 2 * _DAY:
        return duration(seconds)
    hours = int(seconds) // 3600
    return f"{hours // 24:,} d {hours % 24:02} h"


def time_left_text(run: WatchedRun, now: datetime) -> str:
    """Return the time to the end of a run; `in …`, to its start, if it is scheduled; nothing if it is completed."""
    if run.status == "completed":
        return ""
    if run.status == "scheduled":
        wait = (run.start - now).total_seconds()
        return f"in {span_text(wait)}" if wait > 0 else "start is past"
    left = (run.end - now).total_seconds()
    return span_text(left) if left > 0 else "end is past"


def short_time(time: datetime, now: datetime) -> str:
    """Return a time in UTC as hours and minutes, with month and day if it is not of today, with the year if need be."""
    form = "%H:%M" if time.date() == now.date() else "%m-%d %H:%M" if time.year == now.year else "%Y-%m-%d %H:%M"
    return time.strftime(form)


def changed_text(run: WatchedRun, now: datetime) -> str:
    """Return when a run was changed last, and the user who changed it, as far as that is known."""
    at = "" if run.changed_at is None else short_time(run.changed_at, now)
    by = "" if run.changed_by is None else f"by {printable(run.changed_by)}"
    return f"{at} {by}".strip()


def counts_text(runs: Iterable[WatchedRun]) -> str:
    """Return how many runs there are of each status, such as `3 runs: 2 live, 1 paused`."""
    counts = Counter(run.status for run in runs)
    known = [status for status in ORDER if status in counts]
    statuses = [*known, *sorted(counts.keys() - set(ORDER))]
    each = ", ".join(f"{counts[status]:,} {printable(status)}" for status in statuses)
    return counted(counts.total(), "run") + (f": {each}" if each else "")


def change_line(change: Change, now: datetime) -> str:
    """Return a change as a line: when it was seen, which run, what changed and who changed the run last."""
    run = change.run
    start = f"{time_text(now)} {run.ref} {printable(run.name)!r}"
    match change.kind:
        case "gone":
            return f"{start}: no longer among the runs of the project"
        case "new":
            progress = progress_text(run.progress, run.goal)
            return ", ".join(filter(None, [f"{start}: {printable(run.status)}", progress, f"end {time_text(run.end)}"]))
        case "changed":
            parts = [_difference(name, old, new) for name, (old, new) in change.values.items()]
            # a complete is no write: nobody who changed the run last is named for it
            by = run.changed_by if change.values.keys() - {"progress"} else None
            return f"{start}: {', '.join(parts)}" + ("" if by is None else f", last changed by {printable(by)}")


def _difference(name: str, old: Any, new: Any) -> str:
    texts = [_value(value) for value in (old, new)]
    label = _NAMES.get(name)
    return " ".join(filter(None, [label, " -> ".join(texts)]))


def _value(value: Any) -> str:
    if value is None:
        return "not known"
    if isinstance(value, datetime):
        return time_text(value)
    return f"{value:,}" if isinstance(value, int) else printable(str(value))


def change_object(change: Change, now: datetime) -> dict[str, Any]:
    """Return a change as a JSON object, with the run as it is now, or was last."""
    run = change.run
    return {
        "kind": "change",
        "time": to_text(now),
        "change": change.kind,
        "ref": str(run.ref),
        "target_group_name": run.name,
        "status": run.status,
        "start_fielding_at": to_text(run.start),
        "end_fielding_at": to_text(run.end),
        "progress": run.progress,
        "filling_goal": run.goal,
        "last_changed_at": json_value(run.changed_at),
        "last_changed_by": run.changed_by,
        "before": {_KEYS.get(name, name): json_value(old) for name, (old, _) in change.values.items()},
    }
