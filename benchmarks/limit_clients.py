"""Clients of a limited server in virtual time: the SDK, and what users write with the libraries at hand.

All share one way of sending, a `Line`; each gets 32 connections. A client is `async (line, requests, rate) -> failures`
with `rate` the requests a second that it was told, or `None`.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar
from unittest.mock import patch

import aiolimiter
import backoff
import stamina
from attrs import define, field, frozen

from benchmarks.limit_servers import Server
from fielding_async import FieldingError, Limits, RunRef
from fielding_async.core.wire.replies import Attempted, Response
from fielding_async.http.transport import Outgoing
from fielding_async.session import session_over
from tests.tools.virtual_time import VirtualTimeLoop, run

__all__ = [
    "CONNECTIONS",
    "ONE_WAY",
    "PEERS",
    "Client",
    "Line",
    "Loop",
    "Played",
    "ours",
    "play_together",
    "session_waves",
    "simulate",
]

_T = TypeVar("_T")
ONE_WAY = 0.01
CONNECTIONS = 32

_BODY = (
    '{"id":"%s","status":"live","version":1,"start_fielding_at":"2026-01-01T00:00:00.000Z",'
    '"end_fielding_at":"2031-01-01T00:00:00.000Z","last_changed_at":"2026-01-01T00:00:00.000Z",'
    '"last_changed_by":"somebody"}'
)


@define
class Line:
    """The way from one client to the server: `ONE_WAY` seconds there and back, each up to `jitter` seconds longer."""

    server: Server
    name: str
    began: float
    dice: random.Random
    jitter: float = 0.0
    sends: int = 0
    refused: int = 0
    early: int = 0
    """Requests that left although a Retry-After, received before, had not passed."""
    _closed_until: float = 0.0

    async def request(self) -> int | None:
        """Send one request and wait for its reply: `None`, or the Retry-After of its 429 in seconds."""
        loop = asyncio.get_running_loop()
        self.sends += 1
        self.early += loop.time() < self._closed_until - 1e-9
        await asyncio.sleep(ONE_WAY + self.dice.uniform(0, self.jitter))
        retry_after = self.server.hit(loop.time() - self.began, self.name)
        await asyncio.sleep(ONE_WAY + self.dice.uniform(0, self.jitter))
        if retry_after is not None:
            self.refused += 1
            self._closed_until = max(self._closed_until, loop.time() + retry_after)
        return retry_after


Client = Callable[[Line, int, float | None], Awaitable[int]]


@define
class _Transport:
    """The SDK's seam, over a line."""

    line: Line

    async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
        del timeout, connect_timeout  # the line is never cut
        await outgoing.leave()
        retry_after = await self.line.request()
        if retry_after is not None:
            return Response(429, {"Retry-After": str(retry_after)}, b"{}")
        name = outgoing.url.rpartition("/")[2]
        return Response(200, {"ETag": 'W/"1"'}, (_BODY % name).encode())

    def close_now(self) -> None:
        """Do nothing: nothing was opened."""

    async def aclose(self) -> None:
        """Nothing was opened."""


async def session_waves(line: Line, requests: int, limits: Limits, *, waves: int = 1) -> tuple[int, list[float]]:
    """Get as many runs as there are requests, all at once, in one session; and again for each further wave.

    Returns how many calls failed, and the seconds that each wave took.
    """
    failures = 0
    seconds: list[float] = []
    loop = asyncio.get_running_loop()
    transport, dice = _Transport(line), random.Random(line.dice.random())
    async with session_over(transport, dice=dice, auth="token", limits=limits) as fielding:

        async def one(number: int) -> None:
            nonlocal failures
            try:
                await fielding.run(RunRef(1, "0" * 26, "1" * 26, f"r{number}")).get()
            except FieldingError:
                failures += 1

        for _ in range(waves):
            began = loop.time()
            async with asyncio.TaskGroup() as group:
                for number in range(requests):
                    group.create_task(one(number))
            seconds.append(loop.time() - began)
    return failures, seconds


async def ours(line: Line, requests: int, rate: float | None) -> int:
    """The SDK as it comes, all calls at once in one session."""
    failures, _ = await session_waves(line, requests, Limits(concurrency=CONNECTIONS, rate=rate))
    return failures


class Loop(VirtualTimeLoop):
    """Timers ring a microsecond late: on a loop that is never late, aiolimiter waits for zero seconds for ever.

    `rounds` counts how often the loop went round.
    """

    rounds = 0

    def waits(self, timeout: float | None) -> None:
        """Let time pass."""
        self.rounds += 1
        super().waits(timeout)
        if timeout:
            self._now += 1e-6


class _TooMany(Exception):  # noqa: N818 - a status, not an error
    def __init__(self, retry_after: int) -> None:
        super().__init__("429")
        self.retry_after = retry_after


