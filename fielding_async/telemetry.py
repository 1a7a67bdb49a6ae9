"""The door of OpenTelemetry: a span per call, a CLIENT span per attempt, and a valid `traceparent` on every request.

With the API alone (no SDK configured) spans do nothing, so the ids that go out are then continued from the current
context, or minted here. Headers are written by the W3C rules whatever global propagator is set.
"""

from collections.abc import Callable, Mapping

from attrs import define
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import Span, SpanContext, SpanKind, Status, StatusCode, Tracer, TracerProvider

from .__about__ import __version__
from .errors import APIError
from .traceparent import mint_span_id, mint_trace_id, traceparent

__all__ = ["AttemptTrace", "CallTrace", "Telemetry", "keep_instrumentation_quiet"]

GetRandBits = Callable[[int], int]
Attributes = Mapping[str, str | int]

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


@define(eq=False)
class AttemptTrace:
    """One attempt: the W3C headers of its request, and its CLIENT span if there are spans at all."""

    headers: dict[str, str]
    span: Span | None = None

    def end(self, *, status: int | None = None, error_type: str | None = None) -> None:
        """End the span with the response's status, or with what went wrong."""
        if self.span is None:
            return
        if self.span.is_recording():
            if status is not None:
                self.span.set_attribute("http.response.status_code", status)
                if status >= 400:
                    error_type = str(status)
            if error_type is not None:
                self.span.set_attribute("error.type", error_type)
                self.span.set_status(Status(StatusCode.ERROR))
        self.span.end()


class CallTrace:
    """One call of the SDK: its INTERNAL span, the trace id that all its attempts share, and their count."""

    __slots__ = ("_context", "_getrandbits", "_tracer", "span", "trace_id")

    def __init__(self, tracer: Tracer, getrandbits: GetRandBits, name: str, attributes: Attributes) -> None:
        self._getrandbits = getrandbits
        self._tracer: Tracer | None = None
        self._context: SpanContext | None = None
        self.span: Span = tracer.start_span(f"fielding.{name}", attributes=attributes)
        own = self.span.get_span_context()
        around = trace.get_current_span().get_span_context()
        if own.is_valid and own.span_id != around.span_id:
            self._context = own
            self._tracer = tracer
        elif around.is_valid:
            self._context = around  # without an SDK a new span is the one around it, or none: attempts get none
        context = self._context
        self.trace_id: str = mint_trace_id(getrandbits) if context is None else trace.format_trace_id(context.trace_id)
        """The trace id of every request of this call, 32 hex digits."""

    def attempt(self, method: str, template: str, address: Attributes, resend: int) -> AttemptTrace:
        """Begin an attempt. Its span id is its own, with an SDK or without."""
        own = self._context
        if own is None:
            return AttemptTrace({"traceparent": traceparent(self.trace_id, mint_span_id(self._getrandbits), 0)})
        span: Span | None = None
        span_id = own.span_id
        if self._tracer is not None:
            attributes: dict[str, str | int] = {"http.request.method": method, "url.template": template, **address}
            if resend:
                attributes["http.request.resend_count"] = resend
            span = self._tracer.start_span(
                f"{method} {template}",
                context=trace.set_span_in_context(self.span),
                kind=SpanKind.CLIENT,
                attributes=attributes,
            )
            if span.get_span_context().is_valid:
                own = span.get_span_context()
        hex_id = trace.format_span_id(own.span_id) if own.span_id != span_id else mint_span_id(self._getrandbits)
        headers = {"traceparent": traceparent(trace.format_trace_id(own.trace_id), hex_id, int(own.trace_flags))}
        if own.trace_state:
            headers["tracestate"] = own.trace_state.to_header()
        return AttemptTrace(headers, span)

    def outcome(self, effect: str, conflicts: int) -> None:
        """Note what became of a run action."""
        if self.span.is_recording():
            self.span.set_attributes({"fielding.effect": effect, "fielding.conflicts": conflicts})

    def end(self, error: BaseException | None) -> None:
        """End the span, with the error that the call ended in."""
        if error is not None and self.span.is_recording():
            name = str(error.status) if isinstance(error, APIError) else type(error).__qualname__
            self.span.set_attribute("error.type", name)
            self.span.record_exception(error)
            self.span.set_status(Status(StatusCode.ERROR, str(error)))
        self.span.end()


class Telemetry:
    """The tracer of one session."""

    def __init__(self, getrandbits: GetRandBits, tracer_provider: TracerProvider | None = None) -> None:
        self._tracer = trace.get_tracer("fielding_async", __version__, tracer_provider)
        self._getrandbits = getrandbits

    def call(self, name: str, attributes: Attributes) -> CallTrace:
        """Begin a call. Must be ended."""
        return CallTrace(self._tracer, self._getrandbits, name, attributes)
