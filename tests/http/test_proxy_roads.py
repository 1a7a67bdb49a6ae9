"""Sessions and proxies over real sockets: who sees what, and a proxy that refuses is asked once."""

import base64
import json
import socket
import warnings
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp.abc import AbstractResolver

from fielding_async import BadRequestError, ClientCredentials, FieldingSession, TransportError
from fielding_async.cli.shared.sandbox_detection import is_sandbox
from fielding_async.sandbox import Sandbox
from tests.proofs.faults.raw_server import head, raw
from tests.tools.raw_proxy import RawProxy
from tests.tools.sessions import QUICK, REF, TOKEN, session
from tests.tools.tls import TlsServer, trusting

API = "https://exchange.example/v1"
WORD = "hunter2-of-the-proxy"
SECRET = "secret-of-the-client"


class Names(AbstractResolver):
    """A resolver for which every name is this machine, or another address."""

    def __init__(self, address: str = "127.0.0.1", family: socket.AddressFamily = socket.AF_INET) -> None:
        self.address = address
        self.family = family

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> Any:
        """Return the address."""
        found = {"hostname": host, "host": self.address, "port": port, "family": self.family, "proto": 0, "flags": 0}
        return [found]

    async def close(self) -> None:
        """Do nothing."""


@pytest_asyncio.fixture
async def server() -> AsyncIterator[TlsServer]:
    """An exchange behind TLS."""
    async with TlsServer() as box:
        yield box


@pytest_asyncio.fixture
async def proxy(server: TlsServer) -> AsyncIterator[RawProxy]:
    """A proxy that leads to it."""
    async with RawProxy({"exchange.example:443": server.port, "auth.example:443": server.port}) as box:
        yield box


