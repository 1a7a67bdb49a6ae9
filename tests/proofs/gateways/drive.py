"""Many calls of two sessions through a gateway, with faults behind it and colleagues beside them."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from urllib.parse import urlsplit

from attrs import define, evolve, frozen

from fielding_async import (
    Complete,
    FieldingError,
    FieldingRun,
    FieldingSession,
    LaunchNow,
    Limits,
    Outcome,
    Pause,
    Relaunch,
    Resume,
    RunRef,
    Timeout,
    Update,
)
from fielding_async.core.actions import Action
from fielding_async.sandbox import Sandbox
from fielding_async.sandbox.server import Server
from tests.tools.driven_calls import Called, Driven
from tests.tools.sessions import QUICK, TOKEN

from .cases import Case
from .configs import EXCHANGE
from .weather import Arrival, Weather

__all__ = ["Call", "Drive", "Order", "drive"]


@frozen
class Order:
    """What is ordered: an action, or a callable update that moves the end by `shift`."""

    action: Action | None = None
    shift: timedelta = timedelta(0)

    def change(self, run: FieldingRun) -> Update:
        """Return the update for a run as it is now."""
        return Update(end_fielding_at=run.end_fielding_at + self.shift)


Call = Called[Order]


@define
class Drive(Driven[Order]):
    """What is left when all calls are over and nothing is on its way any more."""

    case: Case
    arrivals: Sequence[Arrival]


def _moment(dice: Random, year: int) -> datetime:
    return datetime(year, 1, 1, tzinfo=UTC) + timedelta(seconds=dice.randrange(10**7), milliseconds=dice.randrange(999))


def _order(dice: Random, status: str) -> Order:
    """Return an order, most often one that the exchange allows in this status."""
    roll = dice.random()
    if status != "completed" and roll < 0.2:
        return Order(shift=timedelta(minutes=dice.randrange(1, 3000), milliseconds=dice.randrange(1, 999)))
    if status != "completed" and roll < 0.4:
        start = _moment(dice, 2031) if dice.random() < 0.5 else None
        return Order(Update(start_fielding_at=start, end_fielding_at=_moment(dice, 2033)))
    fitting: dict[str, tuple[Action, ...]] = {
        "scheduled": (LaunchNow(), Complete()),
        "live": (Pause(), Pause(), Pause(), Pause(), Complete()),
        "paused": (Resume(),),
        "completed": (Relaunch(),),
    }
    if dice.random() < 0.1:
        return Order(dice.choice((Pause(), Resume())))
    return Order(dice.choice(fitting[status]))


async def drive(case: Case, calls: int, folder: Path, *, seed: int = 0, runs: int = 40) -> Drive:
    """Make so many calls on so many runs, through a gateway, and wait until the last request has landed.

    Two sessions work on each run at the same time; one of them keeps no ETag, and makes two attempts at most.
    """
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(
            Sandbox(require_token=TOKEN, seed=seed, behaviour=case.behaviour, hosts=(EXCHANGE,))
        )
        writes = sandbox._pipeline.engine.runs.writes
        weather = Weather(seed, lambda: len(writes), slow=case.slow, max_age=case.max_age)
        sandbox._pipeline.script = weather  # the script is a list; these are dice
        second = Server(sandbox._pipeline, sandbox._hosts)
        ports = [urlsplit(sandbox.url).port or 0, await second.start("127.0.0.1", 0)]
        stack.push_async_callback(second.stop)
        entry = await stack.enter_async_context(case.gateway(ports, folder))
        driven = Drive(sandbox, case, weather.arrivals, struck=weather.struck)
        statuses = ("scheduled", "live", "paused", "completed")
        refs = [sandbox.add_run(statuses[number % 4]) for number in range(runs)]
        started = time.perf_counter()
        async with AsyncExitStack() as sessions, asyncio.TaskGroup() as group:
            for name, remembered, attempts in (("warm", 65_536, 5), ("cold", 1, 2)):
                fielding = FieldingSession(
                    TOKEN,
                    retry=evolve(QUICK, max_attempts=attempts),
                    timeout=Timeout(total=20, attempt=10),
                    limits=Limits(concurrency=16, adaptive=False),
                    etag_cache_size=remembered,
                    **entry.arguments(),
                )
                await sessions.enter_async_context(fielding)
                for number, ref in enumerate(refs):
                    share = calls // (2 * runs) + (number < calls // 2 % runs)
                    dice = Random(f"{seed}/{name}/{number}")
                    group.create_task(_work(driven, fielding, ref, dice, share))
        await weather.over()
        driven.seconds = time.perf_counter() - started
    return driven


async def _work(driven: Drive, fielding: FieldingSession, ref: RunRef, dice: Random, calls: int) -> None:
    sandbox, run = driven.sandbox, fielding.run(ref)
    for _ in range(calls):
        if dice.random() < 0.1:
            flipped = {"live": "paused", "paused": "live"}.get(sandbox.inspect(ref).status)
            sandbox.touch(ref, status=flipped)
        now = sandbox.inspect(ref)
        order = _order(dice, now.status)
        ended: Outcome | FieldingError
        try:
            ended = await (run.update(order.change) if order.action is None else run.perform(order.action))
        except FieldingError as error:
            ended = error
        driven.calls.append(Call(ref, order, ended, now.version or 0, sandbox.inspect(ref).version or 0))
