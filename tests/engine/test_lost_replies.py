"""Lost replies, retries, deadlines and cancellation through the public contract, over real sockets."""

import asyncio
import logging
from datetime import timedelta
from typing import Any

import pytest

from fielding_async import (
    BadRequestError,
    ConfigurationError,
    DeadlineExceededError,
    FieldingError,
    InvalidRunStateError,
    Limits,
    OutcomeUnknownError,
    PermissionDeniedError,
    ProtocolError,
    Retry,
    ServerError,
    SessionClosedError,
    Timeout,
    TransportError,
)
from fielding_async.core.actions import Action
from fielding_async.core.wire.replies import Attempted, NotSent
from fielding_async.http.transport import Outgoing
from fielding_async.sandbox import Cut, Hold, Refuse, Reply, Sandbox, SecondWriter, SetHeader, Status
from tests.tools.sessions import ACTION_IDS, ACTIONS, applied, longer, sent, session
from tests.tools.waits import Clock


@pytest.mark.parametrize("at", ["after", "headers", "body"])
@pytest.mark.parametrize(("action", "status"), ACTIONS, ids=ACTION_IDS)
async def test_a_reply_lost_after_the_write_is_unconfirmed(
    sandbox: Sandbox, action: Action, status: str, at: str
) -> None:
    """A write whose reply is cut off is sent again under the same ETag, applied once, and `unconfirmed`."""
    ref = sandbox.add_run(status)
    sandbox.script(Cut(at), on=action.name)  # type: ignore[arg-type]
    async with session(sandbox) as fielding:
        outcome = await fielding.run(ref).perform(action)
    assert outcome.effect == "unconfirmed"
    assert applied(sandbox) == [action.name]
    writes = sent(sandbox, action.name)
    assert len(writes) == 2
    assert writes[0].header("If-Match") == writes[1].header("If-Match")
    assert writes[0].body == writes[1].body
    assert outcome.requests == len(sandbox.requests)


@pytest.mark.parametrize("fault", [Cut("before"), Refuse(), Status(500), Status(503), Status(408)], ids=str)
@pytest.mark.parametrize(("action", "status"), ACTIONS, ids=ACTION_IDS)
async def test_a_request_lost_before_it_was_applied_is_accepted_once(
    sandbox: Sandbox, action: Action, status: str, fault: Cut | Refuse | Status
) -> None:
    """The same ETag still being good proves that a lost attempt was not applied: `accepted`."""
    ref = sandbox.add_run(status)
    sandbox.script(fault, fault, on=action.name)
    async with session(sandbox) as fielding:
        outcome = await fielding.run(ref).perform(action)
    assert (outcome.effect, outcome.requests) == ("accepted", 4)
    assert applied(sandbox) == [action.name]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(302, headers=(("Location", "https://elsewhere.example/"),), applied=True),
        Reply(304, applied=True),
    ],
    ids=["redirect", "not modified"],
)
async def test_a_success_that_cannot_be_read_is_a_lost_reply(sandbox: Sandbox, reply: Reply) -> None:
    """A 3xx is no proof of anything: the write is sent again, and its 412 leads to a GET."""
    ref = sandbox.add_run("scheduled")
    sandbox.script(reply, on="launch-now")
    async with session(sandbox) as fielding:
        outcome = await fielding.run(ref).launch_now()
    assert outcome.effect == "unconfirmed"
    assert applied(sandbox) == ["launch-now"]


async def test_a_lost_callable_update_cannot_be_told(sandbox: Sandbox) -> None:
    """After a lost reply the dates of a callable prove nothing: a colleague's equal change looks the same."""
    ref = sandbox.add_run("live")
    sandbox.script(Cut("after"), on="update")
    async with session(sandbox) as fielding:
        with pytest.raises(OutcomeUnknownError) as caught:
            await fielding.run(ref).update(longer)
    assert caught.value.current is not None
    assert isinstance(caught.value.__cause__, FieldingError)
    assert applied(sandbox) == ["update"]


async def test_a_colleagues_write_proves_that_ours_was_not_applied(sandbox: Sandbox) -> None:
    """One version further, and what we set has its old value: our lost attempt was not applied, and is sent again."""
    ref = sandbox.add_run("live")
    async with session(sandbox) as fielding:
        run = fielding.run(ref)
        await run.get()
        sandbox.script(Cut("before"), SecondWriter(), on="pause")
        outcome = await run.pause()
    assert (outcome.effect, outcome.conflicts) == ("accepted", 1)
    assert applied(sandbox) == ["pause"]


