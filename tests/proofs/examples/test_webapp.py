"""The web app over real sockets: one session for all, errors as its callers want them, webhooks, traces, shutdown."""

import asyncio
import json
import re
import signal
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
import webapp
from aiohttp import ClientSession, ClientTimeout
from aiohttp.test_utils import TestClient, TestServer
from attrs import frozen
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from webapp_demo import sign

import fielding_async
from fielding_async import FieldingError, RunRef
from fielding_async.sandbox import Cut, Hold, Sandbox, SecondWriter, Status
from tests.tools.sessions import applied, sent, session
from tests.tools.waits import HANG

from .conftest import Start, ended

WEBHOOK_SECRET = "FP7UPZpATKBcYJj4va95PYud+a3gCidRERiLO+9MoFE="
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@frozen
class Served:
    """The app, being served, and the exchange that it speaks to."""

    client: TestClient[Any, Any]
    box: Sandbox
    live: RunRef
    paused: RunRef

    async def post(self, ref: object, action: str, body: object = None, **headers: str) -> tuple[int, dict[str, Any]]:
        """Ask the app for an action."""
        async with self.client.post(f"/api/runs/{ref}/{action}", json=body or {}, headers=headers) as response:
            return response.status, await response.json()

    async def shown(self, ref: RunRef) -> dict[str, Any]:
        """Return what the app shows of a run."""
        async with self.client.get("/api/runs") as response:
            (item,) = [item for item in await response.json() if item["ref"] == str(ref)]
            return dict(item)

    async def settled(self) -> None:
        """Wait until the app has looked at both runs."""
        await self.client.server.app[webapp.BOARD].newer(1)  # type: ignore[attr-defined]


@pytest_asyncio.fixture
async def served(sandbox: Sandbox) -> AsyncIterator[Served]:
    """The app, with a live and a paused run, at which it has looked once and will not look again by itself."""
    live, paused = sandbox.add_run("live"), sandbox.add_run("paused")
    app = webapp.make_app(lambda: session(sandbox), [live, paused], every=3600, secret=WEBHOOK_SECRET)
    async with TestClient(TestServer(app)) as client:
        served = Served(client, sandbox, live, paused)
        await served.settled()
        yield served


async def test_one_session_serves_all_requests(served: Served) -> None:
    """Twenty requests at once for one run take turns: none conflicts, and each action needs one request."""
    answers = await asyncio.gather(*[served.post(served.live, ("pause", "resume")[n % 2]) for n in range(20)])
    assert {status for status, _ in answers} == {200}
    assert sum(body["conflicts"] for _, body in answers) == 0
    posts = sent(served.box, "pause", "resume")
    assert len(posts) == len(applied(served.box)) == sum(body["effect"] == "accepted" for _, body in answers)
    assert {request.status for request in posts} == {204}


async def test_an_action_is_answered_with_the_run_as_it_then_is(served: Served) -> None:
    """Pause and resume say what became of them, and the board shows it."""
    status, body = await served.post(served.live, "pause")
    assert (status, body["effect"], body["run"]["status"]) == (200, "accepted", "paused")
    assert re.fullmatch("[0-9a-f]{32}", body["trace_id"])
    assert (await served.shown(served.live))["run"] == body["run"]
    assert (await served.post(served.paused, "resume"))[1]["run"]["status"] == "live"
    assert (await served.post(served.paused, "resume"))[1]["effect"] == "already"


async def test_what_the_user_saw_must_still_be_so(served: Served) -> None:
    """With `seen`, a change by somebody else is 409 with the run as it is now; without, the action is an order."""
    seen = (await served.shown(served.live))["run"]["etag"]
    served.box.touch(served.live, end_fielding_at=served.box.now + timedelta(days=5))
    status, body = await served.post(served.live, "pause", {"seen": seen})
    assert (status, body["error"], body["run"]["etag"]) == (409, "changed", served.box.inspect(served.live).etag)
    assert (await served.post(served.live, "pause", {"seen": seen}))[0] == 409
    assert applied(served.box) == []
    assert (await served.post(served.live, "pause", {"seen": body["run"]["etag"]}))[0] == 200
    assert (await served.post(served.live, "resume"))[0] == 200


