"""What must hold of calls on assistants beside what holds of every resource."""

import json
from collections.abc import Iterator

from fielding_async import AssistantOutcome, FieldingAssistant, OutcomeUnknownError
from fielding_async.core.assistant.assignment import assistant_body

from .assistants import stepped
from .records import NONE, CallRecord, Message, State
from .server import Server
from .world import World

__all__ = ["check_assistant_bases", "check_assistant_outcomes", "check_assistant_writes", "is_assignment"]


def is_assignment(assistant: FieldingAssistant, state: State) -> bool:
    """Whether a state has the modules of a value, each number with all its digits."""
    return _exact(assistant_body(assistant).decode()) == _exact(state.status)


def _exact(text: str) -> object:
    return json.loads(text, parse_int=lambda digits: ("number", digits), parse_float=lambda digits: ("number", digits))


def check_assistant_writes(world: World, server: Server, calls: list[CallRecord]) -> Iterator[str]:
    """(d) An applied write changed the one module that its caller counts in, and left all the rest as it was.

    Modules that the client does not know, the digits of their numbers and their order are part of the rest. That of a
    value was applied on what the caller had seen.
    """
    for call in calls:
        for message in call.writes:
            if not message.applied or message.based_on is None:
                continue
            wanted = stepped(message.based_on.status, call.module)
            if message.modules != wanted:
                yield f"(d) {call.title}: made {message.modules} of {message.based_on.status}, and not {wanted}"
            if call.seen is not None and message.based_on.etag != (call.seen.etag or NONE):
                yield f"(d) {call.title}: a value that rests on {call.seen.etag} was applied on {message.based_on.etag}"


def check_assistant_bases(world: World, server: Server, calls: list[CallRecord]) -> Iterator[str]:
    """(p) A write rests on a GET of its session, sent after the last write that the session saw accepted had ended.

    The reply to a write does not say what the exchange has now. That of a value rests on what its caller has seen.
    """
    if world.breaks_etags:
        return
    shown: dict[tuple[int, str], list[Message]] = {}
    accepted: dict[tuple[int, str], float] = {}
    events = [(message.ended_at, 0, message) for call in calls for message in call.messages if message.got is not None]
    events += [(message.sent_at, 1, message) for call in calls for message in call.writes if call.seen is None]
    for _, is_sent, message in sorted(events, key=lambda event: (event[0], event[1])):
        key = message.session, message.run_id
        if is_sent:
            since = accepted.get(key, 0.0)
            if not any(get.got_etag == message.if_match and get.sent_at >= since for get in shown.get(key, ())):
                title = message.call.title
                yield f"(p) {title}: wrote under {message.if_match}, which no GET had shown since {since:.3f}"
        elif not message.is_write and message.got == 200:
            shown.setdefault(key, []).append(message)
        elif message.is_write and message.is_accepted:
            assert message.ended_at is not None
            accepted[key] = message.ended_at


def check_assistant_outcomes(world: World, server: Server, calls: list[CallRecord]) -> Iterator[str]:
    """(b) An outcome is of the assignment as it was; (c) `OutcomeUnknownError` is needed; (d) callables get what was.

    An accepted one is what was sent, with the ETag of the reply if it bore one. Of a value `OutcomeUnknownError` says
    that the assignment is not the one that was sent.
    """
    for call in calls:
        for given, _ in call.asked:
            states = server.runs[call.run_id].with_etag(given.etag or NONE)
            if not world.breaks_etags and not any(is_assignment(given, state) for state in states):
                yield f"(d) {call.title}: the callable was given what never was: {given}"
        outcome, error = call.outcome, call.error
        if isinstance(outcome, AssistantOutcome):
            states = server.runs[call.run_id].states
            if not any(is_assignment(outcome.assistant, state) for state in states):
                yield f"(b) {call.title}: the outcome is of what never was: {outcome.assistant}"
            if outcome.etag != outcome.assistant.etag:
                yield f"(b) {call.title}: names {outcome.etag}, and its value {outcome.assistant.etag}"
        if isinstance(error, OutcomeUnknownError):
            if not any(message.is_ambiguous for message in call.writes):
                yield f"(c) {call.title}: {error}, but every write was answered"
            look = call.last_look_message
            is_shown = error.current is not None and look is not None and look.shown is not None and not look.got_age
            if call.kind == "value" and is_shown and call.wanted is not None:
                assert look is not None
                assert look.shown is not None
                if is_assignment(call.wanted, look.shown) and error.current is not None:
                    yield f"(c) {call.title}: {error}, but the assignment is there"
