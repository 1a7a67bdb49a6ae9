"""The judgement: what a fetched resource means for a write that met a conflict, or whose reply was lost.

One pure function, `judge`, decides for every call, also for one that goes on with the write of an earlier process.
A resource has an ETag and a value: a run, or the assignment of an assistant. What is said of runs here holds for each
of them; what one of them can prove is said by its `Resource`. Source: RFC 9110, section 13.1.

What it assumes
---------------
A1  Every write is sent with `If-Match` and the ETag of a run that was received. The exchange applies a write only while
    the run has that ETag, and a write that changes the run changes the ETag. So at most one write is applied under
    each ETag, however often a request is sent again or repeated on the way. Where there is no assignment yet, it is
    sent with `If-None-Match: *`, and applied only while there is none; one that was made is not unmade.
A2  `version` grows by one with each write that changes the run. Nothing is concluded from a larger step. An assignment
    has no version.
A3  A GET returns a state that the run had at some time since the last write that this session saw applied, or it is
    recognised as older (it is *stale*): its `Age` is above 0, its ETag is one that is known to be past, or its version
    is below one that was seen.
A4  A run may change its status without a write: a scheduled one starts, a live one is paused or completes.
A5  A request whose reply was lost may still be applied later, as long as the run has the ETag it was sent under, or
    there is still no assignment.
A6  Whatever is in between may answer in place of the exchange. A success counts only as documented, for a run with an
    ETag; a 5xx says that nothing was applied only if it has the exchange's own form, and a 4xx with a page says
    nothing. That there is no assignment is said by a 404 of the exchange's own form, or by no module and no ETag.

The rules, in this order
------------------------
R1  A stale run says nothing, nor does one with the very ETag that was just refused: fetch again (`FetchAgain`), for a
    few seconds. After that a stale run still has an ETag to send, as the exchange refuses one that is past; but it
    shows neither that the run is where the action leads, nor what became of an attempt: then it is `Unknown`. If the
    ETag is the one that was refused, or there is nothing to send: `Unreadable`. The ETag of a hint (`hinting`) that was
    refused may be one that the run has got since: then the GET says what it shows.
R2  If an attempt may have been applied (a lost reply), the run is compared with what was sent:
    a  The last attempt was answered with a success that is not as documented. The run is where the action leads, and
       has the ETag of that answer, or, if the answer lacks nothing but the ETag, is one version further: `accepted`.
       It has that ETag and is elsewhere: `Unknown`. It is as before: nothing of ours was applied yet (`SendAgain`,
       under the same ETag).
    b  It is where the action leads: `unconfirmed`. For a callable change this is no different from an equal change by
       somebody else: `Unknown`.
    c  Its ETag is unchanged: the write may still be applied (A5), so `Unknown`; but `Fail` when every such attempt was
       answered with a 5xx of the exchange and attempts are used up, when every one was refused with a page of
       something in between (it is over, so it will not be applied), or when a resumed write was refused for what no
       clock can change.
    d  Exactly one write happened (A2) and a value that ours sets still has its old value: ours was not applied. Go on
       with R3, as after an ordinary conflict; but `Fail` after such a page. Never for a resume or a relaunch (A4), nor
       for an assignment: without a version, what is as it was may have been changed and changed back.
    e  Anything else: `Unknown`. So it is for what was sent under a hint, where neither a version nor a value of before
       is known: a and d, as far as they count versions, do not hold.
R3  Nothing that was sent can have been applied. What the caller wants is compared with the run:
    a  It has another ETag than the only one that the caller allows (`if_match`): `Refuse`, wherever it is.
    b  It is there: `already`; while a write of an earlier call may still be applied under this ETag it is sent again
       instead, or, if there is nothing to send, it is `unconfirmed`.
    c  The caller asked to be refused (`seen=` and the run has changed, or `on_conflict="raise"`): `Refuse`. The whole
       value of an assignment always asks for that: it would undo whatever somebody else has written.
    d  The exchange refused the state (422) under this very ETag: `Fail`.
    e  R4 forbids it: `Refuse`.
    f  Otherwise it is still wanted: `Send` under the fetched ETag.
R4  What somebody else changed since the first attempt of this call that may have been applied is not reversed. Proof
    that nothing was applied is not leave to send: every value that the action names must be as it was then.

What is doubtful
----------------
D1  A2 and A3 are not documented by the exchange. Where version does not step by one, R2d never holds, which is safe;
    where it steps for something other than a write, R2d may conclude that ours was not applied although it was.
D2  A cache that ignores `no-cache` and sends no `Age` is recognised only as far as A3 goes. Under its ETag nothing can
    be applied that is not current, but `already` may be wrong.
D3  R2a without an ETag takes one version further for our write. A 204 that was made up on the way, together with an
    equal change by somebody else, would look the same. Another success without an ETag is taken for less: anything
    can answer 200.
D4  If the exchange pauses a run without a new version, and somebody resumes it, a pause that R4 allows reverses that.
    The status is as it was, and one write happened.
D5  A 4xx with no body, or with a JSON object of another form, is taken as the exchange's own.
D6  The success of an update of an assistant is a 204 without an ETag: one that was made up on the way looks the same.
D7  Whether an assignment of no modules keeps its ETag is not documented. Where it does not, A1 does not hold for the
    first assignment: a request that is sent again after its reply was lost undoes a disabling that came in between.
D8  ETags that are made of the content come back with it. Then A1 does not hold: a request that is sent again may undo
    that somebody else has set everything back. And an assignment that is set back is taken for stale: GETs are repeated
    for a few seconds.
D9  A write that was accepted under a hint leaves a version that is not known: a GET that lags behind it, unmarked, is
    not recognised until a later one has shown a version (A3). A write that was sent under the ETag of a time to come,
    and delayed on its way, is applied when the run has that ETag: what somebody else did meanwhile it cannot respect.
D10 A 404 of the exchange may be for another reason, such as a target group that is hidden from the caller. Nothing is
    overwritten then, but a callable is asked about an empty assignment.
"""

