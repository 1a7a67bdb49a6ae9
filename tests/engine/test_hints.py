"""Hints: the ETag that another session has read saves the opening GET of a status action, and founds nothing else."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from fielding_async import (
    ConfigurationError,
    FieldingRun,
    FieldingSession,
    OutcomeUnknownError,
    Pause,
    PreconditionFailedError,
    Update,
)
from fielding_async.core.wire.replies import Attempted, Response
from fielding_async.http.transport import Outgoing
from fielding_async.session import session_over
from tests.tools.fake_exchange import FakeExchange, ref_of, session_on
from tests.tools.hints import HintStore, share
from tests.tools.virtual_time import run

REF = ref_of(1)
NAME = REF.fielding_run_id


class World:
    """Two sessions on one exchange, that share a store of hints."""

    def __init__(self, latency: float = 0.01) -> None:
        self.exchange = FakeExchange(latency)
        self.store = HintStore()
        self.one: FieldingSession
        self.other: FieldingSession

    def requests(self) -> dict[str, int]:
        """Return how many requests there were of each kind since the last question."""
        counted = dict(self.exchange.requests)
        self.exchange.requests.clear()
        return counted

    def colleague(self, **changes: Any) -> None:
        """Change the run by somebody who has no part in the hints."""
        state = self.exchange.run(NAME)
        state.update(changes)
        state["version"] += 1


def play(act: Callable[[World], Coroutine[Any, Any, None]], latency: float = 0.01) -> None:
    """Play in virtual time with two sessions."""

    async def main() -> None:
        world = World(latency)
        async with session_on(world.exchange) as world.one, session_on(world.exchange) as world.other:
            share(world.one, world.store)
            share(world.other, world.store)
            await act(world)

    run(main())


def lies(**changes: Any) -> Callable[[Any, FieldingRun | None], FieldingRun | None]:
    """Return what makes a true hint a wrong one."""
    return lambda _ref, hint: None if hint is None else evolve(hint, **changes)


# -- what a hint saves


def test_a_status_action_on_a_run_that_another_session_has_read_is_one_request() -> None:
    """The ETag of another session's GET takes the place of the opening GET."""

    async def act(world: World) -> None:
        await world.other.run(REF).get()
        world.requests()
        outcome = await world.one.run(REF).pause()
        assert (outcome.effect, outcome.requests, outcome.conflicts) == ("accepted", 1, 0)
        assert world.requests() == {"pause": 1}

    play(act)


def test_status_actions_after_one_under_a_hint_are_one_request_each() -> None:
    """The reply to a write has the ETag for the next, although nothing else of the run is known."""

    async def act(world: World) -> None:
        await world.other.run(REF).get()
        await world.one.run(REF).pause()
        world.requests()
        await world.one.run(REF).resume()
        await world.one.run(REF).complete()
        assert world.requests() == {"resume": 1, "complete": 1}
        assert world.store.asked == [REF]

    play(act)


def test_what_another_session_wrote_under_a_hint_is_not_taken_for_known() -> None:
    """An update, a callable and an action that may be refused each fetch the run after a write under a hint."""

    async def act(world: World) -> None:
        end = (await world.other.run(REF).get()).end_fielding_at
        await world.one.run(REF).pause()
        world.requests()
        await world.one.run(REF).update(lambda now: Update(end_fielding_at=now.end_fielding_at + timedelta(days=1)))
        assert world.requests() == {"get": 1, "update": 1}
        assert (await world.one.run(REF).get()).end_fielding_at == end + timedelta(days=1)

    play(act)


# -- what it does not serve


def _calls() -> dict[str, Callable[[FieldingSession, FieldingRun], Coroutine[Any, Any, Any]]]:
    return {
        "an update": lambda fielding, now: fielding.run(REF).update(end_fielding_at=now.end_fielding_at),
        "a callable": lambda fielding, now: fielding.run(REF).update(
            lambda run: Update(end_fielding_at=run.end_fielding_at + timedelta(days=1))
        ),
        "seen": lambda fielding, now: fielding.run(REF).pause(seen=now),
        "on_conflict": lambda fielding, now: fielding.run(REF).pause(on_conflict="raise"),
        "a row of a batch": lambda fielding, now: _row(fielding),
    }


async def _row(fielding: FieldingSession) -> None:
    async with fielding.perform_all([(REF, Pause())]) as batch:
        async for done in batch:
            done.result()


@pytest.mark.parametrize("kind", _calls())
def test_a_hint_serves_plain_status_actions_alone(kind: str) -> None:
    """A callable, an update, calls with `seen=` or that ask to be refused, and rows of batches never ask for one."""

    async def act(world: World) -> None:
        now = await world.other.run(REF).get()
        await _calls()[kind](world.one, now)
        assert world.store.asked == []

    play(act)


