"""(f) Calls end in time, (g) and with no more requests than the policy allows."""

from collections.abc import Iterator
from itertools import groupby

from .hints import is_under_hint
from .records import BLIND_PAUSE, CallRecord
from .server import Server
from .world import World

__all__ = ["check_deadlines", "check_pauses", "check_requests"]

_GRACE = 1e-6


def check_deadlines(world: World, server: Server, calls: list[CallRecord]) -> Iterator[str]:
    """(f) Every call ends, and by its deadline.

    A `timeout=` counts from the call; the session's `Timeout.total` from the first permission to send, which is when
    the first attempt reached the transport. A call that never got one has no such limit.
    """
    for call in calls:
        if call.order < 0:
            continue  # cancelled before its first step
        if call.ended < 0:
            yield f"(f) {call.title}: never ended"
            continue
        limit: float | None = None
        if isinstance(call.timeout, float | int):
            limit = call.begun + call.timeout
        elif call.timeout == "default" and world.timeout.total is not None and call.first_permitted is not None:
            limit = call.first_permitted + world.timeout.total
        if limit is not None and call.ended > limit + _GRACE:
            yield f"(f) {call.title}: ended {call.ended - limit:.3f} s after its deadline"


def check_pauses(world: World, server: Server, calls: list[CallRecord]) -> Iterator[str]:
    """(g) After a 429 no request of the session leaves until its Retry-After is over.

    Seconds or date, at most `max_pause`; where it names no usable time, at least a tenth of a second (but for one
    whose request left before the pause under way began: a burst of them is one pause).
    """
    until: dict[int, tuple[float, float]] = {}
    events = [(message.sent_at, 1, message) for call in calls for message in call.messages]
    events += [
        (message.ended_at, 0, message)
        for call in calls
        for message in call.messages
        if message.got == 429 and message.pause is not None and message.ended_at is not None
    ]
    for now, is_sent, message in sorted(events, key=lambda event: event[:2]):
        begun, over = until.get(message.session, (0.0, 0.0))
        if not is_sent and (message.pause != BLIND_PAUSE or message.sent_at >= begun):
            until[message.session] = now, max(over, now + (message.pause or 0.0))
        elif not is_sent and now >= over:
            until[message.session] = now, over  # a pause of unknown length may begin: those sent before are its burst
        elif is_sent and begun < now < over - _GRACE:
            yield f"(g) {message.call.title}: sent {over - now:.3f} s before the pause of a 429 was over"


def check_requests(world: World, server: Server, calls: list[CallRecord]) -> Iterator[str]:
    """(g) Requests sent, 429s aside, are no more than the policy allows, and are counted truly.

    Under one ETag at most `max_attempts` writes, and as many GETs in a row without an answer (a 401 or 403 that is
    replayed with a new token is no attempt). One look before the first write, one more for each 412 and 422 and each
    ETag whose attempts were used up, and one at the end. None of this where reads lag, and the client must look again.
    One more where a 2xx is looked into. Answers of caches, which `Age` tells, are looks apart: see (o).
    All requests of a call share one trace id, every request has a span id of its own, and the `Outcome` counts
    requests as they were.
    """
    spans: set[str] = set()
    for call in calls:
        traces = {message.trace_id for message in call.messages}
        own = {message.span_id for message in call.messages}
        if len(traces) > 1 or len(own) != len(call.messages) or not spans.isdisjoint(own):
            yield f"(g) {call.title}: trace ids {traces}, {len(own)} span ids for {len(call.messages)} requests"
        spans |= own
        conflicts = sum(message.got == 412 for message in call.writes)
        if call.outcome is not None:
            said = (call.outcome.requests, call.outcome.trace_id)
            true = (len(call.messages), *traces)
            if said != true:
                yield f"(g) {call.title}: requests and trace are {true}, but the outcome says {said}"
        if not world.is_lagging:
            yield from _check_budget(world, call, conflicts)


def _check_budget(world: World, call: CallRecord, conflicts: int) -> Iterator[str]:
    most = world.retry.max_attempts
    free = {429} if world.auth == "static" else {429, 401, 403}
    attempts = [message for message in call.messages if message.got not in free]
    for (action, etag), group in groupby(attempts, key=lambda message: (message.action, message.if_match)):
        sent = list(group)
        if action == "get":
            misses = 0
            for message in sent:
                misses = 0 if message.got == 200 else misses + 1
                if misses > most:
                    yield f"(g) {call.title}: {misses} GETs in a row without an answer, {most} allowed"
        elif len(sent) > most:
            yield f"(g) {call.title}: {len(sent)} writes under {etag}, {most} allowed"
    by_hint = sum(message.got == 400 for message in call.writes if is_under_hint(call, message.if_match))
    refusals = by_hint + conflicts + sum(message.got == 422 for message in call.writes)
    looks = sum(message.got == 200 and not message.got_age for message in call.reads)
    odd = sum(message.is_odd_success for message in call.writes)
    if looks > 2 + refusals + odd + len({message.if_match for message in call.writes if message.is_ambiguous}):
        yield f"(g) {call.title}: looked {looks} times for {refusals} refusals"
    etags = {message.if_match for message in call.writes}
    if len(etags) > 1 + refusals + sum(message.is_ambiguous for message in call.writes):
        yield f"(g) {call.title}: wrote under {len(etags)} ETags after {refusals} refusals"