async def test_what_a_refusal_shows_can_be_acted_on_at_once(served: Served) -> None:
    """The run that comes with a 409 is what the next request may rest on, before the app has looked again."""
    seen = (await served.shown(served.live))["run"]["etag"]
    served.box.script(SecondWriter(), on="pause")
    hold = Hold("before")
    served.box.script(hold, on="get", ref=served.paused)  # the app's next look at all runs takes long
    status, body = await served.post(served.live, "pause", {"seen": seen})
    assert (status, body["error"]) == (409, "changed")
    assert (await served.post(served.live, "pause", {"seen": body["run"]["etag"]}))[0] == 200
    await hold.arrived()
    hold.release()


async def test_an_unknown_outcome_is_neither_a_success_nor_to_be_repeated(served: Served) -> None:
    """A write that may have been applied is 202 and called unknown, with the run as last seen."""
    served.box.script((Cut("after"), SecondWriter(status="completed", when="after")), on="pause")
    status, body = await served.post(served.live, "pause")
    assert (status, body["error"], body["run"]["status"]) == (202, "unknown", "completed")


async def test_a_state_that_does_not_allow_it_is_409(served: Served) -> None:
    """A run that was completed meanwhile cannot be paused: 409, and the page is shown why."""
    served.box.touch(served.live, status="completed")
    status, body = await served.post(served.live, "pause")
    assert (status, body["error"], body["run"]["status"]) == (409, "wrong-state", "completed")


@pytest.mark.parametrize(
    ("faults", "status", "error"),
    [
        ([Status(401), Status(401)], 502, "exchange"),
        ([Status(403), Status(403)], 502, "exchange"),
        ([Status(404)], 404, "not-found"),
        ([Status(429, retry_after="40")], 503, "busy"),
        ([Status(500)] * 5, 502, "exchange"),
        ([Status(400)], 502, "exchange"),
    ],
)
async def test_troubles_of_the_exchange_have_their_status(
    served: Served, faults: list[Status], status: int, error: str
) -> None:
    """What is not the caller's fault is a 5xx, and a caller who should wait is told for how long."""
    served.box.script(*faults, on="pause")
    async with served.client.post(f"/api/runs/{served.live}/pause", json={}) as response:
        body = await response.json()
        assert (response.status, body["error"]) == (status, error)
        assert ("Retry-After" in response.headers) == (status == 503)
    assert applied(served.box) == []
    served.box.clear_faults()


def test_every_error_has_its_answer() -> None:
    """No error of the SDK is without an answer, and none but the unknown is answered with a success."""
    found: dict[str, int] = {}
    for name in fielding_async.__all__:
        kind = getattr(fielding_async, name)
        if isinstance(kind, type) and issubclass(kind, FieldingError):
            found[name] = next(status for known, (status, _, _) in webapp.ANSWERS.items() if issubclass(kind, known))
    unknown = {"OutcomeUnknownError", "OutcomeUnknownTimeoutError"}
    assert {name for name, status in found.items() if status < 300} == unknown
    assert found["DeadlineExceededError"] == 504
    assert found["SessionClosedError"] == 503
    assert found["ConfigurationError"] == 500


async def test_requests_that_make_no_sense_are_refused(served: Served) -> None:
    """Runs and actions that are not there are 404, bodies that are no JSON 400, other sites' forms 415."""
    stranger = RunRef(101, "0" * 26, "1" * 26, "run")
    assert (await served.post(stranger, "pause"))[0] == 404
    assert (await served.post(served.live, "pause", ["seen"]))[0] == 400
    client = served.client
    path = f"/api/runs/{served.live}/pause"
    for data, kind, status in ((b"{", "application/json", 400), (b"{}", "text/plain", 415)):
        async with client.post(path, data=data, headers={"Content-Type": kind}) as response:
            assert response.status == status
    async with client.post(f"/api/runs/{served.live}/complete", json={}) as response:
        assert response.status == 404
    assert applied(served.box) == []


