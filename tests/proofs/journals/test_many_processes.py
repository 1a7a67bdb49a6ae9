"""Journals that up to six processes use in turn, each with options and an end of its own, in virtual time.

Checked when a write leaves, when a row is yielded, and when a process ends: nothing is applied twice, no row leaves
before those before it on its run have ended, and no reported outcome is taken back.
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
from fielding_async.core.config import DEFAULT_TIMEOUT
from fielding_async.core.wire.replies import Attempted, Lost, Response
from fielding_async.http.transport import Outgoing
from fielding_async.journal.replay import Replay
from tests.tools import virtual_time
from tests.tools.fake_exchange import FakeExchange, ref_of
from tests.tools.fake_storage import Disk, MemoryStorage
from tests.tools.journal_lives import colleague, intent_on_record, kill, new_session, target

pytestmark = [pytest.mark.slow, pytest.mark.once]

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
    """What an input raises between two rows."""


class FullDisk(Disk):
    """A disk that can be full for a while, with half of a group written."""

    def crash(self, dice: Random) -> None:
        before = len(self.data)
        super().crash(dice)
        if dice.random() < 0.3 and len(self.data) > before:  # the file has its size, but not all of its data
            whole = dice.randrange(before, len(self.data))
            self.data = self.data[:whole] + bytes(len(self.data) - whole)

    def tear(self, blob: bytes, dice: Random) -> None:
        self.data += blob[: dice.randrange(len(blob))]


@define(eq=False)
class Scenario:
    """One exchange, one disk, and what was seen of all processes."""

    dice: Random
    faults: float
    colleague_rate: float
    disk: FullDisk
    rows: Rows
    exchange: FakeExchange = field(factory=FakeExchange)
    replay: Replay = field(factory=Replay)
    read: int = 0
    on_the_way: "Counter[int]" = field(factory=Counter)
    applied: "Counter[int]" = field(factory=Counter)
    sent: "dict[str, list[int]]" = field(factory=lambda: defaultdict(list))
    order: "dict[str, list[int]]" = field(factory=lambda: defaultdict(list))
    reported: "dict[int, str]" = field(factory=dict)
    yielded: "set[int]" = field(factory=set)
    log: "list[str]" = field(factory=list)

    def ends(self) -> "dict[int, str]":
        """Return how rows ended, as far as it is on the disk by now."""
        found: dict[int, str] = {}
        whole = self.disk.data[: self.disk.replayed().good_bytes]  # a group counts as a whole
        for line in whole.splitlines(keepends=True):
            if line.startswith(b'{"end"'):
                record = json.loads(line)
                assert record["end"] not in found, "a row ended twice"
                found[record["end"]] = record["as"]
        return found

    def earlier_rows_of_its_run(self, number: int) -> "list[int]":
        ref = self.rows[number][0]
        return [other for other in range(number) if self.rows[other][0] == ref]


@define(eq=False)
class Process:
    """One process, and its `Transport`: its options, and the rows in flight that it found."""

    scenario: Scenario
    options: Options
    found: Replay = field(factory=Replay)
    dead: bool = False
    full: bool = False

    async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
        scenario, dice, loop = self.scenario, self.scenario.dice, asyncio.get_running_loop()
        if self.dead:
            await loop.create_future()
        name, action = target(outgoing)
        is_write = outgoing.method != "GET"
        if dice.random() < scenario.faults / 3:
            await asyncio.sleep(dice.choice([0.001, 0.5]))
            return dice.choice([Lost("cut"), *REFUSALS]) if not is_write else dice.choice(REFUSALS)
        await outgoing.leave()
        number = self.check_write(outgoing, name) if is_write and not IS_DIRECT.get() else None
        reply: asyncio.Future[Attempted] = loop.create_future()
        is_lost = dice.random() < scenario.faults
        late = dice.choice([0.005, 0.005, 0.005, 0.05, 3.0 if is_lost and is_write else 0.02])

        def reply_with(answer: Attempted) -> None:
            if not reply.done():
                reply.set_result(answer)

        def arrive() -> None:
            if number is not None:
                scenario.on_the_way[number] -= 1
            answer = self.answer_request(outgoing, name, action, number)
            loop.call_later(0.005, reply_with, dice.choice(UNREADABLE) if is_lost else answer)

        if is_lost and dice.random() < 0.3:
            loop.call_later(0.5, reply_with, Lost("cut"))
        else:
            if number is not None:
                scenario.on_the_way[number] += 1
            loop.call_later(late, arrive)
        loop.call_later(1.0, reply_with, Lost("no reply", timed_out=True))
        return await reply

    def close_now(self) -> None:
        """Do nothing: nothing was opened."""

    async def aclose(self) -> None:
        """Do nothing."""

    def check_write(self, outgoing: Outgoing, name: str) -> int:
        """Return the row that a write is of, and check that it may leave now."""
        scenario = self.scenario
        number = intent_on_record(scenario.disk, outgoing)
        ends = scenario.ends()
        assert number not in ends, "a write left of a row that has ended"
        scenario.sent[name].append(number)
        assert scenario.sent[name] == sorted(scenario.sent[name]), "a row left after a later one of its run"
        for other in scenario.earlier_rows_of_its_run(number):
            assert other in ends, f"row {number} left before row {other} of its run had ended"
            if self.options.on_row_failure == "skip" and number not in self.found.open:
                assert ends[other] not in {"failed", "unknown"}, (
                    f"row {number} left after row {other} had not ended well"
                )
        return number

    def answer_request(self, outgoing: Outgoing, name: str, action: str, number: int | None) -> Attempted:
        before = len(self.scenario.exchange.applied)
        answer = self.scenario.exchange.answer(outgoing, name, action)
        if len(self.scenario.exchange.applied) > before and number is not None:
            self.scenario.applied[number] += 1
            self.scenario.order[name].append(number)
            assert self.scenario.applied[number] == 1, f"row {number} was applied twice"
        return answer

    def check_yielded(self, done: Done, batch: Batch) -> None:
        """Check a row that is yielded."""
        scenario = self.scenario
        outcome = outcome_name(done)
        assert done.number not in scenario.reported, (
            f"row {done.number} is yielded again: {scenario.reported[done.number]}, {outcome}"
        )
        on_record = scenario.ends().get(done.number)
        if on_record is None:
            if self.full:  # it is not on record, but it is true
                assert (outcome != "accepted") or scenario.applied[done.number] == 1
                if outcome in {"failed", "skipped", "already"} and done.number not in self.found.open:
                    assert not scenario.applied[done.number]
                    assert not scenario.on_the_way[done.number]
                return
            not_yet = (JournalError, SessionClosedError, OutcomeUnknownError, SkippedError, ConfigurationError)
            assert done.is_open or isinstance(done.error, not_yet), (
                f"row {done.number} is yielded as {done.error!r}, and that is not on record"
            )
            return
        assert on_record == outcome, f"row {done.number} is on record as {on_record}, and yielded as {outcome}"
        scenario.reported[done.number] = outcome


class FullDiskStorage(MemoryStorage):
    """The storage on that disk, which is full while `process.full` is set."""

    def __init__(self, process: Process) -> None:
        super().__init__(process.scenario.disk)
        self.process = process

    def write(self, blob: bytes, written: Callable[[OSError | None], None]) -> None:
        disk, process = self.process.scenario.disk, self.process
        if process.full:
            if disk.life == self._life:
                disk.tear(blob, process.scenario.dice)
            asyncio.get_running_loop().call_later(disk.latency, written, OSError(28, "No space left on device"))
            return
        super().write(blob, written)


def outcome_name(done: Done) -> str:
    if done.outcome is not None:
        return done.outcome.effect
    if isinstance(done.error, OutcomeUnknownError):
        return "unknown"
    return "skipped" if isinstance(done.error, SkippedError) else "failed"


def random_rows(dice: Random) -> Rows:
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


def random_options(dice: Random) -> Options:
    def stop_on(done: Done) -> bool:
        return done.error is not None and dice.random() < 0.1

    return Options(
        concurrency=dice.choice([None, 1, 2, 5]),
        look_ahead=dice.choice([1, 3, 1000]),
        on_row_failure=dice.choice(["skip", "continue"]),
        stop=dice.choice(["drain", "cancel"]),
        stop_on=dice.choice([None, None, None, stop_on]),
        on_conflict=dice.choice(["reapply", "reapply", "raise"]),
        timeout=dice.choice([DEFAULT_TIMEOUT, DEFAULT_TIMEOUT, None, 0.02, 0.3, 1.5]),
        wait=dice.choice([0.0, 0.0, 3.0, 600.0]),
    )


def random_input(dice: Random, rows: Rows, *, whole: bool) -> Any:
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


async def perform(scenario: Scenario, process: Process, ending: str, patience: float, *, whole: bool) -> None:
    """Run one process to its end: a batch, or a second one of the same session after the first."""
    dice = scenario.dice
    async with new_session(process, dice) as fielding:
        second_batch = dice.random() < 0.3
        await perform_one(scenario, process, fielding, ending, patience, whole=whole)
        if second_batch and not whole and not process.dead and ending in {"stop", "leave", "full"}:
            process.full = False
            process.options = random_options(dice)
            scenario.log.append(f"second batch: {process.options}")
            await perform_one(scenario, process, fielding, "close", 3 * patience, whole=False)


async def perform_one(
    scenario: Scenario, process: Process, fielding: FieldingSession, ending: str, patience: float, *, whole: bool
) -> None:
    """Perform one batch, and check what it reports."""
    dice, loop = scenario.dice, asyncio.get_running_loop()
    process.found = scenario.disk.replayed()
    yielded: list[int] = []
    batches: list[Batch] = []

    def end_it() -> None:
        (batch,) = batches
        if process.dead:
            return
        scenario.log.append(f"{loop.time():.3f} {ending}")
        if ending == "stop":
            batch.stop(cancel=dice.random() < 0.5)
        elif ending == "close":
            closing.append(loop.create_task(fielding.aclose()))
        elif ending == "full":
            process.full = True

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
        rows = random_input(dice, scenario.rows, whole=whole)
        if not whole and dice.random() < 0.3:
            direct = loop.create_task(directly())
        context = perform_all(fielding, rows, process.options, storage=lambda: FullDiskStorage(process))
        async with context as batch:
            batches.append(batch)
            assert batch.earlier == process.found.counts()
            leave_at = loop.time() + patience
            loop.call_later(patience, end_it)
            async for done in batch:
                if process.dead:
                    return
                scenario.log.append(f"{loop.time():.3f} {done.number} {outcome_name(done)} {done.error!r:.150}")
                process.check_yielded(done, batch)
                yielded.append(done.number)
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
    if process.dead:
        return
    if problem is not None:
        expected = ("the session was closed", "cannot be written: No space left", "this one ends after")
        assert not whole
        assert any(reason in str(problem) for reason in expected)
    (batch,) = batches
    left = {row.number: row for row in batch.leftover}
    assert len(left) == len(batch.leftover)
    assert not left.keys() & set(yielded)
    assert len(left) + len(yielded) + batch.passed == batch.taken
    ends = scenario.ends()
    for number, row in left.items():
        if row.state == "never sent":
            assert number not in ends
            assert not scenario.applied[number]
            assert not scenario.on_the_way[number]
        elif row.state == "unknown":
            assert number not in ends
        else:
            assert row.done is not None
            if number in ends:
                assert ends[number] == outcome_name(row.done)
                scenario.reported[number] = ends[number]
    after = scenario.disk.replayed()
    for number in range(batch.taken):
        if scenario.on_the_way[number] > 0 and not process.full:
            assert number in after.open or after.state(number) is not None, "a write under way is forgotten"


async def run_processes(scenario: Scenario) -> None:
    """Run processes one after the other; the last one comes to the end of the plan."""
    dice = scenario.dice
    names = [ref.fielding_run_id for ref, _ in scenario.rows]
    statuses = ("live", "paused", "live", "paused", "completed", "scheduled")
    colleague(scenario.exchange, names, dice, rate=scenario.colleague_rate, statuses=statuses)
    processes = dice.randint(0, 5)
    for number in range(processes + 1):
        is_last = number == processes
        process = Process(scenario, random_options(dice))
        ending = (
            "none" if is_last else dice.choice(["kill", "kill", "kill", "stop", "close", "leave", "full", "cancel"])
        )
        if is_last:
            scenario.faults = 0.0
            process.options = Options(on_row_failure=process.options.on_row_failure)
            await asyncio.sleep(10)
        scenario.log.append(f"process {number}: {ending} {process.options}")
        patience = dice.expovariate(dice.choice([1, 5, 30]))
        task = asyncio.create_task(perform(scenario, process, ending, patience, whole=is_last))
        await asyncio.wait([task], timeout=patience if ending in {"kill", "cancel"} else 1000)
        if task.done():
            await task
        elif ending == "kill":
            process.dead = True
            await kill(scenario.disk, dice)
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


def check(scenario: Scenario) -> None:
    """Check what holds once all processes have ended."""
    ends = scenario.ends()
    replay = scenario.disk.replayed(keep=True)
    states = {"failed", "unknown", "skipped"}
    assert {row.number: row.state for row in replay.rows} == {row: end for row, end in ends.items() if end in states}
    assert replay.counts().ended == len(ends)
    assert not replay.open
    # what was only interrupted is not on record as an end: the next process goes on with it
    assert not {row.error for row in replay.rows} & {"SessionClosedError", "JournalError", "AssertionError"}
    assert sorted(ends) == list(range(len(scenario.rows)))
    for number, end in ends.items():
        if end == "accepted":
            assert scenario.applied[number] == 1, (number, end)
        elif end in {"already", "failed", "skipped"}:
            assert scenario.applied[number] == 0, (number, end)
        if end == "skipped":
            reasons = {ends[other] for other in scenario.earlier_rows_of_its_run(number)}
            assert reasons & {"failed", "unknown"}, f"row {number} was skipped for nothing"
    for number, outcome in scenario.reported.items():
        assert ends[number] == outcome
    for numbers in scenario.order.values():
        assert numbers == sorted(numbers)


def run(seed: int) -> Scenario:
    dice = Random(seed)
    scenario = Scenario(
        dice,
        faults=dice.choice([0.0, 0.05, 0.3]),
        colleague_rate=dice.choice([0.0, 0.5, 5.0]),
        disk=FullDisk(dice.choice([0.0005, 0.01])),
        rows=random_rows(dice),
    )
    try:
        virtual_time.run(run_processes(scenario))
        check(scenario)
    except BaseException as error:
        error.add_note("\n".join(scenario.log[-60:]))
        raise
    return scenario


@pytest.mark.parametrize("seed", range(200))
def test_no_outcome_is_taken_back_over_many_processes(seed: int) -> None:
    """Whatever ends the processes, and whatever the options of each, what is yielded and on record is true."""
    run(seed)
