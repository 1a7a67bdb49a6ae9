"""The web app, with both frameworks: one session for all, errors as its callers want them, webhooks, traces."""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
import webapp
from aiohttp import web
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from webapp_demo import sign
from webapp_parts import guard
from webapp_parts.service import ANSWER_WITHIN
from webapp_parts.settings import Settings

from fielding_async import Limits, RunRef
from fielding_async.sandbox import Cut, Fault, Hold, Sandbox, SecondWriter, Status
from tests.tools.sessions import applied, sent, session
from tests.tools.waits import HANG, Clock

from .served import FRAMEWORKS, Reply, Served, needs, serve

WEBHOOK_SECRET = "FP7UPZpATKBcYJj4va95PYud+a3gCidRERiLO+9MoFE="
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest_asyncio.fixture(params=FRAMEWORKS)
async def served(sandbox: Sandbox, request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    """The app, with a live and a paused run, which it has fetched and will not fetch again by itself."""
    live, paused = sandbox.add_run("live"), sandbox.add_run("paused")
    settings = Settings(refs=(live, paused), every=3600, secret=WEBHOOK_SECRET)
    async with asyncio.timeout(HANG), serve(request.param, settings, lambda: session(sandbox)) as (ask, service):
        served = Served(ask, service, sandbox, live, paused)
        await served.fetched()
        yield served


async def test_one_session_serves_all_requests(served: Served) -> None:
    """Twenty requests at once for one run take turns: none conflicts, and each action needs one request."""
    replies = await asyncio.gather(*[served.click(served.live, ("pause", "resume")[n % 2]) for n in range(20)])
    assert {reply.status for reply in replies} == {200}
    assert sum(reply.json["conflicts"] for reply in replies) == 0
    posts = sent(served.box, "pause", "resume")
    assert len(posts) == len(applied(served.box)) == sum(reply.json["effect"] == "accepted" for reply in replies)
    assert {request.status for request in posts} == {204}


async def test_the_status_after_a_write_needs_no_get(served: Served) -> None:
    """After an accepted write the answer and the page have the new status, though no GET would be answered now."""
    seen = (await served.shown(served.live))["run"]["seen"]
    await served.click(served.live, "pause", {"seen": seen})
    served.box.script(Status(403), on="GET")
    gets = len(sent(served.box, "get", "list"))
    reply = await served.click(served.live, "resume", {"seen": (await served.shown(served.live))["run"]["seen"]})
    assert (reply.status, reply.json["effect"], reply.json["run"]["status"]) == (200, "accepted", "live")
    assert reply.json["requests"] == 1
    assert re.fullmatch("[0-9a-f]{32}", reply.json["trace_id"])
    assert (await served.shown(served.live))["run"] == reply.json["run"]
    assert len(sent(served.box, "get", "list")) == gets
    served.box.clear_faults()


async def test_a_click_on_what_is_so_already_succeeds(served: Served) -> None:
    """A colleague did the same: the click is a success and not a conflict, with and without `seen`."""
    seen = (await served.shown(served.live))["run"]["seen"]
    served.box.touch(served.live, status="paused")
    assert (await served.click(served.live, "pause", {"seen": seen})).json["effect"] == "already"
    assert (await served.click(served.live, "pause")).json["effect"] == "already"
    assert applied(served.box) == []


async def test_what_the_person_saw_must_still_be_so(served: Served) -> None:
    """With `seen`, a change by somebody else is 409 with the run as it is now; without, the click is an order."""
    seen = (await served.shown(served.live))["run"]["seen"]
    served.box.touch(served.live, end_fielding_at=served.box.now + timedelta(days=5))
    reply = await served.click(served.live, "pause", {"seen": seen})
    assert (reply.status, reply.json["error"]) == (409, "changed")
    assert reply.json["run"]["ends"] == served.box.inspect(served.live).end_fielding_at.isoformat()
    assert (await served.click(served.live, "pause", {"seen": seen})).status == 409
    assert applied(served.box) == []
    assert (await served.click(served.live, "pause", {"seen": reply.json["run"]["seen"]})).status == 200
    assert (await served.click(served.live, "resume")).status == 200


async def test_a_change_between_the_look_and_the_write_is_noticed(served: Served) -> None:
    """The run changes after the app compared it: the exchange refuses, and the next click may rest on the answer."""
    seen = (await served.shown(served.live))["run"]["seen"]
    served.box.script(SecondWriter(), on="pause")
    hold = Hold("before")
    served.box.script(hold, on="list")  # the next fetch of all runs takes long
    reply = await served.click(served.live, "pause", {"seen": seen})
    assert (reply.status, reply.json["error"]) == (409, "changed")
    assert (await served.click(served.live, "pause", {"seen": reply.json["run"]["seen"]})).status == 200
    await hold.arrived()
    hold.release()


async def test_an_older_list_does_not_undo_what_a_click_showed(served: Served) -> None:
    """A list that was asked for before a click ended says nothing of that run: the page never goes back."""
    holds = [Hold("after"), Hold("after"), Hold("before"), Hold("before")]
    served.box.script(*holds, on="list")
    served.service.fetch_now.set()
    await asyncio.gather(*[hold.arrived() for hold in holds[:2]])  # with the status before the click
    await served.click(served.live, "pause")
    served.service.fetch_now.set()
    for hold in holds[:2]:
        hold.release()
    await asyncio.gather(*[hold.arrived() for hold in holds[2:]])  # so the older lists have been read
    assert (await served.shown(served.live))["run"]["status"] == "paused"
    for hold in holds[2:]:
        hold.release()


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_clicks_go_before_the_fetching_of_runs(sandbox: Sandbox, framework: str) -> None:
    """Nineteen lists wait for the one slot that there is: a click's requests are the next that are sent."""
    refs = tuple(sandbox.add_run("live") for _ in range(20))
    hold = Hold("before")
    sandbox.script(hold, on="list")
    one = lambda: session(sandbox, limits=Limits(concurrency=1, adaptive=False))  # noqa: E731
    async with asyncio.timeout(HANG), serve(framework, Settings(refs=refs, every=3600), one) as (ask, service):
        served = Served(ask, service, sandbox, refs[0], refs[1])
        await hold.arrived()
        clicking = asyncio.create_task(served.click(refs[-1], "pause"))
        while service.session.stats().waiting <= service.session.stats().waiting_batch:
            await asyncio.sleep(0)  # until the click waits as well
        hold.release()
        assert (await clicking).status == 200
        operations = [request.operation for request in sandbox.requests]
        assert operations.index("pause") <= 3
        await served.fetched()


async def test_an_unknown_outcome_is_neither_a_success_nor_to_be_repeated(served: Served) -> None:
    """A write that may have been applied is 202 and called unknown, with the run as last seen."""
    served.box.script((Cut("after"), SecondWriter(status="completed", when="after")), on="pause")
    reply = await served.click(served.live, "pause")
    assert (reply.status, reply.json["error"], reply.json["run"]["status"]) == (202, "unknown", "completed")
    assert reply.json["message"].startswith("It is not known whether this was done.")


async def test_a_state_that_does_not_allow_it_is_409(served: Served) -> None:
    """A run that was completed meanwhile cannot be paused: 409, and the page is shown why."""
    served.box.touch(served.live, status="completed")
    reply = await served.click(served.live, "pause")
    assert (reply.status, reply.json["error"], reply.json["run"]["status"]) == (409, "wrong-state", "completed")


@pytest.mark.parametrize(
    ("faults", "status", "error"),
    [
        ([Status(401), Status(401)], 502, "token"),
        ([Status(403), Status(403)], 502, "token"),
        ([Status(404)], 404, "not-found"),
        ([Status(429, retry_after="40")], 503, "busy"),
        ([Status(500)] * 5, 502, "exchange"),
        ([Status(400)], 502, "exchange"),
    ],
)
async def test_troubles_of_the_exchange_have_their_status(
    served: Served, faults: list[Fault], status: int, error: str
) -> None:
    """What is not the caller's fault is a 5xx, and the answer says how long a caller should wait."""
    served.box.script(*faults, on="pause")
    reply = await served.click(served.live, "pause")
    assert (reply.status, reply.json["error"]) == (status, error)
    assert ("retry-after" in reply.headers) == (status == 503)
    assert reply.json["message"].startswith("Nothing was done: ")
    assert applied(served.box) == []
    served.box.clear_faults()


async def test_in_a_pause_a_person_learns_how_long_it_lasts(served: Served) -> None:
    """The page and the next click have the seconds that are left, and the click is answered at once."""
    served.box.script(Status(429, retry_after="100"), on="pause")
    await served.click(served.live, "pause")
    reply = await served.click(served.paused, "resume")
    assert (reply.status, reply.json["error"]) == (503, "busy")
    assert 90 < reply.json["retry_after"] <= 101
    assert f"Try again in {reply.json['retry_after']} s." in reply.json["message"]
    assert reply.headers["retry-after"] == str(reply.json["retry_after"])
    board = served.service.board
    while not board.view().pause_left:
        await board.newer(board.version)
    assert 90 < (await served.get("/api/runs")).json["pause_left"] <= 100
    assert 90 < (await served.get("/health")).json["pause_left"] <= 100
    assert len(sent(served.box, "resume")) == 0


@pytest.mark.parametrize(("held", "status", "error"), [("get", 504, "too-slow"), ("pause", 202, "unknown")])
async def test_a_click_is_answered_whatever_the_exchange_does(
    sandbox: Sandbox, held: str, status: int, error: str
) -> None:
    """After 25 seconds without a reply to the GET nothing was done; without one to the write, that is not known."""
    clock = Clock(asyncio.get_running_loop())
    ref = sandbox.add_run("live")
    hold = Hold("before")
    settings = Settings(refs=(ref,), every=3600)
    async with asyncio.timeout(2 * HANG), serve("aiohttp", settings, lambda: session(sandbox)) as (ask, service):
        served = Served(ask, service, sandbox, ref, ref)
        await served.fetched()
        sandbox.script(hold, on=held)
        clicking = asyncio.create_task(served.click(ref, "pause"))
        await hold.arrived()
        clock.advance(ANSWER_WITHIN)
        reply = await clicking
        assert (reply.status, reply.json["error"]) == (status, error)
        hold.release()


async def test_requests_that_make_no_sense_are_refused(served: Served) -> None:
    """Runs and actions that are not there are 404, bodies that are not as they should be 400, other types 415."""
    stranger = RunRef(101, "0" * 26, "1" * 26, "run")
    assert (await served.click(stranger, "pause")).json["error"] == "not-shown"
    bodies: list[Any] = [b"{", b"", ["seen"], {"seen": 7}, b'"seen"', b"\xff", b"[" * 9000]
    for body in bodies:
        reply = await served.click(served.live, "pause", body)
        assert (reply.status, reply.json["error"]) == (400, "bad-request"), str(body)[:9]
    assert (await served.click(served.live, "pause", content_type="text/plain")).status == 415
    for body in (b"{}", b"{"):
        reply = await served.click(served.live, "complete", body)
        assert (reply.status, reply.json["error"]) == (404, "http")
    assert (await served.get("/nothing")).json["error"] == "http"
    assert applied(served.box) == []


@pytest.mark.parametrize("path", ["/api/runs/{}/pause", "/webhooks/cint"])
async def test_a_body_is_limited_also_in_chunks(served: Served, path: str) -> None:
    """A body without `Content-Length` is read up to the same limit, and then is 413 with the same text."""
    path = path.format(served.live)
    headers = {"host": "localhost", "content-type": "application/json", "transfer-encoding": "chunked"}

    async def send(size: int) -> Reply:
        return await served.ask("POST", path, headers, b"{}".ljust(size))

    for size in (guard.MOST_BYTES + 1, 3_000_000):
        reply = await send(size)
        assert (reply.status, reply.json["error"]) == (413, "too-large")
        assert reply.json["message"] == guard.TOO_LARGE.message
    assert applied(served.box) == []
    assert (await send(guard.MOST_BYTES - 1)).status == (400 if path.startswith("/webhooks") else 200)


async def test_a_request_without_a_host_is_logged_in_one_line(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """It is a 400, from newer versions of aiohttp itself: what a client did wrong has no traceback in the log."""
    runner = web.AppRunner(webapp.make_app(Settings(refs=()), lambda: session(sandbox)))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server = logging.getLogger("aiohttp.server")
    server.addFilter(webapp.log_without_traceback)
    try:
        with caplog.at_level(logging.INFO):  # before the connection: aiohttp looks only once whether it is to log
            reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
            async with asyncio.timeout(HANG):
                writer.write(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
                reply = await reader.read()
        writer.close()
        await writer.wait_closed()
    finally:
        server.removeFilter(webapp.log_without_traceback)
        await runner.cleanup()
    assert b" 400 " in reply.partition(b"\r\n")[0]
    logged = [record for record in caplog.records if record.name == "aiohttp.server"]
    assert [(record.levelname, record.exc_info) for record in logged] in ([("INFO", None)], [])


def test_what_is_not_installed_is_skipped_before_the_test_starts() -> None:
    """So no fault is scripted that is never used; and the tests with FastAPI run in one session."""
    assert needs("no_such_module", "json").args == (True,)
    assert needs("json").args == (False,)
    assert {mark.name for mark in FRAMEWORKS[1].marks} == {"once", "skipif"}


async def test_other_hosts_and_other_sites_are_refused(served: Served) -> None:
    """Another `Host` is 421, a malformed one 400, a click from another site 403; each with all headers."""
    refused = [
        await served.get("/api/runs", host="evil.example"),
        await served.get("/api/runs", host="localhost evil"),
        await served.click(served.live, "pause", origin="http://evil.example"),
    ]
    assert [reply.status for reply in refused] == [421, 400, 403]
    for reply in refused:
        assert reply.headers.items() >= {name.lower(): value for name, value in guard.HEADERS.items()}.items()
    same = await served.click(served.live, "pause", origin="http://localhost", sec_fetch_site="same-origin")
    assert same.status == 200
    assert applied(served.box) == ["pause"]


@pytest.mark.parametrize(("path", "kind"), [("/", "text/html"), ("/page.css", "text/css"), ("/page.js", "text/java")])
async def test_the_page_binds_the_browser(served: Served, path: str, kind: str) -> None:
    """The page and its files come with their type and with the headers, and name no other host."""
    reply = await served.get(path)
    assert reply.status == 200
    assert reply.headers["content-type"].startswith(kind)
    assert reply.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert b"http" not in reply.body


async def test_a_fault_of_the_app_is_answered(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug is a 500 with all headers, and its text shows nothing of the inside."""

    def fail() -> None:
        raise RuntimeError("the inside")

    monkeypatch.setattr(served.service, "health", fail)
    reply = await served.get("/health")
    assert (reply.status, reply.json["error"]) == (500, "internal")
    assert b"inside" not in reply.body
    assert reply.headers["x-content-type-options"] == "nosniff"


async def test_a_stop_is_announced(served: Served) -> None:
    """Once the app stops, its health is 503, its stream ends with `stopping`, and a click gets a `Retry-After`."""
    assert (await served.get("/health")).json["status"] == "ok"
    stream = served.service.board.events()
    events = [await anext(stream), await anext(stream)]
    await served.service.stop()
    events += [event async for event in stream]
    assert events[-1] == b"event: stopping\ndata: {}\n\n"
    health = await served.get("/health")
    assert (health.status, health.json["status"]) == (503, "stopping")
    reply = await served.click(served.live, "pause")
    assert (reply.status, reply.json["error"], reply.headers["retry-after"]) == (503, "stopping", "5")
    assert applied(served.box) == []


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_a_click_in_progress_gets_the_drain_time(sandbox: Sandbox, framework: str) -> None:
    """Stopped while a pause is in progress, the app ends its streams at once, and answers the pause with its status."""
    ref = sandbox.add_run("live")
    hold = Hold("after")
    sandbox.script(hold, on="pause")
    settings = Settings(refs=(ref,), every=3600, drain=HANG)
    async with asyncio.timeout(HANG), serve(framework, settings, lambda: session(sandbox)) as (ask, service):
        served = Served(ask, service, sandbox, ref, ref)
        stream = service.board.events()
        await anext(stream)
        clicking = asyncio.create_task(served.click(ref, "pause"))
        await hold.arrived()
        stopping = service.stop()
        assert [event async for event in stream][-1].startswith(b"event: stopping")
        assert not clicking.done()
        hold.release()
        reply = await clicking
        assert (reply.status, reply.json["run"]["status"]) == (200, "paused")
        await stopping


async def test_a_webhook_brings_a_change_to_those_who_watch(served: Served) -> None:
    """A signed delivery has the app fetch the runs, and the board shows them; one that is not signed does nothing."""
    board = served.service.board
    served.box.touch(served.live, status="paused")
    body = b'{"event": "target-group-updated"}'
    lists = len(sent(served.box, "list"))
    for wrong in ({}, {"Cint-Signature": "t=1,v1=00"}, sign(body, "x", time.time()), sign(body, WEBHOOK_SECRET, 1)):
        refused = await served.ask("POST", "/webhooks/cint", {"host": "localhost", **wrong}, body)
        assert refused.status == 400
    assert len(sent(served.box, "list")) == lists
    version = board.version
    right = {"host": "localhost", **sign(body, WEBHOOK_SECRET, time.time())}
    assert (await served.ask("POST", "/webhooks/cint", right, body)).status == 204
    await board.newer(version)
    assert [item.run and item.run.status for item in board.view().runs] == ["paused", "paused"]


async def test_a_run_that_cannot_be_read_is_said_to_be_out_of_date(served: Served) -> None:
    """The page is shown what it knew, and why that is no longer up to date."""
    served.box.script(Status(404), Status(404), on="list")
    version = served.service.board.version
    served.service.fetch_now.set()
    await served.service.board.newer(version + 1)
    item = await served.shown(served.live)
    assert item["run"]["status"] == "live"
    assert item["problem"] == "the exchange has no such run (404)"


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_without_a_secret_there_is_no_webhook(sandbox: Sandbox, framework: str) -> None:
    """An app that could verify nothing takes no deliveries."""
    async with serve(framework, Settings(refs=()), lambda: session(sandbox)) as (ask, _):
        assert (await ask("POST", "/webhooks/cint", {"host": "localhost"}, b"{}")).status == 404


async def test_the_callers_trace_is_continued_without_an_sdk(served: Served) -> None:
    """The incoming trace id and flags are those of the request that the session sends, and of the answer."""
    reply = await served.click(served.live, "pause", traceparent=TRACEPARENT, tracestate="vendor=1,other=x:y")
    (request,) = sent(served.box, "pause")
    (header,) = request.header_values("traceparent")
    assert re.fullmatch("00-0af7651916cd43dd8448eb211c80319c-(?!b7ad6b7169203331)[0-9a-f]{16}-01", header)
    assert request.header_values("tracestate") == ["vendor=1,other=x:y"]
    assert reply.json["trace_id"] == "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize("junk", ["00-" + "0" * 32 + "-b7ad6b7169203331-01", "nonsense", "ff" + TRACEPARENT[2:]])
async def test_a_trace_that_is_none_is_not_continued(served: Served, junk: str) -> None:
    """After a malformed `traceparent` a valid trace of its own goes out."""
    trace_id = (await served.click(served.live, "pause", traceparent=junk)).json["trace_id"]
    (request,) = sent(served.box, "pause")
    assert trace_id == request.header_values("traceparent")[0].split("-")[1]
    assert trace_id not in {"0" * 32, TRACEPARENT[3:35]}


@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_the_callers_trace_is_continued_with_an_sdk(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, framework: str
) -> None:
    """With an SDK the same trace holds the app's SERVER span and, under it, the session's call and its attempts."""
    exporter, tracers = InMemorySpanExporter(), TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: tracers)
    ref = sandbox.add_run("live")
    settings = Settings(refs=(ref,), every=3600)
    async with serve(framework, settings, lambda: session(sandbox)) as (ask, service):
        served = Served(ask, service, sandbox, ref, ref)
        assert (await served.click(ref, "pause", traceparent=TRACEPARENT)).status == 200
    (request,) = sent(sandbox, "pause")
    finished = [(span, span.context) for span in exporter.get_finished_spans() if span.context is not None]
    spans = [span for span, own in finished if f"{own.trace_id:032x}" == TRACEPARENT[3:35]]
    (server,) = [span for span in spans if span.kind is trace.SpanKind.SERVER]
    assert server.parent is not None
    assert f"{server.parent.span_id:016x}" == "b7ad6b7169203331"
    (call,) = [span for span in spans if span.name == "fielding.pause"]
    above: dict[int, Any] = {span.context.span_id: span for span in spans if span.context is not None}
    while call is not server:  # FastAPI may have spans of its own in between
        assert call.parent is not None
        call = above[call.parent.span_id]
    assert request.header_values("traceparent")[0][3:35] == TRACEPARENT[3:35]
    tracers.shutdown()
