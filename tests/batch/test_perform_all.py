"""Many rows at once: order, look-ahead, failures as rows, early exits, and what is left over. In virtual time."""

import asyncio
import gc
import weakref
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fielding_async import (
    Action,
    Batch,
    Change,
    Complete,
    ConfigurationError,
    Done,
    FieldingError,
    FieldingRun,
    FieldingSession,
    InvalidRunStateError,
    OutcomeUnknownError,
    Pause,
    PermissionDeniedError,
    Resume,
    RunRef,
    SessionClosedError,
    SkippedError,
    TransportError,
    Update,
)
from fielding_async.core.wire.replies import Attempted
from fielding_async.http.transport import Outgoing
from tests.tools import virtual_time
from tests.tools.batches import all_rows, collect_into
from tests.tools.fake_exchange import FakeExchange, ref_of, session_on

Rows = list[tuple[RunRef, Action]]


def pauses(count: int, first: int = 0) -> Rows:
    """Return rows that pause as many runs."""
    return [(ref_of(number), Pause()) for number in range(first, first + count)]


def run_with_session(exchange: FakeExchange, act: Callable[[FieldingSession], Awaitable[Any]], **arguments: Any) -> Any:
    """Do something with a session over the exchange, in virtual time."""

    async def main() -> Any:
        async with session_on(exchange, **arguments) as fielding:
            found = await act(fielding)
            assert {task.get_name() for task in asyncio.all_tasks()} == {asyncio.current_task().get_name()}  # type: ignore[union-attr]
            return found

    return virtual_time.run(main())


def test_each_row_comes_back_once_with_its_outcome() -> None:
    """Every row is yielded once, with its ref, action, number and outcome, and was applied once."""
    exchange = FakeExchange()

    async def act(fielding: FieldingSession) -> None:
        async with fielding.perform_all(pauses(100)) as batch:
            rows = await all_rows(batch)
            assert batch.leftover == ()
            assert (batch.taken, batch.in_flight, batch.passed) == (100, 0, 0)
        assert sorted(done.number for done in rows) == list(range(100))
        for done in rows:
            assert (done.ref, done.action, done.error) == (ref_of(done.number), Pause(), None)
            assert done.result() is done.outcome
            assert done.result().effect == "accepted"

    run_with_session(exchange, act)
    assert sorted(exchange.applied) == sorted((f"run{number}", "pause") for number in range(100))


def test_rows_come_back_as_they_end() -> None:
    """A slow row holds up no other: rows are yielded in the order in which they end."""
    exchange = FakeExchange()
    exchange.latencies["run0"] = 5.0

    async def act(fielding: FieldingSession) -> list[int]:
        async with fielding.perform_all(pauses(30)) as batch:
            return [done.number for done in await all_rows(batch)]

    numbers = run_with_session(exchange, act)
    assert numbers[-1] == 0
    assert sorted(numbers) == list(range(30))


def test_the_batch_keeps_to_its_concurrency() -> None:
    """No more rows are under way than `concurrency` says; left out, as many as the session's limit."""
    for concurrency, most in ((3, 3), (None, 8)):
        exchange = FakeExchange()

        async def act(fielding: FieldingSession, concurrency: int | None = concurrency) -> None:
            async with fielding.perform_all(pauses(40), concurrency=concurrency) as batch:
                async for _ in batch:
                    assert batch.in_flight <= (concurrency or 8)

        run_with_session(exchange, act)
        assert exchange.most_active == most


def test_the_input_is_read_lazily_and_waits_for_a_slow_consumer() -> None:
    """Rows are taken only as they can start: with a consumer that stands still, at most twice the concurrency."""
    taken = 0

    def rows() -> Iterator[tuple[RunRef, Action]]:
        nonlocal taken
        for row in pauses(1000):
            taken += 1
            yield row

    async def act(fielding: FieldingSession) -> None:
        async with fielding.perform_all(rows(), concurrency=4) as batch:
            assert taken == 0
            await asyncio.sleep(10)
            assert taken == 0
            for seen in range(1, 20):
                await anext(batch)
                await asyncio.sleep(10)
                assert taken <= seen + 8
            assert taken >= 19 + 4
            batch.stop()

    run_with_session(FakeExchange(), act)


