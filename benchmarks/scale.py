"""What many calls at once cost: CPU and memory of each, and of a stream of rows; each size in a process of its own.

The transport is a fake one that answers in the next round of the event loop, so that the SDK alone is measured.
"""

import asyncio
import gc
import inspect
import multiprocessing
import resource
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from attrs import define

from benchmarks.report import Cell, Claim, Section, at_most, paired_ratio
from fielding_async import FieldingSession, Pause, RunRef
from fielding_async.actions import Action
from fielding_async.transport import Outgoing
from fielding_async.wire import Attempted, Response

__all__ = ["run"]

_SIZES = (100, 1000, 10_000, 100_000)
_CACHED = 65_536
_TRACED = 8192
_ROWS = 1_000_000
_WARM_UP = 2000
_MIB = 1024 * 1024
_GROUP = "1" * 26
_BODY = (
    '{"id":"%s","status":"live","version":1,"start_fielding_at":"2026-01-01T00:00:00.000Z",'
    '"end_fielding_at":"2031-01-01T00:00:00.000Z","last_changed_at":"2026-01-01T00:00:00.000Z",'
    '"last_changed_by":"b551326b-ac9d-4d32-8823-4f025787dab9"}'
)


@define
class _Instant:
    """A transport without a network: every run is live, every write is accepted."""

    requests: int = 0

    async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
        del timeout, connect_timeout  # nothing is ever late
        await asyncio.sleep(0)
        await outgoing.leave()
        self.requests += 1
        if outgoing.method == "GET":
            return Response(200, {"ETag": 'W/"1"'}, (_BODY % outgoing.url.rpartition("/")[2]).encode())
        return Response(204, {"ETag": 'W/"2"'})

    async def aclose(self) -> None:
        """Nothing was opened."""


def _session() -> FieldingSession:
    seams = FieldingSession._with_seams  # pyright: ignore[reportPrivateUsage] - the door for simulations
    return seams(transport=_Instant(), auth="token")


def _ref(number: int) -> RunRef:
    return RunRef(101, f"{number:026d}", _GROUP, f"run-{number}")


def _now_mib() -> float:
    """Return the memory the process holds now (on Linux; elsewhere the most it ever held), in MiB."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * resource.getpagesize() / _MIB
    return _peak_mib()


def _peak_mib() -> float:
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / _MIB if sys.platform == "darwin" else most / 1024


async def _pause(fielding: FieldingSession, first: int, count: int) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(first, first + count):
            group.create_task(fielding.run(_ref(number)).pause())


async def _calls(size: int) -> tuple[float, float]:
    """Pause `size` runs never seen before, all at once (two requests each): CPU us of a call, and peak MiB added.

    Small sizes are repeated. The session has found its pace before, and garbage is collected between the waves.
    """
    async with _session() as fielding:
        await _pause(fielding, 0, _WARM_UP)
        gc.collect()
        before = _now_mib()
        times: list[float] = []
        for wave in range(max(1, 10_000 // size)):
            first = _WARM_UP + wave * size
            began = time.process_time()
            await _pause(fielding, first, size)
            times.append((time.process_time() - began) / size)
        return statistics.fmean(times) * 1e6, _peak_mib() - before


async def _cached() -> tuple[float, float]:
    """Return bytes of a run in the cache: by the process's memory with 65,536 of them, and as traced with fewer."""
    async with _session() as fielding:
        await _pause(fielding, 0, _WARM_UP)
        gc.collect()
        before = _now_mib()
        for first in range(_WARM_UP, _CACHED, 64):
            await _pause(fielding, first, min(64, _CACHED - first))
        gc.collect()
        by_process = (_now_mib() - before) * _MIB / (_CACHED - _WARM_UP)
    async with _session() as fielding:
        await _pause(fielding, 0, _WARM_UP)
        gc.collect()
        tracemalloc.start()
        for first in range(_WARM_UP, _WARM_UP + _TRACED, 64):
            await _pause(fielding, first, 64)
        gc.collect()
        traced, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return by_process, traced / _TRACED


def _rows(count: int) -> Iterator[tuple[RunRef, Action]]:
    for number in range(count):
        yield _ref(number), Pause()


async def _stream(count: int) -> dict[str, Any]:
    """Send rows, each of a run of its own, through `perform_all`: CPU us of a row, and what the process grew by."""
    async with _session() as fielding:
        perform_all: Any = getattr(fielding, "perform_all")  # noqa: B009 - not in every version
        gc.collect()
        before = _now_mib()
        grown: list[float] = []
        ended = failed = 0
        began, busy = time.perf_counter(), time.process_time()
        async with perform_all(_rows(count)) as batch:
            async for done in batch:
                ended += 1
                failed += done.error is not None
                if ended % (count // 50) == 0:
                    grown.append(round(_now_mib() - before, 2))
        return {
            "rows": ended,
            "failed": failed,
            "seconds": time.perf_counter() - began,
            "cpu": (time.process_time() - busy) / ended * 1e6,
            "peak": _peak_mib() - before,
            "grown": grown,
        }


def _work(pipe: Connection, what: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    pipe.send(asyncio.run(what(*arguments)))


def _alone(what: Callable[..., Any], *arguments: Any) -> Any:
    """Run a coroutine function in a process of its own."""
    assert inspect.iscoroutinefunction(what)
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, what, arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        return ours.recv()
    finally:
        process.join(10)


def _stream_result(count: int) -> tuple[list[Cell], list[Claim], dict[str, Any]]:
    label = f"a stream of {count:,} rows"
    if not hasattr(FieldingSession, "perform_all"):
        return [label, "not measured: this version has no perform_all", "", ""], [], {}
    found: dict[str, Any] = _alone(_stream, count)
    per_row = (found["grown"][-1] - found["grown"][0]) * _MIB / count
    claims = [
        at_most(f"{label}: growth of the process in MiB", found["peak"], 50),
        at_most(f"{label}: rows that failed or are missing", count - found["rows"] + found["failed"], 0),
    ]
    return [label, round(found["cpu"], 1), round(found["peak"], 1), round(per_row)], claims, found


def run(*, quick: bool = False) -> Section:
    """Measure all sizes; the smaller ones take turns over several rounds. `quick`: fewer rounds and rows."""
    rounds = 2 if quick else 5
    sizes = _SIZES[:-1] if quick else _SIZES
    cpu: dict[int, list[float]] = {size: [] for size in sizes}
    peak: dict[int, list[float]] = {size: [] for size in sizes}
    for number in range(rounds):
        for size in sizes:
            if size >= 100_000 and number >= 2:
                continue
            microseconds, mib = _alone(_calls, size)
            cpu[size].append(microseconds)
            peak[size].append(mib)
    by_process, traced = _alone(_cached)
    stream_row, stream_claims, stream = _stream_result(_ROWS // 20 if quick else _ROWS)
    ratio, low, high = paired_ratio(cpu[10_000], cpu[100])
    rows: list[list[Cell]] = []
    for size in sizes:
        mib = statistics.median(peak[size])
        rows.append([f"{size:,} calls at once", statistics.median(cpu[size]), mib, round(mib * _MIB / size)])
    rows.append(["a run in the cache, by the process", "", by_process * _CACHED / _MIB, round(by_process)])
    rows.append(["a run in the cache, as traced", "", traced * _CACHED / _MIB, round(traced)])
    rows.append(stream_row)
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
            *stream_claims,
        ],
        data={
            "cpu": {str(size): times for size, times in cpu.items()},
            "peak": {str(size): mibs for size, mibs in peak.items()},
            "cached": {"by process": by_process, "traced": traced},
            "stream": stream,
        },
    )
