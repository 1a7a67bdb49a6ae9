"""The trace context of an incoming request, for web handlers whose framework reads none."""

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from fielding_async.core.errors import ConfigurationError
from fielding_async.core.wire.trace_headers import read_trace_context

__all__ = ["IncomingHeaders", "trace_context"]

IncomingHeaders = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]
"""The headers of a request: a mapping, which may have a name several times, or pairs of name and value, as in ASGI."""


@contextmanager
def trace_context(headers: IncomingHeaders) -> Generator[None, None, None]:
    """Continue the trace of an incoming request: calls of the SDK inside the block send its trace id.

        from aiohttp import web
        from fielding_async import trace_context

        async def handler(request: web.Request) -> web.Response:
            with trace_context(request.headers):
                outcome = await fielding.run(ref).pause()
            return web.Response(text=outcome.effect)

    Works with an OpenTelemetry SDK and without one. Has no effect if there is a valid OpenTelemetry context already,
    such as that of an instrumented framework, or if the headers have no valid `traceparent`. Invalid trace headers
    never raise an error, as the W3C recommendation demands. All members of a `tracestate` are passed on in their order.

    Source: https://www.w3.org/TR/trace-context/. Raises `ConfigurationError` for a value that cannot be headers.
    """
    found: dict[str, list[str]] = {"traceparent": [], "tracestate": []}
    for name, value in _pairs(headers):
        values = found.get(name.lower())
        if values is not None:
            values.append(value)
    incoming = read_trace_context(found["traceparent"], found["tracestate"])
    if incoming is None or trace.get_current_span().get_span_context().is_valid:
        yield
        return
    position = SpanContext(
        int(incoming.trace_id, 16),
        int(incoming.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(incoming.flags),
        trace_state=TraceState(incoming.state),
    )
    token = otel_context.attach(trace.set_span_in_context(NonRecordingSpan(position)))
    try:
        yield
    finally:
        otel_context.detach(token)


trace_context.__module__ = "fielding_async"


def _pairs(headers: IncomingHeaders) -> Iterator[tuple[str, str]]:
    given = cast("Any", headers)
    try:
        for name, value in given.items() if isinstance(headers, Mapping) else given:
            yield _text(name), _text(value)
    except (TypeError, ValueError):
        raise ConfigurationError(
            f"headers: must be a mapping of str, or pairs of str or bytes, not {type(given).__name__}"
        ) from None


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, str):
        return value
    raise TypeError
