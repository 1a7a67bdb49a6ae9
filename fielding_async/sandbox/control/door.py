"""Answers the requests for `/control` and for the page. They count against no limit, and meet no fault.

Every request but those for the page's own files needs the control token, and a loopback name in `Host`.
"""

import json
from collections.abc import Callable, Mapping
from hmac import compare_digest
from typing import Any, cast
from urllib.parse import parse_qsl

from aiohttp import web

from fielding_async.core.errors import ConfigurationError
from fielding_async.sandbox.page.files import PAGE_HEADERS, file_of
from fielding_async.sandbox.serving.checks import did_you_mean
from fielding_async.sandbox.serving.host_check import Refused

from .controlled import Controlled, View
from .endpoints import Endpoints, NoSuchRunError
from .events import EventStream

__all__ = ["Door"]

_PREFIX = "/control"
_MOST_STREAMS = 16  # pages that are open at a time
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}

Endpoint = Callable[[Mapping[str, Any]], Any]


class Door:
    """The control door of one sandbox."""

    def __init__(self, sandbox: Controlled, view: View, token: str) -> None:
        self._token = token
        self._view = view
        self._streams: set[EventStream] = set()
        self._endpoints: dict[str, dict[str, Endpoint]] = Endpoints(sandbox, view).table()

    def claims(self, path: str) -> bool:
        """Whether a request for this path is for the door, not for the exchange."""
        plain = path.partition("?")[0]
        return plain == _PREFIX or plain.startswith(f"{_PREFIX}/") or file_of(plain) is not None

    def close(self) -> None:
        """End the streams of events."""
        for stream in self._streams:
            stream.end()

    def refuse(self, refused: Refused) -> web.Response:
        """Answer a request that the door claims and that is refused for its `Host`, `Origin` or size."""
        response = _error(refused.status, refused.detail)
        response.force_close()  # what is left of the body is not read as a next request
        return response

    async def answer(self, request: web.BaseRequest, body: bytes) -> web.StreamResponse:
        """Answer a request that the door claims."""
        path, _, query = request.raw_path.partition("#")[0].partition("?")
        if (file := file_of(path)) is not None:
            if request.method not in {"GET", "HEAD"}:
                return _error(405, "The page is read with GET.")
            return web.Response(body=file.data, headers=PAGE_HEADERS | {"Content-Type": file.type})
        if not self._is_allowed(request.headers.get("Authorization", "")):
            text = "Send the control token as `Authorization: Bearer TOKEN`; the sandbox shows it when it starts."
            return _error(401, text, {"WWW-Authenticate": "Bearer"})
        name = path.removeprefix(_PREFIX).strip("/")
        if name == "events" and request.method == "GET":
            return await self._stream(request)
        found = self._endpoints.get(name)
        if found is None:
            hint = (
                did_you_mean(name, self._endpoints) or f"there are {', '.join(filter(None, self._endpoints))}, events"
            )
            return _error(404, f"There is no endpoint {_PREFIX}/{name[:60]}; {hint}")
        endpoint = found.get(request.method)
        if endpoint is None:
            allowed = ", ".join(found)
            return _error(405, f"{_PREFIX}/{name} takes {allowed}, not {request.method[:20]}.", {"Allow": allowed})
        try:
            given = dict(parse_qsl(query, keep_blank_values=True)) if request.method == "GET" else _object(body)
            return _json(201 if request.method == "POST" else 200, endpoint(given))
        except ConfigurationError as error:
            return _error(400, error.message)
        except NoSuchRunError as error:
            return _error(404, str(error))

    def _is_allowed(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        return scheme.lower() == "bearer" and compare_digest(token.strip().encode(), self._token.encode())

    async def _stream(self, request: web.BaseRequest) -> web.StreamResponse:
        if len(self._streams) >= _MOST_STREAMS:
            return _error(503, f"At most {_MOST_STREAMS} pages can be open at a time.")
        stream = EventStream(self._view)
        self._streams.add(stream)
        try:
            return await stream.send(request, _HEADERS)
        finally:
            self._streams.discard(stream)


def _object(body: bytes) -> Mapping[str, Any]:
    if not body.strip():
        return {}
    try:
        found: object = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ConfigurationError("The body must be a JSON object: send {} for no arguments.")
    return cast("dict[str, Any]", found)


def _json(status: int, content: object) -> web.Response:
    return web.Response(status=status, text=json.dumps(content), content_type="application/json", headers=_HEADERS)


def _error(status: int, detail: str, headers: Mapping[str, str] | None = None) -> web.Response:
    response = _json(status, {"object": "control_error", "detail": detail})
    response.headers.update(headers or {})
    return response
