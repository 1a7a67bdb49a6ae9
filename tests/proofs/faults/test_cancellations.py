"""A caller is cancelled in the middle of an attempt: a read ends at once, a write that has left goes on to its end."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from fielding_async import FieldingSession, Limits, Retry, Timeout
from tests.tools.sessions import REF, TOKEN

from .raw_server import Connection, Play, RawRequest, RawServer, head

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_PARTS = {"nothing": 0, "an interim reply": len(_CONTINUE), "half of the head": 40, "half of the body": -5}
_STEPS = 40  # of the event loop, in which a call on a new connection ends


def _in_parts(cut: int, arrived: asyncio.Event, go_on: asyncio.Event) -> Play:
    """Carry the request out, send the reply up to `cut`, and the rest after `go_on`."""

    async def play(server: RawServer, connection: Connection, request: RawRequest) -> None:
        data = _CONTINUE + server.handle(request)
        await connection.send(data[:cut])
        arrived.set()
        await go_on.wait()
        await connection.send(data[cut:])

    return play


@asynccontextmanager
async def _session(server: RawServer, road: str, **arguments: Any) -> AsyncIterator[FieldingSession]:
    """Yield a session; with a trace configuration requests take the public road."""
    http = None if road == "fast" else aiohttp.ClientSession(trace_configs=[aiohttp.TraceConfig()])
    arguments.setdefault("timeout", Timeout(total=None, attempt=1000.0))
    try:
        async with FieldingSession(
            TOKEN, base_url=server.url, http=http, retry=Retry(base=0.0), limits=Limits(adaptive=False), **arguments
        ) as fielding:
            yield fielding
    finally:
        if http is not None:
            await http.close()


async def _settle() -> None:
    for _ in range(10):  # what has arrived is read
        await asyncio.sleep(0)


async def _cancel_a_pause(fielding: FieldingSession, arrived: asyncio.Event) -> None:
    """Cancel a pause once its request has arrived."""
    run = fielding.run(REF)
    await run.get()
    task = asyncio.create_task(run.pause())
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def _told(caplog: pytest.LogCaptureFixture) -> list[object]:
    return [
        record.args["result"] for record in caplog.records if isinstance(record.args, dict) and "result" in record.args
    ]


@pytest.mark.parametrize("road", ["fast", "public"])
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("part", _PARTS)
async def test_a_write_goes_on_wherever_its_reply_stands(
    caplog: pytest.LogCaptureFixture, road: str, part: str, times: int
) -> None:
    """Its caller ends at once, with a note, also if it is cancelled twice.

    The reply is read to its end on the connection that it came by, told, and what it says of the run is known: the next
    call on the run waits for it, and sends one request.
    """
    arrived, go_on = asyncio.Event(), asyncio.Event()
    async with RawServer(status="scheduled") as server:
        server.script("launch-now", _in_parts(_PARTS[part], arrived, go_on))
        async with _session(server, road) as fielding:
            run = fielding.run(REF)
            await run.get()
            task = asyncio.create_task(run.launch_now())
            await arrived.wait()
            await _settle()
            for _ in range(times):
                task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            assert "may or may not be applied" in "".join(caught.value.__notes__)
            following = asyncio.create_task(run.pause())
            await _settle()
            assert not following.done()
            assert fielding.engine().limiter.in_flight == 1
            go_on.set()
            outcome = await following
            assert (outcome.effect, outcome.requests) == ("accepted", 1)
            assert fielding.engine().limiter.in_flight == 0
            assert not fielding.engine().sender.attempts.tasks
        assert server.applied == ["launch-now", "pause"]
        assert len(server.connections) == 1
    assert _told(caplog) == ["accepted (200)"]


@pytest.mark.parametrize("road", ["fast", "public"])
@pytest.mark.parametrize("part", _PARTS)
async def test_a_read_ends_at_once_wherever_its_reply_stands(
    caplog: pytest.LogCaptureFixture, road: str, part: str
) -> None:
    """Its connection is closed, its slot is free, and nothing is told of it."""
    arrived, go_on = asyncio.Event(), asyncio.Event()
    async with RawServer() as server:
        server.script("get", _in_parts(_PARTS[part], arrived, go_on))
        async with _session(server, road) as fielding:
            task = asyncio.create_task(fielding.run(REF).get())
            await arrived.wait()
            await _settle()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert fielding.engine().limiter.in_flight == 0
            assert await server.connections[0].reader.read() == b""
            go_on.set()
            assert (await fielding.run(REF).get()).status == "live"
        assert len(server.connections) == 2
    assert _told(caplog) == []


@pytest.mark.parametrize("road", ["fast", "public"])
@pytest.mark.parametrize("is_connected", [False, True], ids=["cold", "warm"])
async def test_a_write_may_be_cancelled_at_any_step(
    caplog: pytest.LogCaptureFixture, road: str, is_connected: bool
) -> None:
    """At each step of the event loop from its start to its end.

    Nothing leaves after the cancellation: a write that the server got is told, and one that it did not get never comes.
    The session goes on as if nothing had happened.
    """
    cancelled = sent = 0
    for steps in range(_STEPS):
        caplog.clear()
        async with RawServer() as server, _session(server, road) as fielding:
            run = fielding.run(REF)
            seen = await run.get()
            if not is_connected:
                server.connections[0].close()
                await _settle()
            task = asyncio.create_task(run.pause(seen=seen))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                cancelled += 1
            else:
                assert server.applied == ["pause"]
            await fielding.aclose(drain=100.0)
            is_told = bool(server.applied) and task.cancelled()
            assert _told(caplog) in ([["accepted (204)"]] if is_told else [[], ["not sent"]])
            sent += server.applied == ["pause"]
    assert 0 < cancelled < _STEPS  # from before its first step to after its last
    assert sent > 0


@pytest.mark.parametrize("road", ["fast", "public"])
@pytest.mark.parametrize("is_closed_first", [False, True])
async def test_a_write_cancelled_while_its_session_closes(
    caplog: pytest.LogCaptureFixture, road: str, is_closed_first: bool
) -> None:
    """It is told as lost, once; the session is closed, and with it the connection."""
    arrived, go_on = asyncio.Event(), asyncio.Event()
    async with RawServer() as server:
        server.script("pause", _in_parts(0, arrived, go_on))
        async with _session(server, road) as fielding:
            run = fielding.run(REF)
            await run.get()
            task = asyncio.create_task(run.pause())
            await arrived.wait()
            closing = asyncio.create_task(fielding.aclose())
            if is_closed_first:
                await asyncio.sleep(0)  # the closing has cut the attempt, and its caller has not gone on yet
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await closing
        assert await server.connections[0].reader.read() == b""
        go_on.set()
    assert _told(caplog) == ["lost: it may be applied"]


@pytest.mark.parametrize("road", ["fast", "public"])
async def test_a_handed_over_write_has_no_more_time_than_it_had(caplog: pytest.LogCaptureFixture, road: str) -> None:
    """The time of its attempt goes on to count: after that its reply is lost."""
    arrived, go_on = asyncio.Event(), asyncio.Event()
    async with RawServer() as server:
        server.script("pause", _in_parts(0, arrived, go_on))
        async with _session(server, road, timeout=Timeout(total=None, attempt=0.2)) as fielding:
            await _cancel_a_pause(fielding, arrived)
            await fielding.aclose(drain=100.0)
        go_on.set()
    assert _told(caplog) == ["lost: it may be applied"]


@pytest.mark.parametrize("road", ["fast", "public"])
async def test_the_task_of_a_handed_over_write_may_be_cancelled(caplog: pytest.LogCaptureFixture, road: str) -> None:
    """By a loop that ends, for one: it is told as lost, and is handed on no further."""
    caplog.set_level(logging.WARNING)
    arrived, go_on = asyncio.Event(), asyncio.Event()
    async with RawServer() as server:
        server.script("pause", _in_parts(0, arrived, go_on))
        async with _session(server, road) as fielding:
            await _cancel_a_pause(fielding, arrived)
            (rest,) = fielding.engine().sender.attempts.tasks
            rest.cancel()
            with pytest.raises(asyncio.CancelledError):
                await rest
            await _settle()
            assert not fielding.engine().sender.attempts.tasks
            assert fielding.engine().limiter.in_flight == 0
            go_on.set()
    assert _told(caplog) == ["lost: it may be applied"]


def test_the_head_is_what_the_parts_are_cut_from() -> None:
    """The cuts are where their names say."""
    data = _CONTINUE + head("200 OK", 'ETag: W/"2"', length=10)
    assert len(_CONTINUE) < _PARTS["half of the head"] < len(data)
