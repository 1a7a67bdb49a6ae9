"""Trace context on the wire, with an OpenTelemetry SDK and without one, over real sockets."""

import re
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, nullcontext
from typing import Any

import aiohttp
import pytest
from opentelemetry import context, trace
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, Sampler
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, TraceState

from fielding_async import ClientCredentials, NotFoundError
from fielding_async.sandbox import ReceivedRequest, Sandbox, SecondWriter, Status
from tests.tools.sessions import sent, session

TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")


def parts(request: ReceivedRequest) -> tuple[str, str, str]:
    """Return trace id, parent id and flags of a request's only, valid `traceparent`."""
    (header,) = request.header_values("traceparent")
    match = TRACEPARENT.fullmatch(header)
    assert match is not None, header
    return match.group(1), match.group(2), match.group(3)


@contextmanager
def instrumentation(**arguments: Any) -> Iterator[None]:
    """Have the instrumentation of aiohttp installed for a while."""
    instrumentor = AioHttpClientInstrumentor()
    instrumentor.instrument(**arguments)
    try:
        yield
    finally:
        instrumentor.uninstrument()


@contextmanager
def around(trace_id: int, span_id: int, flags: int, tracestate: str) -> Iterator[None]:
    """Make a remote span context the current one, as a web framework's middleware does."""
    span_context = SpanContext(
        trace_id,
        span_id,
        is_remote=True,
        trace_flags=TraceFlags(flags),
        trace_state=TraceState.from_header([tracestate]),
    )
    token = context.attach(trace.set_span_in_context(NonRecordingSpan(span_context)))
    try:
        yield
    finally:
        context.detach(token)


async def test_without_an_sdk_each_call_has_a_trace_of_its_own(sandbox: Sandbox) -> None:
    """Without SDK and context each request has a valid traceparent, one trace id per call, flags 00, and a new parent
    id per attempt.
    """
    ref = sandbox.add_run("live")
    sandbox.script(Status(500), SecondWriter(), on="pause")
    async with session(sandbox) as fielding:
        first = await fielding.run(ref).pause()
        second = await fielding.run(ref).resume()
    found = [parts(request) for request in sandbox.requests]
    assert len(found) == 6
    assert [trace_id for trace_id, _, _ in found] == [first.trace_id] * 5 + [second.trace_id]
    assert first.trace_id != second.trace_id
    assert len({span_id for _, span_id, _ in found}) == 6
    assert {flags for _, _, flags in found} == {"00"}
    assert {request.header("tracestate") for request in sandbox.requests} == {None}


@pytest.mark.parametrize("flags", [0, 1])
async def test_inside_a_context_its_trace_is_continued(sandbox: Sandbox, flags: int) -> None:
    """Inside a live context the requests continue its trace with its flags, and pass its tracestate on, whole."""
    ref = sandbox.add_run("live")
    with around(0xABC, 0xDEF, flags, "vendor=1,other=x:y"):
        async with session(sandbox) as fielding:
            outcome = await fielding.run(ref).pause()
    found = [parts(request) for request in sandbox.requests]
    assert outcome.trace_id == f"{0xABC:032x}"
    assert {(trace_id, flag) for trace_id, _, flag in found} == {(f"{0xABC:032x}", f"{flags:02x}")}
    span_ids = {span_id for _, span_id, _ in found}
    assert len(span_ids) == 2
    assert f"{0xDEF:016x}" not in span_ids
    assert {request.header("tracestate") for request in sandbox.requests} == {"vendor=1,other=x:y"}


async def test_an_error_bears_the_trace_id_of_its_requests(sandbox: Sandbox) -> None:
    """The trace id on an error is that of the requests which led to it."""
    ref = sandbox.add_run("live")
    sandbox.script(Status(404), on="get")
    async with session(sandbox) as fielding:
        with pytest.raises(NotFoundError) as caught:
            await fielding.run(ref).get()
    assert parts(sandbox.requests[0])[0] == caught.value.trace_id


def provider() -> tuple[TracerProvider, InMemorySpanExporter]:
    """Return a tracer provider of an SDK, and where its spans can be read."""
    exporter = InMemorySpanExporter()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    return tracers, exporter


@pytest.mark.parametrize("instrumented", [False, True])
async def test_with_an_sdk_there_is_a_span_per_call_and_per_attempt(sandbox: Sandbox, instrumented: bool) -> None:
    """With an SDK: an INTERNAL span per call, a CLIENT span per attempt whose id is the one sent; just as many with
    the HTTP library's instrumentation installed.
    """
    ref = sandbox.add_run("live")
    sandbox.script(Status(503), on="pause")
    tracers, exporter = provider()
    with instrumentation(tracer_provider=tracers) if instrumented else nullcontext():
        async with session(sandbox, tracer_provider=tracers) as fielding:
            outcome = await fielding.run(ref).pause()
    spans = exporter.get_finished_spans()
    (call,) = [span for span in spans if span.kind is SpanKind.INTERNAL]
    attempts = [span for span in spans if span.kind is SpanKind.CLIENT]
    assert call.name == "fielding.pause"
    assert call.attributes is not None
    assert call.attributes["fielding.fielding_run_id"] == ref.fielding_run_id
    assert call.attributes["fielding.effect"] == "accepted"
    assert len(spans) == 4
    for span, request in zip(attempts, sandbox.requests, strict=True):
        assert span.parent is not None
        assert span.parent.span_id == call.context.span_id
        assert parts(request) == (
            f"{span.context.trace_id:032x}",
            f"{span.context.span_id:016x}",
            f"{int(span.context.trace_flags):02x}",
        )
        assert span.attributes is not None
        assert span.attributes["http.request.method"] == request.method
        assert span.attributes["http.response.status_code"] == request.status
        assert span.attributes["server.address"] == "127.0.0.1"
    assert outcome.trace_id == f"{call.context.trace_id:032x}"
    assert [(span.attributes or {}).get("http.request.resend_count") for span in attempts] == [None, None, 1]
    assert [(span.attributes or {}).get("error.type") for span in attempts] == [None, "503", None]


