"""The way from a permission to the wire: in the order of permissions, and nobody waits there until its time is up."""

import asyncio
import random
import re
from functools import partial
from typing import Any, ClassVar

import pytest

from fielding_async import DeadlineExceededError, FieldingError, FieldingSession, Limits, RateLimitError, Timeout
from fielding_async.core.pace.pacer import Pacer, Permit
from fielding_async.core.wire.replies import Attempted, NotSent
from fielding_async.engine.limiter import Limiter, Priority
from fielding_async.http.transport import Gate, HeldBack, Outgoing
from tests.tools.fake_exchange import FakeExchange, ref_of, session_on
from tests.tools.virtual_time import VirtualTimeLoop, run


def number_of(outgoing: Outgoing) -> int:
    """Return the number of the permission that an attempt has."""
    assert outgoing.gate is not None
    assert isinstance(outgoing.gate.permit, Permit)
    return outgoing.gate.permit.number


def gate_of(box: Limiter, permit: Permit) -> Gate:
    """Return the gate of a permission."""
    return Gate(partial(box.may_leave, permit), asyncio.get_running_loop().time, box.gate_queue, permit)


class JitteryExchange(FakeExchange):
    """An exchange of which a share (`slow`) of the connections takes `quickest` to `slowest` seconds to open."""

    at_gate: ClassVar[set[int]] = set()

    def __init__(self, dice: random.Random, quickest: float, slowest: float, slow: float = 1.0) -> None:
        super().__init__(latency=0.01)
        self.slow = slow
        self.dice, self.quickest, self.slowest = dice, quickest, slowest
        self.left_at: list[float] = []

    async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
        number = number_of(outgoing)
        loop = asyncio.get_running_loop()
        name = outgoing.url.partition("/fielding-runs/")[2].partition("/")[0]
        try:
            async with asyncio.timeout(timeout):
                await asyncio.sleep(
                    self.dice.uniform(self.quickest, self.slowest) if self.dice.random() < self.slow else 0.0
                )
                self.at_gate.add(number)
                try:
                    await outgoing.leave()
                finally:
                    self.at_gate.discard(number)
        except TimeoutError:
            return NotSent(f"could not connect (no connection within {timeout:.3g} s)")
        self.left_at.append(loop.time())
        await asyncio.sleep(self.latency)
        return self.answer(outgoing, name, "get")


@pytest.fixture
def overtaken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Each request that waited at the gate of a `JitteryExchange` while one with a later permission was let out."""
    found: list[str] = []
    let_out = Pacer.left

    def left(self: Pacer, permit: Permit, now: float) -> None:
        found.extend(f"{permit.number} overtook {other}" for other in JitteryExchange.at_gate if other < permit.number)
        JitteryExchange.at_gate.discard(permit.number)
        let_out(self, permit, now)

    monkeypatch.setattr(Pacer, "left", left)
    JitteryExchange.at_gate.clear()
    return found


async def read_all(fielding: FieldingSession, requests: int, gap: float, dice: random.Random, **more: Any) -> list[str]:
    """Read so many runs, each begun about `gap` seconds after the one before; return how those ended that failed."""
    failed: list[str] = []

    async def one(number: int) -> None:
        try:
            await fielding.run(ref_of(number)).get(**more)
        except FieldingError as error:
            failed.append(str(error))

    async with asyncio.TaskGroup() as group:
        for number in range(requests):
            group.create_task(one(number))
            await asyncio.sleep(dice.uniform(0, 2 * gap))
    return failed


async def work_elsewhere(loop: VirtualTimeLoop, seconds: float) -> None:
    """Keep the loop busy for so long, again and again, as a program does that has other things to do."""
    while True:
        loop._now += seconds  # time that passes while a callback runs
        await asyncio.sleep(seconds)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("busy", [0.0, 0.03], ids=["idle loop", "busy loop"])
def test_nobody_is_overtaken_at_the_gate_and_nobody_ends_there(busy: float, seed: int, overtaken: list[str]) -> None:
    """Of 600 requests of a small web app at its told rate, each leaves in its turn, however its connection opens."""
    loop = VirtualTimeLoop()

    async def main() -> None:
        dice = random.Random(seed)
        exchange = JitteryExchange(dice, 0.001, 0.2)
        limits = Limits(rate=50)
        async with session_on(exchange, limits=limits, timeout=Timeout(total=20, attempt=7)) as fielding:
            other = asyncio.create_task(work_elsewhere(loop, busy)) if busy else None
            failed = await read_all(fielding, 600, 1 / 60, dice, timeout=30.0)
            if other is not None:
                other.cancel()
        assert failed == []
        assert overtaken == []

    run(main(), loop=loop)


@pytest.mark.parametrize("rate", [1.0, 4.0])
def test_a_slow_pace_kills_nobody_at_the_gate(rate: float, overtaken: list[str]) -> None:
    """Where connections open unevenly and the rate is low, no attempt's time is used up by waiting at the gate."""

    async def main() -> None:
        dice = random.Random(2)
        exchange = JitteryExchange(dice, 0.001, 1.9)
        async with session_on(exchange, limits=Limits(rate=rate), timeout=Timeout(total=20, attempt=3)) as fielding:
            failed = await read_all(fielding, 100, 0.01, dice)
        assert failed == []
        assert overtaken == []
        gaps = [later - sooner for sooner, later in zip(exchange.left_at, exchange.left_at[1:], strict=False)]
        assert sum(gaps) / len(gaps) == pytest.approx(1.01 / rate, rel=0.2)

    run(main())