def test_async_input_is_read_lazily_too() -> None:
    """An async iterable is read as there is room, and rows go on while it waits for its next one."""
    taken = 0

    async def rows() -> AsyncIterator[tuple[RunRef, Action]]:
        nonlocal taken
        for row in pauses(50):
            taken += 1
            if taken % 10 == 0:
                await asyncio.sleep(3)
            yield row

    async def act(fielding: FieldingSession) -> None:
        async with fielding.perform_all(rows(), concurrency=4) as batch:
            first = await anext(batch)
            await asyncio.sleep(100)
            assert taken <= 1 + 8
            assert sorted(done.number for done in [first, *await all_rows(batch)]) == list(range(50))

    run_with_session(FakeExchange(), act)


def test_a_bad_row_is_yielded_while_the_async_input_waits() -> None:
    """A row that is never sent comes back at once, although the input gives the next one only after that."""
    reported = asyncio.Event()

    async def rows() -> AsyncIterator[tuple[RunRef, Action]]:
        yield ref_of(0), cast("Action", "pause")
        await reported.wait()
        yield ref_of(1), Pause()

    async def act(fielding: FieldingSession) -> None:
        async with asyncio.timeout(60), fielding.perform_all(rows()) as batch:
            bad = await anext(batch)
            assert isinstance(bad.error, ConfigurationError)
            reported.set()
            (good,) = await all_rows(batch)
            assert good.error is None

    run_with_session(FakeExchange(), act)


def test_rows_of_one_run_keep_their_order_and_hold_up_no_others() -> None:
    """A thousand rows of a slow run leave the others room; within the run they are applied in input order."""
    exchange = FakeExchange()
    exchange.latencies["runslow"] = 1.0
    slow: Rows = [(ref_of("slow"), Resume() if number % 2 else Pause()) for number in range(60)]
    rows = [*slow, *pauses(200)]

    async def act(fielding: FieldingSession) -> None:
        loop = asyncio.get_running_loop()
        start, last_other = loop.time(), 0.0
        order: list[int] = []
        async with fielding.perform_all(rows) as batch:
            async for done in batch:
                assert done.error is None
                if done.number < 60:
                    order.append(done.number)
                else:
                    last_other = loop.time() - start
        assert order == sorted(order)
        assert last_other < 2.0
        assert loop.time() - start >= 60.0

    run_with_session(exchange, act)
    actions = [action for run, action in exchange.applied if run == "runslow"]
    assert actions == ["pause", "resume"] * 30


def test_rows_waiting_for_their_run_are_bounded() -> None:
    """No more rows are taken than `look_ahead` allows to wait behind earlier ones of their run."""
    taken = 0

    def rows() -> Iterator[tuple[RunRef, Action]]:
        nonlocal taken
        while True:
            taken += 1
            yield ref_of("one"), Pause() if taken % 2 else Resume()

    async def act(fielding: FieldingSession) -> None:
        async with fielding.perform_all(rows(), look_ahead=50) as batch:
            for seen in range(1, 200):
                await anext(batch)
                assert taken <= seen + 52
        assert len(batch.leftover) == taken - 199
        assert [row.number for row in batch.leftover] == list(range(199, taken))

    run_with_session(FakeExchange(), act)


def test_after_a_failed_row_the_later_ones_of_its_run_are_skipped() -> None:
    """They come back as `SkippedError` with the first failure as `because`, unsent; other runs go on."""
    exchange = FakeExchange()
    exchange.refuse["run1"] = 403
    rows: Rows = [(ref_of(number % 3), Resume() if number >= 3 else Pause()) for number in range(9)]

    async def act(fielding: FieldingSession) -> dict[int, Done]:
        async with fielding.perform_all(rows) as batch:
            return {done.number: done for done in await all_rows(batch)}

    found = run_with_session(exchange, act)
    first = found[1].error
    assert isinstance(first, PermissionDeniedError)
    for number in (4, 7):
        error = found[number].error
        assert isinstance(error, SkippedError)
        assert error.because is first
        assert error.ref == ref_of(1)
        with pytest.raises(SkippedError, match="403"):
            found[number].result()
    assert exchange.times(1) == 0
    assert [found[number].error for number in (0, 2, 3, 5, 6, 8)] == [None] * 6


