"""From an OpenTelemetry context to a request: its W3C headers, and the suppression of instrumentations.

Headers follow the W3C rules whatever global propagator is set.
"""

from opentelemetry import context as otel_context
from opentelemetry.trace import NonRecordingSpan, SpanContext, set_span_in_context

from fielding_async.core.wire.trace_headers import FLAGS, format_tracestate, traceparent

__all__ = ["set_parent", "suppress_instrumentation", "w3c_headers"]

# The keys that suppress instrumentations; older ones know only the general one.
_SUPPRESS: tuple[str, ...] = (
    getattr(otel_context, "_SUPPRESS_HTTP_INSTRUMENTATION_KEY", "suppress_http_instrumentation"),
    getattr(otel_context, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation"),
)


def suppress_instrumentation() -> None:
    """Keep an instrumentation of the HTTP library from adding a second CLIENT span and header.

    Lasts as long as the current task, so it is for tasks that only make one attempt.
    """
    context = otel_context.get_current()
    for key in _SUPPRESS:
        context = otel_context.set_value(key, True, context)
    otel_context.attach(context)


def set_parent(position: SpanContext) -> None:
    """Make a position the parent of spans that others start in the current task. Lasts as long as the task."""
    otel_context.attach(set_span_in_context(NonRecordingSpan(position)))


def w3c_headers(around: SpanContext, trace_id: str, span_id: str) -> dict[str, str]:
    """Return the headers of a request in the trace of `around`; ids as lower-case hex."""
    headers = {"traceparent": traceparent(trace_id, span_id, around.trace_flags & FLAGS)}
    if around.trace_state:
        state = format_tracestate(around.trace_state.items())
        if state:
            headers["tracestate"] = state
    return headers
