"""The judgement, as a table: what a fresh look means for an order, for what was seen, and for lost attempts."""

from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from attrs import evolve

from fielding_async import Complete, FieldingRun, LaunchNow, Pause, Relaunch, Resume, RunStatus, Update
from fielding_async.core.actions import Action
from fielding_async.core.conflict.judgement import Situation, Why, judge
from fielding_async.core.conflict.verdicts import Fail, FetchAgain, Finish, Refuse, Send, SendAgain, Unknown, Unreadable
from fielding_async.core.wire.replies import Response
from fielding_async.sandbox.world.rules import StoredRun, due, refusal
from tests.tools.sessions import REF, longer, run_value

BASE = run_value(version=7, etag='"7"', status="live")
HOUR = timedelta(hours=1)


def fresh(**changes: Any) -> FieldingRun:
    """Return the run one write further on, unless told otherwise."""
    return run_value(**{"version": 8, "etag": '"8"'} | changes)


def situation(**changes: Any) -> Situation:
    """Return a pause that met a 412 under the ETag of `BASE`."""
    values: dict[str, Any] = {
        "fresh": fresh(),
        "why": Why.CONFLICT,
        "order": Pause(),
        "sent": Pause(),
        "base": BASE,
    }
    return Situation(**values | changes)


def lost(**changes: Any) -> Situation:
    """Return the same with an attempt that may have been applied."""
    return situation(**{"may_be_applied": True} | changes)


# -- conflicts


@pytest.mark.parametrize(
    ("action", "target"),
    [(LaunchNow(), "live"), (Pause(), "paused"), (Resume(), "live"), (Complete(), "completed"), (Relaunch(), "live")],
)
def test_a_run_that_is_there_is_already_done(action: Action, target: str) -> None:
    """Where the action leads is known for each; being there comes before everything else, refusals included."""
    there = fresh(status=target)
    for why in (Why.OPENING, Why.CONFLICT, Why.INVALID_STATE):
        found = judge(situation(order=action, sent=action, fresh=there, why=why, on_conflict="raise", seen=BASE))
        assert found == Finish("already", action)


def test_an_update_is_there_when_the_dates_it_names_are() -> None:
    """An update compares the bounds it names, and those alone."""
    update = Update(end_fielding_at=BASE.end_fielding_at + HOUR)
    moved = fresh(end_fielding_at=BASE.end_fielding_at + HOUR, start_fielding_at=BASE.start_fielding_at - HOUR)
    assert judge(situation(order=update, sent=update, fresh=moved)) == Finish("already", update)
    assert judge(situation(order=update, sent=update, fresh=fresh())) == Send(update)


def test_a_plain_call_is_sent_again() -> None:
    """A plain call is an order about the run as it is now: sent again under the fresh ETag."""
    assert judge(situation()) == Send(Pause())
    assert judge(situation(fresh=fresh(status="scheduled"))) == Send(Pause())


def test_a_callable_is_asked_about_the_fresh_run() -> None:
    """A callable gets the fresh run; `None` is nothing to do."""
    found = judge(
        situation(order=longer, sent=longer(BASE), fresh=fresh(end_fielding_at=BASE.end_fielding_at + 5 * HOUR))
    )
    assert found == Send(Update(end_fielding_at=BASE.end_fielding_at + 6 * HOUR))
    assert judge(situation(order=lambda _: None)) == Finish("already", None)


def test_a_refused_etag_that_reads_on_is_a_stale_read() -> None:
    """A look that shows the ETag just refused, or one known to be past, is repeated."""
    assert judge(situation(fresh=BASE)) == FetchAgain()
    for why in Why:
        assert judge(situation(why=why, is_stale=True)) == FetchAgain()
    assert judge(lost(fresh=BASE)) == FetchAgain()


@pytest.mark.parametrize("change", [{"status": "scheduled"}, {"end_fielding_at": BASE.end_fielding_at + HOUR}])
def test_seen_refuses_what_has_changed(change: dict[str, Any]) -> None:
    """With `seen=` the order is refused if status or a date is no longer what was seen, and sent if they are."""
    assert judge(situation(seen=BASE, fresh=fresh(**change))) == Refuse(Pause())
    assert judge(situation(seen=BASE, fresh=fresh(**change), why=Why.OPENING)) == Refuse(Pause())
    assert judge(situation(seen=BASE)) == Send(Pause())


