"""TLS with servers that are in order, or not, and plain http that stays on this machine; over real sockets."""

import asyncio
import datetime
import socket
import ssl
import warnings
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
import pytest_asyncio
import trustme

from fielding_async import (
    ClientCredentials,
    ConfigurationError,
    FieldingSession,
    OutcomeUnknownError,
    Retry,
    TransportError,
)
from fielding_async.http.connection import check_peer
from fielding_async.http.failures import NotThisMachineError
from tests.proofs.faults.raw_server import Connection, RawRequest, RawServer
from tests.tools.sessions import QUICK, REF, TOKEN
from tests.tools.tls import TlsServer, authority, failing_handshakes, server_context, trusting

from .test_proxy_roads import Names

TWICE = Retry(max_attempts=2, base=0.001)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[TlsServer]:
    """An exchange whose certificate is signed by the authority of the tests."""
    async with TlsServer() as box:
        yield box


# -- the argument


@pytest.mark.parametrize(
    "value", ["/path/ca.pem", "", 0, 1, b"x", (), Path("ca.pem"), ssl], ids=lambda value: repr(value)[:20]
)
async def test_what_is_no_context_is_refused_with_the_way_to_make_one(value: Any) -> None:
    """A path above all: aiohttp would take it for `False`, and verify nothing."""
    with pytest.raises(ConfigurationError, match=r"^ssl: must be .* ssl\.create_default_context\(cafile=…\), not "):
        FieldingSession(TOKEN, ssl=value)


async def test_a_context_for_servers_is_refused() -> None:
    """Every connection would fail with it; that of a caller's connector is refused on entry."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with pytest.raises(ConfigurationError, match=r"^ssl: .*not one for servers"):
        FieldingSession(TOKEN, ssl=context)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as http:
        with pytest.raises(ConfigurationError, match=r"^http: .*not one for servers"):
            await FieldingSession(TOKEN, http=http).__aenter__()
        FieldingSession(TOKEN, http=http, ssl=trusting())


async def test_what_is_not_verified_is_warned_of_once(server: TlsServer) -> None:
    """`ssl=False` works, and says what it means where the session is made."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fielding = FieldingSession(TOKEN, base_url=server.url, ssl=False)
        async with fielding:
            assert (await fielding.run(REF).pause()).effect == "accepted"
    assert [(str(one.message).partition(":")[0], one.filename) for one in caught] == [("ssl=False", __file__)]


async def test_true_verifies_whatever_the_connector_says(server: TlsServer) -> None:
    """The argument goes before the caller's connector, which decides where nothing is said."""
    connector = aiohttp.TCPConnector(ssl=False)
    async with aiohttp.ClientSession(connector=connector) as http:
        async with FieldingSession(TOKEN, base_url=server.url, http=http, ssl=True, retry=QUICK) as fielding:
            with pytest.raises(TransportError, match="certificate"):
                await fielding.run(REF).get()
        assert server.requests == []
        async with FieldingSession(TOKEN, base_url=server.url, http=http) as fielding:
            assert (await fielding.run(REF).get()).status == "live"


async def test_a_context_is_used_for_both_origins(server: TlsServer) -> None:
    """A company's own authority in a context makes the API and the token endpoint trusted."""
    auth = ClientCredentials("client", "secret-of-the-client", token_url=f"https://localhost:{server.port}/oauth/token")
    async with FieldingSession(auth, base_url=server.url, ssl=trusting()) as fielding:
        assert (await fielding.run(REF).pause()).effect == "accepted"


# -- what is bound to fail again


def _expired() -> ssl.SSLContext:
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    before = datetime.datetime(2019, 1, 1, tzinfo=datetime.UTC)
    return server_context(authority().issue_cert("127.0.0.1", not_before=before, not_after=past))


def _of_another() -> ssl.SSLContext:
    return server_context(authority().issue_cert("elsewhere.example"))


def _unknown() -> ssl.SSLContext:
    return server_context(trustme.CA().issue_cert("127.0.0.1"))


def _wants_certificate(version: ssl.TLSVersion) -> ssl.SSLContext:
    context = server_context()
    context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    authority().configure_trust(context)
    return context