async def test_a_colleagues_answer_to_our_lost_write_is_never_reversed(sandbox: Sandbox) -> None:
    """Our pause was applied, its reply lost, a colleague resumed: that stands, and we say that we cannot tell."""
    ref = sandbox.add_run("live")
    async with session(sandbox) as fielding:
        run = fielding.run(ref)
        await run.get()
        sandbox.script(Cut("after"), SecondWriter(status="live"), on="pause")
        with pytest.raises(OutcomeUnknownError) as caught:
            await run.pause()
    assert sandbox.inspect(ref).status == "live"
    assert caught.value.current is not None
    assert caught.value.current.status == "live"
    assert applied(sandbox) == ["pause"]


@pytest.mark.parametrize("status", [400, 403, 404])
async def test_an_error_after_a_lost_reply_is_not_raised_as_itself(sandbox: Sandbox, status: int) -> None:
    """Once an attempt may have been applied, a 4xx to the next one proves nothing: the run is judged."""
    ref, other = sandbox.add_run("live"), sandbox.add_run("live")
    async with session(sandbox) as fielding:
        sandbox.script(Cut("after"), Status(status), on="pause")
        assert (await fielding.run(ref).pause()).effect == "unconfirmed"
        sandbox.script(Cut("before"), Status(status), on="pause")
        with pytest.raises(OutcomeUnknownError) as caught:
            await fielding.run(other).pause()
    assert str(status) in str(caught.value.__cause__)


async def test_attempts_used_up_on_5xx_answers_are_a_server_error(sandbox: Sandbox) -> None:
    """When every attempt was answered with a 5xx and the run still bears the old ETag, it is `ServerError`."""
    ref = sandbox.add_run("live")
    sandbox.script(*[Status(500)] * 3, on="pause")
    async with session(sandbox, retry=Retry(max_attempts=3, base=0.001)) as fielding:
        with pytest.raises(ServerError) as caught:
            await fielding.run(ref).pause()
    assert caught.value.status == 500
    assert [request.operation for request in sandbox.requests] == ["get", "pause", "pause", "pause", "get"]


async def test_a_5xx_that_was_applied_is_found_out(sandbox: Sandbox) -> None:
    """When a 5xx had been applied all the same, the look afterwards shows it: `unconfirmed`."""
    ref = sandbox.add_run("live")
    sandbox.script(Status(500, applied=True), on="pause")
    async with session(sandbox, retry=Retry(max_attempts=1)) as fielding:
        assert (await fielding.run(ref).pause()).effect == "unconfirmed"


async def test_attempts_used_up_on_lost_replies_stay_unknown(sandbox: Sandbox) -> None:
    """After lost requests an unchanged run proves nothing: they may still land."""
    ref = sandbox.add_run("live")
    sandbox.script(Cut("before"), Status(500), on="pause")
    async with session(sandbox, retry=Retry(max_attempts=2, base=0.001)) as fielding:
        with pytest.raises(OutcomeUnknownError) as caught:
            await fielding.run(ref).pause()
    assert caught.value.trace_id
    assert caught.value.ref == ref
    assert not isinstance(caught.value, TimeoutError)


async def test_an_unknown_write_forbids_already(sandbox: Sandbox) -> None:
    """While an unknown write may still land, an unchanged run is not "there already": the next action is sent."""
    ref = sandbox.add_run("live")
    before = sandbox.inspect(ref)
    sandbox.script(Cut("before"), on="update")
    async with session(sandbox, retry=Retry(max_attempts=1)) as fielding:
        run = fielding.run(ref)
        with pytest.raises(OutcomeUnknownError):
            await run.update(longer)
        outcome = await run.update(end_fielding_at=before.end_fielding_at)
    assert outcome.effect == "accepted"  # the same dates, but under a new ETag: the lost write can land no more


