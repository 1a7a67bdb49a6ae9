"""The judgement: what a fetched run means for a write that met a conflict, or whose reply was lost.

One pure function, `judge`, decides for every call, also for one that goes on with the write of an earlier process.
Source: RFC 9110, section 13.1.1.

What it assumes
---------------
A1  Every write is sent with `If-Match` and the ETag of a run that was received. The server applies a write only while
    the run has that ETag, and a write that changes the run changes the ETag. So at most one write is applied under
    each ETag, however often a request is sent again or repeated on the way.
A2  `version` grows by one with each write that changes the run. Nothing is concluded from a larger step.
A3  A GET returns a state that the run had at some time since the last write that this session saw applied, or it is
    recognised as older: its ETag is one that is known to be past, or its version is below one that was seen.
A4  A run may change its status without a write: a scheduled one starts, a live one completes (`_WITHOUT_A_WRITE`).
A5  A request whose reply was lost may still be applied later, as long as the run has the ETag it was sent under.

The rules, in this order
------------------------
R1  A fetched run that is known to be past says nothing, nor does one with the very ETag that was just refused: fetch
    again (`FetchAgain`).
R2  If an attempt may have been applied (a lost reply), the run is compared with what was sent:
    a  It is where the action leads: `unconfirmed`. For a callable change this cannot be told from an equal change by
       somebody else: `Unknown`.
    b  Its ETag is unchanged: the write may still be applied (A5), so `Unknown`; but `Fail` when every such attempt was
       answered with a 5xx and attempts are used up, or when a resumed write was refused for what no clock can change.
    c  Exactly one write happened (A2) and a value that ours sets still has its old value: ours was not applied. Go on
       with R3, as after an ordinary conflict.
    d  Anything else: `Unknown`.
R3  Nothing that was sent can have been applied. What the caller wants is compared with the run:
    a  It is there: `already`; while a write of an earlier call may still be applied under this ETag it is sent again
       instead, or, if there is nothing to send, it is `unconfirmed`.
    b  The caller asked to be refused (`seen=` and the run has changed, or `on_conflict="raise"`): `Refuse`.
    c  The server refused the state (422) under this very ETag: `Fail`.
    d  Otherwise it is still wanted: `Send` under the fetched ETag.

What is doubtful
----------------
D1  A2 and A3 are not documented by the exchange. Where version does not step by one, R2c never holds, which is safe;
    where it steps for something other than a write, R2c may conclude that ours was not applied although it was.
D2  R2c says that nothing was applied, not that nobody else changed what the caller names. An update of both bounds of
    which one was set by somebody else meanwhile is sent again with both.
D3  A 5xx is taken as the exchange's own answer (R2b), although a gateway in between may have made it up.
D4  A cache in between that answers the GET with an older state is recognised only as far as A3 goes.
"""

from collections.abc import Mapping
from datetime import timedelta
from enum import Enum

from attrs import field, frozen

from fielding_async.core.actions import (
    Action,
    Change,
    Complete,
    LaunchNow,
    Pause,
    Relaunch,
    Resume,
    StatusAction,
    Update,
    call_change,
)
from fielding_async.core.dates import grain
from fielding_async.core.errors import BadRequestError, InvalidRunStateError, PreconditionFailedError
from fielding_async.core.models import Effect, FieldingRun, OnConflict, RunStatus

from .attempts import RequestEnd

__all__ = [
    "Fail",
    "FetchAgain",
    "Finish",
    "Refuse",
    "Send",
    "Situation",
    "Unknown",
    "Verdict",
    "Why",
    "judge",
    "why_fetched",
]


class Why(Enum):
    """Why the run was fetched."""

    OPENING = "the call had no ETag yet"
    CONFLICT = "412"
    INVALID_STATE = "422"
    BAD_REQUEST = "400 of the exchange, after an attempt that may have been applied"
    REFUSED = "another error after an attempt that may have been applied"
    EXHAUSTED = "attempts or time used up"


@frozen(kw_only=True)
class Situation:
    """Everything that the judgement uses.

    `fresh`: the run as fetched. `order`: what the caller wants. `sent`: the action as it was last sent, under the ETag
    of `base`. `may_be_applied`: an attempt under that ETag may have been applied. `only_server_errors`: each such
    attempt was answered with a 5xx. `resumed`: each such attempt was made by an earlier process, and is on record.
    `seen`: the run that the caller's decision rests on. `in_doubt`: a cancelled or unknown write of an earlier call may
    still be applied under the fetched ETag. `outdated`: the fetched run is known to be past.
    """

    fresh: FieldingRun
    why: Why
    order: Action | Change
    sent: Action | None = None
    base: FieldingRun | None = None
    may_be_applied: bool = False
    only_server_errors: bool = False
    resumed: bool = False
    seen: FieldingRun | None = None
    on_conflict: OnConflict = "reapply"
    in_doubt: bool = False
    outdated: bool = False

    @property
    def unchanged(self) -> bool:
        """Whether the fetched run has the very ETag that the last attempt was sent under."""
        return self.base is not None and self.fresh.etag == self.base.etag


@frozen
class Send:
    """Send this action under the fetched ETag."""

    action: Action


@frozen
class Finish:
    """The run is there: the call succeeds."""

    effect: Effect
    action: Action | None


@frozen
class FetchAgain:
    """Fetch again after a wait: the run is stale. Its ETag is the one that was refused, or another that is past."""


@frozen
class Refuse:
    """Raise `PreconditionFailedError`: the run is no longer what the caller's decision rests on."""

    wanted: Action | None


@frozen
class Fail:
    """Raise the failure that led here: nothing was applied."""


