"""What the exchange does behind a gateway: it is slow, cuts, fails, has colleagues write, and lets caches keep runs."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Literal

from attrs import frozen

from fielding_async import RunRef
from fielding_async.sandbox import Cut, Fault, Hold, Refuse, SecondWriter, SetHeader, Status
from fielding_async.sandbox.serving.routes import Operation
from tests.tools.driven_calls import DiceScript

__all__ = ["Arrival", "Weather"]


@frozen
class Arrival:
    """A request as it came to the exchange: how many writes there were, and whether its reply is sure to be lost.

    One that is cut within its head may get through: squid makes a whole reply of it, without a body.
    """

    writes: int
    is_lost: bool


ILL, SPELL = 0.01, 2
"""How likely it is that writes to a run are slow for a while, and how many more there are then."""


def _loses(fault: Fault) -> bool:
    if isinstance(fault, Cut):
        return fault.at in {"before", "after"}
    return isinstance(fault, Refuse) or (isinstance(fault, Status) and fault.code >= 500)


class Slow(Hold):
    """Lets a request wait for so many seconds, and says when it is over."""

    def __init__(self, seconds: float, when: Literal["before", "after"], weather: "Weather") -> None:
        super().__init__(when)
        self._seconds = seconds
        self._weather = weather

    async def pass_through(self) -> None:
        """Wait."""
        self._weather.waiting += 1
        try:
            await asyncio.sleep(self._seconds)
        finally:
            self._weather.waiting -= 1
            # what it is about happens before the loop's next round
            asyncio.get_running_loop().call_soon(self._weather.wake)


class Weather(DiceScript):
    """Dice in place of a script, one per run.

    `written`: tells how many writes there are. `slow`: the seconds of a slow request. `max_age`: how long caches may
    keep a run. `arrivals` has an entry for each request, in the order of `Sandbox.requests`.
    """

    def __init__(self, seed: int, written: Callable[[], int], *, slow: float, max_age: int | None) -> None:
        super().__init__(seed)
        self._written = written
        self.arrivals: list[Arrival] = []
        self._slow = slow
        self._max_age = max_age
        self._calm = asyncio.Event()
        self.waiting = 0
        self._slow_still: Counter[RunRef | None] = Counter()

    def take(self, operation: Operation, ref: RunRef | None, *, run_exists: bool) -> tuple[Fault, ...]:
        """Return what strikes a request."""
        dice, method = self.dice(ref), operation.method
        faults: list[Fault] = [*self._loss(dice, method, ref), *self._rival(dice, method)]
        self.arrivals.append(Arrival(self._written(), any(map(_loses, faults))))
        self.struck["requests"] += 1
        for fault in faults:
            self.struck[type(fault).__name__] += 1
        # nginx keeps an error as long as a run, if it may
        fails = any(isinstance(fault, Status) for fault in faults)
        if method == "GET" and self._max_age is not None and not fails:
            faults += [SetHeader("Cache-Control", f"public, max-age={self._max_age}"), SetHeader("Vary", "Accept")]
        return tuple(faults)

    def _loss(self, dice: Random, method: str, ref: RunRef | None) -> list[Fault]:
        roll, which, falls_ill = dice.random(), dice.random(), dice.random() < ILL
        if method != "GET" and (falls_ill or self._slow_still[ref]):
            self._slow_still[ref] = SPELL if falls_ill else self._slow_still[ref] - 1
            return [Slow(self._slow, "before", self)]
        if roll < 0.04:
            return [Cut("before")]
        if roll < 0.08:
            return [Cut(("after", "headers", "body")[int(which * 3)])]
        if roll < 0.11:
            return [Slow(self._slow, "before" if which < 0.6 else "after", self)]
        if roll < 0.14:
            return [Status((500, 502, 503, 504)[int(which * 4)], applied=dice.random() < 0.5)]
        if roll < 0.15:
            return [Refuse()]
        if roll < 0.153:
            return [Status(429)]
        return []

    def _rival(self, dice: Random, method: str) -> list[Fault]:
        overtaken, flips, later, minutes = (dice.random() for _ in range(4))
        if method == "GET" or overtaken >= 0.06:
            return []
        status = "paused" if flips < 0.15 else "live" if flips < 0.3 else None
        shift = None if status else timedelta(minutes=1 + int(minutes * 59))
        return [SecondWriter(status=status, shift_end=shift, when="after" if later < 0.3 else "before")]

    def wake(self) -> None:
        """Look whether anything is still waiting."""
        if not self.waiting:
            self._calm.set()

    async def over(self) -> None:
        """Wait until no request is on its way to the exchange any more."""
        while self.waiting:
            self._calm.clear()
            await self._calm.wait()
