"""TLS through a proxy: the tunnel is made once, its credentials go to the proxy alone, on both roads."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from fielding_async.core.wire.replies import NotSent, Response
from fielding_async.http.aiohttp_client import AiohttpTransport
from fielding_async.http.proxies import Proxies, parse_proxy
from fielding_async.http.transport import Outgoing

from .raw_server import Connection, RawServer

pytestmark = pytest.mark.usefixtures("road")

CERTIFICATE = """
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgRV9+9Wl/eKrK1bUj
b7PB3yHEzRzwk51yEwF/GFBHJD6hRANCAAQWSLuIhaNC4uRFjTom9iLieY1ZiAON
+ROhBrLWHZOTGxVTvVINr+5q2W7tzgmVK3qQqEwRHbfoKfWQh6OtCfoy
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBmzCCAUGgAwIBAgIUeXHTl7FISZoNAR8LvsL+oJnlFEAwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyODIyMTMyNloYDzIxMjYxMTA0
MjIxMzI2WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQWSLuIhaNC4uRFjTom9iLieY1ZiAON+ROhBrLWHZOTGxVTvVINr+5q
2W7tzgmVK3qQqEwRHbfoKfWQh6OtCfoyo28wbTAdBgNVHQ4EFgQUVmb+DJ/toC9S
4Bg3OFmmMp2u2tswHwYDVR0jBBgwFoAUVmb+DJ/toC9S4Bg3OFmmMp2u2tswDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSAAwRQIhALgEaTwLVIb6mBKxsr8zoX+2lGYCfDf5RUYGC1D2QW/VAiA+
HsMclb6o6GjoFHSkr3NRIyzaMHf5vp2UZ58xV0HDlQ==
-----END CERTIFICATE-----
"""
"""Of localhost and 127.0.0.1, signed by itself; made for these tests."""

TOKEN, PASSWORD = "Bearer a-token-of-the-test", "a-password"


def through(proxy: str | None) -> Proxies:
    """Return proxies as a session has them, for a proxy that its caller names."""
    return Proxies(None if proxy is None else parse_proxy("proxy", proxy))


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[tuple[RawServer, ssl.SSLContext]]:
    """A raw server behind TLS, and a context that trusts it."""
    file = tmp_path / "certificate.pem"
    file.write_text(CERTIFICATE)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    box = RawServer()
    box._server = await asyncio.start_server(box._connected, "127.0.0.1", 0, ssl=context)
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.load_verify_locations(file)
    yield box, trusting
    await box.__aexit__(None, None, None)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


class _Proxy(RawServer):
    """A proxy that leads everywhere to one port."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self.heads: list[bytes] = []
        self._port = port

    async def tunnel(self, connection: Connection) -> None:
        """Read CONNECT, and copy both ways."""
        self.heads.append(await connection.reader.readuntil(b"\r\n\r\n"))
        to_server, from_us = await asyncio.open_connection("127.0.0.1", self._port)
        await connection.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_copy(connection.reader, from_us), _copy(to_server, connection.writer))
        connection.close()


async def _send(transport: AiohttpTransport, url: str, method: str, **headers: str) -> Any:
    outgoing = Outgoing(method, url, {"Authorization": TOKEN, **headers}, None)
    return await transport.send(outgoing, timeout=60, connect_timeout=60)


async def test_requests_share_a_tunnel(server: tuple[RawServer, ssl.SSLContext]) -> None:
    """One CONNECT serves all requests; the proxy sees its password, and neither the token nor the caller's headers."""
    box, trusting = server
    async with _Proxy(box.port) as proxy:
        proxy.accepting.append(proxy.tunnel)
        address = f"http://user:{PASSWORD}@127.0.0.1:{proxy.port}"
        url = f"https://localhost:{box.port}/v1"
        async with aiohttp.ClientSession(headers={"X-Team": "ours"}) as http:
            transport = AiohttpTransport(base_url=url, concurrency=1, http=http, proxies=through(address), ssl=trusting)
            found = [await _send(transport, f"{url}/run", "GET") for _ in range(2)]
            etag = found[-1].headers["ETag"]
            found.append(await _send(transport, f"{url}/pause", "POST", **{"If-Match": etag}))
            await transport.aclose()
    assert [reply.status for reply in found if isinstance(reply, Response)] == [200, 200, 204]
    (connect,) = proxy.heads
    assert connect.startswith(f"CONNECT localhost:{box.port} HTTP/1.1\r\n".encode())
    pair = base64.b64encode(f"user:{PASSWORD}".encode())
    assert b"Proxy-Authorization: Basic " + pair + b"\r\n" in connect
    assert TOKEN.encode() not in connect
    assert b"X-Team" not in connect
    assert box.applied == ["pause"]
    for request in box.requests:
        assert request.values("X-Team") == [b"ours"]
        assert request.values("Proxy-Authorization") == []


async def test_an_untrusted_certificate_keeps_the_token(server: tuple[RawServer, ssl.SSLContext]) -> None:
    """Without trust nothing is sent, with a proxy or without."""
    box, _ = server
    url = f"https://localhost:{box.port}/v1"
    async with _Proxy(box.port) as proxy:
        proxy.accepting.append(proxy.tunnel)
        for address in (None, f"http://127.0.0.1:{proxy.port}"):
            transport = AiohttpTransport(base_url=url, concurrency=1, http=None, proxies=through(address), ssl=None)
            assert isinstance(await _send(transport, f"{url}/run", "GET"), NotSent)
            await transport.aclose()
    assert box.requests == []


async def test_a_request_over_tls_without_a_proxy(server: tuple[RawServer, ssl.SSLContext]) -> None:
    """Connections behind TLS are used again."""
    box, trusting = server
    url = f"https://127.0.0.1:{box.port}/v1"
    transport = AiohttpTransport(base_url=url, concurrency=1, http=None, ssl=trusting)
    for _ in range(3):
        assert isinstance(await _send(transport, f"{url}/run", "GET"), Response)
    await transport.aclose()
    assert len(box.connections) == 1
