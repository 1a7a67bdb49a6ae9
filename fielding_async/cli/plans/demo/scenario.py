"""The demo itself: submits a plan, starts two workers, kills one, and checks the sandbox's history at the end."""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta

from attrs import frozen

from fielding_async.cli.plans.showing.progress import Pace
from fielding_async.cli.plans.showing.texts import progress_line
from fielding_async.core.actions import Action, Pause, Resume, Update
from fielding_async.core.models import RunRef
from fielding_async.plans import PlanReport, PlanStatus, PostgresPlans
from fielding_async.sandbox import Sandbox

__all__ = ["Result", "run_demo"]

_EVERY = 0.25  # seconds between two looks at the plan
_LINES = 2.0  # seconds between two lines of progress


@frozen(kw_only=True)
class Result:
    """What happened. `killed_after`: how many rows had ended when a worker was killed, `None` if the plan ended before
    that; `open`: how many rows were in flight then.

    `problems`: what the history of the sandbox says against "each write once, in order".
    """

    report: PlanReport
    seconds: float
    killed_after: int | None
    open: int
    problems: tuple[str, ...]


async def run_demo(url: str, name: str, runs: int, say: Callable[[str], object]) -> Result:
    """Run the demo on a database. `say` takes a line of progress. Raises `FieldingError`."""
    sandbox = Sandbox(seed=1, require_token=True)
    refs = [sandbox.add_run("live") for _ in range(runs)]
    loop = asyncio.get_running_loop()
    began = loop.time()
    with sandbox:
        sandbox.rate_limit(max(10.0, runs * 0.6))
        async with PostgresPlans(url) as plans:
            await plans.create_tables()
            await plans.submit(_rows(sandbox, refs), plan=name)
            try:
                with _workers(sandbox, url, name) as workers:
                    killed_after, left_open = await _watch(plans, name, workers, say)
                report = await plans.report(name)
            finally:
                await plans.delete(name, force=True)
        problems = _problems(sandbox, refs, report)
    return Result(
        report=report, seconds=loop.time() - began, killed_after=killed_after, open=left_open, problems=problems
    )


def _rows(sandbox: Sandbox, refs: list[RunRef]) -> list[tuple[RunRef, Action]]:
    ends = sandbox.now + timedelta(days=30)
    return [(ref, action) for action in (Pause(), Update(end_fielding_at=ends), Resume()) for ref in refs]


@contextmanager
def _workers(sandbox: Sandbox, url: str, name: str) -> "Generator[list[subprocess.Popen[bytes]]]":
    """Start two workers, and end those that are left at the end of the block."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("FIELDING_")}
    env |= {"FIELDING_BASE_URL": sandbox.url, "FIELDING_TOKEN": sandbox.token or "", "FIELDING_PLANS_URL": url}
    words = [sys.executable, "-m", "fielding_async.cli.plans.demo.worker", name]
    workers: list[subprocess.Popen[bytes]] = []
    try:
        while len(workers) < 2:
            worker = subprocess.Popen(words, env=env, stdin=subprocess.DEVNULL, start_new_session=True)  # noqa: S603
            workers.append(worker)
        yield workers
    finally:
        for worker in workers:
            if worker.poll() is None:
                worker.kill()
            worker.wait()


async def _watch(
    plans: PostgresPlans, name: str, workers: "list[subprocess.Popen[bytes]]", say: Callable[[str], object]
) -> tuple[int | None, int]:
    """Watch the plan to its end, and kill a worker with rows in flight when a quarter of the rows has ended.

    Returns how many rows had ended by then, and how many were in flight; `None` and 0 if no worker was killed.
    """
    loop, pace = asyncio.get_running_loop(), Pace()
    killed: tuple[int | None, int] = None, 0
    next_line = loop.time() + _LINES
    while True:
        status = await plans.status(name)
        pace.add(loop.time(), status)
        if killed[0] is None and (victim := _victim(status, workers)) is not None:
            workers[victim].kill()
            killed = status.counts.ended, status.counts.in_flight
            say(
                f"{progress_line(status, pace.rows_per_second)}\n"
                f"worker {victim + 1} is killed; worker {2 - victim} continues, and takes over"
            )
            next_line = loop.time() + _LINES
        if not status.left:
            return killed
        if all(worker.poll() is not None for worker in workers):
            return killed  # the report says what is left
        if loop.time() >= next_line:
            say(progress_line(status, pace.rows_per_second))
            next_line = loop.time() + _LINES
        await asyncio.sleep(_EVERY)


def _victim(status: PlanStatus, workers: "list[subprocess.Popen[bytes]]") -> int | None:
    """Return which worker to kill now: the first one that holds shards, if rows are in flight and both are running."""
    holders = {worker.holder.split(":")[1] for worker in status.workers if ":" in worker.holder}
    is_time = status.counts.in_flight > 0 and status.counts.ended * 4 >= status.rows
    if not is_time or any(worker.poll() is not None for worker in workers):
        return None
    return next((number for number, worker in enumerate(workers) if str(worker.pid) in holders), None)


def _problems(sandbox: Sandbox, refs: list[RunRef], report: PlanReport) -> tuple[str, ...]:
    """Return what is wrong: a write that is missing, is there twice, or in another order; rows that are not done."""
    not_done = report.rows - report.counts.done
    found = [f"{not_done:,} rows are not done"] if not_done else []
    asked = [action.name for action in (Pause(), Update(end_fielding_at=sandbox.now), Resume())]
    applied: dict[RunRef, list[str]] = {ref: [] for ref in refs}
    for write in sandbox.history:
        applied.setdefault(write.ref, []).append(write.operation)
    wrong = Counter(", ".join(names) or "nothing" for names in applied.values() if names != asked)
    found += [f"{count} runs had: {names}; asked for: {', '.join(asked)}" for names, count in wrong.items()]
    return tuple(found)
