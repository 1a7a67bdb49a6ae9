"""The whole tree of spans of each kind of call, attributes included, over real sockets.

Each with and without the HTTP library's own instrumentation, which must change nothing.
"""

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from opentelemetry.trace import format_span_id, format_trace_id

from fielding_async import (
    ClientCredentials,
    Limits,
    NotFoundError,
    OutcomeUnknownError,
    Pause,
    Retry,
    RunRef,
    TransportError,
    Update,
)
from fielding_async.core.wire.operations import operation
from fielding_async.core.wire.replies import Attempted, Response
from fielding_async.http.transport import Outgoing
from fielding_async.sandbox import Cut, Hold, Reply, Sandbox, SecondWriter, Status
from fielding_async.telemetry.signal_names import CALL_ATTRIBUTES, EVENTS, REQUEST_ATTRIBUTES
from tests.tools.fake_exchange import FakeExchange, ref_of, session_on
from tests.tools.sessions import TOKEN, session
from tests.tools.spans import SECONDS, Node, Watched, call_attributes, instrumented, request_attributes
from tests.tools.virtual_time import run
from tests.tools.waits import Clock


@pytest.fixture(params=[False, True], ids=["alone", "instrumented"])
def watched(request: pytest.FixtureRequest) -> Iterator[Watched]:
    """Return an SDK's providers, without and with the HTTP library's instrumentation; hold what came to the tables."""
    found = Watched()
    with instrumented(found, on=request.param):
        yield found
    for span in found.spans():
        mine = CALL_ATTRIBUTES if span.kind.name == "INTERNAL" else REQUEST_ATTRIBUTES
        if span.instrumentation_scope is not None and span.instrumentation_scope.name == "fielding_async":
            assert set(span.attributes or {}) <= set(mine)
            for event in span.events:
                assert set(event.attributes or {}) == set(EVENTS[event.name].attributes)


def http(sandbox: Sandbox, name: str, ref: RunRef, status: int | None, **others: Any) -> Node:
    """Return the span of an attempt of an operation on a run."""
    row = operation(name)
    ids = {slot: getattr(ref, slot) for slot in ("account_id", "project_id", "target_group_id", "fielding_run_id")}
    return attempt(sandbox, name, row.path.format(**ids, job_id=others.pop("job_id", "")), status, **others)


def attempt(sandbox: Sandbox, name: str, path: str, status: int | None, **others: Any) -> Node:
    """Return the span of an attempt at a path."""
    row = operation(name)
    found = {
        "resend": "http.request.resend_count",
        "error": "error.type",
    }
    attributes = {found[key]: value for key, value in others.items()}
    if status is not None:
        attributes["http.response.status_code"] = status
        if status >= 400 and status != 412:
            attributes["error.type"] = str(status)
    return Node(
        f"{row.method} /v1{row.path}",
        "CLIENT",
        request_attributes(
            row.method, sandbox.url + path, f"/v1{row.path}", urlsplit(sandbox.url).port or 0, **attributes
        ),
        status="ERROR" if "error.type" in attributes else "UNSET",
    )


def call(name: str, attributes: dict[str, Any], *children: Node, **others: Any) -> Node:
    """Return the span of a call."""
    return Node(f"fielding.{name}", "INTERNAL", attributes, children=list(children), **others)


async def test_a_cold_action_and_a_warm_one(sandbox: Sandbox, watched: Watched) -> None:
    """A cold action is a GET and a write, a warm one a write: CLIENT spans under the call's, whose ids were sent."""
    ref = sandbox.add_run("live")
    async with session(sandbox, **watched.providers) as fielding:
        cold = await fielding.run(ref).pause()
        warm = await fielding.run(ref).resume()
    assert watched.trees() == [
        call(
            "pause",
            call_attributes("pause", ref, requests=2, conflicts=0, effect="accepted"),
            http(sandbox, "get", ref, 200),
            http(sandbox, "pause", ref, 204),
        ),
        call(
            "resume",
            call_attributes("resume", ref, requests=1, conflicts=0, effect="accepted"),
            http(sandbox, "resume", ref, 204),
        ),
    ]
    clients = [span for span in watched.spans() if span.kind.name == "CLIENT"]
    for span, request in zip(clients, sandbox.requests, strict=True):
        position = f"{format_trace_id(span.context.trace_id)}-{format_span_id(span.context.span_id)}"
        (header,) = request.header_values("traceparent")
        assert header.startswith(f"00-{position}-")
    assert [format_trace_id(span.context.trace_id) for span in clients] == [cold.trace_id] * 2 + [warm.trace_id]


