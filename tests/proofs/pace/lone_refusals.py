"""Refusals that stand alone, where there is no limit: what they cost beyond their pauses."""

from collections.abc import Sequence

from attrs import evolve, frozen

from .cost import percentile
from .demand import Demand
from .play import MakePacer, play
from .weather import EventLoop, Network, Strays
from .worlds import ServerSpec, World

__all__ = [
    "LIGHT",
    "LONE_PAUSE",
    "LightStrays",
    "LoneRefusal",
    "light_world",
    "play_light",
    "play_lone",
    "waves_world",
]

LONE_PAUSE = 0.1
LIGHT_PAUSE = 1.0
FREE = ServerSpec("none", 100.0)


@frozen
class LoneRefusal:
    """Three waves of 60 GETs, of whose requests one met a 429. `seconds`: of all three; `calm`: the same without it."""

    number: int
    seconds: float
    calm: float

    @property
    def beyond(self) -> float:
        """The seconds that the refusal cost beyond its pause."""
        return self.seconds - self.calm - LONE_PAUSE


def waves_world(strays: Strays | None, round_trip: float = 0.02, calls: int = 180) -> World:
    """Return a world of waves of 60 without a limit."""
    return World(
        seed=1,
        server=FREE,
        demand=Demand("waves", calls, 100.0, size=60),
        network=Network(round_trip=round_trip, connect=0.0),
        strays=strays,
    )


def play_lone(
    make_pacer: MakePacer, numbers: Sequence[int] = range(1, 31), *, round_trip: float = 0.02, calls: int = 180
) -> list[LoneRefusal]:
    """Play waves of 60 with a lone 429 (`Retry-After: 0.1`) at each of these requests, one after the other."""
    calm = play(waves_world(None, round_trip, calls), make_pacer).makespan
    found: list[LoneRefusal] = []
    for number in numbers:
        strays = Strays(numbers=(number,), wait=LONE_PAUSE)
        found.append(LoneRefusal(number, play(waves_world(strays, round_trip, calls), make_pacer).makespan, calm))
    return found


@frozen
class LightStrays:
    """Steady light demand and single 429s (`Retry-After: 1`). `p99`, `worst`: of the seconds of a call."""

    name: str
    p99: float
    worst: float
    failed: int
    calls: int

    @property
    def beyond(self) -> float:
        """By how much the slow calls exceed the pause, in seconds."""
        return self.p99 - LIGHT_PAUSE


def light_world(name: str, seed: int) -> World:
    """Return a world of light demand, one of `LIGHT`. Single 429s come a little later with each seed."""
    rate, loop, strays = LIGHT[name]
    if strays.times:
        strays = evolve(strays, times=tuple([at + 0.2 + 0.4 * seed for at in strays.times]))
    return World(
        seed=seed,
        server=FREE,
        demand=Demand("below", int(rate * 40), rate, even=True),
        network=Network(round_trip=0.037),
        loop=loop,
        strays=strays,
        timeout=10.0,
    )


_FOUR = Strays(times=(0.0, 4.0, 8.0, 12.0), retry_after="always 1")
_MANY = Strays(share=0.01, retry_after="always 1")
_BUSY = EventLoop(busy=0.1, share=0.5)
LIGHT: dict[str, tuple[float, EventLoop, Strays]] = {
    "5/s, four": (5.0, EventLoop(), _FOUR),
    "5/s, four, loop busy": (5.0, _BUSY, _FOUR),
    "20/s, four": (20.0, EventLoop(), _FOUR),
    "20/s, four, loop busy": (20.0, _BUSY, _FOUR),
    "5/s, 1 %": (5.0, EventLoop(), _MANY),
    "20/s, 1 %": (20.0, EventLoop(), _MANY),
    "20/s, 1 %, loop busy": (20.0, _BUSY, _MANY),
}


def play_light(make_pacer: MakePacer, name: str, seeds: Sequence[int] = range(10)) -> LightStrays:
    """Play 40 seconds of light demand with `timeout=10`, for each seed."""
    took: list[float] = []
    failed = 0
    for seed in seeds:
        played = play(light_world(name, seed), make_pacer)
        failed += len(played.errors)
        took += [end - want for want, end in zip(played.wants, played.ends, strict=True)]
    return LightStrays(name, percentile(took, 0.99), max(took), failed, len(took))
