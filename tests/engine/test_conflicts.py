"""ETags, conflicts and turns through the public contract, over real sockets."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from fielding_async import (
    ConfigurationError,
    FieldingRun,
    InvalidRunStateError,
    Limits,
    PreconditionFailedError,
    ProtocolError,
    Update,
)
from fielding_async.core.actions import Action, StatusAction
from fielding_async.sandbox import Behaviour, DropHeader, Hold, Reply, Sandbox, SecondWriter, SetHeader, Status
from tests.tools.sessions import ACTION_IDS, ACTIONS, END, TOKEN, applied, effects, longer, sent, session


@pytest.mark.parametrize(("action", "status"), ACTIONS, ids=ACTION_IDS)
async def test_a_cold_action_is_two_requests_and_a_warm_one_is_one(
    sandbox: Sandbox, action: Action, status: str
) -> None:
    """The first action on a run costs a GET and the write; with the ETag in hand an action is one request."""
    cold, warm = sandbox.add_run(status), sandbox.add_run(status)
    async with session(sandbox) as fielding:
        first = await fielding.run(cold).perform(action)
        await fielding.run(warm).get()
        second = await fielding.run(warm).perform(action)
    assert (first.requests, first.conflicts, first.effect) == (2, 0, "accepted")
    assert (second.requests, second.conflicts, second.effect) == (1, 0, "accepted")
    assert len(sandbox.requests) == 4


@pytest.mark.parametrize(("action", "status"), ACTIONS, ids=ACTION_IDS)
@pytest.mark.parametrize("conflicts", [1, 3])
async def test_a_conflict_adds_two_requests(sandbox: Sandbox, action: Action, status: str, conflicts: int) -> None:
    """Each 412 adds exactly a GET and a write, and a colleague's change of the other things is kept."""
    ref = sandbox.add_run(status)
    sandbox.script(*[SecondWriter()] * conflicts, on=action.name)
    async with session(sandbox) as fielding:
        await fielding.run(ref).get()
        outcome = await fielding.run(ref).perform(action)
    assert (outcome.requests, outcome.conflicts, outcome.effect) == (1 + 2 * conflicts, conflicts, "accepted")
    assert applied(sandbox) == [action.name]
    assert action.is_there(sandbox.inspect(ref))


@pytest.mark.parametrize(("action", "status"), ACTIONS, ids=ACTION_IDS)
async def test_a_run_that_is_there_already_is_a_success(sandbox: Sandbox, action: Action, status: str) -> None:
    """An action whose goal holds already ends `already` and sends no write: cold, and after a 412."""
    cold = sandbox.add_run(status)
    async with session(sandbox) as fielding:
        await fielding.run(cold).perform(action)
    async with session(sandbox) as fielding:
        outcome = await fielding.run(cold).perform(action)
    assert (outcome.effect, outcome.requests, outcome.conflicts) == ("already", 1, 0)
    raced = sandbox.add_run(status)
    async with session(sandbox) as fielding:
        run = fielding.run(raced)
        await run.get()
        if isinstance(action, Update):
            sandbox.touch(raced, end_fielding_at=action.end_fielding_at)
        elif isinstance(action, StatusAction):
            sandbox.touch(raced, status=action.target)
        outcome = await run.perform(action)
    assert (outcome.effect, outcome.requests, outcome.conflicts) == ("already", 3 - 1, 1)
    assert applied(sandbox) == [action.name]


async def test_repeating_an_action_says_already(sandbox: Sandbox) -> None:
    """A second pause of a paused run meets 422 under the same ETag, and is `already`."""
    ref = sandbox.add_run("live")
    async with session(sandbox) as fielding:
        run = fielding.run(ref)
        await run.pause()
        outcome = await run.pause()
    assert (outcome.effect, outcome.requests) == ("already", 2)
    assert applied(sandbox) == ["pause"]


async def test_one_session_never_conflicts_with_itself(sandbox: Sandbox) -> None:
    """200 increments of one run from 200 tasks of one session meet no 412, and all count."""
    ref = sandbox.add_run("live")
    before = sandbox.inspect(ref)
    async with session(sandbox) as fielding:
        run = fielding.run(ref)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run.update(longer)) for _ in range(200)]
    outcomes = [task.result() for task in tasks]
    assert sum(outcome.conflicts for outcome in outcomes) == 0
    assert sum(outcome.requests for outcome in outcomes) == len(sandbox.requests) == 201
    assert sandbox.inspect(ref).end_fielding_at == before.end_fielding_at + timedelta(hours=200)


async def test_actions_on_a_run_are_applied_in_call_order(sandbox: Sandbox) -> None:
    """Actions of one session on one run are applied in the order in which they were called."""
    ref = sandbox.add_run("live")
    async with session(sandbox) as fielding:
        run = fielding.run(ref)
        calls = [run.pause(), run.resume()] * 1 + [run.update(longer), run.pause(), run.resume(), run.complete()]
        await asyncio.gather(*calls)
    assert applied(sandbox) == ["pause", "resume", "update", "pause", "resume", "complete"]


