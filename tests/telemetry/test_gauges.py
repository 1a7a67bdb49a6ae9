"""Gauges, as readers get them: while something goes on, from all open sessions, and from none that is over."""

import asyncio
import gc
import logging
import multiprocessing
import threading
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)

from fielding_async import FieldingSession, Limits, Pause, Timeout
from fielding_async.sandbox import Hold, Sandbox
from fielding_async.telemetry.signal_names import GAUGES
from tests.tools.fake_exchange import FakeExchange, ref_of, session_on
from tests.tools.sessions import session
from tests.tools.spans import Watched
from tests.tools.virtual_time import run
from tests.tools.waits import HANG

from .test_session_stats import Throttling

Points = dict[str, list[tuple[dict[str, Any], Any]]]


def gauges(watched: Watched) -> Points:
    """Return the points of all gauges that have any."""
    return {name: points for name, points in watched.metrics().items() if name in GAUGES and points}


def values(points: Points, name: str) -> list[Any]:
    """Return the values of a gauge, by the last part of its name."""
    return [value for _, value in points[f"fielding.client.{name}"]]


def test_they_show_what_goes_on_while_it_does() -> None:
    """Slots, the queue by class, its oldest request, turns, pause, pace and cached runs, with the session's name."""
    watched = Watched()
    seen: list[Points] = []

    async def main() -> None:
        async with session_on(
            FakeExchange(latency=10.0),
            limits=Limits(concurrency=2, rate=100.0),
            timeout=Timeout(total=None, attempt=60),
            name="billing",
            meter_provider=watched.meters,
        ) as fielding:
            tasks: list[asyncio.Task[Any]] = [
                asyncio.create_task(fielding.run(ref_of(number)).get()) for number in range(2)
            ]
            await asyncio.sleep(1)
            tasks += [asyncio.create_task(fielding.run(ref_of(0)).pause()) for _ in range(3)]
            async with fielding.perform_all([(ref_of("a"), Pause()), (ref_of("b"), Pause())]) as batch:
                reader = asyncio.create_task(anext(aiter(batch)))
                await asyncio.sleep(4)
                seen.append(gauges(watched))
                await reader
                async for _ in batch:
                    pass
            await asyncio.gather(*tasks)
            seen.append(gauges(watched))

    run(main())
    own = {"fielding.session.name": "billing"}
    assert seen[0] == {
        "fielding.client.pace": [(own, pytest.approx(100, rel=0.02))],
        "fielding.client.pause.remaining": [(own, 0.0)],
        "fielding.client.queue.oldest_wait": [(own, pytest.approx(4))],
        "fielding.client.queue.length": [(own | {"fielding.class": "call"}, 1), (own | {"fielding.class": "batch"}, 2)],
        "fielding.client.turn_queue.length": [(own, 2)],
        "fielding.client.slot.usage": [(own, 2)],
        "fielding.client.slot.limit": [(own, 2)],
        "fielding.client.etag_cache.size": [(own, 0)],
    }
    for name in ("queue.length", "turn_queue.length", "slot.usage"):
        assert sum(values(seen[1], name)) == 0
    assert values(seen[1], "etag_cache.size") == [4]


def test_a_pause_counts_down_and_an_unknown_pace_has_no_point() -> None:
    """While all requests pause the gauge says for how long; where no limit is known, there is no pace to show."""
    watched = Watched()

    async def main() -> None:
        async with session_on(Throttling(1, "3"), meter_provider=watched.meters) as fielding:
            task = asyncio.create_task(fielding.run(ref_of(1)).get())
            await asyncio.sleep(1)
            points = gauges(watched)
            assert values(points, "pause.remaining") == [pytest.approx(2, abs=0.1)]
            assert "fielding.client.pace" not in points
            await task
            assert values(gauges(watched), "pause.remaining") == [0]

    run(main())


def test_sessions_with_the_same_attributes_share_their_points() -> None:
    """Lengths are added up, of paces the lowest counts, and of waits the longest; other names are other points."""
    watched = Watched()

    async def main() -> None:
        def open_one(rate: float | None, concurrency: int, name: str | None) -> FieldingSession:
            limits = Limits(rate=rate, concurrency=concurrency, adaptive=False)
            return session_on(FakeExchange(), limits=limits, name=name, meter_provider=watched.meters)

        given = [(50.0, 3, None), (10.0, 4, None), (None, 5, None), (20.0, 6, "b"), (30.0, 7, "b"), (None, 8, "c")]
        sessions = [open_one(*one) for one in given]
        for one in sessions:
            await one.__aenter__()
        await sessions[0].run(ref_of(1)).get()
        await sessions[1].run(ref_of(1)).get()
        points = gauges(watched)
        named: dict[str, dict[str, Any]] = {name: {"fielding.session.name": name} for name in ("b", "c")}
        assert points["fielding.client.slot.limit"] == [({}, 12), (named["b"], 13), (named["c"], 8)]
        assert points["fielding.client.etag_cache.size"] == [({}, 2), (named["b"], 0), (named["c"], 0)]
        assert points["fielding.client.pace"] == [
            ({}, pytest.approx(10, rel=0.02)),
            (named["b"], pytest.approx(20, rel=0.02)),
        ]
        for one in sessions:
            await one.aclose()

    run(main())


