"""Where a warm action spends its time: the bytecode instructions that it takes, by the part of the code that has them.

They are counted, not timed: the same figures come out on any machine, however busy. What C does (sockets, the parser of
HTTP, dictionaries) is not among them. Beside hand-written aiohttp, as in `overhead`.
"""

import asyncio
import multiprocessing
import re
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from types import FrameType
from typing import Any

from benchmarks import overhead_clients as clients
from benchmarks.report import Cell, Section
from benchmarks.server import serving

__all__ = ["run"]

_WARM_UP = 4
_TURNS = 10
_PACKAGE = re.compile(r"(?:.*[/\\]|<attrs generated methods )(fielding_async|aiohttp|asyncio|opentelemetry)\b(.*)")
_OTHERS = "other libraries, the measuring client"
_VALUES = "handle, ids, values"
_CALL = "call: turn, judgement, memory of ETags"
_ATTEMPT = "attempt: token, permission, retries"
_LIMITER = "limiter"
_PART_OF = {
    "session": _VALUES,
    "handles": _VALUES,
    "core": _VALUES,
    "core conflict": _CALL,
    "engine": _CALL,
    "core wire": "requests and replies as values",
    "engine sender": _ATTEMPT,
    "engine attempt": _ATTEMPT,
    "engine token_keeper": _ATTEMPT,
    "engine limiter": _LIMITER,
    "core pace": _LIMITER,
    "http": "HTTP, time limits",
    "telemetry": "trace",
}
_PARTS = list(dict.fromkeys(_PART_OF.values()))


def _part(filename: str) -> str:
    found = _PACKAGE.match(filename)
    if found is None:
        return _OTHERS
    package, rest = found.groups()
    if package != "fielding_async":
        return package
    _, first, second, *_ = [*re.split(r"\W+", rest), "", ""]
    # what attrs generates for a public class names the public path alone
    return _PART_OF.get(f"{first} {second}") or _PART_OF.get(first, _VALUES)


async def _act(act: clients.Act, turns: int) -> None:
    async def one(number: int) -> None:
        for turn in range(turns):
            await act(f"run-{number}", turn)

    async with asyncio.TaskGroup() as group:
        for number in range(clients.AT_ONCE):
            group.create_task(one(number))


async def _count(make: clients.Client, base_url: str) -> dict[str, float]:
    """Return the instructions of one action, by part."""
    executed: Counter[str] = Counter()

    def trace(frame: FrameType, event: str, _arg: Any) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        executed[frame.f_code.co_filename] += event == "opcode"
        return trace

    async with make(base_url) as act:
        await _act(act, _WARM_UP)
        sys.settrace(trace)
        try:
            await _act(act, _TURNS)
        finally:
            sys.settrace(None)
    parts: Counter[str] = Counter()
    for filename, count in executed.items():
        parts[_part(filename)] += count
    return {part: count / (_TURNS * clients.AT_ONCE) for part, count in parts.items()}


def _counts(base_url: str) -> tuple[dict[str, float], dict[str, float]]:
    return asyncio.run(_count(clients.ours, base_url)), asyncio.run(_count(clients.by_hand, base_url))


def run(*, quick: bool = False) -> Section:
    """Count, in a process of its own. There is no quicker way: it takes some seconds."""
    del quick
    with serving() as base_url, ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        ours, by_hand = pool.submit(_counts, base_url).result()
    parts = [*_PARTS, "aiohttp", "asyncio", "opentelemetry", _OTHERS]
    rows: list[list[Cell]] = [[part, round(ours.get(part, 0)), round(by_hand.get(part, 0))] for part in parts]
    rows.append(["together", round(sum(ours.values())), round(sum(by_hand.values()))])
    return Section(
        name="profile",
        title=f"Bytecode instructions of a warm action, {clients.AT_ONCE} at once, by where in the code they are.",
        columns=["part", "fielding-async", "aiohttp by hand"],
        rows=rows,
        claims=[],
        data={"ours": ours, "by_hand": by_hand},
    )