@pytest.mark.parametrize("attempt", range(20))
async def test_increments_by_many_writers_all_count(sandbox: Sandbox, attempt: int) -> None:
    """Two sessions of 50 tasks each extend one run by an hour through a callable: by exactly 100 hours."""
    ref = sandbox.add_run("live")
    before = sandbox.inspect(ref)
    async with session(sandbox) as one, session(sandbox) as other, asyncio.TaskGroup() as group:
        tasks = [group.create_task(fielding.run(ref).update(longer)) for fielding in [one, other] * 50]
    assert effects([task.result() for task in tasks]) == {"accepted"}
    assert sandbox.inspect(ref).end_fielding_at == before.end_fielding_at + timedelta(hours=100)


async def test_different_runs_go_side_by_side(sandbox: Sandbox) -> None:
    """While one run's write is under way, another run's action is not kept waiting."""
    held, free = sandbox.add_run("live"), sandbox.add_run("live")
    hold = Hold()
    sandbox.script(hold, on="pause", ref=held)
    async with session(sandbox) as fielding:
        slow = asyncio.create_task(fielding.run(held).pause())
        await hold.arrived()
        assert (await fielding.run(free).pause()).effect == "accepted"
        assert not slow.done()
        hold.release()
        assert (await slow).effect == "accepted"


async def test_a_conflict_is_settled_with_one_slot(sandbox: Sandbox) -> None:
    """With `concurrency=1` an action that meets a 412 finishes: its slot is free while it looks."""
    ref = sandbox.add_run("live")
    sandbox.script(SecondWriter(), SecondWriter(), on="pause")
    async with session(sandbox, limits=Limits(concurrency=1)) as fielding:
        outcome = await fielding.run(ref).pause()
    assert (outcome.effect, outcome.conflicts) == ("accepted", 2)


async def test_a_slow_get_never_brings_an_old_etag_back(sandbox: Sandbox) -> None:
    """A GET whose reply comes after a write of the session does not replace what the write left."""
    ref = sandbox.add_run("live")
    hold = Hold("after")
    async with session(sandbox) as fielding:
        run = fielding.run(ref)
        await run.get()
        sandbox.script(hold, on="get")
        slow = asyncio.create_task(run.get())
        await hold.arrived()
        await run.pause()
        hold.release()
        stale = await slow
        outcome = await run.resume()
    assert stale.status == "live"
    assert (outcome.requests, outcome.conflicts) == (1, 0)


async def test_of_two_gets_the_one_sent_later_counts(sandbox: Sandbox) -> None:
    """A GET overtaken by one that was sent after it does not replace what that one brought."""
    ref = sandbox.add_run("live")
    hold = Hold("after")
    async with session(sandbox) as fielding:
        run = fielding.run(ref)
        sandbox.script(hold, on="get")
        slow = asyncio.create_task(run.get())
        await hold.arrived()
        sandbox.touch(ref)
        await run.get()
        hold.release()
        await slow
        outcome = await run.pause()
    assert (outcome.requests, outcome.conflicts) == (1, 0)


async def test_a_stale_read_is_looked_at_again(sandbox: Sandbox) -> None:
    """A GET that brings the very ETag that was just refused is a stale read: wait, and look again."""
    ref = sandbox.add_run("live")
    async with session(sandbox) as fielding:
        run = fielding.run(ref)
        old = await run.get()
        stale = SetHeader("ETag", old.etag or "")
        sandbox.script(SecondWriter(), on="pause")
        sandbox.script(stale, stale, on="get")
        outcome = await run.pause()
    assert outcome.effect == "accepted"
    assert outcome.conflicts == 1
    assert len(sent(sandbox, "get")) == 4


async def test_an_end_only_update_of_a_live_run_works(sandbox: Sandbox) -> None:
    """The start of a live run is in the past; it is sent back as the server wrote it, and accepted."""
    ref = sandbox.add_run("live")
    before = sandbox.inspect(ref)
    async with session(sandbox) as fielding:
        outcome = await fielding.run(ref).update(end_fielding_at=END)
        again = await fielding.run(ref).update(end_fielding_at=END + timedelta(days=1))
    assert (outcome.effect, again.effect, again.requests) == ("accepted", "accepted", 1)
    assert sandbox.inspect(ref).start_fielding_at == before.start_fielding_at