def test_after_an_unknown_row_the_later_ones_of_its_run_are_skipped() -> None:
    """A row whose outcome is unknown stops its run as well."""
    exchange = FakeExchange()
    exchange.lose = lambda run, action: "before"

    async def act(fielding: FieldingSession) -> list[Done]:
        async with fielding.perform_all([(ref_of(0), Pause()), (ref_of(0), Complete())]) as batch:
            return await all_rows(batch)

    first, second = run_with_session(exchange, act)
    assert isinstance(first.error, OutcomeUnknownError)
    assert isinstance(second.error, SkippedError)
    assert second.error.because is first.error


def test_rows_can_go_on_after_a_failure() -> None:
    """With `on_row_failure="continue"` every row is tried."""
    rows: Rows = [(ref_of(0), Resume()), (ref_of(0), Pause()), (ref_of(0), Resume())]
    exchange = FakeExchange()
    exchange.run("run0")["status"] = "completed"

    async def act(fielding: FieldingSession) -> list[Done]:
        async with fielding.perform_all(rows, on_row_failure="continue") as batch:
            return await all_rows(batch)

    assert [type(done.error) for done in run_with_session(exchange, act)] == [InvalidRunStateError] * 3


@pytest.mark.parametrize(
    ("pair", "match"),
    [
        ((ref_of(0), Update()), "must name start_fielding_at"),
        ((ref_of(0), "pause"), "action='pause'"),
        ((RunRef(101, "x", "1" * 26, "run"), Pause()), "project_id='x'"),
        ((RunRef(101, [], "1" * 26, "run"), Pause()), "project_id"),  # type: ignore[arg-type]
        (("run", Pause()), "must be a RunRef"),
        ((None, None), "must be a RunRef"),
    ],
)
def test_a_bad_row_is_a_failed_row(pair: Any, match: str) -> None:
    """A bad ref or action comes back as `ConfigurationError`, with nothing sent of it, and the others go on."""
    exchange = FakeExchange()

    async def act(fielding: FieldingSession) -> dict[int, Done]:
        async with fielding.perform_all([*pauses(2, first=5), pair, *pauses(2, first=8)]) as batch:
            return {done.number: done for done in await all_rows(batch)}

    found = run_with_session(exchange, act)
    assert isinstance(found[2].error, ConfigurationError)
    assert match in str(found[2].error)
    assert (found[2].ref, found[2].action) == pair
    assert sum(done.error is None for done in found.values()) == 4
    assert len(exchange.applied) == 4


def test_a_bad_row_keeps_its_place_in_its_run() -> None:
    """A bad action fails after the rows of its run before it, and the ones behind it are skipped."""
    rows: Any = [(ref_of(0), Pause()), (ref_of(0), "resume"), (ref_of(0), Complete())]

    async def act(fielding: FieldingSession) -> list[Done]:
        async with fielding.perform_all(rows) as batch:
            return await all_rows(batch)

    errors = [done.error for done in run_with_session(FakeExchange(), act)]
    assert [type(error) for error in errors] == [type(None), ConfigurationError, SkippedError]


class InputError(Exception):
    """What the caller's own input raises."""


@pytest.mark.parametrize("is_async", [False, True])
def test_what_the_input_raises_is_raised_after_its_rows(is_async: bool) -> None:
    """All rows given before are performed and yielded, those that wait for their run too; then the error is raised."""

    def rows() -> Iterator[tuple[RunRef, Action]]:
        yield from pauses(10)
        yield ref_of(3), Resume()
        raise InputError("line 12")

    async def async_rows() -> AsyncIterator[tuple[RunRef, Action]]:
        for row in rows():
            yield row

    seen: list[Done] = []

    async def act(fielding: FieldingSession) -> None:
        async with fielding.perform_all(async_rows() if is_async else rows()) as batch:
            with pytest.raises(InputError, match="line 12"):
                await collect_into(seen, batch)
            with pytest.raises(StopAsyncIteration):
                await anext(batch)
            assert batch.leftover == ()

    run_with_session(FakeExchange(), act)
    assert sorted(done.number for done in seen) == list(range(11))
    assert all(done.error is None for done in seen)


