"""Asking a database that may be away for a moment: again and again, with growing random waits, until a time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from attrs import frozen

from fielding_async.engine.backoff_waits import Uniform
from fielding_async.plans.database.errors import StoreLostError

from .clock import Clock

__all__ = ["Patience", "StoreLostError"]

_T = TypeVar("_T")
_ANSWER = 5.0  # seconds: a connection that is silent for longer is given up
_FIRST_WAIT, _LONGEST_WAIT = 0.05, 1.0


@frozen
class Patience:
    """How one worker asks. `clock`: as of its leases. `uniform`: its random source."""

    clock: Clock
    uniform: Uniform

    async def once(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        """Ask once. Raises `StoreLostError`, also if there is no answer in time."""
        try:
            async with asyncio.timeout(_ANSWER):
                return await ask()
        except TimeoutError:
            raise StoreLostError(f"no answer from the database in {_ANSWER:g} seconds") from None

    async def wait(self, tries: int) -> None:
        """Wait before asking again. `tries`: how often it was asked, from 1."""
        most = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(tries, 10))
        await asyncio.sleep(self.uniform(most / 2, most))

    async def ask(self, ask: Callable[[], Awaitable[_T]], until: Callable[[], float]) -> _T:
        """Ask until there is an answer, or until a time that may move. Raises the last `StoreLostError`."""
        tries = 0
        while True:
            try:
                return await self.once(ask)
            except StoreLostError:
                tries += 1
                if self.clock() >= until():
                    raise
            await self.wait(tries)
