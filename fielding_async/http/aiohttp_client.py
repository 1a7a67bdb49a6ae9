"""The `Transport` of a session: one attempt over aiohttp, with a value as its result.

No exception of aiohttp leaves this module.
"""

import asyncio
import re
import ssl as ssl_module
from collections.abc import Mapping
from contextvars import ContextVar
from io import BytesIO
from typing import Any, cast
from urllib.parse import urlsplit

import aiohttp
from attrs import define
from multidict import istr
from yarl import URL

from fielding_async.__about__ import __version__
from fielding_async.core.errors import ConfigurationError, SessionClosedError
from fielding_async.core.wire.replies import Attempted, Lost, NotSent, Response
from fielding_async.telemetry.outgoing_context import suppress_instrumentation

from .caller_session import inherited_headers
from .connection import LARGE, abort, make_ready
from .deadline_timer import DeadlineTimer
from .failures import DisconnectedError, describe, is_final, refuses_our_certificate
from .fast_path import FastPath
from .proxies import NO_PROXIES, Proxies
from .reply_reader import read_reply
from .tls import check_connector, ssl_of_requests
from .transport import HeldBack, Outgoing

__all__ = ["AiohttpTransport"]

_PLAIN_PATH = re.compile(r"/[A-Za-z0-9/_.~-]*", re.ASCII)

# Headers that only the request itself sets.
_OURS = frozenset(
    """
    authorization cint-api-version content-type cookie idempotency-key if-match if-none-match range traceparent
    tracestate
    """.split()  # noqa: SIM905 - words, not a table
)


_OF_INSTRUMENTATION = "_is_instrumented_by_opentelemetry"  # set on the trace configs of the instrumentation


@define(eq=False)
class _UnderWay:
    """The attempt that a task sends, and the connection that it was written to."""

    outgoing: Outgoing
    transport: asyncio.Transport | None = None


_under_way: ContextVar[_UnderWay] = ContextVar("fielding_async_under_way")
"""The attempt of the current task: aiohttp makes the request object itself, and another one when it re-sends."""