def test_an_element_that_is_no_pair_ends_the_input() -> None:
    """It is a `ConfigurationError` that names its row, raised after the rows before it."""

    async def act(fielding: FieldingSession) -> list[int]:
        seen: list[Done] = []
        async with fielding.perform_all([*pauses(3), ref_of(4)]) as batch:  # type: ignore[list-item]
            with pytest.raises(ConfigurationError, match="row 3 is RunRef"):
                await collect_into(seen, batch)
        return [done.number for done in seen]

    assert sorted(run_with_session(FakeExchange(), act)) == [0, 1, 2]


def test_a_bare_async_for_is_refused() -> None:
    """Iterating without `async with` raises before anything is sent, and so does entering twice."""
    exchange = FakeExchange()

    async def act(fielding: FieldingSession) -> None:
        batch = fielding.perform_all(pauses(3))
        with pytest.raises(ConfigurationError, match="async with"):
            async for _ in batch:
                pass
        async with batch:
            with pytest.raises(ConfigurationError, match="entered already"):
                await batch.__aenter__()

    run_with_session(exchange, act)
    assert not exchange.requests


@pytest.mark.parametrize(
    "arguments",
    [
        {"pairs": 5},
        {"pairs": "rows"},
        {"pairs": {ref_of(0): Pause()}},
        {"concurrency": 0},
        {"concurrency": True},
        {"look_ahead": 0},
        {"on_row_failure": "stop"},
        {"stop": "now"},
        {"stop_on": 5},
        {"on_conflict": "ignore"},
        {"timeout": 0},
        {"timeout": "5"},
        {"journal": ""},
        {"journal": 5},
        {"journal": b"path"},
        {"plan": "digest"},
        {"plan": "", "journal": "x"},
    ],
    ids=str,
)
def test_bad_arguments_are_refused_at_the_call(arguments: dict[str, Any]) -> None:
    """Each bad argument is a `ConfigurationError` that names it."""
    fielding = session_on(FakeExchange())
    with pytest.raises(ConfigurationError, match=next(iter(arguments))):
        fielding.perform_all(**{"pairs": [], **arguments})


def test_a_batch_needs_a_live_session() -> None:
    """Entered before or after its session lives, it is a `SessionClosedError`."""

    async def main() -> None:
        fielding = session_on(FakeExchange())
        with pytest.raises(SessionClosedError, match="not been entered"):
            await fielding.perform_all([]).__aenter__()
        async with fielding:
            pass
        with pytest.raises(SessionClosedError, match="closed"):
            await fielding.perform_all([]).__aenter__()

    virtual_time.run(main())


def test_leaving_early_drains() -> None:
    """Leaving starts nothing new and waits for what is in flight; what was not yielded is left over, with its end."""
    exchange = FakeExchange(latency=1.0)

    async def act(fielding: FieldingSession) -> None:
        async with fielding.perform_all(pauses(100), concurrency=5) as batch:
            first = await anext(batch)
            await asyncio.sleep(0.5)
        left = batch.leftover
        assert {row.state for row in left} == {"ended"}
        for row in left:
            assert row.done is not None
            assert row.done.result().effect == "accepted"
        assert {first.number, *(row.number for row in left)} == set(range(batch.taken))
        assert len(exchange.applied) == batch.taken
        with pytest.raises(ConfigurationError, match="has been left"):
            await anext(batch)

    run_with_session(exchange, act)


def test_leaving_early_can_cancel() -> None:
    """With `stop="cancel"` what is in flight is cut off at once: unknown if its write had left, else never sent."""
    exchange = FakeExchange(latency=1.0)
    exchange.latencies = {"run1": 0.1, "run2": 30.0}
    exchange.latencies["run0"] = 0.01

    async def act(fielding: FieldingSession) -> None:
        loop = asyncio.get_running_loop()
        async with fielding.perform_all(pauses(5), concurrency=5, stop="cancel") as batch:
            assert (await anext(batch)).number == 0
            await asyncio.sleep(1.1)
            before = loop.time()
        assert loop.time() == before
        states = {row.number: row.state for row in batch.leftover}
        assert states == {1: "ended", 2: "never sent", 3: "unknown", 4: "unknown"}
        await asyncio.sleep(5)  # the exchanges themselves go on to their end

    run_with_session(exchange, act)


