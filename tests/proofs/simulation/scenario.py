"""What the callers do: sessions with workers that act on shared runs, cancel, set deadlines and start afresh."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from random import Random
from typing import Any

from opentelemetry.trace import NoOpTracerProvider

from fielding_async import (
    ClientCredentials,
    Complete,
    FieldingRun,
    LaunchNow,
    Pause,
    Relaunch,
    Resume,
    RunRef,
    Update,
)
from fielding_async.core.actions import Action, Change
from fielding_async.core.credentials import Auth, TokenSource
from fielding_async.session import session_over
from tests.tools.hints import share

from .network import TOKEN_URL, Network, SimTransport
from .records import CURRENT, CallRecord
from .timeline import Timeline
from .world import World

__all__ = ["BASE_URL", "Actor", "Scenario", "SimError", "moment", "ref_of", "run_of"]

BASE_URL = "https://sim.invalid/v1"
_STATUS_ACTIONS: tuple[Callable[[], Action], ...] = (LaunchNow, Pause, Pause, Resume, Resume, Complete, Relaunch)


class SimError(Exception):
    """What a caller's own callable raises."""


@cache
def ref_of(run_id: str) -> RunRef:
    """Return the full name of a simulated run."""
    return RunRef(101, "01SIMULATEDPROJECT00000000", f"01SIMULATEDGROUP{run_id:0>10}".upper(), run_id)


def run_of(target_group_id: str) -> str:
    """Return the id of the simulated run of a target group."""
    return target_group_id.removeprefix("01SIMULATEDGROUP").lstrip("0").lower()


class Actor:
    """One session with its transport: `number` is its own, also after a restart."""

    def __init__(self, number: int, world: World, network: Network, dice: Random) -> None:
        self.number = number
        self.transport = SimTransport(network, number)
        self.session = session_over(
            self.transport,
            dice=Random(dice.getrandbits(64)),
            auth=_auth(world, network),
            base_url=BASE_URL,
            limits=world.limits,
            retry=world.retry,
            timeout=world.timeout,
            tracer_provider=NoOpTracerProvider(),
        )

    async def open(self, hints: Any) -> None:
        """Enter the session. `hints`: the store of hints that it uses, if there is one."""
        await self.session.__aenter__()
        if hints is not None:
            share(self.session, hints)


def _auth(world: World, network: Network) -> str | Auth | TokenSource:
    if world.auth == "static":
        return "token-0"
    if world.auth == "credentials":
        return ClientCredentials("id", "client-secret", token_url=TOKEN_URL)

    async def source() -> str:
        await asyncio.sleep(world.latency)
        return network.new_token(asyncio.get_running_loop().time())

    return source


