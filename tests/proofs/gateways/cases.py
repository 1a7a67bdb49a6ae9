"""The gateways that are driven: what stands between client and exchange, and what can be promised behind it."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from ssl import SSLContext
from typing import Any
from urllib.parse import quote

from attrs import frozen

from fielding_async.sandbox import Behaviour
from tests.tools.tls import authority, trusting

from .configs import EXCHANGE, GIVES_UP, PASSWORD, USER, apache, haproxy, nginx, squid_accelerator, squid_forward
from .programs import Config, running

__all__ = ["CASES", "Case", "Entry", "certificate", "reverse", "tls_origin", "tunnel"]


@frozen
class Entry:
    """Where the client goes in: arguments of a session."""

    base_url: str
    proxy: str | None = None
    ssl: SSLContext | None = None

    def arguments(self) -> dict[str, Any]:
        """Return them by name."""
        return {"base_url": self.base_url, "proxy": self.proxy, "ssl": self.ssl}


Gateway = Callable[[Sequence[int], Path], AbstractAsyncContextManager[Entry]]
"""Starts a gateway in front of these ports of the exchange; the folder is for what it needs beside its own."""


@frozen(kw_only=True)
class Case:
    """A gateway, and how it is driven.

    `programs`: what it needs. `slow`: seconds in which the exchange outlasts the gateway's patience. `max_age`: for how
    many seconds the exchange lets caches keep a run; `None` for no word of it. `repeats`: the gateway sends requests a
    second time by itself, so that what looks like a colleague's write may be our own first copy: of each request one
    copy at most is applied, and no more can be promised. `hides`: it answers from its cache
    and does not say so, so that "already" may be of the past.
    """

    programs: tuple[str, ...]
    gateway: Gateway
    slow: float = GIVES_UP * 1.7
    max_age: int | None = None
    repeats: bool = False
    hides: bool = False
    behaviour: Behaviour | None = None


def reverse(config: Callable[[Sequence[int]], Config]) -> Gateway:
    """Return a gateway that the client takes for the exchange, over plain HTTP."""

    @asynccontextmanager
    async def gateway(origins: Sequence[int], folder: Path) -> AsyncIterator[Entry]:
        async with running(config(origins)) as port:
            yield Entry(f"http://127.0.0.1:{port}/v1")

    return gateway


def certificate(folder: Path, *names: str, expired: bool = False) -> tuple[Path, Path]:
    """Return files with certificate and key of a server with these names, by the authority of the tests."""
    past = datetime(2020, 1, 1, tzinfo=UTC)
    issued = authority().issue_cert(*names, not_before=past, not_after=past + timedelta(days=30) if expired else None)
    chain, key = folder / "server.pem", folder / "server.key"
    for pem in issued.cert_chain_pems:
        pem.write_to_path(str(chain), append=True)
    issued.private_key_pem.write_to_path(str(key))
    return chain, key


@asynccontextmanager
async def tls_origin(origins: Sequence[int], folder: Path) -> AsyncIterator[Entry]:
    """Run a TLS server with a certificate of the tests' authority, which the entry trusts."""
    async with running(nginx(origins, tls=certificate(folder, "localhost", EXCHANGE))) as port:
        yield Entry(f"https://localhost:{port}/v1", ssl=trusting())


@asynccontextmanager
async def tunnel(origins: Sequence[int], folder: Path) -> AsyncIterator[Entry]:
    """Run a forward proxy that wants a name and a password, and a TLS server behind it."""
    async with tls_origin(origins, folder) as origin, running(squid_forward()) as port:
        proxy = f"http://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{port}"
        yield Entry(origin.base_url.replace("localhost", EXCHANGE), proxy, origin.ssl)


CASES: Mapping[str, Case] = {
    "nginx": Case(programs=("nginx",), gateway=reverse(lambda ports: nginx(ports[:1]))),
    "nginx, gzip": Case(
        programs=("nginx",),
        gateway=reverse(lambda ports: nginx(ports[:1], gzip=True)),
        behaviour=Behaviour(etag='"{version}"'),
    ),
    "nginx, cache": Case(
        programs=("nginx",),
        gateway=reverse(lambda ports: nginx(ports[:1], cache=True, heeds_no_cache=True)),
        max_age=600,
    ),
    "nginx, cache that heeds nothing": Case(
        programs=("nginx",), gateway=reverse(lambda ports: nginx(ports[:1], cache=True)), max_age=1, hides=True
    ),
    "nginx, next upstream": Case(
        programs=("nginx",),
        gateway=reverse(lambda ports: nginx(ports, next_upstream="error timeout http_500 http_502 http_503 http_504")),
        repeats=True,
    ),
    "HAProxy": Case(programs=("haproxy",), gateway=reverse(haproxy)),
    "HAProxy, retries": Case(
        programs=("haproxy",),
        gateway=reverse(
            lambda ports: haproxy(
                ports, retry_on="conn-failure empty-response junk-response response-timeout 500 502 503 504"
            )
        ),
        repeats=True,
    ),
    "squid, cache": Case(
        programs=("squid",), gateway=reverse(lambda ports: squid_accelerator(ports[0])), slow=1.4, max_age=600
    ),
    "squid, CONNECT": Case(programs=("squid", "nginx"), gateway=tunnel),
    "Apache, mod_deflate": Case(programs=("apache2",), gateway=reverse(lambda ports: apache(ports[0])), slow=1.4),
    "TLS": Case(programs=("nginx",), gateway=tls_origin),
}
