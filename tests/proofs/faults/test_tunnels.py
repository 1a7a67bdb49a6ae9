"""TLS through a proxy: the tunnel is made once, its credentials go to the proxy alone, on both roads."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from fielding_async.core.wire.replies import NotSent, Response
from fielding_async.http.aiohttp_client import AiohttpTransport
from fielding_async.http.proxies import Proxies, parse_proxy
from fielding_async.http.transport import Outgoing
from tests.tools.raw_proxy import RawProxy
from tests.tools.tls import TlsServer, trusting

pytestmark = pytest.mark.usefixtures("road")

TOKEN, PASSWORD = "Bearer a-token-of-the-test", "a-password"


def through(proxy: str | None) -> Proxies:
    """Return proxies as a session has them, for a proxy that its caller names."""
    return Proxies(None if proxy is None else parse_proxy("proxy", proxy))


@pytest_asyncio.fixture
async def box() -> AsyncIterator[TlsServer]:
    """A raw server behind TLS."""
    async with TlsServer() as server:
        yield server


def proxy_to(box: TlsServer) -> RawProxy:
    """Return a proxy that leads to a server."""
    return RawProxy({f"localhost:{box.port}": box.port})


async def _send(transport: AiohttpTransport, url: str, method: str, **headers: str) -> Any:
    outgoing = Outgoing(method, url, {"Authorization": TOKEN, **headers}, None)
    return await transport.send(outgoing, timeout=60, connect_timeout=60)


async def test_requests_share_a_tunnel(box: TlsServer) -> None:
    """One CONNECT serves all requests; the proxy sees its password, and neither the token nor the caller's headers."""
    async with proxy_to(box) as proxy:
        address = f"http://user:{PASSWORD}@{proxy.address}"
        url = f"https://localhost:{box.port}/v1"
        async with aiohttp.ClientSession(headers={"X-Team": "ours"}) as http:
            transport = AiohttpTransport(
                base_url=url, concurrency=1, http=http, proxies=through(address), ssl=trusting()
            )
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


async def test_an_untrusted_certificate_keeps_the_token(box: TlsServer) -> None:
    """Without trust nothing is sent, with a proxy or without."""
    url = f"https://localhost:{box.port}/v1"
    async with proxy_to(box) as proxy:
        for address in (None, f"http://{proxy.address}"):
            transport = AiohttpTransport(base_url=url, concurrency=1, http=None, proxies=through(address), ssl=None)
            assert isinstance(await _send(transport, f"{url}/run", "GET"), NotSent)
            await transport.aclose()
    assert box.requests == []


async def test_a_request_over_tls_without_a_proxy(box: TlsServer) -> None:
    """Connections behind TLS are used again."""
    url = f"https://127.0.0.1:{box.port}/v1"
    transport = AiohttpTransport(base_url=url, concurrency=1, http=None, ssl=trusting())
    for _ in range(3):
        assert isinstance(await _send(transport, f"{url}/run", "GET"), Response)
    await transport.aclose()
    assert len(box.connections) == 1