def _old() -> ssl.SSLContext:
    context = server_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def _new_client() -> ssl.SSLContext:
    context = trusting()
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


def _other_ciphers() -> ssl.SSLContext:
    context = _old()
    context.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
    return context


def _few_ciphers() -> ssl.SSLContext:
    context = trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    return context


REFUSED: dict[str, tuple[Callable[[], ssl.SSLContext], Callable[[], ssl.SSLContext | None], str]] = {
    "self-signed authority": (server_context, lambda: None, r"the certificate of 127\.0\.0\.1:\d+ is not trusted: "),
    "unknown authority": (_unknown, trusting, "is not trusted: unable to get local issuer"),
    "expired": (_expired, trusting, "is not trusted: certificate has expired"),
    "of another host": (_of_another, trusting, "is not trusted: IP address mismatch"),
    "wants a certificate, TLS 1.3": (
        lambda: _wants_certificate(ssl.TLSVersion.TLSv1_3),
        trusting,
        "refuses the client certificate, or wants one and got none",
    ),
    "wants a certificate, TLS 1.2": (
        lambda: _wants_certificate(ssl.TLSVersion.TLSv1_2),
        trusting,
        "refuses the TLS handshake: no cipher in common, or it wants a client certificate",
    ),
    "an old version": (_old, _new_client, "has no TLS version in common with this side"),
    "other ciphers": (_other_ciphers, _few_ciphers, "refuses the TLS handshake: no cipher in common"),
}


@pytest.mark.parametrize("is_endpoint", [False, True], ids=["API", "token endpoint"])
@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("is_traced", [False, True], ids=["fast path", "by session"])
async def test_a_handshake_that_is_bound_to_fail_is_tried_once(case: str, is_traced: bool, is_endpoint: bool) -> None:
    """It ends at once in a `TransportError` that names what is wrong, in words, and no object or default of ours."""
    of_server, of_client, said = REFUSED[case]
    traces = [aiohttp.TraceConfig()] if is_traced else []
    with failing_handshakes(of_server()) as (port, connections):
        base_url, auth = f"https://127.0.0.1:{port}/v1", cast("Any", TOKEN)
        if is_endpoint:
            auth = ClientCredentials("client", "secret-of-the-client", token_url=base_url)
        async with (
            aiohttp.ClientSession(trace_configs=traces) as http,
            FieldingSession(auth, base_url=base_url, http=http, ssl=of_client(), retry=QUICK) as fielding,
        ):
            with pytest.raises(TransportError, match=said) as caught:
                await fielding.run(REF).pause()
        assert connections == [b""]
    assert caught.value.is_final
    assert not any(word in str(caught.value) for word in ("SSLContext", "ssl:", "[None]", "_ssl.c", "secret"))


async def test_a_lost_write_before_a_certificate_that_is_not_trusted_stays_unknown(server: TlsServer) -> None:
    """Once a write may have been applied, the call ends in `OutcomeUnknownError`, with the certificate as its cause."""

    async def lose(raw_server: RawServer, connection: Connection, request: RawRequest) -> None:
        raw_server.handle(request)
        assert server.context is not None
        trustme.CA().issue_cert("127.0.0.1").configure_cert(server.context)
        connection.close()

    server.script("pause", lose)
    async with FieldingSession(TOKEN, base_url=server.url, ssl=trusting(), retry=QUICK) as fielding:
        with pytest.raises(OutcomeUnknownError, match="certificate") as caught:
            await fielding.run(REF).pause()
    cause = caught.value.__cause__
    assert isinstance(cause, TransportError)
    assert cause.is_final
    assert server.applied == ["pause"]
    assert len(server.requests) == 2


async def test_a_connection_that_ends_within_the_handshake_is_told_in_words() -> None:
    """Without an alert nothing is known of the reason: it is tried again."""
    async with RawServer() as server:
        server.accepting.extend([_close] * 2)
        base_url = server.url.replace("http:", "https:")
        async with FieldingSession(TOKEN, base_url=base_url, retry=TWICE) as fielding:
            with pytest.raises(TransportError, match=r"closed while TLS was being agreed on|reset by peer") as caught:
                await fielding.run(REF).get()
    assert not any(word in str(caught.value) for word in ("SSLContext", "ssl:", "[None]"))
    assert not caught.value.is_final