def test_an_exception_in_the_block_drains_and_passes_through() -> None:
    """The block's own exception is not masked by the drain."""
    exchange = FakeExchange(latency=1.0)

    async def act(fielding: FieldingSession) -> None:
        batches: list[Batch] = []

        async def consume() -> None:
            async with fielding.perform_all(pauses(100)) as batch:
                batches.append(batch)
                async for _ in batch:
                    raise InputError("mine")

        with pytest.raises(InputError, match="mine"):
            await consume()
        (batch,) = batches
        assert batch.in_flight == 0
        assert len(exchange.applied) == batch.taken == 1 + len(batch.leftover)

    run_with_session(exchange, act)


@pytest.mark.parametrize(("cancels", "longest", "states"), [(1, 1.5, {"ended"}), (2, 0.0, {"unknown", "ended"})])
def test_a_cancelled_consumer_drains_and_a_second_cancellation_cuts_off(
    cancels: int, longest: float, states: set[str]
) -> None:
    """The first cancellation waits for what is in flight, the second does not; both come through."""
    exchange = FakeExchange(latency=1.0)

    async def act(fielding: FieldingSession) -> None:
        batches: list[Batch] = []

        async def consume() -> None:
            async with fielding.perform_all(pauses(100)) as batch:
                batches.append(batch)
                async for _ in batch:
                    pass

        loop = asyncio.get_running_loop()
        task = asyncio.create_task(consume())
        await asyncio.sleep(1.5)
        start = loop.time()
        for _ in range(cancels):
            task.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await asyncio.wait([task])
        assert task.cancelled()
        assert loop.time() - start <= longest
        assert {row.state for row in batches[0].leftover} <= states
        assert len(batches[0].leftover) == 8
        await asyncio.sleep(10)

    run_with_session(exchange, act)


def test_stop_ends_the_input_and_yields_what_is_in_flight() -> None:
    """After `stop()` no row starts; those in flight are still yielded, those that wait are left over as never sent."""
    exchange = FakeExchange(latency=1.0)
    exchange.latencies["run1"] = 0.1
    rows = [*pauses(3), (ref_of(0), Resume()), *pauses(50, first=10)]

    async def act(fielding: FieldingSession) -> None:
        seen: list[int] = []
        async with fielding.perform_all(rows, concurrency=4) as batch:
            async for done in batch:
                seen.append(done.number)
                batch.stop()
            assert [(row.number, row.state) for row in batch.leftover] == [(3, "never sent")]
        assert sorted(seen) == [0, 1, 2, 4, 5]
        assert batch.taken == 6

    run_with_session(exchange, act)


def test_stop_can_cut_off() -> None:
    """`stop(cancel=True)` ends the iteration at once; a write under way is left over as unknown."""
    exchange = FakeExchange(latency=1.0)

    async def act(fielding: FieldingSession) -> None:
        loop = asyncio.get_running_loop()
        async with fielding.perform_all(pauses(50), concurrency=4) as batch:
            loop.call_later(1.5, lambda: batch.stop(cancel=True))
            assert await all_rows(batch) == []
            assert loop.time() == 1001.5
            assert {row.state for row in batch.leftover} == {"unknown"}
        await asyncio.sleep(5)

    run_with_session(exchange, act)


def test_stop_on_ends_the_input() -> None:
    """A row that `stop_on` says yes to is the last to be waited for, with those that were in flight beside it."""
    exchange = FakeExchange()
    exchange.refuse["run20"] = 403

    async def act(fielding: FieldingSession) -> None:
        async with fielding.perform_all(pauses(1000), stop_on=lambda done: done.error is not None) as batch:
            rows = await all_rows(batch)
        assert [done.number for done in rows if done.error] == [20]
        assert batch.taken < 40
        assert len(exchange.applied) == len(rows) - 1 == batch.taken - 1

    run_with_session(exchange, act)


