"""The pauses of a session, as the journal of a batch holds them. In virtual time."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from fielding_async import Action, Done, JournalEvent, Pause, RateLimitError, RunRef
from fielding_async.batch.options import Options
from fielding_async.batch.pauses import PauseRecorder
from fielding_async.batch.perform_all import perform_all
from fielding_async.core.wire.replies import Attempted, Response
from fielding_async.http.transport import Outgoing
from tests.tools import virtual_time
from tests.tools.fake_exchange import FakeExchange, ref_of, session_on
from tests.tools.fake_storage import Disk, MemoryStorage

START = 1000.0  # of the loop's clock


class Refusing(FakeExchange):
    """Answers with 429 from one time to another."""

    def __init__(self, begin: float, end: float, retry_after: str) -> None:
        super().__init__()
        self.begin, self.end = begin, end
        self.refusal = Response(429, {"Retry-After": retry_after}, b'{"object":"too_many_requests"}')

    def answer(self, outgoing: Outgoing, name: str, action: str) -> Attempted:
        at = asyncio.get_running_loop().time() - START
        return self.refusal if self.begin <= at < self.end else super().answer(outgoing, name, action)


def pauses(count: int) -> Iterator[tuple[RunRef, Action]]:
    return ((ref_of(number), Pause()) for number in range(count))


def perform(exchange: FakeExchange, disk: Disk, rows: int) -> list[Done]:
    """Perform rows in a process of their own."""

    async def main() -> list[Done]:
        async with session_on(exchange) as fielding:
            context = perform_all(fielding, pauses(rows), Options(), storage=lambda: MemoryStorage(disk))
            async with context as batch:
                return [done async for done in batch]

    return virtual_time.run(main())


def events_of(disk: Disk) -> list[JournalEvent]:
    return disk.replayed(keep=True).events


def took(event: JournalEvent) -> float:
    assert event.began_at is not None
    assert event.ended_at is not None
    return (event.ended_at - event.began_at).total_seconds()


def groups_of(disk: Disk) -> list[list[bytes]]:
    """The records of each group."""
    found: list[list[bytes]] = []
    for line in disk.data.splitlines()[1:]:
        if line.startswith(b'{"commit":'):
            found.append([])
        else:
            found[-1].append(line)
    return found


def test_a_pause_is_on_record_with_its_times() -> None:
    """Eight requests meet a 429 each: that is one pause, of as many seconds as the server asks for."""
    disk = Disk()
    done = perform(Refusing(0.1, 0.12, "30"), disk, 200)
    assert all(row.outcome is not None for row in done)
    (event,) = events_of(disk)
    assert (event.kind, event.count) == ("pause", 1)
    assert "429" in event.reason
    assert event.seconds is not None
    assert 30 <= event.seconds < 30.1
    assert abs(took(event) - event.seconds) < 0.01
    assert event.ended_at is not None
    assert event.time >= event.ended_at


def test_no_group_is_written_for_a_pause() -> None:
    """Its record is in a group that is written for rows."""
    disk = Disk()
    perform(Refusing(0.1, 0.12, "30"), disk, 200)
    with_pause = [group for group in groups_of(disk) if any(b'"event":"pause"' in line for line in group)]
    assert len(with_pause) == 1
    assert len(with_pause[0]) > 1


def test_pauses_with_nothing_recorded_between_them_are_one_record() -> None:
    """The server refuses again after each pause, four times."""
    disk = Disk()
    perform(Refusing(0.1, 15.0, "4"), disk, 200)
    (event,) = events_of(disk)
    assert event.count == 4
    assert event.seconds is not None
    assert 16 <= event.seconds <= took(event) < 16.1


class Recorded:
    """Stands in for a journal and a limiter, with a clock of its own, and keeps what is recorded."""

    def __init__(self) -> None:
        self.now = 0.0
        self.on_pause: dict[Callable[[RateLimitError, float], None], None] = {}
        self.refusal: RateLimitError | None = None
        self.pause_left = 0.0
        self.before_group: Callable[[], None] | None = None
        self.records: list[dict[str, Any]] = []

    def record_pauses(self, seconds: float, reason: str, **more: Any) -> None:
        self.records.append({"seconds": seconds, "reason": reason, **more})

    def pause(self, seconds: float) -> None:
        for observe in self.on_pause:
            observe(RateLimitError("429", status=429), self.now + seconds)


def test_thousands_of_pauses_are_some_hundred_records() -> None:
    """All of them are counted, and their seconds add up; the first fifty have a record each."""
    world: Any = Recorded()
    recorder = PauseRecorder(world, world, lambda: world.now)
    recorder.begin()
    for _ in range(20_000):
        world.pause(0.1)
        world.now += 0.05
        world.pause(0.15)  # moves the end of the pause
        world.before_group()  # a group in a pause does not hold it yet
        world.now += 0.65
        world.before_group()
    recorder.end()
    recorder.end()
    records = world.records
    assert sum(record["count"] for record in records) == 20_000
    assert abs(sum(record["seconds"] for record in records) - 20_000 * 0.2) < 0.01
    assert 100 < len(records) < 600
    assert [record["count"] for record in records[:50]] == [1] * 50
    assert all(before["ended"] <= after["began"] for before, after in itertools.pairwise(records))
    assert not world.on_pause


def test_a_batch_records_a_pause_that_is_under_way_at_its_begin_or_end() -> None:
    """From when the batch begins, and up to when it is left."""
    disks = Disk(), Disk()
    exchange = Refusing(0.0, 0.05, "40")

    async def main() -> None:
        async with session_on(exchange) as fielding:
            call = asyncio.create_task(fielding.run(ref_of("other")).get(timeout=None))
            await asyncio.sleep(10)
            assert fielding.stats().pause_left > 25
            context = perform_all(fielding, pauses(5), Options(), storage=lambda: MemoryStorage(disks[0]))
            async with context as batch:
                assert len([done async for done in batch]) == 5
            exchange.begin, exchange.end = 100.0, 100.5
            await asyncio.sleep(100 - (asyncio.get_running_loop().time() - START) + 0.1)
            context = perform_all(fielding, pauses(9), Options(stop="cancel"), storage=lambda: MemoryStorage(disks[1]))
            async with context as batch:
                reading = asyncio.create_task(anext(batch))
                await asyncio.sleep(15)
                reading.cancel()
            await call

    virtual_time.run(main())
    (first,), (second,) = (events_of(disk) for disk in disks)
    assert 29 < took(first) < 31
    assert 14 < took(second) <= 15


def test_pauses_of_a_session_end_with_the_batch() -> None:
    """A batch that was left observes no more."""

    async def main() -> None:
        async with session_on(FakeExchange()) as fielding:
            async with perform_all(fielding, pauses(3), Options(), storage=lambda: MemoryStorage(Disk())) as batch:
                assert len(fielding.engine().limiter.on_pause) == 1
                assert len([done async for done in batch]) == 3
            assert not fielding.engine().limiter.on_pause

    virtual_time.run(main())
