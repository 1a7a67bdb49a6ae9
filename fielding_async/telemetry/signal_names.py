"""The names of all signals, one row each: the attributes and events of spans, the metrics.

Names follow the OpenTelemetry semantic conventions for HTTP where these have one; others start with `fielding.`.
Metrics have no ids: all their attributes have a bounded set of values. Beside those of its row, a point has the name of
its session, if that has one.
Source: https://opentelemetry.io/docs/specs/semconv/http/.
"""

from typing import Literal

from attrs import frozen

__all__ = [
    "CALL_ATTRIBUTES",
    "CLASS",
    "EVENTS",
    "GAUGES",
    "METRICS",
    "REQUEST_ATTRIBUTES",
    "SCHEMA_URL",
    "SESSION_NAME",
    "Event",
    "Metric",
    "WaitReason",
    "WriteResult",
]

SCHEMA_URL = "https://opentelemetry.io/schemas/1.27.0"
"""The version of the semantic conventions that the names follow, as the schema URL of the tracer and the meter.

It is the lowest version that has all of them and belongs to the lowest version of the API that is supported.
"""

SESSION_NAME = "fielding.session.name"
"""The attribute that every metric has where the session has a name: `FieldingSession(name=…)`."""

CLASS = "fielding.class"
"""The attribute with the class of requests that wait: `batch` for those that let calls go first, otherwise `call`."""

WaitReason = Literal["turn", "concurrency", "rate", "pause", "token", "backoff", "conflict"]
"""What a call waited for: its turn on the run; a slot; the pace; a pause after a 429; a token; to try again."""

WriteResult = Literal["accepted", "refused", "lost", "not_sent"]
"""What became of a write that outlived its caller, by the reply to its last attempt."""

_IDS = ("fielding.account_id", "fielding.project_id", "fielding.target_group_id", "fielding.fielding_run_id")

CALL_ATTRIBUTES: tuple[str, ...] = (
    "fielding.operation",
    *_IDS,
    "fielding.job_id",
    "fielding.requests",
    "fielding.conflicts",
    "fielding.effect",
    "error.type",
)
"""Attributes of the INTERNAL span of a call."""

REQUEST_ATTRIBUTES: tuple[str, ...] = (
    "http.request.method",
    "url.full",
    "url.template",
    "server.address",
    "server.port",
    "http.request.resend_count",
    "http.response.status_code",
    "error.type",
)
"""Attributes of the CLIENT span of an attempt."""


@frozen
class Event:
    """An event of a call's span: its name and its attributes."""

    name: str
    attributes: tuple[str, ...]


EVENTS: dict[str, Event] = {
    row.name: row
    for row in (
        Event("fielding.wait", ("fielding.wait.reason", "fielding.wait.duration")),
        Event("fielding.retry", ("fielding.attempt", "error.type", "fielding.wait.duration")),
        Event("fielding.lost_reply", ("error.type",)),
        Event("fielding.conflict", ("fielding.conflicts",)),
        Event("fielding.pause", ("fielding.pause.duration",)),
        Event("fielding.doubt", ()),
        Event("exception", ("exception.type", "exception.message", "exception.stacktrace")),
    )
}


@frozen
class Metric:
    """An instrument: its kind, name, unit, attributes, and what it counts or measures.

    `buckets`: those of a histogram. `of_several`: which value several sessions have that share a point.
    """

    kind: Literal["counter", "up-down counter", "histogram", "gauge", "observable up-down counter"]
    name: str
    unit: str
    attributes: tuple[str, ...]
    description: str
    buckets: tuple[float, ...] = ()
    of_several: Literal["sum", "lowest", "highest"] | None = None


def _length(name: str, unit: str, description: str, *attributes: str) -> Metric:
    kind: Literal["observable up-down counter"] = "observable up-down counter"
    return Metric(kind, f"fielding.client.{name}", unit, attributes, description, of_several="sum")


_SERVER = ("http.request.method", "url.template", "server.address", "server.port")
# as the conventions advise for HTTP
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_LONG_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 3600)

METRICS: dict[str, Metric] = {
    row.name: row
    for row in (
        Metric(
            "histogram",
            "http.client.request.duration",
            "s",
            (*_SERVER, "http.response.status_code", "error.type"),
            "Duration of HTTP client requests.",
            _BUCKETS,
        ),
        Metric(
            "up-down counter", "http.client.active_requests", "{request}", _SERVER, "Number of active HTTP requests."
        ),
        Metric(
            "histogram",
            "fielding.client.operation.duration",
            "s",
            ("fielding.operation", "fielding.effect", "error.type"),
            "Duration of calls, with what they came to.",
            _LONG_BUCKETS,
        ),
        Metric(
            "histogram",
            "fielding.client.wait.duration",
            "s",
            ("fielding.wait.reason",),
            "How long calls waited, and what for.",
            _LONG_BUCKETS,
        ),
        Metric(
            "histogram",
            "fielding.client.pause.duration",
            "s",
            (),
            "Length of the pauses of all requests after a 429.",
            _LONG_BUCKETS,
        ),
        Metric(
            "counter",
            "fielding.client.retries",
            "{retry}",
            ("fielding.operation", "error.type"),
            "Attempts made again after a backoff.",
        ),
        Metric(
            "counter",
            "fielding.client.lost_replies",
            "{reply}",
            ("fielding.operation", "error.type"),
            "Writes that may have been applied without a usable reply.",
        ),
        Metric(
            "counter",
            "fielding.client.outlived_writes",
            "{write}",
            ("fielding.operation", "fielding.result"),
            "Writes that ended after their callers were cancelled, with what became of them.",
        ),
        Metric("counter", "fielding.client.conflicts", "{conflict}", ("fielding.operation",), "Conflicts (412)."),
        Metric(
            "counter",
            "fielding.client.etag_cache.lookups",
            "{lookup}",
            ("fielding.etag_cache.result",),
            "Actions that found the ETag of their run in memory (hit), and those that did not (miss).",
        ),
        Metric(
            "counter",
            "fielding.client.token.renewals",
            "{renewal}",
            ("error.type",),
            "Tokens fetched; with error.type, those that could not be.",
        ),
    )
}

GAUGES: dict[str, Metric] = {
    row.name: row
    for row in (
        Metric(
            "gauge",
            "fielding.client.pace",
            "{request}/s",
            (),
            "Requests a second that are allowed; no point while no limit is known.",
            of_several="lowest",
        ),
        Metric(
            "gauge",
            "fielding.client.pause.remaining",
            "s",
            (),
            "Time until the pause after a 429 is over.",
            of_several="highest",
        ),
        Metric(
            "gauge",
            "fielding.client.queue.oldest_wait",
            "s",
            (),
            "The longest time that a request which waits now has waited for its permission.",
            of_several="highest",
        ),
        _length("queue.length", "{request}", "Requests that wait for a permission to send.", CLASS),
        _length("turn_queue.length", "{call}", "Calls that wait for earlier ones on the same run."),
        _length("slot.usage", "{slot}", "Requests in flight."),
        _length("slot.limit", "{slot}", "The most requests in flight."),
        Metric(
            "gauge",
            "fielding.client.members",
            "{session}",
            (),
            "Sessions that share one pace; 0 while their store cannot be reached.",
            of_several="lowest",
        ),
        _length("etag_cache.size", "{run}", "Runs that are remembered."),
    )
}
"""The state of open sessions, read when metrics are exported. Sessions that have the same attributes share a point."""
