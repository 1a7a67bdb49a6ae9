"""What a journal costs a batch: CPU and time with it beside without it, and how often the disk is made to write.

Rows of cold runs take a GET and a write each, rows of warm ones a write alone: the journal weighs most on the latter.
"""

import gc
import statistics
import tempfile
import time
from itertools import count
from pathlib import Path

from benchmarks.alone import alone
from benchmarks.report import Cell, Claim, Section, at_most, paired_ratio, quartiles
from benchmarks.server import serving
from fielding_async import Action, FieldingSession, Limits, Pause, Resume, RunRef

__all__ = ["run"]

_PROJECT, _GROUP = "0" * 26, "1" * 26
_MOST = 1.25
_AT_ONCE = 32
_Spent = tuple[float, float, int]  # CPU and time in seconds, groups made durable


async def _batch(fielding: FieldingSession, rows: list[tuple[RunRef, Action]], journal: Path | None) -> _Spent:
    gc.collect()
    cpu, clock = time.process_time(), time.perf_counter()
    async with fielding.perform_all(rows, journal=journal) as batch:
        async for done in batch:
            assert done.error is None, done.error
    spent = time.process_time() - cpu, time.perf_counter() - clock
    if journal is None:
        return *spent, 0
    with journal.open("rb") as lines:
        return *spent, sum(line.startswith(b'{"commit"') for line in lines)


async def _measure(base_url: str, folder: Path, rounds: int, rows: int) -> dict[str, dict[str, list[_Spent]]]:
    """Return what each kind of batch cost, round by round, with and without a journal in turns."""
    found: dict[str, dict[str, list[_Spent]]] = {kind: {"without": [], "with": []} for kind in ("warm", "cold")}
    number = count()
    turns = {"without": 0, "with": 0}
    limits = Limits(concurrency=_AT_ONCE, adaptive=False)
    async with FieldingSession("token", base_url=base_url, limits=limits) as fielding:
        for turn in range(rounds + 2):  # the first two warm up
            for kind, both in found.items():
                # who goes first changes from round to round
                for name in ("without", "with") if turn % 2 else ("with", "without"):
                    action: Action = Pause()
                    if kind == "cold":
                        prefix = f"cold{next(number)}-"
                    else:
                        prefix = f"warm-{name}-"
                        action = Resume() if turns[name] % 2 else Pause()
                        turns[name] += 1
                    refs = [RunRef(101, _PROJECT, _GROUP, f"{prefix}{place}") for place in range(rows)]
                    journal = folder / f"{next(number)}.journal" if name == "with" else None
                    spent = await _batch(fielding, [(ref, action) for ref in refs], journal)
                    if journal is not None:
                        journal.unlink()
                    if turn >= 2:
                        both[name].append(spent)
    return found


def _ratio(both: dict[str, list[_Spent]], part: int) -> tuple[float, float, float]:
    return paired_ratio(*([spent[part] for spent in both[name]] for name in ("with", "without")))


def run(*, quick: bool = False) -> Section:
    """Measure, as paired medians of rounds that take turns."""
    rounds, rows = (5, 500) if quick else (40, 2000)
    with serving() as base_url, tempfile.TemporaryDirectory() as folder:
        found = alone(_measure, base_url, Path(folder), rounds, rows)
    rows_shown: list[list[Cell]] = []
    claims: list[Claim] = []
    data: dict[str, object] = {"rounds": rounds, "rows": rows, "at_once": _AT_ONCE}
    for kind, both in found.items():
        cpu, clock = _ratio(both, 0), _ratio(both, 1)
        syncs = statistics.median(spent[2] for spent in both["with"]) / rows * 1000
        bare_us, ours_us = (statistics.median(spent[0] for spent in both[name]) / rows * 1e6 for name in both)
        rows_shown.append(
            [
                f"{kind} runs",
                round(bare_us),
                round(ours_us),
                cpu[0],
                quartiles(cpu),
                clock[0],
                quartiles(clock),
                round(syncs, 1),
            ]
        )
        claims.append(at_most(f"CPU with a journal beside without, {kind} runs", cpu[0], _MOST))
        data[kind] = {"cpu": cpu, "time": clock, "syncs_per_thousand": syncs, "spent": both}
    return Section(
        "journal",
        f"What a journal costs a batch, medians of {rounds} rounds",
        [
            "rows of",
            "CPU us a row, without",
            "with",
            "CPU ratio",
            "quartiles",
            "time ratio",
            "quartiles",
            "fsyncs per 1000 rows",
        ],
        rows_shown,
        claims,
        data,
    )
