"""Which of the two roads through aiohttp a request takes, and that a server cannot tell them apart."""

import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from fielding_async import FieldingSession, RunRef
from fielding_async.core.wire.replies import NotSent
from fielding_async.http.aiohttp_client import AiohttpTransport
from fielding_async.http.fast_path import FastPath
from fielding_async.http.transport import Gate, HeldBack, Outgoing
from fielding_async.sandbox import Sandbox
from tests.tools.sessions import END, TOKEN, session

from .raw_server import RawServer

NOON = datetime(2030, 3, 17, 12, tzinfo=UTC)
_VARYING = {"host", "traceparent", "idempotency-key"}


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The targets of the requests that took the short road."""
    paths: list[str] = []
    original = FastPath.send

    async def watched(self: FastPath, outgoing: Outgoing, path: str, timeouts: aiohttp.ClientTimeout) -> Any:
        paths.append(path)
        return await original(self, outgoing, path, timeouts)

    monkeypatch.setattr(FastPath, "send", watched)
    return paths


async def _work(fielding: FieldingSession, ref: RunRef) -> None:
    run, project = fielding.run(ref), fielding.project(101, ref.project_id)
    await run.get()
    await run.pause()
    await run.update(end_fielding_at=END)
    job = await project.resume([ref.target_group_id])
    await job.status()


def _sent(box: Sandbox) -> list[tuple[str, str, list[tuple[str, str]], bytes]]:
    return [
        (
            request.method,
            request.path,
            sorted((name.lower(), value) for name, value in request.headers if name.lower() not in _VARYING),
            request.body,
        )
        for request in box.requests
    ]


async def test_both_roads_send_the_same(monkeypatch: pytest.MonkeyPatch, taken: list[str]) -> None:
    """Method, target, headers (those of a caller's session too) and body of reads, writes and jobs are the same."""
    seen: list[Any] = []
    for is_short in (True, False):
        monkeypatch.setattr(FastPath, "is_open", is_short)
        async with AsyncExitStack() as stack:
            box = await stack.enter_async_context(Sandbox(require_token=TOKEN, clock=lambda: NOON))
            http = await stack.enter_async_context(aiohttp.ClientSession(headers={"X-Team": "ones, two"}))
            await _work(await stack.enter_async_context(session(box, http=http)), box.add_run("live"))
            seen.append(_sent(box))
        assert bool(taken) is is_short
        taken.clear()
    assert seen[0] == seen[1]
    assert {"POST", "PUT", "GET"} == {method for method, *_ in seen[0]}
    assert ("x-team", "ones, two") in seen[0][0][2]


async def _plain(sandbox: Sandbox, **arguments: Any) -> None:
    async with session(sandbox, **arguments) as fielding:
        await fielding.run(sandbox.add_run("live")).pause()


async def test_plain_requests_take_the_short_road(sandbox: Sandbox, taken: list[str]) -> None:
    """Those of a session as it comes, where this minor version of aiohttp is known."""
    if not aiohttp.__version__.startswith(("3.13.", "3.14.")):
        pytest.skip(f"the tests have not run with aiohttp {aiohttp.__version__} on the short road: try, then name it")
    await _plain(sandbox)
    assert len(taken) == 2


async def _traced(sandbox: Sandbox, _patch: pytest.MonkeyPatch) -> None:
    async with aiohttp.ClientSession(trace_configs=[aiohttp.TraceConfig()]) as http:
        await _plain(sandbox, http=http)


async def _unknown(sandbox: Sandbox, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(aiohttp, "__version__", "3.999.0")
    await _plain(sandbox)


async def _replaced(sandbox: Sandbox, patch: pytest.MonkeyPatch) -> None:
    original = aiohttp.ClientSession._request
    methods: list[str] = []

    async def stand_in(self: aiohttp.ClientSession, method: str, *arguments: Any, **more: Any) -> Any:
        methods.append(method)
        return await original(self, method, *arguments, **more)

    async with session(sandbox) as fielding:
        patch.setattr(aiohttp.ClientSession, "_request", stand_in)
        await fielding.run(sandbox.add_run("live")).pause()
    assert methods == ["GET", "POST"]


@pytest.mark.parametrize("go", [_traced, _unknown, _replaced], ids=["traced", "unknown version", "replaced"])
async def test_all_else_goes_the_public_way(
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    taken: list[str],
    go: Callable[[Sandbox, pytest.MonkeyPatch], Awaitable[None]],
) -> None:
    """A caller who traces, a version that is not known, something in place of aiohttp's own method: no shortcut."""
    await go(sandbox, monkeypatch)
    assert taken == []
    assert [request.method for request in sandbox.requests] == ["GET", "POST"]


@pytest.mark.usefixtures("road")
@pytest.mark.parametrize("value", ["a\r\nX-More: b", "a\x00", "a\nb", "\ud800"])
async def test_a_header_that_cannot_be_sent_is_not(value: str) -> None:
    """A value with the end of a line in it, or with what is no character, keeps the whole request back."""
    async with RawServer() as server:
        transport = AiohttpTransport(base_url=server.url, concurrency=1, http=None, ssl=None)
        outgoing = Outgoing("POST", f"{server.url}/run", {"If-Match": value}, None)
        found = await transport.send(outgoing, timeout=5, connect_timeout=5)
        await transport.aclose()
        assert isinstance(found, NotSent)
        assert not outgoing.left
        assert server.requests == []


@pytest.mark.usefixtures("road")
async def test_a_request_held_back_leaves_its_connection_as_it_was() -> None:
    """Permission that lapsed when the connection was open: nothing is sent, and the next request is."""
    async with RawServer() as server:
        transport = AiohttpTransport(base_url=server.url, concurrency=1, http=None, ssl=None)
        url = f"{server.url}/run"
        with pytest.raises(HeldBack):
            await transport.send(
                Outgoing("GET", url, {}, None, Gate(lambda _now: None, time.monotonic)), timeout=5, connect_timeout=5
            )
        outgoing = Outgoing("GET", url, {}, None)
        await transport.send(outgoing, timeout=5, connect_timeout=5)
        await transport.aclose()
        assert outgoing.left
        assert [request.method for request in server.requests] == ["GET"]
