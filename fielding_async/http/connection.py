"""Connections of aiohttp's pool: how long one may take, made ready for a request, written to, and aborted."""

import asyncio
import socket
from contextlib import suppress
from functools import cache
from inspect import signature
from typing import TYPE_CHECKING, Any, cast

import aiohttp

from fielding_async.core.addresses import is_loopback_address
from fielding_async.core.wire.response_headers import SENDABLE

from .deadline_timer import DeadlineTimer, Limit
from .failures import DisconnectedError, NotThisMachineError
from .transport import Outgoing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from aiohttp.connector import Connection

__all__ = [
    "LARGE",
    "READ_SIZE",
    "ConnectTime",
    "abort",
    "check_peer",
    "head_limits",
    "make_ready",
    "names_of_limits",
    "use_once",
    "write_request",
]

LARGE = 64 * 1024
"""How many bytes the buffers of two sockets usually take, even if nobody reads."""

READ_SIZE = 64 * 1024
"""How many bytes a transport asks its socket for at once."""

_OURS = {"max_line_size": 64 * 1024, "max_field_size": 64 * 1024, "max_headers": 1024}  # bytes, bytes, number
_NO_BODY = b""
_line = ": ".join  # of a name and a value


@cache
def _defaults() -> dict[str, Any]:
    """Return the limits on the head of a reply that this version of aiohttp has, with its defaults."""
    found = signature(aiohttp.ClientSession).parameters
    return {name: found[name].default for name in ("read_bufsize", *_OURS) if name in found}


def names_of_limits() -> list[str]:
    """Return the names of the limits on the head of a reply, which are arguments of a session of aiohttp."""
    return list(_defaults())


def head_limits(http: aiohttp.ClientSession | None) -> dict[str, Any]:
    """Return the limits on the head of a reply, as far as they are not aiohttp's default.

    They are those of the caller's session; where that has aiohttp's default, and for a session of our own, they are
    larger than the default: one Content-Security-Policy header may have 9 KB.
    """
    limits: dict[str, Any] = {}
    for name, default in _defaults().items():
        found = getattr(http, f"_{name}", default)
        limit = found if isinstance(found, int) and found != default else _OURS.get(name, default)
        if limit != default:
            limits[name] = limit
    return limits


class _Nothing(tuple[()]):
    """Awaiting it returns at once, and costs less than a coroutine."""

    __slots__ = ()
    __await__ = tuple.__iter__  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


class ConnectTime:
    """Limits the time in which a connection is made, in seconds: DNS, TCP, TLS and CONNECT, not the wait in the pool.

    `traces`: passed to aiohttp as the traces of a request; it calls them when it starts to connect. Where it does not,
    nothing is limited.
    """

    def __init__(self, seconds: float, timer: DeadlineTimer) -> None:
        self.seconds = seconds
        self.traces: list[Any] = [_Trace(self)]
        self.made = 0
        self.queued: set[object] = set()
        self._timer = timer
        self._limits: dict[object, Limit] = {}

    def start(self) -> None:
        """Limit the current task."""
        self._limits[asyncio.current_task()] = self._timer.start(self.seconds)

    def end(self) -> bool:
        """End the limit of the current task. Returns whether its time was up, and nobody else cancelled the task."""
        limit = self._limits.pop(asyncio.current_task(), None)
        if limit is None:
            return False
        is_over = limit.undo()
        self._timer.stop(limit)
        return is_over

    @property
    def is_idle(self) -> bool:
        """Whether nobody connects."""
        return not self._limits

    def failed(self, outgoing: Outgoing, error: BaseException) -> None:
        """Note that the current task has no connection. Raises `DisconnectedError` if the time was up."""
        if self.end():
            raise DisconnectedError(f"no connection within {self.seconds:.3g} s") from error
        task = asyncio.current_task()
        if task in self.queued:
            self.queued.discard(task)
            outgoing.waits_for = "free connection in the pool of the aiohttp.ClientSession"


class _Trace:
    """In the place of a trace of aiohttp. The session's own class of them costs much more, and for every request."""

    send_connection_reuseconn = _Nothing

    def __init__(self, time: ConnectTime) -> None:
        self._time = time

    async def send_connection_queued_start(self) -> None:
        self._time.queued.add(asyncio.current_task())

    async def send_connection_queued_end(self) -> None:
        self._time.queued.discard(asyncio.current_task())

    async def send_connection_create_start(self) -> None:
        self._time.start()

    async def send_connection_create_end(self) -> None:
        self._time.made += 1
        self._time.end()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("send_"):
            return _nothing
        raise AttributeError(name)


async def _nothing(*_arguments: object, **_more: object) -> None:
    pass


def use_once(connection: "Connection", transport: asyncio.Transport) -> None:
    """Keep a connection from being used again: it is closed when it goes back to the pool."""
    tell = getattr(connection, "add_callback", None)
    if tell is not None:
        tell(transport.abort)