def test_what_stop_on_raises_is_raised() -> None:
    """An exception of `stop_on` ends the input, and comes out after what was in flight."""

    def broken(done: Done) -> bool:
        raise InputError("in stop_on")

    async def act(fielding: FieldingSession) -> None:
        seen: list[Done] = []
        async with fielding.perform_all(pauses(1000), stop_on=broken) as batch:
            with pytest.raises(InputError, match="in stop_on"):
                await collect_into(seen, batch)
        assert len(seen) == batch.taken <= 16

    run_with_session(FakeExchange(), act)


class _Abort(BaseException):
    """What is no `Exception`."""


@pytest.mark.parametrize("raised", [_Abort("now"), asyncio.CancelledError("now"), GeneratorExit("now")])
def test_what_stop_on_raises_is_raised_whatever_it_is(raised: BaseException) -> None:
    """A `BaseException` of `stop_on` ends the input like any other, and comes out."""

    def broken(done: Done) -> bool:
        raise raised

    async def act(fielding: FieldingSession) -> None:
        async with fielding.perform_all(pauses(1000), stop_on=broken) as batch:
            with pytest.raises(type(raised), match="now"):
                await all_rows(batch)
            assert batch.taken <= 64

    run_with_session(FakeExchange(1000), act)


@pytest.mark.parametrize("raised", [StopAsyncIteration("not over"), StopIteration("not over")])
def test_what_would_end_an_iteration_does_not_end_this_one(raised: Exception) -> None:
    """`StopAsyncIteration` of `stop_on` or of a plain iterator comes out as the cause of a `RuntimeError`."""

    class Rows:
        def __init__(self) -> None:
            self.rows = iter(pauses(3))

        def __iter__(self) -> Iterator[tuple[RunRef, Action]]:
            return self

        def __next__(self) -> tuple[RunRef, Action]:
            for row in self.rows:
                return row
            raise StopAsyncIteration("not over")

    def broken(done: Done) -> bool:
        raise raised

    async def act(fielding: FieldingSession) -> None:
        async with fielding.perform_all(pauses(1000), stop_on=broken) as batch:
            with pytest.raises(RuntimeError, match=f"raised {type(raised).__name__}") as caught:
                await all_rows(batch)
            assert caught.value.__cause__ is raised
        ended: list[Done] = []
        async with fielding.perform_all(Rows()) as batch:
            with pytest.raises(RuntimeError, match="raised StopAsyncIteration"):
                ended.extend([done async for done in batch])
            assert batch.taken == 3

    run_with_session(FakeExchange(1000), act)


def test_closing_the_session_ends_the_batch() -> None:
    """Rows in flight are yielded with what became of them, no row starts, and the iteration raises."""
    exchange = FakeExchange(latency=1.0)

    async def main() -> None:
        fielding = await session_on(exchange).__aenter__()
        asyncio.get_running_loop().call_later(1.5, lambda: tasks.append(asyncio.create_task(fielding.aclose())))
        tasks: list[asyncio.Task[None]] = []
        seen: list[Done] = []
        async with fielding.perform_all(pauses(1000)) as batch:
            with pytest.raises(SessionClosedError, match="while the batch"):
                await collect_into(seen, batch)
        assert len(seen) == batch.taken == 8
        assert {type(done.error) for done in seen} == {OutcomeUnknownError}
        await tasks[0]

    virtual_time.run(main())


def test_two_tasks_cannot_iterate_at_once() -> None:
    """The second is refused, and the first goes on."""

    async def act(fielding: FieldingSession) -> None:
        async with fielding.perform_all(pauses(5)) as batch:
            first = asyncio.create_task(all_rows(batch))
            await asyncio.sleep(0)
            with pytest.raises(ConfigurationError, match="another task"):
                await anext(batch)
            assert len(await first) == 5

    run_with_session(FakeExchange(), act)


def test_a_timeout_around_one_step_loses_no_row() -> None:
    """A cancelled `anext` takes nothing with it: every row is yielded all the same."""
    exchange = FakeExchange(latency=0.3)

    async def act(fielding: FieldingSession) -> None:
        seen: list[int] = []
        async with fielding.perform_all(pauses(40)) as batch:
            while True:
                try:
                    async with asyncio.timeout(0.07):
                        seen.append((await anext(batch)).number)
                except TimeoutError:
                    continue
                except StopAsyncIteration:
                    break
        assert sorted(seen) == list(range(40))

    run_with_session(exchange, act)


