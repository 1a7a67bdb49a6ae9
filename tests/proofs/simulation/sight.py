"""(k) What a call says of a run was so when it looked, and (o) what it looked at was fresh."""

from collections.abc import Iterator

from fielding_async import DeadlineExceededError, FieldingAssistant, ProtocolError, Update
from fielding_async.core.actions import StatusAction

from .records import NONE, CallRecord, Message, State
from .server import Server
from .states import is_there, wanted_of
from .world import World

__all__ = ["check_freshness", "check_sight", "looked_long"]

_LONGEST = 5.0
"""Seconds for which a GET is repeated, from its first reply."""
_GRACE = 1e-6


def check_sight(world: World, server: Server, calls: list[CallRecord]) -> Iterator[str]:
    """(k) `already` and `unconfirmed` only of a run that was there when the last GET was under way.

    Not only as that GET showed it, but in truth: the run was where the action leads at some moment between the GET's
    request and its reply (for a callable that found nothing to do: it was the very run that the callable was given).
    Nobody can promise this where old states are shown without a mark.
    """
    if world.is_lagging:
        return
    for call in calls:
        look = call.last_look_message
        if call.outcome is None or call.outcome.effect == "accepted" or look is None or look.shown is None:
            continue
        heads = _heads(server, look)
        action = wanted_of(call)
        if isinstance(action, StatusAction | Update | FieldingAssistant):
            true = any(is_there(action, state) for state in heads)
        else:
            true = look.shown in heads
        if not true:
            yield (
                f"(k) {call.title}: said {call.outcome.effect!r}, but when it looked the run was {heads[-1].status}, "
                f"{heads[-1].start} to {heads[-1].end}"
            )


def _heads(server: Server, look: Message) -> list[State]:
    """Return the states that the run had between a GET's request and its reply."""
    assert look.ended_at is not None
    ended_at = look.ended_at
    states = server.runs[look.run_id].states
    return [state for state in states if state.since <= ended_at and state.until >= look.sent_at]


def check_freshness(world: World, server: Server, calls: list[CallRecord]) -> Iterator[str]:
    """(o) Judgements ask for what is fresh, wait for it for at most five seconds, and rest on nothing else.

    Every GET asks for what is not cached, every request for what is not compressed. A GET of a run action that is
    answered by a cache, which its `Age` tells, is repeated for at most five seconds; that of `run.get()` is not.
    Neither `already` nor `unconfirmed` rests on such an answer, nor a write after a lost reply under another ETag.
    Where GETs show the very ETag that was just refused, until the call ends for that, the error says so and names it.
    """
    for call in calls:
        for message in call.messages:
            if not message.identity or not (message.no_cache or message.is_write):
                yield f"(o) {call.title}: a {message.action} does not ask for what is fresh and unchanged"
                break
        look = call.last_look_message
        if call.kind == "get":
            answers = sum(message.got == 200 for message in call.messages)
            if answers > 1:
                yield f"(o) {call.title}: asked {answers} times for what was answered"
        elif call.outcome is not None and call.outcome.effect != "accepted" and look is not None and look.got_age:
            yield f"(o) {call.title}: said {call.outcome.effect!r} of an answer that was {look.got_age:.0f} s old"
        yield from _check_repeats(call)
        yield from _check_explanation(call)
        yield from _check_proofs(call)


def _check_repeats(call: CallRecord) -> Iterator[str]:
    """One look is repeated for five seconds: until then before a write, and no answer but one comes later."""
    answers: list[Message] = []
    for message in [*call.messages, None]:
        if message is not None and not message.is_write:
            answers += [message] if message.got == 200 else []
            continue
        if answers and message is not None and answers[-1].got_age and not looked_long(call, message):
            yield f"(o) {call.title}: wrote under {message.if_match}, of a cache's answer that was not asked for again"
        waited = _ended(answers[-2]) - _ended(answers[0]) if len(answers) > 1 else 0.0
        if waited > _LONGEST + _GRACE:
            yield f"(o) {call.title}: looked again {waited:.3f} s after the first answer"
        answers.clear()


def _ended(message: Message) -> float:
    assert message.ended_at is not None
    return message.ended_at


def _check_explanation(call: CallRecord) -> Iterator[str]:
    error, last = call.error, call.writes[-1] if call.writes else None
    if last is None or last.got != 412 or not isinstance(error, ProtocolError | DeadlineExceededError):
        return
    looks = [message for message in call.reads if message.sent_at > last.sent_at]
    shown = "that there is none" if last.if_match == NONE else str(last.if_match)
    is_told = shown in error.message and "rewrites" in error.message
    is_shown = all(
        look.got == 200 and look.got_etag == last.if_match and look.fate.kind != "unreadable" for look in looks
    )
    if looks and is_shown and not is_told:
        yield f"(o) {call.title}: GETs went on showing {last.if_match}, but the error does not say so: {error}"


def looked_long(call: CallRecord, write: Message) -> bool:
    """Whether a write was put off, by GETs one after the other, for as long as a GET may be repeated."""
    first: Message | None = None
    for message in call.messages:
        if message is write:
            break
        if message.is_write:
            first = first if message.if_match == write.if_match else None
        elif first is None and message.got == 200:
            first = message
    if first is None or first.ended_at is None:
        return False
    longest = _LONGEST
    before = call.messages[: call.messages.index(write)]
    is_first = all(message.if_match == write.if_match for message in before if message.is_write)
    if call.deadline is not None and is_first:
        longest = min(longest, (call.deadline - first.ended_at) / 2)  # half of the time is left to the first write
    return write.asked_at >= first.ended_at + longest - _GRACE


def _check_proofs(call: CallRecord) -> Iterator[str]:
    """No answer of a cache is proof that a lost attempt was not applied."""
    lost: str | None = None
    look: Message | None = None
    for message in call.messages:
        if not message.is_write:
            look = message if message.got == 200 else look
            continue
        if lost is not None and message.if_match != lost:
            if look is not None and look.got_age:
                yield f"(o) {call.title}: wrote under {message.if_match} after a lost reply, on a cache's answer"
            lost = None
        if message.is_ambiguous:
            lost, look = message.if_match, None