@define
class _Pool:
    """Connections, as an HTTP library would pool them: one request at a time on each."""

    line: Line
    free: asyncio.Semaphore = field(factory=lambda: asyncio.Semaphore(CONNECTIONS))

    async def get(self) -> int | None:
        """Send one request on a free connection; return what `Line.request` does."""
        async with self.free:
            return await self.line.request()

    async def get_or_raise(self) -> None:
        """Send one request; raises `_TooMany` for a 429."""
        retry_after = await self.get()
        if retry_after is not None:
            raise _TooMany(retry_after)


async def _all(requests: int, call: Callable[[], Awaitable[object]]) -> int:
    """Make all calls at once; return how many ended in a 429."""
    results = await asyncio.gather(*(call() for _ in range(requests)), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, _TooMany):
            raise result
    return sum(isinstance(result, _TooMany) for result in results)


async def naive(line: Line, requests: int, rate: float | None) -> int:
    """Sleep in each task for its Retry-After; a task that sleeps keeps its place among the 32."""
    del rate
    places = asyncio.Semaphore(CONNECTIONS)

    async def one() -> None:
        async with places:
            while True:
                retry_after = await line.request()
                if retry_after is None:
                    return
                await asyncio.sleep(retry_after)

    return await _all(requests, one)


async def backoff_expo(line: Line, requests: int, rate: float | None) -> int:
    """`backoff.expo` around each task, with its full jitter and the 8 tries of its README."""
    del rate
    pool = _Pool(line)
    return await _all(requests, backoff.on_exception(backoff.expo, _TooMany, max_tries=8)(pool.get_or_raise))


async def backoff_runtime(line: Line, requests: int, rate: float | None) -> int:
    """`backoff.runtime` around each task, as its README has it for Retry-After: no jitter, tries without end."""
    del rate
    pool = _Pool(line)

    def seconds(retry_after: int | None) -> int:
        return retry_after or 0

    def is_refused(retry_after: int | None) -> bool:
        return retry_after is not None

    call = backoff.on_predicate(backoff.runtime, predicate=is_refused, value=seconds, jitter=None)(pool.get)
    return await _all(requests, call)


async def stamina_retry(line: Line, requests: int, rate: float | None) -> int:
    """`stamina.retry` around each task with its defaults (10 attempts, 45 seconds), waiting as Retry-After says."""
    del rate
    pool = _Pool(line)

    def wait(error: Exception) -> float | bool:
        return float(error.retry_after) if isinstance(error, _TooMany) else False

    return await _all(requests, stamina.retry(on=wait)(pool.get_or_raise))


async def aiolimiter_known(line: Line, requests: int, rate: float | None) -> int:
    """`aiolimiter` told the rate, around each attempt; what is refused all the same sleeps for its Retry-After."""
    assert rate is not None
    pool, limiter = _Pool(line), aiolimiter.AsyncLimiter(rate, 1.0)

    async def one() -> None:
        while True:
            async with limiter:
                retry_after = await pool.get()
            if retry_after is None:
                return
            await asyncio.sleep(retry_after)

    return await _all(requests, one)


PEERS: dict[str, tuple[Client, bool]] = {
    "naive sleep": (naive, False),
    "backoff.expo": (backoff_expo, False),
    "backoff.runtime": (backoff_runtime, False),
    "stamina": (stamina_retry, False),
    "aiolimiter": (aiolimiter_known, True),
}
"""The peers by name, and whether each is told the rate."""


def simulate(main: Coroutine[Any, Any, _T], loop: Loop, seed: int) -> _T:
    """Run a coroutine in virtual time, with dice and clocks of the libraries at hand under control."""
    stamina.instrumentation.set_on_retry_hooks([])  # it logs each retry
    random.seed(seed)  # what backoff and stamina throw
    with patch("time.monotonic", loop.time):  # what stamina measures its timeout with
        return run(main, loop=loop)


@frozen
class Played:
    """What one client did: `seconds` is until its last call ended."""

    failures: int
    sends: int
    refused: int
    early: int
    seconds: float


def play_together(
    server: Server, clients: list[tuple[Client, int, float | None]], *, seed: int = 0, jitter: float = 0.0
) -> list[Played]:
    """Let clients (each with its requests and the rate it is told) share a server, in virtual time."""

    async def one(number: int, client: Client, requests: int, rate: float | None) -> Played:
        loop = asyncio.get_running_loop()
        began = loop.time()
        line = Line(server, str(number), began, random.Random(f"{seed}/{number}"), jitter)
        failures = await client(line, requests, rate)
        return Played(failures, line.sends, line.refused, line.early, loop.time() - began)

    async def main() -> list[Played]:
        return await asyncio.gather(*(one(number, *client) for number, client in enumerate(clients)))

    return simulate(main(), Loop(), seed)
