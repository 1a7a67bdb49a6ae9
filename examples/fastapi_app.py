"""A web app around fielding runs, with FastAPI: the same as `webapp.py`, which is with aiohttp.

    python examples/fastapi_app.py --demo                # needs no account: a sandbox comes with it
    python examples/fastapi_app.py 101/PROJECT/TARGET_GROUP/RUN ...
    export WEBAPP_RUNS="101/PROJECT/TARGET_GROUP/RUN ..."
    uvicorn --app-dir examples --factory fastapi_app:create_app --timeout-graceful-shutdown 15

Needs `pip install fastapi uvicorn`. It has no users and no log-in: put a proxy with a log-in and TLS in front of it.
"""

import logging
import math
import os
import signal
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from typing import Annotated, Any, Literal

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.exceptions import HTTPException as FastAPIError
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict
from starlette.convertors import Convertor, register_url_convertor
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from webapp_parts import guard
from webapp_parts.answers import ActionDone, Health, Problem
from webapp_parts.board import BoardView
from webapp_parts.command_line import serve
from webapp_parts.page import FILES
from webapp_parts.service import ACTIONS, Service
from webapp_parts.settings import Settings, settings_from
from webapp_parts.stop_signals import on_stop_signal
from webapp_parts.tracing import server_span

from fielding_async import FieldingSession

log = logging.getLogger("webapp")


async def service_of(request: Request) -> Service:  # FastAPI runs what is not async in a thread
    """The dependency: the service of this app, with the session that all requests share."""
    service: Service = request.app.state.service
    return service


ServiceDep = Annotated[Service, Depends(service_of)]


class Click(BaseModel):
    """The body of a click. `seen`: that of the run as the page showed it; without it, the run may be any way now."""

    model_config = ConfigDict(strict=True)

    seen: str | None = None


class ActionConvertor(Convertor[str]):
    """Lets a path fit only if it names an action: any other is 404, whatever the body."""

    regex = "|".join(ACTIONS)

    def convert(self, value: str) -> str:
        """Return the action."""
        return value

    def to_string(self, value: str) -> str:
        """Return the part of the path."""
        return value


register_url_convertor("action", ActionConvertor())

# -- requests

router = APIRouter()
# what may come instead of the answer to a click; the README has the table
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (202, 400, 403, 404, 409, 413, 415, 421, 500, 502, 503, 504)
}


@router.get("/api/runs")
async def runs(service: ServiceDep) -> BoardView:
    """Return what the page shows."""
    return service.board.view()


@router.get("/api/events")
async def events(service: ServiceDep) -> StreamingResponse:
    """Return what the page shows, again after each change (server-sent events)."""
    return StreamingResponse(service.board.events(), media_type="text/event-stream")


@router.post("/api/runs/{ref:path}/{action:action}", responses=PROBLEMS)
async def act(
    ref: str, action: Literal["pause", "resume"], click: Click, service: ServiceDep, response: Response
) -> ActionDone | Problem:
    """Pause or resume a run."""
    ended = await service.act(ref, action, click.seen)
    if isinstance(ended, Problem):
        response.status_code = ended.status
        response.headers.update(headers_of(ended))
    return ended


@router.get("/health", responses={503: {"model": Health}})
async def health(service: ServiceDep, response: Response) -> Health:
    """Return 200 while the app serves, 503 while it stops or does not fetch the runs any more."""
    state = service.health()
    response.status_code = 200 if state.status == "ok" else 503
    return state


async def webhook(request: Request, service: ServiceDep) -> Response:
    """Take a delivery: it says that something has changed; the exchange is asked what."""
    if service.take_delivery(await request.body(), request.headers.get("Cint-Signature", "")):
        return Response(status_code=204)
    return answer(Problem(400, "not-verified", "The signature is not right."))


async def page(request: Request) -> Response:
    """Return the page, or one of its files."""
    kind, content = FILES[request.url.path]
    return Response(content, media_type=kind)


# -- what every request goes through


def headers_of(problem: Problem) -> dict[str, str]:
    """Return the headers of a response with a problem."""
    return {} if problem.retry_after is None else {"Retry-After": str(problem.retry_after)}


def answer(problem: Problem) -> JSONResponse:
    """Return a problem as a response."""
    return JSONResponse(asdict(problem), problem.status, headers_of(problem))


async def not_served(_request: Request, error: Exception) -> Response:
    """Answer where no route fits, or the body does not."""
    if isinstance(error, HTTPException) and error.status_code == guard.TOO_LARGE.status:
        return answer(guard.TOO_LARGE)
    if isinstance(error, HTTPException) and error.status_code != guard.BAD_BODY.status:
        return answer(Problem(error.status_code, "http", error.detail))
    return answer(guard.BAD_BODY)  # also FastAPI's own 400, for a body that is nested thousands deep


class Guard:
    """The outermost middleware: refuses other hosts, other sites and large bodies, adds headers, continues traces."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, with an answer also where the app has a fault."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_begun, taken = False, 0

        async def receive_at_most() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > guard.MOST_BYTES and not is_begun:
                raise FastAPIError(guard.TOO_LARGE.status)  # this kind FastAPI lets through while it reads a body
            return message

        async def send_with_headers(message: Message) -> None:
            nonlocal is_begun
            if message["type"] == "http.response.start":
                is_begun = True
                MutableHeaders(scope=message).update(guard.HEADERS)
            await send(message)

        headers = Headers(scope=scope)
        problem = guard.refusal(scope["method"], scope["path"], headers, self._settings.hosts)
        with server_span(scope["method"], headers):
            try:
                await (self._app if problem is None else answer(problem))(scope, receive_at_most, send_with_headers)
            except Exception:
                # the path as it was sent: decoded, it could hold a line feed
                log.exception("%s %s", scope["method"], scope.get("raw_path"))
                if is_begun:
                    raise
                fault = Problem(500, "internal", "This app has a fault. Tell the people who run it.")
                await answer(fault)(scope, receive, send_with_headers)


# -- the app


def make_app(settings: Settings, session: Callable[[], FieldingSession] = FieldingSession) -> FastAPI:
    """Return the app. `session`: makes the session once the app starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with Service(session(), settings) as service:
            app.state.service = service
            with on_stop_signal(service.stop):
                yield

    # without its own pages of documentation, which load scripts from another host; /openapi.json is there
    app = FastAPI(title="Fielding runs", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(Guard, settings=settings)
    app.add_exception_handler(HTTPException, not_served)
    app.add_exception_handler(RequestValidationError, not_served)
    app.include_router(router)
    for path in FILES:
        app.get(path, include_in_schema=False)(page)
    if settings.secret:
        app.post("/webhooks/cint", status_code=204, response_model=None)(webhook)
    return app


def create_app() -> FastAPI:
    """Return the app with settings from the environment, for `uvicorn --factory`."""
    settings = settings_from(os.environ)
    if not settings.refs:
        raise ValueError("WEBAPP_RUNS: name the runs to show, as ACCOUNT/PROJECT/TARGET_GROUP/RUN")
    return make_app(settings)


def run(settings: Settings, session: Callable[[], FieldingSession], listening: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM."""
    # a reader who takes nothing in must not keep the server from stopping
    patience = math.ceil(settings.drain) + 5
    config = uvicorn.Config(make_app(settings, session), timeout_graceful_shutdown=patience, log_config=None)
    # Uvicorn sends itself the signal again when it has stopped: this lets the process end by itself
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run([listening])


if __name__ == "__main__":
    serve("Show fielding runs live in a page; pause and resume them. Served by FastAPI and Uvicorn.", run)
