"""An HTTP proxy over raw sockets: it tunnels CONNECT to servers of the test, and records every head that it is sent."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from .loopback import LoopbackServer, copy

__all__ = ["RawProxy"]


class RawProxy(LoopbackServer):
    """A proxy that leads `HOST:PORT` to a port of this machine. `refusal`: the reply to every CONNECT."""

    def __init__(self, targets: Mapping[str, int] | None = None, refusal: bytes | None = None) -> None:
        super().__init__()
        self.targets = dict(targets or {})
        self.refusal = refusal
        self.heads: list[bytes] = []

    @property
    def asked(self) -> list[str]:
        """The request lines, without the version."""
        return [head.split(b" HTTP/")[0].decode() for head in self.heads]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one CONNECT, and copy both ways."""
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
            await asyncio.gather(copy(reader, from_us), copy(to_server, writer))
        finally:
            from_us.close()
            with suppress(ConnectionError):
                await from_us.wait_closed()
