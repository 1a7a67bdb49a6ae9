"""One pace and one pause for many sessions, through a real Redis."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from typing import Any

import pytest
import pytest_asyncio

from fielding_async import BearerToken, ClientCredentials, ConfigurationError, Limits, RateLimitError
from fielding_async.coordination import Shared
from fielding_async.coordination.member import Member
from fielding_async.coordination.shared_pacer import SharedPermit
from fielding_async.engine.limiter import Limiter, Permit, Priority
from fielding_async.engine.membership import Joining
from fielding_async.sandbox import Sandbox
from tests.tools.services import RedisServer
from tests.tools.sessions import session
from tests.tools.waits import HANG

AUTH = ClientCredentials("me", "a-secret-of-mine")


class Mate:
    """A member with a limiter, and no HTTP. No store is too slow for it: a busy machine is no store that is away."""

    def __init__(self, url: str, limits: Limits, *, seed: int = 0, expected: int = 1) -> None:
        loop, dice = asyncio.get_running_loop(), random.Random(seed)
        shared = Shared(url, expected=expected)
        self.member: Member = shared.join(Joining("https://example.com", AUTH, limits, dice.uniform, loop))
        self.member.client.bound = 30.0
        self.limiter = Limiter(limits, dice.uniform, loop, self.member.pacer)
        self.pacer = self.member.pacer
        self.changed = asyncio.Event()
        self.member.client.on_change[self.changed.set] = None
        self.paused = asyncio.Event()
        self.limiter.on_pause[lambda _error, _until: self.paused.set()] = None
        self.pacer.attach(self.limiter)

    async def send(self, priority: Priority = Priority.FIRST) -> Permit:
        """Send one request, which is accepted at once."""
        permit = await self.leave(priority)
        self.limiter.release(permit)
        return permit

    async def leave(self, priority: Priority = Priority.FIRST) -> Permit:
        """Send one request, which is not answered yet."""
        while True:
            permit = await self.limiter.acquire(priority, deadline=None)
            wait = self.limiter.may_leave(permit, asyncio.get_running_loop().time())
            while wait:
                await asyncio.sleep(wait)
                wait = self.limiter.may_leave(permit, asyncio.get_running_loop().time())
            if wait is not None:
                return permit
            self.limiter.release(permit)

    async def refused(self, retry_after: float | None) -> None:
        """Send one request, which is refused."""
        permit = await self.leave()
        self.limiter.throttled(permit, RateLimitError("429", status=429, retry_after=retry_after))
        self.limiter.release(permit)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds that the tasks of the member bring about."""
        while not holds():
            await asyncio.sleep(0.002)


Meet = Callable[..., Mate]


@pytest_asyncio.fixture
async def meet(redis_url: str) -> AsyncIterator[Meet]:
    mates: list[Mate] = []

    def make(limits: Limits, **more: Any) -> Mate:
        mates.append(Mate(redis_url, limits, seed=len(mates), **more))
        return mates[-1]

    yield make
    for mate in mates:
        await mate.member.aclose()


def stored(permits: list[Permit]) -> list[float]:
    """Return the send times of permissions, by the clock of the store, in seconds."""
    times = [one.slot.stored / 1e6 for one in permits if isinstance(one, SharedPermit) and one.slot is not None]
    return sorted(times)


async def test_members_together_keep_the_configured_rate(meet: Meet) -> None:
    """No two slots of four members are closer than the interval of the rate, and each gets its part."""
    mates = [meet(Limits(rate=200.0)) for _ in range(4)]
    found = await asyncio.gather(*(mate.send() for mate in mates for _ in range(15)))
    times = stored(list(found))
    assert len(times) == 60
    assert min(after - before for before, after in pairwise(times)) >= 1.0 / 200.0
    assert all(mate.member.members == 4 for mate in mates)


async def test_a_refusal_after_few_requests_tells_of_even_spacing(meet: Meet) -> None:
    """A told rate that is refused at once is one of even spacing: slots are further apart, with time behind a slice."""
    mates = [meet(Limits(rate=200.0)) for _ in range(2)]
    await asyncio.gather(*(mate.send() for mate in mates for _ in range(3)))
    await mates[0].refused(0.05)
    found = await asyncio.gather(*(mate.send() for mate in mates for _ in range(20)))
    gaps = [after - before for before, after in pairwise(stored(list(found)))]
    assert all(mate.pacer.state.is_strict for mate in mates)
    assert min(gaps) >= 1.12 / 200.0
    assert max(gaps) >= 1.5 * 1.12 / 200.0


