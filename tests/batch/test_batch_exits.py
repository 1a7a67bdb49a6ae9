"""Batches that end before their last row: what is waited for, what is reported, what stays on record."""

import asyncio
import contextvars
import gc
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fielding_async import (
    Action,
    Done,
    DoneWithError,
    FieldingSession,
    JournalError,
    OutcomeUnknownError,
    Pause,
    PerformAll,
    RunRef,
    SessionClosedError,
)
from fielding_async.batch.options import Options
from fielding_async.batch.perform_all import perform_all
from tests.tools import virtual_time
from tests.tools.batches import all_rows
from tests.tools.fake_exchange import FakeExchange, ref_of, session_on
from tests.tools.fake_storage import Disk, MemoryStorage
from tests.tools.waits import HANG

Rows = list[tuple[RunRef, Action]]


def pauses(count: int) -> Rows:
    return [(ref_of(number), Pause()) for number in range(count)]


def run_with_session(exchange: FakeExchange, act: Callable[[FieldingSession], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        async with session_on(exchange) as fielding:
            return await act(fielding)

    return virtual_time.run(main())


def batch_on_disk(fielding: FieldingSession, rows: Any, disk: Disk, **options: Any) -> PerformAll:
    return perform_all(fielding, rows, Options(**options), storage=lambda: MemoryStorage(disk))


def test_an_input_that_swallows_its_cancellation_does_not_block_leaving() -> None:
    """A row that an async input still gives when it is cancelled is left over as never sent, and the batch is left."""

    async def rows() -> AsyncIterator[tuple[RunRef, Action]]:
        yield ref_of(0), Pause()
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            yield ref_of(1), Pause()

    async def act(fielding: FieldingSession) -> None:
        async with fielding.perform_all(rows()) as batch:
            await anext(batch)
        assert [(row.number, row.state) for row in batch.leftover] == [(1, "never sent")]

    run_with_session(FakeExchange(), act)


def test_an_input_that_is_stopped_may_clean_up() -> None:
    """An async input is cancelled once, however the batch is stopped, and leaving waits until it has cleaned up."""
    cleaned: list[str] = []

    async def rows() -> AsyncIterator[tuple[RunRef, Action]]:
        try:
            yield ref_of(0), Pause()
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(1)
            cleaned.append("up")

    async def act(fielding: FieldingSession) -> None:
        async with fielding.perform_all(rows()) as batch:
            await anext(batch)
            batch.stop()
            await asyncio.sleep(0.5)
            batch.stop()
        assert cleaned == ["up"]

    run_with_session(FakeExchange(), act)


def test_a_cancellation_while_leaving_cuts_off_an_input_that_does_not_end() -> None:
    """Whoever waits for an input to clean up can be cancelled."""

    async def rows() -> AsyncIterator[tuple[RunRef, Action]]:
        try:
            yield ref_of(0), Pause()
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(1000)

    async def act(fielding: FieldingSession) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5), fielding.perform_all(rows()) as batch:
                await anext(batch)
        assert loop.time() - began == 5

    run_with_session(FakeExchange(), act)


async def one_row_and_no_end() -> AsyncIterator[tuple[RunRef, Action]]:
    """Give a row, and then wait for ever."""
    yield ref_of(0), Pause()
    await asyncio.Event().wait()


def test_closing_the_session_ends_a_batch_whose_input_waits() -> None:
    """The iteration raises at once, although no row is under way."""

    async def main() -> None:
        fielding = await session_on(FakeExchange()).__aenter__()
        async with fielding.perform_all(one_row_and_no_end()) as batch:
            assert (await anext(batch)).error is None
            waiting = asyncio.create_task(all_rows(batch))
            await asyncio.sleep(1)
            await fielding.aclose()
            with pytest.raises(SessionClosedError, match="while the batch"):
                await waiting

    virtual_time.run(main())


@pytest.mark.parametrize("journal", [False, True])
def test_a_batch_that_is_done_when_its_session_closes_is_done(journal: bool) -> None:
    """Rows that had ended are yielded, and the iteration ends as if nothing had happened."""

    async def main() -> None:
        fielding = await session_on(FakeExchange()).__aenter__()
        options = {"storage": lambda: MemoryStorage(Disk(latency=1.0))} if journal else {}
        async with perform_all(fielding, pauses(3), Options(concurrency=3), **options) as batch:  # type: ignore[arg-type]
            waiting = asyncio.create_task(all_rows(batch))
            await asyncio.sleep(0.01)
            while batch.in_flight:
                await asyncio.sleep(0.01)
            await fielding.aclose()
            assert [done.error for done in await waiting] == [None] * 3

    virtual_time.run(main())


def test_a_journal_that_fails_ends_a_batch_whose_input_waits() -> None:
    """The iteration raises when the end of a row cannot be put on record, not only when another row comes."""

    async def act(fielding: FieldingSession) -> None:
        async with asyncio.timeout(60):
            with pytest.raises(JournalError, match="No space left"):
                async with batch_on_disk(fielding, one_row_and_no_end(), Disk(fail_after=1)) as batch:
                    await all_rows(batch)

    run_with_session(FakeExchange(), act)


@pytest.mark.parametrize("ending", ["deadline", "closed"])
def test_a_write_in_flight_on_record_is_not_said_to_have_failed_unjudged(ending: str) -> None:
    """A resumed row that never got its turn may be applied all the same: it is unknown, and stays open."""
    exchange, disk = FakeExchange(), Disk()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        fielding = await session_on(exchange).__aenter__()
        async with batch_on_disk(fielding, pauses(1), disk, stop="cancel") as batch:
            loop.call_later(0.012, setattr, exchange, "latency", 4.0)  # after the GET, before the write
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await anext(batch)
        assert [row.state for row in batch.leftover] == ["unknown"]
        async with batch_on_disk(fielding, pauses(1), disk, timeout=0.5) as batch:
            if ending == "closed":
                loop.call_later(0.1, lambda: closing.append(asyncio.create_task(fielding.aclose())))
            closing: list[asyncio.Task[None]] = []
            done = await anext(batch)
            assert isinstance(done.error, OutcomeUnknownError)
            assert isinstance(done.error, TimeoutError) is (ending == "deadline")
            assert done.error.ref == ref_of(0)
        await asyncio.sleep(10)
        await fielding.aclose()

        async with session_on(exchange) as fielding, batch_on_disk(fielding, pauses(1), disk) as batch:
            assert (batch.earlier.stuck, batch.earlier.in_flight) == ((1, 0) if ending == "deadline" else (0, 1))
            (done,) = await all_rows(batch)
            assert done.result().effect in {"accepted", "unconfirmed"}

    virtual_time.run(main())
    assert exchange.times(0) == 1


def test_rows_on_record_that_come_after_a_stop_are_not_left_over() -> None:
    """If an input stops the batch and still gives a row that is done, it is passed over; no plan is too short then."""
    disk = Disk()

    async def act(fielding: FieldingSession) -> None:
        async with batch_on_disk(fielding, pauses(5), disk) as batch:
            await all_rows(batch)

        def rows() -> Iterator[tuple[RunRef, Action]]:
            yield from pauses(2)
            batch.stop()
            yield pauses(3)[2]

        def fewer() -> Iterator[tuple[RunRef, Action]]:
            yield from pauses(2)
            batch.stop()

        for given, passed in ((rows(), 3), (fewer(), 2)):
            async with batch_on_disk(fielding, given, disk) as batch:
                assert await all_rows(batch) == []
            assert (batch.leftover, batch.passed) == ((), passed)

    run_with_session(FakeExchange(), act)


class StrictStorage(MemoryStorage):
    """Answers no write that comes after it was closed, as the thread of a file does."""

    def __init__(self, disk: Disk) -> None:
        super().__init__(disk)
        self.closed = False
        self.late = 0

    def write(self, blob: bytes, written: Callable[[OSError | None], None]) -> None:
        if self.closed:
            self.late += 1
        else:
            super().write(blob, written)

    def close(self) -> "asyncio.Future[None]":
        self.closed = True
        return super().close()


def test_nothing_is_written_to_a_journal_that_was_closed() -> None:
    """A batch whose consumer is closed writes no more, and another task that iterates over it comes to its end."""
    storage = StrictStorage(Disk())

    async def act(fielding: FieldingSession) -> None:
        others: list[asyncio.Task[list[Done]]] = []

        async def consume() -> AsyncIterator[Done]:
            async with perform_all(fielding, pauses(40), Options(), storage=lambda: storage) as batch:
                others.append(asyncio.create_task(all_rows(batch)))
                await asyncio.sleep(0.011)  # intents are being written
                yield DoneWithError(*pauses(1)[0], ValueError())

        rows = consume()
        await anext(rows)
        await rows.aclose()  # type: ignore[attr-defined]
        async with asyncio.timeout(60):
            await asyncio.wait(others)
        assert others[0].exception() is None
        assert storage.late == 0

    run_with_session(FakeExchange(), act)


@pytest.mark.parametrize(("cancels", "seconds"), [(1, 1.0), (2, 0.5)])
def test_a_batch_that_was_left_has_unlocked_its_journal(cancels: int, seconds: float) -> None:
    """A cancellation while the journal is being closed comes through after that; a second one does not wait."""

    async def act(fielding: FieldingSession) -> None:
        loop = asyncio.get_running_loop()

        async def consume() -> None:
            async with batch_on_disk(fielding, [], Disk(latency=1.0)) as batch:
                assert await all_rows(batch) == []

        task = asyncio.create_task(consume())
        began = loop.time()
        await asyncio.sleep(0.5)
        for _ in range(cancels):
            task.cancel()
            await asyncio.sleep(0)
        await asyncio.wait([task])
        assert task.cancelled()
        assert loop.time() - began == seconds

    run_with_session(FakeExchange(), act)


def test_a_cancellation_while_leaving_goes_before_what_the_journal_raises() -> None:
    """A task that was cancelled ends as cancelled; that the journal cannot be written is a note."""
    exchange, disk = FakeExchange(), Disk()

    async def act(fielding: FieldingSession) -> None:
        async def consume() -> None:
            async with batch_on_disk(fielding, pauses(40), disk, concurrency=4) as batch:
                await anext(batch)
                disk.fail_after = 0

        task = asyncio.create_task(consume())
        while disk.fail_after is None or exchange.requests["get"] < 8:
            await asyncio.sleep(0.001)
        task.cancel()  # the intents of the next rows are being written
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert any("nothing more is sent" in note for note in caught.value.__notes__)

    run_with_session(exchange, act)


class _ThreadHoldingLoop(asyncio.SelectorEventLoop):
    """A loop that holds the journal's thread in its last call from another thread until `forgotten` is set."""

    def __init__(self, calls_left: int) -> None:
        super().__init__()
        self.calls_left = calls_left
        self.forgotten = threading.Event()

    def call_soon_threadsafe(
        self, callback: Callable[..., object], *args: object, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        handle = super().call_soon_threadsafe(callback, *args, context=context)
        self.calls_left -= 1
        if self.calls_left == 0:
            assert self.forgotten.wait(HANG)
        return handle


@pytest.mark.parametrize("is_closed", [True, False], ids=["closed", "forgotten"])
def test_a_batch_that_outlives_its_loop_gives_its_journal_back(tmp_path: Path, is_closed: bool) -> None:
    """An async generator around a batch that is closed, or forgotten, after its loop has ended leaves no lock."""
    exchange, path = FakeExchange(), tmp_path / "journal"

    async def rows(fielding: FieldingSession) -> AsyncGenerator[Done]:
        async with fielding.perform_all(pauses(1), journal=path) as batch:
            async for done in batch:
                yield done

    async def begin() -> AsyncGenerator[Done]:
        async with session_on(exchange) as fielding:
            generator = rows(fielding)
            assert (await anext(generator)).error is None
            return generator

    loop = _ThreadHoldingLoop(calls_left=3)  # of the loading, the intent and the end
    generator = loop.run_until_complete(begin())
    loop.close()
    if is_closed:
        with pytest.raises(StopIteration):
            generator.aclose().send(None)
    del generator
    gc.collect()
    assert loop.calls_left == 0
    loop.forgotten.set()
    for thread in threading.enumerate():
        if thread.name == "fielding-journal":
            thread.join(10)

    async def resume() -> None:
        async with session_on(exchange) as fielding, fielding.perform_all(pauses(1), journal=path) as batch:
            assert await all_rows(batch) == []
            assert batch.passed == 1

    asyncio.run(resume())
    assert exchange.applied == [("run0", "pause")]
