"""What a plan in PostgreSQL costs: to submit, to work off by four processes without a limit, and to report.

The transport is a fake one that answers in the next round of the event loop, so that the SDK, its driver and PostgreSQL
are what is measured. Beside it the same rows as a batch with a file journal, in a process of its own. `--quick` has
20,000 rows, all of which are worked off. Otherwise there are 1,000,000, of which 200,000 are.
"""

import gc
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.alone import alone, instant_session, made_up_ref, peak_mib
from benchmarks.report import Cell, Section, at_most
from fielding_async import Limits, Pause, RunRef
from fielding_async.core.actions import Action
from fielding_async.plans import PostgresPlans
from tests.tools.services import PostgresServer, find

__all__ = ["run"]

_PLAN = "benchmark"
_PROCESSES = 4
_SLICE = 3.0  # seconds
_LIMITS = Limits(concurrency=32, adaptive=False)
_MOST_MIB, _MOST_RATIO = 200.0, 1.5
_Spent = tuple[int, float, float, float]  # rows, seconds of CPU and of time, peak MiB


def _rows(count: int) -> Iterator[tuple[RunRef, Action]]:
    return ((made_up_ref(number), Pause()) for number in range(count))


async def _submit(url: str, rows: int) -> _Spent:
    cpu, clock = time.process_time(), time.perf_counter()
    async with PostgresPlans(url) as plans:
        await plans.create_tables()
        await plans.submit(_rows(rows), plan=_PLAN)
    return rows, time.process_time() - cpu, time.perf_counter() - clock, peak_mib()


async def _work(url: str, rows: int) -> _Spent:
    """Work until so many rows have ended here, or none is left."""
    done = 0
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
    async with instant_session(_LIMITS) as fielding:
        gc.collect()
        cpu, clock = time.process_time(), time.perf_counter()
        async with fielding.perform_all(_rows(rows), journal=folder / "plan.journal") as batch:
            async for done in batch:
                assert done.error is None, done.error
        return rows, time.process_time() - cpu, time.perf_counter() - clock, peak_mib()


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
        submitted: _Spent = alone(_submit, url, rows)
        with ThreadPoolExecutor(_PROCESSES) as pool:
            share = worked_off // _PROCESSES
            begun = time.perf_counter()
            working = [pool.submit(alone, _work, url, share) for _ in range(_PROCESSES)]
            workers: list[_Spent] = [each.result() for each in working]
            took = time.perf_counter() - begun
        reported: _Spent = alone(_report, url, rows)
    with tempfile.TemporaryDirectory() as folder:
        by_file: _Spent = alone(_journal, Path(folder), worked_off // _PROCESSES)
    done = sum(spent[0] for spent in workers)
    cpu = sum(spent[1] for spent in workers)
    together: _Spent = (done, cpu, took, max(spent[3] for spent in workers))
    ratio = (cpu / done) / (by_file[1] / by_file[0])
    return Section(
        name="plans",
        title=(
            f"A plan of {rows:,} rows in PostgreSQL, cold runs (two requests each), {_PROCESSES} processes with 32 "
            "rows at once each, through a fake transport; commits written through to the disk. CPU is that of the "
            "Python processes, memory that of the largest."
        ),
        columns=["what", "rows", "rows a second", "CPU us of a row", "peak MiB"],
        rows=[
            _shown("submit", submitted),
            _shown(f"work off, {_PROCESSES} processes", together),
            *(_shown(f"  process {number}", spent) for number, spent in enumerate(workers, 1)),
            _shown("report", reported),
            _shown("the same rows with a file journal, 1 process", by_file),
        ],
        claims=[
            at_most("peak MiB of a worker", together[3], _MOST_MIB),
            at_most("CPU of a row, plan / file journal", ratio, _MOST_RATIO),
        ],
        data={"rows": rows, "worked": done, "seconds": took, "ratio": ratio},
    )