def make_ready(
    connection: "Connection",
    transport: asyncio.Transport | None,
    protocol: object,
    outgoing: Outgoing,
    is_checked: bool,
) -> asyncio.Transport:
    """Return what the request is written to; called right before that, when the request may be sent.

    `transport`, `protocol`: those of the connection. `is_checked`: it is known to lead where it may. Raises
    `DisconnectedError`, `NotThisMachineError` or `ValueError` if it cannot be written. It is never written to a
    connection on which something arrived while it was idle: aiohttp would read that as the reply to this request, and a
    write would be reported as accepted before it was sent. Where aiohttp cannot tell, no connection is used twice.
    """
    if transport is None or transport.is_closing():
        raise DisconnectedError("the connection was closed before the request")
    should_close = getattr(protocol, "should_close", None)
    if should_close:
        raise DisconnectedError("the server sent something on an idle connection")
    if not is_checked:
        check_peer(transport)
        read_small_blocks(transport)
    values = "".join(outgoing.headers.values())
    if not (values.isascii() and values.isprintable()) and SENDABLE.fullmatch(values) is None:
        raise ValueError("a header with a character that cannot be sent")
    del values  # it has a token
    if should_close is None or (outgoing.body is not None and len(outgoing.body) > LARGE):
        # a reply may come before the body is read, and what is unsent then would get in the way of another request
        use_once(connection, transport)
    return transport


def read_small_blocks(transport: asyncio.BaseTransport) -> None:
    """Have a transport of asyncio read into blocks of 64 KiB, in place of 256 KiB.

    glibc maps and unmaps a block of more than 128 KiB for every reply: three system calls and two page faults.
    """
    readers: tuple[Any, ...] = (transport, getattr(transport, "_ssl_protocol", None))
    for reader in readers:
        if getattr(reader, "max_size", 0) > READ_SIZE:
            with suppress(AttributeError):
                reader.max_size = READ_SIZE


def check_peer(transport: asyncio.BaseTransport) -> None:
    """Raise `NotThisMachineError` unless bytes go through TLS, to this machine or into a Unix socket.

    Called when a connection is open and before the first byte of a request: where a name leads is known only then.
    """
    if transport.get_extra_info("sslcontext") is not None:
        return
    peer: object = transport.get_extra_info("peername")
    if isinstance(peer, tuple):
        if peer[0] == "127.0.0.1":
            return
        address = str(cast("tuple[object, ...]", peer)[0])
        if is_loopback_address(address):
            return
        raise NotThisMachineError(f"plain http is for this machine only, and the connection leads to {address}")
    family = getattr(transport.get_extra_info("socket"), "family", None)
    if family is None or family != getattr(socket, "AF_UNIX", None):
        raise NotThisMachineError("plain http is for this machine only, and where the connection leads is unknown")


def write_request(
    connection: "Connection",
    transport: asyncio.Transport | None,
    outgoing: Outgoing,
    path: str,
    always: str,
    parameters: dict[str, Any],
    is_checked: bool,
) -> "Callable[[], Awaitable[tuple[Any, aiohttp.StreamReader]]]":
    """Write a whole request (RFC 9112, section 2.1), and return what reads the head of its reply.

    `transport`: that of the connection. `path`: the target as it is sent. `always`: the header lines that every request
    has. `parameters`: how the reply is read. Raises as `make_ready` does, and then nothing has been sent. Half of a
    reply that arrived earlier is discarded.
    """
    protocol, body = connection.protocol, outgoing.body
    transport = make_ready(connection, transport, protocol, outgoing, is_checked)
    assert protocol is not None  # noqa: S101 - it has a transport
    protocol.set_response_params(**parameters)
    protocol.start_timeout()  # ends one that another request left behind
    length = "" if body is None and outgoing.method == "GET" else f"Content-Length: {len(body or _NO_BODY)}\r\n"
    # in a form that tracebacks with local variables do not show: it has a token
    head = "\r\n".join([f"{outgoing.method} {path} HTTP/1.1", *map(_line, outgoing.headers.items())])
    data = memoryview(f"{head}\r\n{always}{length}\r\n".encode())
    del head
    read = protocol.read
    # all that can raise is done
    outgoing.left = True
    try:
        transport.write(data if body is None else memoryview(data.tobytes() + body))
    except (RuntimeError, TypeError):
        # asyncio refuses what it cannot take before it takes any of it; after another error that is not known
        outgoing.left = False
        raise
    return read


def abort(transport: asyncio.Transport | None) -> None:
    """Close at once what an abandoned request was written to.

    `close()` would go on sending what is unsent for as long as it takes, which has no end if the server does not read.
    """
    if transport is not None:
        transport.abort()
