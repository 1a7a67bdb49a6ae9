"""Replies that are not the exchange's documented ones: what may have made them up, and what a GET then shows."""

from datetime import timedelta

import pytest

from fielding_async import (
    APIError,
    FieldingError,
    OutcomeUnknownError,
    Retry,
    ServerError,
)
from fielding_async.sandbox import Cut, DropHeader, Reply, Sandbox, SecondWriter, SetHeader, Status
from tests.tools.sessions import END, TOKEN, applied, longer, sent, session

PAGE = b"<html>Please log in to this network</html>"
TWICE = Retry(max_attempts=2, base=0.001, cap=0.01, conflict_base=0.001)


@pytest.mark.parametrize("status", [200, 202, 205, 226, 299])
async def test_another_success_with_the_etag_of_the_run_is_an_acceptance(sandbox: Sandbox, status: int) -> None:
    """A pause that is answered with another 2xx and its new ETag: a GET shows that ETag, so it was accepted."""
    ref = sandbox.add_run("live")
    sandbox.script(Reply(status, (("ETag", 'W/"2"'),), b"", applied=True), on="pause")
    async with session(sandbox) as fielding:
        outcome = await fielding.run(ref).pause()
        again = await fielding.run(ref).resume()
    assert (outcome.effect, outcome.etag, outcome.requests) == ("accepted", 'W/"2"', 3)
    assert (outcome.run.status, outcome.run.version) == ("paused", 2)
    assert (again.effect, again.requests) == ("accepted", 1)
    assert applied(sandbox) == ["pause", "resume"]


@pytest.mark.parametrize(
    "reply",
    [
        DropHeader("ETag"),
        SetHeader("ETag", "*"),
    ],
    ids=["no ETag", "no usable ETag"],
)
async def test_a_success_without_an_etag_is_accepted_one_version_further(
    sandbox: Sandbox, reply: DropHeader | SetHeader
) -> None:
    """A documented reply that lacks but the ETag: the run must be one version further, and where the action leads."""
    ref = sandbox.add_run("scheduled")
    sandbox.script(reply, on="launch-now")
    async with session(sandbox) as fielding:
        outcome = await fielding.run(ref).launch_now()
    assert (outcome.effect, outcome.etag) == ("accepted", 'W/"2"')
    assert applied(sandbox) == ["launch-now"]


async def test_another_etag_than_that_of_the_run_leaves_it_unconfirmed(sandbox: Sandbox) -> None:
    """The run is where the action leads, under an ETag that is not the reply's: a colleague may have led it there."""
    ref = sandbox.add_run("live")
    sandbox.script(Reply(200, (("ETag", 'W/"9"'),), b"", applied=True), on="pause")
    async with session(sandbox) as fielding:
        outcome = await fielding.run(ref).pause()
    assert outcome.effect == "unconfirmed"


@pytest.mark.parametrize("body", [PAGE, b"", b"{}", b'{"status":"ok"}'])
async def test_an_odd_success_is_never_an_acceptance_by_itself(sandbox: Sandbox, body: bytes) -> None:
    """It may stand for nothing: that the run is there may be somebody else's doing."""
    ref = sandbox.add_run("live")
    sandbox.script(Reply(200, body=body, applied=True), on="pause")
    sandbox.script(Reply(202, body=body, applied=True), on="update")
    async with session(sandbox) as fielding:
        outcome = await fielding.run(ref).pause()
        with pytest.raises(OutcomeUnknownError):
            await fielding.run(ref).update(longer)
    assert outcome.effect == "unconfirmed"
    assert applied(sandbox) == ["pause", "update"]


@pytest.mark.parametrize("code", [412, 422])
async def test_a_refusal_that_a_gateway_made_is_a_lost_reply(sandbox: Sandbox, code: int) -> None:
    """A gateway may hold its own page against `If-Match` after the write was applied: it is not sent afresh."""
    first, second, third = (sandbox.add_run("live") for _ in range(3))
    sandbox.script(Status(code, applied=True, body=PAGE), on="pause")
    sandbox.script(Status(code, applied=True, body=PAGE), on="update")
    sandbox.script(Status(code, body=PAGE), on="complete")
    async with session(sandbox) as fielding:
        assert (await fielding.run(first).pause()).effect == "unconfirmed"
        with pytest.raises(OutcomeUnknownError):
            await fielding.run(second).update(longer)
        assert (await fielding.run(third).complete()).effect == "accepted"
    assert applied(sandbox) == ["pause", "update", "complete"]


