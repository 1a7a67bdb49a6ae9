"""What closing a session does to calls that are under way."""

import asyncio
import subprocess
import sys
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from fielding_async import ConfigurationError, FieldingSession, Limits, OutcomeUnknownError, Retry, SessionClosedError
from fielding_async.core.wire.replies import Attempted
from fielding_async.http.transport import Outgoing
from fielding_async.sandbox import Hold, Sandbox
from tests.tools import virtual_time
from tests.tools.fake_exchange import FakeExchange, ref_of, session_on
from tests.tools.sessions import session


class ClosingExchange(FakeExchange):
    """An exchange that, when `armed`, has the session closed just before a reply of it is seen."""

    session: FieldingSession
    armed: bool = False
    closing: "asyncio.Task[None] | None" = None
    sent_since: int = 0

    async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
        self.sent_since += self.closing is not None
        answer = await super().send(outgoing, timeout=timeout, connect_timeout=connect_timeout)
        if self.armed and self.closing is None:
            self.closing = asyncio.create_task(self.session.aclose())
        return answer


@pytest.mark.parametrize("writes", [False, True], ids=["read", "write"])
def test_a_call_that_is_permitted_as_its_session_closes_sends_nothing(writes: bool) -> None:
    """Its permission was given just before the closing, and it goes on just after: it ends as closed, and unsent."""

    async def main() -> None:
        exchange = ClosingExchange()
        fielding = exchange.session = session_on(exchange, limits=Limits(concurrency=1, adaptive=False))
        async with fielding:
            run = fielding.run(ref_of("next"))
            await run.get()
            exchange.armed = True
            first = asyncio.create_task(fielding.run(ref_of("first")).get())
            following = asyncio.create_task(run.pause() if writes else run.get())  # waits for the one slot
            await first
            with pytest.raises(SessionClosedError):
                await following
            assert exchange.closing is not None
            await exchange.closing
        assert exchange.sent_since == 0
        assert exchange.applied == []

    virtual_time.run(main())


@pytest.mark.parametrize("drain", [-1, float("nan"), float("inf"), True, "5", None, 2e9])
async def test_a_bad_drain_is_named(drain: Any) -> None:
    """What is no number of seconds is a `ConfigurationError`, and the session stays as it was."""
    fielding = session_on(FakeExchange())
    async with fielding:
        with pytest.raises(ConfigurationError, match="drain="):
            await fielding.aclose(drain=drain)
        await fielding.run(ref_of("x")).get()


def test_calls_under_way_may_end_while_the_session_drains() -> None:
    """They end as they would have, in their turn and with all their requests; a new one is refused at once."""

    async def main() -> None:
        exchange = FakeExchange(latency=1.0)
        fielding = session_on(exchange, limits=Limits(concurrency=2, adaptive=False))
        async with fielding:
            calls = [asyncio.create_task(fielding.run(ref_of(name)).pause()) for name in "aab"]
            await asyncio.sleep(0.5)
            closing = asyncio.create_task(fielding.aclose(drain=60))
            await asyncio.sleep(0)
            with pytest.raises(SessionClosedError, match="the session is being closed"):
                await fielding.run(ref_of("c")).pause()
            assert "being closed" in repr(fielding)
            await closing
            assert [call.done() for call in calls] == [True] * 3
            assert [(await call).effect for call in calls] == ["accepted", "already", "accepted"]
            with pytest.raises(SessionClosedError, match="the session is closed"):
                await fielding.run(ref_of("c")).pause()
        assert asyncio.get_running_loop().time() < 1010

    virtual_time.run(main())


def test_what_outlasts_the_drain_is_cut() -> None:
    """A write in flight when the drain is over ends in `OutcomeUnknownError`, one that has not left as closed."""

    async def main() -> None:
        exchange = FakeExchange(latency=10.0)
        async with session_on(exchange, limits=Limits(concurrency=1, adaptive=False)) as fielding:
            run = fielding.run(ref_of("a"))
            seen = await run.get()
            calls = [
                asyncio.create_task(run.pause(seen=seen)),
                asyncio.create_task(fielding.run(ref_of("b")).pause()),
            ]
            await asyncio.sleep(1)
            await fielding.aclose(drain=2.5)
            assert asyncio.get_running_loop().time() == 1013.5
            ends = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(end) for end in ends] == [OutcomeUnknownError, SessionClosedError]

    virtual_time.run(main())


def test_a_write_whose_caller_was_cancelled_is_waited_for_in_the_drain(caplog: pytest.LogCaptureFixture) -> None:
    """Its reply is read, and the log says what became of it; after the drain that it was lost."""

    async def main(drain: float) -> None:
        exchange = FakeExchange(latency=1.0)
        async with session_on(exchange) as fielding:
            run = fielding.run(ref_of("a"))
            await run.get()
            call = asyncio.create_task(run.pause())
            await asyncio.sleep(0.5)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await fielding.aclose(drain=drain)
            assert exchange.times("a") == (drain > 0.5)

    for drain in (60.0, 0.1, 0.0):
        virtual_time.run(main(drain))
    told = [
        record.args["result"] for record in caplog.records if isinstance(record.args, dict) and "result" in record.args
    ]
    assert told == ["accepted (204)", "lost: it may be applied", "lost: it may be applied"]


