"""One fielding run behind a raw socket: a server that can break HTTP where a well-behaved one cannot.

It keeps one run, takes writes under their ETag as the exchange does, and hands each request to the next play scripted
for its method; without one it answers as it should. Early plays strike before a request has been read.
"""

import asyncio
import json
import socket
import struct
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Any

from attrs import define, field, frozen

from tests.tools.loopback import LoopbackServer
from tests.tools.sessions import REF

__all__ = ["Connection", "Play", "RawRequest", "RawServer", "head", "lost", "raw", "reply"]

_TARGETS = {"launch-now": "live", "pause": "paused", "resume": "live", "complete": "completed", "relaunch": "live"}


@frozen
class RawRequest:
    """A request as it arrived. `connection` counts from 1."""

    connection: int
    method: str
    path: str
    headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    body: bytes = field(repr=False)

    def values(self, name: str) -> list[bytes]:
        """Return all values of a header."""
        return [value for key, value in self.headers if key.decode().lower() == name.lower()]

    @property
    def operation(self) -> str:
        """The name of the operation."""
        last = self.path.rsplit("/", maxsplit=1)[-1]
        return last if last in _TARGETS else "update" if self.method == "PUT" else "get"


@define(eq=False)
class Connection:
    """One accepted connection."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    closed: bool = False

    async def send(self, data: bytes) -> None:
        """Write bytes, whether or not anybody still reads them."""
        with suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    def close(self) -> None:
        """Close in good order: what was written arrives, then the end."""
        self.closed = True
        self.writer.close()

    def reset(self) -> None:
        """Break off: the other side sees a reset."""
        self.closed = True
        connection: socket.socket | None = self.writer.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Play = Callable[["RawServer", Connection, RawRequest], Awaitable[None]]
Early = Callable[[Connection], Awaitable[None]]


def head(status: str, *headers: str, length: int | None = None) -> bytes:
    """Return the head of a reply."""
    lines = [f"HTTP/1.1 {status}", *headers]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")


class RawServer(LoopbackServer):
    """The server. `async with RawServer() as server:`, then `server.url`."""

    def __init__(self, status: str = "live") -> None:
        super().__init__()
        self.status = status
        self.version = 1
        self.start = "2030-01-01T08:00:00.000Z"
        self.end = "2030-01-31T08:00:00.000Z"
        self.etag_lines: Callable[[str], list[str]] = lambda etag: [f"ETag: {etag}"]
        self.requests: list[RawRequest] = []
        self.applied: list[str] = []
        self.early: deque[Early] = deque()
        self.accepting: deque[Early] = deque()
        self.connections: list[Connection] = []
        self.over = asyncio.Event()
        self._plays: dict[str, deque[Play]] = {}

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await super().__aexit__(kind, error, trace)
        if error is None:
            left = [name for name, plays in self._plays.items() if plays]
            assert not left, f"plays left over: {left}"
            assert not self.early, "early plays left over"
            assert not self.accepting, "plays for a new connection left over"

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def script(self, operation: str, *plays: Play) -> None:
        """Let each of these plays answer one request of an operation, in this order."""
        self._plays.setdefault(operation, deque()).extend(plays)

    def sent(self, operation: str) -> list[RawRequest]:
        """Return the requests of an operation that were read to their end."""
        return [request for request in self.requests if request.operation == operation]

    # -- the exchange

    @property
    def etag(self) -> str:
        """The ETag of the run as it is."""
        return f'W/"{self.version}"'

    def run(self) -> dict[str, Any]:
        """Return the run as JSON."""
        return {
            "id": REF.fielding_run_id,
            "status": self.status,
            "version": self.version,
            "start_fielding_at": self.start,
            "end_fielding_at": self.end,
            "last_changed_at": "2029-12-31T00:00:00.000Z",
            "last_changed_by": "b551326b-ac9d-4d32-8823-4f025787dab9",
        }

    def handle(self, request: RawRequest) -> bytes:
        """Carry a request out, and return the reply that belongs to it."""
        if request.method == "GET":
            body = json.dumps(self.run()).encode()
            return (
                head("200 OK", "Content-Type: application/json", *self.etag_lines(self.etag), length=len(body)) + body
            )
        if request.values("If-Match") != [self.etag.encode()]:
            return head("412 Precondition Failed", length=0)
        self.version += 1
        self.applied.append(request.operation)
        if request.operation == "update":
            wanted = json.loads(request.body)
            self.start, self.end = wanted["start_fielding_at"], wanted["end_fielding_at"]
            body = json.dumps({"id": REF.fielding_run_id}).encode()
            return head("202 Accepted", *self.etag_lines(self.etag), length=len(body)) + body
        self.status = _TARGETS[request.operation]
        if request.operation == "launch-now":
            body = json.dumps({"start_fielding_at": self.start, "end_fielding_at": self.end}).encode()
            return head("200 OK", *self.etag_lines(self.etag), length=len(body)) + body
        return head("204 No Content", *self.etag_lines(self.etag))

    # -- the wire

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection, by what is scripted."""
        connection = Connection(len(self.connections) + 1, reader, writer)
        self.connections.append(connection)
        if self.accepting:
            await self.accepting.popleft()(connection)
        while not connection.closed:
            request = await self._read(connection)
            if request is None:
                break
            self.requests.append(request)
            plays = self._plays.get(request.operation)
            if plays:
                await plays.popleft()(self, connection, request)
            else:
                await connection.send(self.handle(request))

    async def _read(self, connection: Connection) -> RawRequest | None:
        reader = connection.reader
        first = await reader.read(1)
        if not first:
            return None
        if self.early:
            await self.early.popleft()(connection)
            return None
        text = first + await reader.readuntil(b"\r\n\r\n")
        line, *lines = text[:-4].split(b"\r\n")
        method, path, _ = line.decode().split(" ")
        pairs = [entry.split(b":", maxsplit=1) for entry in lines]
        headers = tuple((name, value.strip(b" ")) for name, value in pairs)
        length = next((int(value) for name, value in headers if name.lower() == b"content-length"), 0)
        return RawRequest(connection.number, method, path, headers, await reader.readexactly(length))

    def disconnect_idle(self) -> None:
        """Close every connection now, from the server's side."""
        for connection in self.connections:
            connection.close()

    def count(self) -> Counter[str]:
        """Return how many requests of each operation were read to their end."""
        return Counter(request.operation for request in self.requests)


# -- plays


def raw(data: bytes, *, applied: bool = True) -> Play:
    """Answer with these bytes, and leave the connection open; the request is carried out or not."""

    async def play(server: RawServer, connection: Connection, request: RawRequest) -> None:
        if applied:
            server.handle(request)
        await connection.send(data)

    return play


def lost(data: bytes = b"", *, applied: bool = True, reset: bool = False) -> Play:
    """Answer with these bytes (or none), and break the connection off; the request is carried out or not."""

    async def play(server: RawServer, connection: Connection, request: RawRequest) -> None:
        if applied:
            server.handle(request)
        await connection.send(data)
        if reset:
            connection.reset()
        else:
            connection.close()

    return play


def reply(change: Callable[[bytes, bytes], bytes], *, close: bool = False) -> Play:
    """Carry the request out, and answer with what `change` makes of the head and the body that belong to it."""

    async def play(server: RawServer, connection: Connection, request: RawRequest) -> None:
        start, _, body = server.handle(request).partition(b"\r\n\r\n")
        await connection.send(change(start + b"\r\n\r\n", body))
        if close:
            connection.close()

    return play
