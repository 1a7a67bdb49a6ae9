"""The demo's account of itself, counted from what really happened: the calls' outcomes and the sandbox's records."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from time import monotonic
from typing import Any

from attrs import asdict, frozen

from fielding_async.core.actions import Update
from fielding_async.sandbox import ReceivedRequest

from .fault_plan import JOURNEY
from .history_check import Asked, Verdict, check_history
from .scenario import RELAUNCH, Play, Step

__all__ = ["Report", "Row", "make_report", "report_object"]

_STATUS = {"launch-now": "live", "update": "live", "pause": "paused", "resume": "live", "complete": "completed"}


@frozen(kw_only=True)
class Row:
    """The figures of one action over all runs.

    `requests` were sent, `conflicts` of them answered with 412 and `rate_limited` with 429. `lost` is how many got no
    reply, `healed` how many of those belong to a call that ended well all the same.
    """

    action: str
    runs: int = 0
    requests: int = 0
    conflicts: int = 0
    rate_limited: int = 0
    lost: int = 0
    healed: int = 0


@frozen(kw_only=True)
class Report:
    """The figures, the verdict, and whatever else is wrong."""

    runs: int
    seed: int
    seconds: float
    rows: tuple[Row, ...]
    verdict: Verdict
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the demo did what it promises."""
        return not self.problems

    @property
    def total(self) -> Row:
        """The sum of the rows."""
        names = ("runs", "requests", "conflicts", "rate_limited", "lost", "healed")
        return Row(action="total", **{name: sum(getattr(row, name) for row in self.rows) for name in names})


def make_report(play: Play) -> Report:
    """Draw the account of a play that has ended."""
    requests = play.sandbox.requests
    by_trace: defaultdict[str, list[ReceivedRequest]] = defaultdict(list)
    for request in requests:
        by_trace[(request.header("traceparent") or "--").split("-")[1]].append(request)
    rows = [_row(name, [step for step in play.steps if step.action.name == name], by_trace) for name in JOURNEY]
    bulk = [request for request in requests if (request.operation or "").startswith(RELAUNCH)]
    rows.append(_bulk_row(play, bulk))
    verdict = check_history(_asked(play), play.sandbox.history)
    problems = [*_problems(play, rows, len(requests)), *verdict.problems]
    return Report(
        runs=len(play.refs),
        seed=play.seed,
        seconds=monotonic() - play.began,
        rows=tuple(rows),
        verdict=verdict,
        problems=tuple(problems),
    )


def _row(name: str, steps: list[Step], by_trace: dict[str, list[ReceivedRequest]]) -> Row:
    figures: Counter[str] = Counter()
    for step in steps:
        trace_id = step.outcome.trace_id if step.outcome else (step.error and step.error.trace_id) or ""
        received = by_trace.get(trace_id, [])
        lost = sum(request.status is None for request in received)
        figures["rate_limited"] += sum(request.status == 429 for request in received)
        figures["lost"] += lost
        if step.outcome is not None:
            figures.update(runs=1, requests=step.outcome.requests, conflicts=step.outcome.conflicts)
            figures["healed"] += lost if step.outcome.effect != "already" else 0
        else:
            figures.update(requests=len(received), conflicts=sum(request.status == 412 for request in received))
    return Row(action=name, **figures)


def _bulk_row(play: Play, received: list[ReceivedRequest]) -> Row:
    lost = sum(request.status is None for request in received)
    return Row(
        action=RELAUNCH,
        runs=len(play.relaunched.updated) if play.relaunched else 0,
        requests=len(received),
        conflicts=sum(request.status == 412 for request in received),
        rate_limited=sum(request.status == 429 for request in received),
        lost=lost,
        healed=lost if play.relaunched else 0,
    )


def _asked(play: Play) -> Iterator[Asked]:
    """Say which writes there must be: all actions on all runs, whatever became of the calls, and the bulk job's."""
    steps = {(step.ref, step.action.name): step for step in play.steps}
    for ref in play.refs:
        for name in JOURNEY:
            step = steps.get((ref, name))
            trace_id = step.outcome.trace_id if step and step.outcome else ""
            ends_at = step.action.end_fielding_at if step and isinstance(step.action, Update) else None
            yield Asked(ref=ref, operation=name, status=_STATUS[name], trace_id=trace_id, ends_at=ends_at)
    for ref in play.to_relaunch:
        yield Asked(ref=ref, operation=RELAUNCH, status="live")


def _problems(play: Play, rows: list[Row], received: int) -> Iterator[str]:
    for step in play.steps:
        if step.error is not None:
            yield f"{step.action.name} on {step.ref}: {type(step.error).__name__}: {step.error.message}"
    if play.relaunch_failure is not None:
        yield play.relaunch_failure
    made = [job for job in play.sandbox.jobs if job.operation == RELAUNCH]
    if len(made) != 1 or made[0].idempotency_key != play.idempotency_key:
        yield f"{RELAUNCH}: {len(made)} jobs were made, not one"
    if play.relaunched is not None:
        undone = len(play.relaunched.failed) + len(play.relaunched.missing)
        if undone:
            yield f"{RELAUNCH}: {undone} runs were not relaunched"
    sent = sum(row.requests for row in rows)
    if sent != received:
        yield f"the calls tell of {sent} requests, but the sandbox received {received}"
    unused = len(play.sandbox.unused_faults)
    if unused:
        yield f"{unused} of the faults that were planned never struck"
    for figure, what in (("conflicts", "no conflict"), ("rate_limited", "no 429"), ("lost", "no lost reply")):
        if not any(getattr(row, figure) for row in rows):
            yield f"{what} was met, so that nothing is shown about them"


def report_object(report: Report) -> dict[str, Any]:
    """Return a report as an object."""
    return {
        "kind": "demo",
        "ok": report.ok,
        "runs": report.runs,
        "seed": report.seed,
        "seconds": round(report.seconds, 2),
        "actions": [asdict(row) for row in report.rows],
        "total": {name: value for name, value in asdict(report.total).items() if name != "action"},
        "history": {
            "writes_asked_for": report.verdict.asked,
            "writes_applied": report.verdict.applied,
            "writes_by_colleague": report.verdict.by_colleague,
        },
        "problems": list(report.problems),
    }