def test_a_session_leaves_when_it_is_closed() -> None:
    """From `aclose` on a session has no points, and the others keep theirs; at the end there are none."""
    watched = Watched()

    async def main() -> None:
        async with session_on(FakeExchange(), name="stays", meter_provider=watched.meters):
            async with session_on(FakeExchange(), name="goes", meter_provider=watched.meters):
                assert len(values(gauges(watched), "slot.limit")) == 2
            points = gauges(watched)["fielding.client.slot.limit"]
            assert [attributes for attributes, _ in points] == [{"fielding.session.name": "stays"}]
        assert gauges(watched) == {}

    run(main())


def test_a_session_that_was_never_closed_leaves_when_it_is_collected() -> None:
    """Gauges hold no session: one that the program has dropped is gone."""
    watched = Watched()

    async def main() -> None:
        held: list[FieldingSession] = [session_on(FakeExchange(), meter_provider=watched.meters)]
        await held[0].__aenter__()
        assert len(values(gauges(watched), "slot.limit")) == 1
        with pytest.warns(ResourceWarning, match="FieldingSession"):
            held.clear()
        gc.collect()
        assert gauges(watched) == {}

    run(main())


def test_each_provider_gets_each_instrument_once(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the number of sessions, a provider is asked once for each instrument, and has its own sessions alone."""
    made: list[list[str]] = []

    class Counting(MeterProvider):
        def get_meter(self, *args: Any, **kwargs: Any) -> Any:
            meter = super().get_meter(*args, **kwargs)
            if meter not in known:
                known.append(meter)
                names: list[str] = []
                made.append(names)
                for kind in ("gauge", "up_down_counter"):
                    setattr(meter, f"create_observable_{kind}", _noting(names, meter, f"create_observable_{kind}"))
            return meter

    known: list[Any] = []
    readers = [InMemoryMetricReader(), InMemoryMetricReader()]
    providers = [Counting([reader]) for reader in readers]

    async def main() -> None:
        async with (
            session_on(FakeExchange(), name="a", meter_provider=providers[0]),
            session_on(FakeExchange(), name="b", meter_provider=providers[0]),
            session_on(FakeExchange(), name="c", meter_provider=providers[1]),
        ):
            found = [_names(reader) for reader in readers]
        assert found == [["a", "b"], ["c"]]

    with caplog.at_level(logging.WARNING):
        run(main())
    assert [sorted(names) for names in made] == [sorted(GAUGES)] * 2
    assert caplog.records == []


def _noting(names: list[str], meter: Any, method: str) -> Any:
    create = getattr(meter, method)

    def created(name: str, *args: Any, **kwargs: Any) -> Any:
        names.append(name)
        return create(name, *args, **kwargs)

    return created


def _names(reader: InMemoryMetricReader) -> list[str]:
    """Return the names of the sessions that have a limit of slots."""
    data: Any = reader.get_metrics_data()
    (metric,) = (
        metric
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
        if metric.name == "fielding.client.slot.limit"
    )
    return [point.attributes["fielding.session.name"] for point in metric.data.data_points]


class _Exporter(MetricExporter):
    """Notes in which thread what was exported, until a slot was seen taken."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()
        self.busy = threading.Event()

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        self.threads.add(threading.get_ident())
        for resource in metrics_data.resource_metrics:
            for metric in resource.scope_metrics[0].metrics:
                points: list[Any] = list(metric.data.data_points)
                if metric.name == "fielding.client.slot.usage" and points[0].value:
                    self.busy.set()
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        pass


async def test_an_exporter_reads_in_its_own_thread(sandbox: Sandbox) -> None:
    """A periodic exporter sees the slot of a request that the server holds, while the loop goes on."""
    exporter, hold = _Exporter(), Hold()
    provider = MeterProvider([PeriodicExportingMetricReader(exporter, export_interval_millis=5)])
    ref = sandbox.add_run("live")
    sandbox.script(hold, on="get", ref=ref)
    try:
        async with session(sandbox, meter_provider=provider) as fielding:
            task = asyncio.create_task(fielding.run(ref).get())
            await hold.arrived()
            assert await asyncio.to_thread(exporter.busy.wait, HANG)
            hold.release()
            await task
    finally:
        await asyncio.to_thread(provider.shutdown)
    assert threading.get_ident() not in exporter.threads


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
def test_a_forked_child_shows_no_session_of_its_parent() -> None:
    """What an SDK exports from a forked child holds no session that the child cannot use."""
    watched = Watched()

    async def main() -> None:
        async with session_on(FakeExchange(), meter_provider=watched.meters):
            fork = multiprocessing.get_context("fork")
            ours, theirs = fork.Pipe()
            child = fork.Process(target=lambda: theirs.send(gauges(watched)))
            child.start()
            try:
                assert ours.poll(HANG)
                assert ours.recv() == {}
            finally:
                child.join(HANG)
                ours.close()
                theirs.close()
            assert len(values(gauges(watched), "slot.limit")) == 1

    asyncio.run(main())


@pytest.mark.parametrize("name", [None, "billing"])
async def test_the_name_is_on_all_other_metrics_as_well(sandbox: Sandbox, name: str | None) -> None:
    """Counters and histograms have the session's name on each point, and nothing in its place where there is none."""
    watched = Watched()
    async with session(sandbox, name=name, meter_provider=watched.meters) as fielding:
        await fielding.run(sandbox.add_run("live")).pause()
    everything = [point for points in watched.metrics().values() for point in points]
    assert {attributes.get("fielding.session.name") for attributes, _ in everything} == {name}
