"""What must hold in every world, checked against what the server really did.

Each check takes the whole world and yields a text for each breach. Its docstring says exactly what it claims.
"""

from collections.abc import Callable, Iterator
from math import inf

from fielding_async import OutcomeUnknownError, ServerError, Update
from fielding_async.core.actions import Action, StatusAction

from .budget import check_deadlines, check_pauses, check_requests
from .freshness import check_foreign_writes, check_pairs, check_seen
from .records import CallRecord, Message, State
from .server import Server
from .verdicts import check_doubt, check_error_classes, check_unknown
from .world import World

__all__ = ["check_all"]

Check = Callable[[World, Server, list[CallRecord]], Iterator[str]]


def check_all(world: World, server: Server, calls: list[CallRecord]) -> list[str]:
    """Run every check. Where a load balancer repeats requests only "not applied twice", and what is local, can hold."""
    checks: list[Check] = [check_attempts_once, check_deadlines, check_pauses]
    if not world.repeats:
        checks += [
            check_calls_once,
            check_effects,
            check_failures,
            check_order,
            check_error_classes,
            check_unknown,
            check_doubt,
            check_foreign_writes,
            check_seen,
            check_pairs,
            check_requests,
        ]
    return [breach for check in checks for breach in check(world, server, calls)]


def changes(call: CallRecord) -> list[State]:
    """Return what the call's writes changed; a write that left the run and its ETag as they were changed nothing."""
    return [state for state in call.applications if not state.is_noop]


def is_there(action: Action, state: State) -> bool:
    """Whether a state is where an action leads: the simulation's own reading."""
    if isinstance(action, StatusAction):
        return state.status == action.target
    wanted = ((action.start_fielding_at, state.start), (action.end_fielding_at, state.end))
    return all(date is None or round(date.timestamp() * 1000) == ms for date, ms in wanted)


def check_attempts_once(world: World, server: Server, calls: list[CallRecord]) -> Iterator[str]:
    """(a) No single request is applied twice, not even one that a load balancer repeats."""
    for call in calls:
        for message in call.writes:
            if sum(not state.is_noop for state in message.applied) > 1:
                yield f"(a) {call.title}: one request was applied twice"


def check_calls_once(world: World, server: Server, calls: list[CallRecord]) -> Iterator[str]:
    """(a) No call changes a run twice, whatever it ended in, also counting what landed after its end."""
    for call in calls:
        made = changes(call)
        if len(made) > 1:
            etags = " and ".join(state.etag for state in made)
            yield f"(a) {call.title}: applied {len(made)} times, as {etags}"


def check_effects(world: World, server: Server, calls: list[CallRecord]) -> Iterator[str]:
    """(b) What a call that returned says is what happened.

    `accepted`: its last write was answered with success, and that write was applied; the outcome's ETag is that
    write's, or none where the reply bore none. `already`: none of its writes was applied, then or later.
    `unconfirmed`: at most one (a). For the latter two the last look of the call showed the run where the action
    leads (for a callable: it returned `None` for what was shown), and `unconfirmed` needs an attempt of its own, or
    of an earlier call of the session, whose reply did not come. An increment is never there by itself: one that
    returned has been applied.
    """
    for call in calls:
        outcome = call.outcome
        if outcome is None:
            continue
        said = f"{call.title}: said {outcome.effect!r}, but"
        made = call.applications
        if call.kind == "increment" and len(changes(call)) != 1:
            yield f"(d) {said} the increment was applied {len(made)} times"
        if outcome.effect == "accepted":
            last = call.writes[-1]
            if not last.is_accepted or not last.applied:
                yield f"(b) {said} its last write met {last.got} and was applied {len(last.applied)} times"
            elif outcome.etag != last.applied[0].etag and last.fate.kind != "no-etag":
                yield f"(b) {said} names ETag {outcome.etag} and not {last.applied[0].etag}"
            continue
        shown = call.last_look
        if shown is not None and outcome.etag != shown.etag:
            yield f"(b) {said} names ETag {outcome.etag}, and the last look showed {shown.etag}"
        if outcome.effect == "already" and made:
            yield f"(b) {said} was applied as {made[0].etag}"
        if outcome.effect == "unconfirmed" and not _has_doubts(call, calls):
            yield f"(b) {said} no reply was ever lost"
        yield from _check_look(call, said)


def _has_doubts(call: CallRecord, calls: list[CallRecord]) -> bool:
    if any(message.is_ambiguous for message in call.writes):
        return True
    return any(
        any(message.is_ambiguous for message in other.writes)
        for other in calls
        if other.session == call.session and other.run_id == call.run_id and other.order < call.order
    )


def _check_look(call: CallRecord, said: str) -> Iterator[str]:
    shown = call.last_look
    assert call.outcome is not None
    action = call.outcome.action
    if shown is None:
        yield f"(b) {said} it never looked"
    elif action is None:
        run, answer = call.asked[-1] if call.asked else (None, None)
        if run is None or answer is not None or run.etag != shown.etag:
            yield f"(b) {said} the callable was last asked about {run}, and the last look showed {shown.etag}"
    elif isinstance(action, StatusAction | Update) and not is_there(action, shown):
        yield f"(b) {said} the last look showed {shown.status}, {shown.start} to {shown.end}"


def check_failures(world: World, server: Server, calls: list[CallRecord]) -> Iterator[str]:
    """(c) A call that raised anything but `OutcomeUnknownError` or a cancellation changed nothing, then or later.

    One exception, of the contract's own: `ServerError` after *received* 5xx answers and a GET that shows the old ETag.
    It rests on reads that do not lag, and on a 5xx being the end of a request; worlds without these are exempt.
    """
    lagging = world.lag > 0 or world.visible_after > 0 or world.late_server_errors
    for call in calls:
        if call.error is None or isinstance(call.error, OutcomeUnknownError):
            continue
        if not isinstance(call.error, Exception):  # a cancellation
            continue
        if isinstance(call.error, ServerError) and lagging:
            continue
        made = changes(call)
        if made:
            yield f"(c) {call.title}: raised {type(call.error).__name__}, but was applied as {made[0].etag}"


def check_order(world: World, server: Server, calls: list[CallRecord]) -> Iterator[str]:
    """(e) For each session and run, the order in which writes were applied is the order of the calls.

    And they go one after the other: no write leaves while the client still waits for the reply to another call's
    write of the same session on the same run, be that call's caller gone or not.
    """
    for run in server.runs.values():
        latest: dict[int, CallRecord] = {}
        for state in run.states:
            if state.message is None or state.is_noop:
                continue
            call = state.message.call
            before = latest.get(call.session)
            if before is not None and before.order > call.order:
                yield f"(e) {call.title} was applied after the later call {before.number}"
            latest[call.session] = call
    under_way: dict[tuple[int, str], Message] = {}
    for message in sorted((message for call in calls for message in call.writes), key=lambda entry: entry.sent_at):
        key = message.session, message.run_id
        other = under_way.get(key)
        if other is not None and other.call is not message.call and _ended(other) > message.sent_at:
            yield f"(e) {message.call.title} wrote while call {other.call.number} was still writing"
        if other is None or _ended(other) <= _ended(message):
            under_way[key] = message


def _ended(message: Message) -> float:
    return inf if message.ended_at is None else message.ended_at
