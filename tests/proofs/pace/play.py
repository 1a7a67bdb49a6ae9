"""Playing a world: sessions, each with a pacer of its own, against one server, in virtual time."""

from collections.abc import Callable
from heapq import heappop, heappush
from math import inf
from random import Random
from typing import Any

from attrs import frozen

from .servers import Free, told
from .session import Call, PacerLike, Session
from .weather import StraySource
from .worlds import World

__all__ = ["Game", "MakePacer", "Played", "Trace", "play"]

MakePacer = Callable[[Callable[[float, float], float]], PacerLike]
"""Makes the pacer of one session; its argument is a source of random numbers, `random.uniform`."""
Trace = Callable[[float, int, str], None]
"""Is told when (seconds), of which session, and what happened."""
_LAST = 36_000.0  # seconds: calls that have not ended by then have failed


@frozen
class Played:
    """What came of a world.

    `ends`, `wants`: of all calls, session by session; `errors`: why those failed that did, by their number there.
    `refused`: 429s met. `early`: requests that left before a Retry-After, received before, had passed.
    """

    wants: tuple[float, ...]
    ends: tuple[float, ...]
    errors: dict[int, str]
    sends: int
    refused: int
    early: int
    events: int

    @property
    def makespan(self) -> float:
        """Seconds from the first call to the end of the last."""
        return max(self.ends) - min(self.wants)

    @property
    def calls(self) -> int:
        """How many calls there were."""
        return len(self.ends)

    @property
    def extra_sends(self) -> float:
        """Requests beyond one for each call, for each call."""
        return self.sends / len(self.ends) - 1.0


class Game:
    """A world that is being played: the events to come, and the server."""

    def __init__(self, world: World, make_pacer: MakePacer, trace: Trace | None = None) -> None:
        self.world, self.trace = world, trace
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[[float, Any, Any], None], Any, Any]] = []
        self._number = 0
        counter = world.server.counter()
        self._hit, self._counter = counter.hit, counter
        self._is_free = isinstance(counter, Free)
        self._style = world.server.retry_after
        self._strays = None
        if world.strays is not None:
            self._strays = StraySource(world.strays, Random(f"strays {world.seed}"))
        self.sessions: list[Session] = []
        number = 0
        for name, plan in enumerate(world.plans()):
            calls = [Call(number + index, plan.wants[index] if plan.wants else 0.0) for index in range(plan.calls)]
            number += plan.calls
            pacer = make_pacer(Random(f"pacer {world.seed} {name}").uniform)
            session = Session(self, name, pacer, calls, list(plan.waves), plan.think)
            self.sessions.append(session)
            session.begin(plan.start)
        if world.foreign is not None:
            self._foreign = world.foreign.arrivals(world.seed)
            if self._foreign:
                self.push(self._foreign[0], self._foreign_arrives, 0, None)

    def push(self, at: float, act: Callable[[float, Any, Any], None], one: Any, two: Any) -> None:
        """Let something happen at a time."""
        self._number = number = self._number + 1
        heappush(self._events, (at, number, act, one, two))

    def run(self) -> None:
        """Play to the end."""
        events = self._events
        while events:
            at, _, act, one, two = heappop(events)
            if at > _LAST:
                break
            self.now = at
            act(at, one, two)

    def arrives(self, now: float, session: Session, sent: tuple[Call, Any]) -> None:
        """A request reaches the server."""
        call, permit = sent
        if self._strays is not None:
            status = self._strays.hits(now)
            if status:
                strays = self._strays.strays
                session.answered(now, call, permit, status, told(strays.retry_after, strays.wait, now))
                return
        if self._is_free:
            session.answered(now, call, permit, 200, None)
            return
        wait = self._hit(now)
        if wait:
            session.answered(now, call, permit, 429, told(self._style, wait, now))
        else:
            session.answered(now + self._counter.reply_after, call, permit, 200, None)

    def _foreign_arrives(self, now: float, number: int, _: None) -> None:
        self._hit(now)
        number += 1
        if number < len(self._foreign):
            self.push(self._foreign[number], self._foreign_arrives, number, None)

    def played(self) -> Played:
        """Return what came of it."""
        calls = [call for session in self.sessions for call in session.calls]
        errors = {call.number: call.error for call in calls if call.error}
        errors |= {call.number: "did not end" for call in calls if call.end == inf}
        return Played(
            wants=tuple([call.want for call in calls]),
            ends=tuple([min(call.end, _LAST) for call in calls]),
            errors=errors,
            sends=sum(session.sends for session in self.sessions),
            refused=sum(session.refused for session in self.sessions),
            early=sum(session.early for session in self.sessions),
            events=self._number,
        )


def play(world: World, make_pacer: MakePacer, trace: Trace | None = None) -> Played:
    """Play a world. Everything depends on the world's seed alone."""
    game = Game(world, make_pacer, trace)
    game.run()
    return game.played()
