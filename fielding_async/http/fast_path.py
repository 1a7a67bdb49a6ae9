"""The fast path: a plain request on a connection of aiohttp's pool, without its `ClientSession`.

What a `ClientSession` does for each request (redirects, cookies, middlewares, tracing, uploads) is not needed here, and
takes about two fifths of the CPU of a warm action. Pool, TLS, HTTP parser and decompression are those of aiohttp. It is
used only where the result is the same; all other requests are sent with a `ClientSession`.
"""

import aiohttp
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError, RawResponseMessage

from fielding_async.core.wire.replies import Attempted, Response
from fielding_async.core.wire.response_headers import is_sendable

from .connection import abort, write_request
from .failures import DisconnectedError, describe
from .reply_reader import read_reply
from .transport import Outgoing

__all__ = ["FastPath"]

# It uses private parts of aiohttp, which may change between minor versions: the tests ran with these.
_KNOWN = ("3.13.", "3.14.")

# `aioresponses`, `vcrpy` and some monitoring agents replace these two.
_REQUEST = vars(aiohttp.ClientSession).get("_request")
_PUBLIC = vars(aiohttp.ClientSession).get("request")
_IS_ORIGINAL = getattr(_REQUEST, "__globals__", {}).get("__name__") == "aiohttp.client"


class FastPath:
    """Sends plain requests to one origin, on the connections of one connector.

    `peer`: a request without a body to that origin. It says how to connect, and which headers each request has.
    """

    def __init__(self, connector: aiohttp.BaseConnector, peer: aiohttp.ClientRequest) -> None:
        self._connector = connector
        self._peer = peer
        always = [f"{name}: {value}\r\n" for name, value in peer.headers.items()]
        if connector.force_close:
            always.append("Connection: close\r\n")
        self._always = "".join(always)

    @staticmethod
    def is_usable(session: aiohttp.ClientSession) -> bool:
        """Whether it does the same as this session would.

        It does with a known version of aiohttp, without trace configurations, with headers that can be sent, and with a
        plain connector: some connectors answer by themselves, from the request that they are given.
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
        """Whether nobody has replaced aiohttp's own request methods meanwhile, to answer or to watch requests."""
        found = vars(aiohttp.ClientSession)
        return found.get("_request") is _REQUEST and found.get("request") is _PUBLIC

    async def send(self, outgoing: Outgoing, path: str, timeouts: aiohttp.ClientTimeout) -> Attempted:
        """Perform one attempt. `path`: the target as it is sent.

        Raises `HeldBack`, `DisconnectedError`, and what aiohttp raises where it cannot connect.
        """
        try:
            connection = await self._connector.connect(self._peer, [], timeouts)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError from error
        transport = connection.transport
        try:
            message, content = await self._head_of_reply(connection, outgoing, path)
            if message.code == 204:
                return Response(204, message.headers)  # it has no body
            return await read_reply(message.code, message.headers, content, connection.protocol)
        except BaseException:
            if outgoing.left:
                connection.close()
                abort(transport)
            raise
        finally:
            connection.release()  # which closes it unless it can be reused

    async def _head_of_reply(
        self, connection: Connection, outgoing: Outgoing, path: str
    ) -> tuple[RawResponseMessage, aiohttp.StreamReader]:
        await outgoing.leave()
        # no await between here and the write
        protocol = write_request(connection, outgoing, path, self._always)
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
