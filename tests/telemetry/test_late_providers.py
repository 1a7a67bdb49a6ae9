"""Global providers of OpenTelemetry that are set after a session was entered."""

import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, sys, types
from fielding_async.telemetry import otel_providers
from tests.tools.fake_exchange import FakeExchange, ref_of, session_on
order, hides = sys.argv[1], sys.argv[2] == "hidden"


def hide():
    # a version of the API that has no such private names
    public = {name: value for name, value in vars(otel_providers.trace).items() if not name.startswith("_")}
    otel_providers.trace = types.SimpleNamespace(**public)
    sys.modules.pop("opentelemetry.metrics._internal", None)


def set_tracers():
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return lambda: [span.name for span in exporter.get_finished_spans() if span.name.startswith("fielding.")]


def set_meters():
    from opentelemetry import metrics
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    reader = InMemoryMetricReader()
    metrics.set_meter_provider(MeterProvider([reader]))

    def found():
        (scope,) = reader.get_metrics_data().resource_metrics[0].scope_metrics
        points = {metric.name: list(metric.data.data_points) for metric in scope.metrics}
        calls = points["fielding.client.operation.duration"]
        return [point.attributes["fielding.operation"] for point in calls], len(points["fielding.client.slot.usage"])

    return found


async def main():
    async with session_on(FakeExchange()) as fielding:
        if hides:
            hide()
        run = fielding.run(ref_of(1))
        await run.pause()
        first = set_tracers() if order == "tracers first" else set_meters()
        await run.resume()
        second = set_meters() if order == "tracers first" else set_tracers()
        await run.complete()
        await run.get()
        print(first(), second())


asyncio.run(main())
"""

FOUND = {
    "tracers first": "['fielding.resume', 'fielding.complete', 'fielding.get'] (['complete', 'get'], 1)",
    "meters first": "(['resume', 'complete', 'get'], 1) ['fielding.complete', 'fielding.get']",
}


@pytest.mark.parametrize("names", ["there", "hidden"])
@pytest.mark.parametrize("order", FOUND)
def test_they_are_taken_up_by_the_next_call(order: str, names: str) -> None:
    """Spans, metrics and gauges start with the call after the provider was set, also by public names alone."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM, order, names], check=False, capture_output=True, text=True
    )
    assert (ran.stdout.strip(), ran.stderr) == (FOUND[order], "")


NOTHING = """
import asyncio
from opentelemetry import metrics, trace
from tests.tools.fake_exchange import FakeExchange, ref_of, session_on


async def main():
    async with session_on(FakeExchange()) as fielding:
        trace.set_tracer_provider(trace.NoOpTracerProvider())
        metrics.set_meter_provider(metrics.NoOpMeterProvider())
        await fielding.run(ref_of(1)).pause()
        providers = fielding.engine()._providers
        print(providers.is_observed, providers.awaits_globals)


asyncio.run(main())
"""


def test_providers_that_do_nothing_end_the_wait_as_well() -> None:
    """Once global providers are set, no call looks for them again, even if they record nothing."""
    ran = subprocess.run([sys.executable, "-W", "error", "-c", NOTHING], check=False, capture_output=True, text=True)
    assert (ran.stdout.strip(), ran.stderr) == ("False False", "")
