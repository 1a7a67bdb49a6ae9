"""Members of a group in virtual time: a store that is emptied, slow or away, clocks that jump, members that die."""

import asyncio
import random
from bisect import bisect_left
from itertools import pairwise

import pytest

from fielding_async import Limits, RateLimitError
from fielding_async.coordination.shared_pacer import SharedPacer
from fielding_async.coordination.synchronizer import Synchronizer
from fielding_async.core.credentials import BearerToken
from fielding_async.engine.limiter import Limiter, Priority
from fielding_async.engine.membership import Joining
from tests.tools.fake_store import FakeLink, FakeStore
from tests.tools.virtual_time import run

pytestmark = pytest.mark.once

RATE = 100.0
MEMBERS = 8
PAUSE = 0.7


class Group:
    """Members that send all the time, and when they did. `late`: seconds by which their loops are late, at most."""

    def __init__(self, seed: int, expected: int = MEMBERS, *, late: float = 0.0) -> None:
        self.late = late
        self.dice = random.Random(seed)
        self.loop = asyncio.get_running_loop()
        self.store = FakeStore(self.loop)
        self.sent: list[tuple[float, int]] = []
        self.failed = 0
        self.refuse = 0
        self.links: list[FakeLink] = []
        self.parts: list[tuple[Limiter, SharedPacer, Synchronizer]] = []
        self.tasks: list[list[asyncio.Task[None]]] = []
        for number in range(MEMBERS):
            self._join(number, expected)

    def _join(self, number: int, expected: int) -> None:
        link = FakeLink(self.store, self.loop, 0.2 + self.dice.random() * 2)
        limits = Limits(rate=RATE)
        joining = Joining("https://example.com", BearerToken("a-token"), limits, self.dice.uniform, self.loop)
        pacer = SharedPacer(joining, expected)
        synchronizer = Synchronizer(link, "scope", pacer, joining)
        link.on_change[synchronizer.store_changed] = None
        pacer.on_attach = synchronizer.start
        limiter = Limiter(limits, self.dice.uniform, self.loop, pacer)
        pacer.attach(limiter)
        self.links.append(link)
        self.parts.append((limiter, pacer, synchronizer))
        self.tasks.append([self.loop.create_task(self._send(number, limiter)) for _ in range(16 if self.late else 2)])

    async def _send(self, number: int, limiter: Limiter) -> None:
        while True:
            permit = await limiter.acquire(Priority.FIRST, deadline=None)
            if self.late:
                await asyncio.sleep(self.dice.uniform(0.0, self.late))
            wait = limiter.may_leave(permit, self.loop.time())
            while wait:
                await asyncio.sleep(wait)
                wait = limiter.may_leave(permit, self.loop.time())
            if wait is None:
                limiter.release(permit)
                continue
            self.sent.append((self.loop.time(), number))
            await asyncio.sleep(0.005)
            if self.refuse:
                self.refuse -= 1
                limiter.throttled(permit, RateLimitError("429", status=429, retry_after=PAUSE))
            limiter.release(permit)

    def kill(self, number: int) -> None:
        """End a member without a word."""
        for task in self.tasks[number]:
            task.cancel()
        self.parts[number][2].close_now()

    async def end(self) -> None:
        """End all, and raise what went wrong."""
        for number in range(MEMBERS):
            self.kill(number)
        found = await asyncio.gather(*(task for tasks in self.tasks for task in tasks), return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in found), found

    def most_in(self, seconds: float, since: float = 0.0) -> int:
        """Return the most requests that were sent within so many seconds."""
        times = sorted(at for at, _ in self.sent if at >= since)
        return max((bisect_left(times, at + seconds) - place for place, at in enumerate(times)), default=0)

    def longest_gap(self) -> float:
        times = sorted(at for at, _ in self.sent)
        return max(after - before for before, after in pairwise(times))


