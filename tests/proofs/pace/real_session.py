"""The same worlds, played by sessions of the SDK itself on an event loop in virtual time. Slow.

It shows that `session` does what the engine does. Worlds with jitter, busy loops or late timers cannot be compared, as
the two draw their random numbers in another order.
"""

import asyncio
import random

from attrs import define, evolve, field

from fielding_async import FieldingError, FieldingSession, Limits, RunRef
from fielding_async.core.wire.replies import Attempted, Lost, NotSent, Response
from fielding_async.http.transport import Outgoing
from fielding_async.session import session_over
from tests.tools.virtual_time import VirtualTimeLoop, run

from .demand import Plan
from .play import Played
from .servers import Counter, RetryAfter, told
from .weather import EventLoop, StraySource
from .worlds import World

__all__ = ["comparable", "play_really"]

_BODY = (
    '{"id":"%s","status":"live","version":1,"start_fielding_at":"2026-01-01T00:00:00.000Z",'
    '"end_fielding_at":"2031-01-01T00:00:00.000Z","last_changed_at":"2026-01-01T00:00:00.000Z",'
    '"last_changed_by":"somebody"}'
)


def comparable(world: World) -> World:
    """Return the world without what the two ways of playing it cannot have in common."""
    strays = world.strays
    if strays is not None:
        # a 503 is followed by a wait of random length, and so is a 429 that names none
        strays = evolve(strays, status=429, retry_after=_named(strays.retry_after))
    return evolve(
        world,
        server=evolve(world.server, retry_after=_named(world.server.retry_after)),
        network=evolve(world.network, jitter=0.0),
        loop=EventLoop(late=0.0),
        strays=strays,
        foreign=None,
    )


def _named(style: RetryAfter) -> RetryAfter:
    return "exact" if style in {"absent", "zero"} else style


@define(eq=False)
class _Server:
    """The server, and the way to it."""

    world: World
    counter: Counter
    strays: StraySource | None
    sends: int = 0
    refused: int = 0

    def meets(self, at: float) -> tuple[float | None, float]:
        """Return the Retry-After of a request's 429, `None` if it passes, and by how much the reply is late."""
        strays = self.strays
        if strays is not None and strays.hits(at):
            self.refused += 1
            return told(strays.strays.retry_after, strays.strays.wait, at), 0.0
        wait = self.counter.hit(at)
        if not wait:
            return None, self.counter.reply_after
        self.refused += 1
        return told(self.world.server.retry_after, wait, at), 0.0


@define(eq=False)
class _Transport:
    """The SDK's seam, over the way to the server."""

    server: _Server
    _idle: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._idle = self.server.world.concurrency if not self.server.world.network.connect else 0

    async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
        """Perform one attempt, within its time; one that is cut takes its connection along."""
        try:
            async with asyncio.timeout(timeout):
                return await self._exchange(outgoing)
        except TimeoutError:
            return Lost("its time was up") if outgoing.left else NotSent("its time was up")

    async def _exchange(self, outgoing: Outgoing) -> Attempted:
        loop, network = asyncio.get_running_loop(), self.server.world.network
        if self._idle:
            self._idle -= 1
        else:
            await asyncio.sleep(network.connect * network.round_trip)
        try:
            await outgoing.leave()
        except BaseException:
            self._idle += 1
            raise
        self.server.sends += 1
        await asyncio.sleep(network.round_trip / 2)
        retry_after, late = self.server.meets(loop.time())
        await asyncio.sleep(late + network.round_trip / 2)
        self._idle += 1
        if retry_after is not None:
            return Response(429, {"Retry-After": repr(retry_after)}, b"{}")
        name = outgoing.url.rpartition("/")[2]
        return Response(200, {"ETag": 'W/"1"'}, (_BODY % name).encode())

    def close_now(self) -> None:
        """Do nothing: nothing was opened."""

    async def aclose(self) -> None:
        """Nothing was opened."""


@define(eq=False)
class _Calls:
    """The calls of one session, and when they began and ended."""

    plan: Plan
    first: int
    timeout: float | None
    wants: list[float] = field(factory=list[float])
    ends: dict[int, float] = field(factory=dict[int, float])
    errors: dict[int, str] = field(factory=dict[int, str])

    async def play(self, fielding: FieldingSession) -> None:
        """Make all calls, and wait until they have ended."""
        loop, plan, number = asyncio.get_running_loop(), self.plan, self.first
        await asyncio.sleep(plan.start)
        async with asyncio.TaskGroup() as group:
            for want in plan.wants:
                await asyncio.sleep(want - loop.time())
                self.wants.append(loop.time())
                group.create_task(self._one(fielding, number))
                number += 1
        for index, size in enumerate(plan.waves):
            if index:
                await asyncio.sleep(plan.think)
            async with asyncio.TaskGroup() as group:
                for _ in range(size):
                    self.wants.append(loop.time())
                    group.create_task(self._one(fielding, number))
                    number += 1

    async def _one(self, fielding: FieldingSession, number: int) -> None:
        run = fielding.run(RunRef(1, "0" * 26, "1" * 26, f"r{number}"))
        try:
            await (run.get() if self.timeout is None else run.get(timeout=self.timeout))
        except FieldingError as error:
            self.errors[number] = type(error).__name__
        self.ends[number] = asyncio.get_running_loop().time()


def play_really(world: World, limits: Limits) -> Played:
    """Play a world that is `comparable` with sessions of the SDK."""
    strays = None if world.strays is None else StraySource(world.strays, random.Random(f"strays {world.seed}"))
    server = _Server(world, world.server.counter(), strays)
    found: list[_Calls] = []

    async def one(calls: _Calls) -> None:
        arguments = {"auth": "token", "limits": limits}
        async with session_over(_Transport(server), dice=random.Random(1), **arguments) as fielding:
            await calls.play(fielding)

    async def main() -> None:
        number = 0
        for plan in world.plans():
            found.append(_Calls(plan, number, world.timeout))
            number += plan.calls
        await asyncio.gather(*map(one, found))

    run(main(), loop=VirtualTimeLoop(0.0))
    return Played(
        wants=tuple([want for calls in found for want in calls.wants]),
        ends=tuple([calls.ends[number] for calls in found for number in sorted(calls.ends)]),
        errors={number: error for calls in found for number, error in calls.errors.items()},
        sends=server.sends,
        refused=server.refused,
        early=0,
        events=0,
    )
