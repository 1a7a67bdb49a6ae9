"""What a world costs a client: beside the oracle, and beside plain obedience."""

from collections.abc import Sequence
from functools import lru_cache
from math import ceil

from attrs import frozen

from .clients import plain
from .oracle import Ideal, consult
from .play import MakePacer, Played, play
from .worlds import World, make_world

__all__ = ["LATE", "Score", "assess", "cost_of", "percentile", "reference", "score"]

LATE = 10.0
"""Seconds beyond the oracle's end of a call, after which it is late."""
_ADDED = 1.0  # seconds, to both sides of a ratio: less than that matters to nobody


@frozen
class Score:
    """What came of one world. `cost`: the worse of `makespan` and mean `latency` against the oracle's, a second added.

    `harm`: `cost` against that of plain obedience. `extra_sends`: requests beyond one for each call, for each call.
    `late`: calls that ended more than `LATE` seconds after the oracle's, or failed. `early`: requests sent before a
    Retry-After had passed that was received before.
    """

    seed: int
    cost: float
    harm: float
    makespan: float
    latency: float
    extra_sends: float
    late: int
    failed: int
    early: int
    calls: int


def cost_of(world: World, played: Played, ideal: Ideal) -> tuple[float, float, float]:
    """Return the cost, and the two ratios that it is the worse of: of makespans, and of mean latencies.

    A failed call has to be made again. It counts as if that was done in the end, at the speed of those that succeeded:
    the time of all is divided by the share that did. It counts at least as if it had taken all the time that it has.
    """
    ends, begin = list(played.ends), min(played.wants)
    least = world.total if world.timeout is None else world.timeout
    for number in played.errors:
        ends[number] = max(ends[number], played.wants[number] + least)
    if played.errors:
        succeeded = max(len(ends) - len(played.errors), 1)
        again = begin + (max(ends) - begin) * len(ends) / succeeded
        for number in played.errors:
            ends[number] = again
    makespan = max(ends) - begin
    latency = (sum(ends) - sum(played.wants)) / len(ends)
    longer = (makespan + _ADDED) / (ideal.makespan + _ADDED)
    slower = (latency + _ADDED) / (ideal.latency + _ADDED)
    return max(longer, slower), longer, slower


@lru_cache(maxsize=4096)
def reference(world: World) -> tuple[Ideal, Score]:
    """Return the oracle's figures, and the score of plain obedience."""
    ideal = consult(world)
    return ideal, _score(world, play(world, plain), ideal, None)


def _score(world: World, played: Played, ideal: Ideal, plain_cost: float | None) -> Score:
    cost, makespan, latency = cost_of(world, played, ideal)
    late = sum(
        number in played.errors or end > ends + LATE
        for number, (end, ends) in enumerate(zip(played.ends, ideal.ends, strict=True))
    )
    return Score(
        seed=world.seed,
        cost=cost,
        harm=1.0 if plain_cost is None else cost / plain_cost,
        makespan=makespan,
        latency=latency,
        extra_sends=played.extra_sends,
        late=late,
        failed=len(played.errors),
        early=played.early,
        calls=played.calls,
    )


def assess(world: World, played: Played) -> Score:
    """Return the score of what was played."""
    ideal, obedient = reference(world)
    return _score(world, played, ideal, obedient.cost)


def score(seed: int, make_pacer: MakePacer) -> Score:
    """Play the world of a seed, and return its score."""
    world = make_world(seed)
    return reference(world)[1] if make_pacer is plain else assess(world, play(world, make_pacer))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of all values does not exceed."""
    return sorted(values)[max(0, ceil(share * len(values)) - 1)]