class Scenario:
    """Draws and makes calls."""

    def __init__(
        self,
        world: World,
        dice: Random,
        network: Network,
        timeline: Timeline,
        starts: list[datetime],
        ends: list[datetime],
        delta: int,
    ) -> None:
        self.world = world
        self.dice = dice
        self.network = network
        self.timeline = timeline
        self.calls: list[CallRecord] = []
        self.hints: Any = None
        self.actors: list[Actor] = []
        self._current: list[Actor] = []
        self._starts = starts
        self._ends = ends
        self._delta = delta
        self._last_seen: dict[tuple[int, str], list[FieldingRun]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._order = count()

    # -- sessions

    async def open_actor(self, slot: int) -> None:
        """Open a session in a slot, in the place of one before."""
        actor = Actor(len(self.actors), self.world, self.network, self.dice)
        await actor.open(self.hints)
        self.actors.append(actor)
        if slot == len(self._current):
            self._current.append(actor)
        else:
            self._current[slot] = actor

    async def _restart(self, slot: int) -> None:
        old = self._current[slot]
        await self.open_actor(slot)
        self.timeline.note(asyncio.get_running_loop().time(), "caller", f"closes session {old.number}")
        await old.session.aclose()

    # -- workers

    async def play(self) -> None:
        """Open the sessions, let the workers work, and wait for the last call."""
        for slot in range(self.world.sessions):
            await self.open_actor(slot)
        workers = [
            asyncio.create_task(self._work(slot), name=f"worker {slot}/{number}")
            for slot in range(self.world.sessions)
            for number in range(self.world.workers)
        ]
        for worker in workers:
            await worker
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    async def _work(self, slot: int) -> None:
        world, dice = self.world, self.dice
        for _ in range(world.steps):
            if world.pause_between:
                await asyncio.sleep(dice.expovariate(1.0) * world.pause_between)
            if dice.random() < world.restarts:
                await self._restart(slot)
            actor = self._current[slot]
            is_cancelled, is_awaited = dice.random() < world.cancels, dice.random() < 0.9
            if is_awaited and not is_cancelled:
                await self._perform(actor, self._draw(actor))
                continue
            task = asyncio.create_task(self._perform(actor, self._draw(actor)), name=f"call {len(self.calls)}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            if is_cancelled:
                self._cancel_some_time(task, self.calls[-1])
            if is_awaited:
                await asyncio.wait([task])

    def _cancel_some_time(self, task: "asyncio.Task[None]", call: CallRecord) -> None:
        """Cancel a call after a time, or after a few steps of the loop: so that every await is met."""
        loop = asyncio.get_running_loop()

        def cancel() -> None:
            if not task.done():
                call.cancelled_at = loop.time()
                self.timeline.note(loop.time(), "caller", f"cancels call {call.number}")
                task.cancel()

        if self.dice.random() < 0.5:
            longest = self.dice.choice([self.world.latency * 4, self.world.latency * 4, self.world.timeout.attempt * 2])
            loop.call_later(self.dice.random() * longest, cancel)
            return

        def after(steps: int) -> None:
            if steps:
                loop.call_soon(after, steps - 1)
            else:
                cancel()

        after(self.dice.randrange(12))

    # -- calls

    def _begin(self, actor: Actor) -> CallRecord:
        """Draw what every call has."""
        world, dice = self.world, self.dice
        run_id = f"run{dice.randrange(world.runs)}"
        call = CallRecord(len(self.calls), actor.number, run_id, "get", "get", total=world.timeout.total)
        self.calls.append(call)
        if dice.random() < world.own_timeouts:
            call.timeout = dice.choice([None, 0.001, world.latency * 3, 1.0, 10.0, 10.0])
        return call

    def _draw(self, actor: Actor) -> CallRecord:
        world, dice = self.world, self.dice
        call = self._begin(actor)
        if dice.random() < world.gets:
            return call
        if dice.random() < world.callables:
            call.name = "update"
            call.kind = dice.choice(["increment", "increment", "increment", "at-least", "raising"])
            call.delta = self._delta
        elif dice.random() < world.dated:
            call.kind, call.name = "update", "update"
            call.action = self._draw_update()
        else:
            call.kind = "status"
            call.action = dice.choice(_STATUS_ACTIONS)()
            call.name = call.action.name
        if dice.random() < world.raises:
            call.on_conflict = "raise"
        seen = self._last_seen.get((actor.number, call.run_id))
        if seen and dice.random() < world.seen:
            call.seen = dice.choice(seen) if dice.random() < world.old_seen else seen[-1]
        return call

    def _draw_update(self) -> Update:
        dice = self.dice
        both = dice.random() < self.world.both_bounds
        start = dice.choice(self._starts) if both or dice.random() < 0.25 else None
        end = dice.choice(self._ends) if both or start is None else None
        return Update(start_fielding_at=start, end_fielding_at=end)

    def _change(self, call: CallRecord) -> Change:
        def change(now: FieldingRun) -> Update | None:
            answer: Update | None = Update(end_fielding_at=now.end_fielding_at + timedelta(milliseconds=call.delta))
            if call.kind == "raising" and len(call.asked) % 2:
                call.asked.append((now, None))
                raise SimError("no")
            if call.kind == "at-least" and now.end_fielding_at >= self._ends[len(self._ends) // 2]:
                answer = None
            call.asked.append((now, answer))
            return answer

        return change

    async def _perform(self, actor: Actor, call: CallRecord) -> None:
        loop = asyncio.get_running_loop()
        CURRENT.set(call)
        extra: dict[str, Any] = {} if call.timeout == "default" else {"timeout": call.timeout}
        call.begun = loop.time()
        call.order = next(self._order)
        self.timeline.begun(call, call.begun)
        if self.world.forgets and self.dice.random() < self.world.forgets:
            actor.session.engine().memory.forget(ref_of(call.run_id))
        try:
            await self._carry_out(actor, call, extra)
        except asyncio.CancelledError as error:
            call.error = error
        except Exception as error:
            call.error = error
        call.ended = loop.time()
        self.timeline.finished(call, call.ended)

    async def _carry_out(self, actor: Actor, call: CallRecord, extra: dict[str, Any]) -> None:
        run = actor.session.run(ref_of(call.run_id))
        if call.kind == "get":
            call.run = await run.get(**extra)
            if call.run.etag is not None:
                self._last_seen.setdefault((actor.number, call.run_id), []).append(call.run)
        elif call.action is not None:
            call.outcome = await run.perform(call.action, seen=call.seen, on_conflict=call.on_conflict, **extra)
        else:
            call.outcome = await run.update(self._change(call), seen=call.seen, on_conflict=call.on_conflict, **extra)


def moment(ms: int) -> datetime:
    """Return a date of the server as a datetime."""
    return datetime.fromtimestamp(ms // 1000, UTC) + timedelta(milliseconds=ms % 1000)