async def lines(response: Any) -> AsyncIterator[list[dict[str, Any]]]:
    """Yield the boards that a stream of events brings."""
    async for line in response.content:
        if line.startswith(b"data: "):
            yield json.loads(line[6:])


async def test_a_webhook_brings_a_change_to_those_who_watch(served: Served) -> None:
    """A signed delivery lets the app look, and the stream bring what it saw; one that is not signed does nothing."""
    async with asyncio.timeout(HANG), served.client.get("/api/events") as response:
        assert response.content_type == "text/event-stream"
        boards = lines(response)
        first = await anext(boards)
        assert {item["run"]["status"] for item in first} == {"live", "paused"}
        served.box.touch(served.live, status="paused")
        body = b'{"event": "target-group-updated"}'
        looks = len(sent(served.box, "get"))
        for wrong in (
            {},
            {"Cint-Signature": "t=1,v1=00"},
            sign(body, "another", time.time()),
            sign(body, WEBHOOK_SECRET, 1),
        ):
            async with served.client.post("/webhooks/cint", data=body, headers=wrong) as refused:
                assert refused.status == 400
        assert len(sent(served.box, "get")) == looks
        async with served.client.post(
            "/webhooks/cint", data=body, headers=sign(body, WEBHOOK_SECRET, time.time())
        ) as taken:
            assert taken.status == 204
        second = await anext(boards)
        assert [item["run"]["status"] for item in second] == ["paused", "paused"]


async def test_a_run_that_cannot_be_looked_at_is_said_to_be_out_of_date(served: Served) -> None:
    """The page is shown what it knew, and that it is no longer up to date."""
    served.box.script(Status(404), on="get", ref=served.live)
    board = served.client.server.app[webapp.BOARD]  # type: ignore[attr-defined]
    before = board.version
    served.client.server.app[webapp.LOOK].set()  # type: ignore[attr-defined]
    async with asyncio.timeout(HANG):
        await board.newer(before)
    item = await served.shown(served.live)
    assert item["run"]["status"] == "live"
    assert "404" in item["problem"]


async def test_without_a_secret_there_is_no_webhook(sandbox: Sandbox) -> None:
    """An app that could verify nothing takes no deliveries."""
    app = webapp.make_app(lambda: session(sandbox), [])
    async with TestClient[Any, Any](TestServer(app)) as client, client.post("/webhooks/cint", data=b"{}") as response:
        assert response.status == 404


async def test_the_callers_trace_is_continued_without_an_sdk(served: Served) -> None:
    """The incoming trace id and flags are those of the request that the session sends, and of the answer."""
    _, body = await served.post(served.live, "pause", traceparent=TRACEPARENT, tracestate="vendor=1,other=x:y")
    (request,) = sent(served.box, "pause")
    (header,) = request.header_values("traceparent")
    assert re.fullmatch("00-0af7651916cd43dd8448eb211c80319c-(?!b7ad6b7169203331)[0-9a-f]{16}-01", header)
    assert request.header_values("tracestate") == ["vendor=1,other=x:y"]
    assert body["trace_id"] == "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize("junk", ["00-" + "0" * 32 + "-b7ad6b7169203331-01", "nonsense", "ff" + TRACEPARENT[2:]])
async def test_a_trace_that_is_none_is_not_continued(served: Served, junk: str) -> None:
    """After a malformed `traceparent` a valid trace of its own goes out."""
    _, body = await served.post(served.live, "pause", traceparent=junk)
    (request,) = sent(served.box, "pause")
    assert body["trace_id"] == request.header_values("traceparent")[0].split("-")[1]
    assert body["trace_id"] not in {"0" * 32, TRACEPARENT[3:35]}


