"""Eight workers on a thousand runs, which hint to each other: how many requests an action takes.

In virtual time, with a store in memory that takes a millisecond for each step. With a real Redis:
`python -m tests.proofs.test_shared_hints URL` prints the numbers.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta

import pytest
from attrs import frozen

from fielding_async import FieldingRun, FieldingSession, Limits, Outcome, RunRef, Update
from fielding_async.coordination import Shared
from fielding_async.core.wire.replies import Response
from tests.tools.fake_exchange import FakeExchange, ref_of, session_on
from tests.tools.hints import HintStore, share
from tests.tools.virtual_time import run

pytestmark = [pytest.mark.slow, pytest.mark.once]

_WORKERS = 8
_RUNS = 1000
_CONTENDED = 8  # of these: eight that write at the same time take their time
_LATENCY = 0.015  # seconds, of the exchange; that of Redis on loopback is less than a tenth of it
_STEP = timedelta(seconds=1)


@frozen
class Mean:
    """Of a number of actions the mean of their requests and of their conflicts."""

    requests: float
    conflicts: float

    @classmethod
    def of(cls, outcomes: list[Outcome]) -> "Mean":
        """Return the means; each action was accepted."""
        assert {outcome.effect for outcome in outcomes} == {"accepted"}
        requests = sum(outcome.requests for outcome in outcomes)
        return cls(requests / len(outcomes), sum(outcome.conflicts for outcome in outcomes) / len(outcomes))


@asynccontextmanager
async def workers(
    exchange: FakeExchange, url: str | None, store: HintStore | None = None
) -> AsyncIterator[list[FieldingSession]]:
    """Enter the sessions of the workers, which share hints if there is a URL or a store."""
    async with AsyncExitStack() as stack:
        limits = Limits(concurrency=64, adaptive=False)
        sessions = [
            session_on(exchange, limits=limits, shared=None if url is None else Shared(url, scope="hints"))
            for _ in range(_WORKERS)
        ]
        for fielding in sessions:
            await stack.enter_async_context(fielding)
            if store is not None:
                share(fielding, store)
        yield sessions


async def side_by_side(act: Callable[[int], Awaitable[list[Outcome]]], runs: int, most: int = 32) -> list[Outcome]:
    """Do something with each run, with many at once."""
    slots = asyncio.Semaphore(most)

    async def one(number: int) -> list[Outcome]:
        async with slots:
            return await act(number)

    return [outcome for outcomes in await asyncio.gather(*map(one, range(runs))) for outcome in outcomes]


async def after_a_read(fielding: list[FieldingSession], runs: int) -> Mean:
    """Have one worker read each run, and another one act on it."""

    async def act(number: int) -> list[Outcome]:
        await fielding[number % _WORKERS].run(ref_of(number)).get()
        await asyncio.sleep(_LATENCY)  # the time that it takes to say to the other one which run it is
        return [await fielding[(number + 1) % _WORKERS].run(ref_of(number)).pause()]

    return Mean.of(await side_by_side(act, runs))


async def in_turn(fielding: list[FieldingSession], runs: int, *, count: bool = False) -> Mean:
    """Have all workers act on each run, one after the other."""

    async def act(number: int) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for worker in fielding:
            handle = worker.run(ref_of(number))
            is_live = len(outcomes) % 2
            if count:
                outcomes.append(await handle.update(later))
            else:
                outcomes.append(await (handle.pause() if is_live else handle.resume()))
            await asyncio.sleep(_LATENCY)
        return outcomes

    return Mean.of(await side_by_side(act, runs))


def later(now: FieldingRun) -> Update:
    """Return the update that counts."""
    return Update(end_fielding_at=now.end_fielding_at + _STEP)


async def all_at_once(fielding: list[FieldingSession], exchange: FakeExchange) -> Mean:
    """Have all workers count in runs at the same time; every increment counts."""
    before = {number: _end(exchange, number) for number in range(_CONTENDED)}

    async def act(number: int) -> list[Outcome]:
        return list(await asyncio.gather(*(worker.run(ref_of(number)).update(later) for worker in fielding)))

    mean = Mean.of(await side_by_side(act, _CONTENDED))
    assert all(_end(exchange, number) == end + _WORKERS * _STEP for number, end in before.items())
    return mean


def _end(exchange: FakeExchange, number: int) -> datetime:
    return datetime.fromisoformat(exchange.run(ref_of(number).fielding_run_id)["end_fielding_at"])


async def measure(url: str | None, runs: int, store: HintStore | None = None) -> dict[str, Mean]:
    """Return the means of each kind of action."""
    exchange = FakeExchange(_LATENCY)
    async with workers(exchange, url, store) as fielding:
        return {
            "an action on a run that another worker has just read": await after_a_read(fielding, runs),
            "actions by all in turn": await in_turn(fielding, runs),
            "actions by all in turn, once more": await in_turn(fielding, runs),
            "callable updates by all in turn": await in_turn(fielding, runs // 10, count=True),
            "callable updates by all at once": await all_at_once(fielding, exchange),
        }


class LateStore(HintStore):
    """A store that takes time for each step."""

    async def get(self, ref: RunRef) -> FieldingRun | None:
        await asyncio.sleep(0.001)
        return await super().get(ref)

    def offer(self, ref: RunRef, response: Response) -> None:
        asyncio.get_running_loop().call_later(0.001, super().offer, ref, response)

    def drop(self, ref: RunRef, etag: str | None) -> None:
        asyncio.get_running_loop().call_later(0.001, super().drop, ref, etag)


def test_hints_save_requests_and_cost_none() -> None:
    """An action on a run just read is one request; in turn each is a GET and a write; increments all count."""
    shared, alone = run(measure(None, _RUNS, LateStore())), run(measure(None, _RUNS // 10))
    read, turn, again, counting, count = shared
    assert shared[read].requests <= 1.2 < alone[read].requests
    for kind in (turn, again):
        assert shared[kind].requests <= 2.1
        assert shared[kind].conflicts <= 0.05
    print({"with hints": shared, "without": alone})
    assert shared[counting].requests <= alone[counting].requests
    assert shared[count].requests <= 1.2 * alone[count].requests  # of 64, so that chance has its part


if __name__ == "__main__":
    for title, address in (("with hints", sys.argv[1]), ("without", None)):
        for name, mean in asyncio.run(measure(address, _RUNS)).items():
            print(f"{title}: {name}: {mean.requests:.3f} requests, {mean.conflicts:.3f} conflicts")
