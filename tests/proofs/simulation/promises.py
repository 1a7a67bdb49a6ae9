"""(h) to (n): what is promised of a call once one of its attempts may have been applied, and of conflicts."""

from collections.abc import Iterator

from fielding_async import (
    DeadlineExceededError,
    FieldingError,
    OutcomeUnknownError,
    PreconditionFailedError,
    ServerError,
    Update,
)

from .records import CallRecord, Message, State
from .server import Server
from .world import World

__all__ = ["check_conflict_counts", "check_ends", "check_refusals", "check_reversals", "check_server_errors"]


def check_reversals(world: World, server: Server, calls: list[CallRecord]) -> Iterator[str]:
    """(h) A change by somebody else that lands after a call's first lost attempt is never undone by that call.

    Somebody else is a colleague, another call, or the exchange itself. Precisely: if an attempt of the call may have
    been applied, as far as the client could tell, then no write that the call sends later under another ETag changes a
    value that the caller named (the status, or a named bound) and that somebody else has changed since that attempt
    was sent. Under the same ETag the exchange itself refuses what has moved, but for what it changes silently. A
    callable is asked anew about the run as it is, so it changes what it was shown: (d) is about that. Of the status
    nobody can promise it where the exchange changes it without a new version: what it changed, and somebody changed
    back, looks like one write that left the status alone.
    """
    silent = not world.clock_steps or (world.pauses and not world.pause_steps_version)
    for call in calls:
        lost = next((message for message in call.writes if message.is_ambiguous), None)
        if lost is None or call.action is None:
            continue
        states = server.runs[call.run_id].states
        then = next(state for state in reversed(states) if state.since <= lost.sent_at)
        for message in call.writes:
            if message.sent_at <= lost.sent_at or message.if_match == lost.if_match or message.based_on is None:
                continue
            for name in _named(call):
                if silent and name == "status":
                    continue
                was, before = getattr(then, name), getattr(message.based_on, name)
                after = getattr(message.applied[0], name)
                if was != before != after and _is_foreign(states, message.based_on, name, call):
                    yield (
                        f"(h) {call.title}: {name} was {was} at its first lost attempt, then somebody else made it "
                        f"{before}, and the call made that {after}"
                    )


def _named(call: CallRecord) -> list[str]:
    if not isinstance(call.action, Update):
        return ["status"]
    bounds = {"start": call.action.start_fielding_at, "end": call.action.end_fielding_at}
    return [name for name, wanted in bounds.items() if wanted is not None]


def _is_foreign(states: list[State], before: State, name: str, call: CallRecord) -> bool:
    """Whether the last change of a value, up to a state, was made by somebody else."""
    for old, new in zip(reversed(states[: before.index]), reversed(states[1 : before.index + 1]), strict=True):
        if getattr(old, name) != getattr(new, name):
            return new.message is None or new.message.call is not call
    return False


def check_ends(world: World, server: Server, calls: list[CallRecord]) -> Iterator[str]:
    """(i) After a lost reply only the allowed ends: an acceptance, a judgement, or `OutcomeUnknownError`.

    A judgement is `unconfirmed`, `ServerError` as in (l), a refusal with a page after which a GET showed the old ETag,
    or a proof that nothing was applied: a GET that is not from a cache showed a version one further. What follows a
    proof is a new attempt, which may end in anything.
    """
    for call in calls:
        error = call.error
        if isinstance(error, OutcomeUnknownError) and not isinstance(error.__cause__, FieldingError):
            yield f"(i) {call.title}: {type(error).__name__} does not name the last failure as its cause"
        if not isinstance(error, FieldingError) or isinstance(error, OutcomeUnknownError | ServerError):
            continue
        if not call.writes:
            continue
        doubtful = [message for message in _last_group(call) if message.is_ambiguous]
        if doubtful and all(message.is_refused_with_a_page for message in doubtful) and _is_unchanged(call):
            continue
        if doubtful and not _is_disproved(server, calls, call, doubtful[-1]):
            yield f"(i) {call.title}: raised {type(error).__name__}: {error}, though a reply was lost and no GET told"


def _is_unchanged(call: CallRecord) -> bool:
    """Whether a GET after the last write, and not from a cache, showed the ETag that it was sent under."""
    look, last = call.last_look_message, call.writes[-1]
    return look is not None and look.sent_at > last.sent_at and look.got_etag == last.if_match and not look.got_age


