"""Eight processes at one limit, in real time: with one pace through Redis, and beside it as independent sessions.

The ideal is an oracle's, which knows the server's state. The server counts all processes as one account. Redis is
started here, on loopback. The machine has to be quiet.

    python -m benchmarks.shared_pace [--case TEXT] [--rounds N] [--shared-only]

plays the cases whose names contain a text, and prints their rows as they come.
"""

import argparse
import statistics
from collections.abc import Sequence
from random import Random

from attrs import evolve, frozen

from benchmarks.limit_servers import Arrival, Limit, ideal_seconds
from benchmarks.limited_server import limited
from benchmarks.live_clients import OURS, Done, Job, start_together
from benchmarks.report import Cell, Claim, Section, at_least, at_most, table
from fielding_async.sandbox.world.rate_limits import LimiterKind
from tests.tools.services import RedisServer, find

__all__ = ["run"]

PROCESSES = 8
PER_SECOND = 100.0
_REQUESTS = 200  # of each process
_ROUNDS = 3
_INTERACTIVE_CALLS = 60
_COLUMNS = [
    "requests", "server", "sessions", "failures", "sends", "429s", "seconds", "x ideal", "least share x 8",
    "interactive, ms",
]  # fmt: skip
_SHARED, _INDEPENDENT = "8, one pace", "8 independent"


@frozen
class Case:
    """A limit of 100 a second. `known`: it is told to the sessions. `is_batch`: see `Job`; others call beside it."""

    name: str
    kind: LimiterKind
    known: bool = False
    is_batch: bool = False
    short: bool = False


CASES = (
    Case("unknown", "fixed-window", short=True),
    Case("unknown", "token-bucket"),
    Case("unknown", "leaky-bucket"),
    Case("known", "fixed-window", known=True),
    Case("known", "token-bucket", known=True, short=True),
    Case("known", "leaky-bucket", known=True),
    Case("batches, unknown", "token-bucket", is_batch=True),
    Case("batches, known", "token-bucket", known=True, is_batch=True),
)


@frozen
class Played:
    """What came of a case. `interactive`: what a process did that makes single calls beside the batches."""

    done: Sequence[Done]
    arrivals: Sequence[Arrival]
    interactive: Done | None
    requests: int
    ideal: float

    @property
    def failures(self) -> int:
        """How many calls failed."""
        return sum(one.failures for one in self.done) + (self.interactive.failures if self.interactive else 0)

    @property
    def refused(self) -> int:
        """How many requests were refused."""
        return sum(arrival.retry_after is not None for arrival in self.arrivals)

    @property
    def seconds(self) -> float:
        """When the last process was done."""
        return max(one.seconds[0] for one in self.done)

    @property
    def ratio(self) -> float:
        """That, in times of the ideal."""
        return self.seconds / self.ideal

    @property
    def sends(self) -> float:
        """Requests sent for each that was wanted."""
        return len(self.arrivals) / self.requests

    @property
    def least_share(self) -> float:
        """What the least favoured process had of an even share, when the first one was served in full."""
        passed = [arrival for arrival in self.arrivals if arrival.retry_after is None and arrival.client != "caller"]
        last = {arrival.client: arrival.at for arrival in passed}
        by_then = [arrival.client for arrival in passed if arrival.at <= min(last.values())]
        return PROCESSES * min(by_then.count(client) for client in last) / len(by_then)

    @property
    def wait(self) -> float | None:
        """The median of a single call's milliseconds, from call to result."""
        return 1000 * statistics.median(self.interactive.latencies) if self.interactive else None

    def row(self, case: Case, sessions: str) -> list[Cell]:
        """Return it as a row of the table."""
        counts: list[Cell] = [self.failures, len(self.arrivals), self.refused]
        times: list[Cell] = [round(self.seconds, 1), round(self.ratio, 2), round(self.least_share, 2)]
        wait: Cell = "" if self.wait is None else round(self.wait, 1)
        return [f"{self.requests:,} at 100/s, {case.name}", case.kind, sessions, *counts, *times, wait]