class _Request(aiohttp.ClientRequest):
    """A request that asks its gate when a connection is open and before the first byte."""

    DEFAULT_HEADERS = {  # noqa: RUF012
        **aiohttp.ClientRequest.DEFAULT_HEADERS,
        istr("Accept"): "application/json",
        istr("User-Agent"): f"fielding-async/{__version__} {aiohttp.http.SERVER_SOFTWARE}",
    }
    del DEFAULT_HEADERS[istr("Accept-Encoding")]  # each request says its own
    POST_METHODS = set[str]()  # noqa: RUF012 - otherwise a request without a body gets a Content-Type

    def update_proxy(self, proxy: URL | None, proxy_auth: Any, proxy_headers: Any) -> None:
        """Send a proxy its credentials, and none of the session's default headers, as aiohttp would."""
        given = cast("Mapping[str, str]", proxy_headers or {})
        own = {name: value for name, value in given.items() if name.lower() == "proxy-authorization"}
        super().update_proxy(proxy, proxy_auth, own)

    async def send(self, conn: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
        """Send the request, if it may be sent."""
        under_way = _under_way.get()
        outgoing = under_way.outgoing
        if outgoing.left:
            raise DisconnectedError("the HTTP library tried to send the request again by itself")
        await outgoing.leave()
        _, under_way.transport = make_ready(conn, outgoing)
        # not earlier: trace configs of a caller's session could see and change them
        if self.session.trace_configs:
            for name in [name for name in self.headers if name.lower() in _OURS]:
                del self.headers[name]
        self.headers.update(outgoing.headers)
        if outgoing.adopted:
            self.headers.update(outgoing.adopted)
        return await super().send(conn)


async def _adopt(_session: aiohttp.ClientSession, _context: object, _params: aiohttp.TraceRequestStartParams) -> None:
    outgoing = _under_way.get().outgoing
    if outgoing.traced is not None and outgoing.traced.span is None:
        outgoing.adopted = outgoing.traced.adopt_context()


def _adopting_config() -> aiohttp.TraceConfig:
    """Return a trace config to run after all others, which takes over a span that one of them started."""
    config = aiohttp.TraceConfig()
    config.on_request_start.append(_adopt)
    config.freeze()
    return config


async def _guard(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending an idempotent method a second time: a PUT would meet 412 for its own success."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise DisconnectedError(describe(error)) from error


_GUARDED = (_guard,)


def _payload(body: bytes | None) -> bytes | BytesIO | None:
    """Return a body in the form that aiohttp accepts without a warning: a large one as a file."""
    return BytesIO(body) if body is not None and len(body) > LARGE else body


def _connect_within(seconds: float | None) -> aiohttp.ClientTimeout:
    """Return aiohttp's timeouts: the time of the whole attempt is limited by our own timer."""
    return aiohttp.ClientTimeout(total=None, connect=seconds, ceil_threshold=1e9)


class AiohttpTransport:
    """`Transport` over an `aiohttp.ClientSession` of our own, on a connector of our own or the caller's.

    The caller's session itself is never used or changed. Its connector, trace configs and default headers without
    protocol meaning are taken over; none of its other settings has an effect. `proxies`: one is looked up for the
    origin of each URL.
    """

    def __init__(
        self,
        *,
        base_url: str,
        concurrency: int,
        http: aiohttp.ClientSession | None,
        proxies: Proxies = NO_PROXIES,
        ssl: ssl_module.SSLContext | bool | None = None,
    ) -> None:
        self._http = http
        trace_configs: list[aiohttp.TraceConfig] = []
        headers: list[tuple[str, str]] = []
        if http is None:
            connector: aiohttp.BaseConnector = aiohttp.TCPConnector(limit=concurrency, limit_per_host=0)
        else:
            if http.closed or http.connector is None:
                raise ConfigurationError("http: the aiohttp.ClientSession is closed")
            connector = http.connector
            if getattr(connector, "_loop", None) not in {None, asyncio.get_running_loop()}:
                raise ConfigurationError("http: the aiohttp.ClientSession belongs to another event loop")
            trace_configs = list(http.trace_configs)
            headers = inherited_headers(http)
            check_connector(http)
        self._origin_text = base_url[: len(base_url) - len(urlsplit(base_url).path)]
        self._origin = URL(self._origin_text)
        self._connect_timeouts = _connect_within(None)
        self._timer = DeadlineTimer(asyncio.get_running_loop())
        self._proxies = proxies
        self._ssl = ssl_of_requests(ssl)
        self._session = aiohttp.ClientSession(
            connector=connector,
            connector_owner=http is None,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
            request_class=_Request,
            trace_configs=trace_configs,
            trust_env=False,
        )
        found = self._session.trace_configs  # an instrumentation adds its own
        if found:
            # a caller's session has one as well
            for config in [config for config in found if getattr(config, _OF_INSTRUMENTATION, False)][1:]:
                found.remove(config)
            found.append(_adopting_config())
        self._fast_path: FastPath | None = None
        if proxies.for_url(base_url) is None and FastPath.is_usable(self._session):
            peer = _Request(
                "GET",
                self._origin,
                headers=self._session.headers,
                loop=asyncio.get_running_loop(),
                session=self._session,
                ssl=self._ssl,
            )
            self._fast_path = FastPath(connector, peer)

    async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
        """Perform one attempt. Raises `HeldBack`, and `SessionClosedError` if the caller closed their own session."""
        if self._http is not None and self._http.closed:
            raise SessionClosedError("the aiohttp.ClientSession passed as http= has been closed")
        unsent, final = "could not connect", False
        path, timeouts = self._plain_path(outgoing.url), self._timeouts(connect_timeout)
        limit = self._timer.start(timeout)
        try:
            if path is not None and self._fast_path is not None and self._fast_path.is_open:
                return await self._fast_path.send(outgoing, path, timeouts)
            return await self._by_session(outgoing, path, timeouts)
        except HeldBack:
            raise
        except asyncio.CancelledError:
            if not limit.undo():
                raise
            reason, timed_out = f"no {'reply' if outgoing.left else 'connection'} within {timeout:.3g} s", True
        except aiohttp.ConnectionTimeoutError:
            reason, timed_out = f"no connection within {connect_timeout:.3g} s", True
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller must learn whether the request was sent
            reason, timed_out, final = describe(error), False, is_final(error)
            if outgoing.left and refuses_our_certificate(error):
                return NotSent(f"could not connect ({reason})", is_final=True)
            if not (final or isinstance(error, OSError | DisconnectedError)):
                unsent = "the request could not be sent"
        finally:
            self._timer.stop(limit)
        if outgoing.left:
            return Lost(f"the reply was lost ({reason})", timed_out=timed_out)
        return NotSent(f"{unsent} ({reason})", is_final=final)

    async def _by_session(self, outgoing: Outgoing, path: str | None, timeouts: aiohttp.ClientTimeout) -> Attempted:
        under_way = _UnderWay(outgoing)
        _under_way.set(under_way)
        if self._session.trace_configs:
            if outgoing.traced is None or outgoing.traced.span is not None:
                suppress_instrumentation()  # the attempt has a span of ours
            else:
                outgoing.traced.lend_context()
        try:
            return await self._request(under_way, path, timeouts)
        except BaseException:
            if outgoing.left:
                abort(under_way.transport)
            raise

    async def _request(self, under_way: _UnderWay, path: str | None, timeouts: aiohttp.ClientTimeout) -> Attempted:
        outgoing = under_way.outgoing
        proxy = self._proxies.for_url(outgoing.url)
        response = await self._session.request(
            outgoing.method,
            # parsing a whole URL takes three times as long
            URL(outgoing.url) if path is None else self._origin.with_path(path, encoded=True),
            data=_payload(outgoing.body),
            timeout=timeouts,
            middlewares=None if outgoing.method == "POST" else _GUARDED,
            allow_redirects=False,
            raise_for_status=False,
            proxy=None if proxy is None else URL(proxy.url),
            proxy_headers=None if proxy is None else proxy.headers,
            ssl=self._ssl,
        )
        if response.status == 101:
            abort(under_way.transport)  # it may be in the pool already
        if response.status == 204 and response.closed:
            return Response(204, response.headers)  # nothing to read, and the connection is free already
        protocol = None if response.connection is None else response.connection.protocol
        try:
            return await read_reply(response.status, response.headers, response.content, protocol)
        finally:
            response.release()

    def _plain_path(self, url: str) -> str | None:
        """Return the path of a URL of our origin, if it can be sent as it is."""
        if url.startswith(self._origin_text) and _PLAIN_PATH.fullmatch(url, len(self._origin_text)):
            return url[len(self._origin_text) :]
        return None

    def _timeouts(self, connect: float) -> aiohttp.ClientTimeout:
        if self._connect_timeouts.connect != connect:
            self._connect_timeouts = _connect_within(connect)
        return self._connect_timeouts

    async def aclose(self) -> None:
        """Close the session, and the connector if it is our own."""
        self._timer.close()
        await self._session.close()
        if self._http is None:
            # let transports finish closing, so that no socket outlives the session
            await asyncio.sleep(0)
