"""Batches killed at random moments and resumed, in virtual time: late requests, lost replies, colleagues, torn writes.

A kill ends every task of the process, and a write to its journal half-way. Requests that have left arrive all the same,
now or long after the next process has started.
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
from tests.tools import virtual_time
from tests.tools.fake_exchange import FakeExchange, ref_of, session_on
from tests.tools.fake_storage import Disk, MemoryStorage
from tests.tools.journal_lives import colleague, intent_on_record, kill, new_session, target

pytestmark = [pytest.mark.slow, pytest.mark.once]

Rows = list[tuple[RunRef, Action]]
FIRST_END = datetime(2031, 2, 1, tzinfo=UTC)


@define(eq=False)
class Scenario:
    """One exchange, one disk, and processes that are killed and started again."""

    dice: Random
    losses: float = 0.0
    colleague_rate: float = 0.0
    kills: float = 1.0
    longest_delay: float = 3.0
    runs_start_and_end: bool = False
    exchange: FakeExchange = field(factory=FakeExchange)
    disk: Disk = field(factory=Disk)
    on_the_way: int = 0
    applied: "Counter[int]" = field(factory=Counter)
    order: "dict[str, list[int]]" = field(factory=lambda: defaultdict(list))
    yielded: list[Done] = field(factory=list)


class ProcessTransport:
    """The `Transport` of one process; `dead` once that was killed."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.dead = False

    async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
        scenario, dice, loop = self.scenario, self.scenario.dice, asyncio.get_running_loop()
        if self.dead:
            await loop.create_future()
        await outgoing.leave()
        number = None if outgoing.method == "GET" else intent_on_record(scenario.disk, outgoing)
        reply: asyncio.Future[Attempted] = loop.create_future()
        is_lost = outgoing.method != "GET" and dice.random() < scenario.losses
        may_be_late = is_lost or (scenario.runs_start_and_end and outgoing.method != "GET")
        late = dice.choice([0.005, 0.005, 0.005, 0.05, scenario.longest_delay if may_be_late else 0.02])

        def reply_with(answer: Attempted) -> None:
            if not reply.done():
                reply.set_result(answer)

        def arrive() -> None:
            scenario.on_the_way -= 1
            answer = answer_request(scenario, outgoing, number)
            if not is_lost:
                loop.call_later(0.005, reply_with, answer)

        scenario.on_the_way += 1
        if is_lost and dice.random() < 0.3:
            scenario.on_the_way -= 1  # lost before it arrives
        else:
            loop.call_later(late, arrive)
        loop.call_later(1.0, reply_with, Lost("no reply", timed_out=True))
        return await reply

    def close_now(self) -> None:
        """Do nothing: nothing was opened."""

    async def aclose(self) -> None:
        """Do nothing."""


def answer_request(scenario: Scenario, outgoing: Outgoing, number: int | None) -> Attempted:
    """Return the answer of the exchange to a request, and note of which row a write was that it applied."""
    name, action = target(outgoing)
    before = len(scenario.exchange.applied)
    answer = scenario.exchange.answer(outgoing, name, action)
    if len(scenario.exchange.applied) > before:
        assert number is not None
        scenario.applied[number] += 1
        scenario.order[name].append(number)
    return answer


def random_rows(dice: Random, *, all_allowed: bool) -> Rows:
    """Draw a plan: a few rows for each run, each update with dates of its own; if `all_allowed`, all can be done."""
    per_run: list[Rows] = []
    for name in range(dice.randint(1, 12)):
        rows: Rows = []
        pausing = True
        for turn in range(dice.randint(1, 4)):
            if dice.random() < 0.5:
                rows.append((ref_of(name), Update(end_fielding_at=FIRST_END + timedelta(days=name, seconds=turn))))
            else:
                pausing = pausing if all_allowed else dice.random() < 0.5
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


async def process(scenario: Scenario, transport: ProcessTransport, rows: Rows) -> None:
    """Perform the plan, or what is left of it, as a process of its own would."""
    async with new_session(transport, scenario.dice) as fielding:
        context = perform_all(fielding, iter(rows), Options(), storage=lambda: MemoryStorage(scenario.disk))
        async with context as batch:
            async for done in batch:
                if not transport.dead and not done.is_open:
                    scenario.yielded.append(done)


def schedule_starts_and_ends(scenario: Scenario, names: list[str]) -> None:
    """Give each run a random status, and let it start and end by itself later, under the ETag that it has then."""
    loop, dice = asyncio.get_running_loop(), scenario.dice

    def move(run: dict[str, Any], status: str, later: str) -> None:
        if run["status"] == status:
            run["status"] = later

    for name in dict.fromkeys(names):
        run = scenario.exchange.run(name)
        run["status"] = dice.choice(["scheduled", "scheduled", "live", "paused", "completed"])
        start, length = dice.uniform(0, 3), dice.uniform(1, 6)
        loop.call_later(start, move, run, "scheduled", "live")
        loop.call_later(start + length, move, run, "live", "completed")


def ended_rows(scenario: Scenario) -> int:
    """Return how many rows have ended according to the journal."""
    return scenario.disk.replayed().counts().ended


