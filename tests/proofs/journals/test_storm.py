"""Journals with up to six lives, each with options of its own and an end of its own, in virtual time.

What holds at every moment is checked when a write leaves, when a row is told of, and when a life ends: nothing is
applied twice, no row leaves before those before it on its run have ended, and no word is taken back.
"""

import asyncio
import contextvars
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from attrs import define, field

from fielding_async import (
    Batch,
    Complete,
    ConfigurationError,
    Done,
    FieldingError,
    FieldingSession,
    JournalError,
    LaunchNow,
    OutcomeUnknownError,
    Pause,
    Relaunch,
    Resume,
    RunRef,
    SessionClosedError,
    SkippedError,
    Update,
)
from fielding_async.batch.options import Options
from fielding_async.batch.perform_all import perform_all
from fielding_async.core.wire.replies import Attempted, Lost, Response
from fielding_async.engine.engine import DEFAULT
from fielding_async.http.transport import Outgoing
from fielding_async.journal.replay import Replay
from tests.tools import virtual_time
from tests.tools.fake_exchange import FakeExchange, ref_of
from tests.tools.fake_storage import Disk, MemoryStorage
from tests.tools.journal_lives import colleague, intent_on_record, kill, new_session, target

Rows = list[tuple[RunRef, Any]]
FIRST_END = datetime(2031, 2, 1, tzinfo=UTC)
REFUSALS: list[Attempted] = [
    Response(400, {}, b"<html>"),
    Response(401, {}, b"{}"),
    Response(403, {}, b"{}"),
    Response(404, {}, b"{}"),
    Response(409, {}, b"{}"),
    Response(429, {"Retry-After": "0.2"}, b"{}"),
    Response(500, {}, b"{}"),
    Response(503, {}, b"{}"),
]
UNREADABLE: list[Attempted] = [
    Response(502, {}, b""),
    Response(200, {}, b"?"),
    Response(302, {"Location": "/"}, b""),
    Lost("cut"),
]
IS_DIRECT: contextvars.ContextVar[bool] = contextvars.ContextVar("is_direct", default=False)


class InputError(Exception):
    """What an input raises in its midst."""


class StormDisk(Disk):
    """A disk that can be full for a while, with half of a group written."""

    def crash(self, dice: Random) -> None:
        before = len(self.data)
        super().crash(dice)
        if dice.random() < 0.3 and len(self.data) > before:  # the size is there, and not all of the data
            whole = dice.randrange(before, len(self.data))
            self.data = self.data[:whole] + bytes(len(self.data) - whole)

    def tear(self, blob: bytes, dice: Random) -> None:
        self.data += blob[: dice.randrange(len(blob))]


@define(eq=False)
class World:
    """One exchange, one disk, and what was seen of all lives."""

    dice: Random
    faults: float
    rivals: float
    disk: StormDisk
    rows: Rows
    exchange: FakeExchange = field(factory=FakeExchange)
    replay: Replay = field(factory=Replay)
    read: int = 0
    landing: "Counter[int]" = field(factory=Counter)
    applied: "Counter[int]" = field(factory=Counter)
    sent: "dict[str, list[int]]" = field(factory=lambda: defaultdict(list))
    order: "dict[str, list[int]]" = field(factory=lambda: defaultdict(list))
    words: "dict[int, str]" = field(factory=dict)
    told: "set[int]" = field(factory=set)
    log: "list[str]" = field(factory=list)

    def ends(self) -> "dict[int, str]":
        """Return how rows ended, as the disk has it by now."""
        found: dict[int, str] = {}
        for line in self.disk.data.splitlines(keepends=True)[1:]:
            if line.endswith(b"\n") and line.startswith(b'{"end"'):
                record = json.loads(line)
                assert record["end"] not in found, "a row ended twice"
                found[record["end"]] = record["as"]
        return found

    def earlier_of_its_run(self, number: int) -> "list[int]":
        ref = self.rows[number][0]
        return [other for other in range(number) if self.rows[other][0] == ref]


