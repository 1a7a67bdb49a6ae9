"""The judgement of a resource without a version: what a fetched assignment means for a write."""

from datetime import timedelta
from typing import Any

import pytest

from fielding_async import FieldingAssistant, LinearPacing, QuotaOverlay
from fielding_async.core.assistant.assignment import AssistantRef
from fielding_async.core.conflict.assistant_resource import ASSISTANTS
from fielding_async.core.conflict.etag_memory import ETagMemory
from fielding_async.core.conflict.judgement import Situation, Why, judge
from fielding_async.core.conflict.verdicts import Fail, FetchAgain, Finish, Refuse, Send, SendAgain, Unknown, Unreadable
from fielding_async.core.wire.replies import Response

REF = AssistantRef(101, "0" * 26, "1" * 26)
OVERLAY = QuotaOverlay(prevent_overfill=True, balance_fill=True)


def paced(hours: int, etag: str | None = None, **modules: Any) -> FieldingAssistant:
    """Return an assignment that differs by its interval."""
    return FieldingAssistant(pacing=LinearPacing(increment_interval=timedelta(hours=hours)), etag=etag, **modules)


BASE, OTHER, WANTED = paced(1, '"1"'), paced(2, '"2"'), paced(3)
NONE = FieldingAssistant()


def situation(**changes: Any) -> Situation:
    """Return a callable's update that met a 412 under the ETag of `BASE`."""
    values: dict[str, Any] = {
        "resource": ASSISTANTS,
        "fresh": OTHER,
        "why": Why.CONFLICT,
        "order": lambda _: WANTED,
        "sent": WANTED,
        "base": BASE,
    }
    return Situation(**values | changes)


def lost(**changes: Any) -> Situation:
    """Return the same with an attempt that may have been applied."""
    return situation(**{"may_be_applied": True, "first": BASE} | changes)


def test_a_callable_is_asked_about_the_fresh_assignment() -> None:
    """After a conflict it is asked anew; `None` and what is there already are done."""
    assert judge(situation()) == Send(WANTED)
    assert judge(situation(order=lambda now: paced(3, now.etag))) == Send(paced(3, '"2"'))
    assert judge(situation(order=lambda _: None)) == Finish("already", None)
    assert judge(situation(fresh=paced(3, '"2"'))) == Finish("already", WANTED)


def test_a_value_is_never_sent_under_another_etag() -> None:
    """A value is refused after a 412, also if what was seen is back under another ETag; being there comes first."""
    value = {"order": WANTED, "seen": BASE, "on_conflict": "raise"}
    assert judge(situation(**value)) == Refuse(WANTED)
    assert judge(situation(**value, fresh=paced(1, '"2"'))) == Refuse(WANTED)
    assert judge(situation(**value, is_stale=True, may_fetch_again=False)) == Refuse(WANTED)
    assert judge(situation(**value, fresh=paced(3, '"2"'))) == Finish("already", WANTED)


def test_a_lost_write_that_is_there_is_unconfirmed() -> None:
    """For a value; for a callable it may be an equal change of somebody else."""
    there = paced(3, '"2"')
    assert judge(lost(order=WANTED, fresh=there)) == Finish("unconfirmed", WANTED)
    assert isinstance(judge(lost(fresh=there)), Unknown)


@pytest.mark.parametrize("why", [Why.CONFLICT, Why.REFUSED, Why.EXHAUSTED, Why.BAD_REQUEST, Why.INVALID_STATE])
@pytest.mark.parametrize("fresh", [OTHER, paced(1, '"2"'), paced(2, '"2"', quota_overlay=OVERLAY), NONE])
def test_nothing_is_proven_not_applied(why: Why, fresh: FieldingAssistant) -> None:
    """Another ETag says that somebody wrote, not who: not even where everything is as it was."""
    assert isinstance(judge(lost(fresh=fresh, why=why)), Unknown)
    assert isinstance(judge(lost(fresh=fresh, why=why, order=WANTED, seen=BASE, on_conflict="raise")), Unknown)


def test_under_the_same_etag_it_may_still_be_applied() -> None:
    """Then it is unknown, but for the exchange's own errors; after an odd success it is sent again."""
    assert isinstance(judge(lost(fresh=BASE, why=Why.EXHAUSTED)), Unknown)
    assert judge(lost(fresh=BASE, why=Why.EXHAUSTED, only_server_errors=True)) == Fail()
    odd = Response(200, {})
    assert judge(lost(fresh=BASE, why=Why.UNCLEAR, unclear=odd, attempts_left=True)) == SendAgain(WANTED)
    none = {"base": NONE, "first": NONE, "fresh": NONE}
    assert judge(lost(**none, why=Why.UNCLEAR, unclear=odd, attempts_left=True)) == SendAgain(WANTED)
    assert isinstance(judge(lost(**none, why=Why.EXHAUSTED)), Unknown)


def test_an_odd_success_is_an_acceptance_under_its_own_etag() -> None:
    """There, under the ETag of the reply; without one it is no more than unconfirmed."""
    there = paced(3, '"2"')
    found = {"fresh": there, "order": WANTED, "why": Why.UNCLEAR}
    assert judge(lost(**found, unclear=Response(200, {"ETag": '"2"'}))) == Finish("accepted", WANTED)
    assert judge(lost(**found, unclear=Response(200, {"ETag": '"3"'}))) == Finish("unconfirmed", WANTED)
    assert judge(lost(**found, unclear=Response(200, {}))) == Finish("unconfirmed", WANTED)


def test_a_refused_creation_that_shows_none_is_fetched_again() -> None:
    """A 412 to `If-None-Match: *` says that there is one; a GET that shows none says nothing."""
    none = {"base": NONE, "fresh": NONE}
    assert judge(situation(**none)) == FetchAgain()
    assert judge(situation(**none, may_fetch_again=False)) == Unreadable()
    assert judge(situation(base=NONE)) == Send(WANTED)


def test_a_creation_in_doubt_is_remembered() -> None:
    """There being none is in doubt until a write is accepted, or refused because there is one."""
    for known in (False, True):
        memory = ETagMemory(8, ASSISTANTS)
        memory.doubt(REF, NONE)
        assert memory.in_doubt(REF, None)
        assert not memory.in_doubt(REF, '"1"')
        if known:
            memory.retire(REF, NONE)
        else:
            memory.write_accepted(REF, NONE, None)
        assert not memory.in_doubt(REF, None)
    assert judge(situation(order=lambda _: None, fresh=NONE, in_doubt=True)) == Finish("unconfirmed", None)


def test_the_pair_is_forgotten_after_a_write() -> None:
    """What the server has now is not known; the ETag before is past, unless nothing was changed."""
    memory = ETagMemory(8, ASSISTANTS)
    for has_changed in (False, True):
        memory.fetch_ended(memory.fetch_started(REF), BASE)
        assert memory.get(REF) == BASE
        memory.write_accepted(REF, BASE, None, has_changed=has_changed)
        assert memory.get(REF) is None
        assert memory.is_past(REF, BASE) is has_changed
        assert not memory.is_past(REF, NONE)
