"""Figures of many worlds, as lines to print and as values for tests."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from multiprocessing import get_context

from attrs import frozen

from .classic import CASES, KINDS, Classic, play_classic
from .clients import CLIENTS
from .cost import Score, percentile, score
from .gateways import GATEWAYS, play_gateway, play_shared
from .lone_refusals import LIGHT, play_light, play_lone
from .play import MakePacer
from .worlds import make_world

__all__ = [
    "FRESH",
    "Summary",
    "by_class",
    "classic_lines",
    "gateway_lines",
    "lone_lines",
    "play_all",
    "play_classics",
    "summarise",
    "table",
]

FRESH = range(1_000_000, 1_002_000)
"""The seeds of worlds that are not for development: no constant was chosen by them."""


@frozen
class Summary:
    """The figures of one client in many worlds. Each tuple has the percentiles that its name says."""

    worlds: int
    harm_p50_p90_p99_max: tuple[float, ...]
    cost_p50_p90_max: tuple[float, ...]
    extra_sends_p50_p90: tuple[float, ...]
    late: int
    failed: int
    early: int
    calls: int


def summarise(scores: Sequence[Score]) -> Summary:
    """Return the figures of many worlds."""

    def of(values: list[float], *shares: float) -> tuple[float, ...]:
        return tuple(percentile(values, share) for share in shares)

    return Summary(
        worlds=len(scores),
        harm_p50_p90_p99_max=of([one.harm for one in scores], 0.5, 0.9, 0.99, 1.0),
        cost_p50_p90_max=of([one.cost for one in scores], 0.5, 0.9, 1.0),
        extra_sends_p50_p90=of([one.extra_sends for one in scores], 0.5, 0.9),
        late=sum(one.late for one in scores),
        failed=sum(one.failed for one in scores),
        early=sum(one.early for one in scores),
        calls=sum(one.calls for one in scores),
    )


def _score_all(task: tuple[int, Sequence[str]]) -> list[Score]:
    seed, names = task
    return [score(seed, CLIENTS[name]) for name in names]


def play_all(seeds: Iterable[int], names: Sequence[str], processes: int = 1) -> dict[str, list[Score]]:
    """Let clients play the worlds of these seeds, side by side in so many processes."""
    tasks = [(seed, tuple(names)) for seed in seeds]
    found: dict[str, list[Score]] = {name: [] for name in names}

    def note(rows: Iterable[list[Score]]) -> None:
        for row in rows:
            for name, one in zip(names, row, strict=True):
                found[name].append(one)

    if processes > 1:
        with get_context("spawn").Pool(processes) as pool:
            note(pool.imap(_score_all, tasks, chunksize=4))
    else:
        note(map(_score_all, tasks))
    return found


_HEAD = (
    f"{'':24} {'worlds':>6} | {'harm p50    p90    p99    max':>29} | {'cost p50    p90     max':>23} | "
    f"{'sends p50  p90':>14} |   late failed  early   calls"
)


def _line(name: str, one: Summary) -> str:
    harm = " ".join(f"{value:6.2f}" for value in one.harm_p50_p90_p99_max)
    cost = " ".join(f"{value:7.2f}" for value in one.cost_p50_p90_max)
    extra = " ".join(f"{value:6.2f}" for value in one.extra_sends_p50_p90)
    counts = f"{one.late:6} {one.failed:6} {one.early:6} {one.calls:7}"
    return f"{name:24} {one.worlds:6} | {harm:>29} | {cost:>23} | {extra:>14} | {counts}"


def by_class(scores: Iterable[Score], by: str = "server") -> dict[str, list[Score]]:
    """Return the scores of each class of worlds, by name."""
    found: dict[str, list[Score]] = {}
    for one in scores:
        found.setdefault(make_world(one.seed).class_name(by), []).append(one)
    return dict(sorted(found.items()))


def table(found: Mapping[str, Sequence[Score]], classes: Sequence[str] = ()) -> Iterator[str]:
    """Yield the lines of a table: a row for each client, and, by each of `classes`, for each class of worlds."""
    yield _HEAD
    for name, scores in found.items():
        yield _line(name, summarise(scores))
    for by in classes:
        for name, scores in found.items():
            yield ""
            yield f"{name}, by {by}"
            for kind, some in by_class(scores, by).items():
                yield _line(f"  {kind}", summarise(some))


def play_classics(make_pacer: MakePacer) -> list[Classic]:
    """Play all classic worlds."""
    return [
        play_classic(case, kind, strict=strict, make_pacer=make_pacer)
        for case in CASES
        for kind in KINDS
        for strict in (False, True)
    ]


def classic_lines(make_pacer: MakePacer) -> Iterator[str]:
    """Yield a line for each classic world."""
    counts = f"{'sends':>6} {'429s':>6} {'failed':>6} {'early':>6}"
    yield f"{'':16} {'':18} strict {counts}  x ideal  of rate"
    for one in play_classics(make_pacer):
        counts = f"{one.sends:6} {one.refused:6} {one.failed:6} {one.early:6}"
        yield f"{one.case:16} {one.kind:18} {one.strict!s:6} {counts} {one.ratio:8.2f} {one.rate:8.2f}"


def gateway_lines(make_pacer: MakePacer) -> Iterator[str]:
    """Yield a line for each world like that of a real program."""
    for name in GATEWAYS:
        one = play_gateway(make_pacer, name)
        yield f"{name:34} x ideal {one.ratio:6.2f} (at most {one.bound}), sends {one.sends}, failed {one.failed}"
    shared = play_shared(make_pacer)
    seconds = f"p99 of the seconds added {shared.added_p99:.2f} in the worst (at most 3)"
    yield f"{'four processes at a load of 0.7':34} {seconds}, failed {shared.failed} of {shared.calls}"


def lone_lines(make_pacer: MakePacer) -> Iterator[str]:
    """Yield lines about refusals that stand alone."""
    yield "A lone 429 without a limit, three waves of 60: seconds beyond its pause, by the number of its request"
    found = play_lone(make_pacer)
    for first in range(0, len(found), 10):
        yield "  " + " ".join(f"{one.number:3}: {one.beyond:5.2f}" for one in found[first : first + 10])
    yield f"  worst {max(one.beyond for one in found):.2f}; without it the waves take {found[0].calm:.2f} s"
    yield "Single 429s (Retry-After: 1) at light demand, timeout=10: seconds of a call beyond the pause"
    for name in LIGHT:
        light = play_light(make_pacer, name)
        seconds = f"p99 {light.beyond:6.2f}  worst {light.worst - 1:6.2f}"
        yield f"  {name:24} {seconds}  failed {light.failed} of {light.calls}"
