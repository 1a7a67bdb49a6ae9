"""The pace at the limits of real gateways, nginx and HAProxy, and of processes that share a limit; in real time.

The ideal is an oracle's, which knows how the gateway counts: `tests.proofs.gateways.limit_models` says how, and
`tests/proofs/gateways/test_limits.py` holds that against the gateways' own logs. The machine has to be quiet.

    python -m benchmarks.gateway_limits [--case TEXT] [--rounds N]

plays the cases whose names contain a text, and prints their rows as they come.
"""

import argparse
import asyncio
import statistics
from collections.abc import Sequence
from random import Random
from urllib.parse import urlsplit

from attrs import frozen

from benchmarks.limit_servers import Limit
from benchmarks.limited_server import limited
from benchmarks.live_clients import OURS, Done, Job, start_together
from benchmarks.report import Cell, Claim, Section, at_most, table
from benchmarks.server import serving
from fielding_async.sandbox.world.rate_limits import SlidingWindow
from tests.proofs.gateways.limit_models import oracle_seconds
from tests.proofs.gateways.limited_gateways import Arrival, GatewayLimit, haproxy_limit, limited_gateway, nginx_limit
from tests.proofs.gateways.programs import missing

__all__ = ["fifo_waits", "run"]

_COLUMNS = ["requests", "limit", "client", "failures", "sends", "refused", "seconds", "x ideal"]
_ROUNDS = 3
_PLAIN = f"{OURS}, adaptive=False"
_TOLD = f"{OURS}, rate known"


@frozen
class Case:
    """So many calls at once at a limit.

    `most`: the most time that they may take, in times of the ideal; `None`: told, not claimed. `plain`: also played
    without learning, which is over within a minute. `short`: also played with `--quick`.
    """

    name: str
    limit: GatewayLimit
    requests: int
    most: float | None = None
    plain: bool = True
    short: bool = False


CASES = (
    Case("nginx 10/s, burst=2 nodelay", nginx_limit(10, burst=2), 100, 1.4, short=True),
    Case("nginx 100/s, burst=20 nodelay", nginx_limit(100, burst=20), 1000, 1.35),
    Case("nginx 10/s, no burst", nginx_limit(10), 100, 1.5, plain=False),
    Case("nginx 100/s, no burst", nginx_limit(100), 1000, 1.5, plain=False),
    Case("nginx 100/s, burst=20 delayed", nginx_limit(100, burst=20, delay=True), 1000),
    Case("HAProxy 10 in 1 s", haproxy_limit(10), 100, 1.8, short=True),
    Case("HAProxy 100 in 1 s", haproxy_limit(100), 1000, 1.35),
    Case("HAProxy 100 in 10 s", haproxy_limit(100, 10), 300),
    Case("nginx 10/s, burst=2 nodelay, Retry-After: 1", nginx_limit(10, burst=2, retry_after=1), 100, 1.4, plain=False),
    Case("nginx 100/s, burst=20 nodelay, Retry-After: 1", nginx_limit(100, burst=20, retry_after=1), 1000, 1.35),
    Case("nginx 100/s, no burst, Retry-After: 1", nginx_limit(100, retry_after=1), 1000, 1.5, plain=False),
    Case("HAProxy 10 in 1 s, Retry-After: 1", haproxy_limit(10, retry_after=1), 100, 1.8),
    Case("HAProxy 100 in 1 s, Retry-After: 1", haproxy_limit(100, retry_after=1), 1000, 1.35),
    Case("HAProxy 100 in 10 s, Retry-After: 10", haproxy_limit(100, 10, retry_after=10), 300),
    Case("nginx 100/s, burst=20 nodelay, refuses by 503", nginx_limit(100, burst=20, status=503), 1000),
)


@frozen
class Played:
    """What came of a case."""

    done: Done
    arrivals: Sequence[Arrival]
    ideal: float

    @property
    def seconds(self) -> float:
        """When the last call was over."""
        return self.done.seconds[0]

    @property
    def ratio(self) -> float:
        """That, in times of the ideal."""
        return self.seconds / self.ideal

    def row(self, case: Case, client: str) -> list[Cell]:
        """Return it as a row of the table."""
        refused = sum(not arrival.passed for arrival in self.arrivals)
        counts: list[Cell] = [self.done.failures, len(self.arrivals), refused]
        return [f"{case.requests:,}", case.name, client, *counts, round(self.seconds, 1), round(self.ratio, 2)]


async def _play(case: Case, origin: int, *, adaptive: bool = True, rate: float | None = None) -> Played:
    async with limited_gateway(case.limit, origin) as gateway:
        job = Job(gateway.base_url, "token", case.requests, rate, adaptive)
        [done] = await asyncio.to_thread(start_together, OURS, [job])
    return Played(done, gateway.arrivals, oracle_seconds(case.limit.counter(), case.requests))


@frozen
class Told:
    """What is told of a case: `failures` of the adaptive session in all rounds, `ratios` of each."""

    rows: list[list[Cell]]
    claims: list[Claim]
    failures: int
    ratios: list[float]


