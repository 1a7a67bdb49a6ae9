"""What goes on from an OpenTelemetry context to a request: its W3C headers, and an order to instrumentations.

Headers are written by the W3C rules whatever global propagator is set.
"""

from opentelemetry import context as otel_context
from opentelemetry.trace import NonRecordingSpan, SpanContext, set_span_in_context

from fielding_async.core.wire.trace_headers import FLAGS, format_tracestate, traceparent

__all__ = ["keep_instrumentation_quiet", "stand_below", "w3c_headers"]

# The keys under which instrumentations look for an order to keep quiet; older ones know only the general one.
_SUPPRESS: tuple[str, ...] = (
    getattr(otel_context, "_SUPPRESS_HTTP_INSTRUMENTATION_KEY", "suppress_http_instrumentation"),
    getattr(otel_context, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation"),
)


def keep_instrumentation_quiet() -> None:
    """Keep an instrumentation of the HTTP library from adding a second CLIENT span and header.

    Lasts as long as the current task: for tasks that do nothing but one exchange.
    """
    context = otel_context.get_current()
    for key in _SUPPRESS:
        context = otel_context.set_value(key, True, context)
    otel_context.attach(context)


def stand_below(position: SpanContext) -> None:
    """Let spans that others begin in the current task stand below a position. Lasts as long as the task."""
    otel_context.attach(set_span_in_context(NonRecordingSpan(position)))


def w3c_headers(around: SpanContext, trace_id: str, span_id: str) -> dict[str, str]:
    """Return the headers of a request in the trace of `around`; ids as lower-case hex."""
    headers = {"traceparent": traceparent(trace_id, span_id, around.trace_flags & FLAGS)}
    if around.trace_state:
        state = format_tracestate(around.trace_state.items())
        if state:
            headers["tracestate"] = state
    return headers
