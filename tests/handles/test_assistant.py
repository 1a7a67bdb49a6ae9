"""The Fielding Assistant over a socket: what is sent, what is refused, what cannot be told, what is not lost."""

import asyncio
import json
import logging
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from fielding_async import (
    Assistant,
    AssistantOutcome,
    ConfigurationError,
    FieldingAssistant,
    FieldingSession,
    LinearPacing,
    NotFoundError,
    OtherModule,
    OutcomeUnknownError,
    PreconditionFailedError,
    ProtocolError,
    QuotaOverlay,
    RunRef,
    ServerError,
    SkippedError,
)
from fielding_async.sandbox import Behaviour, Cut, Hold, Reply, Sandbox, SetHeader, Status
from tests.tools.sessions import TOKEN, sent, session

DAILY = LinearPacing(increment_interval=timedelta(days=1))
HOURLY = LinearPacing(increment_interval=timedelta(hours=1))
OVERLAY = QuotaOverlay(prevent_overfill=True, balance_fill=False)
FIRST = '{"quality":{"level":1.10,"limit":1e400},"pacing":{"type":"linear","increment_interval":"P1D"}}'


def assistant_of(fielding: FieldingSession, ref: RunRef) -> Assistant:
    """Return the handle of the assistant of a run's target group."""
    return fielding.project(ref.account_id, ref.project_id).target_group(ref.target_group_id).assistant


def hourly(now: FieldingAssistant) -> FieldingAssistant:
    """Pace by the hour."""
    return evolve(now, pacing=HOURLY)


def preconditions(sandbox: Sandbox) -> list[tuple[str | None, str | None]]:
    """Return `If-Match` and `If-None-Match` of each update received."""
    return [(r.header("If-Match"), r.header("If-None-Match")) for r in sent(sandbox, "update-assistant")]


@pytest.mark.parametrize("before", ["404", "empty"])
async def test_the_first_assignment_is_made_only_if_there_is_still_none(before: Any) -> None:
    """Where there is none yet, `get` is empty and an update goes under `If-None-Match: *`."""
    async with Sandbox(behaviour=Behaviour(assistant_before_first=before)) as sandbox, session(sandbox) as fielding:
        ref = sandbox.add_run("live")
        assistant = assistant_of(fielding, ref)
        assert await assistant.get() == FieldingAssistant()
        outcome = await assistant.update(hourly)
        assert (outcome.effect, outcome.etag, outcome.requests, outcome.conflicts) == ("accepted", None, 2, 0)
        assert outcome.assistant == FieldingAssistant(pacing=HOURLY)
        assert preconditions(sandbox) == [(None, "*")]
        assert sandbox.inspect_assistant(ref).etag is not None

        seen = FieldingAssistant()
        with pytest.raises(PreconditionFailedError) as caught:
            await assistant.update(evolve(seen, quota_overlay=OVERLAY), seen=seen)
        assert caught.value.seen == seen
        assert caught.value.current == await assistant.get()


async def test_an_update_sends_everything_back_but_what_it_changes(sandbox: Sandbox) -> None:
    """Unknown modules keep their digits, disabled ones are left out; the pair of a GET serves one write."""
    ref = sandbox.add_run("live")
    sandbox.touch_assistant(ref, FIRST)
    async with session(sandbox) as fielding:
        assistant = assistant_of(fielding, ref)
        now = await assistant.get()
        assert (now.pacing, now.soft_launch) == (DAILY, None)
        outcome = await assistant.update(hourly)
        assert (outcome.effect, outcome.requests) == ("accepted", 1)
        second = await assistant.update(lambda now: evolve(now, quota_overlay=OVERLAY))
        assert second.requests == 2  # the reply to the first did not say what there is now
        third = await assistant.update(lambda _: None)
        assert (third.effect, third.requests) == ("already", 1)
        assert third.assistant == await assistant.get()
    assert sandbox.inspect_assistant(ref).modules == (
        '{"pacing":{"type":"linear","increment_interval":"PT1H"},"quality":{"level":1.10,"limit":1e400},'
        '"quota_overlay":{"prevent_overfill":true,"balance_fill":false}}'
    )
    assert [write.by_client for write in sandbox.assistant_history] == [False, True, True]


