"""The pace in random worlds of limits, in virtual time, beside plain obedience, other clients and an oracle.

The worlds are those of `tests.proofs.pace`, 2,000 of them by which no constant of the pace was chosen.
"""

import os
from collections.abc import Sequence

from benchmarks.report import Cell, Section, at_most
from tests.proofs.pace.bounds import (
    claims_of_classics,
    claims_of_light_strays,
    claims_of_lone_refusals,
    claims_of_worlds,
)
from tests.proofs.pace.clients import CLIENTS, ours
from tests.proofs.pace.cost import Score
from tests.proofs.pace.lone_refusals import LIGHT, play_light, play_lone
from tests.proofs.pace.report import FRESH, by_class, play_all, play_classics, summarise

__all__ = ["run"]

_NAMES = {
    "ours": "fielding-async",
    "plain": "plain obedience",
    "botocore": "botocore, adaptive",
    "AIMD": "AIMD in flight",
}
_COLUMNS = [
    *("worlds", "client", "number", "harm p50", "harm p90", "harm p99", "harm max"),
    *("cost p50", "cost p90", "cost max", "extra sends p50", "p90", "late", "failed", "early"),
]
_QUICK = range(60)


def _row(worlds: str, client: str, scores: Sequence[Score]) -> list[Cell]:
    one = summarise(scores)
    ratios = [*one.harm_p50_p90_p99_max, *one.cost_p50_p90_max, *one.extra_sends_p50_p90]
    return [worlds, client, one.worlds, *(round(ratio, 3) for ratio in ratios), one.late, one.failed, one.early]


def run(*, quick: bool = False) -> Section:
    """Play all worlds. `quick`: sixty of those that are for development."""
    seeds = _QUICK if quick else FRESH
    found = play_all(seeds, list(CLIENTS), processes=os.cpu_count() or 1)
    rows = [_row("all", _NAMES[name], scores) for name, scores in found.items()]
    classes = {by: by_class(found["ours"], by) for by in ("server", "weather")}
    for by, kinds in classes.items():
        rows += [_row(f"{by}: {kind}", _NAMES["ours"], scores) for kind, scores in kinds.items()]
    lone, light = play_lone(ours), [play_light(ours, name) for name in LIGHT]
    claims = [
        *claims_of_worlds(found["ours"], found["plain"]),
        max(claims_of_lone_refusals(lone), key=lambda claim: claim[1]),
        *claims_of_light_strays(light),
        *claims_of_classics(play_classics(ours)),
    ]
    return Section(
        name="worlds",
        title=(
            "Random worlds of limits, in virtual time: cost is the worse of makespan and mean latency against an "
            "oracle's, a second added to both; harm is cost against that of plain obedience to Retry-After; late calls "
            "end more than 10 s after the oracle's."
        ),
        columns=_COLUMNS,
        rows=rows,
        claims=[at_most(*claim) for claim in claims],
        data={
            "harm p99 by class": {
                by: {kind: summarise(scores).harm_p50_p90_p99_max[2] for kind, scores in kinds.items()}
                for by, kinds in classes.items()
            },
        },
    )
