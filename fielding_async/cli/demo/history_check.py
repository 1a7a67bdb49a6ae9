"""The demo's judgement of the sandbox's history: values in, verdict out.

Every write that was asked for must have been applied exactly once, in order, on the state it was meant for.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from attrs import frozen

from fielding_async.core.models import RunRef
from fielding_async.sandbox import Write

__all__ = ["Asked", "Verdict", "check_history"]


@frozen(kw_only=True)
class Asked:
    """A write that was asked for: by a call of our own (`trace_id` names it) or by a job that we made (`None`)."""

    ref: RunRef
    operation: str
    status: str
    trace_id: str | None = None
    ends_at: datetime | None = None


@frozen(kw_only=True)
class Verdict:
    """How many writes were asked for, how many of ours were applied, how many a colleague made, what is wrong."""

    asked: int
    applied: int
    by_colleague: int
    problems: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every write was applied exactly once, and nothing else was."""
        return not self.problems


def check_history(asked: Iterable[Asked], history: Iterable[Write]) -> Verdict:
    """Compare what was asked for (in the order of each run) with what was applied."""
    wanted: defaultdict[RunRef, list[Asked]] = defaultdict(list)
    for entry in asked:
        wanted[entry.ref].append(entry)
    applied: defaultdict[RunRef, list[Write]] = defaultdict(list)
    problems: list[str] = []
    colleague = 0
    last_etag: dict[RunRef, str] = {}
    for write in history:
        known = last_etag.get(write.ref)
        if known is not None and write.etag_before != known:
            problems.append(f"{_of(write)}: a write before it is not in the history")
        last_etag[write.ref] = write.etag_after
        if write.by == "colleague":
            colleague += 1
        elif write.by == "clock":
            problems.append(f"{_of(write)}: made by the clock, so the demo took longer than its runs last")
        else:
            applied[write.ref].append(write)
    for ref in dict.fromkeys([*wanted, *applied]):
        problems += _run_problems(ref, wanted[ref], applied[ref])
    return Verdict(
        asked=sum(map(len, wanted.values())),
        applied=sum(map(len, applied.values())),
        by_colleague=colleague,
        problems=tuple(problems),
    )


def _run_problems(ref: RunRef, wanted: Sequence[Asked], applied: Sequence[Write]) -> list[str]:
    asked_for = Counter(entry.operation for entry in wanted)
    found = Counter(write.operation for write in applied)
    problems = [
        f"{name} on {ref}: asked for {_times(asked_for[name])}, applied {_times(found[name])}"
        for name in dict.fromkeys([*asked_for, *found])
        if asked_for[name] != found[name]
    ]
    if problems:
        return problems
    if [entry.operation for entry in wanted] != [write.operation for write in applied]:
        order = ", ".join(write.operation for write in applied)
        return [f"{ref}: applied in another order than asked for: {order}"]
    for entry, write in zip(wanted, applied, strict=True):
        problems += [f"{_of(write)}: {problem}" for problem in _write_problems(entry, write)]
    return problems


def _write_problems(entry: Asked, write: Write) -> Iterable[str]:
    maker = "job" if entry.trace_id is None else "client"
    if write.by != maker:
        yield f"made by the {write.by}, not by a {maker} of ours"
    if entry.trace_id is not None and write.trace_id != entry.trace_id:
        yield "belongs to another call than the one that asked for it"
    if maker == "client" and write.if_match != write.etag_before:
        yield f"sent under {write.if_match}, applied on {write.etag_before}"
    if write.status_after != entry.status:
        yield f"left the run {write.status_after}, not {entry.status}"
    if entry.ends_at is not None and write.end_after != entry.ends_at:
        yield f"set the end to {write.end_after}, not {entry.ends_at}"


def _of(write: Write) -> str:
    return f"{write.operation} on {write.ref}"


def _times(count: int) -> str:
    return "never" if count == 0 else "once" if count == 1 else f"{count} times"
