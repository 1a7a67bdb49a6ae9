"""The trace of a call: its INTERNAL span with events, its metrics and its log lines.

With the OpenTelemetry API alone (no SDK configured) there are neither spans nor metrics, and nothing is computed for
them. The ids that are sent then continue the current context, or are made here.
"""

import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanContext, Status, StatusCode, Tracer

from fielding_async.core.models import RunRef
from fielding_async.core.redaction import Redactor

from .attempt_trace import AttemptTrace, Target
from .log_lines import contained, write_line
from .otel_providers import Providers
from .outgoing_context import set_parent, w3c_headers
from .session_stats import SessionCounts

if TYPE_CHECKING:
    from .signal_names import WaitReason, WriteResult

__all__ = ["CallTrace", "Position"]

Position = SpanContext
"""The context of a call's span, which later calls can link to."""


class CallTrace:
    """The trace of one call: the trace id that all its attempts share, and what is recorded while it lasts.

    `is_observed`: whether there are spans that are recorded, or metrics. `effect`: that of a run action's outcome.
    `counts`: what the session counts.
    """

    __slots__ = (
        "_around",
        "_first",
        "_is_dropped",
        "_providers",
        "_started",
        "counts",
        "effect",
        "is_observed",
        "name",
        "span",
        "trace_id",
    )

    def __init__(
        self,
        providers: Providers,
        name: str,
        *,
        ref: RunRef | None = None,
        ids: Mapping[str, Any] | None = None,
        link: Position | None = None,
    ) -> None:
        self._providers = providers
        self.counts: SessionCounts = providers.counts
        self.name: str = name
        self.effect: str | None = None
        self.span: Span | None = None
        self.is_observed: bool = providers.is_observed
        self._is_dropped = False  # the sampler has dropped its span
        self._first: SpanContext | None = None  # of the spans that others make of the attempts; it may be invalid
        around = self._around = _span_context_around()
        self.trace_id: str = (
            _new_trace_id(providers.getrandbits) if around is None else trace.format_trace_id(around.trace_id)
        )
        """The trace id of every request of this call, 32 hex digits."""
        if self.is_observed:
            self._started = providers.clock()
            if providers.tracer is not None:
                with contained(self):
                    self._start(providers.tracer, ref, ids, link)

    def _start(self, tracer: Tracer, ref: RunRef | None, ids: Mapping[str, Any] | None, link: Position | None) -> None:
        attributes: dict[str, str | int] = {"fielding.operation": self.name}
        if ref is not None:
            attributes["fielding.account_id"] = ref.account_id
            attributes["fielding.project_id"] = ref.project_id
            attributes["fielding.target_group_id"] = ref.target_group_id
            attributes["fielding.fielding_run_id"] = ref.fielding_run_id
        for name, value in (ids or {}).items():
            attributes[f"fielding.{name}"] = value
        links: Sequence[Link] = () if link is None else (Link(link),)
        span = tracer.start_span(f"fielding.{self.name}", attributes=attributes, links=links)
        own = span.get_span_context()
        if own.is_valid and (
            self._around is None or own.span_id != self._around.span_id
        ):  # otherwise the provider makes no spans
            self.span = span
            self.trace_id = trace.format_trace_id(own.trace_id)
            if not own.trace_flags.sampled and not span.is_recording():
                # its attempts have no spans; each sends a span id of its own below this one
                self._is_dropped = True
                self._around = own
                self.is_observed = self._providers.meters is not None

    @property
    def session(self) -> str | None:
        """The name of the session, if it has one."""
        return self._providers.session

    @property
    def position(self) -> Position | None:
        """The context of the call's span, for links to it; `None` if it has no span."""
        return None if self.span is None else self.span.get_span_context()

    def new_headers(self) -> dict[str, str]:
        """Return the headers of a request without a span: in the trace around the call, or in one of its own."""
        span_id = _new_span_id(self._providers.getrandbits)
        if self._around is None:
            return {"traceparent": f"00-{self.trace_id}-{span_id}-00"}
        return w3c_headers(self._around, self.trace_id, span_id)

    def lend_context(self) -> None:
        """Put the call's trace into the current task, so that a span which others start is part of it."""
        if self._around is None and self._first is not None and self._first.is_valid:
            set_parent(self._first)

    def adopt_context(self) -> Mapping[str, str]:
        """Return the headers of the current span, if others started it for this attempt; otherwise none.

        Where there is no trace around the call, its trace is that of the first such span; those who started it decide
        whether it is sampled.
        """
        headers: dict[str, str] = {}
        with contained(self):
            before = self._around or self._first
            found = _span_context_around()
            if found is not None and (before is None or found.span_id != before.span_id):
                trace_id = trace.format_trace_id(found.trace_id)
                if before is None:
                    self.trace_id = trace_id
                    self._first = found
                if trace_id == self.trace_id:
                    headers = w3c_headers(found, trace_id, trace.format_span_id(found.span_id))
        if self._first is None:
            self._first = trace.INVALID_SPAN_CONTEXT  # the trace id has been sent, so it stays
        return headers

    def attempt(self, target: Target) -> AttemptTrace:
        """Start the trace of an attempt, with a span id of its own. Must be ended. For a call that is observed."""
        providers = self._providers
        parent = None if self._is_dropped else self.span
        return AttemptTrace(
            self, target, tracer=providers.tracer, meters=providers.meters, parent=parent, clock=providers.clock
        )

    # -- while it lasts

    def _event(self, name: str, attributes: Mapping[str, str | float]) -> None:
        # an attempt may outlive its call, whose span has ended then
        if self.span is not None and self.span.is_recording():
            with contained(self):
                self.span.add_event(name, attributes)

    def _count(self, name: str, attributes: Mapping[str, str]) -> None:
        meters = self._providers.meters
        if meters is not None:
            with contained(self):
                meters.add(f"fielding.client.{name}", 1, attributes)

    def _measure(self, name: str, seconds: float, attributes: Mapping[str, str]) -> None:
        meters = self._providers.meters
        if meters is not None:
            with contained(self):
                meters.record(f"fielding.client.{name}.duration", seconds, attributes)

    def waited(self, reason: "WaitReason | None", seconds: float) -> None:
        """Record a wait. `reason`: what for; `None`: there was no wait."""
        if self.is_observed and reason is not None and seconds > 0:
            self._event("fielding.wait", {"fielding.wait.reason": reason, "fielding.wait.duration": seconds})
            self._measure("wait", seconds, {"fielding.wait.reason": reason})

    def retrying(self, attempt: int, error_type: str, seconds: float) -> None:
        """Record that an attempt failed, and another follows after a wait."""
        attributes: dict[str, str | float] = {"fielding.attempt": attempt, "error.type": error_type}
        self._event("fielding.retry", attributes | {"fielding.wait.duration": seconds})
        self._count("retries", {"fielding.operation": self.name, "error.type": error_type})
        write_line("retry", self, attempt=attempt, error_type=error_type, seconds=seconds)

    def lost_reply(self, error_type: str) -> None:
        """Record that a write may have been applied without a usable reply."""
        self.counts.lost_replies += 1
        self._event("fielding.lost_reply", {"error.type": error_type})
        self._count("lost_replies", {"fielding.operation": self.name, "error.type": error_type})
        write_line("lost reply", self, error_type=error_type)

    def conflict(self, named: Mapping[str, str], conflicts: int) -> None:
        """Record that a write met a 412. `named`: the `run` that it is on, or the `target_group` of an assistant."""
        self.counts.conflicts += 1
        self._event("fielding.conflict", {"fielding.conflicts": conflicts})
        self._count("conflicts", {"fielding.operation": self.name})
        write_line("conflict" if "run" in named else "assistant conflict", self, conflicts=conflicts, **named)

    def pausing(self, seconds: float) -> None:
        """Record that all requests pause after a 429."""
        self._event("fielding.pause", {"fielding.pause.duration": seconds})
        self._measure("pause", seconds, {})
        write_line("pause", self, seconds=seconds)

    def looked_up(self, *, found: bool) -> None:
        """Record whether the ETag of the run was in memory."""
        self._count("etag_cache.lookups", {"fielding.etag_cache.result": "hit" if found else "miss"})

    def renewed(self) -> None:
        """Record that a token was fetched."""
        write_line("renewal", self)
        self._count("token.renewals", {})

    def not_renewed(self, error_type: str) -> None:
        """Record that a token could not be fetched."""
        write_line("no token", self, error_type=error_type)
        self._count("token.renewals", {"error.type": error_type})

    def replaying(self, status: int) -> None:
        """Record that an attempt is made again with another token."""
        write_line("replay", self, status=status)

    def polling_on(self, error_type: str) -> None:
        """Record that a poll failed and that polling goes on."""
        write_line("poll", self, error_type=error_type)

    def in_doubt(self, text: str) -> None:
        """Record what a cancelled call leaves in doubt."""
        write_line("doubt", self, text=text)
        self._event("fielding.doubt", {})

    def left_out(self, field: str) -> None:
        """Record that a field of a reply could not be read and was left out."""
        write_line("left out", self, field=field)

    def outlived(self, result: "WriteResult", text: str) -> None:
        """Record what became of a write that ended after its call was cancelled. `text`: the result in words."""
        write_line("outlived", self, result=text)
        self._count("outlived_writes", {"fielding.operation": self.name, "fielding.result": result})

    def made_job(self, job_id: str) -> None:
        """Record the id of the job that the call made."""
        if self.span is not None:
            with contained(self):
                self.span.set_attribute("fielding.job_id", job_id)

    # -- its end

    def end(
        self,
        error: BaseException | None,
        error_type: str | None,
        *,
        requests: int,
        conflicts: int,
        redactor: Redactor,
    ) -> None:
        """End the trace of a call with a span or metrics. `redactor` takes secrets out of the texts of its error."""
        if not self.is_observed:
            with contained(self):
                if self.span is not None:
                    self.span.end()
            return
        result: dict[str, str] = {}
        if self.effect is not None:
            result["fielding.effect"] = self.effect
        if error_type is not None:
            result["error.type"] = error_type
        self._measure("operation", self._providers.clock() - self._started, {"fielding.operation": self.name, **result})
        span = self.span
        if span is None:
            return
        with contained(self):
            if span.is_recording():
                span.set_attributes({"fielding.requests": requests, "fielding.conflicts": conflicts, **result})
                if error is not None:
                    attributes = _exception(error, redactor)
                    span.add_event("exception", attributes)
                    span.set_status(Status(StatusCode.ERROR, attributes["exception.message"] or error_type))
        with contained(self):
            span.end()


def _new_trace_id(getrandbits: Callable[[int], int]) -> str:
    return f"{getrandbits(128) or 1:032x}"  # never all zeros (W3C Trace Context, section 3.2.2.3)


def _new_span_id(getrandbits: Callable[[int], int]) -> str:
    return f"{getrandbits(64) or 1:016x}"


def _span_context_around() -> SpanContext | None:
    if not otel_context.get_current():
        return None  # the usual case, and a quick test: this is done for every call
    span = trace.get_current_span()
    around = span.get_span_context()
    return around if around.is_valid else None


def _exception(error: BaseException, redactor: Redactor) -> dict[str, str]:
    # `record_exception` would show the texts of causes, which are not ours, as they are
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - it may be an exception of the caller's
        text = ""
    stack = "".join(traceback.format_exception(error))
    return {
        "exception.type": name,
        "exception.message": redactor.text(text),
        "exception.stacktrace": redactor.text(stack),
    }
