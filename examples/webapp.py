"""A web app around fielding runs: one session for all requests, live state in a page, pause and resume, webhooks.

    python examples/webapp.py --demo                     # no account needed: the exchange in a box comes with it
    python examples/webapp.py 101/PROJECT/TARGET_GROUP/RUN ...   # FIELDING_TOKEN, or FIELDING_CLIENT_ID and _SECRET

It has no users and no log-in of its own: it listens on this machine only. Put yours in front before you open it up.
"""

import argparse
import asyncio
import json
import logging
import math
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web
from opentelemetry import context, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from fielding_async import (
    ConfigurationError,
    DeadlineExceededError,
    FieldingError,
    FieldingRun,
    FieldingSession,
    InvalidRunStateError,
    NotFoundError,
    OutcomeUnknownError,
    Pause,
    PreconditionFailedError,
    RateLimitError,
    Resume,
    RunRef,
    SessionClosedError,
)
from fielding_async.webhooks import WebhookVerificationError, verify

PAGE = Path(__file__).with_suffix(".html")
ACTIONS = {"pause": Pause(), "resume": Resume()}
ANSWER_WITHIN = 25.0  # seconds: before a proxy loses its patience, and answers in our place
KEEP_ALIVE = 15.0  # seconds: proxies cut streams that say nothing for long
log = logging.getLogger("webapp")


