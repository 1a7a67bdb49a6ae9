"""Continues the trace of whoever calls the app."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager

from opentelemetry import context, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

__all__ = ["server_span"]


@contextmanager
def server_span(name: str, headers: Mapping[str, str]) -> Generator[None]:
    """Continue the trace in the headers: its trace id is that of every request that the session sends inside.

    With OpenTelemetry's SDK this is a SERVER span; without one, the trace is passed on as it came. Where the framework,
    or an instrumentation of it, has started a span already, nothing is done. `headers`: looked up by lower-case names.
    """
    if trace.get_current_span().get_span_context().is_valid:
        yield
        return
    token = context.attach(TraceContextTextMapPropagator().extract(headers))
    try:
        with trace.get_tracer("webapp").start_as_current_span(name, kind=trace.SpanKind.SERVER):
            yield
    finally:
        context.detach(token)