@pytest.mark.parametrize(
    ("fates", "refuse", "told"),
    [
        ([], None, "accepted (204)"),
        ([], 422, "refused (422)"),
        ([], 500, "lost (500): it may be applied"),
        (["after"], None, "lost: it may be applied"),
        (["after", None], None, "refused (412), but an earlier attempt was lost: it may be applied"),
        (["before", None], None, "accepted (204)"),
    ],
)
def test_the_log_says_how_a_write_ended_that_outlived_its_caller(
    caplog: pytest.LogCaptureFixture, fates: list[str | None], refuse: int | None, told: str
) -> None:
    """From the reply to its last attempt alone; a refusal does not speak for an attempt before it that was lost."""

    async def main() -> None:
        exchange = FakeExchange(latency=1.0)
        left = list(fates)
        exchange.lose = lambda _run, _action: left.pop(0) if left else None
        if refuse is not None:
            exchange.refuse["runa"] = refuse
        async with session_on(exchange, retry=Retry(base=0.0)) as fielding:
            run = fielding.run(ref_of("a"))
            await run.get()
            call = asyncio.create_task(run.pause())
            await asyncio.sleep(0.5 + max(0, len(fates) - 1))
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await fielding.aclose(drain=60)

    virtual_time.run(main())
    ends = [record for record in caplog.records if isinstance(record.args, dict) and "result" in record.args]
    assert [end.args["result"] for end in ends if isinstance(end.args, dict)] == [told]
    assert {end.levelname for end in ends} == {"WARNING"}


async def test_metrics_count_writes_that_outlive_their_callers(sandbox: Sandbox) -> None:
    """With what became of them: for a run and for a job."""
    reader = InMemoryMetricReader()
    ref = sandbox.add_run("live")
    holds = [Hold(), Hold()]
    sandbox.script(holds[0], on="pause")
    sandbox.script(holds[1], on="bulk-relaunch")
    async with session(sandbox, meter_provider=MeterProvider([reader])) as fielding:
        project = fielding.project(ref.account_id, ref.project_id)
        calls = [fielding.run(ref).pause(), project.relaunch([ref.target_group_id])]
        for hold, call in zip(holds, calls, strict=True):
            task = asyncio.ensure_future(call)
            await hold.arrived()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        closing = asyncio.create_task(fielding.aclose(drain=600))
        await asyncio.sleep(0)
        for hold in holds:
            hold.release()
        await closing
        data = reader.get_metrics_data()
    assert data is not None
    points = [
        dict(point.attributes or {})
        for metric in data.resource_metrics[0].scope_metrics[0].metrics
        if metric.name == "fielding.client.outlived_writes"
        for point in metric.data.data_points
    ]
    assert sorted((str(point["fielding.operation"]), str(point["fielding.result"])) for point in points) == [
        ("bulk-relaunch", "accepted"),
        ("pause", "accepted"),
    ]


def test_all_who_close_return_when_it_is_over() -> None:
    """Several closings at once, one of them cancelled and one with a longer drain, end together: when all is closed."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        is_closed = asyncio.Event()

        class Slow(FakeExchange):
            async def aclose(self) -> None:
                await asyncio.sleep(3)
                is_closed.set()

        fielding = session_on(Slow(latency=100.0))
        await fielding.__aenter__()
        call = asyncio.create_task(fielding.run(ref_of("a")).get())
        await asyncio.sleep(1)
        patient = asyncio.create_task(fielding.aclose(drain=50))
        hasty = asyncio.create_task(fielding.aclose(drain=5))
        await asyncio.sleep(1)
        hasty.cancel()  # which cuts the calls off
        with pytest.raises(asyncio.CancelledError):
            await hasty
        with pytest.raises(SessionClosedError):
            await call
        assert not is_closed.is_set()
        await fielding.aclose()
        assert is_closed.is_set()
        await patient
        assert loop.time() == 1005

    virtual_time.run(main())


UNCLOSED = """
import asyncio, gc, sys, warnings
from fielding_async import FieldingSession
from fielding_async.sandbox import Sandbox

warnings.simplefilter("always")

async def main():
    async with Sandbox() as sandbox:
        fielding = FieldingSession("token", base_url=sandbox.url)
        if sys.argv[1] != "not entered":
            await fielding.__aenter__()
            await fielding.run(sandbox.add_run()).get()
        if sys.argv[1] == "closed":
            await fielding.aclose()
        del fielding
        gc.collect()
        for _ in range(10):
            await asyncio.sleep(0)

asyncio.run(main())
gc.collect()
"""


@pytest.mark.parametrize(("how", "warned"), [("entered", 1), ("closed", 0), ("not entered", 0)])
def test_a_session_that_is_never_closed_is_a_warning(how: str, warned: int) -> None:
    """It names `FieldingSession`, and is the only one: the connections are closed."""
    told = subprocess.run([sys.executable, "-c", UNCLOSED, how], check=True, capture_output=True, text=True).stderr
    warnings = [line for line in told.splitlines() if ": ResourceWarning: " in line or "Unclosed" in line]
    assert len(warnings) == warned, told
    assert all(": ResourceWarning: unclosed <FieldingSession" in line for line in warnings)