async def test_a_server_that_cannot_be_reached_is_a_transport_error() -> None:
    """A connection refused is no lost reply: it is tried again, and ends in `TransportError`."""
    async with Sandbox() as sandbox:
        ref = sandbox.add_run("live")
        fielding = session(sandbox, retry=Retry(max_attempts=3, base=0.001))
    async with fielding:
        with pytest.raises(TransportError) as caught:
            await fielding.run(ref).pause()
    assert "could not connect" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.trace_id


async def test_a_deadline_with_a_write_under_way_is_unknown_and_a_timeout(sandbox: Sandbox, clock: Clock) -> None:
    """When time runs out with a write under way, it is `OutcomeUnknownError`, and a `TimeoutError`."""
    ref = sandbox.add_run("live")
    hold = Hold("after")
    sandbox.script(hold, on="pause")
    async with session(sandbox) as fielding:
        run = fielding.run(ref)
        await run.get()
        sandbox.script(Status(404), on="get")
        pausing = asyncio.create_task(run.pause(timeout=50))
        await hold.arrived()
        clock.advance(45)  # the rest is kept for the GET that settles
        with pytest.raises(OutcomeUnknownError) as caught:
            await pausing
        hold.release()
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.current is None


async def test_a_little_time_is_kept_for_the_look_that_settles(sandbox: Sandbox, clock: Clock) -> None:
    """A write whose reply does not come in time is looked at within the deadline: `unconfirmed`."""
    ref = sandbox.add_run("live")
    hold = Hold("after")
    sandbox.script(hold, on="pause")
    async with session(sandbox) as fielding:
        pausing = asyncio.create_task(fielding.run(ref).pause(timeout=50))
        await hold.arrived()
        clock.advance(45)
        outcome = await pausing
        hold.release()
    assert outcome.effect == "unconfirmed"


async def test_a_deadline_before_any_write_left_is_deadline_exceeded(sandbox: Sandbox) -> None:
    """When time runs out while the opening GET is under way, no write has left: `DeadlineExceededError`."""
    ref = sandbox.add_run("live")
    hold = Hold()
    sandbox.script(hold, on="get")
    async with session(sandbox) as fielding:
        with pytest.raises(DeadlineExceededError) as caught:
            await fielding.run(ref).pause(timeout=0.2)
        hold.release()
    assert isinstance(caught.value, TimeoutError)
    assert sent(sandbox, "pause") == []


async def test_a_cancelled_write_frees_its_caller_at_once(sandbox: Sandbox, caplog: pytest.LogCaptureFixture) -> None:
    """A cancelled call ends at once, with a note and a warning; its turn passes on when its exchange is over."""
    ref = sandbox.add_run("live")
    hold = Hold()
    sandbox.script(hold, on="pause")
    async with session(sandbox) as fielding:
        run = fielding.run(ref)
        task = asyncio.create_task(run.pause())
        await hold.arrived()
        task.cancel()
        with caplog.at_level(logging.WARNING), pytest.raises(asyncio.CancelledError) as caught:
            await task
        following = asyncio.create_task(run.resume())
        await asyncio.sleep(0)
        assert not following.done()
        hold.release()
        assert (await following).requests == 1
    assert "may or may not be applied" in "".join(caught.value.__notes__)
    assert "may or may not be applied" in caplog.text
    assert applied(sandbox) == ["pause", "resume"]


async def test_a_call_cancelled_before_its_write_left_sends_none(sandbox: Sandbox) -> None:
    """A call cancelled while its GET is under way sends no write, and leaves no turn taken."""
    ref = sandbox.add_run("live")
    hold = Hold()
    sandbox.script(hold, on="get")
    async with session(sandbox, limits=Limits(concurrency=1)) as fielding:
        run = fielding.run(ref)
        task = asyncio.create_task(run.pause())
        await hold.arrived()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        hold.release()
        assert (await run.pause()).effect == "accepted"
    assert applied(sandbox) == ["pause"]


async def test_a_cancelled_and_lost_write_forbids_already(sandbox: Sandbox) -> None:
    """After a cancelled write whose reply was lost, the unchanged run is not "there already"."""
    ref = sandbox.add_run("live")
    before = sandbox.inspect(ref)
    hold = Hold()
    sandbox.script((hold, Cut("before")), on="update")
    async with session(sandbox) as fielding:
        run = fielding.run(ref)
        task = asyncio.create_task(run.update(longer))
        await hold.arrived()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        hold.release()
        outcome = await run.update(end_fielding_at=before.end_fielding_at)
    assert outcome.effect == "accepted"