@define(eq=False)
class Life:
    """One process: its options, and the rows in flight that it found."""

    world: World
    options: Options
    found: Replay = field(factory=Replay)
    dead: bool = False
    full: bool = False

    async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
        world, dice, loop = self.world, self.world.dice, asyncio.get_running_loop()
        if self.dead:
            await loop.create_future()
        name, action = target(outgoing)
        is_write = outgoing.method != "GET"
        if dice.random() < world.faults / 3:
            await asyncio.sleep(dice.choice([0.001, 0.5]))
            return dice.choice([Lost("cut"), *REFUSALS]) if not is_write else dice.choice(REFUSALS)
        await outgoing.leave()
        number = self.leaves(outgoing, name) if is_write and not IS_DIRECT.get() else None
        reply: asyncio.Future[Attempted] = loop.create_future()
        is_lost = dice.random() < world.faults
        late = dice.choice([0.005, 0.005, 0.005, 0.05, 3.0 if is_lost and is_write else 0.02])

        def settle(answer: Attempted) -> None:
            if not reply.done():
                reply.set_result(answer)

        def land() -> None:
            if number is not None:
                world.landing[number] -= 1
            answer = self.take(outgoing, name, action, number)
            loop.call_later(0.005, settle, dice.choice(UNREADABLE) if is_lost else answer)

        if is_lost and dice.random() < 0.3:
            loop.call_later(0.5, settle, Lost("cut"))
        else:
            if number is not None:
                world.landing[number] += 1
            loop.call_later(late, land)
        loop.call_later(1.0, settle, Lost("no reply", timed_out=True))
        return await reply

    async def aclose(self) -> None:
        """Do nothing."""

    def leaves(self, outgoing: Outgoing, name: str) -> int:
        """Return the row that a write is of, and check that it may leave now."""
        world = self.world
        number = intent_on_record(world.disk, outgoing)
        ends = world.ends()
        assert number not in ends, "a write left of a row that has ended"
        world.sent[name].append(number)
        assert world.sent[name] == sorted(world.sent[name]), "a row left after a later one of its run"
        for other in world.earlier_of_its_run(number):
            assert other in ends, f"row {number} left before row {other} of its run had ended"
            if self.options.on_row_failure == "skip" and number not in self.found.open:
                assert ends[other] not in {"failed", "unknown"}, (
                    f"row {number} left after row {other} had not ended well"
                )
        return number

    def take(self, outgoing: Outgoing, name: str, action: str, number: int | None) -> Attempted:
        before = len(self.world.exchange.applied)
        answer = self.world.exchange.answer(outgoing, name, action)
        if len(self.world.exchange.applied) > before and number is not None:
            self.world.applied[number] += 1
            self.world.order[name].append(number)
            assert self.world.applied[number] == 1, f"row {number} was applied twice"
        return answer

    def tell(self, done: Done, batch: Batch) -> None:
        """Check what is told of a row."""
        world = self.world
        word = word_of(done)
        assert done.number not in world.words, f"row {done.number} is told of again: {world.words[done.number]}, {word}"
        on_record = world.ends().get(done.number)
        if on_record is None:
            if self.full:  # no life can know of it, but it is true
                assert (word != "accepted") or world.applied[done.number] == 1
                if word in {"failed", "skipped", "already"} and done.number not in self.found.open:
                    assert not world.applied[done.number]
                    assert not world.landing[done.number]
                return
            not_yet = (JournalError, SessionClosedError, OutcomeUnknownError, SkippedError, ConfigurationError)
            assert isinstance(done.error, not_yet), (
                f"row {done.number} is told of as {done.error!r}, and that is not on record"
            )
            return
        assert on_record == word, f"row {done.number} is on record as {on_record}, and told of as {word}"
        world.words[done.number] = word


class StormStorage(MemoryStorage):
    """The disk, full now and then."""

    def __init__(self, life: Life) -> None:
        super().__init__(life.world.disk)
        self.life = life

    def write(self, blob: bytes, written: Callable[[OSError | None], None]) -> None:
        disk, life = self.life.world.disk, self.life
        if life.full:
            if disk.life == self._life:
                disk.tear(blob, life.world.dice)
            asyncio.get_running_loop().call_later(disk.latency, written, OSError(28, "No space left on device"))
            return
        super().write(blob, written)


def word_of(done: Done) -> str:
    if done.outcome is not None:
        return done.outcome.effect
    if isinstance(done.error, OutcomeUnknownError):
        return "unknown"
    return "skipped" if isinstance(done.error, SkippedError) else "failed"


def rows_of(dice: Random) -> Rows:
    """Draw a plan: a few rows for each run, some of them twice over, some bad, some updates with one date."""
    rows: Rows = []
    runs = dice.randint(1, 8)
    for number in range(dice.randint(1, 30)):
        ref = ref_of(dice.randrange(runs))
        kind = dice.random()
        action: Any
        if kind < 0.3:
            action = Update(end_fielding_at=FIRST_END + timedelta(seconds=number))
        elif kind < 0.4:
            action = Update(start_fielding_at=datetime(2029, 1, 1, tzinfo=UTC) + timedelta(seconds=number))
        elif kind < 0.45:
            action = Update()
        else:
            action = dice.choice([Pause(), Resume(), Pause(), Resume(), Complete(), Relaunch(), LaunchNow()])
        rows.append((ref, action))
        if dice.random() < 0.1:
            rows.append(rows[-1])
    return rows


