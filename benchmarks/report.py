"""What a benchmark section gives back, and how it is shown and kept: as a table, Markdown and JSON.

A section is a module with `run(*, quick: bool = False) -> Section`. Nothing here measures.
"""

import json
import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from attrs import asdict, field, frozen

__all__ = [
    "Claim",
    "Machine",
    "Section",
    "at_least",
    "at_most",
    "describe_machine",
    "markdown",
    "paired_ratio",
    "plain",
    "quartiles",
    "read_result",
    "table",
    "tell",
    "verdict",
    "write_result",
]

_LIBRARIES = (
    "fielding-async",
    "aiohttp",
    "attrs",
    "cattrs",
    "backoff",
    "opentelemetry-api",
    "opentelemetry-sdk",
    "uvloop",
    "httpx",
    "openapi-python-client",
    "stamina",
    "aiolimiter",
    "matplotlib",
)

Cell = str | float


@frozen
class Claim:
    """A promise and what was measured: `value` beside its `limit`. `holds`: whether it is kept."""

    text: str
    value: float
    limit: float
    holds: bool


@frozen
class Section:
    """What one section measured: a table for people, claims, and data for plots (plain JSON values)."""

    name: str
    title: str
    columns: list[str]
    rows: list[list[Cell]]
    claims: list[Claim]
    data: dict[str, object] = field(factory=dict[str, object])


@frozen
class Machine:
    """What the figures were measured on: no host name, no path."""

    cpu: str
    cores: int
    system: str
    python: str
    libraries: dict[str, str]


def at_most(text: str, value: float, limit: float) -> Claim:
    """Return the claim that a value is no larger than its limit."""
    return Claim(text, value, limit, value <= limit)


def at_least(text: str, value: float, limit: float) -> Claim:
    """Return the claim that a value is no smaller than its limit."""
    return Claim(text, value, limit, value >= limit)


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> tuple[float, float, float]:
    """Return the median of the ratios round by round, and the quartiles around it. Takes two rounds or more."""
    ratios = sorted(mine / other for mine, other in zip(ours, theirs, strict=True))
    low, _, high = statistics.quantiles(ratios, n=4)
    return statistics.median(ratios), low, high


def quartiles(ratio: tuple[float, float, float]) -> str:
    """Show the quartiles around a paired ratio."""
    return f"{ratio[1]:.2f} to {ratio[2]:.2f}"


def describe_machine() -> Machine:
    """Describe the machine and the libraries installed, as they are now."""
    libraries: dict[str, str] = {}
    for name in _LIBRARIES:
        try:
            libraries[name] = version(name)
        except PackageNotFoundError:
            continue
    return Machine(
        cpu=_cpu_model(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0,
        system=f"{platform.system()} {platform.machine()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        libraries=libraries,
    )


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def _text(cell: Cell) -> str:
    """Write a count in full, any other figure with two places, more of a small and fewer of a large one."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int):
        return f"{cell:,}"
    size = abs(cell)
    return f"{cell:,.{0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 0.1 or not size else 4}f}"


def _is_numeric(cells: Iterable[Cell]) -> bool:
    return any(not isinstance(cell, str) for cell in cells)


def table(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Return a table of plain text; columns that hold numbers are set to the right."""
    texts = [list(columns), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    right = [_is_numeric(column) for column in zip(*rows, strict=True)] if rows else [False] * len(columns)
    return "\n".join(
        "  ".join(
            cell.rjust(width) if is_right else cell.ljust(width)
            for cell, width, is_right in zip(line, widths, right, strict=True)
        ).rstrip()
        for line in texts
    )


def verdict(claim: Claim) -> str:
    """Say whether a claim is kept."""
    return "holds" if claim.holds else "DOES NOT HOLD"


def _claim_rows(section: Section) -> list[list[Cell]]:
    return [[claim.text, claim.value, claim.limit, verdict(claim)] for claim in section.claims]


def plain(section: Section) -> str:
    """Return a section as plain text: its title, table and claims."""
    parts = [f"== {section.name}: {section.title}", table(section.columns, section.rows)]
    if section.claims:
        parts.append(table(["claim", "measured", "limit", ""], _claim_rows(section)))
    return "\n\n".join(parts) + "\n"


def _markdown_table(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    right = [_is_numeric(column) for column in zip(*rows, strict=True)] if rows else [False] * len(columns)
    lines = [columns, ["---:" if is_right else "---" for is_right in right]]
    lines += [[_text(cell).replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def tell(machine: Machine) -> str:
    """Return a machine as two sentences."""
    libraries = ", ".join(f"{name} {number}" for name, number in machine.libraries.items())
    where = f"{machine.cpu}, {machine.cores} cores, {machine.system}, {machine.python}"
    return f"Measured on {where}.\nLibraries: {libraries}."


def markdown(results: Sequence[tuple[Machine, Section]]) -> str:
    """Return all sections as one Markdown document, each with the machine it was measured on where that changes."""
    parts = ["# Benchmarks", "Written by `nox -s bench`."]
    last: Machine | None = None
    for machine, section in results:
        if machine != last:
            parts.append(tell(machine))
            last = machine
        parts.append(f"## {section.name}\n\n{section.title}")
        parts.append(_markdown_table(section.columns, section.rows))
        if section.claims:
            parts.append(_markdown_table(["claim", "measured", "limit", ""], _claim_rows(section)))
    return "\n\n".join(parts) + "\n"


def write_result(folder: Path, machine: Machine, section: Section) -> None:
    """Keep a section as JSON, in a file named for it."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"machine": asdict(machine), "section": asdict(section)}
    (folder / f"{section.name}.json").write_text(json.dumps(content, indent=1) + "\n")


def read_result(folder: Path, name: str) -> tuple[Machine, Section] | None:
    """Return what was kept of a section, and of the machine; `None` if nothing was."""
    path = folder / f"{name}.json"
    if not path.exists():
        return None
    content: dict[str, Any] = json.loads(path.read_text())
    section: dict[str, Any] = content["section"]
    section["claims"] = [Claim(**claim) for claim in section["claims"]]
    return Machine(**content["machine"]), Section(**section)