def test_on_conflict_raise_refuses_any_conflict_but_no_opening() -> None:
    """`on_conflict="raise"` refuses after a 412, and after a 422 under another ETag; an opening look is no conflict."""
    assert judge(situation(on_conflict="raise")) == Refuse(Pause())
    assert judge(situation(on_conflict="raise", why=Why.INVALID_STATE)) == Refuse(Pause())
    assert judge(situation(on_conflict="raise", why=Why.OPENING, base=None, sent=None)) == Send(Pause())


def test_a_422_under_the_same_etag_stands() -> None:
    """A 422 under the ETag the run still bears is the server's word on the state."""
    assert judge(situation(why=Why.INVALID_STATE, fresh=BASE)) == Fail()
    assert judge(situation(why=Why.INVALID_STATE, fresh=BASE, on_conflict="raise")) == Fail()
    there = run_value(etag='"7"', status="paused")
    assert judge(situation(why=Why.INVALID_STATE, base=there, fresh=there)) == Finish("already", Pause())


# -- lost replies


@pytest.mark.parametrize("why", [Why.CONFLICT, Why.INVALID_STATE, Why.REFUSED, Why.EXHAUSTED])
def test_a_lost_action_found_there_is_unconfirmed(why: Why) -> None:
    """After a lost reply, being there is `unconfirmed`, however the look came about."""
    assert judge(lost(fresh=fresh(status="paused"), why=why)) == Finish("unconfirmed", Pause())


def test_a_lost_callable_found_there_cannot_be_told() -> None:
    """The dates a callable wanted may be a colleague's."""
    update = longer(BASE)
    found = fresh(end_fielding_at=update.end_fielding_at)
    assert isinstance(judge(lost(order=longer, sent=update, fresh=found)), Unknown)
    assert judge(lost(order=update, sent=update, fresh=found)) == Finish("unconfirmed", update)


def test_one_write_that_was_not_ours_is_an_ordinary_conflict() -> None:
    """Exactly one version further, and what the action sets has its old value: ours was not applied."""
    assert judge(lost()) == Send(Pause())
    assert judge(lost(on_conflict="raise")) == Refuse(Pause())
    update = longer(BASE)
    moved = fresh(start_fielding_at=BASE.start_fielding_at + timedelta(seconds=1))
    assert judge(lost(order=update, sent=update, fresh=moved)) == Send(update)
    assert judge(lost(order=longer, sent=update, fresh=moved)) == Send(update)


@pytest.mark.parametrize(
    "run",
    [fresh(version=9), fresh(version=7), fresh(status="completed"), fresh(status="archived")],
    ids=["two writes", "version stood still", "another status", "unknown status"],
)
def test_anything_else_is_unknown(run: FieldingRun) -> None:
    """Two writes, a version that does not step, or a third status hide who did it."""
    assert isinstance(judge(lost(fresh=run)), Unknown)


def test_a_relaunched_run_may_have_ended_again() -> None:
    """That a run is completed proves nothing about a relaunch: it may have been applied, and the run have ended."""
    base = run_value(version=7, etag='"7"', status="completed")
    assert isinstance(
        judge(lost(order=Relaunch(), sent=Relaunch(), base=base, fresh=fresh(status="completed"))), Unknown
    )


def test_dates_stored_coarsely_prove_nothing_about_small_changes() -> None:
    """A change smaller than the unit in which the server may store dates can have been applied unseen."""
    day = BASE.start_fielding_at.replace(hour=0, second=0)
    later = day + timedelta(days=9)
    base = run_value(version=7, etag='"7"', start_fielding_at=day, end_fielding_at=later)
    read = fresh(start_fielding_at=day, end_fielding_at=later)
    small, large = Update(end_fielding_at=later + HOUR), Update(end_fielding_at=later + timedelta(days=1))
    assert isinstance(judge(lost(order=small, sent=small, base=base, fresh=read)), Unknown)
    assert judge(lost(order=large, sent=large, base=base, fresh=read)) == Send(large)
    # the base may hold dates as we sent them, finer than the server stores them: they are no evidence
    ours = run_value(version=7, etag='"7"', start_fielding_at=day, end_fielding_at=later + timedelta(milliseconds=5))
    start = Update(start_fielding_at=day + HOUR)
    assert isinstance(judge(lost(order=start, sent=start, base=ours, fresh=read)), Unknown)