async def test_a_bound_that_is_not_named_is_sent_as_the_server_wrote_it(sandbox: Sandbox) -> None:
    """Not even the spelling of a date changes: six digits and an offset go back as they came."""
    ref = sandbox.add_run("live")
    text = "2026-01-02T03:04:05.123456+00:00"
    body = (
        f'{{"id":"{ref.fielding_run_id}","status":"live","version":1,"start_fielding_at":"{text}",'
        '"end_fielding_at":"2031-01-01T00:00:00Z","last_changed_at":"2026-01-01T00:00:00.000Z",'
        '"last_changed_by":"b551326b-ac9d-4d32-8823-4f025787dab9"}'
    )
    sandbox.script(Reply(200, [("ETag", 'W/"1"'), ("Content-Type", "application/json")], body.encode()), on="get")
    sandbox.script(Status(400), on="update")
    async with session(sandbox) as fielding:
        with pytest.raises(Exception, match="400"):
            await fielding.run(ref).update(end_fielding_at=END)
    assert text.encode() in sent(sandbox, "update")[0].body


async def test_sub_millisecond_datetimes_make_no_conflicts(sandbox: Sandbox) -> None:
    """A datetime finer than the API's milliseconds is floored once, so the same update again is `already`."""
    ref = sandbox.add_run("live")
    assert END.microsecond % 1000
    async with session(sandbox) as fielding:
        first = await fielding.run(ref).update(end_fielding_at=END)
        assert first.end_fielding_at == END.replace(microsecond=123000)
    async with session(sandbox) as fielding:
        again = await fielding.run(ref).update(end_fielding_at=END)
        assert (again.effect, again.requests) == ("already", 1)
        sandbox.touch(ref, end_fielding_at=END + timedelta(days=1))
        sandbox.script(SecondWriter(end_fielding_at=END), on="update")
        raced = await fielding.run(ref).update(end_fielding_at=END)
        assert raced.effect == "already"
    assert applied(sandbox) == ["update"]


async def test_seen_holds_while_only_the_version_moved(sandbox: Sandbox) -> None:
    """With `seen=` an action is sent again after a 412 if status and dates are still what was seen."""
    ref = sandbox.add_run("live")
    async with session(sandbox) as fielding:
        run = fielding.run(ref)
        seen = await run.get()
        sandbox.touch(ref)
        outcome = await run.pause(seen=seen)
    assert (outcome.effect, outcome.requests, outcome.conflicts) == ("accepted", 3, 1)


async def test_seen_bears_the_first_if_match(sandbox: Sandbox) -> None:
    """The ETag of `seen` is the first that is tried, even if the session knows a newer one."""
    ref = sandbox.add_run("live")
    async with session(sandbox) as fielding:
        run = fielding.run(ref)
        seen = await run.get()
        await run.update(longer)
        with pytest.raises(PreconditionFailedError):
            await run.pause(seen=seen)
    assert sent(sandbox, "pause")[0].header("If-Match") == seen.etag
    assert applied(sandbox) == ["update"]


async def test_on_conflict_raise_sends_nothing_again(sandbox: Sandbox) -> None:
    """With `on_conflict="raise"` a 412 ends the call, unless the run is where the action leads."""
    ref = sandbox.add_run("live")
    async with session(sandbox) as fielding:
        run = fielding.run(ref)
        await run.get()
        sandbox.touch(ref)
        with pytest.raises(PreconditionFailedError) as caught:
            await run.pause(on_conflict="raise")
        assert caught.value.current is not None
        sandbox.touch(ref, status="paused")
        assert (await run.pause(on_conflict="raise")).effect == "already"
    assert applied(sandbox) == []


async def test_a_422_under_another_etag_is_a_conflict(sandbox: Sandbox) -> None:
    """A server that judges the state first answers 422 to a stale ETag; the run is looked at and the action sent."""
    async with Sandbox(require_token=TOKEN, behaviour=Behaviour(state_before_etag=True)) as sandbox:
        ref = sandbox.add_run("scheduled")
        async with session(sandbox) as fielding:
            run = fielding.run(ref)
            await run.get()
            sandbox.touch(ref, status="live")
            assert (await run.pause()).effect == "accepted"
            sandbox.touch(ref, status="completed")
            with pytest.raises(InvalidRunStateError):
                await run.pause()


async def test_a_callable_is_called_afresh_for_every_fresh_run(sandbox: Sandbox) -> None:
    """A callable change sees each fresh run, and what it returns last is what is sent."""
    ref = sandbox.add_run("live")
    before = sandbox.inspect(ref)
    sandbox.script(SecondWriter(shift_end=timedelta(hours=5)), on="update")
    seen: list[FieldingRun] = []

    def change(now: FieldingRun) -> Update:
        seen.append(now)
        return longer(now)

    async with session(sandbox) as fielding:
        outcome = await fielding.run(ref).update(change)
    assert [run.end_fielding_at - before.end_fielding_at for run in seen] == [timedelta(0), timedelta(hours=5)]
    assert sandbox.inspect(ref).end_fielding_at == before.end_fielding_at + timedelta(hours=6)
    assert outcome.action == Update(end_fielding_at=before.end_fielding_at + timedelta(hours=6))


