"""Pools, connect times and limits on heads: those of a caller's session, and our own."""

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp.abc import AbstractResolver

from fielding_async import FieldingSession, Limits, Retry, Timeout
from fielding_async.core.redaction import Secret
from fielding_async.core.wire.replies import Attempted, Lost, NotSent, Response
from fielding_async.http.aiohttp_client import AiohttpTransport
from fielding_async.http.proxies import Proxies, parse_proxy
from fielding_async.http.transport import Outgoing
from tests.tools.sessions import QUICK, REF, TOKEN
from tests.tools.waits import HANG, Clock

from .raw_server import Connection, RawRequest, RawServer, head, raw

pytestmark = pytest.mark.usefixtures("road")


@pytest_asyncio.fixture
async def server() -> AsyncIterator[RawServer]:
    """A raw server."""
    async with RawServer() as box:
        yield box


def _session(server: RawServer, http: aiohttp.ClientSession | None, **arguments: Any) -> FieldingSession:
    arguments.setdefault("timeout", Timeout(total=1000, connect=10, attempt=20))
    arguments.setdefault("retry", QUICK)
    return FieldingSession(TOKEN, base_url=server.url, http=http, limits=Limits(adaptive=False), **arguments)


async def _get(transport: AiohttpTransport, url: str, timeout: float = 20, connect: float = 10) -> Attempted:
    async with asyncio.timeout(HANG * 10):
        return await transport.send(Outgoing("GET", url, {}, None), timeout=timeout, connect_timeout=connect)


# -- the caller's pool


@pytest.mark.parametrize("limits", [{"limit": 1}, {"limit": 0, "limit_per_host": 1}], ids=str)
async def test_a_small_pool_and_a_slow_server(server: RawServer, clock: Clock, limits: dict[str, int]) -> None:
    """The time that requests wait for each other is no time to connect: none fails, however many there are."""
    under_way: list[int] = []

    async def slow(server: RawServer, connection: Connection, request: RawRequest) -> None:
        under_way.append(fielding.engine().limiter.in_flight)
        clock.advance(6)
        await asyncio.sleep(0)
        await connection.send(server.handle(request))

    server.script("get", *[slow] * 8)
    connector = aiohttp.TCPConnector(**limits)  # type: ignore[arg-type]
    async with aiohttp.ClientSession(connector=connector) as http, _session(server, http) as fielding:
        found = await asyncio.gather(*[fielding.run(REF).get() for _ in range(8)], return_exceptions=True)
    assert [error for error in found if isinstance(error, BaseException)] == []
    assert under_way == [1] * 8
    assert len(server.connections) == 1


async def test_a_pool_without_a_limit_bounds_nothing(server: RawServer) -> None:
    """A limit of 0 is none, and limits above the session's own change nothing."""
    for limit in (0, 1000):
        connector = aiohttp.TCPConnector(limit=limit)
        async with aiohttp.ClientSession(connector=connector) as http, _session(server, http) as fielding:
            assert (await fielding.run(REF).get()).status == "live"
            assert fielding.engine().settings.limits.concurrency == 32


async def test_a_pool_that_others_fill(server: RawServer, clock: Clock) -> None:
    """Who waits for a connection that the caller's own request holds has not begun to connect."""
    is_there, goes_on = asyncio.Event(), asyncio.Event()

    async def hold(server: RawServer, connection: Connection, request: RawRequest) -> None:
        is_there.set()
        await goes_on.wait()
        await connection.send(server.handle(request))

    server.script("get", hold)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as http:
        theirs = asyncio.create_task(http.get(f"{server.url}/theirs"))
        await is_there.wait()
        async with _session(server, http, retry=Retry(max_attempts=1)) as fielding:
            ours = asyncio.create_task(fielding.run(REF).get())
            await asyncio.sleep(0.02)
            clock.advance(15)  # longer than it may take to connect, shorter than an attempt
            await asyncio.sleep(0.02)
            goes_on.set()
            async with await theirs as response:
                await response.read()
            assert (await ours).status == "live"
    assert len(server.requests) == 2