class Board:
    """What is known of each run; whoever watches is told of every change."""

    def __init__(self, refs: Iterable[RunRef]) -> None:
        self.refs = {str(ref): ref for ref in refs}
        self.runs: dict[str, FieldingRun] = {}
        self.problems: dict[str, str] = {}
        self.version = 0
        self.closed = False
        self._changed = asyncio.Condition()

    async def show(self, ref: RunRef, run: FieldingRun | None = None, problem: str | None = None) -> None:
        """Put a run, or what is wrong with it, on the board."""
        key = str(ref)
        before = known, _ = self.runs.get(key), self.problems.get(key)
        # two looks may come back in another order than they went
        if run is not None and (known is None or _changed(run) >= _changed(known)):
            self.runs[key] = run
        self.problems.pop(key, None)
        if problem is not None:
            self.problems[key] = problem
        if (self.runs.get(key), self.problems.get(key)) != before:
            self.version += 1
            await self.wake()

    async def wake(self) -> None:
        """Wake whoever watches."""
        async with self._changed:
            self._changed.notify_all()

    async def newer(self, than: int) -> None:
        """Return once there is something newer on the board, or it is closed."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.version > than or self.closed)

    def view(self) -> list[dict[str, Any]]:
        """Return the board as JSON values."""
        return [
            {"ref": key, "problem": self.problems.get(key), "run": as_json(self.runs.get(key))} for key in self.refs
        ]


def _changed(run: FieldingRun) -> datetime:
    return run.last_changed_at or datetime.min.replace(tzinfo=UTC)


def as_json(run: FieldingRun | None) -> dict[str, Any] | None:
    """Return what the page needs to know of a run."""
    if run is None:
        return None
    return {
        "status": run.status,
        "starts": run.start_fielding_at.isoformat(),
        "ends": run.end_fielding_at.isoformat(),
        "changed": run.last_changed_at and run.last_changed_at.isoformat(),
        "etag": run.etag,
    }


BOARD = web.AppKey("BOARD", Board)
FIELDING = web.AppKey("FIELDING", FieldingSession)
SECRET = web.AppKey("SECRET", str)
LOOK = web.AppKey("LOOK", asyncio.Event)  # set it, and the runs are looked at now


# -- what lives as long as the app does


def sharing(session: Callable[[], FieldingSession], every: float) -> Callable[[web.Application], AsyncIterator[None]]:
    """Return the context of the app: one session, shared by all requests, and a task that looks at the runs."""

    async def lifetime(app: web.Application) -> AsyncIterator[None]:
        async with session() as fielding:
            app[FIELDING] = fielding
            watching = asyncio.create_task(watch(app, every))
            yield
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    return lifetime


async def watch(app: web.Application, every: float) -> None:
    """Look at all runs now and then, and at once when somebody asks for it. Webhooks make `every` a matter of taste."""
    while True:
        app[LOOK].clear()
        async with asyncio.TaskGroup() as group:
            for ref in app[BOARD].refs.values():
                group.create_task(look(app, ref))
        with suppress(TimeoutError):
            async with asyncio.timeout(every):
                await app[LOOK].wait()


async def look(app: web.Application, ref: RunRef, timeout: float = 60) -> None:
    """Put a run on the board as it is now, or after `timeout` seconds that this is not known."""
    try:
        await app[BOARD].show(ref, await app[FIELDING].run(ref).get(timeout=timeout))
    except FieldingError as error:
        log.warning("%s", error)
        await app[BOARD].show(ref, problem=error.message)


async def close_streams(app: web.Application) -> None:
    """Let the pages go, so that stopping need not wait for them. Writes under way are still waited for."""
    app[BOARD].closed = True
    await app[BOARD].wake()


# -- requests


async def page(_request: web.Request) -> web.StreamResponse:
    """GET /"""
    return web.FileResponse(PAGE, headers={"Cache-Control": "no-cache"})


async def runs(request: web.Request) -> web.Response:
    """GET /api/runs: the board."""
    return web.json_response(request.app[BOARD].view())


async def events(request: web.Request) -> web.StreamResponse:
    """GET /api/events: the board, and again after each change (server-sent events)."""
    board = request.app[BOARD]
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await response.prepare(request)
    with suppress(ConnectionResetError):  # the page was closed
        sent = -1
        while not board.closed:
            if board.version > sent:
                sent = board.version
                await response.write(f"data: {json.dumps(board.view())}\n\n".encode())
            else:
                await response.write(b": still here\n\n")
            with suppress(TimeoutError):
                async with asyncio.timeout(KEEP_ALIVE):
                    await board.newer(sent)
    return response


async def act(request: web.Request) -> web.Response:
    """POST /api/runs/{ref}/pause or …/resume, with `{}` or `{"seen": ETAG}`.

    With `seen`, the ETag of the run as the user saw it, nothing is done if somebody has changed the run since: 409.
    """
    board, key = request.app[BOARD], request.match_info["ref"]
    ref, action = board.refs.get(key), ACTIONS[request.match_info["action"]]
    if ref is None:
        return refusal(404, "not-found", "There is no such run here.")
    if request.content_type != "application/json":  # which another site's form cannot send without asking (CORS)
        return refusal(415, "not-json", "Send application/json.")
    seen = board.runs.get(key)
    try:
        etag = (await request.json()).get("seen")
    except (ValueError, AttributeError):
        return refusal(400, "not-json", 'Send {} or {"seen": ETAG}.')
    if etag is not None and (seen is None or etag != seen.etag):
        return refusal(409, "changed", "The run has changed since you looked at it.", seen)
    try:
        run = request.app[FIELDING].run(ref)
        outcome = await run.perform(action, seen=seen if etag else None, timeout=ANSWER_WITHIN)
    except FieldingError as error:
        current: FieldingRun | None = getattr(error, "current", None)
        if current is not None:
            await board.show(ref, current)  # the answer shows it, and the next click may rest on it
        request.app[LOOK].set()  # not waited for: what went wrong may last
        raise
    await look(request.app, ref, timeout=5)
    return web.json_response(
        {
            "effect": outcome.effect,
            "run": as_json(board.runs.get(key)),
            "conflicts": outcome.conflicts,
            "trace_id": outcome.trace_id,
        }
    )


async def webhook(request: web.Request) -> web.Response:
    """POST /webhooks/cint: a delivery says that something has changed; what it is now the exchange is asked."""
    try:
        verify(await request.read(), request.headers.get("Cint-Signature", ""), request.app[SECRET])
    except WebhookVerificationError as error:
        log.warning("webhook refused: %s", error)
        return refusal(400, "not-verified", "The signature does not hold.")
    request.app[LOOK].set()  # so a delivery that is repeated does no harm
    return web.Response(status=204)


# -- errors, as those who call this app would want to have them: our credentials and our pace are not their fault

# 202 for what is unknown, not 5xx: proxies and clients repeat those, and it may have been applied
ANSWERS: dict[type[FieldingError], tuple[int, str, str]] = {
    OutcomeUnknownError: (202, "unknown", "It may or may not have been applied. Look at the run before you try again."),
    PreconditionFailedError: (409, "changed", "The run has changed since you looked at it."),
    InvalidRunStateError: (409, "wrong-state", "The run is in a state that does not allow it."),
    NotFoundError: (404, "not-found", "The exchange knows no such run."),
    RateLimitError: (503, "busy", "The exchange is busy. Nothing was changed."),
    SessionClosedError: (503, "stopping", "The app is stopping. Nothing was changed."),
    DeadlineExceededError: (504, "too-slow", "The exchange was too slow. Nothing was changed."),
    ConfigurationError: (500, "internal", "Something is wrong with this app. Nothing was changed."),
    FieldingError: (502, "exchange", "The exchange did not do it. Nothing was changed."),
}


def explain(error: FieldingError) -> web.Response:
    """Return what a caller of this app should be told."""
    status, code, text = next(answer for kind, answer in ANSWERS.items() if isinstance(error, kind))
    response = refusal(status, code, text, getattr(error, "current", None), error.trace_id)
    if isinstance(error, RateLimitError):
        response.headers["Retry-After"] = str(math.ceil(error.retry_after or 1))
    return response


def refusal(
    status: int, code: str, message: str, run: FieldingRun | None = None, trace_id: str | None = None
) -> web.Response:
    """Return a response that says what went wrong, and the run as it is now where that is known."""
    body = {"error": code, "message": message, "run": as_json(run), "trace_id": trace_id}
    return web.json_response(body, status=status)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def explaining(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn errors of the session into responses."""
    try:
        return await handler(request)
    except FieldingError as error:
        log.warning("%s %s: %s", request.method, request.path, error)
        return explain(error)


