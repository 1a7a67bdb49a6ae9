"""The classic worlds: all calls at once, a limit that is not known, known, rises or falls, on four kinds of server.

Round trips of 20 ms without jitter, Retry-After in whole seconds, the windows of one second; a token bucket holds a
second's worth. Each case is played from several places in a window.
"""

from collections.abc import Callable
from typing import Literal, get_args

from attrs import frozen

from fielding_async import Limits
from fielding_async.core.pace.pacer import Pacer

from .demand import Demand
from .oracle import consult
from .play import MakePacer, Played, play
from .session import PacerLike
from .weather import Network
from .worlds import Kind, ServerSpec, World

__all__ = ["CASES", "OFFSETS", "Case", "Classic", "classic_world", "play_classic", "told_rate"]

Case = Literal["100 at 10/s", "2,000 at 100/s", "known", "rises", "falls"]
CASES: tuple[Case, ...] = get_args(Case)
KINDS: tuple[Kind, ...] = ("fixed window 1 s", "sliding log", "token bucket", "strict spacing")
OFFSETS = (0.0, 0.37, 0.73)
RATES: dict[Case, float] = {
    "100 at 10/s": 10.0,
    "2,000 at 100/s": 100.0,
    "known": 100.0,
    "rises": 20.0,
    "falls": 90.0,
}
CALLS: dict[Case, int] = {"100 at 10/s": 100, "2,000 at 100/s": 2000, "known": 1000, "rises": 2000, "falls": 2000}
PHASES: dict[Case, tuple[tuple[float, float], ...]] = {"rises": ((10.0, 5.0),), "falls": ((10.0, 1 / 3),)}


@frozen
class Classic:
    """The worst of the places in a window.

    `ratio`: seconds against the oracle's. `rate`: calls a second, against the limit at the beginning.
    """

    case: Case
    kind: Kind
    strict: bool
    calls: int
    sends: int
    failed: int
    early: int
    refused: int
    ratio: float
    rate: float


def classic_world(case: Case, kind: Kind, *, strict: bool, offset: float = 0.0) -> World:
    """Return a classic world. `strict`: who was refused is refused until the Retry-After has passed."""
    rate = RATES[case]
    return World(
        seed=round(offset * 100),
        server=ServerSpec(
            kind=kind,
            rate=rate,
            burst=int(rate) if kind == "token bucket" else 1,
            offset=offset,
            phases=PHASES.get(case, ()),
            obedience=strict,
        ),
        demand=Demand("at once", CALLS[case], rate),
        network=Network(round_trip=0.02, connect=0.0),
    )


def told_rate(rate: float) -> MakePacer:
    """Return how pacers are made that are told the rate."""

    def make(uniform: Callable[[float, float], float]) -> PacerLike:
        return Pacer(Limits(rate=rate), uniform)

    return make


def play_classic(case: Case, kind: Kind, *, strict: bool, make_pacer: MakePacer) -> Classic:
    """Play a classic world from each place in a window. A known rate is told, whatever the pacer."""
    played: list[tuple[Played, float]] = []
    for offset in OFFSETS:
        world = classic_world(case, kind, strict=strict, offset=offset)
        one = play(world, told_rate(RATES[case]) if case == "known" else make_pacer)
        played.append((one, one.makespan / consult(world).makespan))
    return Classic(
        case=case,
        kind=kind,
        strict=strict,
        calls=CALLS[case],
        sends=max(one.sends for one, _ in played),
        failed=max(len(one.errors) for one, _ in played),
        early=max(one.early for one, _ in played),
        refused=max(one.refused for one, _ in played),
        ratio=max(ratio for _, ratio in played),
        rate=min(CALLS[case] / one.makespan / RATES[case] for one, _ in played),
    )
