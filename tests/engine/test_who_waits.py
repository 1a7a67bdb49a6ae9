"""The order of requests that wait: their classes, how long a call may wait, and what an error says."""

import asyncio
import random
import statistics
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from fielding_async import (
    DeadlineExceededError,
    FieldingError,
    FieldingSession,
    Limits,
    Pause,
    RateLimitError,
    Retry,
    RunRef,
    SessionClosedError,
    Timeout,
)
from fielding_async.core.pace.out_of_time import OutOfTimeError
from fielding_async.core.pace.waiting_line import Priority
from fielding_async.core.wire.replies import Attempted, Response
from fielding_async.engine.limiter import Limiter
from fielding_async.http.transport import Outgoing
from tests.tools.fake_exchange import FakeExchange, ref_of, session_on
from tests.tools.virtual_time import run

PACE = 20  # requests a second
STEP = 1.01 / PACE  # seconds of one permission


class Recording(FakeExchange):
    """An exchange that keeps what was sent: time, run, method. `refusals`: Retry-Afters of the next answers."""

    def __init__(self, latency: float = 0.01) -> None:
        super().__init__(latency)
        self.sent: list[tuple[float, str, str]] = []
        self.refusals: list[str] = []

    def answer(self, outgoing: Outgoing, name: str, action: str) -> Attempted:
        self.sent.append((asyncio.get_running_loop().time(), name, outgoing.method))
        if self.refusals:
            return Response(429, {"Retry-After": self.refusals.pop(0)})
        return super().answer(outgoing, name, action)

    def order(self) -> list[str]:
        """Return the runs in the order in which their requests were answered, each once."""
        return list(dict.fromkeys(name for _, name, _ in self.sent))


def rows(count: int) -> Iterator[tuple[RunRef, Pause]]:
    """Return the rows of a batch."""
    return ((ref_of(f"row{number}"), Pause()) for number in range(count))


async def perform(fielding: FieldingSession, count: int) -> None:
    """Perform a batch, and see every row succeed."""
    async with fielding.perform_all(rows(count)) as batch:
        async for done in batch:
            done.result()


async def times_of_calls(fielding: FieldingSession, count: int, every: float) -> list[float]:
    """Pause runs never seen before, one every so many seconds, and return how long each took."""
    loop = asyncio.get_running_loop()
    times: list[float] = []
    dice = random.Random(7)
    for number in range(count):
        await asyncio.sleep(dice.uniform(0.5 * every, 1.5 * every))
        began = loop.time()
        await fielding.run(ref_of(f"call{number}")).pause()
        times.append(loop.time() - began)
    return times


@pytest.mark.parametrize("latency", [0.01, 0.1, 1.4])
def test_a_call_behind_a_batch_waits_for_a_few_permissions(latency: float) -> None:
    """An interactive call behind 10,000 rows at a configured rate: median of 3 permissions' time, at most 6, beside the
    latency of its own two requests; and the batch goes on at nine tenths of the pace and more.
    """

    async def main() -> None:
        exchange = Recording(latency)
        limits = Limits(rate=PACE)
        async with session_on(exchange, limits=limits, timeout=Timeout()) as fielding:
            batch = asyncio.create_task(perform(fielding, 10_000))
            times = await times_of_calls(fielding, 40, every=2.0)
            waits = [(time - 2 * latency) / STEP for time in times]
            assert statistics.median(waits) <= 3
            assert max(waits) <= 6
            now = asyncio.get_running_loop().time()
            of_rows = [name for at, name, _ in exchange.sent if at > 1005 and name.startswith("runrow")]
            assert len(of_rows) >= 0.9 * PACE * (now - 1005)
            batch.cancel()
            await asyncio.wait([batch])

    run(main())


def test_a_call_does_not_wait_for_a_slot_behind_slow_rows() -> None:
    """Where replies take long and all slots are in use by rows, one is kept for calls."""

    async def main() -> None:
        exchange = Recording(latency=5.0)
        exchange.latencies.update({f"runcall{number}": 0.01 for number in range(10)})
        async with session_on(exchange, limits=Limits(adaptive=False), timeout=Timeout()) as fielding:
            batch = asyncio.create_task(perform(fielding, 400))
            times = await times_of_calls(fielding, 10, every=2.0)
            assert max(times) <= 0.03
            await batch
            loop = asyncio.get_running_loop()
            assert loop.time() - 1000 <= 400 * 2 * 5 / 31 + 20

    run(main())


