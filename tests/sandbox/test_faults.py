"""Scripted faults, over real sockets."""

import asyncio
from typing import Any

import aiohttp
import pytest

from fielding_async.core.errors import ConfigurationError
from fielding_async.sandbox import (
    Cut,
    Delay,
    DropHeader,
    Hold,
    RawReply,
    Refuse,
    Repeat,
    Reply,
    Sandbox,
    SecondWriter,
    SetHeader,
    Status,
)

from .api import GONE, Api


@pytest.mark.parametrize("fault", [Refuse(), Cut("before"), RawReply(b"")])
async def test_a_request_cut_off_before_is_not_applied(api: Api, fault: Any) -> None:
    """A connection that ends before the request is judged leaves the run as it was."""
    ref = api.sandbox.add_run("live")
    api.sandbox.script(fault, on="pause")
    with pytest.raises(GONE):
        await api.act(ref, "pause")
    assert api.sandbox.inspect(ref).status == "live"
    (request,) = api.sandbox.requests
    assert (request.status, request.applied, request.operation) == (None, False, "pause")
    assert (await api.act(ref, "pause")).status == 204


async def test_a_refused_connection_is_reset(api: Api) -> None:
    """`Refuse` shows as a reset, `Cut` as an orderly end."""
    ref = api.sandbox.add_run("live")
    api.sandbox.script(Refuse(), Cut("before"))
    with pytest.raises(aiohttp.ClientOSError, match="reset"):
        await api.act(ref, "pause")
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await api.act(ref, "pause")


@pytest.mark.parametrize("at", ["after", "headers", "body"])
async def test_a_reply_cut_off_was_applied(api: Api, at: Any) -> None:
    """A connection that ends in the reply, or just before it, has changed the run."""
    ref = api.sandbox.add_run()
    api.sandbox.script(Cut(at), on="launch-now")
    with pytest.raises(GONE):
        await api.act(ref, "launch-now")
    assert api.sandbox.inspect(ref).status == "live"
    (request,) = api.sandbox.requests
    assert (request.applied, request.status) == (True, 200 if at == "body" else None)


async def test_a_cut_in_a_body_that_is_not_there_is_in_the_headers(api: Api) -> None:
    """A 204 has no body to cut: it ends in its headers."""
    ref = api.sandbox.add_run("live")
    api.sandbox.script(Cut("body"))
    with pytest.raises(GONE):
        await api.act(ref, "pause")
    assert api.sandbox.history[0].status_after == "paused"


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_held_request_waits_for_its_release(api: Api, when: Any) -> None:
    """A held request is applied before or after its release, and nothing sleeps."""
    ref = api.sandbox.add_run("live")
    hold = Hold(when)
    api.sandbox.script(hold, on="pause")
    task = asyncio.create_task(api.act(ref, "pause"))
    await hold.arrived()
    hold.wait_arrived(0)
    assert api.sandbox.inspect(ref).status == ("live" if when == "before" else "paused")
    assert not task.done()
    hold.release()
    hold.release()
    assert (await task).status == 204
    assert repr(hold) == f"Hold({when!r})"


async def test_a_held_request_lands_late_when_its_client_has_gone(api: Api) -> None:
    """A write that its client gave up on is applied all the same once it is released."""
    ref = api.sandbox.add_run("live")
    hold, done = Hold(), Hold("after")
    api.sandbox.script((hold, done))
    task = asyncio.create_task(api.act(ref, "pause"))
    await hold.arrived()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    hold.release()
    await done.arrived()
    done.release()
    assert api.sandbox.inspect(ref).status == "paused"


async def test_a_delay_keeps_the_reply_back(api: Api) -> None:
    """A delayed request is answered in the end, by real time."""
    ref = api.sandbox.add_run("live")
    api.sandbox.script(Delay(0.02), Delay(0.02, when="after"))
    loop = asyncio.get_running_loop()
    start = loop.time()
    assert (await api.act(ref, "pause")).status == 204
    assert (await api.act(ref, "resume")).status == 204
    assert loop.time() - start >= 0.04


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize("code", [500, 503, 408, 418, 302, 200])
async def test_a_status_takes_the_place_of_the_answer(api: Api, code: int, applied: bool) -> None:
    """Any status can be answered, whether or not the write was carried out."""
    ref = api.sandbox.add_run("live")
    api.sandbox.script(Status(code, applied=applied, headers={"X-One": "1"}))
    got = await api.act(ref, "pause")
    assert (got.status, got.headers["X-One"]) == (code, "1")
    assert got.headers["traceparent"]
    assert (api.sandbox.inspect(ref).status == "paused") is applied
    if code >= 400:
        assert set(got.json) == {"id", "object", "detail", "invalid_params"}


