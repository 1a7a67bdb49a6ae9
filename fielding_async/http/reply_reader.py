"""What aiohttp says of an exchange, in words and values of our own: for both roads that lead to it."""

import asyncio
import re
from collections.abc import Mapping

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError

from fielding_async.core.wire.headers import is_sendable
from fielding_async.core.wire.replies import Attempted, Lost, Response

from .transport import Outgoing

__all__ = ["LARGE", "MAX_BODY", "DisconnectedError", "describe", "drop", "read_reply", "ready"]

MAX_BODY = 32 * 1024 * 1024
"""The largest response body that is read, in bytes; a larger one is a lost reply."""

LARGE = 64 * 1024
"""What the buffers of two sockets take as a rule, even where nobody reads, in bytes."""

_READ_SIZE = 64 * 1024

_MAX_SHOWN = 200
_QUOTED = re.compile(r"""[\s:]*(?:(?<!\w)b|(?<=status line ))['"].*""", re.DOTALL)


class DisconnectedError(Exception):
    """The connection is of no more use; the text says why.

    aiohttp re-sends a PUT by itself after an error of its own that says so; after this, it does not.
    """


def describe(error: BaseException) -> str:
    """Return what went wrong, in a short line without anything that the server sent: that may be our own headers."""
    kind = type(error).__name__
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return f"{kind}: {error.message if isinstance(error.message, str) else 'in the middle of the head of a reply'}"
    if isinstance(error, aiohttp.InvalidURL):
        return kind  # it may be that of a proxy, with a password
    if isinstance(error, aiohttp.ClientResponseError | HttpProcessingError):
        # its own text may hold request headers
        kind, text = "not HTTP", error.message
    else:
        try:
            text = str(error)
        except Exception:  # noqa: BLE001 - the text of some errors of the library cannot always be made
            text = ""
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ClientResponseError | HttpProcessingError):
        text = _QUOTED.sub("", text)
    text = " ".join(text.split())[:_MAX_SHOWN]
    return f"{kind}: {text}" if text else kind


def ready(connection: Connection, outgoing: Outgoing) -> tuple[ResponseHandler, asyncio.Transport]:
    """Return what the request is written to; asked right before that, when it may leave.

    Raises `DisconnectedError` or `ValueError` if it cannot be written; then it has not left. It is never written to a
    connection on which something arrived while it was idle: aiohttp would read that as the answer to this request, and
    a write would be called accepted before it was sent. Of a half of a reply that came before it nothing is kept.
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
    protocol.set_response_params(read_until_eof=True)  # as a session of ours does, but before the request may leave
    protocol.start_timeout()  # ends one that another request left
    if outgoing.body is not None and len(outgoing.body) > LARGE:
        # an answer may come before it is read, and what is unsent then must not be in the way of another request
        protocol.force_close()
    return protocol, transport


def drop(transport: asyncio.Transport | None) -> None:
    """Close what a request was written to that was given up, at once.

    Just closing it goes on sending what is unsent, as long as that takes: for ever where nobody reads.
    """
    if transport is not None:
        transport.abort()


def _note(closed: "asyncio.Future[None]") -> None:
    if not closed.cancelled():
        closed.exception()  # else it is logged as one that nobody has seen


class _Watch:
    """Ends a body with its connection: where aiohttp's parser gives up in the middle, it leaves it without an end."""

    def __init__(self, content: aiohttp.StreamReader, protocol: ResponseHandler) -> None:
        self._content = content
        self._closed = closed = protocol.closed
        if closed is None:
            self._cut()
            return
        closed.remove_done_callback(_note)  # once, however many bodies come over it
        closed.add_done_callback(_note)
        closed.add_done_callback(self._cut)

    def _cut(self, _closed: object = None) -> None:
        if not self._content.is_eof() and self._content.exception() is None:
            self._content.set_exception(aiohttp.ClientPayloadError("the connection is closed"))

    def stop(self) -> None:
        if self._closed is not None:
            self._closed.remove_done_callback(self._cut)


async def read_reply(
    status: int, headers: Mapping[str, str], content: aiohttp.StreamReader, protocol: ResponseHandler | None
) -> Attempted:
    """Return the reply with its body, which a 204 has none of.

    Where not all of it was read, releasing the connection closes it.
    """
    if status == 204:
        return Response(status, headers)
    watch = None if protocol is None or content.is_eof() else _Watch(content, protocol)
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
    finally:
        if watch is not None:
            watch.stop()
    return Response(status, headers, b"".join(chunks))
