"""A lossy exchange over real sockets, deterministic by seed, and what became of every call of it beside what happened.

`python -m tests.proofs.faults.storm` runs it by itself and prints the figures.
"""

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Literal

from attrs import define

from fielding_async import (
    Complete,
    FieldingError,
    FieldingRun,
    FieldingSession,
    LaunchNow,
    Limits,
    Outcome,
    OutcomeUnknownError,
    Pause,
    Relaunch,
    Resume,
    Retry,
    RunRef,
    Timeout,
    Update,
)
from fielding_async.core.actions import Action, Change
from fielding_async.sandbox import Cut, Fault, Sandbox, SecondWriter
from fielding_async.sandbox.serving.routes import Operation
from tests.tools.driven_calls import Called, DiceScript, Driven
from tests.tools.sessions import TOKEN
from tests.tools.waits import HANG

__all__ = ["Kind", "Storm", "breaches", "main", "rage"]

Kind = Literal["orders", "callables"]
"""`orders`: status actions and dated updates; `callables`: updates by a callable."""

LOST_BEFORE = 0.05
LOST_AFTER = 0.05
SECOND_WRITER = 0.05


class Weather(DiceScript):
    """Every request may be lost, and every write be overtaken."""

    def take(self, operation: Operation, ref: RunRef | None, *, run_exists: bool) -> tuple[Fault, ...]:
        """Return what strikes a request."""
        dice = self.dice(ref)
        faults: list[Fault] = []
        roll = dice.random()
        self.struck["requests"] += 1
        if roll < LOST_BEFORE:
            faults.append(Cut("before"))
            self.struck["lost before"] += 1
        elif roll < LOST_BEFORE + LOST_AFTER:
            faults.append(Cut(dice.choice(("after", "headers", "body"))))
            self.struck["lost after"] += 1
        overtaken = dice.random() < SECOND_WRITER
        flips, later = dice.random() < 0.3, dice.random() < 0.3
        if operation.method != "GET" and overtaken:
            status = dice.choice(("live", "paused")) if flips else None
            minutes = timedelta(minutes=dice.randrange(1, 60))
            shift = None if status else minutes
            faults.append(SecondWriter(status=status, shift_end=shift, when="after" if later else "before"))
            self.struck["second writers"] += 1
        return tuple(faults)


@define
class Storm(Driven[Action | Change]):
    """What a storm left behind. `cpu`: seconds of it."""

    cpu: float = 0.0

    def figures(self) -> str:
        """Return it all in a few lines."""
        ours = sum(write.by == "client" for write in self.sandbox.history)
        return f"{super().figures()}; writes by the client {ours}, {self.cpu:.1f} s of CPU"


def _day(dice: Random) -> datetime:
    return datetime(2031, 1, 1, tzinfo=UTC) + timedelta(
        seconds=dice.randrange(10**7), milliseconds=dice.randrange(1000)
    )


def _order(dice: Random, status: str) -> Action:
    """Return an action that the server should allow in this status."""
    if status != "completed" and dice.random() < 0.4:
        return Update(end_fielding_at=_day(dice))
    match status:
        case "scheduled":
            return dice.choice((LaunchNow(), Complete()))
        case "live":
            return dice.choice((Pause(), Pause(), Pause(), Complete()))
        case "paused":
            return Resume()
        case _:
            return Relaunch()


def _callable(dice: Random) -> Change:
    hours = dice.randrange(1, 48)

    def longer(run: FieldingRun) -> Update:
        return Update(end_fielding_at=run.end_fielding_at + timedelta(hours=hours))

    return longer