async def test_a_callable_with_nothing_to_do_is_already(sandbox: Sandbox) -> None:
    """A callable that returns `None` ends `already` on a fresh look, never on memory alone."""
    ref = sandbox.add_run("live")
    async with session(sandbox) as fielding:
        run = fielding.run(ref)
        await run.get()
        outcome = await run.update(lambda _: None)
    assert (outcome.effect, outcome.requests, outcome.action) == ("already", 1, None)
    assert applied(sandbox) == []


async def test_a_callables_own_exception_passes_through(sandbox: Sandbox) -> None:
    """What a callable raises reaches the caller as it is, and nothing is sent."""
    ref = sandbox.add_run("live")

    def change(_: FieldingRun) -> Update:
        raise LookupError("no such plan")

    async with session(sandbox) as fielding:
        with pytest.raises(LookupError, match="no such plan"):
            await fielding.run(ref).update(change)
        assert (await fielding.run(ref).pause()).effect == "accepted"
    assert sent(sandbox, "update") == []


async def test_a_callable_must_return_an_update(sandbox: Sandbox) -> None:
    """A callable that returns something else, or is async, is told so, and nothing is sent."""
    ref = sandbox.add_run("live")

    async def change(now: FieldingRun) -> Update:
        return longer(now)

    async with session(sandbox) as fielding:
        run: Any = fielding.run(ref)
        with pytest.raises(ConfigurationError, match="async"):
            await run.update(change)
        with pytest.raises(ConfigurationError, match="int"):
            await run.update(lambda _: 5)
    assert sent(sandbox, "update") == []


@pytest.mark.parametrize("header", [None, "", "*"])
async def test_no_write_without_an_etag(sandbox: Sandbox, header: str | None) -> None:
    """A GET without a usable ETag before a write is a `ProtocolError` that names the header."""
    ref = sandbox.add_run("live")
    sandbox.script(DropHeader("ETag") if header is None else SetHeader("ETag", header), on="get")
    async with session(sandbox) as fielding:
        with pytest.raises(ProtocolError, match="ETag"):
            await fielding.run(ref).pause()
    assert sent(sandbox, "pause") == []


async def test_a_reply_without_an_etag_is_looked_into(sandbox: Sandbox) -> None:
    """A success without an ETag is accepted once a GET shows the run one version further and where the action leads."""
    ref = sandbox.add_run("live")
    sandbox.script(DropHeader("ETag"), on="pause")
    async with session(sandbox) as fielding:
        first = await fielding.run(ref).pause()
        second = await fielding.run(ref).resume()
    assert (first.effect, first.etag, first.requests) == ("accepted", 'W/"2"', 3)
    assert (second.effect, second.requests) == ("accepted", 1)


async def test_a_bulk_job_forgets_the_runs_of_its_target_groups(sandbox: Sandbox) -> None:
    """After a bulk job the runs of its target groups are looked at afresh, others are not."""
    touched, other = sandbox.add_run("completed"), sandbox.add_run("completed")
    async with session(sandbox) as fielding:
        for ref in (touched, other):
            await fielding.run(ref).get()
        job = await fielding.project(101, sandbox.project_id).relaunch([touched.target_group_id])
        await job.wait()
        assert (await fielding.run(touched).pause()).requests == 2
        assert (await fielding.run(other).relaunch()).requests == 1


async def test_the_cache_is_bounded(sandbox: Sandbox) -> None:
    """Of more runs than `etag_cache_size` the one used longest ago is forgotten."""
    refs = [sandbox.add_run("live") for _ in range(3)]
    async with session(sandbox, etag_cache_size=2) as fielding:
        for ref in refs:
            await fielding.run(ref).get()
        requests = [(await fielding.run(ref).pause()).requests for ref in reversed(refs)]
    assert requests == [1, 1, 2]


async def test_another_run_than_was_asked_for_is_a_protocol_error(sandbox: Sandbox) -> None:
    """A GET that shows another run, from a cache gone wrong, is not believed: nothing is said or written."""
    ref, other = sandbox.add_run("live"), sandbox.add_run("paused")
    async with session(sandbox) as fielding:
        await fielding.run(other).get()
        body = (
            f'{{"id":"{other.fielding_run_id}","status":"paused","version":1,'
            '"start_fielding_at":"2026-01-01T00:00:00.000Z","end_fielding_at":"2031-01-01T00:00:00.000Z",'
            '"last_changed_at":"2026-01-01T00:00:00.000Z","last_changed_by":"somebody"}'
        )
        sandbox.script(Reply(200, (("ETag", 'W/"1"'),), body.encode()), on="get")
        with pytest.raises(ProtocolError, match=r"\$\.id"):
            await fielding.run(ref).pause()
    assert applied(sandbox) == []