class HeldUpExchange(FakeExchange):
    """An exchange whose connections take so many seconds to open, one after the other."""

    def __init__(self, *connects: float) -> None:
        super().__init__()
        self.connects = list(connects)

    async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
        try:
            async with asyncio.timeout(timeout):
                await asyncio.sleep(self.connects.pop(0))
                await outgoing.leave()
        except TimeoutError:
            return NotSent(f"could not connect (no connection within {timeout:.3g} s)")
        return self.answer(outgoing, outgoing.url.partition("/fielding-runs/")[2], "get")


def test_a_call_whose_time_is_up_at_the_gate_names_the_pace() -> None:
    """A connection was there, so the error speaks of the pace."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        exchange = HeldUpExchange(1.05, 0.1)
        async with session_on(exchange, limits=Limits(rate=1)) as fielding:
            first = asyncio.create_task(fielding.run(ref_of("first")).get())
            await asyncio.sleep(0.5)
            # permitted after 1.01 s and at the gate after 1.11 s; the first one left after 1.05 s
            with pytest.raises(
                DeadlineExceededError, match=r"time (ran|would run) out .*while waiting for the pace"
            ) as caught:
                await fielding.run(ref_of("second")).get(timeout=1.0)
            assert loop.time() <= 1001.5
            await first
        assert caught.value.__cause__ is None

    run(main())


def test_a_lapsed_permission_keeps_its_place() -> None:
    """A request at the gate when a pause begins gives its slot back at once, and is the first one after the pause."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        box = Limiter(Limits(rate=10, concurrency=3), lambda _low, high: high, loop)
        order: list[str] = []
        first = await box.acquire(Priority.FIRST, deadline=None)
        assert box.may_leave(first, loop.time()) == 0.0

        async def one(name: str, priority: Priority, opens: float) -> None:
            place: int | None = None
            while True:
                permit = await box.acquire(priority, deadline=None, place=place)
                place = permit.place
                await asyncio.sleep(opens)
                opens = 0.0  # the connection is open now
                try:
                    await Outgoing("GET", "", {}, None, gate_of(box, permit)).leave()
                except HeldBack:
                    continue
                else:
                    order.append(name)
                    await asyncio.sleep(0.01)
                    return
                finally:
                    box.release(permit)

        async with asyncio.TaskGroup() as group:
            for number in range(4):
                group.create_task(one(f"call {number}", Priority.FIRST, 0.0 if number else 0.13))
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.246)  # call 1 has left; call 0, whose connection took longer, waits at the gate
            error = RateLimitError("429", status=429)
            error.retry_after = 5.0
            before = box.in_flight
            box.throttled(first, error)
            await asyncio.sleep(0)
            assert box.in_flight < before
            box.release(first)
        assert order == ["call 1", "call 0", "call 2", "call 3"]

    run(main())


def test_those_at_the_gate_go_when_they_are_shut_out_or_cancelled() -> None:
    """Who no longer wants to leave delays nobody: the next one leaves when the pace allows it."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        box = Limiter(Limits(rate=4, burst=3), lambda _low, high: high, loop)
        permits = [await box.acquire(Priority.FIRST, deadline=None) for _ in range(3)]
        for permit in permits:
            box.may_leave(permit, loop.time())
        more = [Permit(0, loop.time(), 0.25, 4.0, waited=False, number=100 + number) for number in range(3)]
        gates = [gate_of(box, permit) for permit in more]
        waits = [asyncio.create_task(box.gate_queue.wait(gate)) for gate in gates]
        await asyncio.sleep(0)
        waits[0].cancel()
        gates[1].shut()
        assert await waits[1] is False
        assert loop.time() == pytest.approx(1000)
        assert await waits[2] is True
        assert loop.time() == pytest.approx(1000.25, abs=0.02)

    run(main())


@pytest.mark.parametrize("seed", range(3))
def test_too_much_work_for_the_pace_is_not_told_as_a_lack_of_connections(seed: int) -> None:
    """Where more calls come than a told rate bears, and the loop is busy, an error names the pace.

    Only a call with less time left than a connection takes here may end for want of one.
    """
    loop = VirtualTimeLoop()

    async def main() -> None:
        dice = random.Random(seed)
        exchange = JitteryExchange(dice, 0.05, 0.3, slow=0.05)
        async with session_on(exchange, limits=Limits(rate=10), timeout=Timeout(total=20, attempt=7)) as fielding:
            other = asyncio.create_task(work_elsewhere(loop, 0.03))
            failed = await read_all(fielding, 600, 0.08, dice, timeout=12.0)
            other.cancel()
        assert failed
        said = {error.partition("/run")[2].partition(": ")[2].partition(" [")[0] for error in failed}
        brief = {text for text in said if re.search(r"no connection within 0\.[0-2]\d* s", text)}
        assert {
            text for text in said - brief if not re.match(r"time (ran|would run) out .*waiting for the pace", text)
        } == set()

    run(main(), loop=loop)
