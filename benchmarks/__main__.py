"""Run the benchmarks: `python -m benchmarks [SECTION ...] [--quick | --release]`.

Without names all sections run, one after the other, but for `apply`, `gateway_limits` and `shared_pace`, which take
twenty minutes each, and `apply_cost` and `plans`, which take up to ten. Their results are kept in `build/benchmarks/`
as JSON, and a report and plots are made there from all that is kept. `--release` also runs these five, and writes the
report and the plots to `benchmarks/results/`, which is part of the repository; with names only those run, and what is
kept of the others is taken. `--quick` is for trying things out: fewer rounds, and nothing is kept.
With `--check` the exit status is 1 if a claim does not hold.
"""

import argparse
import importlib
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from importlib.util import find_spec
from pathlib import Path

from benchmarks.report import Machine, Section, describe_machine, markdown, plain, read_result, write_result

KEPT = Path(__file__).parents[1] / "build" / "benchmarks"
RELEASED = Path(__file__).parent / "results"
SECTIONS = (
    "overhead",
    "instructions",
    "profile",
    "limit",
    "worlds",
    "limit_live",
    "gateway_limits",
    "shared_pace",
    "conflicts",
    "conflicts_live",
    "scale",
    "stream",
    "start",
    "journal",
    "plans",
    "apply",
    "apply_cost",
)
LONG = frozenset({"apply", "apply_cost", "gateway_limits", "plans", "shared_pace"})
"""Sections that run only when they are named."""
BESIDE = {"stream": "limit"}
"""Sections that no other work disturbs, run at the same time: one is in virtual time, one measures memory."""


def _available() -> list[str]:
    return [name for name in SECTIONS if find_spec(f"benchmarks.{name}") is not None]


def _measure(name: str, *, quick: bool) -> Section | None:
    module = importlib.import_module(f"benchmarks.{name}")
    return module.run(quick=quick) if hasattr(module, "run") else None


def _run_all(names: Sequence[str], *, quick: bool) -> Iterator[tuple[Section, float]]:
    """Yield each section with the seconds it took."""
    with ThreadPoolExecutor() as pool:
        begun: dict[str, Future[Section | None]] = {}
        for number, name in enumerate(names):
            started, busy = time.perf_counter(), os.getloadavg()[0]
            if number == 0 and busy > 0.5:
                print(f"The machine is busy (load {busy:.1f}): do not trust what is measured in real time.\n")
            beside = {
                other: pool.submit(_measure, other, quick=quick)
                for other in names[number:]
                if BESIDE.get(other) == name
            }
            begun |= beside
            section = begun[name].result() if name in begun else _measure(name, quick=quick)
            wait(beside.values())
            if section is None:
                print(f"== {name}: not a section yet\n")
            else:
                yield section, time.perf_counter() - started


def _write(kept: Sequence[tuple[Machine, Section]], folder: Path) -> None:
    """Write the report and the plots of what is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.md").write_text(markdown(kept))
    print(f"written: {folder / 'report.md'}")
    try:
        plots = importlib.import_module("benchmarks.plots")
    except ImportError as error:
        print(f"no plots: {error}")
        return
    for path in plots.draw([section for _, section in kept], folder):
        print(f"drawn: {path.name}")


def main() -> int:
    """Run the sections asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"one of {', '.join(_available())}, or plots")
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--quick", action="store_true", help="fewer rounds; keep nothing")
    extent.add_argument("--release", action="store_true", help="write the report and the plots of the repository")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a claim does not hold")
    options = parser.parse_args()
    usual = [name for name in _available() if options.release or name not in LONG]
    names: list[str] = options.sections or usual
    unknown = set(names) - {*_available(), "plots"}
    if unknown:
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    machine = describe_machine()
    broken: list[str] = []
    missing = [name for name in _available() if name not in names and read_result(KEPT, name) is None]
    if options.release and missing:
        parser.error(f"nothing is kept of {', '.join(missing)}: run them too, or --release without names")
    names = [name for name in names if name != "plots"]
    for section, seconds in _run_all(names, quick=options.quick):
        print(f"{plain(section)}\n({seconds:.0f} s)\n", flush=True)
        broken += [f"{section.name}: {claim.text}" for claim in section.claims if not claim.holds]
        if not options.quick:
            write_result(KEPT, machine, section)
    if not options.quick:
        kept = [result for name in SECTIONS if (result := read_result(KEPT, name)) is not None]
        _write(kept, RELEASED if options.release else KEPT)
    for text in broken:
        print(f"does not hold: {text}")
    return 1 if broken and options.check else 0


if __name__ == "__main__":
    raise SystemExit(main())
