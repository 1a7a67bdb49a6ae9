"""What the SDK costs on top of hand-written clients: CPU per action and throughput of warm actions, 32 at once.

All clients take turns, round by round, against one server in a process of its own; imports and warm-up are outside the
clock. What needs another event loop or an OpenTelemetry SDK is measured in a process of its own as well, beside
hand-written aiohttp there.

glibc maps and unmaps a block of 256 KiB for every reply that asyncio reads, until the process happens to free a larger
one: three system calls and two page faults an action that depend on what else the process did. The SDK reads into
smaller blocks. The other clients are measured without these calls, but for one pair with the allocator as it is.
"""

import asyncio
import gc
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, AsyncExitStack, contextmanager, nullcontext
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import define, field

from benchmarks import overhead_clients as clients
from benchmarks.report import Cell, Section, at_least, at_most, paired_ratio, quartiles
from benchmarks.server import serving

__all__ = ["run"]

OURS = "fielding-async"
BY_HAND = "aiohttp by hand"
NAIVE = "aiohttp, GET then act"
HTTPX = "httpx by hand"
GENERATED = "openapi-python-client"
_AS_IT_IS = "the allocator as it is"
_WARM_UP = 2
_ACTIONS = 640
_FEWER = {HTTPX: 160, GENERATED: 160}  # they take more than ten times as long

_columns = [
    "client",
    "CPU per action, microseconds",
    "actions/s",
    "CPU: ours / theirs",
    "quartiles",
    "throughput: ours / theirs",
    "quartiles",
]


@define
class Times:
    """Seconds per action, round by round."""

    cpu: list[float] = field(factory=list[float])
    wall: list[float] = field(factory=list[float])


async def _all_at_once(act: clients.Act, prefix: str, actions: int) -> None:
    async def one(number: int) -> None:
        for turn in range(actions // clients.AT_ONCE):
            await act(f"{prefix}{number}", turn)

    async with asyncio.TaskGroup() as group:
        for number in range(clients.AT_ONCE):
            group.create_task(one(number))


async def _measure(makes: Mapping[str, clients.Client], base_url: str, rounds: int) -> dict[str, Times]:
    found = {name: Times() for name in makes}
    prefixes = {name: f"{number}-" for number, name in enumerate(makes)}  # of its runs
    async with AsyncExitStack() as stack:
        acts = {name: await stack.enter_async_context(make(base_url)) for name, make in makes.items()}
        names = list(acts)
        for number in range(_WARM_UP + rounds):
            names.append(names.pop(0))  # nobody always comes after the same one
            for name in names:
                actions = _FEWER.get(name, _ACTIONS)
                gc.collect()
                wall, cpu = time.perf_counter(), time.process_time()
                await _all_at_once(acts[name], prefixes[name], actions)
                if number >= _WARM_UP:
                    found[name].cpu.append((time.process_time() - cpu) / actions)
                    found[name].wall.append((time.perf_counter() - wall) / actions)
    return found


def _on_asyncio(base_url: str, rounds: int, folder: Path | None) -> dict[str, Times]:
    makes: dict[str, clients.Client] = {
        OURS: clients.ours,
        BY_HAND: clients.by_hand,
        NAIVE: clients.naive,
        HTTPX: clients.with_httpx,
    }
    if folder is not None:
        makes[GENERATED] = partial(clients.generated, folder=folder)
    return asyncio.run(_measure(makes, base_url, rounds))


def _on_uvloop(base_url: str, rounds: int) -> dict[str, Times]:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_measure({OURS: clients.ours, BY_HAND: clients.by_hand}, base_url, rounds))


def _side_by_side(base_url: str, rounds: int) -> dict[str, Times]:
    return asyncio.run(_measure({OURS: clients.ours, BY_HAND: clients.by_hand}, base_url, rounds))


