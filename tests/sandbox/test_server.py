"""Stopping a sandbox leaves no connection behind, however new it is."""

import asyncio
import socket
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from fielding_async.sandbox import Sandbox


@pytest.mark.parametrize("turns", range(6))
async def test_a_connection_that_is_being_accepted_is_closed_as_well(turns: int) -> None:
    """A client that connects right before the stop is hung up on, at whichever turn of the loop it has arrived."""
    with socket.socket() as client:
        async with Sandbox() as box:
            client.connect(("127.0.0.1", urlsplit(box.url).port))  # the kernel answers for the listener
            for _ in range(turns):
                await asyncio.sleep(0)
        client.setblocking(False)
        with suppress(ConnectionResetError):  # it was not even accepted
            async with asyncio.timeout(5):
                assert await asyncio.get_running_loop().sock_recv(client, 1) == b""