async def test_a_member_that_continues_its_own_slice_gets_no_time_between(meet: Meet) -> None:
    """Where even spacing is demanded, time is left only behind the slices of different members."""
    mate = meet(Limits(rate=200.0))
    await mate.refused(0.05)
    found = await asyncio.gather(*(mate.send() for _ in range(60)))
    interval = mate.pacer.state.interval
    assert mate.pacer.state.is_strict
    gaps = [(after - before) / interval for before, after in pairwise(stored(list(found)))]
    assert min(gaps) > 0.99
    # a slot that was too late is lost: that makes whole intervals
    assert sum(1.4 < gap < 1.6 for gap in gaps) <= 1


async def test_a_refusal_after_many_requests_tells_of_no_spacing(meet: Meet) -> None:
    """What is refused after more than half a second's worth may be a window that others use too."""
    mate = meet(Limits(rate=200.0))
    await asyncio.gather(*(mate.send() for _ in range(120)))
    await mate.refused(0.05)
    await asyncio.gather(*(mate.send() for _ in range(3)))
    assert not mate.pacer.state.is_strict


async def test_slots_are_dealt_out_evenly_while_all_wait(meet: Meet) -> None:
    """While all members have more requests than slots, each gets the same number within one or two."""
    mates = [meet(Limits(rate=200.0)) for _ in range(4)]
    counts = [0] * 4
    total = asyncio.Event()

    async def work(number: int) -> None:
        while not total.is_set():
            await mates[number].send()
            counts[number] += 1
            if sum(counts) >= 100:
                total.set()

    await asyncio.gather(*(work(number) for number in range(4) for _ in range(4)))
    assert min(counts) >= 0.7 * sum(counts) / 4


async def test_a_429_to_one_pauses_all(meet: Meet) -> None:
    """What one member is told by the server, another that has sent nothing since obeys as well."""
    one, other = meet(Limits(rate=200.0)), meet(Limits(rate=200.0))
    await other.send()
    await one.refused(0.25)
    await other.paused.wait()
    assert 0.0 < other.limiter.pause_left <= 0.3
    before = other.pacer.state.clock.stored(other.pacer.paused_until)
    permit = await other.send()
    assert stored([permit])[0] >= before - 1e-3
    assert other.limiter.refusals == 0


async def test_no_pause_outlasts_max_pause_by_the_clock_of_the_member(meet: Meet) -> None:
    """A member with a shorter `max_pause` goes on before another; nobody else can make it wait longer."""
    one, other = meet(Limits(rate=200.0)), meet(Limits(rate=200.0, max_pause=0.1))
    await other.send()
    await one.refused(30.0)
    await other.paused.wait()
    assert other.limiter.pause_left <= 0.1
    assert one.limiter.pause_left > 10.0


async def test_without_a_retry_after_one_request_probes_for_all(meet: Meet) -> None:
    """After a 429 without a usable Retry-After one member sends one request; the others wait for its answer."""
    mates = [meet(Limits(rate=200.0)) for _ in range(3)]
    await asyncio.gather(*(mate.send() for mate in mates))
    await mates[0].refused(None)
    await asyncio.gather(*(mate.paused.wait() for mate in mates))
    tasks = [asyncio.ensure_future(mate.limiter.acquire(Priority.FIRST, deadline=None)) for mate in mates for _ in "ab"]
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    (probe,) = [task.result() for task in done]
    assert isinstance(probe, SharedPermit)
    assert probe.slot is not None
    assert probe.slot.is_probe
    await asyncio.sleep(0.05)  # nobody else may have been served, however long that is
    assert sum(task.done() for task in tasks) == 1
    owner = next(mate for mate in mates if mate.limiter.in_flight)
    assert owner.limiter.may_leave(probe, asyncio.get_running_loop().time()) == 0.0
    owner.limiter.release(probe)
    await asyncio.gather(*tasks)


async def test_late_refusals_of_one_burst_do_not_make_pauses_longer(meet: Meet) -> None:
    """429s that come one by one, each after the pause of the one before, are of one burst if they were sent as one."""
    mate = meet(Limits())
    permits = [await mate.leave() for _ in range(4)]
    while permits:
        permit = permits.pop()
        mate.limiter.throttled(permit, RateLimitError("429", status=429, retry_after=0.01))
        mate.limiter.release(permit)
        await mate.until(lambda: mate.pacer.state.epoch + len(permits) == 4 and not mate.limiter.pause_left)
        assert mate.pacer.pauses_in_a_row == 1
    permit = await mate.leave()  # a probe would keep the next one waiting
    await mate.send()
    mate.limiter.release(permit)


