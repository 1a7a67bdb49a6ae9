"""Tries, without a network, the parts of aiohttp that the two paths use: a few requests over a transport in memory.

They go through the code that sends all other requests. Nothing waits: an answer that is missing shows a misfit.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, cast

import aiohttp
from yarl import URL

from fielding_async.core.wire.replies import Attempted, Lost, Response

from .connection import LARGE, ConnectTime, head_limits
from .deadline_timer import DeadlineTimer
from .failures import DisconnectedError
from .fast_path import FastPath
from .public_path import PublicPath, Route
from .transport import HeldBack, Outgoing

__all__ = [
    "PUBLIC_PARTS",
    "DoesNotFitError",
    "missing_public_parts",
    "run_at_once",
    "try_fast_path",
    "try_public_path",
]

# What the paths use of each public class, and the exceptions and values that they name.
PUBLIC_PARTS: dict[str, tuple[str, ...]] = {
    "BaseConnector": ("close", "connect", "force_close", "limit", "limit_per_host"),
    "ClientConnectorCertificateError": ("certificate_error",),
    "ClientConnectorError": ("os_error",),
    "ClientError": (),
    "ClientHttpProxyError": (),
    "ClientOSError": (),
    "ClientPayloadError": (),
    "ClientProxyConnectionError": (),
    "ClientRequest": (),
    "ClientResponse": ("closed", "connection", "content", "headers", "release", "status"),
    "ClientResponseError": (),
    "ClientSession": ("close", "closed", "connector", "headers", "request", "trace_configs", "trust_env"),
    "ClientTimeout": (),
    "DummyCookieJar": (),
    "InvalidURL": (),
    "ServerDisconnectedError": (),
    "ServerFingerprintMismatch": (),
    "StreamReader": ("read",),
    "TCPConnector": (),
    "TraceConfig": ("freeze", "on_request_start"),
    "TraceRequestEndParams": (),
    "TraceRequestStartParams": (),
    "UnixConnector": (),
}
"""The public parts of aiohttp that are used: each name, with the attributes that are read from it."""

_ORIGIN = URL("http://in-memory.invalid")
_ROUTE = Route(proxy=None, proxy_headers=None, ssl=True)

_BODY = b"x" * (LARGE + 1)
_OK = b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 9000 + b"\r\nContent-Length: %d\r\n\r\n" % len(_BODY)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
_MOST_STEPS = 100


class DoesNotFitError(Exception):
    """A part of aiohttp is not as it was; the text says what came of it."""


class _InMemory(asyncio.Transport):
    """A connection to nothing. A write is answered by the next of `answers`; the rest of that follows by `go_on`."""

    def __init__(self, answers: deque[list[bytes]]) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.written: list[bytes] = []
        self.protocol: Any = None
        self._answers = answers
        self._rest: list[bytes] = []
        self._is_closing = self._is_delivering = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))
        if not self._answers:
            self.close()
            return
        first, *self._rest = self._answers.popleft()
        self.deliver(first)

    def go_on(self) -> bool:
        """Deliver the next piece of a reply. Returns whether there was one."""
        if not self._rest:
            return False
        self.deliver(self._rest.pop(0))
        return True

    def deliver(self, data: bytes) -> None:
        self._is_delivering = True
        self.protocol.data_received(data)
        self._is_delivering = False
        if self._is_closing:
            self.protocol.connection_lost(None)

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            if not self._is_delivering:  # an event loop never tells of the end in the middle of that
                self.protocol.connection_lost(None)

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self._is_closing

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0


class _Loop:
    """The running event loop, but for what a connection is made with."""

    def __init__(self, connect: Callable[[Any], Awaitable[Any]]) -> None:
        self._loop = asyncio.get_running_loop()
        self._connect = connect

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def create_unix_connection(self, make_protocol: Callable[[], Any], _path: str) -> Any:
        return await self._connect(make_protocol())


class _Exchange:
    """What answers, and a connector of aiohttp's that leads to it."""

    def __init__(self) -> None:
        self.answers: deque[list[bytes]] = deque()
        self.transports: list[_InMemory] = []
        loop = cast("asyncio.AbstractEventLoop", _Loop(self._connect))
        self.connector = aiohttp.UnixConnector("in memory", loop=loop)
        self._timer = DeadlineTimer(asyncio.get_running_loop())
        self.connect_time = ConnectTime(60, self._timer)

    async def _connect(self, protocol: Any) -> Any:
        transport = _InMemory(self.answers)
        transport.protocol = protocol
        self.transports.append(transport)
        protocol.connection_made(transport)
        return transport, protocol

    def perform(self, send: Awaitable[Attempted]) -> Attempted:
        """Return what comes of an attempt."""
        found: Attempted = _run(send, lambda: any(transport.go_on() for transport in self.transports))
        return found

    def close(self) -> None:
        for transport in self.transports:
            transport.close()
        self._timer.close()
        # of Python 3.14: aiohttp waits in an eager task
        self.connector._loop = asyncio.get_running_loop()  # pyright: ignore[reportPrivateUsage]
        with suppress(DoesNotFitError):
            _run(self.connector.close(), bool)


def _run(awaitable: Awaitable[Any], go_on: Callable[[], bool]) -> Any:
    steps = awaitable.__await__()
    try:
        for _ in range(_MOST_STEPS):
            if next(steps) is not None and not go_on():  # it waits; `None` lets others run
                break
        raise DoesNotFitError("an answer that was there did not arrive")
    except StopIteration as end:
        return end.value
    finally:
        steps.close()