def test_many_calls_do_not_starve_a_batch() -> None:
    """While 600 calls wait, a batch gets a tenth of the permissions, and the calls the rest."""

    async def main() -> None:
        exchange = Recording()
        async with session_on(exchange, limits=Limits(rate=PACE), timeout=Timeout()) as fielding:
            batch = asyncio.create_task(perform(fielding, 200))
            await asyncio.sleep(2)
            calls = asyncio.gather(*(fielding.run(ref_of(f"call{number}")).get() for number in range(600)))
            began = asyncio.get_running_loop().time()
            await calls
            ended = asyncio.get_running_loop().time()
            sent = [name for at, name, _ in exchange.sent if began + 0.1 < at < ended]
            share = sum(name.startswith("runrow") for name in sent) / len(sent)
            assert 0.095 <= share <= 0.11
            assert ended - began <= 600 * STEP / 0.9 + 1
            await batch

    run(main())


def test_a_batch_does_not_starve_calls_with_slots_alone() -> None:
    """With slots and no pace, a stream of calls leaves the batch a tenth, and the batch leaves the calls the rest."""

    async def main() -> None:
        exchange = Recording(latency=0.1)
        async with session_on(exchange, limits=Limits(concurrency=10, adaptive=False), timeout=Timeout()) as fielding:
            batch = asyncio.create_task(perform(fielding, 1000))
            await asyncio.sleep(1)
            began = asyncio.get_running_loop().time()
            await asyncio.gather(*(fielding.run(ref_of(f"call{number}")).get() for number in range(600)))
            ended = asyncio.get_running_loop().time()
            sent = [name for at, name, _ in exchange.sent if began + 0.2 < at < ended]
            share = sum(name.startswith("runrow") for name in sent) / len(sent)
            assert 0.08 <= share <= 0.12
            batch.cancel()
            await asyncio.wait([batch])

    run(main())


def test_polls_of_jobs_let_calls_go_first() -> None:
    """A job's `wait` polls in the background; a call that comes later goes first."""

    class Jobs(Recording):
        def answer(self, outgoing: Outgoing, name: str, action: str) -> Attempted:
            if "batch-jobs" in outgoing.url:
                self.sent.append((asyncio.get_running_loop().time(), "poll", "GET"))
                return Response(200, {}, _JOB)
            return super().answer(outgoing, name, action)

    async def main() -> None:
        exchange = Jobs()
        async with session_on(exchange, limits=Limits(rate=1)) as fielding:
            await fielding.run(ref_of("first")).get()
            job = fielding.batch_job(101, "0" * 26, "job1", kind="pause")
            tasks: list[asyncio.Task[Any]] = [asyncio.create_task(job.wait())]
            await asyncio.sleep(0)
            tasks.append(asyncio.create_task(fielding.run(ref_of("call")).get()))
            await asyncio.gather(*tasks)
        assert exchange.order() == ["runfirst", "runcall", "poll"]

    run(main())


_JOB = b"""{"job_id":"job1","status":"Completed","created_at":"2026-01-01T00:00:00.000Z","created_by":"somebody",
"updated_target_groups":{"data":[],"has_more":false},"failed_target_groups":{"data":[],"has_more":false}}"""


def limiter(**limits: Any) -> Limiter:
    """Return a limiter on the running loop, with dice that always fall high."""
    return Limiter(Limits(**limits), lambda _low, high: high, asyncio.get_running_loop())


async def order_of(box: Limiter, *asking: tuple[str, Priority]) -> list[str]:
    """Take the only slot, let these ask one after the other, give the slot back, and return who was served when."""
    order: list[str] = []
    first = box.try_acquire()
    assert first is not None

    async def one(name: str, priority: Priority) -> None:
        permit = await box.acquire(priority, deadline=None)
        order.append(name)
        box.release(permit)

    async with asyncio.TaskGroup() as group:
        for name, priority in asking:
            group.create_task(one(name, priority))
        await asyncio.sleep(1)
        box.release(first)
    return order


def test_the_classes_are_served_in_their_order() -> None:
    """A lost write is settled first, then calls, then the background; in the last two those under way go first."""

    async def main() -> list[str]:
        asking = [(f"{priority.name} {number}", priority) for number in range(2) for priority in reversed(Priority)]
        return await order_of(limiter(concurrency=1), *asking)

    assert run(main()) == [f"{priority.name} {number}" for priority in Priority for number in range(2)]


