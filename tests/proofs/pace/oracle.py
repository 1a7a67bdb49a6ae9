"""The oracle: how fast a world's calls can end, for a client that knows the server's state.

All calls of all sessions go to the server in one line, in the order in which they could arrive. Each arrives as early
as its call, its session's slots and the server allow. Nothing else hinders it: its network does not jitter, its
connections are open, its loop is never busy, its timers are exact, no stray hits it, and it is never refused. A foreign
client takes its part of the limit as it does for all.

It sends each request as early as possible, so no client ends earlier. There are two exceptions. nginx with delay counts
in whole milliseconds, and holds requests back by the rate of the moment: there a client can end a little earlier. The
mean latency of waves can be lower than the oracle's: a wave's calls are made when the wave before has ended, so a
client that is late with one wave makes the next one later, and perhaps when the limit has room again.
"""

from array import array
from collections import deque
from heapq import heapify, heappop, heappush

from attrs import frozen

from .demand import Plan
from .servers import SLACK
from .worlds import World

__all__ = ["Ideal", "consult"]

_STEP = 1e-6  # seconds: the least that the oracle waits


@frozen(eq=False)
class Ideal:
    """What the oracle does. `ends`: of all calls, session by session; `makespan` and the mean `latency` in seconds."""

    ends: "array[float]"
    makespan: float
    latency: float


class _Session:
    """The calls of one session that are still to be sent."""

    def __init__(self, plan: Plan, concurrency: int) -> None:
        self.wants: list[float] = []
        self.ends: list[float] = []
        self._plan, self._concurrency = plan, concurrency
        self._slots: deque[float] = deque()  # when those end that are in flight
        self._waves = list(plan.waves)
        self._due: deque[float] = deque(plan.wants)

    def next_start(self) -> tuple[float, float] | None:
        """Return when the next request may leave, and when its call was made; `None`: there is none."""
        if not self._due and self._waves:
            start = max(self.ends) + self._plan.think if self.ends else self._plan.start
            self._due.extend([start] * self._waves.pop(0))
        if not self._due:
            return None
        want = self._due.popleft()
        slot = self._slots.popleft() if len(self._slots) >= self._concurrency else want
        return max(want, slot), want

    def ended(self, want: float, end: float) -> None:
        """Note a call."""
        self.wants.append(want)
        self.ends.append(end)
        self._slots.append(end)


def consult(world: World) -> Ideal:
    """Return when the calls of a world are made and end, as the oracle has it."""
    counter = world.server.counter()
    one_way = world.network.round_trip / 2
    foreign = deque(world.foreign.arrivals(world.seed) if world.foreign is not None else ())
    sessions = [_Session(plan, world.concurrency) for plan in world.plans()]
    line: list[tuple[float, float, int]] = []  # the next of each session: when it could arrive, its want, whose it is
    for number, session in enumerate(sessions):
        start = session.next_start()
        if start is not None:
            line.append((start[0] + one_way, start[1], number))
    heapify(line)
    now = 0.0
    while line:
        arrival, want, number = heappop(line)
        now = max(now, arrival)
        while True:
            while foreign and foreign[0] <= now:
                counter.hit(foreign.popleft())
            wait = counter.wait(now)
            if wait <= SLACK:
                break
            now += max(wait, _STEP)
        counter.take(now)
        session = sessions[number]
        session.ended(want, now + counter.reply_after + one_way)
        start = session.next_start()
        if start is not None:
            heappush(line, (start[0] + one_way, start[1], number))
    wants = [want for session in sessions for want in session.wants]
    ends = array("d", [end for session in sessions for end in session.ends])
    return Ideal(ends, max(ends) - min(wants), (sum(ends) - sum(wants)) / len(ends))
