"""A bad network between a client and a server: slow, cut off, silent, broken in the middle of a reply, or moved."""

import asyncio
import socket
import struct
from contextlib import suppress

from .loopback import LoopbackServer

__all__ = ["FaultProxy"]


class FaultProxy(LoopbackServer):
    """Copies bytes between its port and a server's, and does what it is told to on the way.

    `target`: the server's port; after a change new connections lead there. `delay`: seconds by which every byte of the
    server comes later, which leaves the order and the bandwidth as they are. `is_refusing`: new connections are closed
    at once. `is_silent`: nothing is passed on in either direction, and new connections are accepted and answered by
    nobody; what was held back passes afterwards. `reply_bytes`: how many more bytes of the server pass before every
    connection is reset. `accepted`, `passed`: connections, and bytes of the server that were passed on, so far.
    """

    def __init__(self, target: int) -> None:
        super().__init__()
        self.target = target
        self.delay = 0.0
        self.is_refusing = False
        self.reply_bytes: int | None = None
        self.accepted = self.passed = 0
        self._passing = asyncio.Event()
        self._passing.set()
        self._accepts = asyncio.Condition()
        self._clients: set[asyncio.StreamWriter] = set()

    @property
    def is_silent(self) -> bool:
        """Whether nothing is passed on."""
        return not self._passing.is_set()

    @is_silent.setter
    def is_silent(self, value: bool) -> None:
        if value:
            self._passing.clear()
        else:
            self._passing.set()

    @property
    def open_connections(self) -> int:
        """How many clients are connected."""
        return len(self._clients)

    def cut(self) -> None:
        """Reset every connection."""
        for client in self._clients:
            _reset(client)

    async def wait_for_accepted(self, count: int) -> None:
        """Wait until so many connections have been accepted in all."""
        async with self._accepts:
            await self._accepts.wait_for(lambda: self.accepted >= count)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect a client to the server until one of them, or a fault, ends the connection."""
        self.accepted += 1
        async with self._accepts:
            self._accepts.notify_all()
        if self.is_refusing:
            return
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            _reset(writer)
            return
        self._clients.add(writer)
        line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        tasks = [
            asyncio.create_task(work)
            for work in (self._up(reader, to_server), self._receive(from_server, line), self._down(line, writer))
        ]
        try:
            await asyncio.gather(*tasks)
        except OSError:
            _reset(writer)
        finally:
            self._clients.discard(writer)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            to_server.close()
            with suppress(OSError):
                await to_server.wait_closed()

    async def _up(self, reader: asyncio.StreamReader, to_server: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            await self._passing.wait()
            to_server.write(data)
            await to_server.drain()
        raise ConnectionResetError("the client has closed")

    @staticmethod
    async def _receive(from_server: asyncio.StreamReader, line: asyncio.Queue[tuple[float, bytes]]) -> None:
        clock = asyncio.get_running_loop().time
        with suppress(ConnectionError):
            while data := await from_server.read(65_536):
                line.put_nowait((clock(), data))
        line.put_nowait((clock(), b""))

    async def _down(self, line: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            came, data = await line.get()
            await asyncio.sleep(came + self.delay - clock())
            await self._passing.wait()
            if not data:
                raise ConnectionResetError("the server has closed")
            if self.reply_bytes is not None:
                data = data[: self.reply_bytes]
                self.reply_bytes -= len(data)
            self.passed += len(data)
            writer.write(data)
            await writer.drain()
            if self.reply_bytes == 0:
                self.cut()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Have the other side see a reset, without the bytes that are still to be written."""
    sock: socket.socket | None = writer.get_extra_info("socket")
    if sock is not None and not writer.is_closing():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
