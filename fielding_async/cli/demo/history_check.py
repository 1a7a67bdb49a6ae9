"""Compares the sandbox's history of applied writes with the writes that the demo requested. Pure.

Each requested write must have been applied exactly once, in order, and on the state that its `If-Match` named.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from attrs import frozen

from fielding_async.core.models import RunRef
from fielding_async.sandbox import Write

__all__ = ["RequestedWrite", "Verdict", "check_history"]


@frozen(kw_only=True)
class RequestedWrite:
    """A write that the demo requested: by a call, which `trace_id` names, or (`None`) by the bulk job."""

    ref: RunRef
    operation: str
    status: str
    trace_id: str | None = None
    ends_at: datetime | None = None


@frozen(kw_only=True)
class Verdict:
    """How many writes were requested, how many the SDK applied, how many the colleague made, and what is wrong."""

    requested: int
    applied: int
    by_colleague: int
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether each requested write was applied exactly once, and no other write was."""
        return not self.problems


def check_history(requested: Iterable[RequestedWrite], history: Iterable[Write]) -> Verdict:
    """Compare the requested writes (those of one run in order) with the applied ones."""
    requested_by_run: defaultdict[RunRef, list[RequestedWrite]] = defaultdict(list)
    for entry in requested:
        requested_by_run[entry.ref].append(entry)
    applied_by_run: defaultdict[RunRef, list[Write]] = defaultdict(list)
    problems: list[str] = []
    colleague = 0
    last_etag: dict[RunRef, str] = {}
    for write in history:
        known = last_etag.get(write.ref)
        if known is not None and write.etag_before != known:
            problems.append(f"{_name(write)}: a write before it is not in the history")
        last_etag[write.ref] = write.etag_after
        if write.by == "colleague":
            colleague += 1
        elif write.by == "clock":
            problems.append(f"{_name(write)}: made by the clock, so the demo took longer than its runs last")
        else:
            applied_by_run[write.ref].append(write)
    for ref in dict.fromkeys([*requested_by_run, *applied_by_run]):
        problems += _run_problems(ref, requested_by_run[ref], applied_by_run[ref])
    return Verdict(
        requested=sum(map(len, requested_by_run.values())),
        applied=sum(map(len, applied_by_run.values())),
        by_colleague=colleague,
        problems=tuple(problems),
    )


def _run_problems(ref: RunRef, requested: Sequence[RequestedWrite], applied: Sequence[Write]) -> list[str]:
    asked_for = Counter(entry.operation for entry in requested)
    found = Counter(write.operation for write in applied)
    problems = [
        f"{name} on {ref}: asked for {_times(asked_for[name])}, applied {_times(found[name])}"
        for name in dict.fromkeys([*asked_for, *found])
        if asked_for[name] != found[name]
    ]
    if problems:
        return problems
    if [entry.operation for entry in requested] != [write.operation for write in applied]:
        order = ", ".join(write.operation for write in applied)
        return [f"{ref}: applied in another order than asked for: {order}"]
    for entry, write in zip(requested, applied, strict=True):
        problems += [f"{_name(write)}: {problem}" for problem in _write_problems(entry, write)]
    return problems


def _write_problems(entry: RequestedWrite, write: Write) -> Iterable[str]:
    writer = "job" if entry.trace_id is None else "client"
    if write.by != writer:
        yield f"made by the {write.by}, not by a {writer} of ours"
    if entry.trace_id is not None and write.trace_id != entry.trace_id:
        yield "belongs to another call than the one that asked for it"
    if writer == "client" and write.if_match != write.etag_before:
        yield f"sent under {write.if_match}, applied on {write.etag_before}"
    if write.status_after != entry.status:
        yield f"left the run {write.status_after}, not {entry.status}"
    if entry.ends_at is not None and write.end_after != entry.ends_at:
        yield f"set the end to {write.end_after}, not {entry.ends_at}"


def _name(write: Write) -> str:
    return f"{write.operation} on {write.ref}"


def _times(count: int) -> str:
    return "never" if count == 0 else "once" if count == 1 else f"{count} times"
