"""What a sampler drops: the span of the call is not recorded, its attempts have none, and the trace goes on."""

from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Decision, ParentBased, Sampler, SamplingResult
from opentelemetry.trace import SpanKind

from fielding_async.sandbox import Cut, ReceivedRequest, Sandbox
from tests.tools.sessions import session


class _Asked(Sampler):
    """Drops all; `asked` holds the kinds of the spans that it was asked for."""

    def __init__(self, decision: Decision = Decision.DROP) -> None:
        self.asked: list[SpanKind | None] = []
        self._decision = decision

    def should_sample(self, parent_context: Any, trace_id: int, name: str, kind: Any = None, *_: Any, **__: Any) -> Any:
        self.asked.append(kind)
        return SamplingResult(self._decision, trace_state=trace.TraceState([("of", "sampler")]))

    def get_description(self) -> str:
        return "as it is told"


def _header(request: ReceivedRequest, name: str) -> str:
    (value,) = request.header_values(name)
    return value


def _is_sampled(flags: str) -> bool:
    return bool(int(flags, 16) & 1)  # the other bit says that the trace id is random


def _sent(sandbox: Sandbox) -> list[list[str]]:
    return [_header(request, "traceparent").split("-") for request in sandbox.requests]


@pytest.mark.parametrize("sampler", [ALWAYS_OFF, ParentBased(ALWAYS_OFF)])
async def test_each_attempt_of_a_dropped_call_has_a_position_of_its_own(sandbox: Sandbox, sampler: Sampler) -> None:
    """One trace id, that of the outcome; a span id for each attempt; not sampled. No span is exported."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(sampler=sampler)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    sandbox.script(Cut("before"), on="pause")
    async with session(sandbox, tracer_provider=provider) as fielding:
        outcome = await fielding.run(sandbox.add_run("live")).pause()
    sent = _sent(sandbox)
    assert len(sent) == outcome.requests >= 3
    assert {(version, trace_id) for version, trace_id, _, _ in sent} == {("00", outcome.trace_id)}
    assert not any(_is_sampled(flags) for *_, flags in sent)
    assert len({span_id for _, _, span_id, _ in sent} - {"0" * 16}) == len(sent)
    assert exporter.get_finished_spans() == ()


async def test_no_span_is_asked_for_below_one_that_was_dropped(sandbox: Sandbox) -> None:
    """The sampler is asked for the call alone; what it adds to the state of the trace is sent."""
    sampler = _Asked()
    async with session(sandbox, tracer_provider=TracerProvider(sampler=sampler)) as fielding:
        await fielding.run(sandbox.add_run("live")).pause()
    assert sampler.asked == [SpanKind.INTERNAL]
    assert {_header(request, "tracestate") for request in sandbox.requests} == {"of=sampler"}


async def test_what_is_recorded_and_not_sampled_has_spans_of_its_attempts(sandbox: Sandbox) -> None:
    """A span that is only recorded is seen by processors, so its attempts have spans too, and are sent as unsampled."""
    sampler = _Asked(Decision.RECORD_ONLY)
    async with session(sandbox, tracer_provider=TracerProvider(sampler=sampler)) as fielding:
        await fielding.run(sandbox.add_run("live")).pause()
    assert sampler.asked == [SpanKind.INTERNAL, SpanKind.CLIENT, SpanKind.CLIENT]
    assert not any(_is_sampled(flags) for *_, flags in _sent(sandbox))


async def test_metrics_count_what_a_sampler_drops(sandbox: Sandbox) -> None:
    """Each request and the call are in the metrics, though there are no spans."""
    reader = InMemoryMetricReader()
    providers = {"tracer_provider": TracerProvider(sampler=_Asked()), "meter_provider": MeterProvider([reader])}
    async with session(sandbox, **providers) as fielding:
        await fielding.run(sandbox.add_run("live")).pause()
    data = reader.get_metrics_data()
    assert data is not None
    counts = {
        metric.name: sum(getattr(point, "count", 0) for point in metric.data.data_points)
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
    }
    assert counts["http.client.request.duration"] == 2
    assert counts["fielding.client.operation.duration"] == 1


async def test_a_dropped_call_below_a_span_stays_in_its_trace(sandbox: Sandbox) -> None:
    """The trace around the call goes on, and is not sampled from there."""
    provider = TracerProvider(sampler=_Asked())
    around = trace.NonRecordingSpan(trace.SpanContext(0x1234, 0x5678, is_remote=True, trace_flags=trace.TraceFlags(1)))
    with trace.use_span(around):
        async with session(sandbox, tracer_provider=provider) as fielding:
            outcome = await fielding.run(sandbox.add_run("live")).pause()
    assert outcome.trace_id == f"{0x1234:032x}"
    assert {(sent[1], _is_sampled(sent[3])) for sent in _sent(sandbox)} == {(outcome.trace_id, False)}
