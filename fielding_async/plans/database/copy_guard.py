"""Tells when the rows of a COPY may be written, for a driver that does not wait for the server.

asyncpg writes CopyData before CopyInResponse has arrived. PgBouncer 1.26 discards that, and then both sides wait. While
asyncpg waits for a full buffer to empty, it does not notice that the connection is lost.
"""

import asyncio
from typing import cast

__all__ = ["CopyGuard"]

_HEAD = 5  # bytes of a message: its type, and its length without the type
_RESPONSES = b"GE"  # CopyInResponse, ErrorResponse


class CopyGuard(asyncio.Protocol):
    """Stands between a transport and the protocol of the driver during one COPY (`BaseTransport.set_protocol`).

    The loss of the connection is passed on by `end`: what a driver writes after the rows needs a transport. Raises
    `ConnectionResetError` if the connection is lost already.
    """

    def __init__(self, transport: asyncio.Transport | None) -> None:
        protocol = None if transport is None or transport.is_closing() else transport.get_protocol()
        if transport is None or protocol is None:
            raise ConnectionResetError("the connection was lost before")
        self.transport: asyncio.Transport = transport
        self._protocol: asyncio.Protocol = cast("asyncio.Protocol", protocol)
        self._is_over = self._has_response = self._is_paused = False
        self._changed = asyncio.Event()
        self._begun = b""  # a message of which only a part has arrived
        self._loss: tuple[Exception | None] | None = None
        transport.set_protocol(self)

    async def may_write(self) -> bool:
        """Wait until rows may be written. Returns `False` if the connection was lost instead."""
        while self._loss is None and (self._is_paused or not self._has_response):
            self._changed.clear()
            await self._changed.wait()
        return self._loss is None

    def end(self) -> None:
        """Give the transport back to the driver, and tell it of a loss. May be called again."""
        if self._is_over:
            return
        self._is_over = True
        if self._loss is not None:
            self._protocol.connection_lost(*self._loss)
        elif self.transport.get_protocol() is self:
            self.transport.set_protocol(self._protocol)

    # -- what a transport calls

    def data_received(self, data: bytes) -> None:
        """Pass the bytes on, and look for the response among them."""
        if not self._has_response:
            self._look(self._begun + data)
        self._protocol.data_received(data)

    def _look(self, data: bytes) -> None:
        while data and data[0] not in _RESPONSES:
            size = 1 + int.from_bytes(data[1:_HEAD], "big")
            if len(data) < max(size, _HEAD):
                self._begun = data
                return
            data = data[size:]
        self._begun, self._has_response = b"", bool(data)
        self._changed.set()

    def eof_received(self) -> bool | None:
        """Pass the end on. The loss of the connection follows."""
        return self._protocol.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Keep the loss for `end`."""
        self._loss = (exc,)
        if self._is_over:
            self._protocol.connection_lost(exc)
        self._changed.set()

    def pause_writing(self) -> None:
        """Have no more rows written."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """Have rows written again."""
        self._is_paused = False
        self._changed.set()
