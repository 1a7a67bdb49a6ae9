"""How much a session reads at once: blocks that an allocator keeps, not blocks that it maps for every reply."""

import asyncio
import socket
import ssl
from typing import Any

import aiohttp
import pytest

from fielding_async import FieldingSession
from fielding_async.http.connection import READ_SIZE, read_small_blocks
from fielding_async.sandbox import Sandbox
from tests.tools.sessions import REF, TOKEN, session
from tests.tools.tls import TlsServer, trusting


def _record(monkeypatch: pytest.MonkeyPatch, kind: type, name: str) -> list[int]:
    """Return what will have the sizes of the blocks that replies are read into."""
    found: list[int] = []
    read = getattr(kind, name)

    def recording(reader: Any, size: int, *more: Any) -> Any:
        data = read(reader, size, *more)
        if isinstance(data, bytes) and data.startswith(b"HTTP/1.1 "):
            found.append(size)
        return data

    monkeypatch.setattr(kind, name, recording, raising=False)
    return found


@pytest.mark.parametrize("traces", [[], [aiohttp.TraceConfig()]], ids=["fast path", "public path"])
async def test_replies_are_read_in_blocks_of_64_kib(
    monkeypatch: pytest.MonkeyPatch, traces: list[aiohttp.TraceConfig]
) -> None:
    """asyncio asks for 256 KiB. For that glibc maps a block of its own and unmaps it, reply by reply."""
    found = _record(monkeypatch, socket.socket, "recv")
    async with (
        Sandbox() as sandbox,
        aiohttp.ClientSession(trace_configs=traces) as http,
        session(sandbox, http=http) as fielding,
    ):
        run = fielding.run(sandbox.add_run("live"))
        assert (await run.pause()).effect == "accepted"
        assert (await run.resume()).effect == "accepted"
    assert found == [READ_SIZE] * 3


async def test_replies_over_tls_are_read_in_blocks_of_64_kib(monkeypatch: pytest.MonkeyPatch) -> None:
    """As without TLS: asyncio asks the TLS library for 256 KiB, too."""
    found = _record(monkeypatch, ssl.SSLObject, "read")
    async with TlsServer() as server, FieldingSession(TOKEN, base_url=server.url, ssl=trusting()) as fielding:
        assert (await fielding.run(REF).pause()).effect == "accepted"
    assert found
    assert set(found) == {READ_SIZE}


def test_a_transport_of_another_event_loop_is_left_as_it_is() -> None:
    """It may have no such setting, a smaller one, or one that cannot be set."""

    class Fixed(asyncio.BaseTransport):
        max_size = property(lambda self: 256 * 1024)

    class Small(asyncio.BaseTransport):
        max_size = 1024

    read_small_blocks(asyncio.BaseTransport())
    read_small_blocks(Fixed())
    small = Small()
    read_small_blocks(small)
    assert small.max_size == 1024
