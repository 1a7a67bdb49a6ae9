"""Perform a plan of many rows, with a journal: stop it, kill it, run it again; nothing is applied twice.

    python examples/batch_tool.py --demo
    python examples/batch_tool.py plan.csv          # FIELDING_TOKEN, or FIELDING_CLIENT_ID and _SECRET

A plan is CSV with the columns account_id, project_id, target_group_id, fielding_run_id, action and, for updates,
end_fielding_at. `fielding apply` does this and more; here is what it takes in a tool of your own.
"""

import argparse
import asyncio
import csv
import hashlib
import itertools
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import attrs

from fielding_async import (
    Action,
    Complete,
    ConfigurationError,
    FieldingError,
    FieldingSession,
    JournalError,
    LaunchNow,
    Limits,
    Pause,
    Relaunch,
    Resume,
    RunRef,
    Update,
    journal_rows,
    read_journal,
)
from fielding_async.sandbox import Cut, Sandbox, SecondWriter

ACTIONS: dict[str, Action] = {
    action.name: action for action in (LaunchNow(), Pause(), Resume(), Complete(), Relaunch())
}
LONGEST_OUTAGE = 600.0  # seconds
MOST_SHOWN = 20


class PlanError(Exception):
    """A plan that cannot be read; says where."""


def read_plan(path: Path) -> Generator[tuple[RunRef, Action]]:
    """Yield the rows of a plan one by one, so that it may be as long as you like. Raises `PlanError`."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        for row in reader:
            try:
                yield read_row(row)
            except (KeyError, ValueError, TypeError) as error:
                raise PlanError(f"{path}, line {reader.line_num}: {error!r}") from error


def read_row(row: dict[str, str]) -> tuple[RunRef, Action]:
    """Read one row. Raises `KeyError`, `TypeError` or `ValueError` (of which `ConfigurationError` is one)."""
    ref = RunRef(int(row["account_id"]), row["project_id"], row["target_group_id"], row["fielding_run_id"])
    if row["action"] == "update":
        return ref, Update(end_fielding_at=datetime.fromisoformat(row["end_fielding_at"]))
    return ref, ACTIONS[row["action"]]


def check(fielding: FieldingSession, plan: Path) -> tuple[int, str]:
    """Return how many rows a plan has, and its digest, so that a journal is of no other. Raises `PlanError`."""
    rows = 0
    for ref, _ in read_plan(plan):
        rows += 1
        try:
            fielding.run(ref)  # makes a handle, and sends nothing
        except ConfigurationError as error:
            raise PlanError(f"{plan}, row {rows}: {error}") from error
    with plan.open("rb") as file:
        return rows, hashlib.file_digest(file, "sha256").hexdigest()


async def perform(
    fielding: FieldingSession, plan: Path, digest: str, journal: Path, *, most: int | None = None
) -> bool:
    """Perform what is left of a plan, or `most` rows of it. Return whether it was interrupted."""
    interrupted = False
    async with (
        fielding,
        fielding.perform_all(read_plan(plan), journal=journal, plan=digest, wait=LONGEST_OUTAGE) as batch,
    ):

        def interrupt() -> None:
            nonlocal interrupted
            batch.stop(cancel=interrupted)
            interrupted = True
            print(f"stopping: {batch.in_flight} rows in progress (Ctrl-C again: do not wait for them)", file=sys.stderr)

        with handling(interrupt):
            ended = 0
            async for _done in batch:
                ended += 1
                if ended == most:
                    batch.stop()
                if ended % 1000 == 0:
                    print(f"{ended} rows have ended", file=sys.stderr)
    return interrupted


def apply(fielding: FieldingSession, plan: Path, journal: Path, *, most: int | None = None) -> int:
    """Check a plan, perform what is left of it, and say what became of it. Return the exit status."""
    rows, digest = check(fielding, plan)
    interrupted = False
    try:
        interrupted = asyncio.run(perform(fielding, plan, digest, journal, most=most))
    except JournalError as error:
        print(f"batch_tool: stopped: {error}", file=sys.stderr)
    status = report(journal, rows)
    return 130 if interrupted else status


@contextmanager
def handling(interrupt: Callable[[], None]) -> Generator[None]:
    """Call `interrupt` on Ctrl-C, and when the process is asked to end."""
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, interrupt)
    try:
        yield
    finally:
        for signum in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(signum)


def report(journal: Path, rows: int) -> int:
    """Print what the journal holds: of this run and of all before it. Return the exit status."""
    summary = read_journal(journal)
    counts = summary.counts
    left = rows - counts.ended - counts.in_flight
    print(f"\n{rows} rows: {counts.done} done, {counts.failed} failed, {counts.unknown} unknown,", end=" ")
    print(f"{counts.skipped} skipped, {counts.in_flight} in flight, {left} not begun")
    for (action, outcome), number in sorted(summary.outcomes.items()):
        print(f"  {action:<12}{outcome:<12}{number:>7}")
    for row in itertools.islice(journal_rows(journal), MOST_SHOWN):
        print(f"  row {row.number + 1}: {row.state}: {row.error} {row.message}")
    if counts.unknown:
        print("Unknown: check these runs. What is still wanted goes into a new plan.")
    if left or counts.in_flight:
        print("Run it again to go on.")
    if counts.unknown or counts.in_flight:
        return 3
    return 1 if counts.failed or counts.skipped or left else 0


def main() -> int:
    """Return the exit status: 0 all done, 1 some failed or are left, 2 settings or plan, 3 some unknown, 130."""
    parser = argparse.ArgumentParser(description="Perform a plan of many rows; resumable by its journal.")
    parser.add_argument("plan", nargs="?", type=Path, help="a CSV file")
    parser.add_argument("--journal", type=Path, metavar="FILE", help="where to keep the journal [PLAN.journal]")
    parser.add_argument("--rate", type=float, metavar="NUMBER", help="requests a second [what the server will bear]")
    parser.add_argument("--demo", action="store_true", help="a made-up plan, on an exchange in a box")
    options = parser.parse_args()
    if (options.plan is None) is not options.demo:
        parser.error("name a plan, or give --demo")
    try:
        if options.demo:
            return demo()
        journal = options.journal or options.plan.with_name(f"{options.plan.name}.journal")
        fielding = FieldingSession(limits=Limits(rate=options.rate))
        return apply(fielding, options.plan, journal)
    except (PlanError, OSError, FieldingError) as error:
        print(f"batch_tool: {error}", file=sys.stderr)
        return 2


def demo() -> int:
    """Three hundred runs, among them troubles of every kind; interrupted after the first hundred, and gone on with."""
    with Sandbox() as box, tempfile.TemporaryDirectory() as folder:
        refs = [box.add_run("live") for _ in range(300)]
        box.script(Cut("after"), on="pause", ref=refs[10])  # applied, and its reply is lost
        box.script(SecondWriter(), on="pause", ref=refs[20])  # a colleague's change comes first: a 412
        box.touch(refs[30], status="paused")  # somebody did it already
        box.touch(refs[40], status="completed")  # which cannot be paused
        plan, journal = Path(folder, "plan.csv"), Path(folder, "plan.csv.journal")
        with plan.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["account_id", "project_id", "target_group_id", "fielding_run_id", "action"])
            writer.writerows([*attrs.astuple(ref), "pause"] for ref in refs)
        for most in (100, None):
            fielding = FieldingSession("demo", base_url=box.url, limits=Limits(adaptive=False))
            apply(fielding, plan, journal, most=most)
        applied = Counter(write.ref for write in box.history if write.by == "client")
        print(f"\nThe exchange applied {applied.total()} of our writes, at most {max(applied.values())} to a run.")
        return 0


if __name__ == "__main__":
    sys.exit(main())