def options_of(dice: Random) -> Options:
    def stop_on(done: Done) -> bool:
        return done.error is not None and dice.random() < 0.1

    return Options(
        concurrency=dice.choice([None, 1, 2, 5]),
        look_ahead=dice.choice([1, 3, 1000]),
        on_row_failure=dice.choice(["skip", "continue"]),
        stop=dice.choice(["drain", "cancel"]),
        stop_on=dice.choice([None, None, None, stop_on]),
        on_conflict=dice.choice(["reapply", "reapply", "raise"]),
        timeout=dice.choice([DEFAULT, DEFAULT, None, 0.02, 0.3, 1.5]),
    )


def input_of(dice: Random, rows: Rows, *, whole: bool) -> Any:
    """Return the rows as an input, sync or async, slow or not; unless it is `whole`, it may end or raise early."""
    end = len(rows) if whole or dice.random() < 0.7 else dice.randrange(len(rows) + 1)
    raises = not whole and dice.random() < 0.1

    def plain() -> Iterator[Any]:
        yield from rows[:end]
        if raises:
            raise InputError

    async def slow() -> AsyncIterator[Any]:
        for row in rows[:end]:
            if dice.random() < 0.3:
                await asyncio.sleep(dice.choice([0, 0.01, 0.2]))
            yield list(row)
        if raises:
            raise InputError

    return plain() if dice.random() < 0.5 else slow()


async def perform(world: World, life: Life, ending: str, patience: float, *, whole: bool) -> None:
    """Live one life to its end: a batch, or a second one of the same session after the first."""
    dice = world.dice
    async with new_session(life, dice) as fielding:
        again = dice.random() < 0.3
        await perform_one(world, life, fielding, ending, patience, whole=whole)
        if again and not whole and not life.dead and ending in {"stop", "leave", "full"}:
            life.full = False
            life.options = options_of(dice)
            world.log.append(f"again: {life.options}")
            await perform_one(world, life, fielding, "close", 3 * patience, whole=False)


async def perform_one(
    world: World, life: Life, fielding: FieldingSession, ending: str, patience: float, *, whole: bool
) -> None:
    """Perform one batch, and check the account that it gives of itself."""
    dice, loop = world.dice, asyncio.get_running_loop()
    life.found = Replay()
    for line in world.disk.data.splitlines(keepends=True)[1:]:
        life.found.feed(line)
    told: list[int] = []
    batches: list[Batch] = []

    def end_it() -> None:
        (batch,) = batches
        if life.dead:
            return
        world.log.append(f"{loop.time():.3f} {ending}")
        if ending == "stop":
            batch.stop(cancel=dice.random() < 0.5)
        elif ending == "close":
            closing.append(loop.create_task(fielding.aclose()))
        elif ending == "full":
            life.full = True

    async def directly() -> None:
        IS_DIRECT.set(True)
        while dice.random() < 0.9:
            await asyncio.sleep(dice.expovariate(2))
            try:
                run = fielding.run(ref_of(dice.randrange(8)))
                await run.perform(dice.choice([Pause(), Resume()]), timeout=dice.choice([0.5, None]))
            except FieldingError:
                pass

    closing: list[asyncio.Task[None]] = []
    direct: asyncio.Task[None] | None = None
    problem: FieldingError | None = None
    try:
        rows = input_of(dice, world.rows, whole=whole)
        if not whole and dice.random() < 0.3:
            direct = loop.create_task(directly())
        context = perform_all(fielding, rows, life.options, storage=lambda: StormStorage(life))
        async with context as batch:
            batches.append(batch)
            assert batch.earlier == life.found.counts()
            leave_at = loop.time() + patience
            loop.call_later(patience, end_it)
            async for done in batch:
                if life.dead:
                    return
                world.log.append(f"{loop.time():.3f} {done.number} {word_of(done)} {done.error!r:.150}")
                life.tell(done, batch)
                told.append(done.number)
                if ending == "leave" and loop.time() > leave_at:
                    break
                if dice.random() < 0.05:
                    await asyncio.sleep(0.1)
        if direct is not None:
            direct.cancel()
    except InputError:
        pass
    except (SessionClosedError, JournalError, ConfigurationError) as error:
        problem = error
    finally:
        if direct is not None:
            direct.cancel()
        await asyncio.gather(*closing)
    if life.dead:
        return
    if problem is not None:
        expected = ("the session was closed", "cannot be written: No space left", "this one ends after")
        assert not whole
        assert any(reason in str(problem) for reason in expected)
    (batch,) = batches
    left = {row.number: row for row in batch.leftover}
    assert len(left) == len(batch.leftover)
    assert not left.keys() & set(told)
    assert len(left) + len(told) + batch.passed == batch.taken
    ends = world.ends()
    for number, row in left.items():
        if row.state == "never sent":
            assert number not in ends
            assert not world.applied[number]
            assert not world.landing[number]
        elif row.state == "unknown":
            assert number not in ends
        else:
            assert row.done is not None
            if number in ends:
                assert ends[number] == word_of(row.done)
                world.words[number] = ends[number]
    after = Replay()
    for line in world.disk.data.splitlines(keepends=True)[1:]:
        after.feed(line)
    for number in range(batch.taken):
        if world.landing[number] > 0 and not life.full:
            assert number in after.open or after.state(number) is not None, "a write under way is forgotten"


