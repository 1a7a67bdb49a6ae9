"""The short road through aiohttp: one plain exchange on a connection of its pool, without its `ClientSession`.

What a `ClientSession` does for each request (redirects, cookies, middlewares, tracing, uploads) is of no use here, and
takes some two fifths of the CPU of a warm action. The pool, TLS, the parser of HTTP and the decompression are aiohttp's
as ever. It is taken only where nothing can tell the difference; all else goes the public way.
"""

import aiohttp
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError, RawResponseMessage

from fielding_async.core.wire.headers import is_sendable
from fielding_async.core.wire.replies import Attempted

from .reply_reader import DisconnectedError, describe, drop, read_reply, ready
from .transport import Outgoing

__all__ = ["Shortcut"]

# What it stands on is no public API of aiohttp, and may change between minor versions: the tests ran with these.
_KNOWN = ("3.13.", "3.14.")

# What `aioresponses`, `vcrpy` and some agents that watch applications put something else in place of.
_REQUEST = vars(aiohttp.ClientSession).get("_request")
_PUBLIC = vars(aiohttp.ClientSession).get("request")
_IS_ORIGINAL = getattr(_REQUEST, "__globals__", {}).get("__name__") == "aiohttp.client"


class Shortcut:
    """Plain exchanges with one origin, on the connections of one connector.

    `peer`: a request without a body to that origin, which says how to connect, and with which headers each goes out.
    """

    def __init__(self, connector: aiohttp.BaseConnector, peer: aiohttp.ClientRequest) -> None:
        self._connector = connector
        self._peer = peer
        always = [f"{name}: {value}\r\n" for name, value in peer.headers.items()]
        if connector.force_close:
            always.append("Connection: close\r\n")
        self._always = "".join(always)

    @staticmethod
    def leads(session: aiohttp.ClientSession) -> bool:
        """Say whether it does as the session would.

        Of a known version, untraced, with headers that can be sent, and with a connector that does not look at what it
        connects for: some answer by themselves, from the request that they are shown.
        """
        return (
            _IS_ORIGINAL
            and aiohttp.__version__.startswith(_KNOWN)
            and type(session.connector) in {aiohttp.TCPConnector, aiohttp.UnixConnector}
            and not session.trace_configs
            and is_sendable("".join([*session.headers, *session.headers.values()]))
        )

    @property
    def is_open(self) -> bool:
        """Whether nobody has put something in place of aiohttp's own requests meanwhile, to answer or to watch them."""
        found = vars(aiohttp.ClientSession)
        return found.get("_request") is _REQUEST and found.get("request") is _PUBLIC

    async def exchange(self, outgoing: Outgoing, path: str, timeouts: aiohttp.ClientTimeout) -> Attempted:
        """Perform one exchange, `path` being the target as it is sent.

        Raises `HeldBack`, `DisconnectedError`, and what aiohttp raises where it cannot connect.
        """
        try:
            connection = await self._connector.connect(self._peer, [], timeouts)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError from error
        transport = connection.transport
        try:
            message, content = await self._head_of_reply(connection, outgoing, path)
            reply = await read_reply(message.code, message.headers, content, connection.protocol)
        except BaseException:
            if outgoing.left:
                connection.close()
                drop(transport)
            raise
        finally:
            connection.release()  # which closes it unless it can be used again
        return reply

    async def _head_of_reply(
        self, connection: Connection, outgoing: Outgoing, path: str
    ) -> tuple[RawResponseMessage, aiohttp.StreamReader]:
        await outgoing.leave()
        # no await from here until it is written
        protocol, transport = ready(connection, outgoing)
        transport.write(self._serialize(outgoing, path))
        try:
            while True:
                message, content = await protocol.read()
                if not 100 <= message.code < 200:
                    return message, content
                if message.code == 101:
                    protocol.force_close()
                    return message, content
        except (aiohttp.ClientError, HttpProcessingError) as error:
            raise DisconnectedError(describe(error)) from error

    def _serialize(self, outgoing: Outgoing, path: str) -> bytes:
        """Return the request in bytes (RFC 9112 section 2.1)."""
        body = outgoing.body
        own = "".join([f"{name}: {value}\r\n" for name, value in outgoing.headers.items()])
        head = f"{outgoing.method} {path} HTTP/1.1\r\n{self._always}{own}"
        if body is not None:
            return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        if outgoing.method == "GET":
            return f"{head}\r\n".encode()
        return f"{head}Content-Length: 0\r\n\r\n".encode()
