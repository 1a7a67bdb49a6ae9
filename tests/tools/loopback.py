"""A server on a port of the loopback address, one task for each connection, whose failures fail the test."""

import asyncio
import ssl
from abc import ABC, abstractmethod
from contextlib import suppress
from types import TracebackType
from typing import Self

from .waits import HANG

__all__ = ["LoopbackServer", "copy"]


class LoopbackServer(ABC):
    """A server over sockets, behind TLS with a context. At the end it waits until clients have closed everything."""

    context: ssl.SSLContext | None = None

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @abstractmethod
    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, which is closed afterwards. One that the client breaks off ends in good order."""

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection: a callback of asyncio's servers."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self.serve(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError, TimeoutError):
                await writer.wait_closed()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self.connected, "127.0.0.1", 0, ssl=self.context)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        done, late = await asyncio.wait(self._tasks, timeout=HANG) if self._tasks else (set(), set())
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        await self._server.wait_closed()
        if error is None:
            for task in done:
                task.result()
            assert not late, f"{len(late)} connections were left open by the client"

    @property
    def port(self) -> int:
        """The port it listens on."""
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy bytes until they end, and pass the end on."""
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()
