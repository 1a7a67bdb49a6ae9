"""The public path: requests by an `aiohttp.ClientSession`, over a connector that stands in front of the real one.

It needs only documented parts of aiohttp. It uses some others, and works without those that are missing.
"""

from contextvars import ContextVar
from io import BytesIO
from typing import TYPE_CHECKING, Any

import aiohttp
from attrs import define
from multidict import CIMultiDict
from yarl import URL

from fielding_async.core.wire.replies import Attempted, Response
from fielding_async.telemetry.outgoing_context import suppress_instrumentation

from .connection import LARGE, ConnectTime, abort, make_ready
from .failures import DisconnectedError, describe
from .reply_reader import read_reply
from .transport import Outgoing

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable, Mapping

    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection

__all__ = ["PublicPath", "Route"]

# Headers that only the request itself sets.
_OURS = frozenset(
    """
    authorization cint-api-version content-type cookie idempotency-key if-match if-none-match range traceparent
    tracestate
    """.split()  # noqa: SIM905 - words, not a table
)

_OF_INSTRUMENTATION = "_is_instrumented_by_opentelemetry"  # set on the trace configs of the instrumentation

_NO_LIMITS = aiohttp.ClientTimeout()  # the time of an attempt is limited by our own timer


@define(eq=False)
class Route:
    """How an origin is reached: the `proxy`, `proxy_headers` and `ssl` of a request of aiohttp."""

    proxy: str | None
    proxy_headers: "Mapping[str, str] | None"
    ssl: Any


@define(eq=False)
class _UnderWay:
    """The attempt that a task sends, and what it was written to. `outgoing` is `None` for a request not to be sent."""

    outgoing: Outgoing | None
    connect_time: ConnectTime | None = None
    transport: "asyncio.Transport | None" = None
    request: aiohttp.ClientRequest | None = None


_under_way: ContextVar[_UnderWay] = ContextVar("fielding_async_under_way")
"""The attempt of the current task: aiohttp makes the request object itself, and another one when it re-sends."""


class _NotToBeSent(Exception):  # noqa: N818 - not an error
    """The request was made for inspection only."""


class _Front(aiohttp.BaseConnector):
    """Hands out the connections of another connector: each once a request may be sent, and one for each attempt.

    So a request that aiohttp sends again by itself gets none: a PUT would meet 412 for its own success.
    """

    def __init__(self, inner: aiohttp.BaseConnector) -> None:
        super().__init__()
        self._inner = inner

    async def connect(
        self, req: aiohttp.ClientRequest, traces: "list[Any]", timeout: aiohttp.ClientTimeout
    ) -> "Connection":
        """Return a connection to which the request is written at once."""
        way = _under_way.get()
        outgoing, connect_time = way.outgoing, way.connect_time
        if req.proxy_headers is not None:  # the session's default headers are not for the proxy
            own = [(name, value) for name, value in req.proxy_headers.items() if name.lower() == "proxy-authorization"]
            req.proxy_headers = CIMultiDict(own)
        if outgoing is None or connect_time is None:
            way.request = req
            raise _NotToBeSent
        if outgoing.left:
            raise DisconnectedError("the connection broke off before the reply")
        try:
            connection = await self._inner.connect(req, [*traces, *connect_time.traces], timeout)
        except BaseException as error:
            connect_time.failed(outgoing, error)
            raise
        try:
            outgoing.waits_for = "permission to send"
            await outgoing.leave()
            outgoing.left = False
            protocol = getattr(connection, "protocol", None)
            way.transport = make_ready(connection, connection.transport, protocol, outgoing, False)
            # not earlier: trace configs of a caller's session could see and change them
            if traces:
                for name in [name for name in req.headers if name.lower() in _OURS]:
                    del req.headers[name]
            req.headers.update(outgoing.headers)
            if outgoing.adopted:
                req.headers.update(outgoing.adopted)
        except BaseException:
            connection.release()  # which closes it unless it can be reused
            raise
        outgoing.left = True  # last: from here on aiohttp writes
        return connection


async def _adopt(_session: aiohttp.ClientSession, _context: object, _params: aiohttp.TraceRequestStartParams) -> None:
    outgoing = _under_way.get().outgoing
    if outgoing is not None and outgoing.traced is not None and outgoing.traced.span is None:
        outgoing.adopted = outgoing.traced.adopt_context()


def _adopting_config() -> aiohttp.TraceConfig:
    """Return a trace config to run after all others, which takes over a span that one of them started."""
    config = aiohttp.TraceConfig()
    config.on_request_start.append(_adopt)
    config.freeze()
    return config