@pytest.mark.parametrize("code", [400, 403, 404, 413])
async def test_a_refusal_with_a_page_is_looked_into(sandbox: Sandbox, code: int) -> None:
    """A filter may block the reply of a write that was applied; where the run is unchanged, it blocked the request."""
    first, second = sandbox.add_run("live"), sandbox.add_run("live")
    sandbox.script(Status(code, applied=True, body=PAGE), Status(code, body=PAGE), on="pause")
    async with session(sandbox) as fielding:
        assert (await fielding.run(first).pause()).effect == "unconfirmed"
        with pytest.raises(APIError) as caught:
            await fielding.run(second).pause()
    assert caught.value.status == code
    assert applied(sandbox) == ["pause"]


async def test_a_page_of_a_filter_is_no_exchange(sandbox: Sandbox) -> None:
    """A page with 200 that stands for nothing: the run is as it was, and the action is sent again under its ETag."""
    ref = sandbox.add_run("live")
    sandbox.script(Reply(200, body=PAGE), on="pause")
    async with session(sandbox) as fielding:
        outcome = await fielding.run(ref).pause()
    assert outcome.effect == "accepted"
    writes = sent(sandbox, "pause")
    assert [request.header("If-Match") for request in writes] == ['W/"1"'] * 2
    assert applied(sandbox) == ["pause"]


async def test_a_filter_that_stays_ends_in_the_unknown(sandbox: Sandbox) -> None:
    """Attempts are used up on pages: nothing says that none of them will land."""
    ref = sandbox.add_run("live")
    sandbox.script(*[Reply(200, body=PAGE)] * 2, on="pause")
    async with session(sandbox, retry=TWICE) as fielding:
        with pytest.raises(OutcomeUnknownError, match="may still be applied"):
            await fielding.run(ref).pause()
    assert len(sent(sandbox, "pause")) == 2


async def test_a_filter_in_front_of_everything_ends_in_the_unknown(sandbox: Sandbox) -> None:
    """The GET meets the page as well; the error says what the page may be."""
    ref = sandbox.add_run("live")
    async with session(sandbox) as fielding:
        await fielding.run(ref).get()
        sandbox.script(Reply(200, body=PAGE), on="pause")
        sandbox.script(Reply(200, body=PAGE), on="get")
        with pytest.raises(OutcomeUnknownError, match="login page of a network"):
            await fielding.run(ref).pause()


async def test_a_callable_change_can_be_accepted_so_too(sandbox: Sandbox) -> None:
    """The ETag of the reply tells our change from an equal one of a colleague."""
    ref = sandbox.add_run("live")
    sandbox.script(Reply(200, (("ETag", 'W/"2"'),), b"{}", applied=True), on="update")
    async with session(sandbox) as fielding:
        outcome = await fielding.run(ref).update(longer)
    assert outcome.effect == "accepted"


@pytest.mark.parametrize("code", [502, 504, 520, 522, 524, 529, 598])
async def test_a_gateways_5xx_does_not_say_that_nothing_was_applied(sandbox: Sandbox, code: int) -> None:
    """It says that an answer from behind it is missing: the run is unchanged now, and may be changed a moment later."""
    ref = sandbox.add_run("live")
    sandbox.script(*[Status(code, body=b'{"object":"gateway_error","detail":"no answer"}')] * 2, on="pause")
    async with session(sandbox, retry=TWICE) as fielding:
        with pytest.raises(OutcomeUnknownError) as caught:
            await fielding.run(ref).pause()
    assert isinstance(caught.value.__cause__, ServerError)
    assert caught.value.current is not None


@pytest.mark.parametrize("code", [500, 503])
@pytest.mark.parametrize("body", [PAGE, b"", b"{}", b"[]", b'{"detail":"no object"}', b'{"object":5}'])
async def test_a_5xx_without_the_exchanges_body_is_no_answer_of_the_exchange(
    sandbox: Sandbox, code: int, body: bytes
) -> None:
    """A 500 or 503 page can be of anything in between."""
    ref = sandbox.add_run("live")
    sandbox.script(*[Status(code, body=body)] * 2, on="pause")
    async with session(sandbox, retry=TWICE) as fielding:
        with pytest.raises(OutcomeUnknownError):
            await fielding.run(ref).pause()


