"""What must hold in every world, checked against what the server really did.

Each check takes the whole world and yields a text for each breach. Its docstring says exactly what it claims.
"""

from collections.abc import Callable, Iterator
from math import inf

from fielding_async import FieldingAssistant, OutcomeUnknownError, ServerError, Update
from fielding_async.core.actions import StatusAction

from .assistant_checks import check_assistant_bases, check_assistant_outcomes, check_assistant_writes
from .budget import check_deadlines, check_pauses, check_requests
from .freshness import check_foreign_writes, check_pairs, check_seen
from .hints import check_hints, is_ahead
from .promises import check_conflict_counts, check_ends, check_refusals, check_reversals, check_server_errors
from .records import NONE, CallRecord, Message
from .server import Server
from .sight import check_freshness, check_sight
from .states import changes, is_there, wanted_of
from .verdicts import check_doubt, check_error_classes, check_unknown
from .world import World

__all__ = ["check_all"]

Check = Callable[[World, Server, list[CallRecord]], Iterator[str]]


def check_all(world: World, server: Server, calls: list[CallRecord]) -> list[str]:
    """Run every check that can hold in this world.

    Where a load balancer repeats requests that is "not applied twice", and what is local. Where no ETag arrives as the
    exchange sent it, hardly any call can succeed: each must end, and truly.
    """
    checks: list[Check] = [check_attempts_once, check_deadlines, check_pauses, check_hints]
    if not world.repeats:
        checks += [
            check_calls_once,
            check_effects,
            check_failures,
            check_order,
            check_error_classes,
            check_doubt,
            check_reversals,
            check_ends,
            check_sight,
            check_freshness,
            check_server_errors,
            check_refusals,
            check_conflict_counts,
        ]
    if not world.repeats and not world.breaks_etags:
        checks += [check_requests]
    if world.resource == "assistants" and not world.repeats:
        checks += [check_assistant_writes, check_assistant_bases, check_assistant_outcomes]
    elif not world.repeats and not world.breaks_etags:
        checks += [check_unknown, check_foreign_writes, check_seen, check_pairs]
    return [breach for check in checks for breach in check(world, server, calls)]


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

    `accepted` (j): a write under the last ETag was answered with a 2xx, and one was applied. If the last reply is a
    success as documented, the write that it answers was applied, and the outcome's ETag is that write's; after another
    2xx, which is looked into, it may be a later one. `already`: none of its writes was applied, then or later.
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
            yield from _check_acceptance(world, server, call, said)
            continue
        look = call.last_look_message
        if look is not None and (outcome.etag or NONE) != look.got_etag:
            yield f"(b) {said} names ETag {outcome.etag}, and the last look showed {look.got_etag}"
        if outcome.effect == "already" and made:
            yield f"(b) {said} was applied as {made[0].etag}"
        if outcome.effect == "unconfirmed" and not _has_doubts(call, calls):
            yield f"(b) {said} no reply was ever lost"
        yield from _check_look(call, said)


def _check_acceptance(world: World, server: Server, call: CallRecord, said: str) -> Iterator[str]:
    assert call.outcome is not None
    etag, last, look = call.outcome.etag, call.writes[-1], call.last_look_message
    group = [message for message in call.writes if message.if_match == last.if_match]
    applied = [state for message in group for state in message.applied]
    if not applied or (last.is_accepted and not last.applied):
        yield f"(j) {said} its last write met {last.got}, and was not applied"
    elif not any(message.got is not None and message.got < 300 for message in group):
        yield f"(j) {said} its last write met {last.got}"
    elif last.is_accepted:
        if etag != applied[0].etag and not world.breaks_etags and (world.resource == "runs" or etag is not None):
            yield f"(b) {said} names ETag {etag} and not {applied[0].etag}"
    elif look is None or look.sent_at < last.sent_at:
        yield f"(j) {said} its last write met {last.got}, ETag {last.got_etag}, and nobody looked"
    elif (
        world.resource == "runs"
        and etag not in {state.etag for state in server.runs[call.run_id].states[applied[0].index :]}
        and (not world.breaks_etags)
    ):
        yield f"(b) {said} names ETag {etag} and not {applied[0].etag}, or a later one"


def _has_doubts(call: CallRecord, calls: list[CallRecord]) -> bool:
    if any(message.is_ambiguous for message in call.writes):
        return True
    return any(
        any(message.is_ambiguous for message in other.writes)
        for other in calls
        if other.session == call.session and other.run_id == call.run_id and other.order < call.order
    )


def _check_look(call: CallRecord, said: str) -> Iterator[str]:
    look, shown = call.last_look_message, call.last_look
    assert call.outcome is not None
    action = wanted_of(call)
    if shown is None or look is None:
        yield f"(b) {said} it never looked"
    elif action is None:
        run, answer = call.asked[-1] if call.asked else (None, None)
        if run is None or answer is not None or (run.etag or NONE) != look.got_etag:
            yield f"(b) {said} the callable was last asked about {run}, and the last look showed {look.got_etag}"
    elif isinstance(action, StatusAction | Update | FieldingAssistant) and not is_there(action, shown):
        yield f"(b) {said} the last look showed {shown.status}, {shown.start} to {shown.end}"


def check_failures(world: World, server: Server, calls: list[CallRecord]) -> Iterator[str]:
    """(c) A call that raised anything but `OutcomeUnknownError` or a cancellation changed nothing, then or later.

    One exception, of the contract's own: `ServerError` after *received* 5xx answers and a GET that shows the old ETag.
    It rests on reads that are what they seem; worlds without these are exempt.
    """
    for call in calls:
        if call.error is None or isinstance(call.error, OutcomeUnknownError):
            continue
        if not isinstance(call.error, Exception):  # a cancellation
            continue
        if isinstance(call.error, ServerError) and world.is_lagging:
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
            if is_ahead(server, run.id, state.message.if_match, state.message.sent_at):
                continue  # it was sent under the ETag of a time to come, as a hint had it
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