async def test_asyncio_timeout_around_a_call_behaves(sandbox: Sandbox) -> None:
    """`asyncio.timeout` around a call raises `TimeoutError` in time, and the session goes on working."""
    ref = sandbox.add_run("live")
    hold = Hold()
    sandbox.script(hold, on="pause")
    async with session(sandbox) as fielding:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await fielding.run(ref).pause()
        hold.release()
        assert (await fielding.run(ref).pause()).effect == "already"


async def test_closing_ends_calls_under_way(sandbox: Sandbox) -> None:
    """Closing with calls under way ends each with a clear error: unknown for a write that left."""
    written, read, queued = (sandbox.add_run("live") for _ in range(3))
    holds = [Hold(), Hold()]
    sandbox.script(holds[0], on="pause", ref=written)
    sandbox.script(holds[1], on="get", ref=read)
    async with session(sandbox, limits=Limits(concurrency=2)) as fielding:
        await fielding.run(written).get()
        tasks = [
            asyncio.create_task(fielding.run(written).pause()),
            asyncio.create_task(fielding.run(written).resume()),
            asyncio.create_task(fielding.run(read).pause()),
            asyncio.create_task(fielding.run(queued).pause()),
        ]
        for hold in holds:
            await hold.arrived()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for hold in holds:
        hold.release()
    assert isinstance(results[0], OutcomeUnknownError)
    assert [type(result) for result in results[1:]] == [SessionClosedError] * 3
    assert sent(sandbox, "resume") == []


async def test_backing_off_holds_no_slot(sandbox: Sandbox) -> None:
    """While one call waits out a backoff, others use its slot."""
    failing, working = sandbox.add_run("live"), sandbox.add_run("live")
    sandbox.script(Status(500), on="get", ref=failing)
    async with session(sandbox, limits=Limits(concurrency=1), retry=Retry(base=30, cap=30)) as fielding:
        slow = asyncio.create_task(fielding.run(failing).pause(timeout=None))
        while not sent(sandbox, "get"):
            await asyncio.sleep(0)
        assert (await fielding.run(working).pause()).effect == "accepted"
        assert not slow.done()
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow


async def test_the_library_never_repeats_a_put_by_itself(sandbox: Sandbox) -> None:
    """A PUT that is cut on a kept-alive connection reaches the server once per attempt of ours."""
    ref = sandbox.add_run("live")
    async with session(sandbox, retry=Retry(max_attempts=1)) as fielding:
        run = fielding.run(ref)
        await run.get()
        sandbox.script(Cut("before"), on="update")
        with pytest.raises(OutcomeUnknownError):
            await run.update(end_fielding_at=sandbox.inspect(ref).end_fielding_at + timedelta(days=1))
    assert len(sent(sandbox, "update")) == 1


async def test_a_read_that_cannot_be_understood_is_a_protocol_error(sandbox: Sandbox) -> None:
    """A GET whose body is no run is `ProtocolError`, names the problem, and is not tried again."""
    ref = sandbox.add_run("live")
    async with session(sandbox) as fielding:
        for body, problem in (
            (b"<html>", "HTML page"),
            (b"live", "not JSON"),
            (b"[]", "JSON object"),
            (b'{"id":5}', r"\$\.version"),
        ):
            sandbox.script(Reply(200, (("ETag", '"1"'),), body), on="get")
            with pytest.raises(ProtocolError, match=problem) as caught:
                await fielding.run(ref).get()
            assert caught.value.trace_id
            assert (caught.value.method, caught.value.status) == ("GET", 200)
            assert caught.value.path is not None
        sandbox.script(Reply(302, (("Location", "/elsewhere"),)), on="get")
        with pytest.raises(ProtocolError, match="redirect"):
            await fielding.run(ref).get()
    assert len(sandbox.requests) == 5