def every_variable(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Name a proxy in each variable that there is."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, url)
        monkeypatch.setenv(name.upper(), url)


async def test_a_loopback_base_url_is_spoken_to_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    """The token of a sandbox is not sent to a proxy that the environment names, nor is anything else."""
    async with RawProxy() as seen, Sandbox(require_token=TOKEN) as box:
        every_variable(monkeypatch, f"http://{seen.address}")
        async with session(box) as fielding:
            outcome = await fielding.run(box.add_run("live")).pause()
        box.add_client("client", SECRET)
        credentials = ClientCredentials("client", SECRET, token_url=box.token_url)
        async with aiohttp.ClientSession(trust_env=True) as http, session(box, auth=credentials, http=http) as fielding:
            await fielding.run(box.add_run("live")).pause()
        assert await is_sandbox(box.url)
        assert outcome.effect == "accepted"
        assert seen.heads == []


async def test_the_secret_for_a_loopback_token_endpoint_is_not_shown_to_the_proxy_of_the_api(
    monkeypatch: pytest.MonkeyPatch, server: TlsServer, proxy: RawProxy
) -> None:
    """A proxy for https sees CONNECT to the API, and nothing of the token endpoint."""
    async with Sandbox() as box:
        box.add_client("client", SECRET)
        auth = ClientCredentials("client", SECRET, token_url=box.token_url)
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
        async with FieldingSession(auth, base_url=API, ssl=trusting()) as fielding:
            assert (await fielding.run(REF).pause()).effect == "accepted"
    assert proxy.asked == ["CONNECT exchange.example:443"]


@pytest.mark.parametrize(
    ("exceptions", "asked"),
    [
        ("", ["CONNECT auth.example:443", "CONNECT exchange.example:443"]),
        ("auth.example", ["CONNECT exchange.example:443"]),
        ("exchange.example:443", ["CONNECT auth.example:443"]),
        ("exchange.example:8443", ["CONNECT auth.example:443", "CONNECT exchange.example:443"]),
        (".example", []),
    ],
)
async def test_each_origin_goes_by_its_own_exceptions(
    monkeypatch: pytest.MonkeyPatch, server: TlsServer, proxy: RawProxy, exceptions: str, asked: list[str]
) -> None:
    """A token endpoint in `NO_PROXY` is spoken to directly while the API is not, and the other way round."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.address}")
    monkeypatch.setenv("NO_PROXY", exceptions)
    # a name without a proxy leads to port 443 of this machine, where the test may not listen
    ports = {"exchange.example": server.port, "auth.example": server.port}

    class ToServer(Names):
        async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> Any:
            return await super().resolve(host, ports.get(host, port), family)

    connector = aiohttp.TCPConnector(resolver=ToServer(), ssl=trusting())
    async with aiohttp.ClientSession(connector=connector, trust_env=True) as http:
        auth = ClientCredentials("client", SECRET, token_url="https://auth.example/oauth/token")
        async with FieldingSession(auth, base_url=API, http=http) as fielding:
            assert (await fielding.run(REF).pause()).effect == "accepted"
    assert proxy.asked == asked
    assert not any(SECRET.encode() in head or TOKEN.encode() in head for head in proxy.heads)


async def test_the_password_of_a_proxy_is_sent_to_it_alone(server: TlsServer, proxy: RawProxy) -> None:
    """It goes with CONNECT, decoded, once for each connection, and is no header of what is in the tunnel."""
    named = f"http://me:{WORD}%2F@{proxy.address}"
    async with FieldingSession(TOKEN, base_url=API, proxy=named, ssl=trusting()) as fielding:
        await fielding.run(REF).pause()
        await fielding.run(REF).get()
    (head,) = proxy.heads
    assert b"Proxy-Authorization: Basic bWU6aHVudGVyMi1vZi10aGUtcHJveHkv\r\n" in head
    assert TOKEN.encode() not in head
    assert {len(request.values("Proxy-Authorization")) for request in server.requests} == {0}


async def test_a_proxy_is_not_sent_the_default_headers_of_a_callers_session(server: TlsServer, proxy: RawProxy) -> None:
    """They are for the API; CONNECT goes in clear text."""
    headers = {"X-Gateway-Key": "key-of-the-gateway"}
    async with (
        aiohttp.ClientSession(headers=headers, proxy=f"http://me:{WORD}@{proxy.address}") as http,
        FieldingSession(TOKEN, base_url=API, http=http, ssl=trusting()) as fielding,
    ):
        await fielding.run(REF).pause()
    assert [b"X-Gateway-Key" in head for head in proxy.heads] == [False]
    assert b"Proxy-Authorization: Basic " in proxy.heads[0]
    assert {tuple(request.values("X-Gateway-Key")) for request in server.requests} == {(b"key-of-the-gateway",)}


async def test_a_password_that_an_answer_repeats_is_taken_out(server: TlsServer, proxy: RawProxy) -> None:
    """Something behind the proxy may be told its credentials; no error shows them, plain or as they are sent."""
    said = f"me:{WORD} is Basic {base64.b64encode(f'me:{WORD}'.encode()).decode()}"
    body = json.dumps({"object": "error", "detail": said, "id": "1"}).encode()
    server.script("get", raw(head("400 Bad Request", "Content-Type: application/json", length=len(body)) + body))
    named = f"http://me:{WORD}@{proxy.address}"
    async with FieldingSession(TOKEN, base_url=API, proxy=named, ssl=trusting()) as fielding:
        with pytest.raises(BadRequestError) as caught:
            await fielding.run(REF).get()
    shown = f"{caught.value} {vars(caught.value)}"
    assert WORD not in shown
    assert "aHVudGVy" not in shown
    assert "bWU6" not in shown


REFUSAL = f"HTTP/1.1 407 Give me {WORD}\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n".encode()


@pytest.mark.parametrize("is_endpoint", [False, True], ids=["API", "token endpoint"])
@pytest.mark.parametrize(
    ("refusal", "said", "times"),
    [
        (REFUSAL, "the proxy wants another user and password: 407 Proxy Authentication Required", 1),
        (b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", "the proxy refuses to connect: 403 Forbidden", 1),
        (b"HTTP/1.1 302 No\r\nContent-Length: 0\r\n\r\n", "the proxy refuses to connect: 302 Found", 1),
        (b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "the proxy refuses to connect: 503 Service", 5),
        (b"HTTP/1.1 599 No\r\nContent-Length: 0\r\n\r\n", "the proxy refuses to connect: 599", 5),
    ],
    ids=["407", "403", "302", "503", "599"],
)
async def test_a_proxy_that_refuses_for_good_is_asked_once(
    refusal: bytes, said: str, times: int, is_endpoint: bool
) -> None:
    """A 407 is told with status and the word proxy, without a secret, and tried once: attempts lock accounts."""
    auth: Any = TOKEN
    if is_endpoint:
        auth = ClientCredentials("client", SECRET, token_url="https://auth.example/oauth/token")
    async with RawProxy(refusal=refusal) as proxy:
        named = f"http://me:{WORD}@{proxy.address}"
        async with FieldingSession(auth, base_url=API, proxy=named, retry=QUICK) as fielding:
            with pytest.raises(TransportError) as caught:
                await fielding.run(REF).pause()
        assert len(proxy.heads) == times
    assert said in str(caught.value)
    assert WORD not in str(vars(caught.value))
    assert caught.value.is_final is (times == 1)


async def test_a_proxy_that_is_not_there_is_named_and_tried_again() -> None:
    """A refused connection is told as the proxy's, without aiohttp's `ssl:default`."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    async with FieldingSession(TOKEN, base_url=API, proxy=f"http://127.0.0.1:{port}", retry=QUICK) as fielding:
        with pytest.raises(TransportError, match=rf"the proxy 127\.0\.0\.1:{port}: .*refused") as caught:
            await fielding.run(REF).get()
    assert "ssl" not in str(caught.value)
    assert not caught.value.is_final


async def test_the_credentials_that_a_callers_session_has_for_its_proxy_are_used(
    server: TlsServer, proxy: RawProxy
) -> None:
    """Its `proxy_auth` is sent with CONNECT as it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        auth = aiohttp.BasicAuth("user", "p@ss:word/")
        http = aiohttp.ClientSession(proxy=f"http://{proxy.address}", proxy_auth=auth)
    async with http, FieldingSession(TOKEN, base_url=API, http=http, ssl=trusting()) as fielding:
        await fielding.run(REF).pause()
    assert f"Proxy-Authorization: {auth.encode()}\r\n".encode() in proxy.heads[0]
