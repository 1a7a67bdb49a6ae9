"""The trace of one attempt: its CLIENT span and its metrics, by the semantic conventions for HTTP clients."""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from .log_lines import contained
from .outgoing_context import w3c_headers

if TYPE_CHECKING:
    from typing import Protocol

    from .log_lines import LoggedCall
    from .meters import Meters

    class HeaderSource(LoggedCall, Protocol):
        """The call that an attempt belongs to."""

        def new_headers(self) -> dict[str, str]:
            """Return the headers of a request without a span."""
            ...


__all__ = ["AttemptTrace", "Target", "address_of"]

Attributes = dict[str, str | int]


def address_of(url: str) -> Attributes:
    """Return the attributes that name the server of a URL."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {"server.address": parts.hostname or "", "server.port": port}


class Target(NamedTuple):
    """The target of an attempt: method, URL (without query or user), the template of its path, the server's address.

    `template`: with the path of the base URL; empty for a request of the caller's own, whose path may be any.
    `resend`: how many times the request was sent before.
    """

    method: str
    url: str
    template: str
    address: Mapping[str, str | int]
    resend: int = 0

    def labels(self) -> Attributes:
        """Return the attributes that spans and metrics share."""
        if not self.template:
            return {"http.request.method": self.method, **self.address}
        return {"http.request.method": self.method, "url.template": self.template, **self.address}


class AttemptTrace:
    """One attempt, from its start to its end.

    The span has the start time of the attempt, but is made when the request is sent: one held back at the socket leaves
    no span.
    """

    def __init__(
        self,
        call: "HeaderSource",
        target: Target,
        *,
        tracer: Tracer | None,
        meters: "Meters | None",
        parent: Span | None,
        clock: Callable[[], float],
    ) -> None:
        self._call = call
        self._target = target
        self._tracer = tracer
        self._meters = meters
        self._parent = parent
        self._clock = clock
        self._span: Span | None = None
        self._left = False
        self._started, self._started_ns = clock(), time.time_ns()

    def leave(self) -> dict[str, str]:
        """Note that the request is sent now. Returns the W3C headers to send with it."""
        self._left = True
        with contained(self._call):
            self._start()
        with contained(self._call):
            self._count_active(1)
        own = None if self._span is None else self._span.get_span_context()
        if own is None or not own.is_valid or own == _context_of(self._parent):
            return self._call.new_headers()  # the provider makes no spans
        return w3c_headers(own, trace.format_trace_id(own.trace_id), trace.format_span_id(own.span_id))

    def _count_active(self, change: int) -> None:
        if self._meters is not None:
            self._meters.add("http.client.active_requests", change, self._target.labels())

    def _start(self) -> None:
        if self._tracer is None or self._parent is None:
            return
        target = self._target
        attributes = target.labels() | {"url.full": target.url}
        if target.resend:
            attributes["http.request.resend_count"] = target.resend
        self._span = self._tracer.start_span(
            f"{target.method} {target.template}" if target.template else target.method,
            context=trace.set_span_in_context(self._parent),
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=self._started_ns,
        )

    def end(self, *, status: int | None = None, error_type: str | None = None, held_back: bool = False) -> None:
        """End the span, with the response's status or with what went wrong."""
        if held_back:
            return
        found: Attributes = {}
        if status is not None:
            found["http.response.status_code"] = status
        # A 412 is the answer that a conditional request provides for: the call handles it, or fails by itself.
        if error_type is not None and error_type != "412":
            found["error.type"] = error_type
        with contained(self._call):
            if self._left:
                self._count_active(-1)
            if self._meters is not None:
                labels = self._target.labels() | found
                self._meters.record("http.client.request.duration", self._clock() - self._started, labels)
        with contained(self._call):
            if not self._left:
                self._start()
            if self._span is not None:
                self._end(self._span, found)

    def _end(self, span: Span, found: Attributes) -> None:
        if span.is_recording():
            span.set_attributes(found)
            if "error.type" in found:
                span.set_status(Status(StatusCode.ERROR))
        span.end()


def _context_of(span: Span | None) -> object:
    return None if span is None else span.get_span_context()