@frozen
class Unknown:
    """Raise `OutcomeUnknownError`: it cannot be told whether the write was applied."""

    reason: str = field(default="it cannot be told whether the write was applied")


Verdict = Send | Finish | FetchAgain | Refuse | Fail | Unknown


def why_fetched(end: RequestEnd) -> Why:
    """Return why the run is fetched after a write that was not accepted."""
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
    if situation.outdated or (situation.why is Why.CONFLICT and situation.unchanged):
        return FetchAgain()
    if situation.may_be_applied:
        verdict = _judge_lost_attempts(situation)
        if verdict is not None:
            return verdict
    return _judge_order(situation)


def _judge_lost_attempts(situation: Situation) -> Verdict | None:
    """Judge attempts that may have been applied (R2). `None`: it is proven that they were not."""
    sent, base, fresh = situation.sent, situation.base, situation.fresh
    if sent is None or base is None:
        return Unknown()
    if sent.is_there(fresh):
        if callable(situation.order):
            return Unknown("the run has the dates we sent, but a colleague may have set the same")
        return Finish("unconfirmed", sent)
    if situation.unchanged:
        if situation.why is Why.EXHAUSTED and situation.only_server_errors:
            return Fail()
        if situation.resumed and _refusal_is_final(situation.why, sent, base, fresh):
            return Fail()
        return Unknown("the run is unchanged, but a request whose reply was lost may still be applied")
    if _proven_not_applied(sent, base, fresh):
        return None
    return Unknown("the run was changed more than once since, or in a way that hides who did it")


_WITHOUT_A_WRITE: Mapping[str, frozenset[str]] = {
    RunStatus.SCHEDULED: frozenset({RunStatus.SCHEDULED, RunStatus.LIVE, RunStatus.COMPLETED}),
    RunStatus.LIVE: frozenset({RunStatus.LIVE, RunStatus.COMPLETED}),
    RunStatus.PAUSED: frozenset({RunStatus.PAUSED, RunStatus.COMPLETED}),
    RunStatus.COMPLETED: frozenset({RunStatus.COMPLETED}),
}
"""The statuses that a run may have later, perhaps under the same ETag, if nobody writes to it (A4)."""

_ACCEPTED_IN: Mapping[str, frozenset[str]] = {
    LaunchNow.name: frozenset({RunStatus.SCHEDULED}),
    Pause.name: frozenset({RunStatus.LIVE}),
    Resume.name: frozenset({RunStatus.PAUSED}),
    Complete.name: frozenset({RunStatus.SCHEDULED, RunStatus.LIVE}),
    Relaunch.name: frozenset({RunStatus.COMPLETED}),
    Update.name: frozenset({RunStatus.SCHEDULED, RunStatus.LIVE, RunStatus.PAUSED}),
}
"""The statuses in which the exchange may accept an action. Not used before sending: the server decides that."""


def _refusal_is_final(why: Why, sent: Action, base: FieldingRun, fresh: FieldingRun) -> bool:
    """Whether a request was refused for a reason that time cannot change: then its earlier copy was refused as well.

    A 400 is about the request itself, and time only makes its dates worse. A 422 is about the state: it is final if
    neither the status on record, which the earlier copy may have met, nor the one fetched now can lead without a write
    to a status in which the action is accepted. A resume of a paused run or a relaunch of a completed one may depend on
    the completes goal, which can change.
    """
    if why is Why.BAD_REQUEST:
        return True
    later = [_WITHOUT_A_WRITE.get(run.status) for run in (base, fresh)]
    return why is Why.INVALID_STATE and all(
        statuses is not None and statuses.isdisjoint(_ACCEPTED_IN[sent.name]) for statuses in later
    )


def _proven_not_applied(sent: Action, base: FieldingRun, fresh: FieldingRun) -> bool:
    """Whether exactly one write happened since `base`, and what ours sets still has its old value (R2c)."""
    if fresh.version != base.version + 1:
        return False
    if isinstance(sent, Relaunch):
        return False  # a relaunched run may have completed again without a write
    if isinstance(sent, StatusAction):
        return fresh.status == base.status != sent.target
    return any(
        has == had and abs(wanted - had) >= _visible(fresh)
        for (wanted, has), (_, had) in zip(sent.bounds(fresh), sent.bounds(base), strict=True)
    )


def _visible(fresh: FieldingRun) -> timedelta:
    """Return the smallest change of a date that is visible, however coarsely the server stores dates."""
    # not those of the base, which may be as we sent them
    return grain([fresh.start_fielding_at, fresh.end_fielding_at])


def _judge_order(situation: Situation) -> Verdict:
    """Judge what the caller wants, when nothing that was sent can have been applied (R3)."""
    fresh, order = situation.fresh, situation.order
    wanted = call_change(order, fresh) if callable(order) else order
    if not situation.in_doubt and (wanted is None or wanted.is_there(fresh)):
        return Finish("already", wanted)
    if wanted is None:
        # nothing to send, but an earlier write may still change the run that the callable saw
        return Finish("unconfirmed", None)
    if not situation.unchanged and _must_be_refused(situation):
        return Refuse(wanted)
    if situation.why is Why.INVALID_STATE and situation.unchanged:
        return Fail()
    return Send(wanted)


def _must_be_refused(situation: Situation) -> bool:
    """Whether the caller asked to be refused when the run has changed (R3b)."""
    seen, fresh = situation.seen, situation.fresh
    if situation.on_conflict == "raise" and situation.why is not Why.OPENING:
        return True
    return seen is not None and (
        seen.status != fresh.status
        or seen.start_fielding_at != fresh.start_fielding_at
        or seen.end_fielding_at != fresh.end_fielding_at
    )