async def storm(world: World) -> None:
    """Let lives come and go, and the last one come to the end of the plan."""
    dice = world.dice
    names = [ref.fielding_run_id for ref, _ in world.rows]
    statuses = ("live", "paused", "live", "paused", "completed", "scheduled")
    colleague(world.exchange, names, dice, rate=world.rivals, statuses=statuses)
    lives = dice.randint(0, 5)
    for number in range(lives + 1):
        is_last = number == lives
        life = Life(world, options_of(dice))
        ending = (
            "none" if is_last else dice.choice(["kill", "kill", "kill", "stop", "close", "leave", "full", "cancel"])
        )
        if is_last:
            world.faults = 0.0
            life.options = Options(on_row_failure=life.options.on_row_failure)
            await asyncio.sleep(10)
        world.log.append(f"life {number}: {ending} {life.options}")
        patience = dice.expovariate(dice.choice([1, 5, 30]))
        task = asyncio.create_task(perform(world, life, ending, patience, whole=is_last))
        await asyncio.wait([task], timeout=patience if ending in {"kill", "cancel"} else 1000)
        if task.done():
            await task
        elif ending == "kill":
            life.dead = True
            await kill(world.disk, dice)
        else:
            assert ending == "cancel", ending
            task.cancel()
            while not task.done():
                await asyncio.wait([task], timeout=1)
                if not task.done():
                    task.cancel()
            if not task.cancelled():
                await task
        await asyncio.sleep(dice.choice([0.0, 0.001, 0.02, 1.0, 10.0]))
    await asyncio.sleep(20)


def check(world: World) -> None:
    """What holds once all is over."""
    ends = world.ends()
    replay = Replay(keep=True)
    for line in world.disk.data.splitlines(keepends=True)[1:]:
        replay.feed(line)
    states = {"failed", "unknown", "skipped"}
    assert {row.number: row.state for row in replay.rows} == {row: end for row, end in ends.items() if end in states}
    assert replay.counts().ended == len(ends)
    assert not replay.open
    # whoever resumes goes on with what was merely broken off
    assert not {row.error for row in replay.rows} & {"SessionClosedError", "JournalError", "AssertionError"}
    assert sorted(ends) == list(range(len(world.rows)))
    for number, end in ends.items():
        if end == "accepted":
            assert world.applied[number] == 1, (number, end)
        elif end in {"already", "failed", "skipped"}:
            assert world.applied[number] == 0, (number, end)
        if end == "skipped":
            reasons = {ends[other] for other in world.earlier_of_its_run(number)}
            assert reasons & {"failed", "unknown"}, f"row {number} was skipped for nothing"
    for number, word in world.words.items():
        assert ends[number] == word
    for numbers in world.order.values():
        assert numbers == sorted(numbers)


def run(seed: int) -> World:
    dice = Random(seed)
    world = World(
        dice,
        faults=dice.choice([0.0, 0.05, 0.3]),
        rivals=dice.choice([0.0, 0.5, 5.0]),
        disk=StormDisk(dice.choice([0.0005, 0.01])),
        rows=rows_of(dice),
    )
    try:
        virtual_time.run(storm(world))
        check(world)
    except BaseException as error:
        error.add_note("\n".join(world.log[-60:]))
        raise
    return world


@pytest.mark.parametrize("seed", range(200))
def test_no_word_is_taken_back_over_many_lives(seed: int) -> None:
    """Whatever ends the lives of a journal, and whatever the options of each, what is told and on record is true."""
    run(seed)
