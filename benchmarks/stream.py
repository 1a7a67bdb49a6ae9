"""What a stream of a million rows through `perform_all` does to the memory of the process, and what a row costs.

Each row is the pause of another run, so that the session's cache of ETags fills up on the way. The transport is a fake
one, as in `scale`.
"""

import gc
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.alone import MIB, alone, instant_session, made_up_ref, now_mib, peak_mib
from benchmarks.report import Cell, Section, at_most
from fielding_async import FieldingSession, Pause, RunRef
from fielding_async.core.actions import Action

__all__ = ["run"]

_ROWS = 1_000_000
_STEPS = 100


def _rows(count: int) -> Iterator[tuple[RunRef, Action]]:
    for number in range(count):
        yield made_up_ref(number), Pause()


async def _stream(count: int) -> dict[str, Any]:
    """Perform so many rows; return counts, CPU us of a row, and by how many MiB the process had grown on the way."""
    async with instant_session() as fielding:
        perform_all: Any = getattr(fielding, "perform_all")  # noqa: B009 - not in every version
        gc.collect()
        before = now_mib()
        grown: list[float] = []
        ended = failed = 0
        began, busy = time.perf_counter(), time.process_time()
        async with perform_all(_rows(count)) as batch:
            async for done in batch:
                ended += 1
                failed += done.error is not None
                if ended % (count // _STEPS) == 0:
                    grown.append(round(now_mib() - before, 2))
        return {
            "rows": ended,
            "failed": failed,
            "seconds": time.perf_counter() - began,
            "cpu": (time.process_time() - busy) / ended * 1e6,
            "peak": peak_mib() - before,
            "grown": grown,
        }


def run(*, quick: bool = False) -> Section:
    """Perform a million rows in a process of its own. `quick`: a twentieth of them."""
    count = _ROWS // 20 if quick else _ROWS
    title = f"A stream of {count:,} rows through perform_all, each on a run of its own, and a fake transport."
    columns = ["what", "value"]
    if not hasattr(FieldingSession, "perform_all"):
        return Section("stream", title, columns, [["not measured: this version has no perform_all", ""]], [])
    found: dict[str, Any] = alone(_stream, count)
    grown: list[float] = found["grown"]
    later = grown[-1] - grown[_STEPS // 10]
    rows: list[list[Cell]] = [
        ["rows a second", round(found["rows"] / found["seconds"])],
        ["CPU us of a row (two requests)", found["cpu"]],
        ["growth of the process, MiB", found["peak"]],
        ["growth after the first tenth, MiB", later],
        ["growth after the first tenth, bytes a row", later * MIB / (count * 0.9)],
    ]
    return Section(
        "stream",
        title,
        columns,
        rows,
        [
            at_most("growth of the process in MiB", found["peak"], 50),
            at_most("rows that failed or are missing", count - found["rows"] + found["failed"], 0),
        ],
        found,
    )
