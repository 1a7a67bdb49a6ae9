"""(d) Nobody's change is overwritten unjudged, and what the session remembers is true."""

from collections.abc import Iterator
from typing import Any

from fielding_async import Outcome

from .hints import is_under_hint
from .leaks import pair_is_true
from .records import CallRecord, Message
from .scenario import moment
from .server import Server, to_ms
from .sight import looked_long
from .world import World

__all__ = ["check_foreign_writes", "check_pairs", "check_seen"]


def check_foreign_writes(world: World, server: Server, calls: list[CallRecord]) -> Iterator[str]:
    """(d) An applied update leaves what it does not name as it was, and a callable's was made from the run as it was.

    A bound that is not named is sent exactly as the server wrote it (with dates stored more coarsely than sent: as
    the server would store it). For an applied increment, the end sent is the end that the run had, plus the increment.
    That no call is applied twice (a) is what keeps a change that came after our own from being reversed.
    """
    for call in calls:
        for message in call.writes:
            if message.dates is None or not message.applied or message.based_on is None:
                continue
            yield from _check_bounds(world, call, message)


def _check_bounds(world: World, call: CallRecord, message: Message) -> Iterator[str]:
    assert message.dates is not None
    assert message.based_on is not None
    before = message.based_on
    start, end = (to_ms(text) // world.grain * world.grain for text in message.dates)
    names_start = getattr(call.action, "start_fielding_at", None) is not None
    names_end = call.is_callable or getattr(call.action, "end_fielding_at", None) is not None
    if not names_start and start != before.start:
        yield f"(d) {call.title}: overwrote start {before.start} with {start}, which the caller did not name"
    if not names_end and end != before.end:
        yield f"(d) {call.title}: overwrote end {before.end} with {end}, which the caller did not name"
    if call.is_callable and end != before.end + call.delta:
        yield f"(d) {call.title}: the increment was made from {end - call.delta}, but the end was {before.end}"


def check_seen(world: World, server: Server, calls: list[CallRecord]) -> Iterator[str]:
    """(d) A `seen=` that no longer holds never writes; with `on_conflict="raise"` there is one ETag and no other.

    The first write of a call with `seen=` bears its very ETag; each later one an ETag under which the run was shown
    with the status and dates that were seen.
    """
    for call in calls:
        etags = list(dict.fromkeys(message.if_match for message in call.writes))
        if call.on_conflict == "raise" and len(etags) > 1:
            yield f"(d) {call.title}: on_conflict='raise', but it wrote under {etags}"
        if call.seen is None or not etags:
            continue
        seen = call.seen
        if etags[0] != seen.etag:
            yield f"(d) {call.title}: seen= has {seen.etag}, but the first write went under {etags[0]}"
        for etag in etags[1:]:
            shown = [message.shown for message in call.reads if message.shown is not None]
            if not any(
                state.etag == etag
                and state.status == seen.status
                and moment(state.start) == seen.start_fielding_at
                and moment(state.end) == seen.end_fielding_at
                for state in shown
            ):
                yield f"(d) {call.title}: wrote under {etag}, where the run is no longer what was seen"


def _is_left(outcome: Outcome, server: Server, world: World) -> bool:
    """Whether the run of an outcome was so, and is the one that the outcome names."""
    run: Any = outcome.run
    if run.start_fielding_at is None:  # the call went by a hint: status and ETag are all that is known
        states = server.runs[run.id].with_etag(run.etag)
        is_told = outcome.effect == "accepted" and run.version is None and outcome.end_fielding_at is None
        return is_told and run.end_fielding_at is None and any(run.status == state.status for state in states)
    named = outcome.etag, outcome.start_fielding_at, outcome.end_fielding_at
    is_same = named == (run.etag, run.start_fielding_at, run.end_fielding_at)
    return is_same and pair_is_true(run, server.runs[run.id], world)


def check_pairs(world: World, server: Server, calls: list[CallRecord]) -> Iterator[str]:
    """(d) What a callable is given was the run under its ETag, and no write rests on less than the session was told.

    Nor is the run of an `Outcome` one that never was.

    A plain write (no `seen=`) does not bear an ETag older than the one that an accepted write of the same session on
    that run was answered with, before the write left; nor does `already` or `unconfirmed` rest on an older look. That
    holds where reads lag, too; only when GETs have shown older states for five seconds a write may bear their ETag. And
    two ETags of one version have no order that a client could see.
    """
    index = {(run.id, state.etag): state.index for run in server.runs.values() for state in reversed(run.states)}
    told: dict[tuple[int, str], list[tuple[float, int, str]]] = {}
    for call in calls:
        for run, _ in call.asked:
            if not pair_is_true(run, server.runs[run.id], world):
                yield f"(d) {call.title}: the callable was given a run that never was: {run}"
        if call.outcome is not None and not _is_left(call.outcome, server, world):
            yield f"(d) {call.title}: the outcome is of a run that never was: {call.outcome.run}"
        for message in call.writes:
            if message.is_accepted and message.applied and message.fate.kind != "no-etag":
                assert message.ended_at is not None
                if world.is_lagging and is_under_hint(call, message.if_match):
                    continue  # the version that it left is not known, so that an older one is not recognised
                state = message.applied[0]
                told.setdefault((call.session, call.run_id), []).append((message.ended_at, state.index, state.etag))
    if world.is_lagging and world.pauses and not world.pause_steps_version:
        return
    for call in calls:
        known = told.get((call.session, call.run_id))
        if not known:
            continue
        rests_on = [
            (message.sent_at, message.if_match, "wrote under")
            for message in call.writes
            if not looked_long(call, message) and not is_under_hint(call, message.if_match)
        ]
        if call.seen is not None:
            rests_on.clear()
        look = call.last_look_message
        if (
            call.outcome is not None
            and call.outcome.effect != "accepted"
            and look is not None
            and look.shown is not None
        ):
            rests_on.append((look.sent_at, look.shown.etag, f"said {call.outcome.effect!r} of"))
        for now, etag, what in rests_on:
            place = index.get((call.run_id, etag or ""))
            if place is None:
                yield f"(d) {call.title}: {what} {etag}, which the run never had"
                continue
            newest = max((entry for entry in known if entry[0] < now), key=lambda entry: entry[1], default=None)
            if newest is not None and index[call.run_id, newest[2]] > place:
                yield f"(d) {call.title}: {what} {etag}, though {newest[2]} was known"
