"""One session of the SDK, event by event: slots, the line, permissions, the gate at the socket, deadlines.

It does what `engine/limiter.py`, `engine/gate_queue.py` and `engine/sender.py` do, without asyncio; the pacer is an
argument. It is written for speed, as a search plays thousands of worlds.
"""

from collections import deque
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from math import inf
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

from .weather import BusyLoop

if TYPE_CHECKING:
    from .play import Game

__all__ = ["Call", "PacerLike", "Session"]

_MOST_WAIT = 1.0  # as in the engine's limiter
_MOST_PAUSES = 3  # the same
_ATTEMPTS = 5  # as `Retry()` says
_BASE, _CAP = 0.5, 20.0  # the same
_ATTEMPT = 20.0  # seconds: longer than any attempt takes here


class PacerLike(Protocol):
    """What a session asks of its pacer: see `fielding_async.core.pace.pacer.Pacer`. `Any` is the permission."""

    @property
    def interval(self) -> float: ...
    @property
    def paused_until(self) -> float: ...
    @property
    def pauses_in_a_row(self) -> int: ...
    def ready_at(self) -> float: ...
    def try_take(self, now: float, *, waited: bool = False) -> Any: ...
    def leaves_at(self, permit: Any, now: float) -> float | None: ...
    def left(self, permit: Any, now: float) -> None: ...
    def ended(self, permit: Any, now: float) -> None: ...
    def throttled(self, permit: Any, retry_after: float | None, now: float) -> float | None: ...


class Call:
    """One call. `end`: when it ended, in success or not; `error`: why it failed."""

    __slots__ = ("attempts", "deadline", "end", "error", "number", "pauses", "permit", "place", "want")

    def __init__(self, number: int, want: float) -> None:
        self.number, self.want = number, want
        self.deadline: float | None = None
        self.permit: Any = None  # of the attempt that is under way
        self.attempts = self.place = self.pauses = 0
        self.end = inf
        self.error = ""


