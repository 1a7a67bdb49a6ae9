"""The bad network does what it is told to, and passes everything on otherwise."""

import asyncio

import pytest

from .fault_proxy import FaultProxy
from .loopback import LoopbackServer
from .virtual_time import run


class Echo(LoopbackServer):
    """Answers each line with a name and the line."""

    def __init__(self, name: bytes = b"") -> None:
        super().__init__()
        self.name = name
        self.lines: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer until the client closes."""
        while line := await reader.readline():
            self.lines.append(line)
            writer.write(self.name + line)
            await writer.drain()


async def test_bytes_pass_and_the_end_of_a_client_is_passed_on() -> None:
    """Without a fault nothing is changed."""
    async with Echo() as server, FaultProxy(server.port) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"one\ntwo\n")
        assert await reader.readexactly(8) == b"one\ntwo\n"
        writer.close()
        await writer.wait_closed()


async def test_a_cut_connection_is_reset_and_a_new_one_passes() -> None:
    """A reset is what the client sees."""
    async with Echo() as server, FaultProxy(server.port) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"one\n")
        await reader.readline()
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            await reader.readline()
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"two\n")
        assert await reader.readline() == b"two\n"
        writer.close()


async def test_a_reply_is_cut_in_its_middle() -> None:
    """The server has carried out what the client does not hear of."""
    async with Echo() as server, FaultProxy(server.port) as proxy:
        proxy.reply_bytes = 2
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"one\n")
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readuntil(b"\n")
        assert server.lines == [b"one\n"]
        writer.close()


async def test_a_silent_network_keeps_what_was_sent() -> None:
    """What was held back passes when it speaks again."""
    async with Echo() as server, FaultProxy(server.port) as proxy:
        proxy.is_silent = True
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"one\n")
        waiting = asyncio.create_task(reader.readline())
        await proxy.wait_for_accepted(1)
        assert not waiting.done()
        assert server.lines == []
        proxy.is_silent = False
        assert await waiting == b"one\n"
        writer.close()


async def test_new_connections_lead_to_the_new_target_or_nowhere() -> None:
    """As an address that moves from one server to another."""
    async with Echo(b"a ") as first, Echo(b"b ") as second, FaultProxy(first.port) as proxy:
        proxy.target = second.port
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"one\n")
        assert await reader.readline() == b"b one\n"
        writer.close()
        proxy.is_refusing = True
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        assert await reader.read() == b""
        writer.close()


def test_replies_come_later_in_their_order() -> None:
    """Each is late by the delay, and not by the sum of those before it."""

    async def main() -> float:
        clock = asyncio.get_running_loop().time
        began = clock()
        proxy = FaultProxy(0)
        proxy.delay = 0.8
        line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        for number in range(3):
            line.put_nowait((clock(), b"%d" % number))
        line.put_nowait((clock(), b""))
        written = Written()
        with pytest.raises(ConnectionResetError):
            await proxy._down(line, written)  # type: ignore[arg-type]
        assert written.data == [b"0", b"1", b"2"]
        return clock() - began

    assert run(main()) == pytest.approx(0.8)


class Written:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.data: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.data.append(data)

    async def drain(self) -> None:
        """Wait for nothing."""
