"""Worlds, each from one seed: a server with its limit, a network, event loops, strays, and the demand.

Values are drawn evenly from their ranges, or evenly in the logarithm if a range spans more than a factor of ten. None
was chosen so that a client does well or badly: worlds in which no client does well stay in.

What is drawn
-------------
server      each kind of `KINDS` as often. 1 to 500 requests a second, 1 to 20 for windows of 60 s (a world has at most
            1,500 calls, and a limit that is never reached shows nothing). Bursts of buckets: 2 requests to 2 s' worth;
            for nginx with `nodelay` there is none in half of the worlds. Service times of a limit on what is in flight:
            20 to 500 ms. The second of two limits is over a window of 10 s, and half to nine tenths of the first.
Retry-After each style as often; for nginx either absent or always 1, as it has none of its own.
moving      in a fifth of the worlds: up to 5 times as much, down to a fifth, or three steps between the two. Each time
            the counting starts anew.
strays      in a third: 0.1 to 5 % of the requests one by one, or of the time in bursts of 50 ms to 2 s; 429, 503 or
            both; Retry-After as above, exact ones of 50 ms to 2 s.
network     round trips of 2 to 300 ms; jitter in half of the worlds, 1 to 100 ms each way.
loops       in a third: busy for up to 20 to 200 ms at a time, a tenth to half of all time. In a quarter: timers late by
            up to 16 ms.
demand      each shape as often; 60 to 1,500 calls, as many as pass in 4 to 90 s. One session in half of the
            worlds, else 2 to 8, which start within 10 s.
foreign     in a sixth: a tenth to six tenths of the limit.
"""

import random
from math import exp, log
from typing import Literal, get_args

from attrs import evolve, field, frozen

from .demand import SHAPES, Demand, Foreign, Plan
from .servers import (
    Counter,
    CountsRefused,
    FixedWindow,
    Free,
    Gcra,
    InFlight,
    Moving,
    Nginx,
    Obedience,
    RetryAfter,
    Several,
    SlidingCounter,
    SlidingLog,
    TokenBucket,
)
from .weather import EventLoop, Network, Strays

__all__ = ["CLASSES", "KINDS", "Kind", "ServerSpec", "World", "describe", "make_world"]

