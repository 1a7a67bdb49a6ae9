"""What many calls at once cost: CPU and memory of each; each size in a process of its own.

The transport is a fake one that answers in the next round of the event loop, so that the SDK alone is measured.
"""

import asyncio
import gc
import statistics
import time
import tracemalloc
from typing import Any

from benchmarks.alone import MIB, alone, instant_session, made_up_ref, now_mib, peak_mib
from benchmarks.report import Cell, Section, at_most, paired_ratio
from fielding_async import FieldingSession, Limits

__all__ = ["run"]

_CACHED = 65_536
_TRACED = 8192
_WARM_UP = 1000
_LEAST = 2000  # calls measured in one process
_WAIT_ROUNDS = 9
_ROUNDS = {100: 15, 1000: 5, 10_000: 15, 100_000: 1}


async def _pause(fielding: FieldingSession, first: int, count: int, timeout: float | None = None) -> None:
    limit: dict[str, Any] = {} if timeout is None else {"timeout": timeout}
    async with asyncio.TaskGroup() as group:
        for number in range(first, first + count):
            group.create_task(fielding.run(made_up_ref(number)).pause(**limit))


async def _calls(size: int) -> tuple[float, float]:
    """Pause `size` runs never seen before, all at once (two requests each): CPU us of a call, and peak MiB added.

    Small sizes are repeated. The session has found its pace before, and garbage is collected between the waves.
    """
    async with instant_session() as fielding:
        await _pause(fielding, 0, _WARM_UP)
        gc.collect()
        before = now_mib()
        times: list[float] = []
        for wave in range(max(1, _LEAST // size)):
            first = _WARM_UP + wave * size
            began = time.process_time()
            await _pause(fielding, first, size)
            times.append((time.process_time() - began) / size)
        return statistics.fmean(times) * 1e6, peak_mib() - before


async def _waits() -> tuple[float, float]:
    """Return CPU us of a call that waits with a time limit, among 100 and among 10,000, in one process.

    The garbage collector runs between the waves and not within: what it takes to walk through ten thousand live tasks
    is Python's own.
    """
    async with instant_session(Limits(adaptive=False)) as fielding:
        await _pause(fielding, 0, _WARM_UP)
        first = _WARM_UP
        few: list[float] = []
        gc.disable()
        for _ in range(_LEAST // 100):
            gc.collect()
            began = time.process_time()
            await _pause(fielding, first, 100, timeout=600.0)
            few.append((time.process_time() - began) / 100)
            first += 100
        gc.collect()
        began = time.process_time()
        await _pause(fielding, first, 10_000, timeout=600.0)
        return statistics.fmean(few) * 1e6, (time.process_time() - began) / 10_000 * 1e6


async def _cached() -> tuple[float, float]:
    """Return bytes of a run in the cache: by the process's memory with 65,536 of them, and as traced with fewer."""
    async with instant_session() as fielding:
        await _pause(fielding, 0, _WARM_UP)
        gc.collect()
        before = now_mib()
        for first in range(_WARM_UP, _CACHED, 64):
            await _pause(fielding, first, min(64, _CACHED - first))
        gc.collect()
        by_process = (now_mib() - before) * MIB / (_CACHED - _WARM_UP)
    async with instant_session() as fielding:
        await _pause(fielding, 0, _WARM_UP)
        gc.collect()
        tracemalloc.start()
        for first in range(_WARM_UP, _WARM_UP + _TRACED, 64):
            await _pause(fielding, first, 64)
        gc.collect()
        traced, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return by_process, traced / _TRACED


def run(*, quick: bool = False) -> Section:
    """Measure all sizes, which take turns round by round. `quick`: fewer rounds, and no more than 10,000 calls."""
    rounds = {size: min(3, many) for size, many in _ROUNDS.items() if size < 100_000} if quick else _ROUNDS
    cpu: dict[int, list[float]] = {size: [] for size in rounds}
    peak: dict[int, list[float]] = {size: [] for size in rounds}
    for number in range(max(rounds.values())):
        for size, many in rounds.items():
            if number < many:
                microseconds, mib = alone(_calls, size)
                cpu[size].append(microseconds)
                peak[size].append(mib)
    waits: list[tuple[float, float]] = [alone(_waits) for _ in range(3 if quick else _WAIT_ROUNDS)]
    few, lots = [pair[0] for pair in waits], [pair[1] for pair in waits]
    waiting, waiting_low, waiting_high = paired_ratio(lots, few)
    by_process, traced = alone(_cached)
    ratio, low, high = paired_ratio(cpu[10_000], cpu[100])
    rows: list[list[Cell]] = []
    for size in rounds:
        mib = statistics.median(peak[size])
        rows.append([f"{size:,} calls at once", statistics.median(cpu[size]), mib, round(mib * MIB / size)])
    rows.append(["100 calls with a time limit, no collection", statistics.median(few), "", ""])
    rows.append(["10,000 calls with a time limit, no collection", statistics.median(lots), "", ""])
    rows.append(["a run in the cache, by the process", "", by_process * _CACHED / MIB, round(by_process)])
    rows.append(["a run in the cache, as traced", "", traced * _CACHED / MIB, round(traced)])
    return Section(
        name="scale",
        title=(
            "Cold pauses (two requests each) through a fake transport, all of one session; each size in a process of "
            "its own. Small sizes do not show in the process's memory."
        ),
        columns=["what", "CPU us of a call", "peak MiB", "bytes of each"],
        rows=rows,
        claims=[
            at_most(
                f"CPU of a call, 10,000 at once / 100 at once (quartiles {low:.2f} to {high:.2f})",
                ratio,
                1.2,
            ),
            at_most(
                "CPU of a call that waits with a time limit, 10,000 / 100 (in one process, garbage collected between "
                f"the waves; quartiles {waiting_low:.2f} to {waiting_high:.2f})",
                waiting,
                1.2,
            ),
        ],
        data={
            "cpu": {str(size): times for size, times in cpu.items()},
            "waits": {"100": few, "10000": lots},
            "peak": {str(size): mibs for size, mibs in peak.items()},
            "cached": {"by process": by_process, "traced": traced},
        },
    )
