"""A bare asyncio server in a process of its own, so that the client is what is measured.

It answers GETs with a live run and POSTs with 204 and a new ETag. It checks nothing but the ETag.
"""

import asyncio
import multiprocessing
import re
from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import contextmanager
from multiprocessing.connection import Connection

__all__ = ["Answers", "serving"]

_RUN = re.compile(rb"/fielding-runs/([^/ ]+)")
_IF_MATCH = re.compile(rb'\r\nif-match: W/"(\d+)"', re.IGNORECASE)
_BODY = (
    b'{"id":"%s","status":"live","version":%d,"start_fielding_at":"2026-01-01T00:00:00.000Z",'
    b'"end_fielding_at":"2031-01-01T00:00:00.000Z","last_changed_at":"2026-01-01T00:00:00.000Z",'
    b'"last_changed_by":"b551326b-ac9d-4d32-8823-4f025787dab9"}'
)


class Answers(asyncio.Protocol, ABC):
    """One connection. A request is its head: bodies are not expected."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    @abstractmethod
    def answer(self, head: bytes) -> bytes:
        """Return the reply to a request."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\r\n\r\n" in self._buffer:
            head, self._buffer = self._buffer.split(b"\r\n\r\n", 1)
            assert self._transport is not None
            self._transport.write(self.answer(head))


class _Exchange(Answers):
    def __init__(self, versions: dict[bytes, int]) -> None:
        super().__init__()
        self._versions = versions

    def answer(self, head: bytes) -> bytes:
        match = _RUN.search(head)
        if match is None:
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        run = match.group(1)
        version = self._versions.setdefault(run, 1)
        if head.startswith(b"GET"):
            body = _BODY % (run, version)
            return (
                b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nETag: W/"%d"\r\nContent-Length: %d\r\n\r\n%s'
                % (version, len(body), body)
            )
        sent = _IF_MATCH.search(head)
        if sent is None or int(sent.group(1)) != version:
            return b"HTTP/1.1 412 Precondition Failed\r\nContent-Length: 2\r\n\r\n{}"
        self._versions[run] = version + 1
        return b'HTTP/1.1 204 No Content\r\nETag: W/"%d"\r\n\r\n' % (version + 1)


async def _serve(pipe: Connection, *, awake: bool) -> None:
    versions: dict[bytes, int] = {}
    loop = asyncio.get_running_loop()

    def stay_awake() -> None:
        loop.call_soon(stay_awake)

    if awake:
        stay_awake()
    server = await loop.create_server(lambda: _Exchange(versions), "127.0.0.1", 0)
    pipe.send(server.sockets[0].getsockname()[1])
    async with server:
        await loop.run_in_executor(None, pipe.recv)


def _main(pipe: Connection, awake: bool) -> None:
    asyncio.run(_serve(pipe, awake=awake))


@contextmanager
def serving(*, awake: bool = False) -> Generator[str]:
    """Run the server in a process of its own, and yield its base URL.

    `awake`: it never sleeps. To wake a process costs the one that sends to it several microseconds, and how often that
    happens depends on how far apart the requests are: a client that computes more between them pays more of it.
    """
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_main, args=(theirs, awake), daemon=True)
    process.start()
    theirs.close()  # so that a server that never came up ends the wait below
    try:
        yield f"http://127.0.0.1:{ours.recv()}/v1"
    finally:
        ours.send("stop")
        process.join(10)