def _cancel(awaitable: Awaitable[Any]) -> None:
    """Cancel a coroutine where it waits first."""
    steps = awaitable.__await__()
    try:
        next(steps)
        cast("Any", steps).throw(asyncio.CancelledError())
    except asyncio.CancelledError:
        return
    raise DoesNotFitError("a cancellation was kept back")


def run_at_once(awaitable: Awaitable[Any]) -> Any:
    """Return the result of a coroutine that waits for nothing. Raises `DoesNotFitError` if it does."""
    return _run(awaitable, bool)


def missing_public_parts() -> list[str]:
    """Return which public parts of aiohttp are not there."""
    missing: list[str] = []
    for name, attributes in PUBLIC_PARTS.items():
        cls = getattr(aiohttp, name, None)
        if cls is None:
            missing.append(name)
        else:
            missing += [f"{name}.{attribute}" for attribute in attributes if not hasattr(cls, attribute)]
    return missing


def _must(is_as_it_was: object, otherwise: str) -> None:
    if not is_as_it_was:
        raise DoesNotFitError(otherwise)


def _writes(exchange: _Exchange) -> int:
    return sum(len(transport.written) for transport in exchange.transports)


def _hold_back() -> dict[str, str]:
    raise HeldBack


def _try(exchange: _Exchange, send: Callable[[Outgoing], Awaitable[Attempted]], *, is_strict: bool) -> None:
    """Perform requests. `is_strict`: also try what the public path can do without."""
    url = f"{_ORIGIN}/run"

    def perform(method: str, body: bytes | None = None) -> tuple[Outgoing, Attempted]:
        outgoing = Outgoing(method, url, {"If-Match": "1"}, body)
        return outgoing, exchange.perform(send(outgoing))

    exchange.answers += [[_CONTINUE + _OK, _BODY[:10], _BODY[10:]], [_NO_CONTENT]]
    outgoing, found = perform("GET")
    _must(outgoing.left, "a request that was sent did not count as sent")
    _must(isinstance(found, Response) and (found.status, found.body) == (200, _BODY), "a body did not arrive")
    transport = exchange.transports[0]
    _must(b"".join(transport.written).startswith(b"GET /run HTTP/1.1\r\n"), "another request was sent")
    _must(b"If-Match: 1\r\n" in b"".join(transport.written), "a header was not sent")
    before = _writes(exchange)
    held = Outgoing("POST", url, {}, None, on_leave=_hold_back)
    with suppress(HeldBack):
        exchange.perform(send(held))
    _must(not held.left and _writes(exchange) == before, "a request that was held back was sent")
    outgoing, found = perform("POST")
    _must(isinstance(found, Response) and found.status == 204, "a reply without a body did not arrive")
    if is_strict:
        _must(len(exchange.transports) == 1, "a connection was not used again")
        _must(exchange.connect_time.made == 1 and exchange.connect_time.is_idle, "connecting was not told")
        for answer in ([_CONTINUE, _NO_CONTENT], [_OK + _BODY[:10], _BODY[10:]]):
            exchange.answers.append(answer)
            outgoing = Outgoing("POST", url, {}, None, outlives=True)
            _cancel(send(outgoing))
            _must(outgoing.left and outgoing.rest is not None, "a write was cut with its caller")
            found = exchange.perform(send(outgoing))
            _must(isinstance(found, Response) and len(exchange.transports) == 1, "the rest of a reply did not arrive")
        _try_idle(exchange, perform)
    # the answer to nothing: the connection breaks off, and the HTTP library may try again by itself
    before = _writes(exchange)
    try:
        outgoing, found = perform("GET")
    except (DisconnectedError, aiohttp.ClientError):
        found = Lost("")
    _must(isinstance(found, Lost), "a reply came from nowhere")
    _must(_writes(exchange) == before + 1, "a request was sent twice")


def _try_idle(exchange: _Exchange, perform: Callable[..., tuple[Outgoing, Attempted]]) -> None:
    """Try that data on an idle connection is no reply, and that a connection with a large body is used once."""
    transport = exchange.transports[0]
    before = len(transport.written)
    transport.deliver(_NO_CONTENT)
    try:
        perform("POST")
    except DisconnectedError:
        pass
    else:
        raise DoesNotFitError("data on an idle connection was taken for a reply")
    _must(len(transport.written) == before and transport.is_closing(), "a connection with data on it was used")
    exchange.answers.append([_NO_CONTENT])
    _, found = perform("PUT", _BODY)
    transport = exchange.transports[-1]
    _must(isinstance(found, Response) and transport.is_closing(), "a connection was used again")


def try_fast_path(headers: list[tuple[str, str]]) -> None:
    """Raise if a private part of aiohttp does not fit: any exception at all."""
    exchange = _Exchange()
    limits = head_limits(None)
    path = PublicPath(exchange.connector, headers, [], limits)
    try:
        path.session.trace_configs.clear()  # those of an instrumentation
        peer = run_at_once(path.request_to(_ORIGIN, _ROUTE))
        fast = FastPath(exchange.connector, peer, limits)
        _try(exchange, lambda outgoing: fast.send(outgoing, "/run", exchange.connect_time), is_strict=True)
    finally:
        exchange.close()
        run_at_once(path.aclose())


def try_public_path(headers: list[tuple[str, str]]) -> None:
    """Raise if a public part of aiohttp does not fit: any exception at all."""
    exchange = _Exchange()
    path = PublicPath(exchange.connector, headers, [], head_limits(None))
    try:
        path.session.trace_configs.clear()
        url = _ORIGIN.with_path("/run")
        _try(exchange, lambda outgoing: path.send(outgoing, url, _ROUTE, exchange.connect_time), is_strict=False)
    finally:
        exchange.close()
        run_at_once(path.aclose())
