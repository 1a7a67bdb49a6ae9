"""Look after runs: launch at nine, watch, extend while completes are missing, complete at the goal.

    python examples/orchestrate.py --demo
    python examples/orchestrate.py --goal 400 --completes counts.json 101/PROJECT/TARGET_GROUP/RUN ...

`counts.json` is yours: how many completes each run has, `{"RUN": 17, ...}`, kept up to date by whatever counts them.
The script may be stopped (Ctrl-C) and started at any time: all that it decides, it decides from what it sees.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from datetime import UTC, datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from attrs import define, field, frozen

from fielding_async import (
    Action,
    AuthenticationError,
    Complete,
    ConfigurationError,
    FieldingError,
    FieldingRun,
    FieldingSession,
    LaunchNow,
    Limits,
    NotFoundError,
    PermissionDeniedError,
    PreconditionFailedError,
    Retry,
    Run,
    RunRef,
    Update,
)
from fielding_async.sandbox import Cut, Sandbox, SecondWriter

Completes = Callable[[RunRef], Awaitable[int]]


class Clock(Protocol):
    """What tells the time, and waits. An argument, so that tests and the demo need not wait for days."""

    def now(self) -> datetime:
        """Return the time, aware."""
        ...

    async def sleep(self, span: timedelta) -> None:
        """Wait."""
        ...


class RealClock:
    """The clock on the wall."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, span: timedelta) -> None:
        await asyncio.sleep(span.total_seconds())


@frozen(kw_only=True)
class Plan:
    """What is to be done with each run. `goal`: completes. A run that ends within `margin` is extended by `extension`,
    but never beyond `latest`.
    """

    launch_at: datetime
    goal: int
    latest: datetime
    margin: timedelta = timedelta(hours=12)
    extension: timedelta = timedelta(days=1)
    every: timedelta = timedelta(minutes=5)


def decide(run: FieldingRun, completes: int, plan: Plan, now: datetime) -> Action | timedelta | None:
    """Return what to do about a run as it is: an action, or for how long to wait, or `None` if it is over."""
    match run.status:
        case "completed":
            return None
        case "live" | "scheduled" if completes >= plan.goal:
            return Complete()
        case "scheduled":
            wait = plan.launch_at - now
            return LaunchNow() if wait <= timedelta() else min(wait, plan.every)
        case "live" if run.end_fielding_at - now < plan.margin and run.end_fielding_at < plan.latest:
            return Update(end_fielding_at=min(run.end_fielding_at + plan.extension, plan.latest))
        case _:
            return plan.every  # a colleague who has paused it has reasons


@define
class Report:
    """What became of the runs: over, given up, and writes of which it cannot be told whether they were applied."""

    over: dict[RunRef, str] = field(factory=dict[RunRef, str])
    given_up: dict[RunRef, str] = field(factory=dict[RunRef, str])
    doubts: list[str] = field(factory=list[str])


async def look_after(run: Run, plan: Plan, completes: Completes, clock: Clock, report: Report) -> None:
    """See one run through to its end."""

    def say(text: str) -> None:
        print(f"{clock.now():%a %d %b %H:%M}  {run.ref.fielding_run_id}  {text}", flush=True)

    while True:
        try:
            seen, count = await run.get(), await completes(run.ref)
            step = decide(seen, count, plan, clock.now())
            if step is None:
                report.over[run.ref] = f"over, with {count} of {plan.goal} completes"
                return
            if isinstance(step, timedelta):
                await clock.sleep(step)
                continue
            # a step rests on what was seen: if somebody has changed that, it is not taken
            outcome = await run.perform(step, seen=seen)
            say(f"{step.name}: {outcome.effect}, at {count} completes")
        except PreconditionFailedError:
            say("changed by somebody else meanwhile; looking again")
        except (NotFoundError, PermissionDeniedError) as error:
            report.given_up[run.ref] = str(error)  # the others go on
            return
        except (AuthenticationError, ConfigurationError):
            raise  # hopeless for all: the task group stops the others
        except FieldingError as error:
            # an outcome that is unknown, too: what is decided next rests on another look, and on the same ETag if the
            # run has not changed, so nothing is done twice
            say(f"{error}; looking again in a while")
            await clock.sleep(plan.every)
        except asyncio.CancelledError as cancelled:
            report.doubts += getattr(cancelled, "__notes__", [])  # there if a write may still be applied
            raise


async def orchestrate(
    fielding: FieldingSession, refs: Iterable[RunRef], plan: Plan, completes: Completes, clock: Clock, report: Report
) -> None:
    """See all runs through. Cancelled, or when one task fails for good, it stops them all, and leaves none behind."""
    async with asyncio.TaskGroup() as group:
        for ref in refs:
            group.create_task(look_after(fielding.run(ref), plan, completes, clock, report))


# -- the command