async def test_a_429_bears_any_retry_after(api: Api) -> None:
    """A scripted 429 has its own kind of body, and a Retry-After of any text, or none."""
    ref = api.sandbox.add_run()
    api.sandbox.script(Status(429, retry_after="soon"), Status(429), Status(503, retry_after="2", body=b"<html>"))
    got = await api.get(ref)
    assert (got.status, got.headers["Retry-After"]) == (429, "soon")
    assert got.json["object"] == "too_many_requests_problem_details"
    assert "Retry-After" not in (await api.get(ref)).headers
    got = await api.get(ref)
    assert (got.body, got.headers["Retry-After"]) == (b"<html>", "2")


async def test_replies_can_be_anything(api: Api) -> None:
    """A reply is sent as given, even if it is no HTTP."""
    ref = api.sandbox.add_run("live")
    headers = [("ETag", 'W/"x"'), ("Content-Type", "text/html")]
    api.sandbox.script(Reply(200, headers, b"<p>", applied=True), RawReply(b"\x00nonsense\r\n\r\n", applied=True))
    got = await api.act(ref, "pause")
    assert (got.status, got.body, got.etag) == (200, b"<p>", 'W/"x"')
    assert "traceparent" not in got.headers
    with pytest.raises(aiohttp.ClientError):
        await api.act(ref, "resume")
    assert [write.operation for write in api.sandbox.history] == ["pause", "resume"]


async def test_headers_can_be_dropped_and_set(api: Api) -> None:
    """A reply can lack its ETag, or have another one."""
    ref = api.sandbox.add_run()
    api.sandbox.script(DropHeader("etag"), (SetHeader("ETag", "odd"), DropHeader("date")))
    assert "ETag" not in (await api.get(ref)).headers
    got = await api.get(ref)
    assert (got.etag, "Date" in got.headers) == ("odd", False)


@pytest.mark.parametrize("name", ["Date", "Server", "Content-Type", "Content-Length", "ETag", "traceparent"])
async def test_each_header_of_a_reply_can_be_dropped(api: Api, name: str) -> None:
    """What the server would add by itself is left out as well, and the body arrives."""
    ref = api.sandbox.add_run()
    assert name in (await api.get(ref)).headers
    api.sandbox.script(DropHeader(name))
    got = await api.get(ref)
    assert name not in got.headers
    assert got.json["id"] == ref.fielding_run_id
    assert [request.status for request in api.sandbox.requests] == [200, 200]


async def test_a_second_writer_makes_a_real_conflict(api: Api) -> None:
    """A colleague who writes just before the request is judged makes it a 412; by default he moves the end."""
    ref = api.sandbox.add_run("live")
    before = api.sandbox.inspect(ref)
    api.sandbox.script(SecondWriter())
    assert (await api.act(ref, "pause")).status == 412
    after = api.sandbox.inspect(ref)
    assert (after.end_fielding_at - before.end_fielding_at).total_seconds() == 60
    assert [(write.by, write.operation) for write in api.sandbox.history] == [("colleague", "touch")]


async def test_a_second_writer_may_come_just_after(api: Api) -> None:
    """A colleague's write can land between the request and its lost reply."""
    ref = api.sandbox.add_run("live")
    api.sandbox.script((SecondWriter(status="live", when="after"), Cut("after")))
    with pytest.raises(GONE):
        await api.act(ref, "pause")
    assert [write.by for write in api.sandbox.history] == ["client", "colleague"]
    assert api.sandbox.inspect(ref).status == "live"


async def test_a_repeated_request_conflicts_with_itself(api: Api) -> None:
    """The second copy of a write meets 412, and its answer, or the first one's, is sent."""
    ref = api.sandbox.add_run("live")
    api.sandbox.script(Repeat(), Repeat("first"))
    assert (await api.act(ref, "pause")).status == 412
    assert (await api.act(ref, "resume")).status == 204
    assert [write.operation for write in api.sandbox.history] == ["pause", "resume"]


@pytest.mark.parametrize("make", [lambda: Status(99), lambda: Reply(True), lambda: SecondWriter(status="dead")])
def test_bad_faults_are_refused(make: Any) -> None:
    """A fault with a status that cannot be is a ConfigurationError."""
    with pytest.raises(ConfigurationError):
        make()


async def test_a_held_request_is_dropped_when_the_sandbox_stops() -> None:
    """Stopping waits for nobody: a request still held is cut off and not applied."""
    hold = Hold()
    async with aiohttp.ClientSession() as http:
        async with Sandbox() as sandbox:
            ref = sandbox.add_run("live")
            sandbox.script(hold)
            task = asyncio.create_task(Api(sandbox, http).act(ref, "pause"))
            await hold.arrived()
        with pytest.raises(GONE):
            await task
    hold.release()
    assert sandbox.inspect(ref).status == "live"
