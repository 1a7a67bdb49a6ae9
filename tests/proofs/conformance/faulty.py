"""A door in front of a sandbox that gets something wrong on purpose: what a check is worth shows in what it catches."""

import http.client
import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from attrs import define

from tests.tools.waits import HANG

__all__ = ["FAULTS", "Door", "Exchange"]

_HOP = {"connection", "content-length", "date", "host", "server", "transfer-encoding"}


@define
class Exchange:
    """A request on its way in, and the reply on its way out. Header names of the request are in lower case."""

    method: str
    path: str
    asked: dict[str, str]
    status: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


Fault = Callable[[Exchange], None]


def _no_etag(exchange: Exchange) -> None:
    exchange.headers = tuple((name, value) for name, value in exchange.headers if name.lower() != "etag")


def _bad_enum(exchange: Exchange) -> None:
    exchange.body = exchange.body.replace(b'"status":"live"', b'"status":"on-air"')


def _no_location(exchange: Exchange) -> None:
    exchange.headers = tuple((name, value) for name, value in exchange.headers if name.lower() != "location")


def _no_version(exchange: Exchange) -> None:
    exchange.body = exchange.body.replace(b'"version":', b'"edition":')


def _no_if_match(exchange: Exchange) -> None:
    if exchange.status == 400 and "if-match" not in exchange.asked:
        (problem, *others) = json.loads(exchange.body)["invalid_params"]
        if problem["name"] == "If-Match" and not others:
            exchange.status, exchange.headers, exchange.body = 204, (("ETag", 'W/"77"'),), b""


def _wrong_error(exchange: Exchange) -> None:
    if exchange.status == 404:
        exchange.body = b'{"message":"not found"}'


def _wrong_status(exchange: Exchange) -> None:
    if exchange.status == 204:
        exchange.status, exchange.headers = 200, (*exchange.headers, ("Content-Type", "application/json"))


def _supplied(header: str, value: str) -> Fault:
    def supply(exchange: Exchange) -> None:
        exchange.asked.setdefault(header, value)

    return supply


_BEFORE: dict[str, Fault] = {
    "missing Cint-API-Version accepted": _supplied("cint-api-version", "2025-12-18"),
    "missing Idempotency-Key accepted": _supplied("idempotency-key", "made-up"),
    "missing Authorization accepted": _supplied("authorization", "Bearer ${token}"),
}
_AFTER: dict[str, Fault] = {
    "no ETag": _no_etag,
    "bad enum": _bad_enum,
    "no Location": _no_location,
    "missing field": _no_version,
    "missing If-Match accepted": _no_if_match,
    "undocumented error body": _wrong_error,
    "undocumented status": _wrong_status,
}
FAULTS = ("none", *_BEFORE, *_AFTER)
"""The faults that a door can have, by name; with `"none"` it passes everything on as it is."""


class Door:
    """An HTTP server that passes every request on to another, with a fault in what goes in or what comes out."""

    def __init__(self, target: str, fault: str, token: str) -> None:
        if fault not in FAULTS:
            raise ValueError(f"no such fault: {fault}")
        self._target = urlsplit(target)
        self._before, self._after = _BEFORE.get(fault), _AFTER.get(fault)
        self._token = token
        door = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # a reply leaves in one piece

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65_537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length) if length else None
                asked = {name.lower(): value for name, value in self.headers.items()}
                passed = door.pass_on(Exchange(self.command, self.path, asked), body)
                self.send_response(passed.status)
                for name, value in passed.headers:
                    self.send_header(name, value)
                if passed.status != 204:
                    self.send_header("Content-Length", str(len(passed.body)))
                self.end_headers()
                self.wfile.write(b"" if self.command == "HEAD" or passed.status == 204 else passed.body)
                self.wfile.flush()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's own word
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self._server.server_port}{self._target.path}"

    def pass_on(self, exchange: Exchange, body: bytes | None) -> Exchange:
        """Send a request to the target; return the exchange with the reply, the fault done."""
        if self._before is not None:
            self._before(exchange)
        asked = {name: value.replace("${token}", self._token) for name, value in exchange.asked.items()}
        connection = http.client.HTTPConnection(str(self._target.hostname), int(self._target.port or 80), timeout=HANG)
        try:
            headers = {name: value for name, value in asked.items() if name not in _HOP}
            connection.request(exchange.method, exchange.path, body=body, headers=headers)
            reply = connection.getresponse()
            exchange.status, exchange.body = reply.status, reply.read()
            exchange.headers = tuple((name, value) for name, value in reply.getheaders() if name.lower() not in _HOP)
        finally:
            connection.close()
        if self._after is not None:
            self._after(exchange)
        return exchange

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