async def test_one_member_learns_for_all(meet: Meet) -> None:
    """Without a rate exactly one member leads, and what it learns reaches the others."""
    mates = [meet(Limits()) for _ in range(3)]
    await asyncio.gather(*(mate.send() for mate in mates for _ in range(10)))
    await mates[0].until(lambda: sum(mate.pacer.state.leads for mate in mates) == 1)
    follower = next(mate for mate in mates if not mate.pacer.state.leads)
    for _ in range(60):
        await asyncio.gather(*(mate.send() for mate in mates))
    await follower.until(lambda: follower.pacer.state.is_known and follower.pacer.state.interval < 1 / 20.0)


@pytest.mark.once
async def test_a_leader_that_dies_is_followed(meet: Meet) -> None:
    """Another member leads once the lease of a dead one is over, and knows what it knew."""
    one, other = meet(Limits()), meet(Limits())
    await one.until(lambda: one.pacer.state.leads or other.pacer.state.leads)
    leader, follower = (one, other) if one.pacer.state.leads else (other, one)
    for _ in range(40):
        await leader.send()
    await follower.until(lambda: 0 < follower.pacer.state.interval < 1 / 20.0)
    leader.member.close_now()
    await follower.until(lambda: follower.pacer.state.leads)
    await follower.send()
    assert 0 < follower.pacer.state.interval < 1 / 20.0


async def test_calls_go_ahead_of_the_batches_of_others(meet: Meet) -> None:
    """A call behind batches that have booked all slots gets the next one, and they are moved back: none is lost."""
    batch, caller = [meet(Limits(rate=20.0)) for _ in range(6)], meet(Limits(rate=20.0))
    await asyncio.gather(*(mate.send() for mate in [*batch, caller]))
    rows = [asyncio.ensure_future(mate.send(Priority.BACKGROUND)) for mate in batch for _ in range(4)]
    await asyncio.wait(rows, return_when=asyncio.FIRST_COMPLETED)
    permit = await caller.send()
    ahead = [row for row in rows if row.done()]
    found = [*await asyncio.gather(*rows), permit]
    assert len(ahead) <= 10  # of the others most were behind it
    times = stored(found)
    assert min(after - before for before, after in pairwise(times)) >= 0.7 / 20.0


async def test_without_the_store_each_goes_on_at_its_part(meet: Meet, redis_server: RedisServer) -> None:
    """Redis is killed: no call fails, each member keeps a part of the rate; it is back: they share again."""
    mates = [meet(Limits(rate=80.0)) for _ in range(4)]
    await asyncio.gather(*(mate.send() for mate in mates for _ in range(3)))
    redis_server.kill()
    await asyncio.gather(*(mate.changed.wait() for mate in mates))
    for mate in mates:
        assert mate.member.members == 0
        assert mate.member.fallbacks == 1
        assert mate.pacer.interval == pytest.approx(4 / 80.0, rel=0.05)
    await asyncio.gather(*(mate.send() for mate in mates for _ in range(3)))
    redis_server.restart()
    for mate in mates:
        await mate.until(lambda mate=mate: mate.member.members > 0)  # type: ignore[misc]
    await asyncio.gather(*(mate.send() for mate in mates for _ in range(3)))


async def test_a_store_that_is_never_reached_is_expected_to_be_shared() -> None:
    """With `expected=8` a session that cannot reach the store sends at an eighth of the rate."""
    mate = Mate("redis://127.0.0.1:1/0", Limits(rate=80.0), expected=8)
    await mate.send()
    assert mate.pacer.interval == pytest.approx(8 / 80.0, rel=0.05)
    await mate.member.aclose()


async def test_a_store_that_was_emptied_is_told_of_the_pause(meet: Meet, redis_server: RedisServer) -> None:
    """FLUSHALL in a pause does not end it: who knows of it tells the new generation."""
    one, other = meet(Limits(rate=200.0)), meet(Limits(rate=200.0))
    await asyncio.gather(one.send(), other.send())
    await one.refused(5.0)
    await other.paused.wait()
    generation = one.pacer.state.generation
    redis_server.flush()
    await one.until(lambda: one.pacer.state.generation > generation)
    assert one.limiter.pause_left > 2.0
    third = meet(Limits(rate=200.0))
    await third.until(lambda: third.limiter.pause_left > 2.0)


