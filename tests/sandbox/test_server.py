"""Connections that are new, cut or abandoned: none is left when the sandbox stops."""

import asyncio
import socket
from contextlib import suppress
from urllib.parse import urlsplit

import aiohttp
import pytest

from fielding_async.sandbox import Cut, Sandbox

from .api import Api, run_path, status_of


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


def test_a_request_that_never_ends_is_none(caplog: pytest.LogCaptureFixture) -> None:
    """A client that goes away in the middle of its body has sent no request, and nobody makes a noise."""
    with Sandbox() as sandbox:
        ref = sandbox.add_run()
        host, port = sandbox.url.removeprefix("http://").removesuffix("/v1").split(":")
        with socket.create_connection((host, int(port))) as connection:
            lines = ["Host: localhost", "Expect: 100-continue", "Content-Length: 100", "", "{"]
            connection.sendall("\r\n".join([f"PUT /v1{run_path(ref)} HTTP/1.1", *lines]).encode())
        assert '"scheduled"' in status_of(sandbox, ref)
    assert [request.operation for request in sandbox.requests] == ["get"]
    assert caplog.records == []


async def test_nothing_is_left_on_the_loop() -> None:
    """Stopping leaves no task behind, even with connections open and a reply cut."""
    before = asyncio.all_tasks()
    async with aiohttp.ClientSession() as http:
        async with Sandbox() as sandbox:
            ref = sandbox.add_run("live")
            api = Api(sandbox, http)
            await api.get(ref)
            sandbox.script(Cut("headers"))
            with pytest.raises(aiohttp.ClientError):
                await api.act(ref, "pause")
            await api.get(ref)
        assert asyncio.all_tasks() == before