async def test_a_refused_write_keeps_the_pair(sandbox: Sandbox) -> None:
    """A 403 or 400 changes nothing, so the next action needs no GET."""
    ref = sandbox.add_run("live")
    async with session(sandbox) as fielding:
        run = fielding.run(ref)
        await run.get()
        sandbox.script(Status(403), Status(400), on="pause")
        with pytest.raises(PermissionDeniedError):
            await run.pause()
        with pytest.raises(BadRequestError):
            await run.pause()
        assert (await run.pause()).requests == 1


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), "5", True])
async def test_a_timeout_must_be_a_positive_number(sandbox: Sandbox, timeout: float) -> None:
    """A `timeout=` that is no positive number of seconds is refused before anything is sent."""
    async with session(sandbox) as fielding:
        with pytest.raises(ConfigurationError, match="timeout="):
            await fielding.run(sandbox.add_run()).get(timeout=timeout)
    assert sandbox.requests == ()


async def test_no_timeout_at_all_is_allowed(sandbox: Sandbox) -> None:
    """`timeout=None` sets no limit, and `Timeout(total=None)` neither."""
    ref = sandbox.add_run("live")
    async with session(sandbox, timeout=Timeout(total=None)) as fielding:
        assert (await fielding.run(ref).pause()).effect == "accepted"
        assert (await fielding.run(ref).resume(timeout=None)).effect == "accepted"


async def test_after_5xx_answers_a_refused_connection_is_no_transport_error(sandbox: Sandbox) -> None:
    """A last attempt that never left does not hide that the ones before were answered with a 5xx: `ServerError`."""
    ref = sandbox.add_run("live")
    sandbox.script(Status(503), on="pause")
    failing = 0

    async with session(sandbox, retry=Retry(max_attempts=2, base=0.001)) as fielding:
        run = fielding.run(ref)
        await run.get()
        transport = fielding.engine().sender.attempts.transport
        send = transport.send

        async def refuse_the_second(outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
            nonlocal failing
            failing += outgoing.method == "POST"
            if outgoing.method == "POST" and failing == 2:
                return NotSent("connection refused")
            return await send(outgoing, timeout=timeout, connect_timeout=connect_timeout)

        fielding.engine().sender.attempts.transport = Rerouted(refuse_the_second)
        with pytest.raises(ServerError):
            await run.pause()
        fielding.engine().sender.attempts.transport = transport


class Rerouted:
    """A transport whose `send` is another."""

    def __init__(self, send: Any) -> None:
        self.send = send

    def give_up(self, outgoing: Outgoing) -> None:
        """Do nothing: nothing outlives its caller here."""

    def close_now(self) -> None:
        """Do nothing: nothing was opened."""

    async def aclose(self) -> None:
        """Nothing was opened."""


async def test_a_retry_after_of_a_503_is_obeyed(sandbox: Sandbox) -> None:
    """Where a 5xx says how long to wait, no attempt is made before that."""
    ref = sandbox.add_run("live")
    sandbox.script(Status(503, retry_after="0.3"), on="pause")
    async with session(sandbox) as fielding:
        assert (await fielding.run(ref).pause()).effect == "accepted"
    first, second = sent(sandbox, "pause")
    assert second.received_at - first.received_at >= 0.3


async def test_in_doubt_a_refused_action_is_no_success(sandbox: Sandbox) -> None:
    """After a lost pause that may still land, `resume` of the live run, refused with 422, is no success of any kind."""
    ref = sandbox.add_run("live")
    async with session(sandbox, retry=Retry(max_attempts=1)) as fielding:
        run = fielding.run(ref)
        sandbox.script(Cut("before"), on="pause")
        with pytest.raises(OutcomeUnknownError):
            await run.pause()
        with pytest.raises(InvalidRunStateError) as caught:
            await run.resume()
    assert caught.value.current is not None
    assert caught.value.current.status == "live"


async def test_a_stale_look_does_not_end_a_doubt(sandbox: Sandbox) -> None:
    """A lost write whose look first shows the past, then fails, may still land: nothing is "there already" after it."""
    ref = sandbox.add_run("live")
    before = sandbox.inspect(ref)
    async with session(sandbox, retry=Retry(max_attempts=1)) as fielding:
        run = fielding.run(ref)
        await run.update(longer)
        sandbox.script(Cut("before"), on="pause")
        sandbox.script(SetHeader("ETag", before.etag or ""), Status(404), on="get")
        with pytest.raises(OutcomeUnknownError) as caught:
            await run.pause()
        assert caught.value.current is None
        outcome = await run.update(end_fielding_at=before.end_fielding_at + timedelta(hours=1))
    assert outcome.effect == "accepted"