async def test_a_value_is_refused_once_somebody_else_has_written() -> None:
    """A value rests on what was seen: after a 412 it is not sent again, unless it is there already."""
    async with Sandbox() as sandbox, session(sandbox) as fielding:
        ref = sandbox.add_run("live")
        sandbox.touch_assistant(ref, FIRST)
        assistant = assistant_of(fielding, ref)
        seen = await assistant.get()
        wanted = evolve(seen, pacing=HOURLY)
        sandbox.touch_assistant(ref, '{"quality":{"level":2}}')
        with pytest.raises(PreconditionFailedError) as caught:
            await assistant.update(wanted, seen=seen)
        error = caught.value
        assert (error.seen, error.wanted) == (seen, wanted)
        assert isinstance(error.current, FieldingAssistant)
        assert error.current.others == (OtherModule.of("quality", {"level": 2}),)
        assert len(sent(sandbox, "update-assistant")) == 1

        sandbox.touch_assistant(ref, FIRST)
        there = evolve(seen, pacing=DAILY)
        assert (await assistant.update(there, seen=seen)).effect == "already"
        assert (await assistant.update(wanted, seen=await assistant.get())).effect == "accepted"


async def test_a_callable_is_asked_again_after_a_conflict(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """A colleague's change between GET and PUT counts, and so does ours; the log names the target group."""
    caplog.set_level(logging.INFO, "fielding_async")
    ref = sandbox.add_run("live")
    sandbox.touch_assistant(ref, FIRST)
    async with session(sandbox) as fielding:
        assistant = assistant_of(fielding, ref)
        await assistant.get()
        sandbox.touch_assistant(ref, '{"quality":{"level":2.50}}')
        outcome = await assistant.update(hourly)
    assert (outcome.effect, outcome.requests, outcome.conflicts) == ("accepted", 3, 1)
    (line,) = [record.getMessage() for record in caplog.records if "412" in record.getMessage()]
    assert f"conflict 1 on the assistant of group {ref.target_group_id}" in line
    pacing = '"pacing":{"type":"linear","increment_interval":"PT1H"}'
    assert sandbox.inspect_assistant(ref).modules == '{"quality":{"level":2.50},' + pacing + "}"


async def test_fifty_tasks_of_two_sessions_lose_no_change() -> None:
    """Two sessions with fifty tasks each, which all switch one of several modules: no switch is lost."""
    names = ("left", "right", "above", "below")

    def switch(name: str) -> Any:
        def change(now: FieldingAssistant) -> FieldingAssistant:
            kept = tuple(module for module in now.others if module.name != name)
            count = int((now.module(name) or {"times": 0})["times"]) + 1
            return evolve(now, others=(*kept, OtherModule.of(name, {"on": count % 2 == 1, "times": count})))

        return change

    async with Sandbox() as sandbox, session(sandbox) as one, session(sandbox) as other:
        ref = sandbox.add_run("live")
        outcomes: list[AssistantOutcome] = await asyncio.gather(
            *(assistant_of(fielding, ref).update(switch(names[n % 4])) for fielding in (one, other) for n in range(50))
        )
        modules = sandbox.inspect_assistant(ref).modules
    assert {outcome.effect for outcome in outcomes} == {"accepted"}
    wanted = {name: {"on": times % 2 == 1, "times": times} for name, times in zip(names, (26, 26, 24, 24), strict=True)}
    assert json.loads(modules or "") == wanted
    assert len(sandbox.assistant_history) == 100


async def test_calls_of_a_session_take_turns(sandbox: Sandbox) -> None:
    """Updates of one assistant go one after the other, so that a session does not conflict with itself."""
    ref = sandbox.add_run("live")
    async with session(sandbox) as fielding:
        hold = Hold()
        sandbox.script(hold, on="update-assistant")
        assistant = assistant_of(fielding, ref)
        first = asyncio.create_task(assistant.update(hourly))
        await hold.arrived()
        second = asyncio.create_task(assistant.update(lambda now: evolve(now, quota_overlay=OVERLAY)))
        run = await fielding.run(ref).pause()
        assert run.effect == "accepted"  # a run and its group's assistant do not wait for each other
        assert fielding.stats().waiting_turns == 1
        hold.release()
        assert [outcome.conflicts for outcome in await asyncio.gather(first, second)] == [0, 0]
    assert len(sandbox.assistant_history) == 2


# -- lost replies


async def test_a_lost_request_is_sent_again_under_the_same_etag(sandbox: Sandbox) -> None:
    """Where the first request was not applied, the second one is."""
    ref = sandbox.add_run("live")
    sandbox.touch_assistant(ref, FIRST)
    async with session(sandbox) as fielding:
        sandbox.script(Cut("before"), on="update-assistant")
        outcome = await assistant_of(fielding, ref).update(hourly)
    assert (outcome.effect, outcome.requests) == ("accepted", 3)
    first, second = preconditions(sandbox)
    assert first == second
    assert len(sandbox.assistant_history) == 2


async def test_a_value_whose_reply_was_lost_is_unconfirmed_where_it_is_there(sandbox: Sandbox) -> None:
    """The 412 to the second attempt says that something was applied: what is there now is what was sent."""
    ref = sandbox.add_run("live")
    sandbox.touch_assistant(ref, FIRST)
    async with session(sandbox) as fielding:
        assistant = assistant_of(fielding, ref)
        seen = await assistant.get()
        sandbox.script(Cut("after"), on="update-assistant")
        outcome = await assistant.update(evolve(seen, pacing=HOURLY), seen=seen)
        assert (outcome.effect, outcome.conflicts) == ("unconfirmed", 0)
        assert outcome.assistant == await assistant.get()
    assert len(sandbox.assistant_history) == 2


@pytest.mark.parametrize("value", [False, True], ids=["callable", "value"])
async def test_a_lost_reply_and_a_colleague_cannot_be_told_apart(sandbox: Sandbox, *, value: bool) -> None:
    """Another ETag with other modules proves nothing: the outcome is unknown, and nothing is sent again."""
    ref = sandbox.add_run("live")
    sandbox.touch_assistant(ref, FIRST)
    async with session(sandbox) as fielding:
        assistant = assistant_of(fielding, ref)
        seen = await assistant.get()
        hold = Hold()
        sandbox.script(Cut("after"), hold, on="update-assistant")
        change = assistant.update(evolve(seen, pacing=HOURLY), seen=seen) if value else assistant.update(hourly)
        task = asyncio.create_task(change)
        await hold.arrived()
        sandbox.touch_assistant(ref, '{"quality":{"level":9}}')
        hold.release()
        with pytest.raises(OutcomeUnknownError, match="hides who did it") as caught:
            await task
        assert isinstance(caught.value.current, FieldingAssistant)
        assert caught.value.current.module("quality") is not None
        assert isinstance(caught.value.__cause__, PreconditionFailedError)
    assert [write.by_client for write in sandbox.assistant_history] == [False, True, False]


async def test_a_callable_whose_reply_was_lost_does_not_take_an_equal_change_for_its_own(sandbox: Sandbox) -> None:
    """For a callable, what it sent may be a colleague's doing as well."""
    ref = sandbox.add_run("live")
    sandbox.touch_assistant(ref, FIRST)
    async with session(sandbox) as fielding:
        sandbox.script(Cut("after"), on="update-assistant")
        with pytest.raises(OutcomeUnknownError, match="has the modules we sent"):
            await assistant_of(fielding, ref).update(hourly)


async def test_own_errors_of_the_exchange_under_the_old_etag_are_a_server_error(sandbox: Sandbox) -> None:
    """When attempts are used up on the exchange's own 500, and a GET shows the old ETag, nothing was applied."""
    ref = sandbox.add_run("live")
    sandbox.touch_assistant(ref, FIRST)
    async with session(sandbox) as fielding:
        sandbox.script(*[Status(500)] * 5, on="update-assistant")
        with pytest.raises(ServerError):
            await assistant_of(fielding, ref).update(hourly)
    assert len(sandbox.assistant_history) == 1


async def test_an_undocumented_success_is_looked_into(sandbox: Sandbox) -> None:
    """A 200 is no acceptance by itself; one that bears the ETag that a GET then shows is."""
    ref = sandbox.add_run("live")
    sandbox.touch_assistant(ref, FIRST)
    async with session(sandbox) as fielding:
        assistant = assistant_of(fielding, ref)
        sandbox.script(Reply(200, (("ETag", 'W/"2"'),), b"{}", applied=True), on="update-assistant")
        outcome = await assistant.update(hourly)
        assert (outcome.effect, outcome.etag, outcome.requests) == ("accepted", 'W/"2"', 3)
        sandbox.script(Reply(200, (), b"<html>", applied=False), on="update-assistant")
        overlaid = await assistant.update(lambda now: evolve(now, quota_overlay=OVERLAY))
        assert (overlaid.effect, overlaid.requests) == ("accepted", 3)
    assert len(sandbox.assistant_history) == 3


async def test_the_etag_of_a_reply_is_told_and_not_kept() -> None:
    """A 204 with an ETag names it in the outcome; the next call fetches all the same, as more may have been added."""
    behaviour = Behaviour(assistant_etag_on_write=True, assistant_adds_scale=True)
    async with Sandbox(behaviour=behaviour) as sandbox, session(sandbox) as fielding:
        ref = sandbox.add_run("live")
        sandbox.touch_assistant(
            ref, '{"pricing":{"type":"dynamic","maximum_cpi":{"value":"5.00","currency_code":"USD"}}}'
        )
        assistant = assistant_of(fielding, ref)
        outcome = await assistant.update(hourly)
        assert outcome.etag == outcome.assistant.etag == sandbox.inspect_assistant(ref).etag
        assert (await assistant.update(lambda now: evolve(now, quota_overlay=OVERLAY))).requests == 2
        again = await assistant.update(evolve(outcome.assistant, pacing=None), seen=await assistant.get())
        assert again.effect == "accepted"


async def test_a_cancelled_creation_stays_in_doubt(sandbox: Sandbox) -> None:
    """While a request that may make the first assignment can still land, there being none is not "already"."""
    ref = sandbox.add_run("live")
    async with session(sandbox) as fielding:
        assistant = assistant_of(fielding, ref)
        hold = Hold()
        sandbox.script((hold, Cut("before")), on="update-assistant")
        task = asyncio.create_task(assistant.update(hourly))
        await hold.arrived()
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert any("may or may not be applied" in note for note in caught.value.__notes__)
        waiting = asyncio.create_task(assistant.update(lambda _: None))
        hold.release()
        assert (await waiting).effect == "unconfirmed"
        assert (await assistant.update(hourly)).effect == "accepted"
        assert (await assistant.update(lambda _: None)).effect == "already"


# -- what is refused before anything is sent, and what cannot be read


async def test_bad_arguments_are_refused_before_anything_is_sent(sandbox: Sandbox) -> None:
    """Each names the argument, the rule and the remedy."""
    ref = sandbox.add_run("live")
    async with session(sandbox) as fielding:
        assistant: Any = assistant_of(fielding, ref)
        untyped: Any = FieldingAssistant
        value = FieldingAssistant(pacing=DAILY)
        for arguments, named in (
            ((value,), "it must have seen="),
            (({},), "must be a FieldingAssistant"),
            ((None,), "must be a FieldingAssistant"),
        ):
            with pytest.raises(ConfigurationError, match=named):
                await assistant.update(*arguments)
        for change, seen, named in (
            (hourly, FieldingAssistant(), "seen= must go with a value"),
            (value, {}, "must be a FieldingAssistant"),
            (value, value, r"use the FieldingAssistant from get\(\)"),
            (value, FieldingAssistant(etag="*"), "not a single ETag"),
            (value, FieldingAssistant(etag='"1"\r\nX: y'), "not a single ETag"),
            (value, untyped(etag=5), "not a single ETag"),
        ):
            with pytest.raises(ConfigurationError, match=named):
                await assistant.update(change, seen=seen)
        assert not sent(sandbox)
        for wrong, named in ((lambda _: {}, "not dict"), (_later, "async callable")):
            with pytest.raises(ConfigurationError, match=named):
                await assistant.update(wrong)
    assert not sent(sandbox, "update-assistant")


async def _later(now: FieldingAssistant) -> FieldingAssistant:
    return now


async def test_the_exception_of_a_callable_passes_through(sandbox: Sandbox) -> None:
    """What the callable raises comes out, and nothing was sent."""
    ref = sandbox.add_run("live")

    def change(_: FieldingAssistant) -> None:
        raise SkippedError("not today", because=ValueError())

    async with session(sandbox) as fielding:
        with pytest.raises(SkippedError, match="not today"):
            await assistant_of(fielding, ref).update(change)
    assert not sent(sandbox, "update-assistant")


async def test_a_target_group_that_does_not_exist_has_no_assistant(sandbox: Sandbox) -> None:
    """The exchange answers 404 to the write as well."""
    async with session(sandbox) as fielding:
        with pytest.raises(NotFoundError):
            await fielding.project(101, "0" * 26).target_group("1" * 26).assistant.update(hourly)


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (Reply(404, (("Content-Type", "text/html"),), b"<html>", applied=False), "404"),
        (Reply(200, (), FIRST.encode(), applied=False), "without an ETag"),
        (Reply(200, (("ETag", '"1"'),), f'{{"a":"{TOKEN}"}}'.encode(), applied=False), "shows a secret"),
        (Reply(200, (("ETag", '"1"'),), b"[]", applied=False), "must be an object"),
    ],
)
async def test_what_a_get_does_not_show_is_not_written_over(sandbox: Sandbox, fault: Reply, named: str) -> None:
    """A page with 404, modules without an ETag, a reply with our token in it and what is no object end the call."""
    ref = sandbox.add_run("live")
    sandbox.touch_assistant(ref, FIRST)
    async with session(sandbox) as fielding:
        sandbox.script(fault, on="get-assistant")
        with pytest.raises((NotFoundError, ProtocolError), match=named) as caught:
            await assistant_of(fielding, ref).update(hourly)
        assert TOKEN not in str(caught.value)
    assert not sent(sandbox, "update-assistant")


async def test_a_404_of_a_cache_founds_nothing(sandbox: Sandbox) -> None:
    """An old 404 is not there being none: it is asked again."""
    ref = sandbox.add_run("live")
    sandbox.touch_assistant(ref, FIRST)
    async with session(sandbox) as fielding:
        sandbox.script((Status(404), SetHeader("Age", "7")), on="get-assistant")
        outcome = await assistant_of(fielding, ref).update(lambda _: None)
    assert (outcome.effect, outcome.requests) == ("already", 2)
    assert outcome.assistant.pacing == DAILY


async def test_handles_of_one_assistant_are_equal(sandbox: Sandbox) -> None:
    """A handle is known by its session and its ids."""
    ref = sandbox.add_run("live")
    async with session(sandbox) as fielding:
        assert assistant_of(fielding, ref) == assistant_of(fielding, ref)
        assert hash(assistant_of(fielding, ref)) == hash(assistant_of(fielding, ref))
        assert str(assistant_of(fielding, ref).ref) == str(ref).rpartition("/")[0]
