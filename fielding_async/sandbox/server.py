"""The socket: a thin aiohttp server in front of the exchange, where scripted faults strike."""

import asyncio
import os
import socket
import struct
import time
from contextlib import suppress
from email.utils import format_datetime
from typing import Literal

from aiohttp import web
from multidict import CIMultiDict

from fielding_async.__about__ import SANDBOX, __version__

from .faults import Cut, Delay, DropHeader, Hold, RawReply, Refuse, SetHeader
from .faults import Reply as ReplyFault
from .front import Arrival, Exchange
from .serving.replies import Reply
from .serving.request_form import Call

__all__ = ["Server"]

_NAME = f"{SANDBOX}/{__version__}"
_ACCEPTING = 3  # turns of the loop from accepting a connection to a server that knows of it
_GOODBYE = 0.05  # seconds that requests under way get when the server stops, before they are dropped


class Server:
    """Serves an exchange on one event loop."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._runner: web.ServerRunner | None = None
        self._listener: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port."""
        runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=_GOODBYE)
        await runner.setup()
        assert runner.server is not None  # noqa: S101 - set up
        try:
            listener = await asyncio.get_running_loop().create_server(runner.server, host, port)
        except BaseException:
            await runner.cleanup()
            raise
        self._runner, self._listener = runner, listener
        return int(listener.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close the socket and every connection; requests under way are dropped."""
        (runner, self._runner), (listener, self._listener) = (self._runner, None), (self._listener, None)
        if listener is not None:
            # One that is being accepted when the listener closes would stay open, for asyncio cannot make a transport
            # for it any more. So nothing new is accepted first.
            for accepting in listener.sockets:
                with suppress(NotImplementedError):
                    asyncio.get_running_loop().remove_reader(accepting)
            for _ in range(_ACCEPTING):
                await asyncio.sleep(0)
            listener.close()
        if runner is not None:
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        received_at = time.monotonic()
        headers = tuple((_decode(name), _decode(value)) for name, value in request.raw_headers)
        try:
            body = await request.content.read()
        except (ConnectionError, web.RequestPayloadError):
            return web.Response(status=400)  # the client has gone; nobody will read this
        arrival = self._exchange.arrive(request.method, request.raw_path, headers, body, received_at)
        if arrival.call is None:
            return self._send(arrival, arrival.reply or Reply(404))
        if not arrival.faults:
            return self._send(arrival, self._exchange.judge(arrival, arrival.call))
        return await self._struck(request, arrival, arrival.call)

    async def _struck(self, request: web.BaseRequest, arrival: Arrival, call: Call) -> web.StreamResponse:
        await _wait(arrival, "before")
        if any(isinstance(fault, Refuse) for fault in arrival.faults):
            return _reset(request)
        cut = next((fault.at for fault in arrival.faults if isinstance(fault, Cut)), None)
        if cut == "before":
            return _close(request, b"")
        reply = self._exchange.judge(arrival, call)
        await _wait(arrival, "after")
        raw = next((fault.data for fault in arrival.faults if isinstance(fault, RawReply)), None)
        if raw is not None or cut == "after":
            return _close(request, raw or b"")
        response = self._send(arrival, reply, note=cut is None)
        if cut is None:
            return response
        head, body = _on_the_wire(response)
        if cut == "body" and body:
            self._exchange.answered(arrival.request_id, response.status)
            return _close(request, head + body[: len(body) // 2])
        return _close(request, head[: len(head) * 2 // 3])

    def _send(self, arrival: Arrival, reply: Reply, *, note: bool = True) -> web.Response:
        headers: CIMultiDict[str] = CIMultiDict(reply.headers)
        if not any(isinstance(fault, ReplyFault) for fault in arrival.faults):
            headers.extend(arrival.trace)
        headers.setdefault("Server", _NAME)
        headers.setdefault("Date", format_datetime(self._exchange.now(), usegmt=True))
        for fault in arrival.faults:
            if isinstance(fault, SetHeader):
                headers[fault.name] = fault.value
            elif isinstance(fault, DropHeader):
                headers.popall(fault.name, None)
        if note:
            self._exchange.answered(arrival.request_id, reply.status)
        return web.Response(status=reply.status, headers=headers, body=reply.body or None)


def _decode(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


async def _wait(arrival: Arrival, when: Literal["before", "after"]) -> None:
    for fault in arrival.faults:
        if isinstance(fault, Delay) and fault.when == when:
            await asyncio.sleep(fault.seconds)
        elif isinstance(fault, Hold) and fault.when == when:
            await fault.pass_through()


def _on_the_wire(response: web.Response) -> tuple[bytes, bytes]:
    body = response.body if isinstance(response.body, bytes) else b""
    lines = [f"HTTP/1.1 {response.status} {response.reason}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode(), body


def _close(request: web.BaseRequest, data: bytes) -> web.Response:
    transport = request.transport
    if transport is not None:
        transport.write(data)
        transport.close()
    return web.Response()


def _reset(request: web.BaseRequest) -> web.Response:
    transport = request.transport
    if transport is not None:
        connection: socket.socket | None = transport.get_extra_info("socket")
        if connection is not None:
            # To linger for no time turns the close into a reset.
            connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
            )
        transport.abort()
    return web.Response()