async def run_processes(scenario: Scenario, rows: Rows) -> int:
    """Start and kill processes until one comes to the end of the plan. Return how many were killed."""
    names = [ref.fielding_run_id for ref, _ in rows]
    if scenario.runs_start_and_end:
        schedule_starts_and_ends(scenario, names)
    colleague(scenario.exchange, names, scenario.dice, rate=scenario.colleague_rate, statuses=("live", "paused"))
    for kills in range(100):
        transport = ProcessTransport(scenario)
        task = asyncio.create_task(process(scenario, transport, rows))
        patience = scenario.dice.expovariate(1 / scenario.kills) if kills < 12 else 10_000
        await asyncio.wait([task], timeout=patience)
        if task.done():
            await task
            if ended_rows(scenario) == len(rows):
                break
            continue  # the next process tries rows again that are stuck: too many replies were lost
        transport.dead = True
        await kill(scenario.disk, scenario.dice)
        await asyncio.sleep(scenario.dice.choice([0.0, 0.001, 0.02, 1.0, 10.0]))
    await asyncio.sleep(20)
    assert scenario.on_the_way == 0
    return kills


def recorded_ends(scenario: Scenario) -> dict[int, str]:
    """Return how each row ended according to the journal, and check that it can be read and is complete."""
    found: dict[int, str] = {}
    for line in scenario.disk.data.splitlines(keepends=True)[1:]:
        record = json.loads(line)
        if "end" in record:
            assert record["end"] not in found, "a row ended twice"
            found[record["end"]] = record["as"]
    assert not scenario.disk.replayed().open
    return found


def check(scenario: Scenario, rows: Rows) -> dict[int, str]:
    """Check what holds in every scenario: nothing applied twice, input order within a run, a true journal."""
    assert all(times == 1 for times in scenario.applied.values()), scenario.applied
    for numbers in scenario.order.values():
        assert numbers == sorted(numbers)
    found = recorded_ends(scenario)
    assert sorted(found) == list(range(len(rows)))
    for number, end in found.items():
        if end == "accepted":
            assert scenario.applied[number] == 1, (number, end)
        elif end in {"already", "failed", "skipped"}:
            assert scenario.applied[number] == 0, (number, end)
    yielded = Counter(done.number for done in scenario.yielded)
    assert set(yielded.values()) <= {1}, "a row was yielded twice"
    for done in scenario.yielded:
        outcome = done.outcome.effect if done.outcome else type(done.error).__name__
        outcome = {"OutcomeUnknownError": "unknown", "SkippedError": "skipped"}.get(outcome, outcome)
        assert found[done.number] == (outcome if done.outcome or outcome in {"unknown", "skipped"} else "failed")
    return found


@pytest.mark.parametrize("seed", range(60))
def test_kills_alone_change_nothing(seed: int) -> None:
    """Without lost replies and colleagues every row is done and applied exactly once, however often killed."""
    dice = Random(seed)
    scenario = Scenario(dice, kills=dice.choice([0.02, 0.1, 0.5]), disk=Disk(dice.choice([0.0005, 0.01])))
    rows = random_rows(dice, all_allowed=True)
    virtual_time.run(run_processes(scenario, rows))
    found = check(scenario, rows)
    assert set(found.values()) <= {"accepted", "unconfirmed"}
    assert scenario.applied == Counter(range(len(rows)))


@pytest.mark.parametrize("seed", range(60))
def test_nothing_is_applied_twice_nor_reported_falsely(seed: int) -> None:
    """Kills, lost and late requests, colleagues: no row is applied twice, and the journal says nothing false."""
    dice = Random(1000 + seed)
    scenario = Scenario(
        dice,
        losses=dice.choice([0.05, 0.3]),
        colleague_rate=dice.choice([0.0, 0.5, 5.0]),
        kills=dice.choice([0.05, 0.5, 3.0]),
        disk=Disk(dice.choice([0.0005, 0.01])),
    )
    rows = random_rows(dice, all_allowed=False)
    virtual_time.run(run_processes(scenario, rows))
    check(scenario, rows)


@pytest.mark.parametrize("seed", range(120))
def test_refusals_are_reported_truly_while_runs_start_and_end(seed: int) -> None:
    """Runs start and end by themselves, requests arrive late: no row that is said to have failed is applied."""
    dice = Random(2000 + seed)
    scenario = Scenario(
        dice,
        losses=dice.choice([0.0, 0.3]),
        colleague_rate=dice.choice([0.0, 0.0, 0.5]),
        kills=dice.choice([0.02, 0.05, 0.5]),
        longest_delay=dice.choice([0.5, 2.0, 4.0]),
        disk=Disk(dice.choice([0.0005, 0.01])),
        runs_start_and_end=True,
    )
    actions: list[Action] = [LaunchNow(), Pause(), Resume(), Complete(), Relaunch()]
    rows: Rows = []
    for name in range(30):
        choices = [*actions, Update(end_fielding_at=FIRST_END + timedelta(days=name))]
        rows += [(ref_of(name), action) for action in dice.sample(choices, dice.randint(1, 2))]
    virtual_time.run(run_processes(scenario, rows))
    check(scenario, rows)


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
