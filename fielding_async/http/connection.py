"""Connections of aiohttp's pool: made ready right before a request is written, and closed where it was given up."""

import asyncio

from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from fielding_async.core.wire.headers import is_sendable

from .failures import DisconnectedError
from .transport import Outgoing

__all__ = ["LARGE", "abort", "make_ready"]

LARGE = 64 * 1024
"""How many bytes the buffers of two sockets usually take, even if nobody reads."""


def make_ready(connection: Connection, outgoing: Outgoing) -> tuple[ResponseHandler, asyncio.Transport]:
    """Return what the request is written to; called right before that, when the request may be sent.

    Raises `DisconnectedError` or `ValueError` if it cannot be written; then it has not been sent. It is never written
    to a connection on which something arrived while it was idle: aiohttp would read that as the reply to this request,
    and a write would be reported as accepted before it was sent. Half of a reply that arrived earlier is discarded.
    """
    outgoing.left = False
    protocol, transport = connection.protocol, connection.transport
    if protocol is None or transport is None or transport.is_closing():
        raise DisconnectedError("the connection was closed before the request")
    if protocol.should_close:
        raise DisconnectedError("the server sent something on an idle connection")
    if not is_sendable("".join(outgoing.headers.values())):
        raise ValueError("a header with a character that cannot be sent")
    outgoing.left = True
    protocol.set_response_params(read_until_eof=True)  # as `ClientSession` does, but before the request may be sent
    protocol.start_timeout()  # ends one that another request left behind
    if outgoing.body is not None and len(outgoing.body) > LARGE:
        # a reply may come before the body is read, and what is unsent then would get in the way of another request
        protocol.force_close()
    return protocol, transport


def abort(transport: asyncio.Transport | None) -> None:
    """Close at once what an abandoned request was written to.

    `close()` would go on sending what is unsent for as long as it takes, which is for ever where nobody reads.
    """
    if transport is not None:
        transport.abort()