async def rage(
    calls: int, *, seed: int, kind: Kind = "orders", runs: int = 100, report: Callable[[str], None] = print
) -> Storm:
    """Let `calls` calls on `runs` runs side by side, one after the other on each, go through the weather of a seed."""
    async with Sandbox(require_token=TOKEN, seed=seed) as sandbox:
        storm = Storm(sandbox)
        weather = Weather(seed)
        sandbox._pipeline.script = weather  # the script is a list; this is a die
        statuses = ("scheduled", "live", "paused", "completed") if kind == "orders" else ("live",)
        refs = [sandbox.add_run(statuses[number % len(statuses)]) for number in range(runs)]
        started, spent = time.perf_counter(), time.process_time()
        async with FieldingSession(
            TOKEN,
            base_url=sandbox.url,
            retry=Retry(base=0.001, cap=0.01, conflict_base=0.001),
            timeout=Timeout(total=HANG, attempt=HANG),
            limits=Limits(concurrency=32, adaptive=False),
        ) as fielding:

            async def work(number: int, ref: RunRef) -> None:
                dice = Random(f"{seed}/orders/{number}")
                run = fielding.run(ref)
                for _ in range(calls // runs + (number < calls % runs)):
                    now = sandbox.inspect(ref)
                    order: Action | Change = _order(dice, now.status) if kind == "orders" else _callable(dice)
                    ended: Outcome | FieldingError
                    try:
                        ended = await (run.update(order) if callable(order) else run.perform(order))
                    except FieldingError as error:
                        ended = error
                    storm.calls.append(Called(ref, order, ended, now.version or 0, sandbox.inspect(ref).version or 0))

            async with asyncio.TaskGroup() as group:
                for number, ref in enumerate(refs):
                    group.create_task(work(number, ref))
        storm.seconds, storm.cpu = time.perf_counter() - started, time.process_time() - spent
        storm.struck = weather.struck
    report(storm.figures())
    return storm


def breaches(storm: Storm) -> list[str]:
    """Return what was applied twice or reported falsely, by the sandbox's own history."""
    found: list[str] = []
    by_trace: dict[str, list[int]] = {}
    states: dict[tuple[RunRef, int], tuple[str, datetime]] = {}
    writes = storm.sandbox.history
    versions: Counter[RunRef] = Counter()
    for position, write in enumerate(writes):
        if versions[write.ref] == 0:
            versions[write.ref] = 1
            assert write.end_before is not None
            states[write.ref, 1] = (str(write.status_before), write.end_before)
        versions[write.ref] += 1
        states[write.ref, versions[write.ref]] = (write.status_after, write.end_after)
        if write.by == "client":
            assert write.trace_id is not None
            by_trace.setdefault(write.trace_id, []).append(position)
            if write.if_match != write.etag_before:
                found.append(f"applied under an ETag that was past: {write}")
    for call in storm.calls:
        ended = call.ended
        assert ended.trace_id is not None
        ours = [writes[position] for position in by_trace.pop(ended.trace_id, [])]
        if len(ours) > 1:
            found.append(f"applied {len(ours)} times: {call}")
        if isinstance(ended, OutcomeUnknownError):
            continue
        if not isinstance(ended, Outcome):
            if ours:
                found.append(f"an error, but applied: {call}")
            continue
        allowed = {"accepted": {1}, "already": {0}, "unconfirmed": {0, 1}}[ended.effect]
        if len(ours) not in allowed:
            found.append(f"{ended.effect}, but applied {len(ours)} times: {call}")
        versions_then = [(call.ref, version) for version in range(call.before, call.after + 1)]
        seen = [states[known] for known in versions_then if known in states]
        if not isinstance(ended.action, Update):
            there = any(status == getattr(ended.action, "target", None) for status, _ in seen)
        else:
            there = any(end == ended.action.end_fielding_at for _, end in seen)
        if seen and not there:
            found.append(f"{ended.effect}, but the run never was there: {call}")
        if ended.effect == "accepted" and ours:
            write = ours[0]
            if (ended.etag, ended.end_fielding_at) != (write.etag_after, write.end_after):
                found.append(f"accepted, but another ETag or date than applied: {call} {write}")
    if by_trace:
        found.append(f"{len(by_trace)} traces with writes that no call accounts for")
    return found


def main() -> None:
    """Run a storm from the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.proofs.faults.storm", description=main.__doc__)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", choices=("orders", "callables"), default="orders")
    given = parser.parse_args()
    storm = asyncio.run(rage(given.calls, seed=given.seed, kind=given.kind, runs=given.runs))
    found = breaches(storm)
    print("\n".join(found) or "none applied twice, none falsely reported")
    raise SystemExit(bool(found))


if __name__ == "__main__":
    main()
