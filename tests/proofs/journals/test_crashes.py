"""Batches killed at random moments and resumed, in virtual time: late requests, lost replies, colleagues, torn disks.

A kill ends every task of the process and whatever it was writing to its journal; requests that had left land all the
same, now or long after the next process has begun.
"""

import asyncio
import json
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from attrs import define, field

from fielding_async import (
    Action,
    Batch,
    Complete,
    Done,
    JournalError,
    LaunchNow,
    Pause,
    Relaunch,
    Resume,
    RunRef,
    Update,
)
from fielding_async.batch.options import Options
from fielding_async.batch.perform_all import perform_all
from fielding_async.core.wire.replies import Attempted, Lost
from fielding_async.http.transport import Outgoing
from fielding_async.journal.replay import Replay
from tests.tools import virtual_time
from tests.tools.fake_exchange import FakeExchange, ref_of, session_on
from tests.tools.fake_storage import Disk, MemoryStorage
from tests.tools.journal_lives import colleague, intent_on_record, kill, new_session, target

Rows = list[tuple[RunRef, Action]]
FIRST_END = datetime(2031, 2, 1, tzinfo=UTC)


@define(eq=False)
class World:
    """One exchange, one disk, and processes that come and go."""

    dice: Random
    losses: float = 0.0
    rivals: float = 0.0
    kills: float = 1.0
    latest: float = 3.0
    calendar: bool = False
    exchange: FakeExchange = field(factory=FakeExchange)
    disk: Disk = field(factory=Disk)
    landing: int = 0
    applied: "Counter[int]" = field(factory=Counter)
    order: "dict[str, list[int]]" = field(factory=lambda: defaultdict(list))
    yielded: list[Done] = field(factory=list)


