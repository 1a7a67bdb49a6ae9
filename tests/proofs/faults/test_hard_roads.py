"""What a connection does that no exchange should: large bodies, replies that stop making sense, sessions of others."""

import asyncio
import select
import time
from collections.abc import AsyncIterator
from typing import Any, cast
from unittest import mock

import aiohttp
import pytest
import pytest_asyncio
from multidict import CIMultiDict

from fielding_async import ConfigurationError
from fielding_async.core.addresses import check_url
from fielding_async.core.wire.replies import Attempted, Lost, NotSent, Response
from fielding_async.http.aiohttp_client import AiohttpTransport
from fielding_async.http.transport import Gate, Outgoing
from tests.tools.sessions import TOKEN
from tests.tools.waits import HANG, Clock

from .raw_server import Connection, Play, RawRequest, RawServer, head, lost, raw

roads = pytest.mark.usefixtures("road")

LARGE = b"x" * (24 << 20)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[RawServer]:
    """A raw server."""
    async with RawServer() as box:
        yield box


def door(server: RawServer, http: aiohttp.ClientSession | None = None) -> AiohttpTransport:
    """Return the transport under test."""
    return AiohttpTransport(base_url=server.url, concurrency=2, http=http, ssl=None)


async def send(
    transport: AiohttpTransport, server: RawServer, last: str = "pause", body: bytes | None = None
) -> Attempted:
    """Perform one exchange: a GET, a PUT, or the POST of an action."""
    method = {"get": "GET", "update": "PUT"}.get(last, "POST")
    url = f"{server.url}/{'run' if method != 'POST' else last}"
    headers = {"Authorization": f"Bearer {TOKEN}", "If-Match": server.etag}
    outgoing = Outgoing(method, url, headers, body)
    async with asyncio.timeout(HANG):
        found = await transport.send(outgoing, timeout=60, connect_timeout=HANG)
    assert outgoing.left or isinstance(found, NotSent)
    return found


# -- bodies that do not fit into the buffers of a socket


def _wire(connection: Connection) -> asyncio.Transport:
    return cast("asyncio.Transport", connection.writer.transport)


async def _refuse_unread(connection: Connection) -> None:
    """Refuse a request by its head, leave its body where it is, and keep the connection open."""
    await connection.reader.readuntil(b"\r\n\r\n")
    _wire(connection).pause_reading()
    await connection.send(head("412 Precondition Failed", length=0))
    await asyncio.sleep(0.05)
    _wire(connection).resume_reading()
    await connection.reader.read()
    connection.close()


@roads
async def test_a_refusal_before_a_large_body_was_read(server: RawServer) -> None:
    """What is left of a body that nobody reads is not in the way of the next request."""
    server.early.append(_refuse_unread)
    transport = door(server)
    refused = await send(transport, server, "update", LARGE)
    assert isinstance(refused, Response)
    assert refused.status == 412
    accepted = await send(transport, server)
    assert isinstance(accepted, Response)
    assert accepted.status == 204
    assert len(server.connections) == 2
    await transport.aclose()


@roads
async def test_a_large_body_that_was_given_up_is_not_sent_on(server: RawServer, clock: Clock) -> None:
    """When the time of an attempt is over, its socket is closed: the rest of the body does not follow."""
    given_up = asyncio.Event()
    arrived: list[int] = []

    async def _read_late(connection: Connection) -> None:
        _wire(connection).pause_reading()
        arriving = connection.writer.get_extra_info("socket").fileno()
        while not select.select([arriving], [], [], 0)[0]:
            await asyncio.sleep(0)
        clock.advance(60)
        await given_up.wait()
        _wire(connection).resume_reading()
        size = 0
        try:
            while piece := await connection.reader.read(1 << 20):
                size += len(piece)
        except ConnectionError:
            pass
        arrived.append(size)
        connection.close()

    server.accepting.append(_read_late)
    transport = door(server)
    found = await send(transport, server, "update", LARGE)
    assert isinstance(found, Lost)
    assert found.timed_out
    given_up.set()
    await transport.aclose()
    async with asyncio.timeout(HANG):
        while not arrived:
            await asyncio.sleep(0.01)
    assert arrived[0] < len(LARGE)


# -- replies that stop making sense


def _in_two(first: bytes, second: bytes) -> Play:
    async def play(_server: RawServer, connection: Connection, _request: RawRequest) -> None:
        await connection.send(first)
        await asyncio.sleep(0.02)
        await connection.send(second)

    return play