async def test_pages_of_a_list_and_the_runs_that_are_found(sandbox: Sandbox, watched: Watched) -> None:
    """Each page and each list of runs is a call, below the span around the iteration; no span shows a query."""
    ref = sandbox.add_run("live")
    group = {"fielding.target_group_id": ref.target_group_id}
    counts = {"fielding.requests": 1, "fielding.conflicts": 0}
    project = {"fielding.account_id": 101, "fielding.project_id": sandbox.project_id, **counts}
    path = f"/demand/accounts/101/projects/{sandbox.project_id}/target-groups"
    sandbox.add_draft()
    async with session(sandbox, **watched.providers) as fielding:
        with watched.tracers.get_tracer("mine").start_as_current_span("around"):
            await fielding.project(101, sandbox.project_id).list_target_groups(page_size=1).all()
            await fielding.project(101, sandbox.project_id).find_runs(search="target").all()
    (around,) = watched.trees()
    page = call(
        "list-target-groups",
        {"fielding.operation": "list-target-groups", **project},
        attempt(sandbox, "list-target-groups", path, 200),
    )
    runs = call(
        "list",
        {"fielding.operation": "list", **group, **project},
        attempt(sandbox, "list", f"{path}/{ref.target_group_id}/fielding-runs", 200),
    )
    assert around.children == [page, page, page, runs]
    assert "search_string=target" in sandbox.requests[2].path


async def test_an_action_with_a_conflict(sandbox: Sandbox, watched: Watched) -> None:
    """A conflict is an event of the call; the refused write bears its 412, the look and the next write follow."""
    ref = sandbox.add_run("live")
    async with session(sandbox, **watched.providers) as fielding:
        await fielding.run(ref).get()
        watched.exporter.clear()
        sandbox.touch(ref)
        await fielding.run(ref).pause()
    assert watched.trees() == [
        call(
            "pause",
            call_attributes("pause", ref, requests=3, conflicts=1, effect="accepted"),
            http(sandbox, "pause", ref, 412),
            http(sandbox, "get", ref, 200),
            http(sandbox, "pause", ref, 204),
            events=[("fielding.conflict", {"fielding.conflicts": 1})],
        )
    ]


async def test_rounds_of_conflicts_wait(sandbox: Sandbox, watched: Watched) -> None:
    """From the second round of a conflict on there is a wait, and it is an event."""
    ref = sandbox.add_run("live")
    sandbox.script(SecondWriter(), SecondWriter(), on="pause")
    async with session(sandbox, **watched.providers) as fielding:
        await fielding.run(ref).pause()
    (tree,) = watched.trees()
    assert tree.events == [
        ("fielding.conflict", {"fielding.conflicts": 1}),
        ("fielding.conflict", {"fielding.conflicts": 2}),
        ("fielding.wait", {"fielding.wait.reason": "conflict", "fielding.wait.duration": SECONDS}),
    ]
    assert [child.name.split()[0] for child in tree.children] == ["GET", "POST", "GET", "POST", "GET", "POST"]