from enum import Enum

from attrs import frozen

from fielding_async.core.errors import BadRequestError, InvalidRunStateError, PreconditionFailedError
from fielding_async.core.models import OnConflict
from fielding_async.core.wire.replies import Response, read_etag

from .attempts import RequestEnd
from .resource import RUNS, Intent, Order, Resource, State
from .verdicts import Fail, FetchAgain, Finish, Refuse, Send, SendAgain, Unknown, Unreadable, Verdict

__all__ = ["Situation", "Why", "judge", "still_open", "why_fetched"]


def still_open(resource: Resource) -> str:
    """Return why the outcome is unknown although the resource is as it was (R2c)."""
    return f"the {resource.noun} is unchanged, but a request whose reply was lost may still be applied"


class Why(Enum):
    """Why the resource was fetched."""

    OPENING = "the call had no ETag yet"
    CONFLICT = "412"
    INVALID_STATE = "422"
    BAD_REQUEST = "400 of the exchange, after an attempt that may have been applied"
    REFUSED = "another error after an attempt that may have been applied"
    UNCLEAR = "a success that is not the documented one, or has no ETag"
    EXHAUSTED = "attempts or time used up"


@frozen(kw_only=True)
class Situation:
    """Everything that the judgement uses.

    `fresh`: the run as fetched, or another `resource`. `order`: what the caller wants. `sent`: the action, or the
    value, as it was last sent, under the ETag of `base`. `may_be_applied`: an attempt under that ETag may have been
    applied. `first`: the run under whose ETag the first attempt of this call that may have been applied was sent,
    `None` if there is none. `only_server_errors`: each attempt that may have been applied was answered with a 5xx of
    the exchange; `only_pages`: with a 4xx that something in between made. `resumed`: each was made by an earlier
    process, and is on record. `unclear`: the success that is not as documented (R2a). `attempts_left`: the write may be
    sent again under the same ETag. `seen`: the run that the caller's decision rests on. `if_match`: the only ETag that
    the caller allows. `is_hinted`: `base` is no more than the ETag of a hint. `in_doubt`: a cancelled or unknown write
    of an earlier call may still be applied under the fetched ETag. `is_stale`: the fetched run is older than what is
    known, or came from a cache. `may_fetch_again`: there is time for that.
    """

    fresh: State
    why: Why
    order: Order
    resource: Resource = RUNS
    sent: Intent | None = None
    base: State | None = None
    may_be_applied: bool = False
    first: State | None = None
    only_server_errors: bool = False
    only_pages: bool = False
    resumed: bool = False
    unclear: Response | None = None
    attempts_left: bool = False
    seen: State | None = None
    if_match: str | None = None
    is_hinted: bool = False
    on_conflict: OnConflict = "reapply"
    in_doubt: bool = False
    is_stale: bool = False
    may_fetch_again: bool = True

    @property
    def unchanged(self) -> bool:
        """Whether the fetched run has the very ETag that the last attempt was sent under."""
        return self.base is not None and self.fresh.etag == self.base.etag

    @property
    def is_forbidden_etag(self) -> bool:
        """Whether the fetched run has another ETag than the only one that the caller allows."""
        return self.if_match is not None and self.fresh.etag != self.if_match

    @property
    def is_refused_etag(self) -> bool:
        """Whether the fetched run has the very ETag that was just refused."""
        return self.why is Why.CONFLICT and self.unchanged and not self.is_hinted


def why_fetched(end: RequestEnd) -> Why:
    """Return why the run is fetched after a write that was not accepted."""
    if end.unclear is not None:
        return Why.UNCLEAR
    if end.gave_up:
        return Why.EXHAUSTED
    if isinstance(end.failure, PreconditionFailedError):
        return Why.CONFLICT
    if isinstance(end.failure, InvalidRunStateError):
        return Why.INVALID_STATE
    if isinstance(end.failure, BadRequestError) and end.failure.object is not None:
        return Why.BAD_REQUEST  # of the exchange itself, not of a proxy that could not read the request
    return Why.REFUSED


