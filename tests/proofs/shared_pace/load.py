"""Sessions with one pace under load without a pause: callers that call again and again until they are told to stop."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import pairwise
from types import TracebackType
from typing import Self

from attrs import frozen

from benchmarks.limit_servers import Limit
from fielding_async import FieldingSession, Limits, RunRef
from fielding_async.coordination import Shared
from tests.tools.waits import HANG

from .exchange import LimitedExchange

__all__ = ["Load", "Plan"]


@frozen
class Plan:
    """So many sessions at a limit of so many requests a second, with so many callers each.

    `is_told`: the rate is configured. `expected`: as of `Shared`.
    """

    limit: Limit
    per_second: float
    sessions: int = 4
    callers: int = 4
    is_told: bool = False
    expected: int | None = None


class Load:
    """Calls of many sessions on this loop. What failed is in `errors`."""

    def __init__(self, plan: Plan, url: str) -> None:
        self.plan = plan
        self.url = url
        self.exchange = LimitedExchange(plan.limit)
        self.sessions: list[FieldingSession] = []
        self.calls: list[int] = []
        self.errors: list[Exception] = []
        self._stack = AsyncExitStack()
        self._callers: list[asyncio.Task[None]] = []
        self._ended = asyncio.Condition()
        self._is_over = False

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.exchange)
        limits = Limits(rate=self.plan.per_second if self.plan.is_told else None)
        for number in range(self.plan.sessions):
            shared = Shared(self.url, scope="load", expected=self.plan.expected)
            session = FieldingSession(
                f"session-{number}", base_url=self.exchange.base_url, limits=limits, shared=shared
            )
            self.sessions.append(await self._stack.enter_async_context(session))
            self.calls.append(0)
        self._callers = [
            asyncio.create_task(self._call(number))
            for number in range(self.plan.sessions)
            for _ in range(self.plan.callers)
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over = True
        if error is not None:
            for caller in self._callers:
                caller.cancel()
        await asyncio.gather(*self._callers, return_exceptions=error is not None)
        await self._stack.aclose()

    async def _call(self, number: int) -> None:
        ref = RunRef(1, "0" * 26, "1" * 26, f"r{number}")
        while not self._is_over:
            try:
                await self.sessions[number].run(ref).get()
                self.calls[number] += 1
            except Exception as error:
                self.errors.append(error)
            async with self._ended:
                self._ended.notify_all()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds after the end of a call."""
        async with asyncio.timeout(HANG), self._ended:
            await self._ended.wait_for(holds)

    async def more(self, calls: int) -> None:
        """Wait until every session has had so many more calls answered."""
        wanted = [before + calls for before in self.calls]
        await self.until(lambda: all(done >= most for done, most in zip(self.calls, wanted, strict=True)))

    def members(self) -> list[int]:
        """Return how many members each session knows of: 0 if it cannot reach the store."""
        memberships = [session.engine().membership for session in self.sessions]
        return [membership.members for membership in memberships if membership is not None]

    async def all_sharing(self) -> None:
        """Wait until every session has reached the store, and knows of all others."""
        await self.until(lambda: self.members() == [self.plan.sessions] * self.plan.sessions)

    async def none_sharing(self) -> None:
        """Wait until every session goes on by itself."""
        await self.until(lambda: self.members() == [0] * self.plan.sessions)

    @property
    def refused(self) -> int:
        """How many requests were refused so far."""
        return sum(arrival.retry_after is not None for arrival in self.exchange.arrivals)

    def longest_stalls(self, since: float = 0.0) -> list[float]:
        """Return the longest time of each session in which it sent nothing, although no refusal asked for a pause."""
        arrivals = [arrival for arrival in self.exchange.arrivals if arrival.at >= since]
        pauses = [(one.at, one.at + one.retry_after) for one in arrivals if one.retry_after is not None]
        found: list[float] = []
        for number in range(self.plan.sessions):
            times = [arrival.at for arrival in arrivals if arrival.client == f"session-{number}"]
            gaps = [_beside(pauses, begin, end) for begin, end in pairwise([*times, self.exchange.now])]
            found.append(max(gaps))
        return found

    def most_in_a_second(self, since: float = 0.0) -> int:
        """Return the most requests that arrived in any second."""
        times = [arrival.at for arrival in self.exchange.arrivals if arrival.at >= since]
        most = first = 0
        for last, at in enumerate(times):
            while at - times[first] >= 1.0:
                first += 1
            most = max(most, last - first + 1)
        return most


def _beside(pauses: list[tuple[float, float]], begin: float, end: float) -> float:
    """Return the seconds between two times in which no pause was in force. Takes pauses in order of their begin."""
    left = end - begin
    covered = begin
    for start, stop in pauses:
        low, high = max(start, covered), min(stop, end)
        if high > low:
            left -= high - low
            covered = high
    return left