def test_an_action_that_the_hint_fulfils_is_fetched() -> None:
    """A hint never makes a call `already`: whether the run is there is asked of the exchange."""

    async def act(world: World) -> None:
        await world.other.run(REF).get()
        world.store.wrong = lies(status="paused")
        outcome = await world.one.run(REF).pause()
        assert (outcome.effect, world.requests()) == ("accepted", {"get": 2, "pause": 1})

    play(act)


def test_a_hint_that_is_known_to_be_past_is_left() -> None:
    """An older version than this session has seen, and an ETag that it knows to be past, are not sent."""

    async def act(world: World) -> None:
        old = await world.one.run(REF).get()
        await world.one.run(REF).pause()
        world.one.engine().memory.forget(REF)
        world.store.wrong = lambda *_: old
        world.requests()
        assert (await world.one.run(REF).resume()).conflicts == 0
        assert world.requests() == {"get": 1, "resume": 1}
        world.one.engine().memory.forget(REF)
        world.store.wrong = lambda *_: evolve(old, etag='"never seen"', version=1)
        assert (await world.one.run(REF).pause()).conflicts == 0

    play(act)


def test_a_hint_under_whose_etag_a_write_is_in_doubt_is_left() -> None:
    """While a cancelled write of this session may still be applied, the run is fetched."""

    async def act(world: World) -> None:
        hint = await world.one.run(REF).get()
        world.exchange.lose = lambda _run, action: "before" if action == "pause" else None
        with pytest.raises(OutcomeUnknownError):
            await world.one.run(REF).pause()
        world.store.wrong = lambda *_: hint
        world.one.engine().memory.forget(REF)
        assert world.one.engine().memory.in_doubt(REF, hint.etag)
        world.requests()
        await world.one.run(REF).complete()
        assert world.requests() == {"get": 1, "complete": 1}

    play(act)


# -- wrong hints


@pytest.mark.parametrize("etag", ['W/"0"', 'W/"99"', '"of another run"'], ids=["past", "to come", "of another run"])
def test_a_wrong_etag_is_a_conflict_and_no_more(etag: str) -> None:
    """The exchange refuses it; the run is fetched, and the action sent under its own ETag."""

    async def act(world: World) -> None:
        await world.other.run(REF).get()
        world.store.wrong = lies(etag=etag)
        world.requests()
        outcome = await world.one.run(REF).pause()
        assert (outcome.effect, outcome.conflicts) == ("accepted", 1)
        assert outcome.run.end_fielding_at is not None
        assert world.requests() == {"pause": 2, "get": 1}
        assert (REF, etag) in world.store.dropped

    play(act)


def test_an_etag_that_was_wrong_under_a_hint_may_become_right() -> None:
    """A 412 under a hint does not show that its ETag is past: when the run has it later, that is not doubted."""

    async def act(world: World) -> None:
        await world.other.run(REF).get()
        world.store.wrong = lies(etag='W/"3"')
        await world.one.run(REF).pause()  # the run has version 2 now
        world.colleague(status="live")
        world.requests()
        fetched = await world.one.run(REF).get()
        assert fetched.etag == 'W/"3"'
        assert not world.one.engine().memory.is_past(REF, fetched)

    play(act)


def test_an_etag_that_the_run_gets_just_after_its_refusal_is_not_taken_for_old() -> None:
    """The GET that follows a 412 under a hint shows the refused ETag: it is the run's own now, and is sent at once."""

    class Later(FakeExchange):
        def answer(self, outgoing: Outgoing, name: str, action: str) -> Attempted:
            reply = super().answer(outgoing, name, action)
            if isinstance(reply, Response) and reply.status == 412:
                self.run(name)["version"] += 1
            return reply

    async def act(world: World) -> None:
        exchange = Later()
        async with session_on(exchange) as fielding:
            share(fielding, world.store)
            hint = await fielding.run(REF).get()
            fielding.engine().memory.forget(REF)
            world.store.wrong = lambda *_: evolve(hint, etag='W/"2"')
            exchange.requests.clear()
            outcome = await fielding.run(REF).pause()
            assert (outcome.effect, outcome.etag) == ("accepted", 'W/"3"')
            assert exchange.requests == {"pause": 2, "get": 1}

    play(act)