def next_at(at: time, zone: tzinfo, now: datetime) -> datetime:
    """Return when it will next be `at` by the clocks of a zone; its changes of clocks are minded."""
    today = now.astimezone(zone).date()
    days = (datetime.combine(today + timedelta(days=n), at, zone) for n in range(3))
    return next(moment.astimezone(UTC) for moment in days if moment >= now)


def counts_in(path: Path) -> Completes:
    """Return what reads the completes of a run from a JSON file, afresh each time."""

    async def completes(ref: RunRef) -> int:
        text = await asyncio.to_thread(path.read_text)
        return int(json.loads(text).get(ref.fielding_run_id, 0))

    return completes


def ref_of(text: str) -> RunRef:
    """Read the four ids of a run."""
    account, project, group, run = text.split("/")
    return RunRef(int(account), project, group, run)


def main() -> int:
    """Return the exit status: 0 all runs are over, 1 some were given up, 2 settings, 130 interrupted."""
    parser = argparse.ArgumentParser(description="Launch runs at nine, watch and extend them, complete at the goal.")
    parser.add_argument("refs", nargs="*", type=ref_of, metavar="ACCOUNT/PROJECT/TARGET_GROUP/RUN")
    parser.add_argument("--demo", action="store_true", help="made-up runs of an exchange in a box, whose days fly by")
    parser.add_argument("--goal", type=int, default=100, help="completes that each run is to have")
    parser.add_argument("--completes", type=Path, metavar="FILE", help='how many there are: JSON, {"RUN": 17, ...}')
    parser.add_argument("--at", type=time.fromisoformat, default="09:00", help="when to launch")
    parser.add_argument("--zone", type=ZoneInfo, default="UTC", help="by which clocks, such as Europe/Berlin")
    parser.add_argument("--days", type=float, default=7.0, help="extend to at most so long after the launch")
    options = parser.parse_args()
    if options.demo:
        return demo()
    if not options.refs or options.completes is None:
        parser.error("name the runs and --completes FILE, or give --demo")
    launch_at = next_at(options.at, options.zone, datetime.now(UTC))
    plan = Plan(launch_at=launch_at, goal=options.goal, latest=launch_at + timedelta(days=options.days))

    async def work(report: Report) -> None:
        async with FieldingSession() as fielding:
            await orchestrate(fielding, options.refs, plan, counts_in(options.completes), RealClock(), report)

    return run_and_tell(work)


def run_and_tell(work: Callable[[Report], Coroutine[None, None, None]]) -> int:
    """Do the work until it is over or interrupted, and tell what became of it. Return the exit status."""
    report, status = Report(), 0
    try:
        asyncio.run(work(report))
    except* KeyboardInterrupt:
        status = 130
    except* FieldingError as errors:
        print(*errors.exceptions, sep="\n", file=sys.stderr)
        status = 2
    for ref, how in (report.over | report.given_up).items():
        print(f"{ref}: {how}")
    for doubt in report.doubts:
        print(f"IN DOUBT: {doubt}")
    if status == 130:
        print("Interrupted. Start it again to go on.")
    return status or (1 if report.given_up else 0)


# -- the demo


class FastClock:
    """A clock on which an hour of waiting takes 20 milliseconds, and nothing else takes any time."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    async def sleep(self, span: timedelta) -> None:
        wakes_at = self._now + span
        await asyncio.sleep(span / timedelta(hours=50))
        self._now = max(self._now, wakes_at)


def demo() -> int:
    """Three runs, whose completes come in slower and slower, and a colleague who gets in the way."""
    clock = FastClock(datetime(2030, 5, 6, 6, 30, tzinfo=UTC))
    launch_at = next_at(time(9), UTC, clock.now())
    plan = Plan(launch_at=launch_at, goal=100, latest=launch_at + timedelta(days=4), every=timedelta(hours=1))

    async def work(report: Report) -> None:
        limits, retry = Limits(adaptive=False), Retry(base=0.01)  # there is nobody to be careful with
        async with (
            Sandbox(clock=clock.now) as box,
            FieldingSession("demo", base_url=box.url, limits=limits, retry=retry) as fielding,
        ):
            end = launch_at + timedelta(days=2)
            refs = [box.add_run(end_fielding_at=end, fielding_run_id=f"RUN-{n}") for n in (1, 2, 3)]
            box.script(SecondWriter(shift_end=timedelta(hours=3)), on="update", ref=refs[1])
            box.script(Cut("after"), on="complete", ref=refs[0])

            async def completes(ref: RunRef) -> int:
                hours = max(clock.now() - launch_at, timedelta()) / timedelta(hours=1)
                return int(hours * (3, 1.5, 0.8)[refs.index(ref)])

            await orchestrate(fielding, refs, plan, completes, clock, report)

    return run_and_tell(work)


if __name__ == "__main__":
    sys.exit(main())
