"""What is claimed of the pace in these worlds: each claim has its text, the value that was found, and its bound."""

from collections.abc import Iterable, Sequence

from .classic import Case, Classic
from .cost import Score
from .gateways import Gateway, Shared
from .lone_refusals import LightStrays, LoneRefusal
from .report import summarise

__all__ = [
    "Claimed",
    "broken",
    "claims_of_classics",
    "claims_of_gateways",
    "claims_of_light_strays",
    "claims_of_lone_refusals",
    "claims_of_worlds",
]

Claimed = tuple[str, float, float]

# the case, the most sends, the most time against the oracle's
_CLASSIC: dict[Case, tuple[int | None, float]] = {
    "100 at 10/s": (112, 1.5),
    "2,000 at 100/s": (2100, 1.3),
    "known": (1005, 1.25),
    "rises": (None, 1.4),
    "falls": (None, 1.5),
}
_BEYOND = 0.5  # seconds beyond its pause that a refusal may cost which stands alone


def broken(claims: Iterable[Claimed]) -> list[str]:
    """Return the claims that do not hold, in words."""
    return [f"{name}: {value:.3g}, above {bound:.3g}" for name, value, bound in claims if value > bound]


def claims_of_worlds(ours: Sequence[Score], plain: Sequence[Score], *, slack: float = 1.0) -> list[Claimed]:
    """Judge random worlds. `slack`: times the bounds of percentiles, as a few worlds are not like thousands."""
    one, obedient = summarise(ours), summarise(plain)
    _, _, p99, most = one.harm_p50_p90_p99_max
    median, p90, _ = one.cost_p50_p90_max
    return [
        ("harm p99", p99, 3.5 * slack),
        ("harm max", most, 5.0),
        ("cost p50", median, 1.4 * slack),
        ("cost p90", p90, 6.5 * slack),
        ("extra sends a call, p50", one.extra_sends_p50_p90[0], 0.08 * slack),
        ("late calls, and those of plain obedience", one.late, obedient.late),
        ("requests before a Retry-After had passed", one.early, 0),
    ]


def claims_of_classics(found: Iterable[Classic]) -> list[Claimed]:
    """Judge the classic worlds: of each case the worst."""
    worst: dict[tuple[Case, str], tuple[float, str, float]] = {}
    for one in found:
        sends, ratio = _CLASSIC[one.case]
        measured: list[tuple[str, float, float]] = [
            ("failed calls", one.failed, 0),
            ("requests before a Retry-After had passed", one.early, 0),
            ("time against the oracle's", one.ratio, ratio),
        ]
        if sends is not None:
            measured.append(("sends", one.sends, sends))
        name = f"{one.kind}, strict" if one.strict else one.kind
        for what, value, bound in measured:
            if value > worst.get((one.case, what), (-1.0, "", 0.0))[0]:
                worst[one.case, what] = (value, name, bound)
    return [
        (f"{case}: {what}{f' ({name})' if value else ''}", value, bound)
        for (case, what), (value, name, bound) in worst.items()
    ]


def claims_of_gateways(found: Iterable[Gateway], shared: Shared) -> list[Claimed]:
    """Judge worlds like those of real programs."""
    claims: list[Claimed] = []
    for one in found:
        claims += [
            (f"{one.name}: time against the oracle's", one.ratio, one.bound),
            (f"{one.name}: failed calls", one.failed, 0),
        ]
    return [
        *claims,
        ("four processes at a load of 0.7: p99 of the seconds added, in the worst", shared.added_p99, 3.0),
        ("four processes at a load of 0.7: failed calls", shared.failed, 0),
    ]


def claims_of_lone_refusals(found: Iterable[LoneRefusal]) -> list[Claimed]:
    """Judge lone 429s without a limit."""
    name = "a lone 429 at request {}: seconds beyond its pause"
    return [(name.format(one.number), one.beyond, _BEYOND) for one in found]


def claims_of_light_strays(found: Iterable[LightStrays]) -> list[Claimed]:
    """Judge single 429s at light demand."""
    claims: list[Claimed] = []
    for one in found:
        claims += [
            (f"strays at {one.name}: p99 of the seconds beyond the pause", one.beyond, _BEYOND),
            (f"strays at {one.name}: failed calls", one.failed, 0),
        ]
    return claims