async def _close(connection: Connection) -> None:
    connection.close()


async def test_a_server_without_tls_is_told_in_words() -> None:
    """A port that speaks plain HTTP is not a mystery of OpenSSL's."""
    async with RawServer() as plain:
        plain.early.extend([_hang_up] * 2)
        base_url = plain.url.replace("http:", "https:")
        async with FieldingSession(TOKEN, base_url=base_url, retry=TWICE) as fielding:
            with pytest.raises(TransportError, match=rf"127\.0\.0\.1:{plain.port} does not speak TLS \(") as caught:
                await fielding.run(REF).get()
    assert not any(word in str(caught.value) for word in ("SSLContext", "ssl:", "_ssl.c"))


async def _hang_up(connection: Connection) -> None:
    await connection.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    connection.close()


# -- plain http stays here


def test_only_connections_to_this_machine_may_go_without_tls() -> None:
    """Loopback, also mapped into IPv6, and Unix sockets; where the connection leads must be known."""
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        passing: list[dict[str, object]] = [
            {"peername": ("127.0.0.1", 1)},
            {"peername": ("127.9.9.9", 1)},
            {"peername": ("::1", 1, 0, 0)},
            {"peername": ("::ffff:127.0.0.1", 1, 0, 0)},
            {"peername": ("::ffff:127.255.0.1", 1, 0, 0)},
            {"peername": "", "socket": ours},
            {"peername": "/run/x", "socket": ours},
            {"peername": ("192.0.2.1", 1), "sslcontext": trusting()},
        ]
        for extra in passing:
            check_peer(asyncio.BaseTransport(extra))
    with socket.socket() as unconnected:
        refused: list[dict[str, object]] = [
            {},
            {"peername": None, "socket": unconnected},
            {"peername": "x"},
            {"peername": ("192.0.2.1", 1)},
            {"peername": ("::ffff:10.0.0.1", 1, 0, 0)},
            {"peername": ("fe80::1", 1, 0, 0)},
            {"peername": ("localhost", 1)},
        ]
        for extra in refused:
            with pytest.raises(NotThisMachineError, match="plain http is for this machine only"):
                check_peer(asyncio.BaseTransport(extra))


def _address_of_this_machine() -> str:
    """Return an address of this machine that is not loopback, or skip the test."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("there is no network but loopback")
        return str(probe.getsockname()[0])


@pytest.mark.parametrize("is_traced", [False, True], ids=["fast path", "by session"])
async def test_a_name_that_leads_elsewhere_gets_no_byte(is_traced: bool) -> None:
    """`localhost` that is resolved to another machine: refused when the connection is open, once, and nothing sent."""
    received: list[bytes] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.read())
        writer.close()

    elsewhere = await asyncio.start_server(connected, _address_of_this_machine(), 0)
    address, port = elsewhere.sockets[0].getsockname()
    traces = [aiohttp.TraceConfig()] if is_traced else []
    connector = aiohttp.TCPConnector(resolver=Names(address))
    async with (
        aiohttp.ClientSession(connector=connector, trace_configs=traces) as http,
        FieldingSession(TOKEN, base_url=f"http://localhost:{port}/v1", http=http) as fielding,
    ):
        with pytest.raises(TransportError, match=rf"this machine only, and the connection leads to {address}"):
            await fielding.run(REF).pause()
    async with elsewhere:
        elsewhere.close()
        await elsewhere.wait_closed()
        while not received:
            await asyncio.sleep(0)
    assert received == [b""]


async def test_a_unix_socket_is_this_machine(tmp_path: Path) -> None:
    """A caller's connector to a Unix socket needs no TLS."""
    async with RawServer() as server:
        at = str(tmp_path / "s")
        unix = await asyncio.start_unix_server(server.connected, at)
        async with (
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(at)) as http,
            FieldingSession(TOKEN, base_url="http://localhost/v1", http=http) as fielding,
        ):
            assert (await fielding.run(REF).pause()).effect == "accepted"
        unix.close()
        await unix.wait_closed()