@pytest.mark.parametrize("code", [500, 503])
async def test_a_5xx_of_the_exchange_throughout_is_a_server_error(sandbox: Sandbox, code: int) -> None:
    """The exchange itself says that it failed, each time, and a GET still shows the old ETag."""
    ref = sandbox.add_run("live")
    sandbox.script(*[Status(code)] * 2, on="pause")
    async with session(sandbox, retry=TWICE) as fielding:
        with pytest.raises(ServerError) as caught:
            await fielding.run(ref).pause()
    assert caught.value.status == code


async def test_one_gateway_among_answers_of_the_exchange_is_enough(sandbox: Sandbox) -> None:
    """What the gateway passed on may be applied, whatever the exchange said of the other attempts."""
    ref = sandbox.add_run("live")
    sandbox.script(Status(504), Status(503), on="pause")
    async with session(sandbox, retry=TWICE) as fielding:
        with pytest.raises(OutcomeUnknownError):
            await fielding.run(ref).pause()


async def test_a_lost_resume_is_never_proven_not_applied(sandbox: Sandbox) -> None:
    """One version further and paused again: our resume may have been applied, and the exchange paused the run."""
    ref = sandbox.add_run("paused")
    async with session(sandbox) as fielding:
        await fielding.run(ref).get()
        sandbox.script(Cut("before"), SecondWriter(), on="resume")
        with pytest.raises(OutcomeUnknownError):
            await fielding.run(ref).resume()
    assert len(sent(sandbox, "resume")) == 2


async def test_a_colleagues_end_is_never_reversed(sandbox: Sandbox) -> None:
    """Both bounds are named, the attempt is lost before it is applied, and a colleague sets another end."""
    ref = sandbox.add_run("scheduled")
    async with session(sandbox) as fielding:
        run = await fielding.run(ref).get()
        sandbox.script(Cut("before"), SecondWriter(end_fielding_at=END), on="update")
        with pytest.raises(FieldingError, match="nothing was applied"):
            await fielding.run(ref).update(
                start_fielding_at=run.start_fielding_at + timedelta(minutes=1), end_fielding_at=END.replace(year=2032)
            )
    assert sandbox.inspect(ref).end_fielding_at == END.replace(microsecond=END.microsecond // 1000 * 1000)
    assert applied(sandbox) == []


async def test_a_conflict_that_may_be_our_own_is_not_counted(sandbox: Sandbox) -> None:
    """The 412 after a lost reply is the answer to our own write: no conflict with anybody."""
    ref = sandbox.add_run("live")
    sandbox.script(Cut("after"), on="pause")
    async with session(sandbox) as fielding:
        outcome = await fielding.run(ref).pause()
    assert (outcome.effect, outcome.conflicts, outcome.requests) == ("unconfirmed", 0, 4)


async def test_the_outcome_has_the_run_as_the_call_left_it(sandbox: Sandbox) -> None:
    """What an accepted write leaves is known but for its version and who changed it; a fetched run is known whole."""
    ref = sandbox.add_run("live")
    async with session(sandbox) as fielding:
        done = await fielding.run(ref).pause()
        there = await fielding.run(ref).pause()
        run = await fielding.run(ref).get()
    assert (done.run.status, done.run.etag, done.run.end_fielding_at) == ("paused", done.etag, run.end_fielding_at)
    assert (done.run.version, done.run.last_changed_at, done.run.last_changed_by) == (None, None, None)
    assert there.effect == "already"
    assert there.run == run


async def test_a_page_that_asks_for_another_token_is_not_forgotten(sandbox: Sandbox) -> None:
    """A 403 with a page has the token renewed and the write sent again; its 412 may be the answer to the first."""

    async def token() -> str:
        return TOKEN

    ref = sandbox.add_run("live")
    sandbox.script(Status(403, applied=True, body=PAGE), on="pause")
    async with session(sandbox, auth=token) as fielding:
        outcome = await fielding.run(ref).pause()
    assert (outcome.effect, outcome.conflicts) == ("unconfirmed", 0)
    assert applied(sandbox) == ["pause"]


async def test_a_408_with_a_page_may_still_arrive(sandbox: Sandbox) -> None:
    """It says that something in between gave up waiting: a refusal after it does not stand for it."""
    ref = sandbox.add_run("live")
    sandbox.script(Status(408, body=PAGE), Status(413, body=PAGE), on="pause")
    async with session(sandbox) as fielding:
        with pytest.raises(OutcomeUnknownError):
            await fielding.run(ref).pause()
