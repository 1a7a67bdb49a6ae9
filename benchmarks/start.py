"""What importing costs: fresh interpreters that load all that a session needs, beside those that load its libraries."""

import statistics
import subprocess
import sys

from benchmarks.report import Cell, Section, at_most, paired_ratio

__all__ = ["run"]

_PEERS = {
    "fielding-async": "import fielding_async; fielding_async.FieldingSession",
    "aiohttp and opentelemetry.trace": "import aiohttp, opentelemetry.trace",
    "aiohttp": "import aiohttp",
    "the package alone": "import fielding_async",
    "nothing": "",
}
_WARM_UP = 2


def _seconds(code: str) -> float:
    # measured inside, so that starting and ending the interpreter is not part of it
    timed = f"import time; began = time.perf_counter(); {code}\nprint(time.perf_counter() - began)"
    told = subprocess.run([sys.executable, "-c", timed], check=True, capture_output=True, text=True)
    return float(told.stdout)


def run(*, quick: bool = False) -> Section:
    """Import in fresh interpreters, the peers taking turns."""
    rounds = 5 if quick else 21
    found: dict[str, list[float]] = {name: [] for name in _PEERS}
    for number in range(_WARM_UP + rounds):
        for name, code in _PEERS.items():
            seconds = _seconds(code)
            if number >= _WARM_UP:
                found[name].append(seconds)
    ours, base = found["fielding-async"], found["aiohttp and opentelemetry.trace"]
    median, low, high = paired_ratio(ours, base)
    rows: list[list[Cell]] = [[name, statistics.median(times) * 1e3] for name, times in found.items()]
    return Section(
        name="start",
        title=f"Import time in fresh interpreters, medians of {rounds} rounds; "
        f"ours to aiohttp and opentelemetry.trace: {median:.2f} ({low:.2f} to {high:.2f})",
        columns=["what is loaded", "ms"],
        rows=rows,
        claims=[at_most("import / aiohttp and opentelemetry.trace", median, 1.35)],
        data={"seconds": found},
    )
