"""When the records of a batch are made durable: together with others that may come, and at once if none can."""

import asyncio

import pytest

from fielding_async import Action, Limits, Pause, Resume, RunRef
from fielding_async.batch.options import Options
from fielding_async.batch.perform_all import perform_all
from tests.tools import virtual_time
from tests.tools.fake_exchange import FakeExchange, ref_of, session_on
from tests.tools.fake_storage import Disk, MemoryStorage

LATENCY = 0.01  # of an exchange
DISK = 0.002  # of a write to the disk


def perform(rows: "list[tuple[RunRef, Action]]", concurrency: int) -> tuple[float, int]:
    """Return how long a batch took, in virtual seconds, and how many groups were made durable."""
    exchange, disk = FakeExchange(LATENCY), Disk(DISK)

    async def main() -> float:
        began = asyncio.get_running_loop().time()
        async with (
            session_on(exchange, limits=Limits(concurrency=33, adaptive=False)) as fielding,
            perform_all(
                fielding, iter(rows), Options(concurrency=concurrency), storage=lambda: MemoryStorage(disk)
            ) as batch,
        ):
            async for done in batch:
                assert done.error is None
            return asyncio.get_running_loop().time() - began

    seconds = virtual_time.run(main())
    assert len(exchange.applied) == len(rows)
    return seconds, disk.writes


@pytest.mark.parametrize(
    "rows", [[(ref_of(n), Pause()) for n in range(50)], [(ref_of(0), Pause()), (ref_of(0), Resume())] * 25]
)
def test_rows_one_at_a_time_wait_for_the_disk_alone(rows: "list[tuple[RunRef, Action]]") -> None:
    """An intent that no other can join is made durable at once, among many runs and within one."""
    seconds, _ = perform(rows, concurrency=1)
    gets = len({ref for ref, _ in rows})
    assert seconds <= (gets + len(rows)) * LATENCY + (len(rows) + 2) * DISK + 0.01


def test_rows_side_by_side_are_made_durable_together() -> None:
    """Rows that go at the same pace share a group for their intents, and the ends go with the next ones."""
    rows: list[tuple[RunRef, Action]] = [(ref_of(number), Pause()) for number in range(640)]
    seconds, groups = perform(rows, concurrency=32)
    assert groups <= 2 * 640 / 32 + 3
    assert seconds <= 20 * (2 * LATENCY + DISK) + 0.02