CHUNKED = head("200 OK", "Transfer-Encoding: chunked") + b"2\r\n{}\r\n"
DEFLATED = b"x\x9cK\xacV*I-.Q"  # begins a stream that does not end


@roads
@pytest.mark.parametrize(
    "play",
    [
        _in_two(CHUNKED, b"zz\r\n{}\r\n0\r\n\r\n"),
        _in_two(CHUNKED, b"0\r\nX-Last: " + b"y" * 100_000 + b"\r\n\r\n"),
        _in_two(head("200 OK", "Content-Encoding: deflate", length=len(DEFLATED)), DEFLATED),
    ],
    ids=["chunk of no size", "giant trailer", "deflate cut off"],
)
async def test_a_body_that_goes_wrong_after_its_head(server: RawServer, play: Play) -> None:
    """A body that cannot be read is a lost reply as soon as that is seen, not when the time of the attempt is over."""
    server.script("get", play)
    transport = door(server)
    found = await send(transport, server, "get")
    assert isinstance(found, Lost)
    assert not found.timed_out
    assert isinstance(await send(transport, server, "get"), Response)
    await transport.aclose()


@roads
async def test_the_callers_session_closed_in_the_middle_of_a_body(server: RawServer) -> None:
    """A body that will never come to its end is not waited for."""
    is_half = asyncio.Event()

    async def half(_server: RawServer, connection: Connection, _request: RawRequest) -> None:
        await connection.send(head("200 OK", length=10) + b"{")
        is_half.set()
        await connection.reader.read()
        connection.close()

    server.script("get", half)
    http = aiohttp.ClientSession()
    transport = door(server, http)
    exchange = asyncio.create_task(send(transport, server, "get"))
    await is_half.wait()
    await asyncio.sleep(0.02)
    await http.close()
    found = await exchange
    assert isinstance(found, Lost)
    assert not found.timed_out
    await transport.aclose()


@roads
async def test_a_connection_reset_while_idle_is_no_news(server: RawServer, caplog: pytest.LogCaptureFixture) -> None:
    """Of a connection on which a body was waited for, nothing is logged when it breaks off later on."""
    body = b'{"id": "run"}'
    server.script("get", *[_in_two(head("200 OK", length=len(body)), body)] * 3)
    transport = door(server)
    for _ in range(3):
        assert isinstance(await send(transport, server, "get"), Response)
    assert len(server.connections) == 1
    server.connections[0].reset()
    await asyncio.sleep(0.02)
    await transport.aclose()
    del transport
    assert not caplog.records


ECHO = f"X-Echo: Bearer {TOKEN[:-1]}"


@roads
@pytest.mark.parametrize(
    "play",
    [
        lost(f"HTTP/1.1 200 OK\r\n{ECHO}\r\nX-M".encode()),
        lost(f"HTTP/1.1 200 OK\r\n{ECHO}\x00\r\n\r\n".encode()),
        lost(f"HTTP/1.1 200 OK\r\n{ECHO}{'x' * 20_000}\r\n\r\n".encode()),
        lost(f"HTTP/9 {TOKEN[:-1]}\r\n\r\n".encode()),
        lost(b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"x" * 7000 + b"\r\n" + b"X-" + b"y" * 2000),
    ],
    ids=["cut head", "NUL", "giant header", "no status line", "long head cut"],
)
async def test_what_is_said_of_a_broken_reply_is_short(server: RawServer, play: Play) -> None:
    """The reason of a lost reply says what was wrong, and repeats nothing of what the server sent."""
    server.script("get", play)
    transport = door(server)
    found = await send(transport, server, "get")
    await transport.aclose()
    if isinstance(found, Response):
        pytest.skip("this version of aiohttp takes it")
    assert isinstance(found, Lost)
    assert TOKEN[:-1] not in found.reason
    assert "\n" not in found.reason
    assert len(found.reason) < 300


@roads
async def test_a_101_without_an_upgrade_ends_its_connection(server: RawServer) -> None:
    """After a 101 nothing on that connection is the answer to a request, not even what comes late."""
    server.script("pause", raw(head("101 Switching Protocols")))
    transport = door(server)
    found = await send(transport, server)
    assert isinstance(found, Response)
    assert found.status == 101
    later = await send(transport, server, "get")
    assert isinstance(later, Response)
    assert later.status == 200
    assert len(server.connections) == 2
    await transport.aclose()


