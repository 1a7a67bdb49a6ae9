"""The fast path: a plain request on a connection of aiohttp's pool, without its `ClientSession`.

What a `ClientSession` does for each request (redirects, cookies, middlewares, tracing, uploads) is not needed here, and
takes about two fifths of the CPU of a warm action. Pool, TLS, HTTP parser and decompression are those of aiohttp. It
uses private parts of aiohttp, so `self_check` tries it on entry. Where the result may differ, requests take the public
path.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import aiohttp
from multidict import CIMultiDict

from fielding_async.core.wire.replies import Attempted, Response
from fielding_async.core.wire.response_headers import is_sendable

from .connection import ConnectTime, abort, use_once, write_request
from .failures import DisconnectedError, describe
from .reply_reader import read_reply
from .transport import Outgoing

if TYPE_CHECKING:
    from aiohttp.client_reqrep import ConnectionKey
    from aiohttp.connector import Connection

__all__ = ["FastPath"]

# `aioresponses`, `vcrpy` and some monitoring agents replace these two.
_SESSION = aiohttp.ClientSession
_REQUEST = vars(aiohttp.ClientSession).get("_request")
_PUBLIC = vars(aiohttp.ClientSession).get("request")
_IS_ORIGINAL = getattr(_REQUEST, "__globals__", {}).get("__name__") == "aiohttp.client"

_Read = Callable[[], Awaitable[tuple[Any, aiohttp.StreamReader]]]
_Written = tuple["Connection", "asyncio.Transport | None", _Read, tuple[Any, aiohttp.StreamReader] | None, list[bytes]]
"""What a request was written to, what reads the head of its reply, that head, and what was read of the body."""

_NOTHING_READ: list[bytes] = []
_FEW = 64  # connections
_NO_LIMITS = aiohttp.ClientTimeout()  # the time of an attempt is limited by our own timer


class _Peer(aiohttp.ClientRequest):
    """A request whose place in the pool is computed once."""

    @cached_property
    def connection_key(self) -> "ConnectionKey":  # pyright: ignore[reportIncompatibleMethodOverride]
        return super().connection_key


class FastPath:
    """Sends plain requests to one origin, on the connections of one connector.

    `peer`: a request without a body to that origin. It says how to connect, and which headers each request has.
    `limits`: on the heads of replies.
    """

    def __init__(self, connector: aiohttp.BaseConnector, peer: aiohttp.ClientRequest, limits: dict[str, Any]) -> None:
        self._connector = connector
        if type(peer) is aiohttp.ClientRequest:
            peer.__class__ = _Peer
        self._peer = peer
        self._most_checked = _FEW
        if peer.proxy_headers is not None:
            # as aiohttp does when it connects, which would make it another key in the pool
            peer.proxy_headers = CIMultiDict([*peer.proxy_headers.items(), ("Host", peer.headers["Host"])])
        self._parameters = {"read_until_eof": True, **limits}  # as `ClientSession` does, but before the write
        always = [f"{name}: {value}\r\n" for name, value in peer.headers.items()]
        if connector.force_close:
            always.append("Connection: close\r\n")
        # each request says by itself what it accepts
        self._always = "".join(line for line in always if not line.lower().startswith("accept-encoding:"))
        self._checked: dict[asyncio.Transport | None, None] = {}

    @staticmethod
    def is_usable(session: aiohttp.ClientSession, connector: aiohttp.BaseConnector) -> bool:
        """Whether it may stand for a session on this connector.

        It may without trace configurations, with headers that can be sent, and with a plain connector: some connectors
        answer by themselves, from the request that they are given.
        """
        return (
            type(connector) in {aiohttp.TCPConnector, aiohttp.UnixConnector}
            and not session.trace_configs
            and is_sendable("".join([*session.headers, *session.headers.values()]))
        )

    @staticmethod
    def is_known() -> bool:
        """Whether aiohttp has the method that others replace."""
        return _REQUEST is not None

    @staticmethod
    def is_open() -> bool:
        """Whether nobody has replaced aiohttp's own request methods, to answer or to watch requests."""
        found = aiohttp.ClientSession
        return (
            _IS_ORIGINAL
            and found is _SESSION
            and getattr(found, "_request", None) is _REQUEST
            and getattr(found, "request", None) is _PUBLIC
        )

    async def send(self, outgoing: Outgoing, path: str, connect_time: ConnectTime) -> Attempted:
        """Perform one attempt, or go on with one that has a `rest`. `path`: the target as it is sent.

        Raises `HeldBack`, `DisconnectedError`, and what aiohttp raises where it cannot connect.
        """
        rest: _Written | None = outgoing.rest
        if rest is None:
            try:
                connection = await self._connector.connect(self._peer, connect_time.traces, _NO_LIMITS)
            except BaseException as error:
                connect_time.failed(outgoing, error)
                raise
            transport, read, head, chunks = connection.transport, None, None, _NOTHING_READ
        else:
            connection, transport, read, head, chunks = rest
            outgoing.rest = None
        try:
            if read is None:
                outgoing.waits_for = "permission to send"
                if not outgoing.leave_now():
                    await outgoing.leave()
                # no await between here and the write
                outgoing.left = False
                is_checked = transport in self._checked
                read = write_request(connection, transport, outgoing, path, self._always, self._parameters, is_checked)
                if not is_checked:
                    self._keep_checked(transport)
            if head is None:
                try:
                    message, content = await read()
                    while 100 <= message.code < 200 and message.code != 101:
                        message, content = await read()
                except Exception as error:
                    raise DisconnectedError(describe(error)) from error
                if message.code == 204:
                    return Response(204, message.headers)  # it has no body
                if message.code == 101 and transport is not None:
                    use_once(connection, transport)
                head, chunks = (message, content), []
            message, content = head
            return await read_reply(message.code, message.headers, content, connection.protocol, chunks)
        except BaseException as error:
            if outgoing.left:
                if outgoing.outlives and isinstance(error, asyncio.CancelledError):
                    outgoing.rest = connection, transport, read, head, chunks
                else:
                    connection.close()
                    abort(transport)
            raise
        finally:
            if outgoing.rest is None:
                connection.release()  # which closes it unless it can be reused

    @staticmethod
    def give_up(outgoing: Outgoing) -> None:
        """Close what the rest of an attempt would be read from."""
        connection, transport, *_ = outgoing.rest
        outgoing.rest = None
        connection.close()
        abort(transport)

    def _keep_checked(self, transport: "asyncio.Transport | None") -> None:
        checked = self._checked
        if len(checked) >= self._most_checked:
            for closed in [other for other in checked if other is None or other.is_closing()]:
                del checked[closed]
            self._most_checked = 2 * len(checked) + _FEW
        checked[transport] = None