async def test_a_429_to_a_request_of_before_the_store_was_emptied_does_not_end_the_shared_pace(
    meet: Meet, redis_server: RedisServer
) -> None:
    """It is obeyed; it is not reported to the store, and what it leases from then on is used."""
    mate = meet(Limits(rate=200.0))
    await mate.send()
    permit = await mate.leave()
    generation = mate.pacer.state.generation
    redis_server.flush()
    await mate.until(lambda: mate.pacer.state.generation > generation)
    mate.limiter.throttled(permit, RateLimitError("429", status=429, retry_after=0.1))
    mate.limiter.release(permit)
    assert mate.limiter.pause_left > 0.0
    async with asyncio.timeout(HANG):
        await mate.send()


async def test_a_429_to_a_request_of_a_time_without_the_store_pauses_the_session(meet: Meet) -> None:
    """It was permitted by the session alone; by the time of its 429 the store has been found again."""
    mate = meet(Limits(rate=200.0))
    await mate.send()
    mate.pacer.lose_store(asyncio.get_running_loop().time())
    permit = await mate.leave()
    mate.pacer.find_store()
    mate.limiter.throttled(permit, RateLimitError("429", status=429, retry_after=30.0))
    mate.limiter.release(permit)
    assert mate.limiter.pause_left > 20.0


async def test_a_store_that_was_emptied_goes_on_at_the_last_shared_pace(meet: Meet, redis_server: RedisServer) -> None:
    """FLUSHALL does not take a group back to the pace of a start, whoever leads then."""
    mates = [meet(Limits()) for _ in range(3)]
    await asyncio.gather(*(mate.send() for mate in mates))
    generations = [mate.pacer.state.generation for mate in mates]
    for mate in mates:  # the pace that they have found, as far as they know
        mate.pacer.state.last_interval, mate.pacer.state.is_opening = 0.02, False
    redis_server.flush()
    for mate, before in zip(mates, generations, strict=True):
        while mate.pacer.state.generation == before:
            await asyncio.sleep(0.002)
        assert mate.pacer.state.interval == pytest.approx(0.02, rel=0.2)


async def test_calls_of_sessions_that_share_all_succeed(redis_url: str) -> None:
    """Two sessions with real HTTP share a limit of the server that neither knows: no call fails."""
    async with Sandbox() as sandbox:
        run = sandbox.add_run()
        sandbox.rate_limit(60.0, kind="token-bucket", burst=10)
        shared = Shared(redis_url, scope="both")
        async with session(sandbox, shared=shared) as one, session(sandbox, shared=shared) as other:
            await asyncio.gather(*(each.run(run).get() for each in (one, other) for _ in range(40)))
            assert one.stats().requests + other.stats().requests >= 80


def test_bad_arguments_are_refused_with_the_rule() -> None:
    """Each bad argument of `Shared` is a `ConfigurationError` that names it; a password is in none."""
    url = "redis://:hunter2hunter2@localhost"
    for arguments, named in (
        ({"url": "http://:hunter2hunter2@localhost"}, "url"),
        ({"url": 3}, "url"),
        ({"url": "redis://:hunter2hunter2@localhost:port"}, "url"),
        ({"url": url, "scope": "a b"}, "scope"),
        ({"url": url, "scope": ""}, "scope"),
        ({"url": url, "expected": 0}, "expected"),
        ({"url": url, "expected": True}, "expected"),
        ({"url": url, "runs": 1}, "runs"),
    ):
        with pytest.raises(ConfigurationError, match=named) as raised:
            Shared(**arguments)
        assert "hunter2" not in str(raised.value)
    assert "hunter2" not in repr(Shared(url))


def test_the_scope_is_told_by_the_account() -> None:
    """A plain token is warned of once, a callable needs a scope, and the url may come from the environment."""
    shared = Shared("redis://localhost")
    with pytest.warns(UserWarning, match="new token is a new scope"):
        shared.check("https://example.com", BearerToken("some-token"))
    shared.check("https://example.com", BearerToken("some-token"))
    shared.check("https://example.com", AUTH)

    async def token() -> str:
        return "some-token"

    with pytest.raises(ConfigurationError, match="scope"):
        shared.check("https://example.com", token)
    Shared("redis://localhost", scope="mine").check("https://example.com", token)


def test_without_an_address_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """`Shared()` reads FIELDING_SHARED_URL, and names it where it is missing."""
    monkeypatch.delenv("FIELDING_SHARED_URL", raising=False)
    with pytest.raises(ConfigurationError, match="FIELDING_SHARED_URL"):
        Shared()
    monkeypatch.setenv("FIELDING_SHARED_URL", "redis://localhost/3")
    assert "localhost/3" in repr(Shared())