class Line:
    """The `Transport` of one process; `dead` once it was killed."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.dead = False

    async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
        world, dice, loop = self.world, self.world.dice, asyncio.get_running_loop()
        if self.dead:
            await loop.create_future()
        await outgoing.leave()
        number = None if outgoing.method == "GET" else intent_on_record(world.disk, outgoing)
        reply: asyncio.Future[Attempted] = loop.create_future()
        is_lost = outgoing.method != "GET" and dice.random() < world.losses
        may_be_late = is_lost or (world.calendar and outgoing.method != "GET")
        late = dice.choice([0.005, 0.005, 0.005, 0.05, world.latest if may_be_late else 0.02])

        def settle(answer: Attempted) -> None:
            if not reply.done():
                reply.set_result(answer)

        def land() -> None:
            world.landing -= 1
            answer = take(world, outgoing, number)
            if not is_lost:
                loop.call_later(0.005, settle, answer)

        world.landing += 1
        if is_lost and dice.random() < 0.3:
            world.landing -= 1  # lost on its way
        else:
            loop.call_later(late, land)
        loop.call_later(1.0, settle, Lost("no reply", timed_out=True))
        return await reply

    async def aclose(self) -> None:
        """Do nothing."""


def take(world: World, outgoing: Outgoing, number: int | None) -> Attempted:
    """Have the exchange judge a request, and note which row a write that it applied was of."""
    name, action = target(outgoing)
    before = len(world.exchange.applied)
    answer = world.exchange.answer(outgoing, name, action)
    if len(world.exchange.applied) > before:
        assert number is not None
        world.applied[number] += 1
        world.order[name].append(number)
    return answer


def rows_of(dice: Random, *, legal: bool) -> Rows:
    """Draw a plan: each run has a few rows, each update with dates of its own; if `legal`, every one can be done."""
    per_run: list[Rows] = []
    for name in range(dice.randint(1, 12)):
        rows: Rows = []
        pausing = True
        for turn in range(dice.randint(1, 4)):
            if dice.random() < 0.5:
                rows.append((ref_of(name), Update(end_fielding_at=FIRST_END + timedelta(days=name, seconds=turn))))
            else:
                pausing = pausing if legal else dice.random() < 0.5
                rows.append((ref_of(name), Pause() if pausing else Resume()))
                pausing = not pausing
        if pausing and dice.random() < 0.3:
            rows.append((ref_of(name), Complete()))
        per_run.append(rows)
    plan: Rows = []
    while per_run:
        rows = dice.choice(per_run)
        plan.append(rows.pop(0))
        if not rows:
            per_run.remove(rows)
    return plan


async def process(world: World, line: Line, rows: Rows) -> None:
    """Perform the plan, or what is left of it, as a process of its own would."""
    async with new_session(line, world.dice) as fielding:
        context = perform_all(fielding, iter(rows), Options(), storage=lambda: MemoryStorage(world.disk))
        async with context as batch:
            async for done in batch:
                if not line.dead:
                    world.yielded.append(done)


def calendar(world: World, names: list[str]) -> None:
    """Let each run begin in any status, and start and come to its end by itself, under the ETag it has then."""
    loop, dice = asyncio.get_running_loop(), world.dice

    def move(run: dict[str, Any], status: str, later: str) -> None:
        if run["status"] == status:
            run["status"] = later

    for name in dict.fromkeys(names):
        run = world.exchange.run(name)
        run["status"] = dice.choice(["scheduled", "scheduled", "live", "paused", "completed"])
        start, length = dice.uniform(0, 3), dice.uniform(1, 6)
        loop.call_later(start, move, run, "scheduled", "live")
        loop.call_later(start + length, move, run, "live", "completed")


async def live(world: World, rows: Rows) -> int:
    """Let processes come and be killed until one comes to the end of the plan. Return how many were killed."""
    names = [ref.fielding_run_id for ref, _ in rows]
    if world.calendar:
        calendar(world, names)
    colleague(world.exchange, names, world.dice, rate=world.rivals, statuses=("live", "paused"))
    for kills in range(100):
        line = Line(world)
        task = asyncio.create_task(process(world, line, rows))
        patience = world.dice.expovariate(1 / world.kills) if kills < 12 else 10_000
        await asyncio.wait([task], timeout=patience)
        if task.done():
            await task
            break
        line.dead = True
        await kill(world.disk, world.dice)
        await asyncio.sleep(world.dice.choice([0.0, 0.001, 0.02, 1.0, 10.0]))
    await asyncio.sleep(20)
    assert world.landing == 0
    return kills


def ends(world: World) -> dict[int, str]:
    """Return how each row ended, as the journal says; and check that it can be read and is complete."""
    replay = Replay()
    found: dict[int, str] = {}
    for line in world.disk.data.splitlines(keepends=True)[1:]:
        replay.feed(line)
        record = json.loads(line)
        if "end" in record:
            assert record["end"] not in found, "a row ended twice"
            found[record["end"]] = record["as"]
    assert not replay.open
    return found


def check(world: World, rows: Rows) -> dict[int, str]:
    """What holds in every world: nothing twice, input order within a run, and no false word in the journal."""
    assert all(times == 1 for times in world.applied.values()), world.applied
    for numbers in world.order.values():
        assert numbers == sorted(numbers)
    found = ends(world)
    assert sorted(found) == list(range(len(rows)))
    for number, end in found.items():
        if end == "accepted":
            assert world.applied[number] == 1, (number, end)
        elif end in {"already", "failed", "skipped"}:
            assert world.applied[number] == 0, (number, end)
    told = Counter(done.number for done in world.yielded)
    assert set(told.values()) <= {1}, "a row was yielded twice"
    for done in world.yielded:
        word = done.outcome.effect if done.outcome else type(done.error).__name__
        word = {"OutcomeUnknownError": "unknown", "SkippedError": "skipped"}.get(word, word)
        assert found[done.number] == (word if done.outcome or word in {"unknown", "skipped"} else "failed")
    return found


@pytest.mark.parametrize("seed", range(60))
def test_kills_alone_change_nothing(seed: int) -> None:
    """Without lost replies and colleagues every row is done and applied exactly once, however often killed."""
    dice = Random(seed)
    world = World(dice, kills=dice.choice([0.02, 0.1, 0.5]), disk=Disk(dice.choice([0.0005, 0.01])))
    rows = rows_of(dice, legal=True)
    virtual_time.run(live(world, rows))
    found = check(world, rows)
    assert set(found.values()) <= {"accepted", "unconfirmed"}
    assert world.applied == Counter(range(len(rows)))


@pytest.mark.parametrize("seed", range(60))
def test_nothing_is_applied_twice_nor_told_falsely(seed: int) -> None:
    """Kills, lost and late requests, colleagues: no row is applied twice, and the journal says nothing false."""
    dice = Random(1000 + seed)
    world = World(
        dice,
        losses=dice.choice([0.05, 0.3]),
        rivals=dice.choice([0.0, 0.5, 5.0]),
        kills=dice.choice([0.05, 0.5, 3.0]),
        disk=Disk(dice.choice([0.0005, 0.01])),
    )
    rows = rows_of(dice, legal=False)
    virtual_time.run(live(world, rows))
    check(world, rows)


@pytest.mark.parametrize("seed", range(120))
def test_what_is_refused_is_told_truly_while_the_calendar_goes_on(seed: int) -> None:
    """Runs that start and end by themselves, requests that land late: no row that is said to have failed is applied."""
    dice = Random(2000 + seed)
    world = World(
        dice,
        losses=dice.choice([0.0, 0.3]),
        rivals=dice.choice([0.0, 0.0, 0.5]),
        kills=dice.choice([0.02, 0.05, 0.5]),
        latest=dice.choice([0.5, 2.0, 4.0]),
        disk=Disk(dice.choice([0.0005, 0.01])),
        calendar=True,
    )
    actions: list[Action] = [LaunchNow(), Pause(), Resume(), Complete(), Relaunch()]
    rows: Rows = []
    for name in range(30):
        choices = [*actions, Update(end_fielding_at=FIRST_END + timedelta(days=name))]
        rows += [(ref_of(name), action) for action in dice.sample(choices, dice.randint(1, 2))]
    virtual_time.run(live(world, rows))
    check(world, rows)


@pytest.mark.parametrize("writes", range(8))
def test_a_full_disk_sends_nothing_that_is_not_on_record(writes: int) -> None:
    """Rows whose intents fail come back unsent, those in flight with their ends, and the iteration raises."""
    exchange, disk = FakeExchange(), Disk(fail_after=writes)

    async def main() -> list[Done]:
        seen: list[Done] = []
        batches: list[Batch] = []
        async with session_on(exchange) as fielding:
            rows: Rows = [(ref_of(number), Pause()) for number in range(200)]
            context = perform_all(fielding, rows, Options(), storage=lambda: MemoryStorage(disk))

            async def consume() -> None:
                async with context as batch:
                    batches.append(batch)
                    async for done in batch:
                        seen.append(done)

            with pytest.raises(JournalError, match="No space left on device; nothing more is sent") as caught:
                await consume()
            (batch,) = batches
            assert isinstance(caught.value.__cause__, OSError)
            assert sorted([*(done.number for done in seen), *(row.number for row in batch.leftover)]) == list(
                range(batch.taken)
            )
            assert {row.state for row in batch.leftover} <= {"never sent"}
        return seen

    seen = virtual_time.run(main())
    assert {type(done.error) for done in seen} <= {type(None), JournalError}
    sent = [done for done in seen if done.error is None]
    assert sorted(f"run{done.number}" for done in sent) == sorted(run for run, _ in exchange.applied)
    assert (writes == 0) is (not sent)
    for done in seen:
        if done.error is not None:
            assert isinstance(done.error.__cause__, OSError)


def test_an_exception_of_the_block_goes_before_that_of_the_journal() -> None:
    """A journal that cannot be written when the block is left does not mask what ended it, but adds a note."""
    disk = Disk(fail_after=4)

    async def main() -> None:
        batches: list[Batch] = []
        async with session_on(FakeExchange(latency=0.5)) as fielding:
            rows: Rows = [(ref_of(number), Pause()) for number in range(200)]
            context = perform_all(fielding, rows, Options(), storage=lambda: MemoryStorage(disk))

            async def consume() -> None:
                async with context as batch:
                    batches.append(batch)
                    await anext(batch)
                    disk.fail_after = 0
                    1 / 0  # noqa: B018

            with pytest.raises(ZeroDivisionError) as caught:
                await consume()
            (batch,) = batches
            assert any("nothing more is sent" in note for note in caught.value.__notes__)
            assert {row.state for row in batch.leftover} == {"ended"}

    virtual_time.run(main())
