"""The figures and the verdict of the demo, counted from the outcomes of the calls and the records of the sandbox."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from time import monotonic
from typing import Any

from attrs import asdict, frozen

from fielding_async.core.actions import Update
from fielding_async.sandbox import ReceivedRequest

from .fault_plan import ACTIONS
from .history_check import RequestedWrite, Verdict, check_history
from .scenario import RELAUNCH, Scenario, Step

__all__ = ["Report", "Row", "make_report", "report_object"]

_STATUS = {"launch-now": "live", "update": "live", "pause": "paused", "resume": "live", "complete": "completed"}


@frozen(kw_only=True)
class Row:
    """The figures of one action over all runs.

    `runs`: how many it was performed on. `requests`: how many were sent. `conflicts`: how many were answered with 412.
    `rate_limited`: with 429. `lost`: how many got no reply. `healed`: how many of the lost ones belong to a call that
    succeeded.
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
    """The figures, the verdict on the history, all problems, and remarks, which are none."""

    runs: int
    seed: int
    seconds: float
    rows: tuple[Row, ...]
    verdict: Verdict
    problems: tuple[str, ...]
    remarks: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether there are no problems."""
        return not self.problems

    @property
    def total(self) -> Row:
        """The sum of the rows."""
        names = ("runs", "requests", "conflicts", "rate_limited", "lost", "healed")
        return Row(action="total", **{name: sum(getattr(row, name) for row in self.rows) for name in names})


def make_report(scenario: Scenario) -> Report:
    """Return the report of a scenario that has ended."""
    requests = scenario.sandbox.requests
    by_trace: defaultdict[str, list[ReceivedRequest]] = defaultdict(list)
    for request in requests:
        by_trace[(request.header("traceparent") or "--").split("-")[1]].append(request)
    rows = [_row(name, [step for step in scenario.steps if step.action.name == name], by_trace) for name in ACTIONS]
    bulk = [request for request in requests if (request.operation or "").startswith(RELAUNCH)]
    rows.append(_bulk_row(scenario, bulk))
    verdict = check_history(_requested_writes(scenario), scenario.sandbox.history)
    problems = [*_problems(scenario, rows, len(requests)), *verdict.problems]
    return Report(
        runs=len(scenario.refs),
        seed=scenario.seed,
        seconds=monotonic() - scenario.began,
        rows=tuple(rows),
        verdict=verdict,
        problems=tuple(problems),
        remarks=tuple(_remarks(rows)),
    )


def _row(name: str, steps: list[Step], by_trace: dict[str, list[ReceivedRequest]]) -> Row:
    figures: Counter[str] = Counter()
    for step in steps:
        trace_id = step.outcome.trace_id if step.outcome else (step.error and step.error.trace_id) or ""
        received = by_trace.get(trace_id, [])
        lost = sum(request.status is None for request in received)
        figures["rate_limited"] += sum(request.status == 429 for request in received)
        figures["conflicts"] += sum(request.status == 412 for request in received)
        figures["lost"] += lost
        if step.outcome is not None:
            figures.update(runs=1, requests=step.outcome.requests)
            figures["healed"] += lost if step.outcome.effect != "already" else 0
        else:
            figures.update(requests=len(received))
    return Row(action=name, **figures)


def _bulk_row(scenario: Scenario, received: list[ReceivedRequest]) -> Row:
    lost = sum(request.status is None for request in received)
    return Row(
        action=RELAUNCH,
        runs=len(scenario.relaunched.updated) if scenario.relaunched else 0,
        requests=len(received),
        conflicts=sum(request.status == 412 for request in received),
        rate_limited=sum(request.status == 429 for request in received),
        lost=lost,
        healed=lost if scenario.relaunched else 0,
    )


def _requested_writes(scenario: Scenario) -> Iterator[RequestedWrite]:
    """Yield the writes that must have been applied: all actions on all runs, and the bulk job's."""
    steps = {(step.ref, step.action.name): step for step in scenario.steps}
    for ref in scenario.refs:
        for name in ACTIONS:
            step = steps.get((ref, name))
            trace_id = step.outcome.trace_id if step and step.outcome else ""
            ends_at = step.action.end_fielding_at if step and isinstance(step.action, Update) else None
            yield RequestedWrite(ref=ref, operation=name, status=_STATUS[name], trace_id=trace_id, ends_at=ends_at)
    for ref in scenario.to_relaunch:
        yield RequestedWrite(ref=ref, operation=RELAUNCH, status="live")


def _problems(scenario: Scenario, rows: list[Row], received: int) -> Iterator[str]:
    for step in scenario.steps:
        if step.error is not None:
            yield f"{step.action.name} on {step.ref}: {type(step.error).__name__}: {step.error.message}"
    if scenario.relaunch_failure is not None:
        yield scenario.relaunch_failure
    made = [job for job in scenario.sandbox.jobs if job.operation == RELAUNCH]
    if len(made) != 1 or made[0].idempotency_key != scenario.idempotency_key:
        yield f"{RELAUNCH}: {len(made)} jobs were made, not one"
    if scenario.relaunched is not None:
        undone = len(scenario.relaunched.failed) + len(scenario.relaunched.missing)
        if undone:
            yield f"{RELAUNCH}: {undone} runs were not relaunched"
    sent = sum(row.requests for row in rows)
    if sent != received:
        yield f"the calls report {sent} requests, but the sandbox received {received}"
    unused = len(scenario.sandbox.unused_faults)
    if unused:
        yield f"{unused} of the faults that were planned did not happen"
    yield from (f"inside the sandbox: {type(error).__name__}: {error}" for error in scenario.failures)


def _remarks(rows: list[Row]) -> Iterator[str]:
    for figure, what in (("conflicts", "no conflict"), ("rate_limited", "no 429"), ("lost", "no lost reply")):
        if not any(getattr(row, figure) for row in rows):
            yield f"{what} occurred, so nothing is shown about them"


def report_object(report: Report) -> dict[str, Any]:
    """Return a report as a JSON object."""
    return {
        "kind": "demo",
        "ok": report.ok,
        "runs": report.runs,
        "seed": report.seed,
        "seconds": round(report.seconds, 2),
        "actions": [asdict(row) for row in report.rows],
        "total": {name: value for name, value in asdict(report.total).items() if name != "action"},
        "history": {
            "writes_asked_for": report.verdict.requested,
            "writes_applied": report.verdict.applied,
            "writes_by_colleague": report.verdict.by_colleague,
        },
        "problems": list(report.problems),
        "remarks": list(report.remarks),
    }
