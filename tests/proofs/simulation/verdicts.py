"""(c) What a call raises is true: error classes, `OutcomeUnknownError` only where needed, and doubts remembered."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

from fielding_async import (
    APIError,
    DeadlineExceededError,
    FieldingError,
    InvalidRunStateError,
    OutcomeUnknownError,
    PreconditionFailedError,
    ProtocolError,
    RateLimitError,
    SessionClosedError,
    TransportError,
)
from fielding_async.core.actions import Action, Relaunch, Resume, StatusAction, Update

from .hints import is_under_hint
from .records import CallRecord, Message, State
from .scenario import SimError, moment
from .server import Server
from .world import World

__all__ = ["check_doubt", "check_error_classes", "check_unknown"]


def check_error_classes(world: World, server: Server, calls: list[CallRecord]) -> Iterator[str]:
    """(c) A call raises only what the contract names, and an `APIError` only of a status that came.

    `CancelledError` comes out only of a call that was cancelled, at once, and with a note if a write of it was applied;
    the caller's own exception only of a call whose
    callable raised it. A `RateLimitError` may be of a 429 that another call of the session met.
    """
    throttled = {message.session for call in calls for message in call.messages if message.status == 429}
    for call in calls:
        error = call.error
        name = type(error).__name__
        match error:
            case None | OutcomeUnknownError() | DeadlineExceededError() | TransportError():
                pass
            case asyncio.CancelledError():
                yield from _check_cancelled(call, error)
            case SimError():
                if call.kind != "raising":
                    yield f"(c) {call.title}: raised {name}"
            case RateLimitError():
                if call.session not in throttled:
                    yield f"(c) {call.title}: RateLimitError, but no 429 was ever sent"
            case PreconditionFailedError():
                pass  # (m)
            case InvalidRunStateError():
                current = error.current
                if not any(message.got == 422 for message in call.writes):
                    yield f"(c) {call.title}: {name}, but no 422 came"
                elif (
                    current is not None
                    and call.action is not None
                    and call.action.is_there(current)
                    and "only a cache answers" not in error.message
                    and "may still be applied" not in error.message  # an earlier write is in doubt: it is not "there"
                ):
                    yield f"(c) {call.title}: {name}, but the run was there: {current}"
            case APIError():
                if not any(message.got == error.status for message in call.messages):
                    yield f"(c) {call.title}: {name}, but no {error.status} came"
            case ProtocolError():
                if not any(message.got is not None and message.got < 400 for message in call.messages):
                    yield f"(c) {call.title}: {name}, but no odd reply came: {error}"
            case SessionClosedError() | FieldingError():
                pass
            case _:
                yield f"(c) {call.title}: raised {name}: {error}"


def _check_cancelled(call: CallRecord, error: asyncio.CancelledError) -> Iterator[str]:
    if call.cancelled_at is None:
        yield f"(c) {call.title}: ended in a cancellation that nobody asked for"
    elif call.ended > call.cancelled_at:
        yield f"(f) {call.title}: was held for {call.ended - call.cancelled_at:.3f} s after its cancellation"
    if call.applications and not any("may or may not" in note for note in getattr(error, "__notes__", ())):
        yield f"(c) {call.title}: was cancelled and applied, but the error bears no note"


def check_unknown(world: World, server: Server, calls: list[CallRecord]) -> Iterator[str]:
    """(c) `OutcomeUnknownError` only where it cannot be told.

    It needs an attempt of the call that may have been applied. If the run could be looked at, it was not where the
    action leads (that is `unconfirmed`; callables apart), and it was not proven that nothing was applied: one version
    further, and what the action sets at its old value. The proof is demanded only in worlds that the client can read:
    versions that step by one and at each change, dates to the millisecond, no lag; and not of a resume or a relaunch,
    for a run can be paused and complete by itself. What a cache answered tells nothing.
    """
    readable = (
        world.widest_step == 1
        and world.grain == 1
        and world.clock_steps
        and not world.is_lagging
        and (not world.pauses or (world.pause_steps_version and world.pause_steps_etag))
    )
    for call in calls:
        error = call.error
        if not isinstance(error, OutcomeUnknownError):
            continue
        doubtful = [message for message in call.writes if message.is_ambiguous]
        if not doubtful:
            yield f"(c) {call.title}: {error}, but every write was answered"
            continue
        current, shown = error.current, call.last_look
        look = call.last_look_message
        if current is None or shown is None or look is None or look.got_age:
            continue
        if call.action is not None and call.action.is_there(current):
            yield f"(c) {call.title}: {error}, but the run is there"
        sent = _sent(call)
        base = _base(server, doubtful[-1])
        if not readable or sent is None or base is None or shown.etag != current.etag:
            continue
        if is_under_hint(call, doubtful[-1].if_match):
            continue
        if shown.version == base.version + 1 and _old_values(sent, base, shown):
            yield f"(c) {call.title}: {error}, but one version further with the old value is proof"


def _sent(call: CallRecord) -> Action | None:
    if call.action is not None:
        return call.action
    answers = [answer for _, answer in call.asked if answer is not None]
    return answers[-1] if answers else None


def _base(server: Server, message: Message) -> State | None:
    bases = server.runs[message.run_id].with_etag(message.if_match)
    return bases[-1] if bases else None


def _old_values(sent: Action, base: State, shown: State) -> bool:
    if isinstance(sent, Relaunch | Resume):
        return False
    if isinstance(sent, StatusAction):
        return shown.status == base.status != sent.target
    assert isinstance(sent, Update)
    bounds = ((sent.start_fielding_at, base.start, shown.start), (sent.end_fielding_at, base.end, shown.end))
    return any(
        wanted is not None and had == has and abs(wanted - moment(had)) >= timedelta(days=1)
        for wanted, had, has in bounds
    )


def check_doubt(world: World, server: Server, calls: list[CallRecord]) -> Iterator[str]:
    """(c) After a cancelled or unknown write no later call says `already` of a state that the write can still change.

    Precisely: if a call says `already` of the state shown by its last look, then no write that an earlier call of the
    same session sent under the ETag of that very state was still on its way when the look was answered; unless the
    server has taken the same request on that state, and it changed nothing. Where the ETag is rewritten on the way
    although `identity` was asked for, nobody can know that it is that very state. Nor can the old state of an assistant
    be recognised, which has no version.
    """
    if world.resource == "assistants" and world.is_lagging:
        return
    late: dict[tuple[int, str], list[Message]] = {}
    for call in calls:
        for message in call.writes:
            if message.is_ambiguous and message.arrived_at is not None:
                late.setdefault((call.session, call.run_id), []).append(message)
    for call in calls:
        look = call.last_look_message
        if call.outcome is None or call.outcome.effect != "already" or look is None or look.shown is None:
            continue
        assert look.arrived_at is not None
        for message in late.get((call.session, call.run_id), ()):
            if message.call.order >= call.order or message.if_match != look.got_etag or message.arrived_at is None:
                continue
            if any(state.is_noop and state.etag == message.if_match for state in message.call.applications):
                continue
            if message.arrived_at > look.arrived_at > message.sent_at:
                end = (
                    f"and was applied as {message.applied[0].etag}" if message.applied else f"to meet {message.status}"
                )
                yield f"(c) {call.title}: said 'already', then the write of {message.call.title} landed, {end}"