def test_the_background_gets_one_of_ten() -> None:
    """While calls wait, each tenth permission is for the background; once they are through, it gets all."""

    async def main() -> list[str]:
        rows = [("row", Priority.BACKGROUND)] * 5
        return await order_of(limiter(concurrency=1), *rows, *[("call", Priority.FIRST)] * 20)

    order = run(main())
    assert [number for number, name in enumerate(order) if name == "row"] == [9, 19, 22, 23, 24]


@pytest.mark.parametrize("priority", Priority)
def test_a_cancelled_waiter_of_any_class_costs_nobody_anything(priority: Priority) -> None:
    """A waiter cancelled while it waits, or in the moment it is served, leaves neither a place nor a slot taken."""

    async def main() -> None:
        box = limiter(concurrency=1)
        holder = box.try_acquire()
        assert holder is not None
        waiting = [asyncio.create_task(box.acquire(priority, deadline=1050.0)) for _ in range(3)]
        await asyncio.sleep(0)
        assert box.waiting_by_class[priority] == 3
        waiting[0].cancel()
        await asyncio.sleep(5)
        assert box.waiting_by_class[priority] == 2
        assert box.oldest_wait == 5
        box.release(holder)  # serves the second, which is cancelled before it can see it
        waiting[1].cancel()
        box.release(await waiting[2])
        assert asyncio.get_running_loop().time() == 1005
        assert (box.in_flight, box.waiting, box.oldest_wait) == (0, 0, 0.0)

    run(main())


def test_closing_ends_the_waits_of_every_class() -> None:
    """When the session closes, whoever waits is told so: settling, calls, rows, polls, and those without a turn."""

    async def main() -> None:
        exchange = Recording(latency=50.0)
        fielding = session_on(exchange, limits=Limits(concurrency=1), timeout=Timeout())
        async with fielding:
            box = fielding.engine().limiter
            asyncio.get_running_loop().call_later(5, lambda: fielding.engine().sender.close_now())
            calls: list[Awaitable[Any]] = [
                fielding.run(ref_of("first")).pause(),
                fielding.run(ref_of("first")).resume(),
            ]
            calls += [fielding.run(ref_of(number)).get() for number in range(3)]
            calls += [fielding.batch_job(101, "0" * 26, "job1", kind="pause").wait(), perform(fielding, 5)]
            calls += [box.acquire(priority, deadline=None) for priority in Priority]
            watched = asyncio.ensure_future(asyncio.gather(*calls, return_exceptions=True))
            await asyncio.sleep(1)
            assert all(box.waiting_by_class.values())
            assert fielding.engine().turns.waiting == 1
            fielding.engine().turns.close()
            ends = await watched
            assert {type(end) for end in ends} == {SessionClosedError}
            assert asyncio.get_running_loop().time() == 1005
            assert box.waiting == 0

    run(main())


def test_a_row_whose_permission_lapsed_keeps_its_class_and_its_place() -> None:
    """Rows that a pause held back at the socket go after calls that came in the pause, and before other rows."""

    class SlowToConnect(Recording):
        async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
            await asyncio.sleep(0.25)
            return await super().send(outgoing, timeout=timeout, connect_timeout=connect_timeout)

    async def main() -> None:
        exchange = SlowToConnect()
        exchange.refusals.append("5")
        async with session_on(exchange, limits=Limits(rate=10, concurrency=32), timeout=Timeout()) as fielding:
            first = asyncio.create_task(fielding.run(ref_of("first")).get())
            await asyncio.sleep(0)
            batch = slow_batch(fielding, [f"row{number}" for number in range(6)])
            await asyncio.sleep(1)  # the first was refused while two rows had a permission, and no connection yet
            box = fielding.engine().limiter
            assert box.waiting_by_class[Priority.BACKGROUND_UNDER_WAY] == 2
            assert box.waiting_by_class[Priority.BACKGROUND] == 4
            assert box.waiting_by_class[Priority.UNDER_WAY] == 1
            call = asyncio.create_task(fielding.run(ref_of("call")).get())
            await asyncio.gather(first, call, batch)
        assert exchange.order() == ["runfirst", "runcall", *(f"runrow{number}" for number in range(6))]

    run(main())


# -- a run's turn