def held_to_the_wire(sandbox: Sandbox, exporter: InMemorySpanExporter) -> set[str]:
    """Hold the CLIENT spans to the requests: one each, whose id is sent; return the trace ids."""
    spans = exporter.get_finished_spans()
    assert [span.kind for span in spans] == [SpanKind.CLIENT] * len(sandbox.requests)
    assert [parts(request) for request in sandbox.requests] == [
        (f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}", f"{span.context.trace_flags & 3:02x}")
        for span in spans
    ]
    return {f"{span.context.trace_id:032x}" for span in spans}


@pytest.mark.parametrize("own_session", [False, True])
async def test_without_spans_of_ours_the_instrumentation_has_its_own(sandbox: Sandbox, own_session: bool) -> None:
    """With the instrumentation alone set up there is its CLIENT span for each attempt, which the server sees as parent;
    those of a call share the trace id of its outcome.
    """
    ref = sandbox.add_run("live")
    sandbox.script(Status(503), SecondWriter(), on="pause")
    tracers, exporter = provider()
    with instrumentation(tracer_provider=tracers):
        async with AsyncExitStack() as stack:
            http = await stack.enter_async_context(aiohttp.ClientSession()) if own_session else None
            fielding = await stack.enter_async_context(session(sandbox, http=http))
            first = await fielding.run(ref).pause()
            assert first.requests == 5
            assert held_to_the_wire(sandbox, exporter) == {first.trace_id}
            second = await fielding.run(ref).resume()
            assert held_to_the_wire(sandbox, exporter) == {first.trace_id, second.trace_id}
            assert second.trace_id != first.trace_id
            with tracers.get_tracer("test").start_as_current_span("around") as span:
                third = await fielding.run(ref).pause()
            assert third.trace_id == f"{span.get_span_context().trace_id:032x}"
    assert parts(sandbox.requests[-1])[0] == third.trace_id
    assert len(exporter.get_finished_spans()) == len(sandbox.requests) + 1


async def test_a_token_request_is_in_the_trace_of_its_call(sandbox: Sandbox) -> None:
    """With the instrumentation alone, the request for a token has its span too, in the trace of the call."""
    sandbox.add_client("client", "client-secret")
    auth = ClientCredentials("client", "client-secret", token_url=sandbox.token_url)
    tracers, exporter = provider()
    with instrumentation(tracer_provider=tracers):
        async with session(sandbox, auth=auth) as fielding:
            outcome = await fielding.run(sandbox.add_run("live")).pause()
    assert [request.operation for request in sandbox.requests] == ["token", "get", "pause"]
    assert held_to_the_wire(sandbox, exporter) == {outcome.trace_id}


@pytest.mark.parametrize("sampler", [ALWAYS_OFF, ParentBased(ALWAYS_OFF)])
async def test_what_the_instrumentation_does_not_sample_is_sent_as_such(sandbox: Sandbox, sampler: Sampler) -> None:
    """Whether a call is sampled is for the instrumentation's provider to say, and all its attempts bear that flag."""
    ref = sandbox.add_run("live")
    sandbox.script(Status(503), on="pause")
    exporter = InMemorySpanExporter()
    tracers = TracerProvider(sampler=sampler)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    with instrumentation(tracer_provider=tracers):
        async with session(sandbox) as fielding:
            outcome = await fielding.run(ref).pause()
    found = [parts(request) for request in sandbox.requests]
    assert {(trace_id, int(flags, 16) & 1) for trace_id, _, flags in found} == {(outcome.trace_id, 0)}
    assert len({span_id for _, span_id, _ in found}) == 3
    assert exporter.get_finished_spans() == ()


async def test_an_instrumentation_that_does_nothing_changes_nothing(sandbox: Sandbox) -> None:
    """With the instrumentation installed and no SDK at all, the headers are those minted for the call."""
    ref = sandbox.add_run("live")
    sandbox.script(Status(503), on="pause")
    with instrumentation():
        async with session(sandbox) as fielding:
            outcome = await fielding.run(ref).pause()
    found = [parts(request) for request in sandbox.requests]
    assert {(trace_id, flags) for trace_id, _, flags in found} == {(outcome.trace_id, "00")}
    assert len({span_id for _, span_id, _ in found}) == 3


async def test_the_trace_id_of_a_job_is_that_of_its_creation(sandbox: Sandbox) -> None:
    """A job handle's trace id is the one sent with the request that made it; every retry bears it."""
    ref = sandbox.add_run("completed")
    sandbox.script(Status(500), on="bulk-relaunch")
    async with session(sandbox) as fielding:
        job = await fielding.project(101, ref.project_id).relaunch([ref.target_group_id])
    assert {parts(request)[0] for request in sent(sandbox, "bulk-relaunch")} == {job.trace_id}
