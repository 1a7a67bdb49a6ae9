"""What a warm action costs in instructions of the processor, counted by callgrind, beside a hand-written client.

Each client runs in a process of its own, with two numbers of actions; the difference is the actions' own. The figures
hardly depend on the machine or on how busy it is. System calls are counted as far as they run in the process.
"""

import asyncio
import gc
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from benchmarks import overhead_clients as clients
from benchmarks.report import Cell, Section, at_most
from benchmarks.server import serving

__all__ = ["run"]

OURS = "fielding-async"
BY_HAND = "aiohttp by hand"
DROPPED = "fielding-async, all spans dropped by the sampler"
_WARM_UP = 8  # turns, in which the session finds that there is no limit
_FEW, _MANY = 10, 40  # turns of all at once
_COUNTED = re.compile(r"Collected\s*:\s*(\d+)")


def _dropping() -> clients.Client:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

    return partial(clients.ours, tracer_provider=TracerProvider(sampler=ALWAYS_OFF))


_CLIENTS: dict[str, Callable[[], clients.Client]] = {
    OURS: lambda: clients.ours,
    BY_HAND: lambda: clients.by_hand,
    DROPPED: _dropping,
}


async def _act(make: clients.Client, base_url: str, turns: int, *, collects: bool) -> None:
    async with make(base_url) as act:

        async def one(number: int, first: int, last: int) -> None:
            for turn in range(first, last):
                await act(f"{os.getpid()}-{number}", turn)

        for first, last in ((0, _WARM_UP), (_WARM_UP, _WARM_UP + turns)):
            async with asyncio.TaskGroup() as group:
                for number in range(clients.AT_ONCE):
                    group.create_task(one(number, first, last))
            gc.collect()
            if not collects:
                gc.disable()


def _instructions(name: str, base_url: str, turns: int, *, collects: bool) -> int:
    with tempfile.TemporaryDirectory() as folder:
        valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={Path(folder) / 'out'}"]
        client = [sys.executable, "-m", "benchmarks.instructions", name, base_url, str(turns), str(int(collects))]
        told = subprocess.run(
            [*valgrind, *client],
            check=True,
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[1],
            env={**os.environ, "PYTHONHASHSEED": "0"},
        )
    found = _COUNTED.search(told.stderr)
    if found is None:
        raise RuntimeError(f"callgrind told no number: {told.stderr[-500:]}")
    return int(found.group(1))


def _per_action(name: str, base_url: str, few: int, many: int, *, collects: bool) -> float:
    low, high = (_instructions(name, base_url, turns, collects=collects) for turns in (few, many))
    return (high - low) / ((many - few) * clients.AT_ONCE)


def _section(title: str, rows: list[list[Cell]], found: dict[str, dict[str, float]]) -> Section:
    ours, hand = found.get(OURS), found.get(BY_HAND)
    return Section(
        name="instructions",
        title=title,
        columns=["client", "instructions an action", "to aiohttp by hand", "without garbage collection", "to it"],
        rows=rows,
        claims=[
            at_most(f"instructions / aiohttp by hand, {how}", ours[how] / hand[how], 1.05)
            for how in (ours or ())
            if ours is not None and hand is not None
        ],
        data={"instructions": found},
    )


def run(*, quick: bool = False) -> Section:
    """Count the instructions of all clients; without valgrind there is nothing to count with."""
    if shutil.which("valgrind") is None:
        return _section("Instructions of a warm action: skipped, as valgrind is not installed", [], {})
    few, many = (4, 14) if quick else (_FEW, _MANY)
    names = [name for name in _CLIENTS if name != DROPPED or find_spec("opentelemetry.sdk") is not None]
    with serving() as base_url:
        found = {
            name: {
                how: _per_action(name, base_url, few, many, collects=collects)
                for how, collects in (("as it is", True), ("without garbage collection", False))
            }
            for name in names
        }
    hand = found[BY_HAND]
    rows: list[list[Cell]] = []
    for name, counts in found.items():
        row: list[Cell] = [name]
        for how, count in counts.items():
            row += [round(count), count / hand[how]]
        rows.append(row)
    return _section(f"Instructions of a warm action, {clients.AT_ONCE} at once, by callgrind", rows, found)


if __name__ == "__main__":
    _name, _url, _turns, _collects = sys.argv[1:]
    asyncio.run(_act(_CLIENTS[_name](), _url, int(_turns), collects=_collects == "1"))