async def _keep_the_reason(request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
    """Say why a connection broke off: aiohttp would drop that, and send an idempotent request again."""
    try:
        response: aiohttp.ClientResponse = await handler(request)
        return response
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise DisconnectedError(describe(error)) from error


_MIDDLEWARES = (_keep_the_reason,)


def _payload(body: bytes | None) -> bytes | BytesIO | None:
    """Return a body in the form that aiohttp accepts without a warning: a large one as a file."""
    return BytesIO(body) if body is not None and len(body) > LARGE else body


def _watchable(response: aiohttp.ClientResponse) -> "ResponseHandler | None":
    """Return what tells that a connection has ended, if aiohttp has it where it was."""
    content = response.content
    try:
        protocol = None if response.connection is None else response.connection.protocol
        parts = (
            None if protocol is None else (protocol.closed, content.is_eof, content.exception, content.set_exception)
        )
    except AttributeError:
        return None
    return protocol if parts else None


class PublicPath:
    """Sends any request, over the connections of one connector.

    `headers`: what each request has. `trace_configs`: those of the caller. `limits`: on the heads of replies.
    """

    def __init__(
        self,
        connector: aiohttp.BaseConnector,
        headers: "Iterable[tuple[str, str]]",
        trace_configs: "list[aiohttp.TraceConfig]",
        limits: dict[str, Any],
    ) -> None:
        self.session: aiohttp.ClientSession = aiohttp.ClientSession(
            connector=_Front(connector),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=list(headers),
            skip_auto_headers=["Content-Type"],  # otherwise a request without a body has one
            trace_configs=trace_configs,
            trust_env=False,
            **limits,
        )

    def adopt_spans(self) -> None:
        """Take over the spans that trace configs start, those of an instrumentation too, which adds its own."""
        found = self.session.trace_configs
        if found:
            # a caller's session has one as well
            for config in [config for config in found if getattr(config, _OF_INSTRUMENTATION, False)][1:]:
                found.remove(config)
            found.append(_adopting_config())

    async def send(self, outgoing: Outgoing, url: URL, route: Route, connect_time: ConnectTime) -> Attempted:
        """Perform one attempt. Raises `HeldBack`, `DisconnectedError`, and what aiohttp raises."""
        way = _UnderWay(outgoing, connect_time)
        before = _under_way.set(way)
        try:
            if self.session.trace_configs:
                if outgoing.traced is None or outgoing.traced.span is not None:
                    suppress_instrumentation()  # the attempt has a span of ours
                else:
                    outgoing.traced.lend_context()
            return await self._request(way, outgoing, url, route)
        except BaseException:
            if outgoing.left:
                abort(way.transport)
            raise
        finally:
            _under_way.reset(before)

    async def _request(self, way: _UnderWay, outgoing: Outgoing, url: URL, route: Route) -> Attempted:
        response = await self.session.request(
            outgoing.method,
            url,
            data=_payload(outgoing.body),
            timeout=_NO_LIMITS,
            middlewares=None if outgoing.method == "POST" else _MIDDLEWARES,
            allow_redirects=False,
            raise_for_status=False,
            proxy=route.proxy,
            proxy_headers=route.proxy_headers,
            ssl=route.ssl,
        )
        if response.status == 101:
            abort(way.transport)  # it may be in the pool already
        if response.status == 204 and response.closed:
            return Response(204, response.headers)  # nothing to read, and the connection is free already
        try:
            return await read_reply(response.status, response.headers, response.content, _watchable(response), [])
        finally:
            response.release()
            if outgoing.body is not None and len(outgoing.body) > LARGE:
                abort(way.transport)  # see `make_ready`

    async def request_to(self, origin: URL, route: Route) -> aiohttp.ClientRequest:
        """Return a request to an origin, as aiohttp makes it: its constructor is not public. It is not sent."""
        way = _UnderWay(None)
        before = _under_way.set(way)
        try:
            await self.session.request(
                "GET",
                origin,
                timeout=_NO_LIMITS,
                proxy=route.proxy,
                proxy_headers=route.proxy_headers,
                ssl=route.ssl,
            )
        except _NotToBeSent:
            pass
        finally:
            _under_way.reset(before)
        if way.request is None:
            raise TypeError("aiohttp connects in another way")
        return way.request

    async def aclose(self) -> None:
        """Close the session, and not the real connector."""
        await self.session.close()