def slow_batch(fielding: FieldingSession, names: list[str]) -> "asyncio.Task[None]":
    """Start a batch that pauses these runs."""

    async def perform() -> None:
        async with fielding.perform_all((ref_of(name), Pause()) for name in names) as batch:
            async for done in batch:
                done.result()

    return asyncio.create_task(perform())


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_a_row_whose_run_a_call_waits_for_moves_up(is_cancelled: bool) -> None:
    """A row that waits for a permission goes before other rows and later calls once a call waits for its run; also if
    that call is cancelled.
    """

    async def main() -> None:
        exchange = Recording()
        async with session_on(exchange, limits=Limits(rate=1, concurrency=32), timeout=Timeout()) as fielding:
            await fielding.run(ref_of("first")).get()
            batch = slow_batch(fielding, [f"row{number}" for number in range(20)])
            await asyncio.sleep(0.5)
            call = asyncio.create_task(fielding.run(ref_of("row15")).pause())
            await asyncio.sleep(0)
            later = asyncio.create_task(fielding.run(ref_of("later")).get())
            await asyncio.sleep(0.1)
            if is_cancelled:
                call.cancel()
            await asyncio.wait([call, later])
            first = [name for _, name, _ in exchange.sent[1:4]]
            assert first == ["runrow15", "runrow15", "runlater"]
            if not is_cancelled:
                assert call.result().effect == "already"
            batch.cancel()
            await asyncio.wait([batch])

    run(main())


def test_rows_of_several_batches_before_a_call_move_up_together() -> None:
    """A row that has the turn and one that waits for it both move up for a call behind them."""

    async def main() -> None:
        exchange = Recording()
        async with session_on(exchange, limits=Limits(rate=1, concurrency=32), timeout=Timeout()) as fielding:
            await fielding.run(ref_of("first")).get()
            batches = [slow_batch(fielding, ["a", "b", "shared"]), slow_batch(fielding, ["shared", "c", "d"])]
            await asyncio.sleep(0.5)
            assert fielding.engine().turns.waiting == 1
            assert (await fielding.run(ref_of("shared")).pause()).effect == "already"
            assert exchange.order() == ["runfirst", "runshared"]
            for batch in batches:
                batch.cancel()
            await asyncio.wait(batches)

    run(main())


def test_a_row_in_the_background_lifts_nobody() -> None:
    """A row that waits for another row's turn leaves both where they are."""

    async def main() -> None:
        exchange = Recording()
        async with session_on(exchange, limits=Limits(rate=1, concurrency=32), timeout=Timeout()) as fielding:
            await fielding.run(ref_of("first")).get()
            batches = [slow_batch(fielding, ["shared"]), slow_batch(fielding, ["shared"])]
            await asyncio.sleep(0.5)
            box = fielding.engine().limiter
            assert box.waiting_by_class[Priority.BACKGROUND] == 1
            assert box.waiting_by_class[Priority.FIRST] == 0
            await asyncio.gather(*batches)

    run(main())


# -- the settling of lost writes


@pytest.mark.parametrize("is_lost", [True, False])
def test_a_lost_write_is_settled_before_anybody_else_is_served(is_lost: bool) -> None:
    """The GET of a row that settles a lost write passes all calls; that after a plain conflict waits in its class."""

    class Conflicting(Recording):
        def answer(self, outgoing: Outgoing, name: str, action: str) -> Attempted:
            if name == "runrow" and action == "pause" and self.run(name)["version"] == 1 and not is_lost:
                self.run(name)["version"] = 2  # a colleague's write
            return super().answer(outgoing, name, action)

    async def main() -> None:
        exchange = Conflicting()
        lost = iter(["after"] if is_lost else [])
        exchange.lose = lambda name, action: next(lost, None)
        async with session_on(exchange, limits=Limits(rate=5), retry=Retry(max_attempts=1)) as fielding:
            row = slow_batch(fielding, ["row"])
            await asyncio.sleep(0.205)  # the GET was answered, and the write is under way
            calls = [asyncio.create_task(fielding.run(ref_of(number)).get()) for number in range(5)]
            await row
            await asyncio.gather(*calls)
        gets = [number for number, (_, name, method) in enumerate(exchange.sent) if (name, method) == ("runrow", "GET")]
        assert gets == [0, 2 if is_lost else 7]

    run(main())


# -- how long a call may wait


