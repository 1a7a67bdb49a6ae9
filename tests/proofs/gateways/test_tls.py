"""TLS with an authority of the test's own, and a forward proxy with a password: what is final, and what goes where."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fielding_async import FieldingSession, Retry, TransportError
from fielding_async.sandbox import Sandbox
from tests.tools.sessions import TOKEN, applied, session

from .authority import Authority
from .behind import Behind, behind, port_of
from .cases import tls_origin
from .configs import USER, nginx, squid_forward
from .programs import needs, running
from .tap import Tap, tap

pytestmark = [pytest.mark.slow, pytest.mark.once, needs("nginx", "openssl")]

PATIENT = Retry(base=0.2, cap=0.5)  # a second attempt would take time, and be seen


@asynccontextmanager
async def tapped(tmp_path: Path, *names: str, expired: bool = False) -> AsyncIterator[tuple[Sandbox, Tap, Authority]]:
    """A TLS server with a certificate for these names, and a tap in front of it."""
    authority = Authority(tmp_path / "authority")
    certificate = authority.issue(*names, expired=expired)
    async with (
        Sandbox(require_token=TOKEN) as sandbox,
        running(nginx([port_of(sandbox)], tls=certificate)) as port,
        tap(port) as seen,
    ):
        yield sandbox, seen, authority


async def test_a_trusted_authority_is_all_it_takes(tmp_path: Path) -> None:
    """With a context that trusts the authority, an action goes through."""
    async with behind(tls_origin, tmp_path) as gate:
        ref = gate.sandbox.add_run("live")
        async with gate.session() as fielding:
            assert (await fielding.run(ref).pause()).effect == "accepted"


@pytest.mark.parametrize("wrong", ["authority", "host", "time"])
async def test_a_certificate_that_is_not_trusted_is_final(wrong: str, tmp_path: Path) -> None:
    """It is tried once, the error names the certificate, and no token was sent."""
    name = "DNS:elsewhere.test" if wrong == "host" else "DNS:localhost"
    async with tapped(tmp_path, name, expired=wrong == "time") as (sandbox, seen, authority):
        ref = sandbox.add_run("live")
        context = None if wrong == "authority" else authority.trusted()
        async with FieldingSession(
            TOKEN, base_url=f"https://localhost:{seen.port}/v1", retry=PATIENT, ssl=context
        ) as fielding:
            with pytest.raises(TransportError, match=r"(?i)certificate") as caught:
                await fielding.run(ref).pause()
        assert seen.connections == 1
        assert "SSLContext" not in str(caught.value)
        assert sandbox.requests == ()


@asynccontextmanager
async def proxied(tmp_path: Path) -> AsyncIterator[tuple[Behind, Tap]]:
    """A TLS server, a squid that wants a password, and a tap in front of squid."""
    async with behind(tls_origin, tmp_path) as gate, running(squid_forward()) as port, tap(port) as seen:
        yield gate, seen


def named(seen: Tap, password: str = "gate-p%40ss%3Aword") -> str:
    """Return the URL of the proxy behind the tap."""
    return f"http://{USER}:{password}@127.0.0.1:{seen.port}"


@needs("squid")
async def test_a_password_opens_the_tunnel(tmp_path: Path) -> None:
    """Through CONNECT with a name and a password, the proxy sees neither token nor path."""
    async with proxied(tmp_path) as (gate, seen):
        ref = gate.sandbox.add_run("live")
        async with gate.session(proxy=named(seen)) as fielding:
            assert (await fielding.run(ref).pause()).effect == "accepted"
        assert seen.sent.startswith(b"CONNECT localhost:")
        assert TOKEN.encode() not in seen.sent


@needs("squid")
async def test_a_wrong_proxy_password_is_final(tmp_path: Path) -> None:
    """A 407 is tried once, and told as what it is: repeated ones lock accounts."""
    async with proxied(tmp_path) as (gate, seen):
        ref = gate.sandbox.add_run("live")
        async with gate.session(proxy=named(seen, "wrong-pass"), retry=PATIENT) as fielding:
            with pytest.raises(TransportError, match="407") as caught:
                await fielding.run(ref).pause()
        assert seen.sent.count(b"CONNECT ") == 1
        assert "proxy" in str(caught.value).lower()
        assert "wrong-pass" not in str(caught.value)
        assert gate.sandbox.requests == ()


@needs("squid")
async def test_the_environment_names_the_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPS_PROXY is used for https, with its password."""
    async with proxied(tmp_path) as (gate, seen):
        monkeypatch.setenv("HTTPS_PROXY", named(seen))
        ref = gate.sandbox.add_run("live")
        async with gate.session() as fielding:
            assert (await fielding.run(ref).pause()).effect == "accepted"
        assert seen.sent.count(b"CONNECT ") >= 1


@pytest.mark.parametrize("bypass", ["localhost", "localhost:{port}", "127.0.0.0/8", ".localhost,localhost", "*"])
async def test_no_proxy_is_heeded(bypass: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_PROXY with a name, a port or a network: the proxy sees nothing."""
    host = "127.0.0.1" if "/" in bypass else "localhost"
    async with tapped(tmp_path, "DNS:localhost", "IP:127.0.0.1") as (sandbox, server, authority), tap() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        others = "" if bypass == "*" else f"other.test:{server.port},"
        monkeypatch.setenv("NO_PROXY", others + bypass.format(port=server.port))
        ref = sandbox.add_run("live")
        async with FieldingSession(
            TOKEN, base_url=f"https://{host}:{server.port}/v1", retry=PATIENT, ssl=authority.trusted()
        ) as fielding:
            assert (await fielding.run(ref).pause()).effect == "accepted"
        assert proxy.connections == 0


@pytest.mark.parametrize("bypass", ["localhost:1", "128.0.0.0/8", "host"])
async def test_no_proxy_of_others_is_not_ours(bypass: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_PROXY with another port, network or name: the proxy is asked."""
    async with tapped(tmp_path, "DNS:localhost") as (sandbox, server, authority), tap() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", bypass)
        ref = sandbox.add_run("live")
        async with FieldingSession(
            TOKEN, base_url=f"https://localhost:{server.port}/v1", retry=Retry(max_attempts=1), ssl=authority.trusted()
        ) as fielding:
            with pytest.raises(TransportError):
                await fielding.run(ref).pause()
        assert (proxy.connections, server.connections) == (1, 0)


async def test_loopback_over_plain_http_never_goes_through_the_environments_proxy(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP_PROXY is set, the base URL is of this machine: the proxy sees nothing."""
    async with tap() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        ref = sandbox.add_run("live")
        async with session(sandbox) as fielding:
            assert (await fielding.run(ref).pause()).effect == "accepted"
        assert proxy.connections == 0
    assert applied(sandbox) == ["pause"]
