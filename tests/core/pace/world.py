"""A world of sessions and one limited server, event by event: only the pacers are real, and time is a number."""

import heapq
import random
from collections.abc import Callable, Sequence
from functools import partial
from math import ceil, inf
from typing import Protocol

from attrs import define, field, frozen

from fielding_async import Limits
from fielding_async.core.pace.pacer import Pacer, Permit
from fielding_async.sandbox.world.rate_limits import LimiterKind, make_limiter

__all__ = ["KINDS", "Changing", "Client", "Free", "RetryAfter", "Server", "ideal", "limited", "play", "whole_seconds"]

KINDS: tuple[LimiterKind, ...] = ("fixed-window", "sliding-window", "token-bucket", "leaky-bucket")
RetryAfter = Callable[[float], float | None]


class Server(Protocol):
    """What counts requests."""

    def hit(self, at: float) -> float | None:
        """Return `None` if the request passes, else the seconds until one may."""
        ...


def limited(kind: LimiterKind, per_second: float, *, phase: float = 0.0, window: float = 1.0) -> Server:
    """Return a server that is `phase` of a window into its first one."""
    told = None if "bucket" in kind else window
    return make_limiter(kind, per_second, burst=None, window=told, start=-phase * window)


class Free:
    """A server without a limit."""

    def hit(self, at: float) -> float | None:
        """Let everything pass."""
        del at
        return None


@frozen
class Changing:
    """A server whose limit changes at a time."""

    before: Server
    after: Server
    at: float

    def hit(self, at: float) -> float | None:
        """Count by the limit that holds then."""
        return (self.before if at < self.at else self.after).hit(at)


def whole_seconds(wait: float) -> float:
    """Return a Retry-After in whole seconds, never less than 1."""
    return float(max(1, ceil(wait)))


def ideal(server: Server, requests: int) -> float:
    """Return when the last of so many requests passes, if each is sent in the very moment that it can pass."""
    now = 0.0
    while requests:
        wait = server.hit(now)
        if wait is None:
            requests -= 1
        else:
            now += max(wait, 1e-6)
    return now


@define(eq=False)
class Client:
    """One session: its pacer, and what came of it."""

    pacer: Pacer
    wanted: int
    left: int
    in_flight: int = 0
    done: int = 0
    sends: int = 0
    refused: int = 0
    too_early: int = 0
    ended: float = inf
    times: list[float] = field(factory=list[float])
    accepted: list[float] = field(factory=list[float])
    closed_until: float = -inf
    timer: float = inf
    began: float = 0.0


@define(order=True)
class _Event:
    at: float
    number: int
    act: Callable[[], None] = field(order=False)


class _World:
    def __init__(self, server: Server, round_trip: float, jitter: float, concurrency: int, seed: int) -> None:
        self.server, self.round_trip, self.jitter, self.concurrency = server, round_trip, jitter, concurrency
        self.dice = random.Random(seed)
        self.now = 0.0
        self.events: list[_Event] = []
        self.number = 0

    def at(self, when: float, act: Callable[[], None]) -> None:
        self.number += 1
        heapq.heappush(self.events, _Event(when, self.number, act))

    def run(self, until: float) -> None:
        while self.events and self.events[0].at <= until:
            event = heapq.heappop(self.events)
            self.now = event.at
            event.act()

    def latency(self) -> float:
        return self.round_trip / 2 + self.dice.uniform(0.0, self.jitter)

    def pump(self, client: Client) -> None:
        while client.left and client.in_flight < self.concurrency:
            ready_at = client.pacer.ready_at()
            if ready_at > self.now:
                if ready_at < client.timer:
                    client.timer = ready_at
                    self.at(ready_at, lambda: self.ring(client))
                return
            permit = client.pacer.take(self.now, waited=True)
            client.left -= 1
            client.in_flight += 1
            client.sends += 1
            client.too_early += self.now < client.closed_until
            client.times.append(self.now)
            self.at(self.now + self.latency(), partial(self.arrive, client, permit))

    def ring(self, client: Client) -> None:
        client.timer = inf
        self.pump(client)

    def arrive(self, client: Client, permit: Permit) -> None:
        wait = self.server.hit(self.now)
        if wait is None:
            client.accepted.append(self.now)
        self.at(self.now + self.latency(), lambda: self.answer(client, permit, wait))

    def answer(self, client: Client, permit: Permit, wait: float | None) -> None:
        client.in_flight -= 1
        if wait is None:
            client.pacer.answered(permit, self.now)
            client.done += 1
            if client.done == client.wanted:
                client.ended = self.now
        else:
            client.refused += 1
            client.left += 1
            said = self.retry_after(wait)
            client.pacer.throttled(permit, said, self.now)
            client.closed_until = max(client.closed_until, self.now + (said or 0.0))
        self.pump(client)

    retry_after: RetryAfter = staticmethod(whole_seconds)


def play(
    server: Server,
    requests: int,
    *,
    limits: Limits | None = None,
    clients: int = 1,
    round_trip: float = 0.02,
    jitter: float = 0.0,
    retry_after: RetryAfter = whole_seconds,
    seed: int = 0,
    until: float = 10_000.0,
    starts: Sequence[float] = (),
) -> list[Client]:
    """Let each client send so many requests, all wanted at once; those refused are wanted again.

    `starts`: when each begins; without, one right after the other.
    """
    limits = limits or Limits()
    world = _World(server, round_trip, jitter, limits.concurrency, seed)
    world.retry_after = retry_after
    found: list[Client] = []
    for number in range(clients):
        client = Client(Pacer(limits, random.Random(f"{seed} {number}").uniform), requests, requests)
        found.append(client)
        client.began = starts[number] if starts else 0.003 * number
        world.at(client.began, partial(world.pump, client))
    world.run(until)
    return found