@web.middleware
async def tracing(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Continue the caller's trace: its trace id is that of every request which the session sends for it.

    With OpenTelemetry's SDK this is a SERVER span; without one, the trace is passed on as it came. Leave it out if an
    instrumentation of aiohttp.web does it already.
    """
    route = request.match_info.route.resource
    name = f"{request.method} {route.canonical}" if route else request.method
    token = context.attach(TraceContextTextMapPropagator().extract(request.headers))
    try:
        with trace.get_tracer("webapp").start_as_current_span(name, kind=trace.SpanKind.SERVER):
            return await handler(request)
    finally:
        context.detach(token)


# -- the app


def make_app(
    session: Callable[[], FieldingSession], refs: Iterable[RunRef], *, every: float = 30.0, secret: str | None = None
) -> web.Application:
    """Return the app. `every`: seconds between two looks at the runs. `secret`: of the webhook."""
    app = web.Application(middlewares=[tracing, explaining])
    app[BOARD] = Board(refs)
    app[LOOK] = asyncio.Event()
    app.cleanup_ctx.append(sharing(session, every))
    app.on_shutdown.append(close_streams)
    app.router.add_get("/", page)
    app.router.add_get("/api/runs", runs)
    app.router.add_get("/api/events", events)
    app.router.add_post("/api/runs/{ref:.+}/{action:pause|resume}", act)
    if secret:
        app[SECRET] = secret
        app.router.add_post("/webhooks/cint", webhook)
    return app


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description="Show fielding runs live in a page; pause and resume them.")
    parser.add_argument("refs", nargs="*", type=ref_of, metavar="ACCOUNT/PROJECT/TARGET_GROUP/RUN", help="runs to show")
    parser.add_argument("--demo", action="store_true", help="show made-up runs of an exchange in a box")
    parser.add_argument("--port", type=int, default=8080, help="where to listen on this machine; 0 picks a free port")
    parser.add_argument("--every", type=float, default=30.0, metavar="SECONDS", help="look at the runs so often")
    options = parser.parse_args()
    if bool(options.refs) is options.demo:
        parser.error("name the runs to show, or give --demo")
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    secret = os.environ.get("CINT_WEBHOOK_SECRET")
    with ExitStack() as stack, socket.create_server(("127.0.0.1", options.port)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        if options.demo:
            from webapp_demo import demo_app

            app = stack.enter_context(demo_app(url))
        else:
            app = make_app(FieldingSession, options.refs, every=options.every, secret=secret)
        print(f"{url} (Ctrl-C stops)", flush=True)
        web.run_app(app, sock=listening, print=None)


def ref_of(text: str) -> RunRef:
    """Read the four ids of a run."""
    account, project, group, run = text.split("/")
    return RunRef(int(account), project, group, run)


if __name__ == "__main__":
    main()
