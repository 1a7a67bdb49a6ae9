"""Connections of aiohttp's pool: made ready right before a request is written, written to, and aborted."""

import asyncio
import socket
from typing import cast

from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from fielding_async.core.addresses import is_loopback_address
from fielding_async.core.redaction import SecretBytes
from fielding_async.core.wire.response_headers import SENDABLE

from .failures import DisconnectedError, NotThisMachineError
from .transport import Outgoing

__all__ = ["LARGE", "abort", "check_peer", "make_ready", "write_request"]

LARGE = 64 * 1024
"""How many bytes the buffers of two sockets usually take, even if nobody reads."""


def make_ready(connection: Connection, outgoing: Outgoing) -> tuple[ResponseHandler, asyncio.Transport]:
    """Return what the request is written to; called right before that, when the request may be sent.

    Raises `DisconnectedError`, `NotThisMachineError` or `ValueError` if it cannot be written; then it has not been
    sent. It is never written to a connection on which something arrived while it was idle: aiohttp would read that as
    the reply to this request, and a write would be reported as accepted before it was sent. Half of a reply that
    arrived earlier is discarded.
    """
    outgoing.left = False
    protocol, transport = connection.protocol, connection.transport
    if protocol is None or transport is None or transport.is_closing():
        raise DisconnectedError("the connection was closed before the request")
    if protocol.should_close:
        raise DisconnectedError("the server sent something on an idle connection")
    check_peer(transport)
    if SENDABLE.fullmatch("".join(outgoing.headers.values())) is None:
        raise ValueError("a header with a character that cannot be sent")
    outgoing.left = True
    protocol.set_response_params(read_until_eof=True)  # as `ClientSession` does, but before the request may be sent
    protocol.start_timeout()  # ends one that another request left behind
    if outgoing.body is not None and len(outgoing.body) > LARGE:
        # a reply may come before the body is read, and what is unsent then would get in the way of another request
        protocol.force_close()
    return protocol, transport


def check_peer(transport: asyncio.BaseTransport) -> None:
    """Raise `NotThisMachineError` unless bytes go through TLS, to this machine or into a Unix socket.

    Called when a connection is open and before the first byte of a request: where a name leads is known only then.
    """
    if transport.get_extra_info("sslcontext") is not None:
        return
    peer: object = transport.get_extra_info("peername")
    if isinstance(peer, tuple):
        address = str(cast("tuple[object, ...]", peer)[0])
        if is_loopback_address(address):
            return
        raise NotThisMachineError(f"plain http is for this machine only, and the connection leads to {address}")
    family = getattr(transport.get_extra_info("socket"), "family", None)
    if family is None or family != getattr(socket, "AF_UNIX", None):
        raise NotThisMachineError("plain http is for this machine only, and where the connection leads is unknown")


def write_request(connection: Connection, outgoing: Outgoing, path: str, always: str) -> ResponseHandler:
    """Write a whole request (RFC 9112, section 2.1), and return what reads its reply. Raises as `make_ready` does.

    `path`: the target as it is sent. `always`: the header lines that every request has.
    """
    protocol, transport = make_ready(connection, outgoing)
    body = outgoing.body
    start = f"{outgoing.method} {path} HTTP/1.1\r\n{always}"
    length = f"Content-Length: {len(body or b'')}\r\n" if body is not None or outgoing.method != "GET" else ""
    own = outgoing.headers.items()
    # no local variable holds it as it is: a traceback may show those, also of what writes it
    head = SecretBytes("".join([start, *[f"{name}: {value}\r\n" for name, value in own], length, "\r\n"]).encode())
    transport.write(head if body is None else SecretBytes(head + body))
    return protocol


def abort(transport: asyncio.Transport | None) -> None:
    """Close at once what an abandoned request was written to.

    `close()` would go on sending what is unsent for as long as it takes, which has no end if the server does not read.
    """
    if transport is not None:
        transport.abort()