def _with_sdk(base_url: str, rounds: int) -> dict[str, Times]:
    from opentelemetry.sdk.trace import TracerProvider

    traced = partial(clients.ours, tracer_provider=TracerProvider())
    return asyncio.run(_measure({OURS: traced, BY_HAND: clients.by_hand}, base_url, rounds))


_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "4194304", "MALLOC_TRIM_THRESHOLD_": "67108864", "MALLOC_TOP_PAD_": "16777216"}


@contextmanager
def _same_allocator() -> Generator[None]:
    """Have new processes keep the blocks that asyncio reads into."""
    before = {name: os.environ.get(name) for name in _ALLOCATOR}
    os.environ.update(_ALLOCATOR)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _alone(
    measure: Callable[..., dict[str, Times]],
    *arguments: object,
    allocator: Callable[[], AbstractContextManager[None]] = _same_allocator,
) -> dict[str, Times]:
    """Measure in a process of its own."""
    with allocator(), ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, *arguments).result()


def _rows(found: Mapping[str, Times], suffix: str = "") -> list[list[Cell]]:
    mine = found[OURS]
    rows: list[list[Cell]] = []
    for name, times in found.items():
        row: list[Cell] = [name + suffix, statistics.median(times.cpu) * 1e6, 1 / statistics.median(times.wall)]
        if name == OURS:
            rows.append([*row, "", "", "", ""])
            continue
        cpu, pace = paired_ratio(mine.cpu, times.cpu), paired_ratio(times.wall, mine.wall)
        rows.append([*row, cpu[0], quartiles(cpu), pace[0], quartiles(pace)])
    return rows


def run(*, quick: bool = False) -> Section:
    """Measure all clients."""
    rounds = 3 if quick else 21
    extras: dict[str, dict[str, Times]] = {}
    with serving(awake=True) as base_url, TemporaryDirectory() as name:
        folder = Path(name)
        missing = clients.generate(folder)
        if missing is not None:
            print(f"without a generated client: {missing}")
        found = _alone(_on_asyncio, base_url, rounds, None if missing else folder)
        extras[_AS_IT_IS] = _alone(_side_by_side, base_url, rounds, allocator=nullcontext)
        if find_spec("uvloop") is not None:
            extras["uvloop"] = _alone(_on_uvloop, base_url, rounds)
        if find_spec("opentelemetry.sdk") is not None:
            extras["OpenTelemetry SDK"] = _alone(_with_sdk, base_url, rounds)
    mine = found[OURS]
    hand, httpx, get_first = found[BY_HAND], found[HTTPX], found[NAIVE]
    rows = _rows(found)
    for extra, times in extras.items():
        rows += _rows(times, f", {extra}")
    return Section(
        name="overhead",
        title=f"Warm actions, {clients.AT_ONCE} at once: CPU of an action and throughput, medians of {rounds} rounds",
        columns=_columns,
        rows=rows,
        claims=[
            at_most("CPU per request / aiohttp by hand", paired_ratio(mine.cpu, hand.cpu)[0], 1.20),
            at_most(
                f"CPU per request / aiohttp by hand, {_AS_IT_IS}",
                paired_ratio(extras[_AS_IT_IS][OURS].cpu, extras[_AS_IT_IS][BY_HAND].cpu)[0],
                1.00,
            ),
            at_least("throughput / aiohttp by hand", paired_ratio(hand.wall, mine.wall)[0], 0.8),
            at_least("throughput / httpx by hand", paired_ratio(httpx.wall, mine.wall)[0], 8.0),
            at_most("CPU per action / GET then act", paired_ratio(mine.cpu, get_first.cpu)[0], 0.65),
        ],
        data={
            "cpu_us": {name: [1e6 * value for value in times.cpu] for name, times in found.items()},
            "actions_per_second": {name: [1 / value for value in times.wall] for name, times in found.items()},
            "extras_cpu_ratio": {
                extra: paired_ratio(times[OURS].cpu, times[BY_HAND].cpu)[0] for extra, times in extras.items()
            },
        },
    )
