"""What a world costs a client: beside the oracle, and beside plain obedience."""

from functools import lru_cache
from math import ceil

from attrs import frozen

from .clients import plain
from .oracle import Ideal, consult
from .play import MakePacer, Played, play
from .worlds import World, make_world

__all__ = ["LATE", "Score", "assess", "cost_of", "percentile", "score"]

LATE = 10.0
"""Seconds beyond the oracle's end of a call, after which it is late."""
_ADDED = 1.0  # seconds, to both sides of a ratio: less than that matters to nobody


@frozen
class Score:
    """What came of one world. `cost`: the worse of makespan and mean latency against the oracle's; `harm`: times plain's.

    """

    seed: int
    class_name: str
    cost: float
    harm: float
    makespan: float
    latency: float
    extra_sends: float
    late: int
    failed: int
    calls: int


def cost_of(world: World, played: Played, ideal: Ideal) -> tuple[float, float, float]:
    """Return the cost, and the two ratios that it is the worse of: of makespans, and of mean latencies.

    A failed call counts as if it had taken all the time that it has at least.
    """
    ends = list(played.ends)
    least = world.total if world.timeout is None else world.timeout
    for number in played.errors:
        ends[number] = max(ends[number], played.wants[number] + least)
    makespan = max(ends) - min(played.wants)
    latency = (sum(ends) - sum(played.wants)) / len(ends)
    longer = (makespan + _ADDED) / (ideal.makespan + _ADDED)
    slower = (latency + _ADDED) / (ideal.latency + _ADDED)
    return max(longer, slower), longer, slower


@lru_cache(maxsize=4096)
def _reference(world: World) -> tuple[Ideal, float]:
    ideal = consult(world)
    return ideal, cost_of(world, play(world, plain), ideal)[0]


def assess(world: World, played: Played) -> Score:
    """Return the score of what was played."""
    ideal, plain_cost = _reference(world)
    cost, makespan, latency = cost_of(world, played, ideal)
    late = sum(
        number in played.errors or end > ends + LATE
        for number, (end, ends) in enumerate(zip(played.ends, ideal.ends, strict=True))
    )
    return Score(
        seed=world.seed,
        class_name=world.class_name,
        cost=cost,
        harm=cost / plain_cost,
        makespan=makespan,
        latency=latency,
        extra_sends=played.extra_sends,
        late=late,
        failed=len(played.errors),
        calls=played.calls,
    )


def score(seed: int, make_pacer: MakePacer) -> Score:
    """Play the world of a seed, and return its score."""
    world = make_world(seed)
    return assess(world, play(world, make_pacer))


def percentile(values: list[float], share: float) -> float:
    """Return the value that this share of all values does not exceed."""
    return sorted(values)[max(0, ceil(share * len(values)) - 1)]
