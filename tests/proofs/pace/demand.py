"""When calls are made: the demand of each session.

All of it is known beforehand, but for waves: each waits for the one before.
"""

import random
from typing import Literal, get_args

from attrs import frozen

__all__ = ["SHAPES", "Demand", "Foreign", "Plan", "Shape"]

Shape = Literal["at once", "below", "at the limit", "above", "bursts", "idle", "ramp", "waves"]
SHAPES: tuple[Shape, ...] = get_args(Shape)


@frozen
class Plan:
    """What one session does. `wants`: when its calls are made, in order.

    `waves`: or else so many calls at a time, the first wave at `start`, each later one `think` seconds after the wave
    before has ended.
    """

    start: float
    wants: tuple[float, ...] = ()
    waves: tuple[int, ...] = ()
    think: float = 0.0

    @property
    def calls(self) -> int:
        """How many calls it makes."""
        return len(self.wants) or sum(self.waves)


@frozen
class Demand:
    """The calls of all sessions together.

    `rate`: calls a second of all sessions, on the average of the time in which they are made. `even`: steady calls are
    spaced evenly, not at random. `size`: calls of a burst or of a wave, of one session. `pause`: idle seconds, or those
    between two waves. `sessions`: they share the calls; each starts up to `spread` seconds after the first.
    """

    shape: Shape
    calls: int
    rate: float
    even: bool = False
    size: int = 1
    pause: float = 0.0
    sessions: int = 1
    spread: float = 0.0

    def plans(self, seed: int) -> list[Plan]:
        """Return what each session does."""
        dice = random.Random(f"demand {seed}")
        found: list[Plan] = []
        for number in range(self.sessions):
            calls = self.calls // self.sessions + (number < self.calls % self.sessions)
            start = 0.0 if number == 0 else dice.uniform(0.0, self.spread)
            if not calls:
                continue
            if self.shape == "waves":
                sizes = [self.size] * (calls // self.size) + [calls % self.size]
                found.append(Plan(start, waves=tuple(size for size in sizes if size), think=self.pause))
            else:
                found.append(Plan(start, wants=tuple(self._wants(calls, start, dice))))
        return found

    def _wants(self, calls: int, start: float, dice: random.Random) -> list[float]:
        rate = self.rate / self.sessions
        if self.shape == "at once":
            return [start] * calls
        if self.shape == "bursts":
            return [start + self.size / rate * (number // self.size) for number in range(calls)]
        gaps = [1.0 if self.even else dice.expovariate(1.0) for _ in range(calls)]
        if self.shape == "ramp":
            # from a tenth to twice the rate, and so 1.05 times the rate on the average of the calls' own time
            gaps = [gap / (0.1 + 1.9 * number / calls) for number, gap in enumerate(gaps)]
        found: list[float] = []
        now = start
        for number, gap in enumerate(gaps):
            if self.shape == "idle" and number and number % self.size == 0:
                now += self.pause
            found.append(now)
            now += gap / rate
        return found


@frozen
class Foreign:
    """A client of somebody else: `rate` requests a second, at random times, from `start` to `end`. None is repeated."""

    rate: float
    start: float
    end: float

    def arrivals(self, seed: int) -> list[float]:
        """Return when its requests arrive."""
        dice = random.Random(f"foreign {seed}")
        found: list[float] = []
        now = self.start + dice.expovariate(self.rate)
        while now < self.end:
            found.append(now)
            now += dice.expovariate(self.rate)
        return found
