"""What aiohttp says of an exchange, in words and values of our own: for both roads that lead to it."""

import asyncio
from collections.abc import Mapping

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError

from .headers import is_sendable
from .transport import Outgoing
from .wire import Attempted, Lost, Response

__all__ = ["MAX_BODY", "DisconnectedError", "describe", "read_reply", "ready"]

MAX_BODY = 32 * 1024 * 1024
"""The largest response body that is read, in bytes; a larger one is a lost reply."""

_READ_SIZE = 64 * 1024


class DisconnectedError(Exception):
    """The connection is of no more use; the text says why.

    aiohttp re-sends a PUT by itself after an error of its own that says so; after this, it does not.
    """


def describe(error: BaseException) -> str:
    """Return what went wrong, in a line."""
    if isinstance(error, aiohttp.ClientResponseError | HttpProcessingError):
        # its own text may hold request headers
        return f"not HTTP: {' '.join(error.message.split())}"
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the text of some errors of the library cannot always be made
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def ready(connection: Connection, outgoing: Outgoing) -> tuple[ResponseHandler, asyncio.Transport]:
    """Return what the request is written to; asked right before that, when it may leave.

    Raises `DisconnectedError` or `ValueError` if it cannot be written; then it has not left. It is never written to a
    connection on which something arrived while it was idle: aiohttp would read that as the answer to this request, and
    a write would be called accepted before it was sent.
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
    return protocol, transport


async def read_reply(status: int, headers: Mapping[str, str], content: aiohttp.StreamReader) -> Attempted:
    """Return the reply with its body, which a 204 has none of.

    Where not all of it was read, releasing the connection closes it.
    """
    if status == 204:
        return Response(status, headers)
    chunks: list[bytes] = []
    size = 0
    try:
        while chunk := await content.read(_READ_SIZE):
            size += len(chunk)
            if size > MAX_BODY:
                return Lost(f"the reply's body is larger than {MAX_BODY} bytes", unreadable=True)
            chunks.append(chunk)
    except aiohttp.ClientError as error:
        return Lost(f"the reply broke off ({describe(error)})")
    return Response(status, headers, b"".join(chunks))
