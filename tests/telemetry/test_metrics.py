"""Metrics, as a reader in memory gets them: every instrument, every point, attributes included."""

import asyncio
import gc
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from opentelemetry.metrics import Meter, MeterProvider, NoOpMeterProvider
from opentelemetry.trace import NoOpTracerProvider, TracerProvider

from fielding_async import ClientCredentials, ConfigurationError, FieldingSession, NotFoundError
from fielding_async.core.wire.operations import operation
from fielding_async.core.wire.trace_headers import parse_traceparent
from fielding_async.sandbox import Cut, Sandbox, SecondWriter, Status
from fielding_async.telemetry.call_trace import CallTrace
from fielding_async.telemetry.meters import find_meters
from fielding_async.telemetry.otel_providers import Providers
from fielding_async.telemetry.signal_names import GAUGES, METRICS, SCHEMA_URL
from tests.tools.fake_exchange import FakeExchange, ref_of, session_on
from tests.tools.sessions import session
from tests.tools.spans import Watched
from tests.tools.virtual_time import run


@pytest.fixture
def watched() -> Iterator[Watched]:
    """Return an SDK's providers; hold what came to the tables, which know no ids."""
    found = Watched()
    yield found
    for name, points in found.metrics().items():
        for attributes, _ in points:
            assert set(attributes) <= set((METRICS | GAUGES)[name].attributes)


def labels(sandbox: Sandbox, name: str, **others: Any) -> dict[str, Any]:
    """Return the attributes of the requests of an operation."""
    row = operation(name)
    found = {
        "http.request.method": row.method,
        "url.template": f"/v1{row.path}",
        "server.address": "127.0.0.1",
        "server.port": urlsplit(sandbox.url).port,
    }
    return found | {key.replace("__", "."): value for key, value in others.items()}


def answered(sandbox: Sandbox, name: str, status: int) -> dict[str, Any]:
    """Return the attributes of the requests of an operation that had an answer."""
    failed = {"error__type": str(status)} if status >= 400 else {}
    return labels(sandbox, name, http__response__status_code=status, **failed)


def counted(*points: tuple[dict[str, Any], int]) -> Any:
    """Return what is equal to these points, in any order."""
    return sorted(points, key=repr)


def found(watched: Watched) -> dict[str, Any]:
    """Return all points of all metrics, each in an order of their own."""
    points = {
        name: [(dict(sorted(attributes.items())), value) for attributes, value in points]
        for name, points in watched.metrics().items()
    }
    return {name: sorted(values, key=repr) for name, values in points.items()}


def expected(**metrics: list[tuple[dict[str, Any], int]]) -> dict[str, Any]:
    """Return points as `found` has them; names with `__` for dots."""
    return {
        name.replace("__", "."): sorted(
            [(dict(sorted(attributes.items())), value) for attributes, value in points], key=repr
        )
        for name, points in metrics.items()
    }


async def test_the_metrics_of_a_good_day(sandbox: Sandbox, watched: Watched) -> None:
    """Requests by route and status, none active any more; calls by what they came to; cache hits and misses."""
    ref = sandbox.add_run("live")
    async with session(sandbox, **watched.providers) as fielding:
        await fielding.run(ref).pause()
        await fielding.run(ref).resume()
        await fielding.run(ref).resume()
    assert found(watched) == expected(
        http__client__request__duration=[
            (answered(sandbox, "get", 200), 2),
            (answered(sandbox, "pause", 204), 1),
            (answered(sandbox, "resume", 204), 1),
            (answered(sandbox, "resume", 422), 1),
        ],
        http__client__active_requests=[
            (labels(sandbox, "get"), 0),
            (labels(sandbox, "pause"), 0),
            (labels(sandbox, "resume"), 0),
        ],
        fielding__client__operation__duration=[
            ({"fielding.operation": "pause", "fielding.effect": "accepted"}, 1),
            ({"fielding.operation": "resume", "fielding.effect": "accepted"}, 1),
            ({"fielding.operation": "resume", "fielding.effect": "already"}, 1),
        ],
        fielding__client__etag_cache__lookups=[
            ({"fielding.etag_cache.result": "miss"}, 1),
            ({"fielding.etag_cache.result": "hit"}, 2),
        ],
    )


