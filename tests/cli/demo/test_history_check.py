"""The demo's comparison of requested with applied writes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from attrs import evolve

from fielding_async.cli.demo.history_check import RequestedWrite, check_history
from fielding_async.core.models import RunRef
from fielding_async.sandbox import Write

REF = RunRef(101, "P" * 26, "T" * 26, "R")

END = datetime(2099, 1, 1, tzinfo=UTC)


def write(number: int, operation: str, status: str, **more: Any) -> Write:
    """A write of ours that took the run from one version to the next."""
    values: dict[str, Any] = {
        "seq": number,
        "ref": REF,
        "operation": operation,
        "by": "client",
        "at": END - timedelta(days=1),
        "if_match": f'W/"{number}"',
        "etag_before": f'W/"{number}"',
        "etag_after": f'W/"{number + 1}"',
        "status_before": "live",
        "status_after": status,
        "start_before": None,
        "start_after": END - timedelta(days=9),
        "end_before": None,
        "end_after": END,
        "trace_id": operation,
    }
    return Write(**(values | more))


ASKED = (
    RequestedWrite(ref=REF, operation="update", status="live", trace_id="update", ends_at=END),
    RequestedWrite(ref=REF, operation="pause", status="paused", trace_id="pause"),
    RequestedWrite(ref=REF, operation="bulk-relaunch", status="live"),
)

COLLEAGUE = write(2, "touch", "live", by="colleague", if_match=None, trace_id=None)

JOB = write(4, "bulk-relaunch", "live", by="job", if_match=None)

HISTORY = (write(1, "update", "live"), COLLEAGUE, write(3, "pause", "paused"), JOB)


def test_a_history_with_each_write_once_passes() -> None:
    """What was asked for, once each and in order, passes, with a colleague's writes in between."""
    verdict = check_history(ASKED, HISTORY)
    assert verdict.ok
    assert (verdict.requested, verdict.applied, verdict.by_colleague) == (3, 3, 1)


UPDATE, _, PAUSE, _ = HISTORY


@pytest.mark.parametrize(
    ("history", "said"),
    [
        ((*HISTORY, write(5, "pause", "paused")), "pause on {ref}: asked for once, applied 2 times"),
        ((*HISTORY, evolve(JOB, etag_before=JOB.etag_after, etag_after="X")), "bulk-relaunch on {ref}: asked for once"),
        (HISTORY[:-1], "bulk-relaunch on {ref}: asked for once, applied never"),
        ((), "update on {ref}: asked for once, applied never"),
        ((*HISTORY, write(5, "complete", "completed")), "complete on {ref}: asked for never, applied once"),
        ((UPDATE, PAUSE, JOB), "pause on {ref}: a write before it is not in the history"),
        ((PAUSE, UPDATE, JOB), "applied in another order than asked for"),
        ((*HISTORY, write(5, "end", "completed", by="clock")), "made by the clock"),
        ((UPDATE, COLLEAGUE, evolve(PAUSE, trace_id="x"), JOB), "belongs to another call"),
        ((UPDATE, COLLEAGUE, evolve(PAUSE, if_match="*"), JOB), "sent under *"),
        ((UPDATE, COLLEAGUE, evolve(PAUSE, status_after="live"), JOB), "left the run live, not paused"),
        ((evolve(UPDATE, end_after=END + timedelta(1)), COLLEAGUE, PAUSE, JOB), "set the end to 2099-01-02"),
        ((UPDATE, COLLEAGUE, PAUSE, evolve(JOB, by="client")), "made by the client, not by a job"),
    ],
)
def test_the_check_finds_what_is_wrong(history: tuple[Write, ...], said: str) -> None:
    """A write applied twice, missing, unasked, out of order, hidden or with another effect than asked for is found."""
    verdict = check_history(ASKED, history)
    assert not verdict.ok
    assert any(said.format(ref=REF) in problem for problem in verdict.problems), verdict.problems
