"""Client sessions of aiohttp for the command line: without proxies, with replies recorded, for a single request."""

import time
from collections.abc import Callable, Mapping
from types import SimpleNamespace

import aiohttp
from attrs import define
from yarl import URL

from .caller_session import ClientSession
from .proxies import resolve_proxies

__all__ = ["AIOHTTP_VERSION", "TimedReply", "recording_session", "server_header", "session_without_proxies"]

AIOHTTP_VERSION = aiohttp.__version__


@define
class TimedReply:
    """A reply, with the times of the wall clock at which its request was sent and its head was received."""

    status: int
    headers: Mapping[str, str]
    sent: float
    received: float


def session_without_proxies(connections: int) -> ClientSession:
    """Return a session that ignores the proxies of the environment, with so many connections at most."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=connections))


def recording_session(base_url: str, record: Callable[[TimedReply], None]) -> ClientSession:
    """Return a session that uses the environment's proxies, and calls `record` with each reply of one origin."""
    origin = URL(base_url).origin()  # in the form that aiohttp has: in small letters, without a default port

    async def sent(_: ClientSession, context: SimpleNamespace, __: object) -> None:
        context.sent = time.time()

    async def received(_: ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestEndParams) -> None:
        if params.url.origin() == origin:
            now = time.time()
            record(TimedReply(params.response.status, params.response.headers, getattr(context, "sent", now), now))

    config = aiohttp.TraceConfig()
    config.on_request_headers_sent.append(sent)
    config.on_request_end.append(received)
    return aiohttp.ClientSession(trust_env=True, trace_configs=[config])


async def server_header(url: str, timeout: float, environment: Mapping[str, str]) -> str | None:
    """GET a URL, and return the `Server` header of the reply; `None` if it has none or there is no reply in time.

    `environment`: the variables that name the proxy.
    """
    try:
        proxy = resolve_proxies(None, None, environment, [("base_url", url)]).for_url(url)
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout)) as http,
            http.get(
                url,
                allow_redirects=False,
                proxy=None if proxy is None else proxy.url,
                proxy_headers=None if proxy is None else proxy.headers,
            ) as reply,
        ):
            return reply.headers.get("Server")
    except (aiohttp.ClientError, OSError, ValueError):
        return None