def test_an_unchanged_run_after_lost_replies_is_unknown() -> None:
    """Under the old ETag a lost request may still land; after 5xx answers alone it is the server's failure."""
    for why in (Why.INVALID_STATE, Why.REFUSED, Why.EXHAUSTED):
        assert isinstance(judge(lost(fresh=BASE, why=why)), Unknown)
    assert judge(lost(fresh=BASE, why=Why.EXHAUSTED, only_server_errors=True)) == Fail()
    assert isinstance(judge(lost(fresh=BASE, why=Why.REFUSED, only_server_errors=True)), Unknown)


# -- what a process that is dead had sent

UPDATE = Update(end_fielding_at=BASE.end_fielding_at + 9 * HOUR)
FOR_GOOD = {
    ("launch-now", "paused"),
    ("launch-now", "completed"),
    ("pause", "completed"),
    ("resume", "completed"),
    ("complete", "paused"),
    ("update", "completed"),
}
"""What the exchange refuses, and will go on to refuse for as long as nobody writes to the run."""


def resumed(action: Action, status: str, **changes: Any) -> Situation:
    """Return an action that a dead process sent, sent again under the same ETag, and refused for the run's state."""
    run = run_value(version=7, etag='"7"', status=status)
    return lost(
        **{"order": action, "sent": action, "base": run, "fresh": run, "why": Why.INVALID_STATE, "resumed": True}
        | changes
    )


def pairs() -> list[tuple[Action, str]]:
    """Return every action with every status in which it is not there already."""
    actions: list[Action] = [LaunchNow(), Pause(), Resume(), Complete(), Relaunch(), UPDATE]
    found = product(actions, [status.value for status in RunStatus])
    return [(action, status) for action, status in found if not action.is_there(run_value(status=status))]


@pytest.mark.parametrize(("action", "status"), pairs())
def test_a_refusal_that_no_clock_can_overturn_stands_for_the_earlier_copy(action: Action, status: str) -> None:
    """A 422 is the failure of a resumed row if the same request is refused whenever it lands; else it is unknown."""
    verdict = judge(resumed(action, status))
    assert isinstance(verdict, Fail if (action.name, status) in FOR_GOOD else Unknown)
    assert isinstance(judge(resumed(action, status, resumed=False)), Unknown)  # a call's own lost replies: as ever


@pytest.mark.parametrize(("name", "status"), sorted(FOR_GOOD))
def test_the_sandbox_refuses_for_good_what_is_said_to_be(name: str, status: str) -> None:
    """By the sandbox's rules, which are its own, the clock leads to no state in which such an action is taken."""
    moment = BASE.start_fielding_at
    run: StoredRun | None = StoredRun(
        ref=REF,
        status=RunStatus(status),
        version=7,
        start=moment + HOUR,
        end=moment + 2 * HOUR,
        changed_at=moment,
        changed_by="somebody",
    )
    while run is not None:
        assert refusal(name, run, moment) is not None
        move = due(run)
        moment, run = (moment, None) if move is None else (move[0], evolve(run, status=move[1]))


def test_a_status_that_the_clock_brought_counts_as_both() -> None:
    """The earlier copy may have met the run as it was on record: that too must be a state that refuses it."""
    live, scheduled, done = (
        run_value(version=7, etag='"7"', status=status) for status in ("live", "scheduled", "completed")
    )
    assert isinstance(judge(resumed(Pause(), "completed", base=live)), Unknown)
    assert isinstance(judge(resumed(UPDATE, "completed", base=live)), Unknown)
    assert isinstance(judge(resumed(Pause(), "scheduled", base=done)), Unknown)  # no clock goes back
    assert isinstance(judge(resumed(Resume(), "completed", base=live)), Unknown)  # the exchange may have paused it
    assert isinstance(judge(resumed(Resume(), "completed", base=scheduled)), Unknown)
    assert judge(resumed(Resume(), "completed", base=done)) == Fail()


