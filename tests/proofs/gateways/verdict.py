"""What the client reported, beside what the sandbox's history says."""

from collections import Counter, defaultdict
from datetime import datetime

from attrs import frozen

from fielding_async import Outcome, OutcomeUnknownError, RunRef, Update
from fielding_async.sandbox import Write

from .drive import Call, Drive
from .weather import Arrival

__all__ = ["breaches", "copies", "reverses"]


@frozen
class State:
    """A run between two writes."""

    status: str
    start: datetime | None
    end: datetime | None


def breaches(driven: Drive) -> list[str]:
    """Return what was applied twice, reported falsely, or reversed."""
    states, by_trace = _states(driven), _by_trace(driven)
    found = [f"reversed what a colleague had written since its first attempt: {write}" for write in _reversing(driven)]
    for call in driven.calls:
        trace = call.ended.trace_id
        ours = by_trace.pop(trace, []) if trace else []
        found += [f"{text}: {call}" for text in _of_call(driven, call, ours, states)]
    found += [f"no call accounts for {write}" for writes in by_trace.values() for write in writes]
    return found


def _by_trace(driven: Drive) -> dict[str, list[Write]]:
    found: dict[str, list[Write]] = defaultdict(list)
    for write in driven.sandbox.history:
        if write.by == "client":
            found[write.trace_id or ""].append(write)
    return found


def _reversing(driven: Drive) -> list[Write]:
    """Return the writes that changed what somebody else had set after an attempt of the call that may be applied.

    Behind a gateway that repeats requests, such an attempt may be one of which the client never heard.
    """
    if driven.case.repeats:
        return []
    history = driven.sandbox.history
    first: dict[str, Arrival] = {}
    # squid asks for something of its own as well
    requests = [request for request in driven.sandbox.requests if request.operation is not None]
    for request, arrival in zip(requests, driven.arrivals, strict=True):
        trace = (request.header("traceparent") or "--").split("-")[1]
        if request.method != "GET" and arrival.is_lost:
            first.setdefault(trace, arrival)
    found: list[Write] = []
    for position, write in enumerate(history):
        lost = first.get(write.trace_id or "")
        since = history[lost.writes : position] if lost is not None else ()
        if any(other.ref == write.ref and reverses(write, other) for other in since):
            found.append(write)
    return found


def reverses(write: Write, other: Write) -> bool:
    """Whether a write changed a value that its caller named, and that the other write had just set.

    A launch names the status alone: that the exchange moves its end along is no order of the caller's.
    """
    named = ("start", "end") if write.operation == "update" else ("status",)
    return any(
        getattr(other, f"{name}_before") != getattr(other, f"{name}_after") == getattr(write, f"{name}_before")
        and getattr(write, f"{name}_after") != getattr(write, f"{name}_before")
        for name in named
    )


def copies(driven: Drive) -> int:
    """Return how many calls were deceived by a copy that the gateway made: applied again, or told as not applied.

    Nothing is lost there, and the 412 for the copy is that of any conflict with a colleague.
    """
    if not driven.case.repeats:
        return 0
    by_trace = _by_trace(driven)
    writes = ((call.ended, by_trace.get(call.ended.trace_id or "", [])) for call in driven.calls)
    told = (Outcome, OutcomeUnknownError)
    return sum(len(ours) > 1 or (len(ours) == 1 and not isinstance(ended, told)) for ended, ours in writes)


def _states(driven: Drive) -> dict[tuple[RunRef, int], State]:
    """Return the runs by their version, which starts at 1 and grows by 1 with each write."""
    versions: Counter[RunRef] = Counter()
    states: dict[tuple[RunRef, int], State] = {}
    for write in driven.sandbox.history:
        if not versions[write.ref]:
            versions[write.ref] = 1
            states[write.ref, 1] = State(str(write.status_before), write.start_before, write.end_before)
        versions[write.ref] += 1
        states[write.ref, versions[write.ref]] = State(write.status_after, write.start_after, write.end_after)
    return states


def _of_call(driven: Drive, call: Call, ours: list[Write], states: dict[tuple[RunRef, int], State]) -> list[str]:
    ended, case = call.ended, driven.case
    found: list[str] = []
    if len(ours) > 1:
        if not case.repeats or len({write.if_match for write in ours}) < len(ours):
            found.append(f"applied {len(ours)} times")
        ours = ours[-1:]
    if not isinstance(ended, Outcome):
        if ours and not isinstance(ended, OutcomeUnknownError) and not case.repeats:
            found.append("an error that says that nothing was applied, but it was")
        return found
    # a copy that the gateway sent by itself may have been taken, unseen by the client
    allowed = {"accepted": {1}, "already": {0, 1} if case.repeats else {0}, "unconfirmed": {0, 1}}[ended.effect]
    if len(ours) not in allowed:
        found.append(f"{ended.effect}, but applied {len(ours)} times")
    known = [states.get((call.ref, version)) for version in range(call.before, call.after + 1)]
    if not case.hides and not any(state is not None and _is_there(call, ended, state) for state in known):
        found.append(f"{ended.effect}, but the run was never there")
    if ended.effect == "accepted" and ours:
        write = ours[0]
        if (ended.etag, ended.end_fielding_at) != (write.etag_after, write.end_after):
            found.append("accepted, but another ETag or date than applied")
        if call.order.action is None and write.end_after - (write.end_before or write.end_after) != call.order.shift:
            found.append("the callable's change was not made to the run as it was")
    return found


def _is_there(call: Call, ended: Outcome, state: State) -> bool:
    action = call.order.action or ended.action
    if not isinstance(action, Update):
        return state.status == getattr(action, "target", None)
    wanted = ((action.start_fielding_at, state.start), (action.end_fielding_at, state.end))
    return all(want is None or want == has for want, has in wanted)