async def test_the_metrics_of_a_bad_day(sandbox: Sandbox, watched: Watched) -> None:
    """Conflicts, lost replies, retries, pauses, waits and failures are counted, with what they were about."""
    ref, missing = sandbox.add_run("live"), sandbox.add_run("live")
    sandbox.script(Cut("before"), Status(503), SecondWriter(), Status(429, retry_after="0.05"), on="pause", ref=ref)
    sandbox.script(Status(404), on="get", ref=missing)
    async with session(sandbox, meter_provider=watched.meters, tracer_provider=NoOpTracerProvider()) as fielding:
        await fielding.run(ref).pause()
        with pytest.raises(NotFoundError):
            await fielding.run(missing).get()
    points = found(watched)
    requests = points.pop("http.client.request.duration")
    assert sum(count for _, count in requests) == len(sandbox.requests)
    assert {str(attributes.get("error.type")) for attributes, _ in requests} == {
        "None",
        "404",
        "429",
        "503",
        "connection",
    }
    del points["http.client.active_requests"]
    assert points == expected(
        fielding__client__operation__duration=[
            ({"fielding.operation": "pause", "fielding.effect": "accepted"}, 1),
            ({"fielding.operation": "get", "error.type": "NotFoundError"}, 1),
        ],
        fielding__client__etag_cache__lookups=[({"fielding.etag_cache.result": "miss"}, 1)],
        fielding__client__lost_replies=[
            ({"fielding.operation": "pause", "error.type": "connection"}, 1),
            ({"fielding.operation": "pause", "error.type": "503"}, 1),
        ],
        fielding__client__retries=[
            ({"fielding.operation": "pause", "error.type": "connection"}, 1),
            ({"fielding.operation": "pause", "error.type": "503"}, 1),
        ],
        fielding__client__conflicts=[({"fielding.operation": "pause"}, 1)],
        fielding__client__pause__duration=[({}, 1)],
        fielding__client__wait__duration=[
            ({"fielding.wait.reason": "backoff"}, 2),
            ({"fielding.wait.reason": "pause"}, 1),
        ],
    )


async def test_spans_and_metrics_name_the_version_of_the_conventions(sandbox: Sandbox) -> None:
    """The scope of spans and that of metrics have the schema URL."""
    watched = Watched()
    async with session(sandbox, **watched.providers) as fielding:
        await fielding.run(sandbox.add_run("live")).get()
    data = watched.reader.get_metrics_data()
    assert data is not None
    scopes = [scope.scope for scope in data.resource_metrics[0].scope_metrics]
    scopes += [span.instrumentation_scope for span in watched.spans() if span.instrumentation_scope is not None]
    assert [(scope.name, scope.schema_url) for scope in scopes] == [("fielding_async", SCHEMA_URL)] * 3


async def test_token_renewals_are_counted(sandbox: Sandbox, watched: Watched) -> None:
    """Each token fetched is counted, and each that could not be, with why."""
    sandbox.add_client("client", "client-secret")
    auth = ClientCredentials("client", "client-secret", token_url=sandbox.token_url)
    ref = sandbox.add_run("live")
    sandbox.script(Status(503), on="token")
    async with session(sandbox, auth=auth, **watched.providers) as fielding:
        await fielding.run(ref).get()
        sandbox.expire_tokens()
        await fielding.run(ref).get()
    assert watched.metrics()["fielding.client.token.renewals"] == [({"error.type": "TransportError"}, 1), ({}, 2)]


def test_requests_under_way_are_counted(watched: Watched) -> None:
    """While requests are under way, `http.client.active_requests` says how many; afterwards it says 0."""
    exchange = FakeExchange(latency=1.0)
    seen: list[int] = []

    def active() -> int:
        return sum(value for _, value in watched.metrics()["http.client.active_requests"])

    async def main() -> None:
        async with session_on(exchange, **watched.providers) as fielding:
            tasks = [asyncio.create_task(fielding.run(ref_of(number)).get()) for number in range(3)]
            await asyncio.sleep(0.5)
            seen.append(active())
            tasks[0].cancel()
            await asyncio.wait(tasks)
            seen.append(active())

    run(main())
    assert seen == [3, 0]
    (calls,) = [points for points in watched.metrics()["fielding.client.operation.duration"] if len(points[0]) == 1]
    assert calls == ({"fielding.operation": "get"}, 2)


def test_the_instruments_are_those_of_the_table(watched: Watched) -> None:
    """Each row makes an instrument of its kind, with its unit, description and advice on buckets."""
    meters = find_meters(watched.meters)
    assert meters is not None
    assert find_meters(watched.meters) is meters
    for row in METRICS.values():
        if row.kind == "histogram":
            meters.record(row.name, 0.03, {})
        else:
            meters.add(row.name, 1, {})
    data = watched.reader.get_metrics_data()
    assert data is not None
    made = {metric.name: metric for metric in data.resource_metrics[0].scope_metrics[0].metrics}
    assert set(made) == set(METRICS)  # gauges have no points without a session
    for name, row in METRICS.items():
        assert (made[name].unit, made[name].description) == (row.unit, row.description)
        (point,) = made[name].data.data_points
        takes_advice = "explicit_bucket_boundaries_advisory" in Meter.create_histogram.__annotations__
        if row.kind == "histogram" and takes_advice:
            assert getattr(point, "explicit_bounds") == row.buckets  # noqa: B009 - not of every kind of point


