"""Reading a reply to its end: the body of a response, as far as it came."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

import aiohttp

from fielding_async.core.wire.replies import Attempted, Lost, Response

from .failures import describe

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler

__all__ = ["MAX_BODY", "read_reply"]

MAX_BODY = 32 * 1024 * 1024
"""The largest response body that is read, in bytes; a larger one is a lost reply."""

_READ_SIZE = 64 * 1024  # bytes


def _retrieve(closed: "asyncio.Future[None]") -> None:
    if not closed.cancelled():
        closed.exception()  # otherwise asyncio logs it as never retrieved


class _EndOfConnection:
    """Ends a body when its connection closes.

    Where aiohttp's parser gives up in the middle of a body, the body would have no end.
    """

    def __init__(self, content: aiohttp.StreamReader, protocol: "ResponseHandler") -> None:
        self._content = content
        self._exception, self._set_exception = content.exception, content.set_exception
        self._closed = closed = protocol.closed
        if closed is None:
            self._cut()
            return
        closed.remove_done_callback(_retrieve)  # once, however many bodies come over the connection
        closed.add_done_callback(_retrieve)
        closed.add_done_callback(self._cut)

    def _cut(self, _closed: object = None) -> None:
        if not self._content.is_eof() and self._exception() is None:
            self._set_exception(aiohttp.ClientPayloadError("the connection is closed"))

    def stop(self) -> None:
        if self._closed is not None:
            self._closed.remove_done_callback(self._cut)


async def read_reply(
    status: int,
    headers: Mapping[str, str],
    content: aiohttp.StreamReader,
    protocol: "ResponseHandler | None",
    chunks: list[bytes],
) -> Attempted:
    """Return the reply with its body.

    If not all of the body was read, releasing the connection closes it. Without `protocol` a body that has no end is
    given up when the time of the attempt is over. `chunks`: what was read of the body before, to which more is added;
    so a call that was cancelled can be made again.
    """
    if status == 204:
        return Response(status, headers)
    watch = None if protocol is None or content.is_eof() else _EndOfConnection(content, protocol)
    size = sum(map(len, chunks))
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