def judge(situation: Situation) -> Verdict:
    """Return what a fetched run means. A callable order is called at most once; its exceptions pass through."""
    if situation.is_stale or situation.is_refused_etag:
        return FetchAgain() if situation.may_fetch_again else _judge_stale(situation)
    if situation.may_be_applied:
        verdict = _judge_lost_attempts(situation)
        if verdict is not None:
            return verdict
    return _judge_order(situation)


def _judge_stale(situation: Situation) -> Verdict:
    """Judge a run that is known to be stale, when there is no time to fetch it again (R1)."""
    if situation.may_be_applied:
        return Unknown("no GET showed the run as it is now")
    if situation.is_refused_etag:
        return Unreadable()
    if situation.why is Why.INVALID_STATE:
        return Fail()
    wanted = _wanted(situation)
    if wanted is None or situation.is_forbidden_etag:
        return Unreadable()
    return _send_or_refuse(situation, wanted)


def _judge_lost_attempts(situation: Situation) -> Verdict | None:
    """Judge attempts that may have been applied (R2). `None`: it is proven that they were not."""
    resource, sent, base, fresh = situation.resource, situation.sent, situation.base, situation.fresh
    if sent is None or base is None:
        return Unknown()
    if situation.why is Why.UNCLEAR:
        verdict = _judge_unclear(situation, sent, base)
        if verdict is not None:
            return verdict
    if resource.is_there(sent, fresh):
        if callable(situation.order):
            noun, named = resource.noun, resource.named
            return Unknown(f"the {noun} has the {named} we sent, but somebody else may have set the same")
        return Finish("unconfirmed", sent)
    if situation.unchanged:
        if situation.why is Why.EXHAUSTED and situation.only_server_errors:
            return Fail()
        if situation.why is Why.REFUSED and situation.only_pages:
            return Fail()
        if situation.resumed and _refusal_is_final(situation, sent, base):
            return Fail()
        return Unknown(still_open(resource))
    if not situation.is_hinted and resource.proves_not_applied(sent, base, fresh):
        return Fail() if situation.why is Why.REFUSED and situation.only_pages else None
    return Unknown(f"the {resource.noun} was changed more than once since, or in a way that hides who did it")


def _judge_unclear(situation: Situation, sent: Intent, base: State) -> Verdict | None:
    """Judge a success that is not as documented (R2a). `None`: it says no more than a lost reply."""
    resource, fresh, unclear = situation.resource, situation.fresh, situation.unclear
    if unclear is None:
        return None
    etag = read_etag(unclear)
    if resource.is_there(sent, fresh):
        is_next = unclear.is_documented and not situation.is_hinted and resource.is_next_version(base, fresh)
        is_ours = fresh.etag == etag if etag is not None else is_next
        return Finish("accepted", sent) if is_ours else None
    if situation.unchanged:
        return SendAgain(sent) if situation.attempts_left else None
    if fresh.etag == etag:
        return Unknown(f"the {resource.noun} has the ETag of the reply, but is not where the write leads")
    return None


def _refusal_is_final(situation: Situation, sent: Intent, base: State) -> bool:
    """Whether a request was refused for a reason that time cannot change: then its earlier copy was refused as well.

    A 400 is about the request itself, and time only makes its dates worse. A 422 is about the state: it is final if
    neither the status on record, which the earlier copy may have met, nor the one fetched now can lead to another.
    """
    if situation.why is Why.INVALID_STATE:
        return situation.resource.is_never_accepted(sent, base, situation.fresh)
    return situation.why is Why.BAD_REQUEST


def _wanted(situation: Situation) -> Intent | None:
    order = situation.order
    if not callable(order):
        return order
    wanted: Intent | None = situation.resource.call_change(order, situation.fresh)
    return wanted


def _judge_order(situation: Situation) -> Verdict:
    """Judge what the caller wants, when nothing that was sent can have been applied (R3)."""
    wanted = _wanted(situation)
    if situation.is_forbidden_etag:
        return Refuse(wanted)
    if not situation.in_doubt and (wanted is None or situation.resource.is_there(wanted, situation.fresh)):
        return Finish("already", wanted)
    if wanted is None:
        # nothing to send, but an earlier write may still change the run that the callable saw
        return Finish("unconfirmed", None)
    if situation.why is Why.INVALID_STATE and situation.unchanged:
        return Fail()
    return _send_or_refuse(situation, wanted)


def _send_or_refuse(situation: Situation, wanted: Intent) -> Verdict:
    if not situation.unchanged and _must_be_refused(situation):
        return Refuse(wanted)
    first, base = situation.first, situation.base
    if first is not None and base is not None and situation.resource.is_overtaken(wanted, first, base, situation.fresh):
        return Refuse(wanted, overtaken=True)
    return Send(wanted)


def _must_be_refused(situation: Situation) -> bool:
    """Whether the caller asked to be refused when the resource has changed (R3c)."""
    seen = situation.seen
    if situation.on_conflict == "raise" and situation.why is not Why.OPENING:
        return True
    return seen is not None and not situation.resource.is_as_seen(seen, situation.fresh)