async def test_a_pool_that_others_keep(server: RawServer, clock: Clock) -> None:
    """An attempt whose time is up in the pool says for what it waited, and is not sent."""
    is_there, goes_on = asyncio.Event(), asyncio.Event()

    async def hold(server: RawServer, connection: Connection, request: RawRequest) -> None:
        is_there.set()
        await goes_on.wait()
        await connection.send(server.handle(request))

    server.script("get", hold)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as http:
        theirs = asyncio.create_task(http.get(f"{server.url}/theirs"))
        await is_there.wait()
        transport = AiohttpTransport(base_url=server.url, concurrency=1, http=http, ssl=None)
        ours = asyncio.create_task(_get(transport, f"{server.url}/run"))
        await asyncio.sleep(0.02)
        clock.advance(30)
        found = await ours
        goes_on.set()
        async with await theirs as response:
            await response.read()
        assert isinstance(await _get(transport, f"{server.url}/run"), Response)
        await transport.aclose()
    assert isinstance(found, NotSent)
    assert "no free connection in the pool of the aiohttp.ClientSession within 20 s" in found.reason


# -- the time to connect


class _NeverResolved(AbstractResolver):
    def __init__(self) -> None:
        self.is_asked = asyncio.Event()

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> Any:
        """Wait."""
        self.is_asked.set()
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Do nothing."""


async def test_a_name_that_is_not_resolved_takes_the_time_to_connect(clock: Clock) -> None:
    """The time to connect covers DNS."""
    resolver = _NeverResolved()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=resolver)) as http:
        transport = AiohttpTransport(base_url="http://localhost:1/v1", concurrency=1, http=http, ssl=None)
        ours = asyncio.create_task(_get(transport, "http://localhost:1/v1/run"))
        await resolver.is_asked.wait()
        clock.advance(11)
        found = await ours
        await transport.aclose()
    assert found == NotSent("could not connect (no connection within 10 s)")


async def test_a_proxy_that_does_not_answer_takes_the_time_to_connect(server: RawServer, clock: Clock) -> None:
    """The time to connect covers CONNECT."""

    async def silent(connection: Connection) -> None:
        assert (await connection.reader.readuntil(b"\r\n\r\n")).startswith(b"CONNECT 127.0.0.2:443 HTTP/1.1\r\n")
        clock.advance(11)
        await connection.reader.read()
        connection.close()

    server.accepting.append(silent)
    proxy = server.url.removesuffix("/v1")
    proxies = Proxies(parse_proxy("proxy", proxy))
    transport = AiohttpTransport(base_url="https://127.0.0.2/v1", concurrency=1, http=None, proxies=proxies)
    found = await _get(transport, "https://127.0.0.2/v1/run")
    await transport.aclose()
    assert found == NotSent("could not connect (no connection within 10 s)")


async def test_a_connection_that_was_made_is_not_limited(server: RawServer, clock: Clock) -> None:
    """The time to connect is over when there is a connection: a slow reply has that of the attempt."""

    async def slow(server: RawServer, connection: Connection, request: RawRequest) -> None:
        clock.advance(15)
        await asyncio.sleep(0.02)
        await connection.send(server.handle(request))

    server.script("get", slow)
    async with _session(server, None) as fielding:
        assert (await fielding.run(REF).get()).status == "live"
    assert len(server.requests) == 1


# -- heads of replies


def _with_header(size: int) -> Any:
    return raw(head("204 No Content", "Content-Security-Policy: " + "x" * size))


@pytest.mark.parametrize("of_caller", [False, True], ids=["our session", "the caller's"])
async def test_a_long_head_is_read(server: RawServer, of_caller: bool) -> None:
    """A head of 64 KiB is: in one field (some policies have 9 KB), and in many."""
    many = raw(head("204 No Content", *[f"X-{number}: {'x' * 200}" for number in range(300)]))
    server.script("get", _with_header(9_000), _with_header(60_000), many)
    http = aiohttp.ClientSession() if of_caller else None
    transport = AiohttpTransport(base_url=server.url, concurrency=1, http=http, ssl=None)
    for _ in range(3):
        assert isinstance(await _get(transport, f"{server.url}/run"), Response)
    await transport.aclose()
    if http is not None:
        await http.close()


@pytest.mark.parametrize(("limit", "size", "is_read"), [(300_000, 200_000, True), (1_000, 2_000, False)])
async def test_the_limits_of_a_callers_session_are_taken_over(
    server: RawServer, limit: int, size: int, is_read: bool
) -> None:
    """Larger ones than ours, and smaller ones."""
    server.script("get", _with_header(size))
    async with aiohttp.ClientSession(max_field_size=limit, max_line_size=limit) as http:
        transport = AiohttpTransport(base_url=server.url, concurrency=1, http=http, ssl=None)
        found = await _get(transport, f"{server.url}/run")
        await transport.aclose()
    assert isinstance(found, Response if is_read else Lost)


# -- what goes over the wire


async def test_the_token_endpoint_of_another_origin(server: RawServer) -> None:
    """Requests to two origins go over one pool, to each its own."""
    async with RawServer() as other:
        transport = AiohttpTransport(base_url=server.url, concurrency=1, http=None, ssl=None)
        for _ in range(2):
            for box in (other, server):
                assert isinstance(await _get(transport, f"{box.url}/run"), Response)
        await transport.aclose()
        for box in (other, server):
            assert [request.values("Host")[0].decode() for request in box.requests] == [f"127.0.0.1:{box.port}"] * 2
            assert len(box.connections) == 1


async def test_an_encoding_that_a_request_asks_for_is_the_only_one(server: RawServer) -> None:
    """Each request says by itself what it accepts."""
    transport = AiohttpTransport(base_url=server.url, concurrency=1, http=None, ssl=None)
    for headers in ({"Accept-Encoding": "identity"}, {"Accept-Encoding": "gzip, deflate"}):
        outgoing = Outgoing("GET", f"{server.url}/run", dict(headers), None)
        await transport.send(outgoing, timeout=20, connect_timeout=10)
    await transport.aclose()
    first, second = server.requests
    assert first.values("Accept-Encoding") == [b"identity"]
    assert second.values("Accept-Encoding") == [b"gzip, deflate"]


@pytest.mark.parametrize("error", [RuntimeError, TypeError, AttributeError])
async def test_a_write_that_raises(
    server: RawServer, road: str, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """What asyncio refuses to take has not left; after any other error, and where aiohttp writes, that is not known."""
    original = asyncio.selector_events._SelectorSocketTransport.write  # type: ignore[attr-defined]

    def write(self: Any, data: Any) -> None:
        if bytes(data).startswith(b"POST"):
            raise error
        original(self, data)

    transport = AiohttpTransport(base_url=server.url, concurrency=1, http=None, ssl=None)
    await _get(transport, f"{server.url}/run")
    outgoing = Outgoing("POST", f"{server.url}/pause", {}, None)
    with monkeypatch.context() as patch:
        patch.setattr("asyncio.selector_events._SelectorSocketTransport.write", write)
        found = await transport.send(outgoing, timeout=20, connect_timeout=10)
    await transport.aclose()
    is_known = road == "short" and error is not AttributeError
    assert isinstance(found, NotSent if is_known else Lost)
    assert outgoing.left is not is_known
    assert server.sent("pause") == []


async def test_no_traceback_shows_what_is_written(
    server: RawServer, road: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head of a request has a token: no local variable shows it while it is written, but for aiohttp's own."""
    shown: list[str] = []

    def write(self: Any, data: Any) -> None:
        frame = sys._getframe()
        while frame is not None and frame.f_code.co_name != "send":
            if road == "short" or "fielding_async" in frame.f_code.co_filename:
                shown.extend(f"{name}={value!r}" for name, value in frame.f_locals.items() if name != "outgoing")
            frame = frame.f_back  # type: ignore[assignment]
        raise RuntimeError

    transport = AiohttpTransport(base_url=server.url, concurrency=1, http=None, ssl=None)
    outgoing = Outgoing("POST", f"{server.url}/pause", {"Authorization": Secret(f"Bearer {TOKEN}")}, None)
    with monkeypatch.context() as patch:
        patch.setattr("asyncio.selector_events._SelectorSocketTransport.write", write)
        await transport.send(outgoing, timeout=20, connect_timeout=10)
    await transport.aclose()
    assert bool(shown) is (road == "short")
    assert [text for text in shown if TOKEN in text] == []
