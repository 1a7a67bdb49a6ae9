"""Waits until a server has answered, on a connection whose driver does not say so."""

import asyncio
from typing import cast

__all__ = ["FirstAnswer"]


class FirstAnswer(asyncio.Protocol):
    """Stands between a transport and the protocol of a driver until the next bytes of the server have arrived.

    asyncio lets the protocol of a transport be replaced (`WriteTransport.set_protocol`).
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._protocol: asyncio.Protocol = cast("asyncio.Protocol", transport.get_protocol())
        self._has_come = asyncio.Event()
        transport.set_protocol(self)

    async def wait(self) -> None:
        """Wait for the bytes, or for the end of the connection."""
        await self._has_come.wait()

    def end(self) -> None:
        """Give the transport back to the driver. May be called again."""
        self._has_come.set()
        if self._transport.get_protocol() is self:
            self._transport.set_protocol(self._protocol)

    # -- what a transport calls

    def data_received(self, data: bytes) -> None:
        """Pass the bytes on, and all that follow."""
        self.end()
        self._protocol.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass the end on."""
        self.end()
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass the end on."""
        self.end()
        self._protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass it on."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._protocol.resume_writing()