def _play(case: Case, requests: int, shared: str | None, seed: int) -> Played:
    limit = Limit.of(case.kind, PER_SECOND)
    rate = PER_SECOND if case.known else None
    with limited(limit) as server:
        job = Job(server.base_url, "", requests, rate, shared=shared, expected=PROCESSES)
        if case.is_batch:
            job = evolve(job, requests=requests // 2, is_batch=True)
        jobs = [evolve(job, token=f"process-{number}") for number in range(PROCESSES)]
        total = requests * PROCESSES
        if case.is_batch:
            # single calls come at random while the batches are at work
            dice = Random(seed)
            calls = _INTERACTIVE_CALLS * requests // _REQUESTS
            starts = tuple(sorted(dice.uniform(0.1, 0.8) * total / PER_SECOND for _ in range(calls)))
            jobs.append(evolve(job, token="caller", requests=calls, is_batch=False, starts=starts))
            total += calls
        done = start_together(OURS, jobs)
        ideal = ideal_seconds(limit, total, 0.0)
        return Played(done[:PROCESSES], server.arrivals(), done[-1] if case.is_batch else None, total, ideal)


def _claims(case: Case, played: Sequence[Played]) -> list[Claim]:
    """Return what is claimed of sessions with one pace, by the medians of all rounds."""
    name = f"{case.name}, {case.kind}"
    ratio = at_most(f"{name}: time / ideal", statistics.median(one.ratio for one in played), 1.3)
    share = at_least(f"{name}: least share / even share", statistics.median(one.least_share for one in played), 0.7)
    refused = 1000 * statistics.median(one.refused / one.requests for one in played)
    if case.is_batch:
        waits = [one.wait for one in played if one.wait is not None]
        return [at_most(f"{name}: median ms of a single call beside them", statistics.median(waits), 50.0)]
    if case.kind == "leaky-bucket":
        # of a strict bucket whose rate is not told, nothing is claimed
        return [ratio] if case.known else []
    if case.known:
        rate = statistics.median(one.requests / one.seconds / PER_SECOND for one in played)
        return [
            at_most(f"{name}: 429s in 1,000 requests", refused, 1.0),
            at_least(f"{name}: rate / rate known", rate, 0.95),
            share,
        ]
    sends = at_most(f"{name}: sends / requests", statistics.median(one.sends for one in played), 1.04)
    return [sends, ratio, share]


@frozen
class Told:
    """What is told of a case."""

    rows: list[list[Cell]]
    claims: list[Claim]
    failures: int
    data: dict[str, list[float]]


def _median(played: Sequence[Played]) -> Played:
    return sorted(played, key=lambda one: one.ratio)[len(played) // 2]


def _play_case(case: Case, requests: int, rounds: int, *, peers: bool = True) -> Told:
    shared: list[Played] = []
    independent: list[Played] = []
    with RedisServer() as redis:
        for number in range(rounds):
            redis.flush()
            shared.append(_play(case, requests, redis.url, number))
            # they take turns, so that what else the machine does is the same for both
            if peers:
                independent.append(_play(case, requests, None, number))
    rows = [_median(shared).row(case, _SHARED), *(_median(one).row(case, _INDEPENDENT) for one in [independent] if one)]
    data = {
        _SHARED: [round(one.ratio, 3) for one in shared],
        _INDEPENDENT: [round(one.ratio, 3) for one in independent],
    }
    return Told(rows, _claims(case, shared), sum(one.failures for one in shared), data)


def run(*, quick: bool = False) -> Section:
    """Play all cases. `quick`: two of them, once, with fewer requests."""
    rounds, requests = (1, 60) if quick else (_ROUNDS, _REQUESTS)
    rows: list[list[Cell]] = []
    claims: list[Claim] = []
    data: dict[str, object] = {}
    failures = 0
    for case in CASES:
        if quick and not case.short:
            continue
        if find("redis-server") is None:
            rows.append([case.name, case.kind, "skipped: redis-server is not installed", *[""] * 7])
            continue
        told = _play_case(case, requests, rounds)
        rows += told.rows
        claims += told.claims
        failures += told.failures
        data[f"{case.name}, {case.kind}"] = told.data
    claims.insert(0, at_most("failures of sessions with one pace, all cases", failures, 0))
    return Section(
        name="shared_pace",
        title=(
            "Eight processes at one limit of 100/s, in real time: all calls at once, 32 connections each. The ideal is "
            "an oracle's. The median of three rounds."
        ),
        columns=_COLUMNS,
        rows=rows,
        claims=claims,
        data=data,
    )


def main() -> None:
    """Play some cases, and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", default="", metavar="TEXT", help="of a case's name and server, as 'known, leaky'")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--requests", type=int, default=_REQUESTS, help="of each process")
    parser.add_argument("--shared-only", action="store_true", help="leave out the independent sessions")
    options = parser.parse_args()
    for case in CASES:
        if f"{case.name}, {case.kind}".startswith(options.case):
            told = _play_case(case, options.requests, options.rounds, peers=not options.shared_only)
            print(table(_COLUMNS, told.rows), *told.data.items(), *told.claims, sep="\n", flush=True)


if __name__ == "__main__":
    main()