def test_a_row_cancelled_from_outside_ends_the_batch() -> None:
    """The row is not lost: it is left over, and the iteration raises."""
    exchange = FakeExchange(latency=1.0)

    async def act(fielding: FieldingSession) -> None:
        async with fielding.perform_all(pauses(100), concurrency=3) as batch:
            others = asyncio.all_tasks()
            asyncio.get_running_loop().call_later(
                1.5, lambda: next(iter({t for t in asyncio.all_tasks() - others if "WriteCall" in repr(t)})).cancel()
            )
            with pytest.raises(FieldingError, match="from outside"):
                await all_rows(batch)
            assert [row.state for row in batch.leftover] == ["unknown"] + ["ended"] * 0
        await asyncio.sleep(5)

    run_with_session(exchange, act)


def test_a_closed_consumer_leaves_no_task() -> None:
    """A coroutine that is closed in the middle of a batch cannot wait: what is in flight is cut off."""
    exchange = FakeExchange(latency=1.0)

    async def act(fielding: FieldingSession) -> None:
        async def consume() -> AsyncIterator[int]:
            async with fielding.perform_all(pauses(100)) as batch:
                async for done in batch:
                    yield done.number

        rows = consume()
        await anext(rows)
        await cast("AsyncGenerator[int]", rows).aclose()
        await asyncio.sleep(10)

    run_with_session(exchange, act)


def test_rows_that_are_done_with_are_not_kept() -> None:
    """What was yielded is not referred to any more."""

    async def act(fielding: FieldingSession) -> None:
        seen: list[weakref.ref[Any]] = []
        async with fielding.perform_all(pauses(100)) as batch:
            async for done in batch:
                seen.append(weakref.ref(done.outcome))
            del done
            gc.collect()
            assert sum(ref() is not None for ref in seen) <= 1

    run_with_session(FakeExchange(), act)


@settings(max_examples=60)
@given(st.data())
def test_order_and_skips_hold_in_any_batch(data: st.DataObject) -> None:
    """Whatever the runs, latencies and refusals: input order within a run, skips exactly after a first failure."""
    runs = data.draw(st.integers(1, 5))
    names = data.draw(st.lists(st.integers(0, runs - 1), max_size=40))
    exchange = FakeExchange()
    for number in range(runs):
        exchange.latencies[f"run{number}"] = data.draw(st.sampled_from([0.0, 0.01, 0.2, 1.0]))
    refused = data.draw(st.sets(st.integers(0, runs - 1)))
    for number in refused:
        exchange.refuse[f"run{number}"] = 403
    turns: dict[int, int] = defaultdict(int)
    rows: Rows = []
    for name in names:
        rows.append((ref_of(name), Resume() if turns[name] % 2 else Pause()))
        turns[name] += 1
    concurrency, look_ahead = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 10))

    async def act(fielding: FieldingSession) -> list[Done]:
        seen: list[Done] = []
        async with fielding.perform_all(iter(rows), concurrency=concurrency, look_ahead=look_ahead) as batch:
            async for done in batch:
                seen.append(done)
                assert batch.taken - len(seen) <= 2 * concurrency + look_ahead
        return seen

    seen = run_with_session(exchange, act)
    assert sorted(done.number for done in seen) == list(range(len(rows)))
    for number in range(runs):
        mine = [done for done in seen if done.ref == ref_of(number)]
        assert [done.number for done in mine] == [place for place, name in enumerate(names) if name == number]
        kinds = [type(done.error) for done in mine]
        wanted: list[type] = [type(None)] * len(mine)
        if number in refused and mine:
            wanted = [PermissionDeniedError] + [SkippedError] * (len(mine) - 1)
        assert kinds == wanted
        assert exchange.times(number) == (0 if number in refused else len(mine))


def test_without_a_journal_rows_go_on_behind_an_unforeseen_error() -> None:
    """Behind it the rows of its run go on with `on_row_failure="continue"`, as no later process resumes the batch."""

    class Broken(FakeExchange):
        def answer(self, outgoing: Outgoing, name: str, action: str) -> Attempted:
            if not self.requests:
                self.requests["broken"] += 1
                raise ZeroDivisionError
            return super().answer(outgoing, name, action)

    async def main() -> list[Done]:
        async with session_on(Broken()) as fielding:
            rows: Rows = [(ref_of(1), Pause()), (ref_of(1), Pause())]
            async with fielding.perform_all(rows, on_row_failure="continue") as batch:
                return [done async for done in batch]

    first, second = virtual_time.run(main())
    assert isinstance(first.error, ZeroDivisionError)
    assert second.result().effect == "accepted"


