"""Run the benchmarks: `python -m benchmarks [SECTION ...] [--quick]`.

Without names all sections run, one after the other. Their results are kept in `benchmarks/results/` as JSON, and the
report and the plots there are made anew from all that is kept. `--quick` is for trying things out: fewer rounds, and
nothing is kept. With `--check` the exit status is 1 if a claim does not hold.
"""

import argparse
import importlib
import os
import time
from importlib.util import find_spec
from pathlib import Path

from benchmarks.report import Section, describe_machine, markdown, plain, read_result, write_result

RESULTS = Path(__file__).parent / "results"
SECTIONS = ("overhead", "limit", "limit_live", "conflicts", "scale", "start", "journal")


def _available() -> list[str]:
    return [name for name in SECTIONS if find_spec(f"benchmarks.{name}") is not None]


def _run(name: str, *, quick: bool) -> Section | None:
    module = importlib.import_module(f"benchmarks.{name}")
    if not hasattr(module, "run"):
        print(f"== {name}: not a section yet\n")
        return None
    started, busy = time.perf_counter(), os.getloadavg()[0]
    section: Section = module.run(quick=quick)
    print(plain(section))
    if busy > 0.5:
        print(f"The machine was busy when this began (load {busy:.1f}): do not trust what is measured in real time.\n")
    print(f"({time.perf_counter() - started:.0f} s)\n", flush=True)
    return section


def _draw(sections: list[Section]) -> None:
    try:
        plots = importlib.import_module("benchmarks.plots")
    except ImportError as error:
        print(f"no plots: {error}")
        return
    for path in plots.draw(sections, RESULTS):
        print(f"drawn: {path.name}")


def main() -> int:
    """Run the sections asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"one of {', '.join(_available())}, or plots")
    parser.add_argument("--quick", action="store_true", help="fewer rounds; keep nothing")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a claim does not hold")
    options = parser.parse_args()
    names: list[str] = options.sections or _available()
    unknown = set(names) - {*_available(), "plots"}
    if unknown:
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    machine = describe_machine()
    broken: list[str] = []
    for name in names:
        section = None if name == "plots" else _run(name, quick=options.quick)
        if section is None:
            continue
        broken += [f"{name}: {claim.text}" for claim in section.claims if not claim.holds]
        if not options.quick:
            write_result(RESULTS, machine, section)
    if not options.quick:
        kept = [result for name in SECTIONS if (result := read_result(RESULTS, name)) is not None]
        (RESULTS / "report.md").write_text(markdown(kept))
        _draw([section for _, section in kept])
    for text in broken:
        print(f"does not hold: {text}")
    return 1 if broken and options.check else 0


if __name__ == "__main__":
    raise SystemExit(main())
