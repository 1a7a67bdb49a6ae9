"""The web app in the test's own event loop: with aiohttp behind a socket, with FastAPI called as ASGI calls it."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any, Protocol

import pytest
import webapp
from aiohttp.test_utils import TestClient, TestServer
from attrs import frozen
from webapp_parts.service import Service
from webapp_parts.settings import Settings

from fielding_async import FieldingSession, RunRef
from fielding_async.sandbox import Sandbox

CHUNK = 10_000  # bytes of a body that is sent in chunks


def needs(*modules: str) -> pytest.MarkDecorator:
    """Skip a test, before anything is set up for it, where one of these modules is not installed."""
    missing = [module for module in modules if find_spec(module) is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")


FRAMEWORKS: list[Any] = [
    "aiohttp",
    pytest.param("fastapi", marks=[pytest.mark.once, needs("fastapi", "uvicorn")]),
]
HOST = "localhost"


@frozen
class Reply:
    """A response of the app. The names of the headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class Ask(Protocol):
    """Sends a request to the app."""

    async def __call__(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Return the response."""
        ...


@frozen
class Served:
    """The app, and its sandbox of the exchange: a live and a paused run."""

    ask: Ask
    service: Service
    box: Sandbox
    live: RunRef
    paused: RunRef

    async def get(self, path: str, **headers: str) -> Reply:
        """Ask for a resource. A header's name is given with underscores."""
        return await self.ask("GET", path, _headers(headers), b"")

    async def click(self, ref: object, action: str, body: object = None, **headers: str) -> Reply:
        """Ask for an action, as the page does. `body`: bytes as they are, or a value."""
        sent = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        named = {"content_type": "application/json", "content_length": str(len(sent))} | headers
        return await self.ask("POST", f"/api/runs/{ref}/{action}", _headers(named), sent)

    async def shown(self, ref: RunRef) -> dict[str, Any]:
        """Return what the app shows of a run."""
        runs = (await self.get("/api/runs")).json["runs"]
        (item,) = [item for item in runs if item["ref"] == str(ref)]
        return dict(item)

    async def fetched(self) -> None:
        """Wait until the app shows a state of both runs."""
        board = self.service.board
        while not all(entry.run or entry.problem for entry in board.entries.values()):
            await board.newer(board.version)


def _headers(named: dict[str, str]) -> dict[str, str]:
    return {"host": HOST} | {name.replace("_", "-"): value for name, value in named.items()}


@asynccontextmanager
async def serve(
    framework: str, settings: Settings, session: Callable[[], FieldingSession]
) -> AsyncIterator[tuple[Ask, Service]]:
    """Serve the app until the block is left. A body goes in chunks if the headers say so."""
    if framework == "aiohttp":
        app = webapp.make_app(settings, session)
        async with TestClient[Any, Any](TestServer(app)) as client:

            async def ask(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
                whole = {name: value for name, value in headers.items() if name != "transfer-encoding"}
                data = body or None if whole == headers else _in_chunks(body)
                async with client.request(method, path, headers=whole, data=data) as response:
                    lower = {name.lower(): value for name, value in response.headers.items()}
                    return Reply(response.status, lower, await response.read())

            yield ask, app[webapp.SERVICE]
    else:
        import fastapi_app

        asgi = fastapi_app.make_app(settings, session)

        async def call(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
            return await _call_asgi(asgi, method, path, headers, body)

        async with asgi.router.lifespan_context(asgi):
            yield call, asgi.state.service


async def _in_chunks(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), CHUNK):
        yield body[start : start + CHUNK]


async def _call_asgi(app: Any, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    sent: list[dict[str, Any]] = []
    left = [chunk async for chunk in _in_chunks(body)] if "transfer-encoding" in headers else [body]

    async def receive() -> dict[str, Any]:
        chunk = left.pop(0) if left else b""
        return {"type": "http.request", "body": chunk, "more_body": bool(left)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, *rest = sent
    lower = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    return Reply(start["status"], lower, b"".join(part.get("body", b"") for part in rest))