async def test_an_action_whose_reply_is_lost(sandbox: Sandbox, watched: Watched) -> None:
    """A lost reply is an event, with the retry and its wait; the re-send says that it is one.

    Its 412 may be the answer to our own write, and counts as no conflict.
    """
    ref = sandbox.add_run("live")
    sandbox.script(Cut("after"), on="pause")
    async with session(sandbox, **watched.providers) as fielding:
        await fielding.run(ref).pause()
    assert watched.trees() == [
        call(
            "pause",
            call_attributes("pause", ref, requests=4, conflicts=0, effect="unconfirmed"),
            http(sandbox, "get", ref, 200),
            http(sandbox, "pause", ref, None, error="connection"),
            http(sandbox, "pause", ref, 412, resend=1),
            http(sandbox, "get", ref, 200),
            events=[
                ("fielding.lost_reply", {"error.type": "connection"}),
                (
                    "fielding.retry",
                    {"fielding.attempt": 1, "error.type": "connection", "fielding.wait.duration": SECONDS},
                ),
                ("fielding.wait", {"fielding.wait.reason": "backoff", "fielding.wait.duration": SECONDS}),
            ],
        )
    ]


async def test_an_action_that_meets_a_429(sandbox: Sandbox, watched: Watched) -> None:
    """A 429 is an event with the length of the pause; the wait is another; the write is sent again."""
    ref = sandbox.add_run("live")
    sandbox.script(Status(429, retry_after="0.05"), on="pause")
    async with session(sandbox, **watched.providers) as fielding:
        await fielding.run(ref).pause()
    assert watched.trees() == [
        call(
            "pause",
            call_attributes("pause", ref, requests=3, conflicts=0, effect="accepted"),
            http(sandbox, "get", ref, 200),
            http(sandbox, "pause", ref, 429),
            http(sandbox, "pause", ref, 204, resend=1),
            events=[
                ("fielding.pause", {"fielding.pause.duration": pytest.approx(0.05)}),
                ("fielding.wait", {"fielding.wait.reason": "pause", "fielding.wait.duration": SECONDS}),
            ],
        )
    ]


async def test_a_burst_of_429s_is_one_pause(sandbox: Sandbox, watched: Watched) -> None:
    """Many requests that meet a 429 at once make one pause, told once; spans there are as many as requests."""
    refs = [sandbox.add_run("live") for _ in range(8)]
    async with session(sandbox, **watched.providers) as fielding:
        await asyncio.gather(*(fielding.run(ref).get() for ref in refs))  # opens the connections
        sandbox.script(*[Status(429, retry_after="0.2")] * 8, on="pause")
        await asyncio.gather(*(fielding.run(ref).pause() for ref in refs))
    events = [event for span in watched.spans() for event in span.events]
    assert [event.name for event in events].count("fielding.pause") == 1
    assert len([span for span in watched.spans() if span.kind.name == "CLIENT"]) == len(sandbox.requests)


class _SlowToConnect(FakeExchange):
    """Opens a connection for `run0` only after `run1` has met a 429."""

    async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
        if "/run0" in outgoing.url and not self.requests["get"]:
            await asyncio.sleep(0.1)
        return await super().send(outgoing, timeout=timeout, connect_timeout=connect_timeout)

    def answer(self, outgoing: Outgoing, name: str, action: str) -> Attempted:
        if not self.requests["429"]:
            self.requests["429"] += 1
            return Response(429, {"Retry-After": "1"}, b"{}")
        return super().answer(outgoing, name, action)


def test_a_request_held_back_leaves_no_span(watched: Watched) -> None:
    """A request that a pause holds back at the socket is no attempt: there are as many CLIENT spans as requests."""
    exchange = _SlowToConnect()

    async def main() -> None:
        async with session_on(exchange, **watched.providers) as fielding:
            await asyncio.gather(*(fielding.run(ref_of(number)).get() for number in range(2)))

    run(main())
    spans = [span for span in watched.spans() if span.kind.name == "CLIENT"]
    assert len(spans) == exchange.requests.total() == 3
    assert sorted(str((span.attributes or {})["http.response.status_code"]) for span in spans) == ["200", "200", "429"]
    assert {value for _, value in watched.metrics()["http.client.active_requests"]} == {0}


