"""What a plan in PostgreSQL costs: to submit, to work off by four processes without a limit, and to report.

The transport is a fake one that answers in the next round of the event loop, so that the SDK, its driver and PostgreSQL
are what is measured. Beside it the same rows as four batches with a file journal each, by as many processes at once:
how much CPU time a row takes depends on what else a processor does. For the same reason the database has a processor of
its own, as on another host. Both take turns three times, and the ratio is the median of the three. `--quick` has 20,000
rows, all of which are worked off. Otherwise there are 1,000,000, of which 200,000 are.
"""

import gc
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.alone import alone, instant_session, made_up_ref, peak_mib
from benchmarks.report import Cell, Section, at_most
from fielding_async import Limits, Pause, RunRef
from fielding_async.core.actions import Action
from fielding_async.plans import PostgresPlans
from tests.tools.services import PostgresServer, find

__all__ = ["run"]

_PLAN = "benchmark"
_PROCESSES = 4
_ROUNDS = 3
_SLICE = 15.0  # seconds: that of `work` unless told
_LIMITS = Limits(concurrency=32, adaptive=False)
_MOST_MIB, _MOST_RATIO = 200.0, 1.5
_Spent = tuple[int, float, float, float]  # rows, seconds of CPU and of time, peak MiB


def _rows(count: int) -> Iterator[tuple[RunRef, Action]]:
    return ((made_up_ref(number), Pause()) for number in range(count))


def _processors() -> tuple[set[int], set[int]]:
    """Return the processors of the workers, and those of the database."""
    *ours, last = sorted(os.sched_getaffinity(0))
    return set(ours) or {last}, {last}


async def _submit(url: str, rows: int) -> _Spent:
    cpu, clock = time.process_time(), time.perf_counter()
    async with PostgresPlans(url) as plans:
        await plans.create_tables()
        await plans.submit(_rows(rows), plan=_PLAN)
    return rows, time.process_time() - cpu, time.perf_counter() - clock, peak_mib()


async def _work(url: str, rows: int) -> _Spent:
    """Work until so many rows have ended here, or none is left."""
    done = 0
    os.sched_setaffinity(0, _processors()[0])
    async with instant_session(_LIMITS) as fielding, PostgresPlans(url) as plans:
        gc.collect()
        cpu, clock = time.process_time(), time.perf_counter()
        while done < rows:
            worked = await plans.work(fielding, _PLAN, seconds=_SLICE)
            done += worked.rows
            if not worked.left or (worked.held == worked.left and not worked.rows):
                break
        return done, time.process_time() - cpu, time.perf_counter() - clock, peak_mib()


async def _report(url: str, rows: int) -> _Spent:
    cpu, clock = time.process_time(), time.perf_counter()
    async with PostgresPlans(url) as plans:
        await plans.report(_PLAN)
    return rows, time.process_time() - cpu, time.perf_counter() - clock, peak_mib()


async def _journal(folder: Path, rows: int) -> _Spent:
    os.sched_setaffinity(0, _processors()[0])
    async with instant_session(_LIMITS) as fielding:
        gc.collect()
        cpu, clock = time.process_time(), time.perf_counter()
        async with fielding.perform_all(_rows(rows), journal=folder / "plan.journal") as batch:
            async for done in batch:
                assert done.error is None, done.error
        return rows, time.process_time() - cpu, time.perf_counter() - clock, peak_mib()


def _added(spent: Sequence[_Spent]) -> _Spent:
    """Return what was spent in all rounds, and the memory of the largest process."""
    rows, cpu, clock, mib = zip(*spent, strict=True)
    return sum(rows), sum(cpu), sum(clock), max(mib)


def _beside_each_other(
    work: Callable[..., Coroutine[Any, Any, _Spent]], arguments: Sequence[tuple[Any, int]]
) -> _Spent:
    """Run a process for each, all at once. Return what they spent together, and the memory of the largest."""
    with ThreadPoolExecutor(len(arguments)) as pool:
        begun = time.perf_counter()
        spent: list[_Spent] = [each.result() for each in [pool.submit(alone, work, *these) for these in arguments]]
        took = time.perf_counter() - begun
    rows, cpu, _, mib = _added(spent)
    return rows, cpu, took, mib


def _round(url: str, share: int) -> tuple[_Spent, _Spent]:
    """Have processes work so many rows off each, and then as many write a file journal each."""
    plan = _beside_each_other(_work, [(url, share)] * _PROCESSES)
    with tempfile.TemporaryDirectory() as folder:
        folders = [Path(folder, str(number)) for number in range(_PROCESSES)]
        for each in folders:
            each.mkdir()
        return plan, _beside_each_other(_journal, [(each, share) for each in folders])


def _cpu_of_row(spent: _Spent) -> float:
    return spent[1] / spent[0]


def _shown(name: str, spent: _Spent) -> list[Cell]:
    rows, cpu, clock, mib = spent
    return [name, rows, round(rows / clock), round(cpu / max(1, rows) * 1e6), round(mib)]


def run(*, quick: bool = False) -> Section | None:
    """Measure. `None` where PostgreSQL is not installed."""
    if find("initdb") is None:
        return None
    rows, worked_off = (20_000, 20_000) if quick else (1_000_000, 200_000)
    with PostgresServer(fsync=True) as server, server.fresh_database() as database:
        url = server.url_of(database)
        os.sched_setaffinity(server.pid, _processors()[1])  # its backends have it from there
        submitted: _Spent = alone(_submit, url, rows)
        share = worked_off // (_PROCESSES * _ROUNDS)
        rounds = [_round(url, share) for _ in range(_ROUNDS)]
        reported: _Spent = alone(_report, url, rows)
    together, by_file = (_added([each[which] for each in rounds]) for which in (0, 1))
    ratio = statistics.median(_cpu_of_row(plan) / _cpu_of_row(journal) for plan, journal in rounds)
    return Section(
        name="plans",
        title=(
            f"A plan of {rows:,} rows in PostgreSQL, cold runs (two requests each), {_PROCESSES} processes with 32 "
            "rows at once each, through a fake transport; commits written through to the disk by a database with a "
            "processor of its own. CPU is that of the "
            "Python processes, memory that of the largest."
        ),
        columns=["what", "rows", "rows a second", "CPU us of a row", "peak MiB"],
        rows=[
            _shown("submit", submitted),
            _shown(f"work off, {_PROCESSES} processes", together),
            _shown("report", reported),
            _shown(f"as many rows with file journals, {_PROCESSES} processes", by_file),
        ],
        claims=[
            at_most("peak MiB of a worker", together[3], _MOST_MIB),
            at_most("CPU of a row, plan / file journal", ratio, _MOST_RATIO),
        ],
        data={"rows": rows, "worked": together[0], "seconds": together[2], "ratio": ratio},
    )