@pytest.mark.parametrize("status", ["archived", ""])
@pytest.mark.parametrize("action", [LaunchNow(), Pause(), Resume(), Complete(), Relaunch(), UPDATE])
def test_of_a_status_that_is_not_known_nothing_is_certain(action: Action, status: str) -> None:
    """Where the clock leads from a status that this version does not know, nobody can say."""
    assert isinstance(judge(resumed(action, status)), Unknown)
    if not action.is_there(run_value(status="completed")):
        assert isinstance(judge(resumed(action, "completed", base=run_value(etag='"7"', status=status))), Unknown)


def test_what_a_request_says_is_refused_for_good() -> None:
    """A 400 for what the request says stands for its copy too: time makes dates no better."""
    for status in ("scheduled", "live", "paused", "completed", "archived"):
        assert judge(resumed(UPDATE, status, why=Why.BAD_REQUEST)) == Fail()
        assert isinstance(judge(resumed(UPDATE, status, why=Why.BAD_REQUEST, resumed=False)), Unknown)


@pytest.mark.parametrize("why", [Why.REFUSED, Why.EXHAUSTED])
def test_other_refusals_say_nothing_of_the_earlier_copy(why: Why) -> None:
    """A 403 or a 404 is of the moment, and so is a server that does not answer."""
    assert isinstance(judge(resumed(Pause(), "completed", why=why)), Unknown)


def test_a_refusal_proves_nothing_once_the_run_has_changed() -> None:
    """Under another ETag the earlier copy may be what changed it: two writes on, that cannot be told."""
    for why in (Why.INVALID_STATE, Why.BAD_REQUEST):
        moved = fresh(version=9, etag='"9"', status="completed")
        assert isinstance(judge(resumed(Pause(), "completed", fresh=moved, why=why)), Unknown)


# -- doubt


def test_in_doubt_nothing_is_already() -> None:
    """While an earlier write may still land under the fresh ETag, being there is not enough: the action is sent."""
    there = fresh(status="paused")
    assert judge(situation(fresh=there, in_doubt=True)) == Send(Pause())
    assert judge(situation(fresh=there, in_doubt=True, why=Why.OPENING)) == Send(Pause())


def test_in_doubt_a_refusal_stands() -> None:
    """In doubt, what the server or `seen=` refuses is refused; a callable content with the run is `unconfirmed`."""
    there = run_value(etag='"7"', status="paused")
    assert judge(situation(base=there, fresh=there, why=Why.INVALID_STATE, in_doubt=True)) == Fail()
    assert judge(situation(fresh=fresh(status="paused"), seen=BASE, in_doubt=True)) == Refuse(Pause())
    assert judge(situation(order=lambda _: None, in_doubt=True)) == Finish("unconfirmed", None)


# -- what somebody else changed meanwhile


def test_proof_that_nothing_was_applied_is_no_leave_to_send() -> None:
    """Of two bounds one is as it was, so ours was not applied; the other was moved by a colleague, and stays so."""
    both = Update(start_fielding_at=BASE.start_fielding_at + HOUR, end_fielding_at=BASE.end_fielding_at + HOUR)
    moved = fresh(end_fielding_at=BASE.end_fielding_at + 5 * HOUR)
    assert judge(lost(order=both, sent=both, fresh=moved, first=BASE)) == Refuse(both, overtaken=True)
    assert judge(lost(order=both, sent=both, fresh=fresh(), first=BASE)) == Send(both)
    assert judge(lost(order=lambda _: both, sent=both, fresh=moved, first=BASE)) == Refuse(both, overtaken=True)
    # without a lost attempt a colleague's change is an ordinary conflict
    assert judge(situation(order=both, sent=both, fresh=moved)) == Send(both)