async def test_an_action_that_fails(sandbox: Sandbox, watched: Watched) -> None:
    """A failure is on both spans; the call's has the exception as well."""
    ref = sandbox.add_run("live")
    sandbox.script(Status(404), on="get")
    async with session(sandbox, **watched.providers) as fielding:
        with pytest.raises(NotFoundError) as caught:
            await fielding.run(ref).pause()
    (tree,) = watched.trees()
    ((_, exception),) = tree.events
    assert exception["exception.message"] == str(caught.value)
    assert "Traceback" in exception["exception.stacktrace"]
    attributes = call_attributes("pause", ref, requests=1, conflicts=0) | {"error.type": "NotFoundError"}
    told = {**exception, "exception.type": "fielding_async.NotFoundError"}
    assert tree == call(
        "pause", attributes, http(sandbox, "get", ref, 404), events=[("exception", told)], status="ERROR"
    )


async def test_a_reply_that_cannot_be_read(sandbox: Sandbox, watched: Watched) -> None:
    """A success that cannot be understood is a failed attempt: its span has the status, and what was wrong."""
    ref = sandbox.add_run("scheduled")
    sandbox.script(Reply(200, body=b"junk", applied=True), on="launch-now")
    async with session(sandbox, **watched.providers) as fielding:
        await fielding.run(ref).launch_now()
    (tree,) = watched.trees()
    unread = tree.children[1]
    assert (unread.attributes["http.response.status_code"], unread.attributes["error.type"]) == (200, "ProtocolError")
    assert unread.status == "ERROR"
    assert tree.events[0] == ("fielding.lost_reply", {"error.type": "ProtocolError"})


async def test_an_attempt_that_never_left(watched: Watched) -> None:
    """An attempt that could not connect has a span too; its request was not sent."""
    async with Sandbox() as gone:
        ref = gone.add_run("live")
        url = gone.url
    quick = Retry(max_attempts=1)
    async with session(gone_at(url), retry=quick, **watched.providers) as fielding:
        with pytest.raises(TransportError):
            await fielding.run(ref).get()
    (tree,) = watched.trees()
    assert tree.attributes["fielding.requests"] == 0
    (child,) = tree.children
    assert (child.attributes["error.type"], child.status) == ("connection", "ERROR")
    assert watched.metrics().get("http.client.active_requests", []) == []


def gone_at(url: str) -> Any:
    """Return what a session takes for a sandbox at a URL."""

    class Gone:
        def __init__(self) -> None:
            self.url = url

    return Gone()


async def test_a_job(sandbox: Sandbox, watched: Watched) -> None:
    """Making a job is a call; what asks for it later is linked to that call, and its polls are children."""
    ref = sandbox.add_run("completed")
    sandbox.script(Status(503), on="bulk-relaunch-status")
    async with session(sandbox, **watched.providers) as fielding:
        job = await fielding.project(ref.account_id, ref.project_id).relaunch([ref.target_group_id])
        await job.status()
        sandbox.advance(3600)
        await job.wait()
    ids = {"fielding.account_id": ref.account_id, "fielding.project_id": ref.project_id, "fielding.job_id": job.job_id}
    ended = {"fielding.requests": 1, "fielding.conflicts": 0}

    def poll(status: int, **others: Any) -> Node:
        return http(sandbox, "bulk-relaunch-status", ref, status, job_id=job.job_id, **others)

    assert watched.trees() == [
        call(
            "bulk-relaunch",
            {"fielding.operation": "bulk-relaunch", **ids, **ended},
            http(sandbox, "bulk-relaunch", ref, 201),
        ),
        call(
            "bulk-relaunch-status",
            {"fielding.operation": "bulk-relaunch-status", **ids, **ended, "fielding.requests": 2},
            poll(503),
            poll(200, resend=1),
            events=[
                ("fielding.retry", {"fielding.attempt": 1, "error.type": "503", "fielding.wait.duration": SECONDS}),
                ("fielding.wait", {"fielding.wait.reason": "backoff", "fielding.wait.duration": SECONDS}),
            ],
            links=["fielding.bulk-relaunch"],
        ),
        call(
            "bulk-relaunch-wait",
            {"fielding.operation": "bulk-relaunch-wait", **ids, **ended},
            poll(200),
            links=["fielding.bulk-relaunch"],
        ),
    ]
    assert job.trace_id == format_trace_id(watched.spans()[0].context.trace_id)