Kind = Literal[
    "none",
    "fixed window 1 s",
    "fixed window 10 s",
    "fixed window 60 s",
    "sliding log",
    "sliding counter",
    "token bucket",
    "GCRA",
    "strict spacing",
    "nginx nodelay",
    "nginx delay",
    "counts refused",
    "in flight",
    "two limits",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
CLASSES = ("server", "demand", "Retry-After", "sessions", "weather")
WINDOWS: dict[str, float] = {"fixed window 1 s": 1.0, "fixed window 10 s": 10.0, "fixed window 60 s": 60.0}


@frozen
class ServerSpec:
    """A server. `rate`: requests a second; for a server without limit, the rate that the demand goes by.

    `burst`: of buckets and nginx. `window`: seconds, of windows. `service`: seconds that a request takes at a limit
    on what is in flight. `second`: the part of the rate that the second of two limits allows. `offset`: the part of a
    window that has passed at the beginning. `phases`: from these times on, the rate is so many times `rate`.
    `obedience`: who was refused is refused until the Retry-After has passed.
    """

    kind: Kind
    rate: float
    retry_after: RetryAfter = "rounded up"
    burst: int = 1
    window: float = 1.0
    service: float = 0.0
    second: float = 1.0
    offset: float = 0.0
    phases: tuple[tuple[float, float], ...] = ()
    obedience: bool = False

    def _counter(self, factor: float, begin: float) -> Counter:
        rate, window = self.rate * factor, self.window
        limit = max(1, int(rate * window + 1e-6))
        start = begin - self.offset * window
        match self.kind:
            case "none":
                return Free()
            case "fixed window 1 s" | "fixed window 10 s" | "fixed window 60 s":
                return FixedWindow(limit, window, start)
            case "sliding log":
                return SlidingLog(limit, window)
            case "sliding counter":
                return SlidingCounter(limit, window, start)
            case "counts refused":
                return CountsRefused(limit, window, start)
            case "token bucket":
                return TokenBucket(rate, self.burst)
            case "GCRA" | "strict spacing":
                return Gcra(rate, self.burst)
            case "nginx nodelay" | "nginx delay":
                return Nginx(rate, self.burst, delay=self.kind == "nginx delay")
            case "in flight":
                return InFlight(max(1, round(rate * self.service)), self.service)
            case "two limits":
                longer = max(1, int(rate * self.second * 10 + 1e-6))
                return Several(TokenBucket(rate, self.burst), FixedWindow(longer, 10.0, begin - self.offset * 10.0))

    def counter(self) -> Counter:
        """Return a counter, fresh."""
        first = self._counter(1.0, 0.0)
        if self.phases:
            first = Moving([(0.0, first), *((at, self._counter(factor, at)) for at, factor in self.phases)])
        return Obedience(first, self.retry_after) if self.obedience else first


@frozen
class World:
    """All that decides how a client fares, but for the client. `total`: the seconds of a call, as the SDK counts them.

    `timeout`: the seconds of a call from its beginning, which the caller set; `None`: not set.
    """

    seed: int
    server: ServerSpec
    demand: Demand
    network: Network = field(factory=Network)
    loop: EventLoop = field(factory=EventLoop)
    strays: Strays | None = None
    foreign: Foreign | None = None
    concurrency: int = 32
    total: float = 60.0
    timeout: float | None = None

    def class_name(self, by: str = "server") -> str:
        """Return the row of a table of classes, which are by one of `CLASSES`."""
        match by:
            case "server":
                return self.server.kind
            case "demand":
                return self.demand.shape
            case "Retry-After":
                return "no limit" if self.server.kind == "none" else self.server.retry_after
            case "sessions":
                return "one session" if self.demand.sessions == 1 else "several sessions"
            case _:
                found = ["strays"] * (self.strays is not None) + ["busy loop"] * bool(self.loop.busy)
                found += ["jitter"] * (self.network.jitter > 0.01) + ["limit moves"] * bool(self.server.phases)
                return " + ".join(found[:2]) or "calm"

    def plans(self) -> list[Plan]:
        """Return what each session does."""
        return self.demand.plans(self.seed)


def _log_uniform(dice: random.Random, low: float, high: float) -> float:
    return exp(dice.uniform(log(low), log(high)))


def _server(dice: random.Random) -> ServerSpec:
    kind = dice.choice(KINDS)
    rate = _log_uniform(dice, 1.0, 20.0 if kind == "fixed window 60 s" else 500.0)
    style: RetryAfter = dice.choice(get_args(RetryAfter))
    if kind.startswith("nginx"):
        style = dice.choice(["absent", "always 1"])
    service = _log_uniform(dice, 0.02, 0.5)
    if kind == "in flight":
        rate = max(1, round(rate * service)) / service
    burst = round(_log_uniform(dice, 2.0, max(2.0, 2.0 * rate)))
    if kind == "nginx nodelay":
        burst = dice.choice([0, burst])
    if kind == "strict spacing":
        burst = 1
    return ServerSpec(
        kind=kind,
        rate=rate,
        retry_after=style,
        burst=burst,
        window=WINDOWS.get(kind, 1.0),
        service=service if kind == "in flight" else 0.0,
        second=dice.uniform(0.5, 0.9),
        offset=dice.random(),
    )


def _phases(dice: random.Random, seconds: float) -> tuple[tuple[float, float], ...]:
    """Return how the limit moves within a world of about so many seconds."""
    at = seconds * dice.uniform(0.2, 0.5)
    factor = _log_uniform(dice, 1.5, 5.0)
    match dice.choice(["rise", "fall", "steps"]):
        case "rise":
            return ((at, factor),)
        case "fall":
            return ((at, 1 / factor),)
        case _:
            return tuple((at * number, _log_uniform(dice, 0.2, 5.0)) for number in (1, 2, 3))


def _strays(dice: random.Random) -> Strays:
    return Strays(
        share=_log_uniform(dice, 0.001, 0.05),
        burst=dice.choice([0.0, 0.0, _log_uniform(dice, 0.05, 2.0)]),
        status=dice.choice([429, 503, 0]),
        retry_after=dice.choice(get_args(RetryAfter)),
        wait=_log_uniform(dice, 0.05, 2.0),
    )


def _demand(dice: random.Random, rate: float) -> Demand:
    shape = dice.choice(SHAPES)
    seconds = _log_uniform(dice, 4.0, 90.0)
    calls = round(min(max(rate * seconds, 60.0), 1500.0))
    load = {"below": dice.uniform(0.2, 0.9), "at the limit": 1.0, "above": dice.uniform(1.1, 2.0)}.get(
        shape, dice.uniform(0.3, 1.2)
    )
    sessions = dice.choice([1, dice.randint(2, 8)])
    # at most four idle times
    size = round(_log_uniform(dice, calls / sessions / 5 if shape == "idle" else 2.0, max(2.0, calls / sessions / 2)))
    return Demand(
        shape=shape,
        calls=calls,
        rate=rate * load,
        even=dice.random() < 0.5,
        size=max(1, size),
        pause=dice.uniform(60.0, 180.0) if shape == "idle" else _log_uniform(dice, 0.01, 5.0),
        sessions=sessions,
        spread=dice.choice([0.0, dice.uniform(0.0, 10.0)]),
    )


def make_world(seed: int) -> World:
    """Return the world of a seed."""
    dice = random.Random(f"world {seed}")
    server = _server(dice)
    demand = _demand(dice, server.rate)
    seconds = demand.calls / server.rate
    if dice.random() < 0.2:
        server = evolve(server, phases=_phases(dice, seconds))
    network = Network(
        round_trip=_log_uniform(dice, 0.002, 0.3),
        jitter=dice.choice([0.0, _log_uniform(dice, 0.001, 0.1)]),
        connect=dice.choice([0.0, 2.0, 3.0]),
    )
    is_busy, is_late = dice.random() < 1 / 3, dice.random() < 0.25
    loop = EventLoop(
        busy=_log_uniform(dice, 0.02, 0.2) if is_busy else 0.0,
        share=dice.uniform(0.1, 0.5) if is_busy else 0.0,
        late=0.016 if is_late else 0.0005,
    )
    strays = _strays(dice) if dice.random() < 1 / 3 else None
    foreign = None
    if dice.random() < 1 / 6:
        start = dice.uniform(0.0, seconds / 2)
        foreign = Foreign(server.rate * dice.uniform(0.1, 0.6), start, start + seconds * dice.uniform(0.2, 2.0))
    return World(seed, server, demand, network, loop, strays, foreign)


def describe(world: World) -> str:
    """Return a world in one line."""
    server, demand, network, loop = world.server, world.demand, world.network, world.loop
    parts = [f"{server.kind} {server.rate:.3g}/s"]
    if server.kind in {"token bucket", "GCRA", "nginx nodelay", "nginx delay", "two limits"}:
        parts[0] += f" burst {server.burst}"
    if server.service:
        parts[0] += f" ({max(1, round(server.rate * server.service))} x {server.service * 1000:.0f} ms)"
    if server.kind == "two limits":
        parts[0] += f" and {server.second:.2f} of it over 10 s"
    if server.kind != "none":
        parts.append(f"Retry-After {server.retry_after}")
    parts += [f"x{factor:.2g} from {at:.1f} s" for at, factor in server.phases]
    shape = f"{demand.calls} calls {demand.shape}"
    if demand.shape not in {"at once", "waves"}:
        shape += f" {demand.rate:.3g}/s"
    if demand.shape in {"bursts", "waves", "idle"}:
        shape += f" of {demand.size}"
    if demand.shape in {"waves", "idle"}:
        shape += f" with {demand.pause:.3g} s between"
    if demand.sessions > 1:
        shape += f", {demand.sessions} sessions in {demand.spread:.1f} s"
    parts.append(shape)
    parts.append(f"round trip {network.round_trip * 1000:.0f} ms")
    if network.jitter:
        parts[-1] += f" + {network.jitter * 1000:.0f} ms jitter"
    if loop.busy:
        parts.append(f"loop busy up to {loop.busy * 1000:.0f} ms, {loop.share:.0%} of the time")
    if loop.late > 0.001:
        parts.append(f"timers up to {loop.late * 1000:.0f} ms late")
    strays = world.strays
    if strays is not None:
        status = strays.status or "429 or 503"
        text = f"strays {status} {strays.share:.1%}"
        if strays.burst:
            text += f" in bursts of {strays.burst:.2f} s"
        parts.append(f"{text}, Retry-After {strays.retry_after} ({strays.wait:.2g} s)")
    if world.foreign is not None:
        foreign = world.foreign
        parts.append(f"foreign client {foreign.rate:.3g}/s from {foreign.start:.0f} to {foreign.end:.0f} s")
    return "; ".join(parts)