async def ends_in(call: Callable[[], Awaitable[Any]]) -> tuple[float, FieldingError]:
    """Return after how many seconds a call fails, and how."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(FieldingError) as caught:
        await call()
    return round(loop.time() - began, 3), caught.value


def paused(seconds: str) -> tuple[Recording, FieldingSession]:
    """Return a session whose next request meets a 429."""
    exchange = Recording()
    exchange.refusals.append(seconds)
    return exchange, session_on(exchange, timeout=Timeout(queue=2))


def test_a_known_pause_that_outlasts_the_queue_ends_a_call_at_once() -> None:
    """`Timeout(queue=2)` behind a pause of 12 s: `RateLimitError` at once, for a permission and for a turn."""

    async def main() -> None:
        _, fielding = paused("12")
        async with fielding:
            first = asyncio.create_task(fielding.run(ref_of("first")).pause())
            await asyncio.sleep(1)
            for name in ("second", "first"):
                after, error = await ends_in(fielding.run(ref_of(name)).pause)
                assert after == 0
                assert isinstance(error, RateLimitError)
                assert error.retry_after == 12
                assert "2 s" in error.message or "its turn" in error.message
            assert (await first).effect == "accepted"

    run(main())


def test_a_pause_ends_the_waits_that_it_outlasts_when_it_begins() -> None:
    """Calls that wait for a slot, or for a turn, when a pause of 12 s begins are told then, not when time is up."""

    async def main() -> None:
        exchange, fielding = Recording(latency=1.0), None
        exchange.refusals.append("12")
        fielding = session_on(exchange, limits=Limits(concurrency=1), timeout=Timeout(queue=2))
        async with fielding:
            first = asyncio.create_task(fielding.run(ref_of("first")).pause())
            await asyncio.sleep(0)
            ends = await asyncio.gather(
                ends_in(fielding.run(ref_of("second")).get), ends_in(fielding.run(ref_of("first")).pause)
            )
            assert [(after, type(error)) for after, error in ends] == [(1.0, type(ends[0][1]))] * 2
            assert all(isinstance(error, RateLimitError) for _, error in ends)
            assert (await first).effect == "accepted"

    run(main())


@pytest.mark.parametrize("what", ["slot", "turn", "pace"])
def test_a_queue_alone_ends_a_call_after_its_time(what: str) -> None:
    """`Timeout(queue=2)` behind a queue alone: `DeadlineExceededError` after 2 s, which says what it waited for."""

    async def main() -> None:
        exchange = Recording(latency=50.0)
        limits = Limits(concurrency=1) if what == "slot" else Limits(rate=0.1 if what == "pace" else None)
        async with session_on(exchange, limits=limits, timeout=Timeout(queue=2, attempt=60)) as fielding:
            calls = [asyncio.create_task(fielding.run(ref_of("first")).pause(timeout=None))]
            await asyncio.sleep(0)
            name = "first" if what == "turn" else "second"
            after, error = await ends_in(fielding.run(ref_of(name)).pause)
            assert isinstance(error, DeadlineExceededError)
            if what == "pace":
                assert after == 0  # the rate was told, so it is known that ten seconds do not fit into two
                assert "time would run out while waiting for the pace: 0.099 a second, 2 s were left" in str(error)
            else:
                assert after == 2
                assert f"time ran out after 2 s while waiting for {'a slot' if what == 'slot' else 'its turn'}" in str(
                    error
                )
            for call in calls:
                call.cancel()
            await asyncio.wait(calls)

    run(main())


def test_turn_and_permission_share_the_time_of_the_queue() -> None:
    """What the wait for the turn has used up is not there for the wait for a permission."""

    async def main() -> None:
        exchange = Recording(latency=0.5)
        async with session_on(exchange, limits=Limits(concurrency=1), timeout=Timeout(queue=2)) as fielding:
            first = asyncio.create_task(
                fielding.run(ref_of("first")).pause()
            )  # two requests, and x between them: until 1.5
            await asyncio.sleep(0)
            slow = [asyncio.create_task(fielding.run(ref_of(n)).get(timeout=None)) for n in ("x", "y", "z")]
            call = asyncio.create_task(ends_in(fielding.run(ref_of("first")).resume))
            after, error = await call
            assert after == 2
            assert "a slot: " in error.message
            await asyncio.gather(first, *slow)

    run(main())


def test_the_queue_bounds_neither_a_call_under_way_nor_a_row_nor_a_timeout_of_its_own() -> None:
    """`Timeout.queue` ends with the first permission; rows wait as long as it takes; `timeout=` takes its place."""

    async def main() -> None:
        exchange = Recording()
        async with session_on(exchange, limits=Limits(rate=0.2), timeout=Timeout(queue=2, total=600)) as fielding:
            assert (await fielding.run(ref_of("new")).pause()).requests == 2
            await perform(fielding, 3)
            await fielding.run(ref_of("patient")).get(timeout=20)
            await fielding.run(ref_of("waits")).get(timeout=None)

    run(main())


def test_each_poll_of_a_job_is_bounded_by_the_queue() -> None:
    """A poll that a pause would keep for longer than `Timeout.queue` ends the wait; the job goes on by itself."""

    async def main() -> None:
        exchange = Recording()
        async with session_on(exchange, timeout=Timeout(queue=2)) as fielding:
            exchange.refusals.append("12")
            first = asyncio.create_task(fielding.run(ref_of("first")).get())
            await asyncio.sleep(1)
            after, error = await ends_in(fielding.batch_job(101, "0" * 26, "job1", kind="pause").wait)
            assert (after, isinstance(error, RateLimitError)) == (0, True)
            await first

    run(main())


def test_a_wait_that_cannot_end_in_time_is_not_begun() -> None:
    """With a configured rate the length of the queue shows when a call is due. If that is too late, it fails at once
    with the number of requests ahead; without a rate it fails at the deadline.
    """

    async def main(limits: Limits) -> tuple[float, FieldingError, float]:
        exchange = Recording(latency=0.5)
        async with session_on(exchange, limits=limits, timeout=Timeout()) as fielding:
            others = [asyncio.create_task(fielding.run(ref_of(number)).get()) for number in range(140)]
            await asyncio.sleep(0)
            after, error = await ends_in(lambda: fielding.run(ref_of("call")).get(timeout=2))
            in_time, _ = await asyncio.gather(*(fielding.run(ref_of(f"call{n}")).get(timeout=9) for n in range(2)))
            now = asyncio.get_running_loop().time()
            assert in_time.status == "live"
            await asyncio.gather(*others)
            return after, error, now - 1000

    after, error, _ = run(main(Limits(rate=20)))
    assert after == 0
    assert isinstance(error, DeadlineExceededError)
    assert error.message == (
        "time would run out while waiting for the pace: 139 requests were ahead, 19.8 a second, 2 s were left"
    )
    after, error, _ = run(main(Limits(concurrency=10, adaptive=False)))
    assert after == 2
    assert error.message == "time ran out after 2 s while waiting for a slot: 130 requests were ahead"


@pytest.mark.parametrize("seed", range(5))
def test_a_call_that_could_make_it_is_never_turned_away(seed: int) -> None:
    """With a configured rate, calls of any time limit and class: each that fails at once would have been late, had it
    waited.
    """

    async def ends(may_refuse: bool) -> list[tuple[bool, float]]:
        loop = asyncio.get_running_loop()
        box = limiter(rate=10, burst=3)
        if not may_refuse:
            setattr(box, "_told_interval", 0.0)  # noqa: B010 - as if no rate had been told
        dice = random.Random(seed)
        ends: list[tuple[bool, float]] = []

        async def one(number: int, begins: float, patience: float, priority: Priority, takes: float) -> None:
            await asyncio.sleep(begins)
            began = loop.time()
            try:
                permit = await box.acquire(priority, deadline=began + patience)
            except OutOfTimeError:
                ends[number] = False, loop.time() - began
                return
            ends[number] = True, loop.time() - began
            assert box.may_leave(permit, loop.time()) is not None
            await asyncio.sleep(takes)
            box.release(permit)

        async with asyncio.TaskGroup() as group:
            for number in range(800):
                ends.append((False, 0.0))
                patience = dice.choice([0.5, 2.0, 5.0])
                priority = dice.choices(list(Priority), [1, 4, 8, 2, 4])[0]
                group.create_task(one(number, dice.uniform(0, 30), patience, priority, dice.uniform(0.01, 0.3)))
        return ends

    refused, patient = run(ends(True)), run(ends(False))
    assert [served for served, _ in refused] == [served for served, _ in patient]
    assert sum(not served and after < 0.1 for served, after in refused) > 20


def test_a_deadline_that_passes_with_all_others_is_cheap_to_tell() -> None:
    """Ten thousand calls whose time is up together are all told in that moment, and nothing is left of them."""

    async def main() -> None:
        box = limiter(concurrency=1)
        holder = box.try_acquire()
        waits = [asyncio.create_task(box.acquire(Priority.FIRST, deadline=1002.0)) for _ in range(10_000)]
        ends = await asyncio.gather(*waits, return_exceptions=True)
        assert {type(end) for end in ends} == {OutOfTimeError}
        assert asyncio.get_running_loop().time() == 1002
        assert box.waiting == 0
        assert holder is not None
        box.release(holder)
        assert box.try_acquire() is not None

    run(main())