async def test_a_batch_of_three(sandbox: Sandbox, watched: Watched) -> None:
    """Each row of a batch is a call of its own, a child of the span in which the batch was entered."""
    refs = [sandbox.add_run("live") for _ in range(3)]
    tracer = watched.tracers.get_tracer("users")
    async with session(sandbox, **watched.providers) as fielding:
        with tracer.start_as_current_span("nightly"):
            async with fielding.perform_all([(ref, Pause()) for ref in refs], concurrency=1) as batch:
                assert [done.error async for done in batch] == [None] * 3
    assert watched.trees() == [
        Node(
            "nightly",
            "INTERNAL",
            {},
            children=[
                call(
                    "pause",
                    call_attributes("pause", ref, requests=2, conflicts=0, effect="accepted"),
                    http(sandbox, "get", ref, 200),
                    http(sandbox, "pause", ref, 204),
                )
                for ref in refs
            ],
        )
    ]


@pytest.mark.parametrize("is_async", [False, True], ids=["generator", "async generator"])
async def test_spans_of_the_input_are_not_the_rows_parents(
    sandbox: Sandbox, watched: Watched, caplog: pytest.LogCaptureFixture, is_async: bool
) -> None:
    """Rows are children of the span around the batch, also where the input keeps a span of its own current."""
    refs = [sandbox.add_run("live") for _ in range(3)]
    tracer = watched.tracers.get_tracer("users")

    def rows() -> Iterator[tuple[RunRef, Pause]]:
        with tracer.start_as_current_span("query"):
            for ref in refs:
                yield ref, Pause()

    async def rows_async() -> Any:
        with tracer.start_as_current_span("query"):
            for ref in refs:
                await asyncio.sleep(0)
                yield ref, Pause()

    async with session(sandbox, **watched.providers) as fielding:
        with tracer.start_as_current_span("nightly"):
            async with fielding.perform_all(rows_async() if is_async else rows(), concurrency=1) as batch:
                with tracer.start_as_current_span("consumer"):
                    assert [done.error async for done in batch] == [None] * 3
    (nightly,) = watched.trees()
    assert sorted(child.name for child in nightly.children) == ["consumer", *["fielding.pause"] * 3, "query"]
    assert "detach" not in caplog.text


async def test_calls_of_tasks_go_under_the_span_of_each_task(sandbox: Sandbox, watched: Watched) -> None:
    """Calls of tasks that share a session are children of the span each task is in, also if one is cancelled."""
    refs = [sandbox.add_run("live") for _ in range(4)]
    tracer = watched.tracers.get_tracer("users")
    hold = Hold()
    sandbox.script(hold, on="pause", ref=refs[0])

    async with session(sandbox, **watched.providers) as fielding:

        async def handle(number: int) -> None:
            with tracer.start_as_current_span(f"request {number}"):
                await fielding.run(refs[number]).pause()

        tasks = [asyncio.create_task(handle(number)) for number in range(4)]
        await asyncio.gather(*tasks[1:])
        await hold.arrived()
        tasks[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]
        hold.release()
        await fielding.run(refs[0]).resume()  # whose turn comes when the cancelled write is over
    trees = {tree.name: tree.children for tree in watched.trees()}
    del trees["fielding.resume"]
    assert sorted(trees) == [f"request {number}" for number in range(4)]
    for number in range(4):
        (child,) = trees[f"request {number}"]
        assert child.attributes["fielding.fielding_run_id"] == refs[number].fielding_run_id
        assert [grandchild.name.split()[0] for grandchild in child.children] == ["GET", "POST"]
    (cancelled,) = trees["request 0"]
    assert cancelled.attributes["error.type"] == "CancelledError"
    assert [name for name, _ in cancelled.events] == ["fielding.doubt", "exception"]
    assert cancelled.children[1].attributes["http.response.status_code"] == 204  # it went on to its end


