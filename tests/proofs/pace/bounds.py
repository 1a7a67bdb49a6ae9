"""What is claimed of the pace in these worlds. Each function returns the claims that do not hold, in words."""

from collections.abc import Iterable, Sequence

from .classic import Case, Classic
from .cost import Score
from .lone_refusals import LightStrays, LoneRefusal
from .report import summarise

__all__ = ["broken_by_classics", "broken_by_light_strays", "broken_by_lone_refusals", "broken_by_worlds"]

# the case, the most sends, the most time against the oracle's
_CLASSIC: dict[Case, tuple[int | None, float]] = {
    "100 at 10/s": (112, 1.5),
    "2,000 at 100/s": (2100, 1.3),
    "known": (1005, 1.25),
    "rises": (None, 1.4),
    "falls": (None, 1.5),
}
_BEYOND = 0.5  # seconds beyond its pause that a refusal may cost which stands alone


def _above(claims: Iterable[tuple[str, float, float]]) -> list[str]:
    return [f"{name}: {value:.3g}, above {bound:.3g}" for name, value, bound in claims if value > bound]


def broken_by_worlds(ours: Sequence[Score], plain: Sequence[Score], *, slack: float = 1.0) -> list[str]:
    """Judge random worlds. `slack`: times the bounds of percentiles, as a few worlds are not like thousands."""
    one, obedient = summarise(ours), summarise(plain)
    _, _, p99, most = one.harm_p50_p90_p99_max
    median, p90, _ = one.cost_p50_p90_max
    return _above([
        ("harm p99", p99, 3.5 * slack),
        ("harm max", most, 5.0),
        ("cost p50", median, 1.4 * slack),
        ("cost p90", p90, 6.5 * slack),
        ("extra sends p50", one.extra_sends_p50_p90[0], 0.08 * slack),
        ("late calls", one.late, obedient.late),
        ("requests before a Retry-After had passed", one.early, 0),
    ])  # fmt: skip


def broken_by_classics(found: Iterable[Classic]) -> list[str]:
    """Judge the classic worlds."""
    broken: list[str] = []
    for one in found:
        name = f"{one.case}, {one.kind}{', strict' if one.strict else ''}"
        sends, ratio = _CLASSIC[one.case]
        claims = [
            (f"{name}: failed calls", one.failed, 0),
            (f"{name}: requests before a Retry-After had passed", one.early, 0),
            (f"{name}: time against the oracle's", one.ratio, ratio),
        ]
        if sends is not None:
            claims.append((f"{name}: sends", one.sends, sends))
        broken += _above(claims)
    return broken


def broken_by_lone_refusals(found: Iterable[LoneRefusal]) -> list[str]:
    """Judge lone 429s without a limit."""
    return _above(
        (f"a lone 429 at request {one.number}: seconds beyond its pause", one.beyond, _BEYOND) for one in found
    )


def broken_by_light_strays(found: Iterable[LightStrays]) -> list[str]:
    """Judge single 429s at light demand."""
    broken: list[str] = []
    for one in found:
        broken += _above([
            (f"{one.name}: p99 of the seconds beyond the pause", one.beyond, _BEYOND),
            (f"{one.name}: failed calls", one.failed, 0),
        ])  # fmt: skip
    return broken
