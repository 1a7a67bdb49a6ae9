"""Spans, metrics and their whole shape, for tests: what an exporter got, as trees that can be compared."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from attrs import define, field
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from fielding_async import RunRef

__all__ = ["SECONDS", "Node", "Watched", "call_attributes", "instrumented", "request_attributes"]


class _Seconds:
    """Equal to any number of seconds above 0."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, float) and other > 0

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return "SECONDS"


SECONDS = _Seconds()


@define
class Node:
    """A span with its children in the order they began. `links`: names of the spans linked to."""

    name: str
    kind: str
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any]]] = field(factory=list)
    children: "list[Node]" = field(factory=list)
    links: list[str] = field(factory=list)
    status: str = "UNSET"


@define
class Watched:
    """Providers of an SDK, and what came of them."""

    tracers: TracerProvider = field(factory=TracerProvider)
    exporter: InMemorySpanExporter = field(factory=InMemorySpanExporter)
    reader: InMemoryMetricReader = field(factory=InMemoryMetricReader)
    meters: MeterProvider = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider([self.reader])

    @property
    def providers(self) -> dict[str, Any]:
        """The arguments of a session."""
        return {"tracer_provider": self.tracers, "meter_provider": self.meters}

    def spans(self) -> list[ReadableSpan]:
        """Return the spans that have ended, in the order they began."""
        return sorted(self.exporter.get_finished_spans(), key=lambda span: span.start_time or 0)

    def trees(self) -> list[Node]:
        """Return what has ended, as trees, in the order they began."""
        spans = self.spans()
        names = {span.context.span_id: span.name for span in spans}
        nodes = {span.context.span_id: _node(span, names) for span in spans}
        roots: list[Node] = []
        for span in spans:
            parent = None if span.parent is None else nodes.get(span.parent.span_id)
            (roots if parent is None else parent.children).append(nodes[span.context.span_id])
        return roots

    def metrics(self) -> dict[str, list[tuple[dict[str, Any], Any]]]:
        """Return the points of each metric: attributes, and the count or value."""
        found: dict[str, list[tuple[dict[str, Any], Any]]] = {}
        data = self.reader.get_metrics_data()
        for resource in data.resource_metrics if data is not None else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    points: list[Any] = list(metric.data.data_points)
                    found[metric.name] = [
                        (dict(point.attributes), point.count if hasattr(point, "count") else point.value)
                        for point in points
                    ]
        return found


def _node(span: ReadableSpan, names: dict[int, str]) -> Node:
    return Node(
        span.name,
        span.kind.name,
        dict(span.attributes or {}),
        [(event.name, dict(event.attributes or {})) for event in span.events],
        links=[names[link.context.span_id] for link in span.links],
        status=span.status.status_code.name,
    )


@contextmanager
def instrumented(watched: Watched, *, on: bool) -> Iterator[None]:
    """Install the aiohttp client's instrumentation, if `on`."""
    if not on:
        yield
        return
    instrumentor = AioHttpClientInstrumentor()
    instrumentor.instrument(**watched.providers)
    try:
        yield
    finally:
        instrumentor.uninstrument()


def call_attributes(operation: str, ref: RunRef, **others: Any) -> dict[str, Any]:
    """Return the attributes of the span of a call on a run."""
    return {
        "fielding.operation": operation,
        "fielding.account_id": ref.account_id,
        "fielding.project_id": ref.project_id,
        "fielding.target_group_id": ref.target_group_id,
        "fielding.fielding_run_id": ref.fielding_run_id,
        **{f"fielding.{name}": value for name, value in others.items()},
    }


def request_attributes(method: str, url: str, template: str, port: int, **others: Any) -> dict[str, Any]:
    """Return the attributes of the span of an attempt."""
    return {
        "http.request.method": method,
        "url.full": url,
        "url.template": template,
        "server.address": "127.0.0.1",
        "server.port": port,
        **others,
    }
