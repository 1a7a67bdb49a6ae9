"""Many sessions that write to one run, in virtual time: how long it takes them, and how many requests."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from attrs import define, field

from fielding_async import DeadlineExceededError, FieldingRun, Limits, Retry, ServerError, Update
from fielding_async.core.wire.replies import Attempted, Response
from fielding_async.http.transport import Outgoing
from fielding_async.session import session_over
from tests.tools.fake_exchange import FakeExchange, ref_of, session_on
from tests.tools.sessions import longer
from tests.tools.virtual_time import run

pytestmark = pytest.mark.once

_T = TypeVar("_T")
EACH = 10
REF = ref_of(0)
ETERNITY = 1e6
FREE = Limits(adaptive=False)


@define(eq=False)
class World:
    """An exchange that is `one_way` seconds away, up to `jitter` more, and takes `service` seconds for each request."""

    one_way: float
    jitter: float
    service: float
    dice: random.Random = field(factory=lambda: random.Random(7))
    exchange: FakeExchange = field(factory=FakeExchange)
    requests: int = 0
    _free_from: float = 0.0

    async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
        del timeout, connect_timeout
        await outgoing.leave()
        kind = "get" if outgoing.method == "GET" else "update"
        return await self.exchanged(lambda: self.exchange.answer(outgoing, REF.fielding_run_id, kind))

    async def exchanged(self, act: Callable[[], _T]) -> _T:
        """Do something at the exchange, and return what it returns when that has come back."""
        self.requests += 1
        await asyncio.sleep(self.one_way + self.dice.uniform(0, self.jitter))
        loop = asyncio.get_running_loop()
        self._free_from = max(self._free_from, loop.time()) + self.service
        await asyncio.sleep(self._free_from - loop.time())
        answer = act()
        await asyncio.sleep(self.one_way + self.dice.uniform(0, self.jitter))
        return answer

    def close_now(self) -> None:
        """Do nothing: nothing was opened."""

    async def aclose(self) -> None:
        """Nothing was opened."""


async def ours(world: World, number: int) -> None:
    """Let the run end an hour later, ten times, in a session of its own."""
    dice = random.Random(number)
    async with session_over(world, dice=dice, auth="token", limits=FREE) as fielding:
        for _ in range(EACH):
            await fielding.run(REF).update(longer, timeout=ETERNITY)


async def naive(world: World, number: int) -> None:
    """GET and PUT; after a 412 again, at once."""
    del number
    stored = world.exchange.run(REF.fielding_run_id)

    known = 0

    def get() -> int:
        return int(stored["version"])

    def put() -> bool:
        accepted = get() == known
        stored["version"] += accepted
        return accepted

    for _ in range(EACH):
        known = await world.exchanged(get)
        while not await world.exchanged(put):
            known = await world.exchanged(get)


def play(writer: Callable[[World, int], Awaitable[None]], writers: int, world: World) -> float:
    """Return the seconds that it takes all writers together."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.gather(*(writer(world, number) for number in range(writers)))
        return loop.time() - began

    seconds = run(main())
    assert world.exchange.run(REF.fielding_run_id)["version"] == 1 + writers * EACH
    return seconds


@pytest.mark.parametrize("writers", [2, 8, 64])
@pytest.mark.parametrize("round_trip", [0.001, 0.02, 0.3])
@pytest.mark.parametrize("service", [0.0, 0.0005], ids=["parallel", "serial"])
def test_writers_take_little_longer_than_loops_that_never_wait(writers: int, round_trip: float, service: float) -> None:
    """Sessions with ten increments each take at most 1.3 times the time of naive loops, and 5 requests an increment."""

    def world() -> World:
        return World(one_way=round_trip / 2, jitter=round_trip / 8, service=service)

    with_waits, without = world(), world()
    assert play(ours, writers, with_waits) <= 1.3 * play(naive, writers, without)
    assert with_waits.requests <= 5 * writers * EACH < 5 * without.requests


def test_two_hundred_writers_all_come_to_an_end() -> None:
    """With 200 writers no call fails, and an increment takes at most ten requests."""
    world = World(one_way=0.01, jitter=0.005, service=0.0)
    play(ours, 200, world)
    assert world.requests <= 10 * 200 * EACH


class Overtaken(FakeExchange):
    """A colleague writes just before each of the first `times` writes."""

    def __init__(self, times: int, latency: float = 0.01) -> None:
        super().__init__(latency)
        self.left = times

    def answer(self, outgoing: Outgoing, name: str, action: str) -> Attempted:
        if action != "get" and self.left:
            self.left -= 1
            self.run(name)["version"] += 1
        return super().answer(outgoing, name, action)