def test_two_writes_since_a_lost_attempt_may_have_changed_it_and_back() -> None:
    """Once an attempt was lost, and was proven not applied, a later conflict with two writes behind it is refused."""
    later = run_value(version=8, etag='"8"')
    again = {"first": BASE, "base": later}
    assert judge(situation(**again, fresh=run_value(version=9, etag='"9"'))) == Send(Pause())
    assert judge(situation(**again, fresh=run_value(version=10, etag='"10"'))) == Refuse(Pause(), overtaken=True)
    other = run_value(version=9, etag='"9"', status="scheduled")
    assert judge(situation(**again, fresh=other)) == Refuse(Pause(), overtaken=True)
    assert judge(situation(**again, fresh=evolve(later, etag='"9"', version=None))) == Refuse(Pause(), overtaken=True)


@pytest.mark.parametrize("action", [Resume(), Relaunch()])
def test_what_the_exchange_may_undo_is_never_proven(action: Action) -> None:
    """A resumed or relaunched run may be paused or completed by the exchange itself: the old status proves nothing."""
    was = "paused" if action == Resume() else "completed"
    base = run_value(version=7, etag='"7"', status=was)
    assert isinstance(judge(lost(order=action, sent=action, base=base, fresh=fresh(status=was))), Unknown)


# -- stale runs, when there is no time to fetch again


def stale(**changes: Any) -> Situation:
    """Return a pause whose run was only ever shown by a cache."""
    return situation(**{"is_stale": True, "may_fetch_again": False} | changes)


def test_a_stale_run_may_carry_a_write_and_shows_nothing() -> None:
    """Under the ETag of a stale run a write is refused if it is past; that the run is there is not concluded."""
    assert judge(stale()) == Send(Pause())
    assert judge(stale(fresh=fresh(status="paused"))) == Send(Pause())
    assert judge(stale(fresh=fresh(status="paused"), why=Why.OPENING, base=None, sent=None)) == Send(Pause())
    assert judge(stale(fresh=fresh(status="paused"), in_doubt=True)) == Send(Pause())
    assert judge(stale(order=lambda _: None)) == Unreadable()
    assert judge(stale(why=Why.INVALID_STATE)) == Fail()


@pytest.mark.parametrize("why", [why for why in Why if why is not Why.OPENING])
@pytest.mark.parametrize("status", ["live", "paused", "completed"])
def test_a_stale_run_settles_no_lost_attempt(why: Why, status: str) -> None:
    """Whatever it shows, it may have been so before our write: no `unconfirmed`, no proof, no failure for good."""
    for run in (fresh(status=status), run_value(etag='"7"', status=status)):
        found = judge(stale(fresh=run, why=why, may_be_applied=True, only_server_errors=True, resumed=True))
        assert isinstance(found, Unknown)


def test_an_etag_that_stays_refused_ends_the_call() -> None:
    """Where GETs go on showing the ETag that was refused, nothing can be sent, stale or not."""
    assert judge(situation(fresh=BASE, may_fetch_again=False)) == Unreadable()
    assert judge(stale(fresh=BASE)) == Unreadable()


def test_a_stale_run_is_no_leave_to_send_over_a_colleague() -> None:
    """What the caller asked to be refused is refused on a stale run too, and so is what may reverse a change."""
    assert judge(stale(on_conflict="raise")) == Refuse(Pause())
    assert judge(stale(seen=BASE, fresh=fresh(status="completed"))) == Refuse(Pause())
    assert judge(stale(first=BASE, fresh=fresh(version=10))) == Refuse(Pause(), overtaken=True)


# -- successes that are not as documented


def unclear(**changes: Any) -> Situation:
    """Return a pause that was answered with another 2xx, which had the ETag of the run one write further on."""
    return lost(**{"why": Why.UNCLEAR, "unclear": success('"8"'), "attempts_left": True} | changes)


def success(etag: str | None, *, is_documented: bool = False) -> Response:
    """Return a success that must be looked into; `is_documented`: only for want of an ETag."""
    response = Response(204, {} if etag is None else {"ETag": etag})
    response.is_documented = is_documented
    return response


