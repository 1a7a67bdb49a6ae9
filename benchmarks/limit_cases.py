"""What is asked of a client of a limited server: the cases of the section `limit`, each played in several worlds.

    python -m benchmarks.limit_cases [--kind KIND] [--case CASE] [--world N]

plays the SDK alone, and prints a line for each case and world.
"""

import argparse
import random

from attrs import evolve, frozen

from benchmarks.limit_clients import (
    CONNECTIONS,
    ONE_WAY,
    Client,
    Line,
    Loop,
    Played,
    ours,
    play_together,
    session_waves,
    simulate,
)
from benchmarks.limit_servers import KINDS, Limit, Phase, Server, ideal_seconds
from fielding_async import Limits
from fielding_async.sandbox.world.rate_limits import LimiterKind

__all__ = [
    "CASES",
    "COLD",
    "FALLS",
    "KNOWN",
    "SHARED",
    "WORLDS",
    "Case",
    "Free",
    "Result",
    "World",
    "play_case",
    "play_free",
]


@frozen
class Case:
    """So many requests at so many a second. `falls_to`: the rate from `falls_at` seconds on."""

    name: str
    requests: int
    per_second: float
    known: bool = False
    clients: int = 1
    falls_to: float | None = None
    falls_at: float = 0.0

    def limit(self, kind: LimiterKind, world: "World") -> Limit:
        """Return the limit of this case on one kind of server."""
        limit = Limit.of(kind, self.per_second, offset=world.offset, strict=world.strict)
        if self.falls_to is None:
            return limit
        return evolve(limit, phases=(*limit.phases, Phase(self.falls_at, self.falls_to)))


@frozen
class World:
    """What a client cannot choose: where in a window it begins, how its network jitters, how its dice fall.

    `strict`: a request before its client's Retry-After has passed is refused again, even if there is room.
    """

    offset: float = 0.0
    jitter: float = 0.0
    seed: int = 1
    strict: bool = False


COLD = (Case("100 at 10/s", 100, 10.0), Case("2,000 at 100/s", 2000, 100.0))
FALLS = Case("2,000, 100/s falls to 30/s", 2000, 100.0, falls_to=30.0, falls_at=10.0)
KNOWN = Case("1,000 at 100/s, known", 1000, 100.0, known=True)
SHARED = Case("two of 1,000 share 100/s", 1000, 100.0, clients=2)
CASES = (*COLD, FALLS, KNOWN, SHARED)
STEADY = (World(), World(strict=True), World(offset=0.37, seed=2, strict=True), World(offset=0.73, seed=3))
"""The claims are made for these: a reply takes as long as every other."""
SHAKY = (
    World(offset=0.37, jitter=0.001, seed=4),
    World(offset=0.5, jitter=0.005, seed=5),
    World(offset=0.95, jitter=0.03, seed=6),
)
"""Networks that jitter. No client keeps an even spacing there: reported, not claimed."""
WORLDS = (*STEADY, *SHAKY)


@frozen
class Result:
    """What came of a case: the sums over its clients, and the time of the last one beside the ideal."""

    failures: int
    sends: int
    refused: int
    early: int
    seconds: float
    ideal: float
    least_share: float

    @property
    def ratio(self) -> float:
        """The time against the ideal."""
        return self.seconds / self.ideal


def _least_share(server: Server, clients: int) -> float:
    """Return what the least favoured client had of all that had passed when the first was served in full."""
    passed = [arrival for arrival in server.arrivals if arrival.retry_after is None]
    last = {arrival.client: arrival.at for arrival in passed}
    if len(last) < clients:
        return 0.0
    by_then = [arrival.client for arrival in passed if arrival.at <= min(last.values())]
    return min(by_then.count(client) for client in last) / len(by_then)


def play_case(case: Case, kind: LimiterKind, world: World, client: Client = ours) -> tuple[Result, Server]:
    """Play a case in one world; the server comes back with all that arrived."""
    limit = case.limit(kind, world)
    server = Server(limit)
    rate = case.per_second if case.known else None
    played: list[Played] = play_together(
        server, [(client, case.requests, rate)] * case.clients, seed=world.seed, jitter=world.jitter
    )
    result = Result(
        failures=sum(one.failures for one in played),
        sends=sum(one.sends for one in played),
        refused=sum(one.refused for one in played),
        early=sum(one.early for one in played),
        seconds=max(one.seconds for one in played),
        ideal=ideal_seconds(limit, case.requests * case.clients, ONE_WAY),
        least_share=_least_share(server, case.clients),
    )
    return result, server


@frozen
class Free:
    """Two waves of one session to a server without a limit: seconds, and rounds of the loop per request."""

    first: float
    second: float
    rounds: float


def play_free(requests: int, *, adaptive: bool) -> Free:
    """Play two waves, one after the other in one session, where nothing is ever refused."""
    loop = Loop()

    async def main() -> list[float]:
        line = Line(Server(Limit("fixed-window", ())), "0", loop.time(), random.Random(1))
        limits = Limits(concurrency=CONNECTIONS, adaptive=adaptive)
        _, seconds = await session_waves(line, requests, limits, waves=2)
        return seconds

    first, second = simulate(main(), loop, 1)
    return Free(first, second, loop.rounds / (2 * requests))


def main() -> None:
    """Play the SDK alone, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=KINDS)
    parser.add_argument(
        "--case",
        choices=[*map(str, range(len(CASES)))],
        help=" ".join(f"{number}: {case.name};" for number, case in enumerate(CASES)),
    )
    parser.add_argument("--world", type=int, choices=range(len(WORLDS)))
    options = parser.parse_args()
    cases = CASES if options.case is None else [CASES[int(options.case)]]
    worlds = list(WORLDS) if options.world is None else [WORLDS[int(options.world)]]
    heads = ("case", "server", "world", "failed", "sends", "429s", "early", "seconds", "x ideal", "share")
    line = "{:28} {:15} {:>5} {:>6} {:>6} {:>5} {:>5} {:>8} {:>7} {:>5}"
    print(line.format(*heads))
    for case in cases:
        for kind in KINDS if options.kind is None else [options.kind]:
            for world in worlds:
                one, _ = play_case(case, kind, world)
                counts = (one.failures, one.sends, one.refused, one.early)
                times = (f"{one.seconds:.2f}", f"{one.ratio:.3f}", f"{one.least_share:.2f}")
                print(line.format(case.name, kind, WORLDS.index(world), *counts, *times), flush=True)
    if options.case is None:
        for adaptive in (False, True):
            print(f"2,000 without a limit, adaptive={adaptive}: {play_free(2000, adaptive=adaptive)}")


if __name__ == "__main__":
    main()
