"""TLS with an authority of the tests' own, and a forward proxy with a password: what is final, and what goes where."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fielding_async import FieldingSession, Retry, TransportError
from fielding_async.sandbox import Sandbox
from tests.tools.sessions import TOKEN, applied, session
from tests.tools.tls import trusting

from .behind import Behind, behind, port_of
from .cases import certificate, tls_origin
from .configs import EXCHANGE, USER, nginx, squid_forward
from .marks import needs
from .programs import running
from .tap import Tap, tap

pytestmark = [pytest.mark.slow, pytest.mark.once]

PATIENT = Retry(base=0.2, cap=0.5)  # a second attempt would take time, and be seen


@needs("nginx")
async def test_a_trusted_authority_is_all_it_takes(tmp_path: Path) -> None:
    """With a context that trusts the authority, an action goes through."""
    async with behind(tls_origin, tmp_path) as gate:
        ref = gate.sandbox.add_run("live")
        async with gate.session() as fielding:
            assert (await fielding.run(ref).pause()).effect == "accepted"


@needs("nginx")
@pytest.mark.parametrize("wrong", ["authority", "host", "time"])
async def test_a_certificate_that_is_not_trusted_is_final(wrong: str, tmp_path: Path) -> None:
    """It is tried once, the error names the certificate, and no request was sent."""
    files = certificate(tmp_path, "elsewhere.example" if wrong == "host" else "localhost", expired=wrong == "time")
    async with (
        Sandbox(require_token=TOKEN) as sandbox,
        running(nginx([port_of(sandbox)], tls=files)) as port,
        tap(port) as seen,
    ):
        ref = sandbox.add_run("live")
        async with FieldingSession(
            TOKEN,
            base_url=f"https://localhost:{seen.port}/v1",
            retry=PATIENT,
            ssl=None if wrong == "authority" else trusting(),
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


def far(gate: Behind) -> str:
    """Return the base URL with a name that only the proxy knows."""
    return gate.entry.base_url.replace("localhost", EXCHANGE)


def named(seen: Tap, password: str = "gate-p%40ss%3Aword") -> str:
    """Return the URL of the proxy behind the tap."""
    return f"http://{USER}:{password}@127.0.0.1:{seen.port}"


@needs("nginx", "squid")
async def test_a_password_opens_the_tunnel(tmp_path: Path) -> None:
    """Through CONNECT with a name and a password, the proxy sees neither token nor path."""
    async with proxied(tmp_path) as (gate, seen):
        ref = gate.sandbox.add_run("live")
        async with gate.session(base_url=far(gate), proxy=named(seen)) as fielding:
            assert (await fielding.run(ref).pause()).effect == "accepted"
        assert seen.sent.startswith(f"CONNECT {EXCHANGE}:".encode())
        assert TOKEN.encode() not in seen.sent


@needs("nginx", "squid")
async def test_a_wrong_proxy_password_is_final(tmp_path: Path) -> None:
    """A 407 is tried once, and told as what it is: repeated ones lock accounts."""
    async with proxied(tmp_path) as (gate, seen):
        ref = gate.sandbox.add_run("live")
        async with gate.session(base_url=far(gate), proxy=named(seen, "wrong-pass"), retry=PATIENT) as fielding:
            with pytest.raises(TransportError, match="407") as caught:
                await fielding.run(ref).pause()
        assert seen.sent.count(b"CONNECT ") == 1
        assert "proxy" in str(caught.value).lower()
        assert "wrong-pass" not in str(caught.value)
        assert gate.sandbox.requests == ()


@needs("nginx", "squid")
@pytest.mark.parametrize("others", [None, "localhost:1,elsewhere.example,128.0.0.0/8"])
async def test_the_environment_names_the_proxy(
    others: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTPS_PROXY is used for https, with its password, whatever NO_PROXY says of others."""
    async with proxied(tmp_path) as (gate, seen):
        monkeypatch.setenv("HTTPS_PROXY", named(seen))
        if others is not None:
            monkeypatch.setenv("NO_PROXY", others)
        ref = gate.sandbox.add_run("live")
        async with gate.session(base_url=far(gate)) as fielding:
            assert (await fielding.run(ref).pause()).effect == "accepted"
        assert seen.sent.startswith(b"CONNECT ")


@pytest.mark.parametrize("bypass", [EXCHANGE, f"{EXCHANGE}:8443", f"elsewhere.test, .{EXCHANGE.split('.')[-1]}", "*"])
async def test_no_proxy_is_heeded(bypass: str, monkeypatch: pytest.MonkeyPatch, sandbox: Sandbox) -> None:
    """NO_PROXY with a name, a port or a suffix: the proxy sees nothing, and nobody else knows the name."""
    async with tap() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", bypass)
        ref = sandbox.add_run("live")
        async with FieldingSession(
            TOKEN, base_url=f"https://{EXCHANGE}:8443/v1", retry=Retry(max_attempts=1)
        ) as fielding:
            with pytest.raises(TransportError):
                await fielding.run(ref).pause(timeout=2)
        assert proxy.connections == 0


async def test_loopback_never_goes_through_the_environments_proxy(
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
