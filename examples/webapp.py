"""A web app around fielding runs, with aiohttp: runs live in a page, pause and resume, webhooks.

    python examples/webapp.py --demo                     # needs no account: a sandbox comes with it
    python examples/webapp.py 101/PROJECT/TARGET_GROUP/RUN ...   # FIELDING_TOKEN, or FIELDING_CLIENT_ID and _SECRET

It has no users and no log-in: it listens on this machine only. Put a proxy with a log-in and TLS in front of it.
`fastapi_app.py` is the same app with FastAPI; both share `webapp_parts`.
"""

import json
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import cast

from aiohttp import web
from aiohttp.http import HttpProcessingError
from aiohttp.typedefs import Middleware
from webapp_parts import guard
from webapp_parts.answers import ActionDone, Health, Problem
from webapp_parts.board import BoardView
from webapp_parts.command_line import serve
from webapp_parts.page import FILES
from webapp_parts.service import Service
from webapp_parts.settings import Settings
from webapp_parts.tracing import server_span

from fielding_async import FieldingSession

SERVICE = web.AppKey("SERVICE", Service)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
log = logging.getLogger("webapp")


def answer(value: ActionDone | BoardView | Health | Problem, status: int = 200) -> web.Response:
    """Return a value as JSON, with the status of the problem if it is one."""
    headers: dict[str, str] = {}
    if isinstance(value, Problem):
        status = value.status
        if value.retry_after is not None:
            headers["Retry-After"] = str(value.retry_after)
    return web.json_response(asdict(value), status=status, headers=headers)


# -- requests


async def page(request: web.Request) -> web.Response:
    """GET / and the files of the page."""
    kind, content = FILES[request.path]
    return web.Response(body=content, content_type=kind, charset="utf-8")


async def runs(request: web.Request) -> web.Response:
    """GET /api/runs: what the page shows."""
    return answer(request.app[SERVICE].board.view())


async def events(request: web.Request) -> web.StreamResponse:
    """GET /api/events: the same, again after each change (server-sent events)."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    with suppress(ConnectionResetError):  # the page was closed
        async for event in request.app[SERVICE].board.events():
            await response.write(event)
    return response


async def act(request: web.Request) -> web.Response:
    """POST /api/runs/{ref}/pause or …/resume, with `{}` or `{"seen": TEXT}`: that of the run as the page showed it."""
    try:
        body: object = json.loads(await request.read())
    except (ValueError, RecursionError):  # the latter: nested thousands deep
        body = None
    seen = cast("dict[str, object]", body).get("seen") if isinstance(body, dict) else 0
    if not (seen is None or isinstance(seen, str)):
        return answer(guard.BAD_BODY)
    return answer(await request.app[SERVICE].act(request.match_info["ref"], request.match_info["action"], seen))


async def webhook(request: web.Request) -> web.Response:
    """POST /webhooks/cint: a delivery says that something has changed; the exchange is asked what."""
    if request.app[SERVICE].take_delivery(await request.read(), request.headers.get("Cint-Signature", "")):
        return web.Response(status=204)
    return answer(Problem(400, "not-verified", "The signature is not right."))


async def health(request: web.Request) -> web.Response:
    """GET /health: 200 while the app serves, 503 if it does not fetch the runs any more, or stops."""
    state = request.app[SERVICE].health()
    return answer(state, 200 if state.status == "ok" else 503)


# -- what every request goes through


@web.middleware
async def tracing(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Continue the caller's trace."""
    route = request.match_info.route.resource
    with server_span(f"{request.method} {route.canonical}" if route else request.method, request.headers):
        return await handler(request)


@web.middleware
async def explaining(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer with JSON also where no route fits, and where the app has a fault."""
    try:
        return await handler(request)
    except web.HTTPRequestEntityTooLarge:
        return answer(guard.TOO_LARGE)
    except web.HTTPException as error:
        return answer(Problem(error.status, "http", error.reason))
    except Exception:
        # the path as it was sent: decoded, it could hold a line feed
        log.exception("%s %s", request.method, request.raw_path)
        return answer(Problem(500, "internal", "This app has a fault. Tell the people who run it."))


def guarding(settings: Settings) -> Middleware:
    """Return the middleware that refuses requests for other hosts and from other sites."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        problem = guard.refusal(request.method, request.path, request.headers, settings.hosts)
        return await handler(request) if problem is None else answer(problem)

    return middleware


async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Add to every response the headers that restrict what the browser may do."""
    response.headers.update(guard.HEADERS)


def log_without_traceback(record: logging.LogRecord) -> bool:
    """Filter the log of aiohttp: a request that is not HTTP (it may lack `Host`) gets one line, as INFO."""
    if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
        record.exc_info, record.levelno, record.levelname = None, logging.INFO, "INFO"
    return True


# -- the app


async def service_of(
    settings: Settings, session: Callable[[], FieldingSession], app: web.Application
) -> AsyncIterator[None]:
    """What lives as long as the app: one session, shared by all requests."""
    async with Service(session(), settings) as app[SERVICE]:
        yield


async def stop(app: web.Application) -> None:
    """End streams and refuse new clicks; return when no click is in progress. aiohttp then closes the connections."""
    await app[SERVICE].stop()


def make_app(settings: Settings, session: Callable[[], FieldingSession] = FieldingSession) -> web.Application:
    """Return the app. `session`: makes the session once the app starts."""
    app = web.Application(middlewares=[tracing, explaining, guarding(settings)], client_max_size=guard.MOST_BYTES)
    app.on_response_prepare.append(add_headers)
    app.cleanup_ctx.append(partial(service_of, settings, session))
    app.on_shutdown.append(stop)
    for path in FILES:
        app.router.add_get(path, page)
    app.router.add_get("/api/runs", runs)
    app.router.add_get("/api/events", events)
    app.router.add_post("/api/runs/{ref:.+}/{action:pause|resume}", act)
    app.router.add_get("/health", health)
    if settings.secret:
        app.router.add_post("/webhooks/cint", webhook)
    return app


def run(settings: Settings, session: Callable[[], FieldingSession], listening: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM."""
    logging.getLogger("aiohttp.server").addFilter(log_without_traceback)
    web.run_app(make_app(settings, session), sock=listening, print=None, shutdown_timeout=5)


if __name__ == "__main__":
    serve("Show fielding runs live in a page; pause and resume them. Served by aiohttp.", run)
