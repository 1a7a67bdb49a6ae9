"""What `fielding apply` does to the memory of its process, row by row, with a plan of a million rows and its journal.

Each row is the pause of another run, against a bare server on the loopback interface. The command runs in a process of
its own, as people run it: the plan is checked, the journal written. Then it is read again, by `read_journal` and by the
same command, which goes on with what is left of the plan. `FIELDING_BENCH_ROWS` sets another number of rows.
"""

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.alone import MIB, alone, peak_mib
from benchmarks.apply_cost import begin
from benchmarks.apply_plan import write_plan
from benchmarks.report import Cell, Section, at_most
from benchmarks.server import serving
from fielding_async import read_journal

__all__ = ["run"]

_ROWS = 1_000_000
_QUICK = 5_000
_LEFT = 500  # rows that the second run of the command finds undone
_EVERY = 1.0  # seconds between two looks at the process
_REMEMBERED = 65_536  # runs whose ETags a session keeps: until then its memory is to grow
_SPAN = 100_000  # rows: over fewer, the steps in which a process takes memory are all that is seen
_SAID = re.compile(rb"([\d,]+) of [\d,]+ rows")

_Sample = tuple[int, float]  # rows ended, MiB


def _memory(pid: int) -> tuple[float, float]:
    """Return what a process holds and the most it ever held, in MiB (on Linux; elsewhere nothing is known)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0, 0.0
    found = dict(line.split(":", 1) for line in lines)
    return tuple(int(found.get(key, "0 kB").split()[0]) / 1024 for key in ("VmRSS", "VmHWM"))  # type: ignore[return-value]


def _apply(plan: Path, base_url: str) -> dict[str, Any]:
    """Run the command to its end; return what it took, and samples of its memory."""
    words = [sys.executable, "-m", "fielding_async", "apply", str(plan), "--yes", "--concurrency", "64"]
    env = {**os.environ, "FIELDING_BASE_URL": base_url, "FIELDING_TOKEN": "token"}
    ended = [0]

    def listen(lines: Iterable[bytes]) -> None:
        for line in lines:
            said = _SAID.search(line)
            if said is not None:
                ended[0] = int(said[1].replace(b",", b""))

    began, peak = time.perf_counter(), 0.0
    samples: list[_Sample] = []
    child = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    with child:
        assert child.stderr is not None
        listener = threading.Thread(target=listen, args=(child.stderr,))
        listener.start()
        known = 0
        while child.poll() is None:
            held, most = _memory(child.pid)
            peak = max(peak, most)
            if ended[0] > known:
                known = ended[0]
                samples.append((known, round(held, 1)))
            try:
                child.wait(_EVERY)
            except subprocess.TimeoutExpired:
                continue
        listener.join()
    return {
        "status": child.returncode,
        "seconds": time.perf_counter() - began,
        "peak": peak,
        "samples": samples,
    }


async def _read(path: str) -> dict[str, float]:
    """Read a journal in this process, which does nothing else."""
    before, began = peak_mib(), time.perf_counter()
    counts = read_journal(path).counts
    return {"rows": counts.ended, "seconds": time.perf_counter() - began, "grown": peak_mib() - before}


def run(*, quick: bool = False) -> Section:
    """Apply a plan in a process of its own. `quick`: a small one."""
    count = int(os.environ.get("FIELDING_BENCH_ROWS", _QUICK if quick else _ROWS))
    with serving() as base_url, tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "plan.csv"
        journal = Path(folder) / "plan.csv.journal"
        write_plan(plan, count)
        first = _apply(plan, base_url)
        held = journal.stat().st_size
        read: dict[str, float] = alone(_read, str(journal))
        for path in (journal, journal.with_name(f"{journal.name}.head")):
            path.unlink()
        begin(plan, journal, base_url, _LEFT)
        again = _apply(plan, base_url)
        counts = read_journal(journal).counts
    samples: list[_Sample] = first["samples"]
    rows: list[list[Cell]] = [["rows a second", round(count / first["seconds"])]]
    for mark in (10_000, 100_000, 200_000, 500_000, 1_000_000):
        near = min(samples, key=lambda sample: abs(sample[0] - mark))
        if abs(near[0] - mark) < mark / 5:
            rows.append([f"MiB held at {near[0]:,} rows", near[1]])
    claims = [
        at_most("the most it ever held, in MiB", first["peak"], 200),
        at_most("growth of a process that reads the journal, in bytes a row", read["grown"] * MIB / count, 10),
        at_most("rows that are not done", count - counts.done, 0),
        at_most("exit statuses other than 0", (first["status"] != 0) + (again["status"] != 0), 0),
    ]
    full = [sample for sample in samples if sample[0] > 2 * _REMEMBERED]
    if full and full[-1][0] - full[0][0] > _SPAN:
        grown = (full[-1][1] - full[0][1]) * MIB / (full[-1][0] - full[0][0])
        rows.append(["growth once the cache of ETags is full, bytes a row", grown])
        claims.append(at_most("growth once the cache of ETags is full, in bytes a row", grown, 50))
    rows += [
        ["the most it ever held, MiB", first["peak"]],
        ["the journal, MiB", held / MIB],
        ["read_journal: seconds", read["seconds"]],
        ["read_journal: growth of the process, bytes a row", read["grown"] * MIB / count],
        [f"gone on with, {_LEFT} rows from the end: seconds", again["seconds"]],
        ["gone on with: the most it ever held, MiB", again["peak"]],
    ]
    return Section(
        "apply",
        f"A plan of {count:,} rows through `fielding apply`, each on a run of its own, with a journal.",
        ["what", "value"],
        rows,
        claims,
        {"first": first, "read": read, "again": again, "journal": held},
    )
