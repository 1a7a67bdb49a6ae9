"""An HTTP proxy over raw sockets: it tunnels CONNECT to servers of the test, and records every head that it is sent."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

from .waits import HANG

__all__ = ["RawProxy"]


class RawProxy:
    """A proxy that leads `HOST:PORT` to a port of this machine. `refusal`: the reply to every CONNECT."""

    def __init__(self, targets: Mapping[str, int] | None = None, refusal: bytes | None = None) -> None:
        self.targets = dict(targets or {})
        self.refusal = refusal
        self.heads: list[bytes] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=HANG)
            assert not late
        await self._server.wait_closed()

    @property
    def address(self) -> str:
        """Host and port."""
        assert self._server is not None
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def asked(self) -> list[str]:
        """The request lines, without the version."""
        return [head.split(b" HTTP/")[0].decode() for head in self.heads]

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._serve(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        method, target = head.split(b" ")[:2]
        port = self.targets.get(target.decode())
        if self.refusal is not None or method != b"CONNECT" or port is None:
            writer.write(self.refusal or b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
            return
        to_server, from_us = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(_copy(reader, from_us), _copy(to_server, writer))
        finally:
            from_us.close()
            with suppress(ConnectionError):
                await from_us.wait_closed()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
