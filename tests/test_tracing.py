"""Trace context on the wire, with an OpenTelemetry SDK and without one, over real sockets."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
import pytest
from opentelemetry import context, trace
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, TraceState

from fielding_async import NotFoundError
from fielding_async.sandbox import ReceivedRequest, Sandbox, SecondWriter, Status

from .support import sent, session

TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")


def parts(request: ReceivedRequest) -> tuple[str, str, str]:
    """Return trace id, parent id and flags of a request's only, valid `traceparent`."""
    (header,) = request.header_values("traceparent")
    match = TRACEPARENT.fullmatch(header)
    assert match is not None, header
    return match.group(1), match.group(2), match.group(3)


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
    instrumentor = AioHttpClientInstrumentor()
    if instrumented:
        instrumentor.instrument(tracer_provider=tracers)
    try:
        async with session(sandbox, tracer_provider=tracers) as fielding:
            outcome = await fielding.run(ref).pause()
    finally:
        if instrumented:
            instrumentor.uninstrument()
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


async def test_a_callers_session_with_instrumentation_makes_no_second_header(sandbox: Sandbox) -> None:
    """A session of the caller's own that is instrumented adds no header and no span to our requests."""
    ref = sandbox.add_run("live")
    tracers, exporter = provider()
    instrumentor = AioHttpClientInstrumentor()
    instrumentor.instrument(tracer_provider=tracers)
    try:
        async with aiohttp.ClientSession() as http, session(sandbox, http=http) as fielding:
            await fielding.run(ref).pause()
    finally:
        instrumentor.uninstrument()
    assert exporter.get_finished_spans() == ()
    for request in sandbox.requests:
        parts(request)


async def test_the_trace_id_of_a_job_is_that_of_its_creation(sandbox: Sandbox) -> None:
    """A job handle's trace id is the one sent with the request that made it; every retry bears it."""
    ref = sandbox.add_run("completed")
    sandbox.script(Status(500), on="bulk-relaunch")
    async with session(sandbox) as fielding:
        job = await fielding.project(101, ref.project_id).relaunch([ref.target_group_id])
    assert {parts(request)[0] for request in sent(sandbox, "bulk-relaunch")} == {job.trace_id}
