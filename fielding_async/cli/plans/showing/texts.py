"""How far a plan is, for people and as JSON. Pure."""

from datetime import datetime
from typing import Any

from fielding_async import JournalEvent
from fielding_async.cli.shared.output import counted, duration, printable
from fielding_async.cli.shared.value_texts import json_value
from fielding_async.plans import PlanStatus

__all__ = [
    "COUNTS",
    "counts_text",
    "heading",
    "left_text",
    "minute",
    "outage_text",
    "progress_line",
    "state_of",
    "status_exit",
    "status_object",
    "time_text",
]

COUNTS = ("done", "failed", "unknown", "skipped", "stuck", "in_flight")
"""The counts of a plan's rows, by name."""


def state_of(status: PlanStatus) -> str:
    """Return what becomes of a plan, in a word or three."""
    if status.state == "deleting":
        return "being deleted"
    if status.state == "cancelled":
        return "cancelled"
    if status.finished_at is not None or not status.left:
        return "finished"
    if status.state == "paused":
        return "paused"
    if any(worker.lease_left > 0 for worker in status.workers):
        return "worked on"
    return "not begun" if status.began_at is None else "no worker"


def counts_text(status: PlanStatus) -> str:
    """Return how many rows ended in each way: those that are done, and the others where there are any."""
    found = [(name.replace("_", " "), getattr(status.counts, name)) for name in COUNTS]
    return ", ".join(f"{count:,} {name}" for name, count in found if count or name == "done")


def left_text(status: PlanStatus, pace: float) -> str:
    """Return the rows a second, and how long the rest takes at that pace."""
    rows = f"{pace:,.{1 if pace < 10 else 0}f} rows/s"
    return f"{rows}, {duration(status.left / pace)} left" if pace > 0 and status.left else rows


def minute(time: datetime | None) -> str:
    """Return a time to the minute, in UTC, for a table; empty if there is none."""
    return "" if time is None else f"{time:%Y-%m-%d %H:%M}"


def time_text(time: datetime | None, *, otherwise: str) -> str:
    """Return a time to the second, in UTC; `otherwise` if there is none."""
    return otherwise if time is None else f"{time:%Y-%m-%d %H:%M:%S} UTC"


def status_object(status: PlanStatus) -> dict[str, Any]:
    """Return how far a plan is as a JSON object."""
    return {
        "kind": "plan",
        "plan": status.name,
        "state": state_of(status).replace(" ", "-"),
        "rows": status.rows,
        "left": status.left,
        **{name: getattr(status.counts, name) for name in COUNTS},
        "shards": status.shards,
        "shards_finished": status.shards_finished,
        "workers": [
            {
                "holder": worker.holder,
                "shards": worker.shards,
                "lease_left": round(worker.lease_left, 3),
                "last_written_at": json_value(worker.last_written_at),
            }
            for worker in status.workers
        ],
        "digest": status.digest,
        "base_url": status.base_url,
        "api_version": status.api_version,
        "submitted_at": json_value(status.submitted_at),
        "began_at": json_value(status.began_at),
        "last_written_at": json_value(status.last_written_at),
        "finished_at": json_value(status.finished_at),
    }


def status_exit(status: PlanStatus) -> int:
    """Return the exit status that says how a plan ended, or that it has not."""
    counts = status.counts
    if counts.unknown or counts.in_flight or (status.left > counts.stuck and status.state != "cancelled"):
        return 3
    return 1 if counts.failed or counts.skipped or status.left else 0


def progress_line(status: PlanStatus, pace: float) -> str:
    """Return how far a plan is, and how fast, on one line."""
    workers = sum(worker.lease_left > 0 for worker in status.workers)
    return f"{heading(status)}; {left_text(status, pace)}; {counts_text(status)}; {counted(workers, 'worker')}"


def outage_text(outage: JournalEvent) -> str:
    """Return since when the exchange cannot be used, and why."""
    return f"the exchange cannot be used since {outage.time:%Y-%m-%d %H:%M:%S} UTC: {printable(outage.reason)}"


def heading(status: PlanStatus) -> str:
    """Return the name of a plan, its state and how many of its rows have ended, on one line."""
    ended = f"{status.counts.ended:,} of {counted(status.rows, 'row')}"
    return f"{printable(status.name)}: {state_of(status)}, {ended} ended"