def test_one_conflict_costs_no_wait() -> None:
    """After the first 412 a GET and a write follow at once: four requests take four latencies."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        async with session_on(Overtaken(1)) as fielding:
            began = loop.time()
            outcome = await fielding.run(REF).update(longer)
            assert (outcome.requests, outcome.conflicts) == (4, 1)
            return loop.time() - began

    assert run(main()) == pytest.approx(0.04)


def test_no_wait_lies_between_the_get_and_the_write() -> None:
    """A wait comes before the GET, so that what the write rests on is as young as it can be."""

    class Timed(Overtaken):
        def __init__(self) -> None:
            super().__init__(12)
            self.answered: list[tuple[str, float]] = []

        def answer(self, outgoing: Outgoing, name: str, action: str) -> Attempted:
            self.answered.append((action, asyncio.get_running_loop().time()))
            return super().answer(outgoing, name, action)

    exchange = Timed()

    async def main() -> None:
        async with session_on(exchange) as fielding:
            assert (await fielding.run(REF).update(longer)).conflicts == 12

    run(main())
    gets, writes = ([at for what, at in exchange.answered if what == name] for name in ("get", "update"))
    assert [write - get for get, write in zip(gets, writes, strict=True)] == pytest.approx([0.01] * 13)
    assert gets[-1] - writes[-2] > 0.011


def test_conflicts_end_with_the_deadline() -> None:
    """A call that meets a 412 each time uses its time, ends before its deadline, and says that nothing was applied."""
    exchange = Overtaken(1_000_000)

    async def main() -> float:
        loop = asyncio.get_running_loop()
        async with session_on(exchange) as fielding:
            began = loop.time()
            with pytest.raises(DeadlineExceededError) as caught:
                await fielding.run(REF).update(longer, timeout=5)
            assert caught.value.conflicts > 10
            assert caught.value.current is not None
            return loop.time() - began

    assert 4.5 < run(main()) < 5
    assert exchange.applied == []


def test_a_conflict_base_of_zero_never_overflows() -> None:
    """`conflict_base=0` means no waits, after two thousand conflicts too."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with session_on(Overtaken(2_000, latency=0.001), retry=Retry(conflict_base=0.0)) as fielding:
            began = loop.time()
            outcome = await fielding.run(REF).update(longer, timeout=None)
            assert outcome.conflicts == 2_000
            assert loop.time() - began == pytest.approx(4.002)

    run(main())


class Cached(FakeExchange):
    """A cache answers every GET of the first five seconds."""

    def answer(self, outgoing: Outgoing, name: str, action: str) -> Attempted:
        answer = super().answer(outgoing, name, action)
        if action == "get" and isinstance(answer, Response):
            return Response(answer.status, {**answer.headers, "Age": "3"}, answer.body)
        return answer


def test_gets_without_waits_never_overflow() -> None:
    """`conflict_base=0` means no waits between GETs that a cache answers, however often they are repeated."""
    exchange = Cached(latency=0.001)

    async def main() -> None:
        async with session_on(exchange, retry=Retry(conflict_base=0.0)) as fielding:
            assert (await fielding.run(REF).update(longer)).effect == "accepted"

    run(main())
    assert exchange.requests["get"] > 1_100


class Failing(FakeExchange):
    """Every request is answered with a 503."""

    def answer(self, outgoing: Outgoing, name: str, action: str) -> Attempted:
        super().answer(outgoing, name, action)
        return Response(503, {}, b'{"object":"error"}')


def test_attempts_without_waits_never_overflow() -> None:
    """`base=0` means no waits between attempts, however many there may be."""
    exchange = Failing(latency=0.001)

    async def main() -> None:
        async with session_on(exchange, retry=Retry(base=0.0, max_attempts=1_500)) as fielding:
            with pytest.raises(ServerError):
                await fielding.run(REF).get()

    run(main())
    assert exchange.requests["get"] == 1_500


def test_a_callable_sees_each_run_that_the_rounds_fetch() -> None:
    """Between rounds nothing is taken from memory: the callable is called with each fetched run, and once for each."""
    seen: list[int | None] = []

    def change(now: FieldingRun) -> Update:
        seen.append(now.version)
        return longer(now)

    async def main() -> None:
        async with session_on(Overtaken(5)) as fielding:
            await fielding.run(REF).update(change)

    run(main())
    assert seen == [1, 2, 3, 4, 5, 6]