async def _play_case(case: Case, rounds: int) -> Told:
    with serving() as base_url:
        origin = urlsplit(base_url).port or 0
        played = sorted([await _play(case, origin) for _ in range(rounds)], key=lambda one: one.ratio)
        median = played[len(played) // 2]
        rows = [median.row(case, OURS)]
        if rounds > 1 and case.plain:
            rows.append((await _play(case, origin, adaptive=False)).row(case, _PLAIN))
        if rounds > 1 and case.limit.retry_after is None:
            rate = case.limit.number * 1000 / case.limit.period
            rows.append((await _play(case, origin, rate=rate)).row(case, _TOLD))
    claims = [] if case.most is None else [at_most(f"{case.name}: time / ideal", median.ratio, case.most)]
    failures = sum(one.done.failures for one in played) if case.limit.status == 429 else 0
    return Told(rows, claims, failures, [round(one.ratio, 3) for one in played])


def fifo_waits(starts: Sequence[float], limit: int) -> list[float]:
    """Return for how long an oracle keeps each call, first in first out, at `limit` requests in any second."""
    window = SlidingWindow(limit, 1.0)
    waits: list[float] = []
    now = 0.0
    for start in sorted(starts):
        now = max(now, start)
        while (wait := window.hit(now)) is not None:
            now += wait
        waits.append(now - start)
    return waits


def _p99(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98]


def _shared(rounds: int, calls: int) -> tuple[list[Cell], list[Claim], int]:
    """Let four processes share 20 requests in any second, at seven tenths of that, their calls at random times."""
    name, limit, processes, load = "four processes share a sliding 20/s at load 0.7", 20, 4, 0.7
    worst: list[float] = []
    oracle: list[float] = []
    failures = sends = refused = 0
    seconds = 0.0
    for number in range(rounds):
        dice = Random(number)
        starts = [_poisson(dice, load * limit / processes, calls) for _ in range(processes)]
        with limited(Limit.of("sliding-window", float(limit))) as server:
            jobs = [
                Job(server.base_url, f"client-{client}", calls, starts=moments) for client, moments in enumerate(starts)
            ]
            done = start_together(OURS, jobs)
            arrivals = server.arrivals()
        worst.append(max(_p99(one.latencies) for one in done))
        oracle.append(_p99(fifo_waits([start for moments in starts for start in moments], limit)))
        failures += sum(one.failures for one in done)
        sends += len(arrivals)
        refused += sum(arrival.retry_after is not None for arrival in arrivals)
        seconds += max(one.seconds[0] for one in done)
    p99 = statistics.median(worst)
    row: list[Cell] = [f"{rounds} x 4 x {calls}", name, OURS, failures, sends, refused, round(seconds, 1), ""]
    told = f"{name}: p99 of a call's seconds in the worst process (the oracle's: {statistics.median(oracle):.2f})"
    return row, [at_most(told, p99, 3.0)], failures


def _poisson(dice: Random, per_second: float, calls: int) -> tuple[float, ...]:
    """Return the times of calls that come at random, at so many a second."""
    moments: list[float] = []
    at = 0.0
    for _ in range(calls):
        at += dice.expovariate(per_second)
        moments.append(at)
    return tuple(moments)


def run(*, quick: bool = False) -> Section:
    """Play every limit whose program is installed. `quick`: the short ones, once."""
    rounds = 1 if quick else _ROUNDS
    rows: list[list[Cell]] = []
    claims: list[Claim] = []
    ratios: dict[str, object] = {}
    failures = 0
    for case in CASES:
        if quick and not case.short:
            continue
        if missing(case.limit.program):
            rows.append([f"{case.requests:,}", case.name, "skipped: not installed", "", "", "", "", ""])
            continue
        told = asyncio.run(_play_case(case, rounds))
        rows += told.rows
        claims += told.claims
        failures += told.failures
        ratios[case.name] = told.ratios
    row, shared_claims, failed = _shared(rounds, 40 if quick else 200)
    rows.append(row)
    claims += shared_claims
    claims.insert(0, at_most("failures, wherever refusals are 429s", failures + failed, 0))
    return Section(
        name="gateway_limits",
        title=(
            "The pace at the limits of nginx and HAProxy, in real time: all calls at once, 32 connections; 429 without "
            "Retry-After, unless a header is named. The ideal is an oracle's. The median of three, the others once."
        ),
        columns=_COLUMNS,
        rows=rows,
        claims=claims,
        data=ratios,
    )


def main() -> None:
    """Play some cases, and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", default="", metavar="TEXT")
    parser.add_argument("--rounds", type=int, default=1)
    options = parser.parse_args()
    for case in CASES:
        if options.case not in case.name or missing(case.limit.program):
            continue
        told = asyncio.run(_play_case(case, options.rounds))
        print(table(_COLUMNS, told.rows), *told.ratios, flush=True)


if __name__ == "__main__":
    main()
