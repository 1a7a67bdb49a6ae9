"""A relay that hands bytes on, and keeps what went in: what a proxy or a server gets to see."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from attrs import define, field

__all__ = ["Tap", "tap"]


@define
class Tap:
    """Where it listens, how many connections it accepted, and the bytes that clients sent."""

    port: int = 0
    connections: int = 0
    sent: bytearray = field(factory=bytearray)


@asynccontextmanager
async def tap(port: int | None = None) -> AsyncIterator[Tap]:
    """Relay every connection to a port of the loopback address; without one, close it at once."""
    found = Tap()
    relays: set[asyncio.Task[None]] = set()

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        relays.add(task)
        found.connections += 1
        try:
            if port is not None:
                there, back = await asyncio.open_connection("127.0.0.1", port)
                async with asyncio.TaskGroup() as group:
                    group.create_task(_copy(reader, back, found.sent))
                    group.create_task(_copy(there, writer, bytearray()))
        finally:
            await _close(writer)

    server = await asyncio.start_server(accepted, "127.0.0.1", 0)
    found.port = int(server.sockets[0].getsockname()[1])
    try:
        yield found
    finally:
        server.close()
        await asyncio.gather(*relays)
        await server.wait_closed()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray) -> None:
    try:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                kept += data
                writer.write(data)
                await writer.drain()
    finally:
        await _close(writer)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