def _last_group(call: CallRecord) -> list[Message]:
    return [message for message in call.writes if message.if_match == call.writes[-1].if_match]


def _is_disproved(server: Server, calls: list[CallRecord], call: CallRecord, lost: Message) -> bool:
    if server.world.resource == "assistants":
        return False  # they show no version
    bases = server.runs[call.run_id].with_etag(lost.if_match)
    if not bases:  # a rewritten ETag, of whichever reply it came with
        came_with = [message for other in calls for message in other.messages if message.got_etag == lost.if_match]
        bases = [state for message in came_with for state in (message.shown, *message.applied) if state is not None]
    versions = {base.version + 1 for base in bases}
    return any(
        message.shown is not None
        and message.got == 200
        and not message.got_age
        and message.sent_at > lost.sent_at
        and message.shown.version in versions
        for message in call.reads
    )


def check_server_errors(world: World, server: Server, calls: list[CallRecord]) -> Iterator[str]:
    """(l) `ServerError` of a write only on the exchange's own 5xx, each of them, and a GET that shows the old ETag.

    Own are those with its error body that do not say that something was lost behind who answers. (c) checks that
    nothing was, or later is, applied.
    """
    for call in calls:
        if not isinstance(call.error, ServerError) or not call.writes:
            continue
        group = _last_group(call)
        doubtful = [message for message in group if message.is_ambiguous]
        if not doubtful:
            continue
        foreign = next((message for message in doubtful if not message.is_own_server_error), None)
        if foreign is not None:
            yield f"(l) {call.title}: ServerError, but an attempt ended as {foreign.ended_as}, which is no answer"
        look = call.last_look_message
        if look is None or look.sent_at < group[-1].sent_at or look.got_etag != group[-1].if_match:
            yield f"(l) {call.title}: ServerError, but no GET showed {group[-1].if_match} afterwards"
        elif look.got_age:
            yield f"(l) {call.title}: ServerError, but the GET afterwards was answered by a cache"


def check_refusals(world: World, server: Server, calls: list[CallRecord]) -> Iterator[str]:
    """(m) `PreconditionFailedError` only for those who asked for it, or whose lost attempt was overtaken.

    Asked: with `seen=` or `on_conflict="raise"`, and after a 412 or 422, or a GET. Overtaken: a lost attempt was proven
    not applied. Time that runs out among conflicts is a `DeadlineExceededError` that says how many there were.
    """
    for call in calls:
        error = call.error
        if isinstance(error, PreconditionFailedError) and call.seen is None:
            lost = [message for message in call.writes if message.is_ambiguous]
            refused = any(message.got in {412, 422} for message in call.writes)
            if call.on_conflict == "raise" and not refused and not lost:
                yield f"(m) {call.title}: PreconditionFailedError, but every write was answered otherwise"
            if call.on_conflict != "raise" and not any(_is_disproved(server, calls, call, message) for message in lost):
                yield f"(m) {call.title}: PreconditionFailedError, but nobody asked to be refused: {error}"
        elif isinstance(error, DeadlineExceededError):
            said = getattr(error, "conflicts", None)
            true = _conflicts(call)
            if said != true:
                yield f"(m) {call.title}: DeadlineExceededError after {true} conflicts, but it says {said}"
            if true and not isinstance(error.__cause__, PreconditionFailedError):
                yield f"(m) {call.title}: DeadlineExceededError after {true} conflicts is not caused by one"


def check_conflict_counts(world: World, server: Server, calls: list[CallRecord]) -> Iterator[str]:
    """(n) `conflicts` counts the 412s that were met, but for one that may answer the call's own lost write.

    One that is proven not to do so counts: the call went on under another ETag, or ended as if nothing had been lost.
    """
    for call in calls:
        if call.outcome is not None and call.outcome.conflicts != _conflicts(call):
            yield f"(n) {call.title}: {_conflicts(call)} conflicts, but the outcome says {call.outcome.conflicts}"


def _conflicts(call: CallRecord) -> int:
    lost: set[str | None] = set()
    count = 0
    is_disproved = isinstance(call.error, DeadlineExceededError) or (
        call.outcome is not None and call.outcome.effect == "already"
    )
    last = call.writes[-1].if_match if call.writes else None
    for message in call.writes:
        count += message.got == 412 and (message.if_match not in lost or message.if_match != last or is_disproved)
        if message.is_ambiguous:
            lost.add(message.if_match)
    return count
