"""What is told of one attempt: its CLIENT span and its metrics, by the conventions for HTTP clients."""

import time
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from attrs import frozen
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer

from .meters import Meters
from .propagation import w3c_headers

__all__ = ["AttemptTrace", "Target", "address_of"]

Attributes = dict[str, str | int]


def address_of(url: str) -> Attributes:
    """Return the attributes that say which server a URL is of."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {"server.address": parts.hostname or "", "server.port": port}


@frozen
class Target:
    """What an attempt is made at: method, URL (without query or user) and its template, the server's address.

    `resend`: how many times the request was sent before.
    """

    method: str
    url: str
    template: str
    address: Mapping[str, str | int]
    resend: int = 0

    def labels(self) -> Attributes:
        """Return the attributes that spans and metrics share."""
        return {"http.request.method": self.method, "url.template": self.template, **self.address}


class AttemptTrace:
    """One attempt, from when it is begun to its end.

    The span begins with the attempt, but is made when the request leaves: one held back at the socket leaves no trace.
    """

    def __init__(
        self,
        target: Target,
        *,
        tracer: Tracer | None,
        meters: Meters | None,
        parent: Span | None,
        mint: Callable[[], dict[str, str]],
        clock: Callable[[], float],
    ) -> None:
        self._target = target
        self._tracer = tracer
        self._meters = meters
        self._parent = parent
        self._mint = mint
        self._clock = clock
        self._span: Span | None = None
        self._left = False
        self._began, self._began_ns = clock(), time.time_ns()

    def leave(self) -> dict[str, str]:
        """Note that the request leaves now. Returns the W3C headers that it leaves with."""
        self._left = True
        self._start()
        if self._meters is not None:
            self._meters.add("http.client.active_requests", 1, self._target.labels())
        own = None if self._span is None else self._span.get_span_context()
        if own is None or not own.is_valid or own == _context_of(self._parent):
            return self._mint()  # a provider that makes no spans here
        return w3c_headers(own, trace.format_trace_id(own.trace_id), trace.format_span_id(own.span_id))

    def _start(self) -> None:
        if self._tracer is None or self._parent is None:
            return
        target = self._target
        attributes = target.labels() | {"url.full": target.url}
        if target.resend:
            attributes["http.request.resend_count"] = target.resend
        self._span = self._tracer.start_span(
            f"{target.method} {target.template}",
            context=trace.set_span_in_context(self._parent),
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=self._began_ns,
        )

    def end(self, *, status: int | None = None, error_type: str | None = None, held_back: bool = False) -> None:
        """End the span with the response's status, or with what went wrong."""
        if held_back:
            return
        if not self._left:
            self._start()
        found: Attributes = {}
        if status is not None:
            found["http.response.status_code"] = status
        if error_type is not None:
            found["error.type"] = error_type
        if self._meters is not None:
            labels = self._target.labels()
            if self._left:
                self._meters.add("http.client.active_requests", -1, labels)
            self._meters.record("http.client.request.duration", self._clock() - self._began, labels | found)
        if self._span is not None:
            if self._span.is_recording():
                self._span.set_attributes(found)
                if error_type is not None:
                    self._span.set_status(Status(StatusCode.ERROR))
            self._span.end()


def _context_of(span: Span | None) -> object:
    return None if span is None else span.get_span_context()