def test_a_callable_change_stands_for_an_action() -> None:
    """It gets the run as it is now, in each row; what it raises, or returns wrongly, is the error of its row."""
    exchange = FakeExchange()
    refs = [ref_of(number) for number in range(4)]

    def longer(now: FieldingRun) -> Update:
        assert now.end_fielding_at is not None
        return Update(end_fielding_at=now.end_fielding_at + timedelta(days=1))

    def broken(now: FieldingRun) -> Update:
        raise LookupError(now.id)

    rows: list[tuple[RunRef, Action | Change]] = [
        (refs[0], longer), (refs[0], longer), (refs[1], broken), (refs[2], lambda now: None), (refs[3], Pause()),
    ]  # fmt: skip
    rows.append((refs[3], cast("Change", lambda now: now)))

    async def perform(fielding: FieldingSession) -> list[Done]:
        async with fielding.perform_all(rows, wait=60.0) as batch:
            return sorted([each async for each in batch], key=lambda each: each.number)

    done: list[Done] = run_with_session(exchange, perform)
    assert [type(each.error) for each in done] == [
        type(None), type(None), LookupError, type(None), type(None), ConfigurationError,
    ]  # fmt: skip
    first, second = done[0].result(), done[1].result()
    assert first.end_fielding_at is not None
    assert second.end_fielding_at == first.end_fielding_at + timedelta(days=1)
    assert done[0].action is longer
    assert done[3].result().effect == "already"


def test_an_error_of_this_library_that_a_change_raises_is_no_outage() -> None:
    """It says nothing of the exchange: the row ends in it at once, and the other rows go on."""
    exchange = FakeExchange()
    raised = TransportError("the caller's own")

    def broken(now: FieldingRun) -> Update:
        raise raised

    rows: list[tuple[RunRef, Action | Change]] = [(ref_of(0), broken), (ref_of(1), Pause())]

    async def perform(fielding: FieldingSession) -> tuple[list[Done], float]:
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with fielding.perform_all(rows, wait=60.0) as batch:
            ended = sorted([each async for each in batch], key=lambda each: each.number)
        return ended, loop.time() - started

    (bad, good), seconds = run_with_session(exchange, perform)
    assert bad.error is raised
    assert not bad.is_open
    assert good.result().effect == "accepted"
    assert seconds < 1


async def test_a_callable_change_cannot_be_put_on_record(tmp_path: Path) -> None:
    """With a journal it is a bad row that says why, and the other rows are performed."""
    rows: list[tuple[RunRef, Action | Change]] = [(ref_of(0), lambda now: None), (ref_of(1), Pause())]
    async with session_on(FakeExchange()) as fielding, fielding.perform_all(rows, journal=tmp_path / "j") as batch:
        bad, good = sorted([each async for each in batch], key=lambda each: each.number)
    assert isinstance(bad.error, ConfigurationError)
    assert "a callable change cannot be put on record: pass an Update, or leave journal= out" in str(bad.error)
    assert good.result().effect == "accepted"


def test_only_a_run_serves_for_its_ref() -> None:
    """Another value that has a `ref`, such as a `Done`, is a bad row that says what is taken."""

    async def perform(fielding: FieldingSession) -> list[Done]:
        run, other = fielding.run(ref_of(0)), Done(ref_of(1), Pause(), None, ValueError())  # type: ignore[operator]
        rows: list[Any] = [(run, Pause()), (other, Pause())]
        async with fielding.perform_all(rows) as batch:
            return sorted([each async for each in batch], key=lambda each: each.number)

    exchange = FakeExchange()
    good, bad = run_with_session(exchange, perform)
    assert (good.ref, good.result().effect) == (ref_of(0), "accepted")
    assert isinstance(bad.error, ConfigurationError)
    assert "must be a RunRef or a Run" in str(bad.error)
    assert exchange.times(1) == 0