def test_the_etag_of_the_reply_proves_the_acceptance() -> None:
    """The run has the reply's very ETag and is where the action leads; a callable change counts as well."""
    there = fresh(status="paused", version=12)
    assert judge(unclear(fresh=there)) == Finish("accepted", Pause())
    update = longer(BASE)
    longer_now = fresh(end_fielding_at=update.end_fielding_at)
    assert judge(unclear(order=longer, sent=update, fresh=longer_now)) == Finish("accepted", update)
    assert judge(unclear(fresh=there, unclear=success('"9"'))) == Finish("unconfirmed", Pause())


def test_without_an_etag_the_version_must_be_the_next() -> None:
    """One version further and there is an acceptance; further than that it may be another's."""
    reply = success(None, is_documented=True)
    assert judge(unclear(unclear=reply, fresh=fresh(status="paused"))) == Finish("accepted", Pause())
    far = fresh(status="paused", version=9)
    assert judge(unclear(unclear=reply, fresh=far)) == Finish("unconfirmed", Pause())
    update = longer(BASE)
    far = fresh(version=9, end_fielding_at=update.end_fielding_at)
    assert isinstance(judge(unclear(unclear=reply, order=longer, sent=update, fresh=far)), Unknown)


def test_an_undocumented_success_without_an_etag_proves_nothing() -> None:
    """Anything can answer 200: that the run is one version further may be somebody else's equal change."""
    odd = success(None)
    assert judge(unclear(unclear=odd, fresh=fresh(status="paused"))) == Finish("unconfirmed", Pause())
    update = longer(BASE)
    there = fresh(end_fielding_at=update.end_fielding_at)
    assert isinstance(judge(unclear(order=longer, sent=update, unclear=odd, fresh=there)), Unknown)


def test_a_refusal_with_a_page_stands_where_nothing_was_applied() -> None:
    """The run is unchanged, or a colleague's: then the page is the failure of the call, and nothing is sent again."""
    refused = lost(why=Why.REFUSED, only_pages=True, fresh=BASE)
    assert judge(refused) == Fail()
    assert judge(evolve(refused, fresh=fresh())) == Fail()
    assert judge(evolve(refused, fresh=fresh(status="paused"))) == Finish("unconfirmed", Pause())
    assert isinstance(judge(evolve(refused, fresh=fresh(status="completed"))), Unknown)
    assert isinstance(judge(evolve(refused, only_pages=False)), Unknown)


def test_under_the_old_etag_it_is_a_lost_reply() -> None:
    """Nothing was applied yet, and something may still be: sent again under the same ETag, while attempts are left."""
    assert judge(unclear(fresh=BASE)) == SendAgain(Pause())
    assert isinstance(judge(unclear(fresh=BASE, attempts_left=False)), Unknown)


def test_the_reply_s_etag_elsewhere_is_unknown() -> None:
    """The run has the reply's ETag and is not where the action leads: a write of ours was taken, and not done yet."""
    assert isinstance(judge(unclear(fresh=fresh())), Unknown)
    assert judge(unclear(fresh=fresh(), unclear=success('"9"'))) == Send(Pause())


# -- hints


def test_after_a_lost_reply_under_a_hint_nothing_is_proven() -> None:
    """One version further with the old status is proof under a run that was read, and none under a hint."""
    assert judge(lost()) == Send(Pause())
    assert isinstance(judge(lost(is_hinted=True)), Unknown)
    assert judge(lost(is_hinted=True, fresh=fresh(status="paused"))) == Finish("unconfirmed", Pause())


def test_a_success_without_an_etag_under_a_hint_is_no_acceptance() -> None:
    """That it is one version further than a hint says shows nothing."""
    reply = Response(204, {})
    reply.is_documented = True
    unclear = {"why": Why.UNCLEAR, "unclear": reply, "fresh": fresh(status="paused")}
    assert judge(lost(**unclear)) == Finish("accepted", Pause())
    assert judge(lost(**unclear, is_hinted=True)) == Finish("unconfirmed", Pause())


def test_an_etag_of_a_hint_that_was_refused_is_not_taken_for_old() -> None:
    """The run may have got it since; one of a run that was read cannot come back."""
    assert judge(situation(fresh=BASE)) == FetchAgain()
    assert judge(situation(fresh=BASE, is_hinted=True)) == Send(Pause())