@pytest.mark.parametrize("seed", range(2))
def test_a_quiet_group_uses_the_rate_and_shares_it_evenly(seed: int) -> None:
    """In a second no more than the rate is sent, over ten seconds hardly less, and no member gets much less."""

    async def main() -> None:
        group = Group(seed)
        await asyncio.sleep(10.0)
        await group.end()
        assert group.most_in(1.0) <= RATE
        assert len(group.sent) >= 0.95 * RATE * 10.0
        counts = [sum(who == number for _, who in group.sent) for number in range(MEMBERS)]
        assert min(counts) >= 0.7 * len(group.sent) / MEMBERS

    run(main())


def test_members_that_are_late_keep_even_spacing() -> None:
    """Where even spacing is demanded, loops that are 3 ms late bring no two requests closer than the told interval."""

    async def main() -> None:
        group = Group(0, late=0.003)
        group.store.is_strict, group.store.factor = True, 1.12
        await asyncio.sleep(6.0)
        await group.end()
        times = sorted(at for at, _ in group.sent)
        assert min(after - before for before, after in pairwise(times)) >= 1.0 / RATE
        assert len(times) >= 0.7 * RATE * 6.0

    run(main())


@pytest.mark.parametrize("seed", range(2))
def test_members_that_die_cost_their_slices(seed: int) -> None:
    """Half of the members die without a word; the others have the whole rate within seconds."""

    async def main() -> None:
        group = Group(seed)
        await asyncio.sleep(3.0)
        for number in range(0, MEMBERS, 2):
            group.kill(number)
        died = asyncio.get_running_loop().time()
        await asyncio.sleep(5.0)
        await group.end()
        assert group.most_in(1.0) <= RATE
        assert sum(at > died + 1.0 for at, _ in group.sent) >= 0.9 * RATE * 4.0

    run(main())


@pytest.mark.parametrize("trouble", ["away", "slow", "emptied", "clock back", "clock ahead", "partition"])
@pytest.mark.parametrize("seed", range(2))
def test_whatever_the_store_does_nobody_stalls_or_bursts(seed: int, trouble: str) -> None:
    """No second has more than a slice of each member above the rate, nor does any member stall for a second."""

    async def main() -> None:
        group = Group(seed)
        store = group.store
        await asyncio.sleep(3.0)
        match trouble:
            case "away" | "partition":
                lost = group.links if trouble == "away" else group.links[::2]
                for link in lost:
                    link.is_away = True
                await asyncio.sleep(3.0)
                for link in lost:
                    link.is_away = False
            case "slow":
                store.delay = 0.4
                await asyncio.sleep(3.0)
                store.delay = 0.0005
            case "emptied":
                store.empty()
            case _:
                store.clock += 3600.0 if trouble == "clock ahead" else -3600.0
        await asyncio.sleep(6.0)
        await group.end()
        gap = group.longest_gap()
        assert gap <= 0.75, gap
        most = group.most_in(1.0)
        # in a partition one half goes on at its part while the other has the whole rate
        assert most <= RATE * (1.55 if trouble == "partition" else 1.0) + 2 * MEMBERS, most

    run(main())


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("is_emptied", [False, True])
def test_a_pause_is_kept_by_all_and_then_over(seed: int, *, is_emptied: bool) -> None:
    """After a 429 nobody sends until its Retry-After, even if the store is emptied meanwhile; then all go on."""

    async def main() -> None:
        group = Group(seed)
        loop = asyncio.get_running_loop()
        await asyncio.sleep(2.0)
        group.refuse = 1
        while group.refuse:
            await asyncio.sleep(0.0005)
        refused = loop.time()
        await asyncio.sleep(PAUSE / 2)
        if is_emptied:
            group.store.empty()
        await asyncio.sleep(PAUSE / 2 + 2.0)
        await group.end()
        quiet = [at for at, _ in group.sent if refused + 0.005 < at < refused + PAUSE - 0.001]
        assert not quiet
        assert sum(at > refused + PAUSE for at, _ in group.sent) >= 0.8 * RATE * 2.0
        assert group.most_in(1.0, refused + PAUSE - 0.01) <= RATE + MEMBERS

    run(main())