async def test_a_token_request_is_part_of_the_call_that_came_first(sandbox: Sandbox, watched: Watched) -> None:
    """Fetching a token is a CLIENT span under the call that needed it first, with a header; who waits says so."""
    sandbox.add_client("client", "client-secret")
    auth = ClientCredentials("client", "client-secret", token_url=sandbox.token_url)
    ref = sandbox.add_run("live")
    async with session(sandbox, auth=auth, **watched.providers) as fielding:
        await fielding.run(ref).get()
    (tree,) = watched.trees()
    path = urlsplit(sandbox.token_url).path
    port = urlsplit(sandbox.url).port or 0
    assert tree.children == [
        Node(
            f"POST {path}",
            "CLIENT",
            request_attributes("POST", sandbox.token_url, path, port, **{"http.response.status_code": 200}),
        ),
        http(sandbox, "get", ref, 200),
    ]
    assert tree.events == [("fielding.wait", {"fielding.wait.reason": "token", "fielding.wait.duration": SECONDS})]
    for request in sandbox.requests:
        assert len(request.header_values("traceparent")) == 1


async def test_no_span_holds_a_secret(sandbox: Sandbox, watched: Watched) -> None:
    """A token does not get into a span, be it in the server's words, a cause's text or the caller's own exception."""
    ref = sandbox.add_run("live")
    sandbox.script(Status(400, body=f'{{"detail": "bad token {TOKEN}"}}'.encode()), on="get")
    async with session(sandbox, **watched.providers) as fielding:
        with pytest.raises(Exception, match="bad token"):
            await fielding.run(ref).get()
        await fielding.run(ref).get()

        def change(_: object) -> Update:
            raise ValueError(f"I know {TOKEN}")

        with pytest.raises(ValueError, match="I know"):
            await fielding.run(ref).update(change)
    assert TOKEN not in "".join(span.to_json() for span in watched.spans())
    assert watched.trees()[-1].attributes["error.type"] == "ValueError"


async def test_an_outcome_that_is_unknown_is_named_as_users_know_it(
    sandbox: Sandbox, watched: Watched, clock: Clock
) -> None:
    """`error.type` of a call is the name of a public class, or that of the caller's own exception."""
    ref = sandbox.add_run("live")
    hold = Hold()
    sandbox.script(hold, on="pause")
    async with session(sandbox, **watched.providers) as fielding:
        pausing = asyncio.create_task(fielding.run(ref).pause(timeout=50))
        await hold.arrived()
        clock.advance(50)
        with pytest.raises(OutcomeUnknownError):
            await pausing
        hold.release()
    (tree,) = watched.trees()
    assert tree.attributes["error.type"] == "OutcomeUnknownError"
    assert tree.events[0] == ("fielding.lost_reply", {"error.type": "timeout"})


async def test_waiting_for_a_turn_and_a_slot_are_events(sandbox: Sandbox, watched: Watched) -> None:
    """A call that waits for its turn on the run, or for a slot, says how long."""
    first, second = sandbox.add_run("live"), sandbox.add_run("live")
    hold = Hold()
    sandbox.script(hold, on="pause", ref=first)
    async with session(sandbox, limits=Limits(concurrency=1, adaptive=False), **watched.providers) as fielding:
        tasks = [asyncio.create_task(fielding.run(first).pause())]
        await hold.arrived()
        tasks += [asyncio.create_task(fielding.run(first).resume()), asyncio.create_task(fielding.run(second).pause())]
        await asyncio.sleep(0)
        hold.release()
        await asyncio.gather(*tasks)
    reasons = {
        (tree.name, tree.attributes["fielding.fielding_run_id"]): [
            attributes["fielding.wait.reason"] for name, attributes in tree.events if name == "fielding.wait"
        ]
        for tree in watched.trees()
    }
    assert reasons["fielding.resume", first.fielding_run_id][0] == "turn"
    assert reasons["fielding.pause", second.fielding_run_id][0] == "concurrency"