@roads
@pytest.mark.parametrize("is_warm", [False, True], ids=["new connection", "idle connection"])
async def test_half_a_reply_before_the_request(server: RawServer, is_warm: bool) -> None:
    """A success of which the first half came while the request was held back does not take the real reply in."""
    transport = door(server)
    if is_warm:
        await send(transport, server, "get")
    is_held, is_half = asyncio.Event(), asyncio.Event()

    def may_leave(_now: float) -> float:
        is_held.set()
        return 0.0 if is_half.is_set() else 0.05

    outgoing = Outgoing("POST", f"{server.url}/pause", {"If-Match": "old"}, None, Gate(may_leave, time.monotonic))
    exchange = asyncio.create_task(transport.send(outgoing, timeout=60, connect_timeout=5))
    await is_held.wait()
    while not server.connections:
        await asyncio.sleep(0)
    await server.connections[0].send(b"HTTP/1.1 204 No Content\r\nX:")
    is_half.set()
    found = await exchange
    await transport.aclose()
    assert not isinstance(found, Response) or found.status == 412
    assert server.applied == []


# -- sessions of others


@roads
async def test_all_values_of_a_callers_header_are_sent(server: RawServer) -> None:
    """A default header of the caller's session that is there twice goes out twice."""
    async with aiohttp.ClientSession(headers=CIMultiDict([("X-Team", "one"), ("X-Team", "two\tthree")])) as http:
        transport = door(server, http)
        assert isinstance(await send(transport, server), Response)
        await transport.aclose()
    assert server.requests[0].values("X-Team") == [b"one", b"two\tthree"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("X-A", "a\r\nX-B: b"), ("X-A", "a\x00"), ("X-A", "\ud800"), ("Content-Length ", "5"), ("", "a")],
)
async def test_a_callers_header_that_cannot_be_sent_is_refused(server: RawServer, name: str, value: str) -> None:
    """A default header that would break the request, or smuggle another one in, is a `ConfigurationError` on entry."""
    async with aiohttp.ClientSession(headers={name: value}) as http:
        with pytest.raises(ConfigurationError, match="http: "):
            door(server, http)


@pytest.mark.parametrize("end", ["?", "#", "/?", "/v1#", "/v1?", "\\x/v1"])
def test_a_base_url_that_swallows_the_path_is_refused(end: str) -> None:
    """An empty query or fragment, in which every path would end, is refused like one that is not empty."""
    with pytest.raises(ConfigurationError, match="base_url"):
        check_url("base_url", f"https://host{end}")


@roads
async def test_a_read_timeout_of_the_callers_own_request_is_not_ours(server: RawServer, clock: Clock) -> None:
    """A timer that another request left on a connection, for a stray line end after its reply, cuts none of ours."""
    is_read, is_astray = asyncio.Event(), asyncio.Event()

    async def stray(_server: RawServer, connection: Connection, _request: RawRequest) -> None:
        await connection.send(head("204 No Content"))
        await is_read.wait()
        await connection.send(b"\r\n")
        is_astray.set()

    async def slow(server: RawServer, connection: Connection, request: RawRequest) -> None:
        clock.advance(20)
        await asyncio.sleep(0.02)
        await connection.send(server.handle(request))

    server.script("get", stray)
    server.script("pause", slow)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(sock_read=10)) as http:
        async with http.get(server.url) as response:
            await response.read()
        is_read.set()
        await is_astray.wait()
        await asyncio.sleep(0.02)
        transport = door(server, http)
        found = await send(transport, server)
        await transport.aclose()
    assert isinstance(found, Response)
    assert len(server.connections) == 1


async def test_a_connector_of_another_kind_sees_each_request(server: RawServer) -> None:
    """One that looks at what it connects for (some answer by themselves) is shown the request, not a stand-in."""
    seen: list[tuple[str, str]] = []

    class Looking(aiohttp.TCPConnector):
        async def connect(self, req: aiohttp.ClientRequest, traces: Any, timeout: aiohttp.ClientTimeout) -> Any:
            seen.append((req.method, req.url.path))
            return await super().connect(req, traces, timeout)

    async with aiohttp.ClientSession(connector=Looking()) as http:
        transport = door(server, http)
        assert isinstance(await send(transport, server), Response)
        await transport.aclose()
    assert seen == [("POST", "/v1/pause")]


@pytest.mark.parametrize("name", ["request", "_request"])
async def test_a_stand_in_for_requests_of_aiohttp_is_asked(server: RawServer, name: str) -> None:
    """Whoever puts a mock in the place of aiohttp's requests lets none of ours through."""
    transport = door(server)
    with mock.patch.object(aiohttp.ClientSession, name, side_effect=RuntimeError) as stand_in:
        assert isinstance(await send(transport, server), NotSent)
    assert stand_in.called
    await transport.aclose()
    assert server.connections == []