def test_an_api_that_takes_no_advice_is_enough() -> None:
    """Instruments can be made where `create_histogram` has no argument for buckets, as in the oldest API supported."""

    class OldMeter:
        def create_histogram(self, name: str, unit: str = "", description: str = "") -> str:
            return name

        create_counter = create_up_down_counter = create_histogram

        def create_observable_gauge(self, name: str, callbacks: Any, unit: str = "", description: str = "") -> str:
            return name

        create_observable_up_down_counter = create_observable_gauge

    class OldProvider(NoOpMeterProvider):
        def get_meter(self, *args: Any, **kwargs: Any) -> Any:
            return OldMeter()

    assert find_meters(OldProvider()) is not None


def test_without_an_sdk_nothing_is_told() -> None:
    """With the API alone, or with providers that do nothing, calls have neither spans nor instruments."""
    dice = iter(range(1, 100))

    def getrandbits(bits: int) -> int:
        return next(dice)

    for given in ((None, None), (NoOpTracerProvider(), NoOpMeterProvider())):
        providers = Providers(getrandbits, lambda: 0.0, *given)
        call = CallTrace(providers, "pause", ref=ref_of(1))
        assert (providers.is_observed, call.is_observed, call.span, call.position) == (False, False, None, None)
        assert set(call.new_headers()) == {"traceparent"}


class _Broken(TracerProvider, MeterProvider):
    """Providers whose spans and instruments raise, at one of their methods."""

    def __init__(self, at: str) -> None:
        super().__init__()
        self.at = at

    def get_tracer(self, *args: Any, **kwargs: Any) -> Any:
        if self.at == "get":
            raise RuntimeError("broken")
        return None if self.at == "nothing" else _Raising(self.at, Watched().tracers.get_tracer("sdk"))

    def get_meter(self, *args: Any, **kwargs: Any) -> Any:
        if self.at == "get":
            raise RuntimeError("broken")
        return None if self.at == "nothing" else _Raising(self.at, Watched().meters.get_meter("sdk"))


class _Raising:
    """Something of an SDK that raises at one method, and makes things that do."""

    def __init__(self, at: str, inner: Any) -> None:
        self.at = at
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        if name == self.at:
            return self.fail
        found = getattr(self.inner, name)
        if not name.startswith(("start_span", "create_")):
            return found
        return lambda *args, **kwargs: _Raising(self.at, found(*args, **kwargs))

    def fail(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("broken")


AT = ["get", "nothing", "start_span", "set_attributes", "add_event", "set_status", "end", "add", "record"]
AT += ["create_counter", "create_up_down_counter", "create_histogram"]
AT += ["create_observable_gauge", "create_observable_up_down_counter"]


@pytest.mark.parametrize("at", AT)
async def test_an_sdk_that_raises_breaks_no_call(sandbox: Sandbox, caplog: pytest.LogCaptureFixture, at: str) -> None:
    """Whatever a provider raises, calls end as they would without it, their headers are valid, and the log says it."""
    ref, missing = sandbox.add_run("live"), sandbox.add_run("live")
    sandbox.script(Cut("before"), SecondWriter(), on="pause")
    sandbox.script(Status(404), on="get", ref=missing)
    providers = {"tracer_provider": _Broken(at), "meter_provider": _Broken(at)}
    async with session(sandbox, **providers) as fielding:
        outcome = await fielding.run(ref).pause()
        with pytest.raises(NotFoundError):
            await fielding.run(missing).get()
        job = await fielding.project(ref.account_id, ref.project_id).resume([ref.target_group_id])
        await job.status()
    assert (outcome.effect, outcome.requests) == ("accepted", 5)
    for request in sandbox.requests:
        (header,) = request.header_values("traceparent")
        assert parse_traceparent(header) is not None
    assert f"tracing or metrics raised {'TypeError' if at == 'nothing' else 'RuntimeError'}" in caplog.text


class _Stopped(BaseException):
    """What no program is meant to go on after."""


async def test_a_session_that_cannot_be_entered_leaves_nothing_open(sandbox: Sandbox) -> None:
    """What breaks off the entering of a session comes out of it, and the connections' session is closed again."""

    class Stopping(TracerProvider):
        def get_tracer(self, *args: Any, **kwargs: Any) -> Any:
            raise _Stopped

    problems: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: problems.append(context))
    with pytest.raises(_Stopped):
        await session(sandbox, tracer_provider=Stopping()).__aenter__()
    gc.collect()
    assert problems == []


async def test_metrics_that_cannot_be_made_leave_the_spans(sandbox: Sandbox) -> None:
    """With a meter provider that raises, spans are made all the same."""
    watched = Watched()
    async with session(sandbox, tracer_provider=watched.tracers, meter_provider=_Broken("get")) as fielding:
        await fielding.run(sandbox.add_run("live")).get()
    assert len(watched.spans()) == 2


@pytest.mark.parametrize("name", ["tracer_provider", "meter_provider"])
def test_what_is_no_provider_is_refused(name: str) -> None:
    """A provider that cannot be one is a `ConfigurationError` that names it."""
    with pytest.raises(ConfigurationError, match=name):
        FieldingSession("token", **{name: "console"})  # type: ignore[arg-type]
