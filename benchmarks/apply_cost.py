"""What a row of `fielding apply` costs beside a loop by hand, and what it costs to go on with a plan almost done.

Both as ratios of paired rounds, whose order alternates; each command runs in a process of its own, whose CPU (of user
and system) and memory the system counts. `FIELDING_BENCH_OTHER` names a checkout of another commit: going on with a
plan, and the memory, are then compared with that. Without it they are only shown. `FIELDING_BENCH_ROWS` sets another
number of rows for the plan that is gone on with.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from attrs import frozen

from benchmarks.apply_plan import write_plan
from benchmarks.report import Cell, Claim, Section, at_most, paired_ratio, quartiles
from benchmarks.server import serving

__all__ = ["begin", "run"]

_HERE = Path(__file__).parent
_OTHER = "FIELDING_BENCH_OTHER"
_FEW = 200
_LEFT = 100


@frozen
class _Used:
    """What a process used: CPU in seconds, and the most memory it held, in MiB."""

    cpu: float
    memory: float


def _used_by(words: list[str], tree: Path, base_url: str) -> _Used:
    env = {**os.environ, "PYTHONPATH": str(tree), "FIELDING_BASE_URL": base_url, "FIELDING_TOKEN": "token"}
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen([sys.executable, *words], env=env, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            errors.seek(0)
            raise RuntimeError(f"{words} ended with {child.returncode}: {errors.read()[-1000:].decode()}")
    return _Used(used.ru_utime + used.ru_stime, used.ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024))


def _apply(tree: Path, plan: Path, journal: Path, base_url: str) -> _Used:
    words = ["-P", "-m", "fielding_async", "apply", str(plan), "--yes", "--journal", str(journal)]
    return _used_by(words, tree, base_url)


def begin(plan: Path, journal: Path, base_url: str, left: int, *, tree: Path | None = None) -> None:
    """Perform all but the last rows of a plan. `tree`: the checkout whose package does it, and will go on."""
    words = ["-P", str(_HERE / "apply_begun.py"), str(plan), str(journal), base_url, str(left)]
    _used_by(words, tree or _HERE.parent, base_url)


def _rounds(count: int, kinds: dict[str, Callable[[], _Used]]) -> dict[str, list[_Used]]:
    """Return what each kind used, round by round; the order changes from round to round."""
    found: dict[str, list[_Used]] = {kind: [] for kind in kinds}
    for turn in range(count):
        for kind in reversed(kinds) if turn % 2 else kinds:
            found[kind].append(kinds[kind]())
    return found


def _fresh(folder: Path, rounds: int, rows: int, other: Path | None) -> dict[str, list[_Used]]:
    """Apply plans from their beginning, and send them by hand: many rows and few, as starting is no part of a row."""

    def kind(rows: int, tree: Path | None) -> Callable[[], _Used]:
        plan = folder / f"{rows}.csv"
        write_plan(plan, rows)

        def once() -> _Used:
            with serving() as base_url, tempfile.TemporaryDirectory(dir=folder) as journals:
                if tree is None:
                    script = str(_HERE / "apply_by_hand.py")
                    return _used_by(["-P", script, str(plan), base_url], _HERE.parent, base_url)
                return _apply(tree, plan, Path(journals) / "journal", base_url)

        return once

    trees = {"ours": _HERE.parent, "by hand": None, **({} if other is None else {"other": other})}
    return _rounds(
        rounds, {f"{name}, {count}": kind(count, tree) for name, tree in trees.items() for count in (_FEW, rows)}
    )


def _resumed(folder: Path, rounds: int, rows: int, other: Path | None) -> dict[str, list[_Used]]:
    """Go on with a plan of which few rows are left."""
    plan = folder / "resumed.csv"
    write_plan(plan, rows)
    with serving() as base_url:

        def kind(name: str, tree: Path) -> Callable[[], _Used]:
            begun = folder / name
            begun.mkdir()
            begin(plan, begun / "journal", base_url, _LEFT, tree=tree)

            def once() -> _Used:
                with tempfile.TemporaryDirectory(dir=folder) as copy:
                    shutil.copytree(begun, copy, dirs_exist_ok=True)
                    return _apply(tree, plan, Path(copy) / "journal", base_url)

            return once

        trees = {"ours": _HERE.parent, **({} if other is None else {"other": other})}
        return _rounds(rounds, {name: kind(name, tree) for name, tree in trees.items()})


def _a_row(used: dict[str, list[_Used]], name: str, rows: int) -> list[float]:
    """Return the CPU of a row round by round, in microseconds."""
    pairs = zip(used[f"{name}, {rows}"], used[f"{name}, {_FEW}"], strict=True)
    return [(many.cpu - few.cpu) / (rows - _FEW) * 1e6 for many, few in pairs]


def _memory(used: list[_Used]) -> list[float]:
    return [one.memory for one in used]


def run(*, quick: bool = False) -> Section:
    """Measure, as paired medians of rounds that take turns."""
    rounds, rows = (3, 3_000) if quick else (11, 20_000)
    left_of = int(os.environ.get("FIELDING_BENCH_ROWS") or (10_000 if quick else 100_000))
    other = Path(os.environ[_OTHER]).resolve() if os.environ.get(_OTHER) else None
    with tempfile.TemporaryDirectory() as folder:
        fresh = _fresh(Path(folder), rounds, rows, other)
        resumed = _resumed(Path(folder), max(3, rounds // 2), left_of, other)
    ours, by_hand = (_a_row(fresh, name, rows) for name in ("ours", "by hand"))
    ratio = paired_ratio(ours, by_hand)
    gone_on = [one.cpu for one in resumed["ours"]]
    table: list[list[Cell]] = [
        ["CPU of a row, us", statistics.median(ours), statistics.median(by_hand), ratio[0], quartiles(ratio)]
    ]
    claims: list[Claim] = [at_most("CPU of a row of apply / of a GET-and-POST loop by hand", ratio[0], 1.0)]
    if other is None:
        title = f"set {_OTHER} to compare with another commit"
        table.append([f"to go on, {_LEFT} of {left_of:,} rows left: CPU, s", statistics.median(gone_on), "", "", ""])
    else:
        title = "the peers are a loop by hand, and another commit"
        many = f", {rows}"
        for what, mine, theirs, limit in (
            (
                f"to go on, {_LEFT} of {left_of:,} rows left: CPU, s",
                gone_on,
                [one.cpu for one in resumed["other"]],
                0.4,
            ),
            ("to go on: memory, MiB", _memory(resumed["ours"]), _memory(resumed["other"]), 1.05),
            (f"{rows:,} rows: memory, MiB", _memory(fresh[f"ours{many}"]), _memory(fresh[f"other{many}"]), 1.05),
        ):
            pairs = paired_ratio(mine, theirs)
            table.append([what, statistics.median(mine), statistics.median(theirs), pairs[0], quartiles(pairs)])
            claims.append(at_most(f"{what.rpartition(',')[0]} / that of the other commit", pairs[0], limit))
    return Section(
        "apply_cost",
        f"What `fielding apply` costs, medians of {rounds} rounds; {title}.",
        ["what", "ours", "peer", "ratio", "quartiles"],
        table,
        claims,
        {
            kind: {name: [[one.cpu, one.memory] for one in used] for name, used in found.items()}
            for kind, found in (("fresh", fresh), ("resumed", resumed))
        },
    )