async def test_the_callers_trace_is_continued_with_an_sdk(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an SDK the same trace holds the app's SERVER span and, under it, the session's call and its attempts."""
    exporter, tracers = InMemorySpanExporter(), TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: tracers)
    ref = sandbox.add_run("live")
    app = webapp.make_app(lambda: session(sandbox), [ref], every=3600)
    async with TestClient[Any, Any](TestServer(app)) as client:
        headers = {"traceparent": TRACEPARENT}
        async with client.post(f"/api/runs/{ref}/pause", json={}, headers=headers) as response:
            assert response.status == 200
    (request,) = sent(sandbox, "pause")
    finished = [(span, span.context) for span in exporter.get_finished_spans() if span.context is not None]
    spans = {span.name: span for span, own in finished if f"{own.trace_id:032x}" == TRACEPARENT[3:35]}
    server = spans["POST /api/runs/{ref}/{action}"]
    assert server.kind is trace.SpanKind.SERVER
    assert server.parent is not None
    assert f"{server.parent.span_id:016x}" == "b7ad6b7169203331"
    call = spans["fielding.pause"]
    assert call.parent is not None
    assert call.parent == server.context
    assert request.header_values("traceparent")[0][3:35] == TRACEPARENT[3:35]
    tracers.shutdown()


async def test_stopping_lets_the_pages_go(sandbox: Sandbox) -> None:
    """An open stream of events ends when the app stops; stopping does not wait for it to end by itself."""
    server = TestServer(webapp.make_app(lambda: session(sandbox), [sandbox.add_run("live")]))
    async with asyncio.timeout(HANG), TestClient[Any, Any](server) as client:
        async with client.get("/api/events") as response:
            boards = lines(response)
            await anext(boards)
            closing = asyncio.create_task(server.close())
            async for _ in boards:
                pass
        await closing


async def test_stopped_during_a_write_it_waits_for_it(start: Start, box: Sandbox) -> None:
    """SIGTERM while a pause is under way and a page is open: the pause is answered, and the app ends with 0."""
    ref = box.add_run("live")
    hold = Hold("after")
    box.script(hold, on="pause")
    child = start("webapp.py", ref, "--port", 0)
    assert child.stdout is not None
    url = (await asyncio.to_thread(child.stdout.readline)).split()[0]
    async with ClientSession(timeout=ClientTimeout(HANG)) as http, http.get(f"{url}/api/events") as stream:
        await anext(lines(stream))
        pausing = asyncio.create_task(http.post(f"{url}/api/runs/{ref}/pause", json={}))
        await hold.arrived()
        child.send_signal(signal.SIGTERM)
        await stream.content.read()  # to its end: the app is stopping
        assert not pausing.done()
        hold.release()
        async with await pausing as response:
            assert (await response.json())["run"]["status"] == "paused"
    what = await asyncio.to_thread(ended, child)
    assert what.status == 0


async def test_the_demo_can_be_looked_at(start: Start) -> None:
    """The demo serves its page and its runs without any settings, and ends with 0 on Ctrl-C."""
    child = start("webapp.py", "--demo", "--port", 0, FIELDING_TOKEN="two words", FIELDING_BASE_URL="nonsense")
    assert child.stdout is not None
    url = (await asyncio.to_thread(child.stdout.readline)).split()[0]
    async with ClientSession(timeout=ClientTimeout(HANG)) as http:
        async with http.get(url) as response:
            assert (response.status, response.content_type) == (200, "text/html")
            assert "Fielding runs" in await response.text()
        async with http.get(f"{url}/api/events") as stream:
            async for board in lines(stream):
                if all(item["run"] for item in board):
                    break
    child.send_signal(signal.SIGINT)
    assert (await asyncio.to_thread(ended, child)).status == 0
