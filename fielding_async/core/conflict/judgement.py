"""The judgement after a conflict or a lost reply: one pure function, for calls, cancellations and journals alike.

A write is sent under an ETag, so each ETag admits at most one application of it. What remains is to say what a fresh
look at the run means: for the order that was given, for what the caller saw, and for attempts whose reply never came.
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
    ask,
)
from fielding_async.core.dates import grain
from fielding_async.core.models import Effect, FieldingRun, OnConflict, RunStatus

__all__ = ["Fail", "Finish", "LookAgain", "Refuse", "Send", "Situation", "Unknown", "Verdict", "Why", "judge"]


class Why(Enum):
    """Why the run was looked at."""

    OPENING = "the call had no ETag yet"
    CONFLICT = "412"
    INVALID_STATE = "422"
    BAD_REQUEST = "400 of the exchange, after an attempt that may have been applied"
    REFUSED = "another error after an attempt that may have been applied"
    EXHAUSTED = "attempts or time used up"


@frozen(kw_only=True)
class Situation:
    """All that the judgement rests on.

    `order` is what the caller wants; `sent` the action as it was last sent, under the ETag of `base`; `may_be_applied`:
    an attempt under that ETag may have been applied; `only_server_errors`: all such attempts were answered with a 5xx;
    `resumed`: all such attempts were made by a process that is dead, and on record; `seen`: the run that the caller's
    decision rests on; `in_doubt`: a cancelled or unknown write of an earlier call may still land under the fresh ETag;
    `outdated`: the fresh run is known to be past.
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
        """Whether the fresh run bears the very ETag that the last attempt was sent under."""
        return self.base is not None and self.fresh.etag == self.base.etag


@frozen
class Send:
    """Send this action under the fresh ETag."""

    action: Action


@frozen
class Finish:
    """The run is there: the call succeeds."""

    effect: Effect
    action: Action | None


@frozen
class LookAgain:
    """The look was stale: it shows the very ETag that was refused, or another that is past. Wait and look again."""


@frozen
class Refuse:
    """Raise `PreconditionFailedError`: the run is no longer what the caller's decision rests on."""

    wanted: Action | None


@frozen
class Fail:
    """Raise the failure that led here: it is proven, or all but, that nothing was applied."""


@frozen
class Unknown:
    """Raise `OutcomeUnknownError`: it cannot be told whether the write was applied."""

    reason: str = field(default="it cannot be told whether the write was applied")


Verdict = Send | Finish | LookAgain | Refuse | Fail | Unknown


def judge(situation: Situation) -> Verdict:
    """Say what a fresh look at the run means. A callable order is asked at most once; its exceptions pass through."""
    if situation.outdated or (situation.why is Why.CONFLICT and situation.unchanged):
        return LookAgain()
    if situation.may_be_applied:
        settled = _settle(situation)
        if settled is not None:
            return settled
    return _judge_order(situation)


def _settle(situation: Situation) -> Verdict | None:
    """Judge attempts that may have been applied. `None`: proven not applied, hence an ordinary conflict."""
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
        if situation.resumed and _refused_for_good(situation.why, sent, base, fresh):
            return Fail()
        return Unknown("the run is unchanged, but a request whose reply was lost may still be applied")
    if _proven_not_applied(sent, base, fresh):
        return None
    return Unknown("the run was changed more than once since, or in a way that hides who did it")


_LEFT_ALONE: Mapping[str, frozenset[str]] = {
    RunStatus.SCHEDULED: frozenset({RunStatus.SCHEDULED, RunStatus.LIVE, RunStatus.COMPLETED}),
    RunStatus.LIVE: frozenset({RunStatus.LIVE, RunStatus.COMPLETED}),
    RunStatus.PAUSED: frozenset({RunStatus.PAUSED, RunStatus.COMPLETED}),
    RunStatus.COMPLETED: frozenset({RunStatus.COMPLETED}),
}
"""What a run may be later, perhaps under the same ETag, if nobody writes to it: it starts, and comes to its end."""

_TAKEN_IN: Mapping[str, frozenset[str]] = {
    LaunchNow.name: frozenset({RunStatus.SCHEDULED}),
    Pause.name: frozenset({RunStatus.LIVE}),
    Resume.name: frozenset({RunStatus.PAUSED}),
    Complete.name: frozenset({RunStatus.SCHEDULED, RunStatus.LIVE}),
    Relaunch.name: frozenset({RunStatus.COMPLETED}),
    Update.name: frozenset({RunStatus.SCHEDULED, RunStatus.LIVE, RunStatus.PAUSED}),
}
"""In which statuses the exchange may take an action. Never asked before sending: that is the server's to say."""


def _refused_for_good(why: Why, sent: Action, base: FieldingRun, fresh: FieldingRun) -> bool:
    """Whether a request was refused for what no clock can change, so that its earlier copy under the same ETag was too.

    A 400 is for what the request says, and time only makes dates worse. A 422 is for the state: certain if neither the
    status on record, which the copy may have met, nor the one seen now can lead by itself to one in which the action is
    taken. A resume of a paused run or a relaunch of a completed one may hang on the completes goal, which can change.
    """
    if why is Why.BAD_REQUEST:
        return True
    to_come = [_LEFT_ALONE.get(run.status) for run in (base, fresh)]
    return why is Why.INVALID_STATE and all(
        statuses is not None and statuses.isdisjoint(_TAKEN_IN[sent.name]) for statuses in to_come
    )


def _proven_not_applied(sent: Action, base: FieldingRun, fresh: FieldingRun) -> bool:
    """Whether exactly one write happened since `base`, and it was not ours: what ours sets still has its old value."""
    if fresh.version != base.version + 1:
        return False
    if isinstance(sent, Relaunch):
        return False  # a relaunched run may have come to its end again by itself
    if isinstance(sent, StatusAction):
        return fresh.status == base.status != sent.target
    return any(
        has == had and abs(wanted - had) >= _visible(fresh)
        for (wanted, has), (_, had) in zip(sent.bounds(fresh), sent.bounds(base), strict=True)
    )


def _visible(fresh: FieldingRun) -> timedelta:
    """Return the smallest change of a date that must show, however coarsely the server stores dates."""
    # not those of the base, which may be as we sent them
    return grain([fresh.start_fielding_at, fresh.end_fielding_at])


def _judge_order(situation: Situation) -> Verdict:
    fresh, order = situation.fresh, situation.order
    wanted = ask(order, fresh) if callable(order) else order
    if not situation.in_doubt and (wanted is None or wanted.is_there(fresh)):
        return Finish("already", wanted)
    if wanted is None:
        # nothing to send, but an earlier write may still change what the callable was content with
        return Finish("unconfirmed", None)
    stale = not situation.unchanged and _rests_on_the_past(situation)
    if stale:
        return Refuse(wanted)
    if situation.why is Why.INVALID_STATE and situation.unchanged:
        return Fail()
    return Send(wanted)


def _rests_on_the_past(situation: Situation) -> bool:
    seen, fresh = situation.seen, situation.fresh
    if situation.on_conflict == "raise" and situation.why is not Why.OPENING:
        return True
    return seen is not None and (
        seen.status != fresh.status
        or seen.start_fielding_at != fresh.start_fielding_at
        or seen.end_fielding_at != fresh.end_fielding_at
    )