@pytest.mark.parametrize(
    "wrong",
    [None, "text", 5, {"etag": "x"}, b"", Response(200, {}, b"{}"), object()],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_run_is_no_hint(wrong: object) -> None:
    """Whatever a store returns, the call goes on as without hints."""

    async def act(world: World) -> None:
        world.store.wrong = lambda *_: wrong
        outcome = await world.one.run(REF).pause()
        assert (outcome.effect, world.requests()) == ("accepted", {"get": 1, "pause": 1})

    play(act)


@pytest.mark.parametrize(
    "changes",
    [{"etag": None}, {"etag": "*"}, {"etag": "a\r\nb"}, {"etag": ""}, {"id": "another"}, {"version": None}],
    ids=str,
)
def test_a_run_that_cannot_be_sent_under_is_no_hint(changes: dict[str, Any]) -> None:
    """A run without an ETag that can be sent, without a version, or of another id, is left."""

    async def act(world: World) -> None:
        await world.other.run(REF).get()
        world.store.wrong = lies(**changes)
        world.requests()
        outcome = await world.one.run(REF).pause()
        assert (outcome.effect, world.requests()) == ("accepted", {"get": 1, "pause": 1})

    play(act)


def test_a_store_that_raises_is_as_none() -> None:
    """What a store raises does not reach the call, whichever of its methods does so."""

    class Broken(HintStore):
        def offer(self, *_: Any) -> None:
            raise RuntimeError("offer")

        def drop(self, *_: Any) -> None:
            raise RuntimeError("drop")

    def broken(*_: Any) -> None:
        raise RuntimeError("get")

    async def act(world: World) -> None:
        store = Broken()
        store.wrong = broken
        share(world.one, store)
        await world.one.run(REF).get()
        world.one.engine().memory.forget(REF)
        assert (await world.one.run(REF).pause()).effect == "accepted"

    play(act)


def test_a_request_that_a_hint_made_unreadable_is_sent_again_without_it() -> None:
    """A 400 to a write under a hint may be about its ETag: the run is fetched, and the write sent under its own."""

    class Strict(FakeExchange):
        def answer(self, outgoing: Outgoing, name: str, action: str) -> Attempted:
            if action != "get" and not outgoing.headers["If-Match"].startswith("W/"):
                self.requests[action] += 1
                return Response(400, {}, b'{"object":"validation_error"}')
            return super().answer(outgoing, name, action)

    async def act(world: World) -> None:
        world.exchange = Strict()
        async with session_on(world.exchange) as world.one:
            share(world.one, world.store)
            hint = await world.one.run(REF).get()
            world.one.engine().memory.forget(REF)
            world.store.wrong = lambda *_: evolve(hint, etag="not quoted")
            world.requests()
            assert (await world.one.run(REF).pause()).effect == "accepted"
            assert world.requests() == {"pause": 2, "get": 1}

    play(act)


# -- no proof


def test_after_a_lost_reply_under_a_hint_the_version_says_nothing() -> None:
    """One version further, and the old status: with a hint that is no proof that the lost write was not applied."""

    async def act(world: World) -> None:
        await world.other.run(REF).get()
        lost: list[str] = []

        def lose(_run: str, action: str) -> str | None:
            if not lost:
                lost.append(action)
                world.colleague(end_fielding_at="2031-02-01T00:00:00.000Z")
                return "before"
            return None

        world.exchange.lose = lose
        with pytest.raises(OutcomeUnknownError) as caught:
            await world.one.run(REF).pause()
        assert caught.value.current is not None
        assert caught.value.current.status == "live"

    play(act)


def test_a_lost_reply_under_a_hint_is_unconfirmed_where_the_run_is_there() -> None:
    """It is the GET that shows it, not the hint."""

    async def act(world: World) -> None:
        await world.other.run(REF).get()
        lost: list[str] = []

        def lose(_run: str, action: str) -> str | None:
            return lost.append(action) or "after" if not lost else None  # type: ignore[func-returns-value]

        world.exchange.lose = lose
        outcome = await world.one.run(REF).pause()
        assert (outcome.effect, world.exchange.times(1)) == ("unconfirmed", 1)
        assert outcome.run.end_fielding_at is not None

    play(act)


def test_a_doubt_under_the_etag_of_a_hint_lasts_until_the_run_has_had_it() -> None:
    """The hint may be of a time to come: a lost write under it can be applied when that time has come."""

    async def act(world: World) -> None:
        await world.other.run(REF).get()
        world.store.wrong = lies(etag='W/"3"')
        world.exchange.lose = lambda _run, action: "before" if action == "pause" else None
        with pytest.raises(OutcomeUnknownError):
            await world.one.run(REF).pause()
        memory = world.one.engine().memory
        await world.one.run(REF).get()
        assert memory.in_doubt(REF, 'W/"3"')
        world.store.wrong = None
        await world.one.run(REF).complete()
        assert memory.in_doubt(REF, 'W/"3"')
        world.colleague()
        await world.one.run(REF).get()
        assert memory.in_doubt(REF, 'W/"3"')
        world.colleague()
        await world.one.run(REF).get()
        assert not memory.in_doubt(REF, 'W/"3"')

    play(act)


def test_an_outcome_says_only_what_the_exchange_told() -> None:
    """The run part of a hint may be wrong: status and ETag are of the reply, and the dates are not known."""

    async def act(world: World) -> None:
        now = await world.other.run(REF).get()
        world.store.wrong = lies(
            end_fielding_at=now.end_fielding_at + timedelta(days=9), version=70, status="completed"
        )
        outcome = await world.one.run(REF).pause()
        assert (outcome.run.status, outcome.run.etag, outcome.etag) == ("paused", 'W/"2"', 'W/"2"')
        assert outcome.run.version is None
        assert (outcome.start_fielding_at, outcome.end_fielding_at) == (None, None)
        assert [outcome.run.start_fielding_at, outcome.run.end_fielding_at] == [None, None]
        with pytest.raises(ConfigurationError, match=r"seen: must have dates, and this one has none"):
            await world.one.run(REF).resume(seen=outcome.run)

    play(act)


def test_a_version_of_a_time_to_come_does_not_make_the_run_past() -> None:
    """What a hint says of the version is not what the exchange has shown: later GETs are not taken for old ones."""

    async def act(world: World) -> None:
        await world.other.run(REF).get()
        world.store.wrong = lies(version=10**9)
        await world.one.run(REF).pause()
        world.colleague(status="live")
        fetched = await world.one.run(REF).get()
        assert not world.one.engine().memory.is_past(REF, fetched)

    play(act)


def test_who_asks_to_be_refused_is_not_refused_for_what_another_session_read() -> None:
    """`on_conflict="raise"` fetches the run after a write under a hint: its ETag alone is nothing that was seen."""

    async def act(world: World) -> None:
        await world.other.run(REF).get()
        await world.one.run(REF).pause()
        world.colleague(status="live")
        outcome = await world.one.run(REF).pause(on_conflict="raise")
        assert (outcome.effect, outcome.conflicts) == ("accepted", 0)
        world.colleague(status="live")
        with pytest.raises(PreconditionFailedError):
            await world.one.run(REF).pause(on_conflict="raise")

    play(act)


# -- what is offered, and taken back


def test_an_accepted_write_takes_the_hint_back() -> None:
    """The next session fetches the run, and meets no conflict."""

    async def act(world: World) -> None:
        await world.other.run(REF).get()
        await world.other.run(REF).pause()
        world.requests()
        outcome = await world.one.run(REF).resume()
        assert (outcome.requests, outcome.conflicts) == (2, 0)

    play(act)


def test_a_refused_write_takes_the_hint_back() -> None:
    """One session meets the conflict, not each."""

    async def act(world: World) -> None:
        await world.other.run(REF).get()
        world.colleague()
        assert (await world.one.run(REF).pause()).conflicts == 1
        assert REF not in world.store.stored
        async with session_on(world.exchange) as third:
            share(third, world.store)
            assert (await third.run(REF).resume()).conflicts == 0

    play(act)


def test_a_cancelled_write_takes_the_hint_back_when_it_ends() -> None:
    """What becomes of it is told although nobody waits for it."""

    async def act(world: World) -> None:
        await world.other.run(REF).get()
        pausing = asyncio.create_task(world.other.run(REF).pause())
        await asyncio.sleep(0.005)
        pausing.cancel()
        await asyncio.sleep(1)
        assert world.exchange.times(1) == 1
        assert REF not in world.store.stored

    play(act)


def test_the_get_before_a_write_is_not_offered() -> None:
    """What a write of this call is about to change would be out of date at once."""

    async def act(world: World) -> None:
        await world.one.run(REF).pause()
        assert REF not in world.store.stored
        assert (await world.one.run(REF).get()).status == "paused"
        assert REF in world.store.stored

    play(act)


def test_the_get_of_a_run_that_is_there_is_offered() -> None:
    """A call that ends in `already` has read the run for others."""

    async def act(world: World) -> None:
        world.colleague(status="paused")
        assert (await world.one.run(REF).pause()).effect == "already"
        assert REF in world.store.stored

    play(act)


@pytest.mark.parametrize("header", [{"Age": "3"}, {"ETag": ""}], ids=["a cache", "no ETag"])
def test_a_reply_that_cannot_be_relied_on_is_not_offered(header: dict[str, str]) -> None:
    """That of a cache, and one without an ETag, are of no use to others."""

    class Between(FakeExchange):
        def answer(self, outgoing: Outgoing, name: str, action: str) -> Attempted:
            reply = super().answer(outgoing, name, action)
            assert isinstance(reply, Response)
            return Response(reply.status, {**reply.headers, **header}, reply.body)

    async def main() -> None:
        store = HintStore()
        async with session_on(Between()) as fielding:
            share(fielding, store)
            await fielding.run(REF).get()
        assert store.stored == {}

    run(main())


def test_a_hint_holds_no_secret_and_nobodys_name() -> None:
    """Neither the token, nor who changed the run last, nor a field that is not known here goes to the store."""

    async def act(world: World) -> None:
        state = world.exchange.run(NAME)
        state.update(last_changed_by="a person", manager={"email": "a person"})
        await world.other.run(REF).get()
        assert "person" not in world.store.stored[REF].text
        assert set(json.loads(world.store.stored[REF].text)["run"]) == {
            *("id", "status", "version", "start_fielding_at", "end_fielding_at")
        }

    play(act)


def test_a_reply_that_shows_the_token_is_no_hint() -> None:
    """What is redacted is not the reply as it came, and might show a part of the secret."""

    async def main() -> None:
        exchange, store = FakeExchange(), HintStore()
        exchange.run(NAME)["note"] = "a-long-token-of-the-test"
        async with session_over(
            exchange, auth="a-long-token-of-the-test", base_url="https://fake.invalid/v1"
        ) as fielding:
            share(fielding, store)
            await fielding.run(REF).get()
        assert store.stored == {}

    run(main())


def test_a_pair_that_another_session_says_is_past_is_forgotten() -> None:
    """The next action fetches the run, in place of a conflict; an ETag that is not the pair's own changes nothing."""

    async def act(world: World) -> None:
        await world.one.run(REF).get()
        await world.other.run(REF).pause()
        world.requests()
        outcome = await world.one.run(REF).resume()
        assert (outcome.conflicts, world.requests()) == (0, {"get": 1, "resume": 1})
        for forget in world.store.listeners:
            forget(REF, 'W/"1"')
        await world.one.run(REF).pause()
        assert world.requests() == {"pause": 1}

    play(act)


# -- time


def test_a_store_that_hangs_is_waited_for_no_longer_than_a_get_takes() -> None:
    """After three times not at all, for a while: the call is not slower than without hints."""

    async def hang(*_: Any) -> None:
        await asyncio.Event().wait()

    async def act(world: World) -> None:
        loop = asyncio.get_running_loop()
        world.store.wrong = hang
        await world.one.run(ref_of("another")).get()  # takes 10 ms
        for slowest in (0.031, 0.031, 0.031, 0.021, 0.021):
            world.one.engine().memory.forget(REF)
            began = loop.time()
            await world.one.run(REF).pause()
            assert loop.time() - began < slowest
            world.colleague(status="live")
        assert len(world.store.asked) == 3

    play(act)


def test_a_hint_is_asked_for_again_after_a_rest() -> None:
    """A store that was slow is used again."""

    async def act(world: World) -> None:
        slow = True

        async def late(_ref: Any, hint: FieldingRun | None) -> FieldingRun | None:
            await asyncio.sleep(1 if slow else 0)
            return hint

        world.store.wrong = late
        for _ in range(4):
            assert (await world.one.run(REF).pause()).requests == 2
            world.colleague(status="live")
            world.one.engine().memory.forget(REF)
        assert len(world.store.asked) == 3
        slow = False
        await asyncio.sleep(2)
        await world.other.run(REF).get()
        assert (await world.one.run(REF).pause()).requests == 1

    play(act)


def test_a_call_whose_time_is_short_does_not_wait_for_a_hint() -> None:
    """The time of the call is for the exchange."""

    async def act(world: World) -> None:
        await world.one.run(REF).pause(timeout=0.045)
        assert world.store.asked == []

    play(act)


def test_a_call_that_is_cancelled_while_it_waits_for_a_hint_ends_at_once() -> None:
    """Its turn passes on, and nothing was sent."""

    async def hang(*_: Any) -> None:
        await asyncio.Event().wait()

    async def act(world: World) -> None:
        world.store.wrong = hang
        pausing = asyncio.create_task(world.one.run(REF).pause())
        await asyncio.sleep(0.001)
        pausing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pausing
        assert world.requests() == {}
        world.store.wrong = None
        assert (await world.one.run(REF).pause()).effect == "accepted"

    play(act)