class Session:
    """The calls of one session, and what became of them."""

    def __init__(
        self, game: "Game", name: int, pacer: PacerLike, calls: list[Call], waves: list[int], think: float
    ) -> None:
        world = game.world
        self.game, self.name, self.pacer, self.calls = game, name, pacer, calls
        self.call_wait: Callable[[int, float | None, float], float] | None = getattr(pacer, "call_wait", None)
        self.sends = self.refused = self.failed = self.early = 0
        self._push = game.push
        self._free = world.concurrency
        self._first: deque[Call] = deque()
        self._under_way: list[tuple[int, Call]] = []  # a heap, by place
        self._gate: list[tuple[int, Any, Call]] = []  # a heap, by the number of the permission
        self._count = 0
        self._alarm = self._gate_alarm = inf  # when the timer that is set rings
        self._pauses = 0
        self._closed_until = -inf
        self._has_429 = False
        self._idle = world.concurrency if not world.network.connect else 0
        self._dice = Random(f"session {world.seed} {name}")
        self._total, self._timeout = world.total, world.timeout
        self._connect = world.network.connect * world.network.round_trip
        self._one_way, self._jitter = world.network.round_trip / 2, world.network.jitter
        self._late = world.loop.late
        lag = BusyLoop(world.loop, Random(f"loop {world.seed} {name}")) if world.loop.busy else None
        self.sees: Callable[[float], float] | None = None if lag is None else lag.sees
        self._waves, self._think = waves, think
        self._next_call = self._open = 0

    # -- calls begin and end

    def begin(self, start: float) -> None:
        """Make the first calls."""
        if self._waves:
            self._at(start, self.wave, None, None)
        else:
            self._at(self.calls[0].want, self.want, 0, None)

    def want(self, now: float, number: int, _: None) -> None:
        """Make the calls that are due, from this one on."""
        calls = self.calls
        last = len(calls)
        while number < last and calls[number].want <= now:
            call = calls[number]
            number += 1
            if self._timeout is not None:
                call.deadline = call.want + self._timeout
            self._ask(call, now, is_first=True)
        if number < last:
            self._at(calls[number].want, self.want, number, None)

    def wave(self, now: float, _: None, __: None) -> None:
        """Make the calls of the next wave."""
        size = self._waves.pop(0)
        first = self._next_call
        self._next_call += size
        self._open = size
        for call in self.calls[first : first + size]:
            call.want = now
            if self._timeout is not None:
                call.deadline = now + self._timeout
            self._ask(call, now, is_first=True)

    def _over(self, call: Call, now: float, error: str) -> None:
        call.end = now
        if error:
            call.error = error
            self.failed += 1
            if self.game.trace is not None:
                self.game.trace(now, self.name, f"call {call.number} fails: {error}")
        if self._next_call:  # of waves
            self._open -= 1
            if not self._open and self._waves:
                self._at(max(now, self.game.now) + self._think, self.wave, None, None)

    # -- permissions

    def _ask(self, call: Call, now: float, *, is_first: bool) -> None:
        """Ask for a permission; get in line if there is none."""
        pacer, deadline = self.pacer, call.deadline
        if deadline is not None and self._has_429 and pacer.paused_until > max(deadline, now):
            self._over(call, now, "RateLimitError: the pause is too long")
            return
        self._count = place = self._count + 1
        if not call.place:
            call.place = place
        heads = self._free and not self._first and not self._under_way and not self._is_crowded()
        if heads:
            found = pacer.try_take(now)
            if found.__class__ is not float:
                self._granted(call, found, now)
                return
        else:
            found = pacer.ready_at()
        if deadline is not None and deadline < found < inf:
            self._over(call, now, "the wait is too long")
            return
        call.pauses = self._pauses
        if is_first:
            self._first.append(call)
        else:
            heappush(self._under_way, (call.place, call))
        if heads:
            self._set_alarm(found)
        else:
            self._serve(now)

    def _is_crowded(self) -> bool:
        waiting = len(self._gate)
        return waiting > 0 and waiting * self.pacer.interval > _MOST_WAIT

    def _serve(self, now: float) -> None:
        first, under_way, try_take = self._first, self._under_way, self.pacer.try_take
        while self._free and (under_way or first) and not (self._gate and self._is_crowded()):
            call = under_way[0][1] if under_way else first[0]
            if call.deadline is not None and call.deadline <= now and not call.error:
                self._over(call, call.deadline, "the deadline passed in the line")
            if not call.error:
                found = try_take(now, waited=True)
                if found.__class__ is float:
                    self._set_alarm(found)
                    return
                self._pop(under_way, first)
                self._granted(call, found, now)
            else:
                self._pop(under_way, first)

    @staticmethod
    def _pop(under_way: list[tuple[int, Call]], first: deque[Call]) -> None:
        if under_way:
            heappop(under_way)
        else:
            first.popleft()

    def _set_alarm(self, at: float) -> None:
        if at < self._alarm:
            self._alarm = at
            self._timer(at, self._rings)

    def _timer(self, at: float, ring: Callable[[float, Any, Any], None]) -> None:
        rings = at + self._late * self._dice.random()
        if rings < self.game.now:
            rings = self.game.now
        self._push(rings if self.sees is None else self.sees(rings), ring, at, None)

    def _rings(self, now: float, at: float, _: None) -> None:
        if at == self._alarm:
            self._alarm = inf
            if self._first or self._under_way:
                self._serve(now)

    def _granted(self, call: Call, permit: Any, now: float) -> None:
        self._free -= 1
        self._count = number = self._count + 1
        if call.deadline is None:
            call.deadline = now + self._total  # its time starts with its first permission
        elif call.deadline < now + _ATTEMPT:
            self._at(max(call.deadline, now), self._cut, call, permit)
        call.permit = permit
        if self._idle:
            self._idle -= 1
            self._ready(now, call, (number, permit))
        else:
            opened = now + self._connect + self._jitter * self._dice.random()
            self._at(opened, self._ready, call, (number, permit))

    # -- the gate at the socket

    def _ready(self, now: float, call: Call, numbered: tuple[int, Any]) -> None:
        """Leave if that is allowed, now that there is a connection; else wait at the gate."""
        permit = numbered[1]
        if call.permit is not permit:
            return  # cut
        if self._gate:
            heappush(self._gate, (numbered[0], permit, call))
            self._serve_gate(now)
            return
        leaves_at = self.pacer.leaves_at(permit, now)
        if leaves_at is None:
            self._lapsed(call, permit, now)
        elif leaves_at <= now:
            self.pacer.left(permit, now)
            self._leaves(call, permit, now)
        else:
            heappush(self._gate, (numbered[0], permit, call))
            self._set_gate_alarm(leaves_at)

    def _serve_gate(self, now: float) -> None:
        gate, pacer = self._gate, self.pacer
        lapsed: list[tuple[Call, Any]] = []
        while gate:
            _, permit, call = gate[0]
            leaves_at = pacer.leaves_at(permit, now)
            if leaves_at is not None and leaves_at > now:
                self._set_gate_alarm(leaves_at)
                break
            heappop(gate)
            if leaves_at is None:
                lapsed.append((call, permit))
            else:
                pacer.left(permit, now)
                self._leaves(call, permit, now)
        for call, permit in lapsed:
            self._lapsed(call, permit, now)
        if self._first or self._under_way:
            self._serve(now)

    def _set_gate_alarm(self, at: float) -> None:
        if at < self._gate_alarm:
            self._gate_alarm = at
            self._timer(at, self._gate_rings)

    def _gate_rings(self, now: float, at: float, _: None) -> None:
        if at == self._gate_alarm:
            self._gate_alarm = inf
            self._serve_gate(now)

    def _lapsed(self, call: Call, permit: Any, now: float) -> None:
        """A pause began while the request opened its connection, or waited at the gate: it keeps its place."""
        call.permit = None
        self._idle += 1
        self._release(permit, now)
        self._ask(call, now, is_first=False)

    # -- on the wire

    def _leaves(self, call: Call, permit: Any, now: float) -> None:
        self.sends += 1
        call.place = 0
        if now < self._closed_until:
            self.early += 1
        if self.game.trace is not None:
            self.game.trace(now, self.name, f"call {call.number} leaves")
        way = self._one_way
        if self._jitter:
            way += self._jitter * self._dice.random()
        self._push(now + way, self.game.arrives, self, (call, permit))

    def answered(self, at: float, call: Call, permit: Any, status: int, retry_after: float | None) -> None:
        """Send a reply on its way: the server calls this."""
        at += self._one_way
        if self._jitter:
            at += self._jitter * self._dice.random()
        if status == 200:
            self._at(at, self._accepted, call, permit)
        else:
            self._at(at, self._refused, call, (permit, status, retry_after))

    def _at(self, at: float, act: Callable[[float, Any, Any], None], one: Any, two: Any) -> None:
        self._push(at if self.sees is None else self.sees(at), act, one, two)

    def _accepted(self, now: float, call: Call, permit: Any) -> None:
        if call.permit is not permit:
            return  # cut
        call.permit = None
        self._idle += 1
        if self.game.trace is not None:
            self.game.trace(now, self.name, f"call {call.number} succeeds")
        self._release(permit, now)
        self._over(call, now, "")

    def _cut(self, now: float, call: Call, permit: Any) -> None:
        """End an attempt at its deadline, and with it its connection; what it had at the gate goes back."""
        if call.permit is not permit:
            return
        call.permit = None
        if any(entry[1] is permit for entry in self._gate):
            self._gate = [entry for entry in self._gate if entry[1] is not permit]
            heapify(self._gate)
            self._idle += 1
        self._release(permit, now)
        self._over(call, now, "the deadline passed during an attempt")

    def _refused(self, now: float, call: Call, reply: tuple[Any, int, float | None]) -> None:
        permit, status, retry_after = reply
        if call.permit is not permit:
            return  # cut
        call.permit = None
        self._idle += 1
        wait = 0.0
        if status == 429:
            self._throttled(now, call, permit, retry_after)
            call.attempts += self.call_wait is not None
            wait = 0.0 if self.call_wait is None else self.call_wait(call.attempts, retry_after, now)
            self._release(permit, now)
        else:
            if self.game.trace is not None:
                self.game.trace(now, self.name, f"call {call.number} meets a {status}")
            self._release(permit, now)
            call.attempts += 1
            if call.attempts >= _ATTEMPTS and self.call_wait is None:
                self._over(call, now, "attempts used up")
                return
            wait = self._dice.random() * min(_BASE * 2 ** (call.attempts - 1), _CAP)
            wait = max(wait, retry_after or 0.0)
        if not wait:
            self._ask(call, now, is_first=False)
        elif call.deadline is not None and now + wait >= call.deadline:
            self._over(call, now, "the wait for another attempt is too long")
        else:
            self._timer(now + wait, lambda at, _, __: self._ask(call, at, is_first=False))

    def _throttled(self, now: float, call: Call, permit: Any, retry_after: float | None) -> None:
        self.refused += 1
        self._has_429 = True
        pacer = self.pacer
        before, paused_until = pacer.pauses_in_a_row, pacer.paused_until
        pacer.throttled(permit, retry_after, now)
        if retry_after is not None:
            self._closed_until = max(self._closed_until, now + retry_after)
        if self.game.trace is not None:
            pause = pacer.paused_until - now
            self.game.trace(now, self.name, f"call {call.number} meets a 429 ({retry_after}), paused for {pause:.3f}")
        if self._gate:
            self._serve_gate(now)
        if pacer.pauses_in_a_row > before:
            self._pauses += 1
            if pacer.pauses_in_a_row >= _MOST_PAUSES and self._timeout is None:
                self._give_up(now)
        if pacer.paused_until > paused_until:
            self._end_those_outlasted(now)

    def _end_those_outlasted(self, now: float) -> None:
        """Fail the calls in line whose deadline comes before the end of the pause."""
        waiting = [call for _, call in self._under_way]
        if self._timeout is not None:
            waiting += self._first  # otherwise their time has not started
        for call in waiting:
            if call.deadline is not None and call.deadline < self.pacer.paused_until and not call.error:
                self._over(call, now, "RateLimitError: the pause is too long")

    def _give_up(self, now: float) -> None:
        """Fail the calls that never had a permission, and waited for too long while only 429s came back."""
        for call in self._first:
            if now - call.want < self._total:
                break
            if self._pauses - call.pauses >= _MOST_PAUSES and not call.error:
                self._over(call, now, "RateLimitError: nothing but 429s")

    def _release(self, permit: Any, now: float) -> None:
        self.pacer.ended(permit, now)
        self._free += 1
        if self._first or self._under_way:
            self._serve(now)
