"""Watched runs for the tests."""

from datetime import UTC, datetime, timedelta
from typing import Any

from fielding_async import RunRef
from fielding_async.cli.watch.runs import WatchedRun

NOW = datetime(2031, 5, 17, 12, tzinfo=UTC)
PROJECT = "01BTGNYV6HRNK8K8VKZASZCFP0"


def ref(number: int) -> RunRef:
    """The ref of a run."""
    return RunRef(101, PROJECT, f"01BTGNYV6HRNK8K8VKZASZ{number:04}", f"RUN-{number}")


def watched_run(number: int = 1, **values: Any) -> WatchedRun:
    """A run as it is watched."""
    known: dict[str, Any] = {
        "ref": ref(number),
        "name": f"Group {number}",
        "status": "live",
        "start": NOW - timedelta(days=1),
        "end": NOW + timedelta(days=12, hours=3),
        "progress": 412,
        "goal": 1000,
        "changed_at": NOW - timedelta(hours=1),
        "changed_by": "alice@example.com",
    }
    return WatchedRun(**known | values)
