"""The HTTP server: sockets and connections, and the scripted faults that delay, cut or change a reply."""

import asyncio
import os
import socket
import struct
import time
from collections.abc import Set as AbstractSet
from contextlib import suppress
from email.utils import format_datetime
from typing import Any, Literal, cast

from aiohttp import web
from multidict import CIMultiDict

from fielding_async.__about__ import SANDBOX, __version__

from .control.door import Door
from .faults.values import Cut, Delay, DropHeader, Hold, RawReply, Refuse, SetHeader
from .faults.values import Reply as ReplyFault
from .request_pipeline import IncomingRequest, RequestPipeline
from .serving.host_check import LOOPBACK_ONLY, HostCheck, Refused
from .serving.replies import Reply
from .serving.request_form import Request

__all__ = ["Server"]

_NAME = f"{SANDBOX}/{__version__}"
_ACCEPT_TURNS = 3  # turns of the event loop from accepting a connection until the server has recorded it
_LONGEST_BODY = 1 << 20  # bytes
_LONGEST_HEAD = 1 << 16  # bytes of names and values; of a single one aiohttp takes 8190
_TOO_LONG = Refused(413, f"The body must have at most {_LONGEST_BODY} bytes.")
# after a refusal the rest of a body is read and dropped for a moment, so that the client gets to read the reply; a body
# that says that it is compressed is not unpacked, as it may become a thousand times as long
_HTTP: dict[str, Any] = {"access_log": None, "max_headers": 128, "lingering_time": 0.5, "auto_decompress": False}
_ADDED = {"date", "server", "content-type", "content-length"}  # aiohttp adds these to a reply that has none
_SHUTDOWN_SECONDS = 0.05  # time for requests in progress to end when the server stops, before they are dropped


class Server:
    """Serves a `RequestPipeline` on one event loop."""

    def __init__(self, pipeline: RequestPipeline, hosts: HostCheck, door: Door | None = None) -> None:
        self._pipeline = pipeline
        self._door = door
        self._hosts = hosts
        self._runner: web.ServerRunner | None = None
        self._listener: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Start listening, and return the port."""
        runner = web.ServerRunner(web.Server(self._handle, **_HTTP), shutdown_timeout=_SHUTDOWN_SECONDS)
        await runner.setup()
        assert runner.server is not None  # noqa: S101 - setup() has made it
        try:
            listener = await asyncio.get_running_loop().create_server(runner.server, host, port)
        except BaseException:
            await runner.cleanup()
            raise
        self._runner, self._listener = runner, listener
        return int(listener.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close the socket and every connection. Requests in progress are dropped."""
        (runner, self._runner), (listener, self._listener) = (self._runner, None), (self._listener, None)
        if listener is not None:
            # A connection that is being accepted when the listener closes would stay open: asyncio can no longer make
            # a transport for it. So accepting stops first.
            for listening in listener.sockets:
                with suppress(NotImplementedError):
                    asyncio.get_running_loop().remove_reader(listening)
            for _ in range(_ACCEPT_TURNS):
                await asyncio.sleep(0)
            listener.close()
        if self._door is not None:
            self._door.close()
        if runner is not None:
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request. What is raised here is kept for the test; the client gets a 500, which it may retry."""
        try:
            response = await self._answer(request)
            if request.transport is not None and not request.transport.is_closing():
                await response.prepare(request)  # here, so that headers that cannot be sent are not lost in a log
        except ConnectionError:
            raise  # the client has disconnected
        except Exception as error:  # noqa: BLE001 - whatever it is, the test must learn of it
            self._pipeline.failures.add(error, f"answering {request.method} {request.raw_path:.200}")
            return web.Response(status=500, text="An exception was raised inside the sandbox. Stopping it raises it.\n")
        return response

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        received_at = time.monotonic()
        headers = tuple((_decode(name), _decode(value)) for name, value in request.raw_headers)
        is_control = self._door is not None and self._door.claims(request.raw_path)
        refused = self._refusal(request, headers, LOOPBACK_ONLY if is_control else self._hosts)
        if refused is not None:
            if self._door is not None and is_control:
                return self._door.refuse(refused)
            # headers that are too long are not kept either
            return self._refuse(request, refused, () if refused.status == 431 else headers, received_at)
        try:
            body = await _read_body(request)
        except (ConnectionError, web.RequestPayloadError):
            return web.Response(status=400)  # the client has disconnected; nobody reads this
        if body is None:
            if self._door is not None and is_control:
                return self._door.refuse(_TOO_LONG)
            return self._refuse(request, _TOO_LONG, headers, received_at)
        if self._door is not None and is_control:
            return await self._door.answer(request, body)
        incoming = self._pipeline.receive(request.method, request.raw_path, headers, body, received_at)
        if incoming.request is None:
            return self._response(incoming, incoming.reply or Reply(404))
        try:
            if wait := self._pipeline.wait_of_latency():
                await asyncio.sleep(wait)
            if not incoming.faults:
                return self._response(incoming, self._pipeline.handle(incoming, incoming.request))
            return await self._handle_with_faults(request, incoming, incoming.request)
        finally:
            self._pipeline.leave(incoming)

    def _refusal(
        self, request: web.BaseRequest, headers: tuple[tuple[str, str], ...], hosts: HostCheck
    ) -> Refused | None:
        if sum(len(name) + len(value) for name, value in headers) > _LONGEST_HEAD:
            return Refused(431, f"The headers must have at most {_LONGEST_HEAD} bytes.")
        transport = request.transport
        name: object = None if transport is None else transport.get_extra_info("sockname")
        address = cast("tuple[object, ...]", name)[0] if isinstance(name, tuple) else ""
        return hosts.refusal(headers, str(address))

    def _refuse(
        self, request: web.BaseRequest, refused: Refused, headers: tuple[tuple[str, str], ...], received_at: float
    ) -> web.Response:
        incoming = self._pipeline.refuse(refused, request.method, request.raw_path, headers, received_at)
        response = self._response(incoming, incoming.reply or Reply(refused.status))
        response.force_close()  # what is left of the body is not read as a next request
        return response

    async def _handle_with_faults(
        self, connection: web.BaseRequest, incoming: IncomingRequest, request: Request
    ) -> web.StreamResponse:
        await _wait(incoming, "before")
        if any(isinstance(fault, Refuse) for fault in incoming.faults):
            return _reset(connection)
        cut = next((fault.at for fault in incoming.faults if isinstance(fault, Cut)), None)
        if cut == "before":
            return _close(connection, b"")
        reply = self._pipeline.handle(incoming, request)
        await _wait(incoming, "after")
        raw = next((fault.data for fault in incoming.faults if isinstance(fault, RawReply)), None)
        if raw is not None or cut == "after":
            return _close(connection, raw or b"")
        response = self._response(incoming, reply, record_status=cut is None)
        dropped = {fault.name.lower() for fault in incoming.faults if isinstance(fault, DropHeader)}
        if cut is None and not dropped & _ADDED:
            return response
        head, body = _as_bytes(response, without=dropped)
        if cut is None:
            return _close(connection, head + body)
        if cut == "body" and body:
            self._pipeline.record_status(incoming.request_id, response.status)
            return _close(connection, head + body[: len(body) // 2])
        return _close(connection, head[: len(head) * 2 // 3])

    def _response(self, incoming: IncomingRequest, reply: Reply, *, record_status: bool = True) -> web.Response:
        headers: CIMultiDict[str] = CIMultiDict(reply.headers)
        if not any(isinstance(fault, ReplyFault) for fault in incoming.faults):
            headers.extend(incoming.trace_headers)
        headers.setdefault("Server", _NAME)
        headers.setdefault("Date", format_datetime(self._pipeline.now(), usegmt=True))
        for fault in incoming.faults:
            if isinstance(fault, SetHeader):
                headers[fault.name] = fault.value
            elif isinstance(fault, DropHeader):
                headers.popall(fault.name, None)
        if record_status:
            self._pipeline.record_status(incoming.request_id, reply.status)
        return web.Response(status=reply.status, headers=headers, body=reply.body or None)


async def _read_body(request: web.BaseRequest) -> bytes | None:
    """Return the body; `None` if it is too long. No more than that is ever held."""
    if (request.content_length or 0) > _LONGEST_BODY:
        return None
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > _LONGEST_BODY:
            return None
    return bytes(body)


def _decode(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


async def _wait(incoming: IncomingRequest, when: Literal["before", "after"]) -> None:
    for fault in incoming.faults:
        if isinstance(fault, Delay) and fault.when == when:
            await asyncio.sleep(fault.seconds)
        elif isinstance(fault, Hold) and fault.when == when:
            await fault.pass_through()


def _as_bytes(response: web.Response, *, without: AbstractSet[str]) -> tuple[bytes, bytes]:
    """Return the head and the body of a reply after which the connection is closed."""
    body = response.body if isinstance(response.body, bytes) else b""
    lines = [f"HTTP/1.1 {response.status} {response.reason}"]
    named = [*response.headers.items(), ("Content-Length", f"{len(body)}"), ("Connection", "close")]
    lines += [f"{name}: {value}" for name, value in named if name.lower() not in without]
    lines += ["", ""]
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
            # A linger time of zero turns the close into a reset.
            connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
            )
        transport.abort()
    return web.Response()
