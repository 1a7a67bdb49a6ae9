"""The pace at a limit in real time: over sockets, server and clients in processes of their own."""

import asyncio
import multiprocessing
import random
import statistics
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from multiprocessing.connection import Connection
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from attrs import frozen

from benchmarks.limit_servers import Arrival, Limit, ideal_seconds
from benchmarks.limited_server import limited
from benchmarks.report import Cell, Claim, Section, at_least, at_most
from fielding_async import FieldingError, FieldingSession, Limits, RunRef
from fielding_async.core.wire.bodies import decode_run

__all__ = ["run"]

_COLUMNS = ["requests", "server", "client", "failures", "sends", "429s", "seconds", "x ideal", "least share"]
_OURS = "fielding-async"
_NAIVE = "naive sleep"
_SLOWEST_OPENING = 0.1


@frozen
class Job:
    """What one client process is to do. `slow`: each request opens a connection, which takes up to 0.1 s."""

    base_url: str
    token: str
    requests: int
    rate: float | None = None
    adaptive: bool = True
    slow: bool = False
    waves: int = 1


@frozen
class Done:
    """What a client process did: seconds of each wave."""

    failures: int
    seconds: list[float]
    cpu: list[float]


class _SlowResolver(AbstractResolver):
    """Finds every host on this machine, after a while."""

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        del family
        await asyncio.sleep(random.uniform(0, _SLOWEST_OPENING))
        return [ResolveResult(hostname=host, host="127.0.0.1", port=port, family=2, proto=0, flags=0)]

    async def close(self) -> None:
        """Nothing was opened."""


async def _ours(job: Job) -> Done:
    failures = 0
    seconds: list[float] = []
    cpu: list[float] = []
    connector = aiohttp.TCPConnector(
        limit=32, force_close=True, use_dns_cache=False, resolver=_SlowResolver() if job.slow else None
    )
    async with aiohttp.ClientSession(connector=connector) as http:
        limits = Limits(rate=job.rate, adaptive=job.adaptive)
        async with FieldingSession(
            job.token, base_url=job.base_url, limits=limits, http=http if job.slow else None
        ) as fielding:

            async def one(number: int) -> None:
                nonlocal failures
                try:
                    await fielding.run(RunRef(1, "0" * 26, "1" * 26, f"r{number}")).get()
                except FieldingError:
                    failures += 1

            for _ in range(job.waves):
                began, busy = time.perf_counter(), time.process_time()
                async with asyncio.TaskGroup() as group:
                    for number in range(job.requests):
                        group.create_task(one(number))
                seconds.append(time.perf_counter() - began)
                cpu.append(time.process_time() - busy)
    return Done(failures, seconds, cpu)


async def _naive(job: Job) -> Done:
    """Sleep in each task for its Retry-After, 32 at once, with aiohttp."""
    places = asyncio.Semaphore(32)
    url = f"{job.base_url}/demand/accounts/1/projects/{'0' * 26}/target-groups/{'1' * 26}/fielding-runs/"
    began, busy = time.perf_counter(), time.process_time()
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {job.token}"}) as http:

        async def one(number: int) -> None:
            async with places:
                while True:
                    async with http.get(f"{url}r{number}") as reply:
                        await reply.read()
                    if reply.status != 429:
                        return
                    await asyncio.sleep(float(reply.headers["Retry-After"]))

        async with asyncio.TaskGroup() as group:
            for number in range(job.requests):
                group.create_task(one(number))
    return Done(0, [time.perf_counter() - began], [time.process_time() - busy])


_RUN = (
    b'{"id":"r","status":"live","version":1,"start_fielding_at":"2030-01-01T00:00:00.000Z",'
    b'"end_fielding_at":"2030-01-31T00:00:00.000Z","last_changed_at":"2030-01-01T00:00:00.000Z","last_changed_by":"x"}'
)
_CLIENTS: dict[str, Callable[[Job], Any]] = {_OURS: _ours, _NAIVE: _naive}


def _work(pipe: Connection, client: str, job: Job) -> None:
    decode_run(_RUN, None)  # loads what replies are read with: else one client is late by the time that takes
    pipe.send("ready")
    pipe.recv()
    pipe.send(asyncio.run(_CLIENTS[client](job)))


def _start_together(client: str, jobs: Sequence[Job]) -> list[Done]:
    """Run a process for each job; they begin together once all have imported what they need."""
    context = multiprocessing.get_context("spawn")
    pipes: list[Connection] = []
    processes: list[Any] = []
    for job in jobs:
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, client, job), daemon=True)
        process.start()
        theirs.close()
        pipes.append(ours)
        processes.append(process)
    for pipe in pipes:
        pipe.recv()
    for pipe in pipes:
        pipe.send("go")
    done: list[Done] = [pipe.recv() for pipe in pipes]
    for process in processes:
        process.join(10)
    return done


@frozen
class Played:
    """What came of a case."""

    done: list[Done]
    arrivals: list[Arrival]
    ideal: float

    @property
    def sends(self) -> int:
        """How many requests arrived."""
        return len(self.arrivals)

    @property
    def refused(self) -> int:
        """How many of them were refused."""
        return sum(arrival.retry_after is not None for arrival in self.arrivals)

    @property
    def failures(self) -> int:
        """How many calls failed."""
        return sum(done.failures for done in self.done)

    @property
    def seconds(self) -> float:
        """When the last client was done."""
        return max(sum(done.seconds) for done in self.done)

    @property
    def least_share(self) -> float:
        """What the least favoured client had of all that had passed when the first was served in full."""
        passed = [arrival for arrival in self.arrivals if arrival.retry_after is None]
        last = {arrival.client: arrival.at for arrival in passed}
        by_then = [arrival.client for arrival in passed if arrival.at <= min(last.values())]
        return min(by_then.count(client) for client in last) / len(by_then)


def _play(
    limit: Limit, requests: int, *, client: str = _OURS, clients: int = 1, rate: float | None = None, slow: bool = False
) -> Played:
    with limited(limit) as server:
        jobs = [Job(server.base_url, f"client-{number}", requests, rate, slow=slow) for number in range(clients)]
        done = _start_together(client, jobs)
        return Played(done, server.arrivals(), ideal_seconds(limit, requests * clients, 0.0))


def _free(requests: int, *, adaptive: bool) -> Done:
    with limited(Limit("fixed-window", ())) as server:
        return _start_together(_OURS, [Job(server.base_url, "client", requests, adaptive=adaptive, waves=2)])[0]


def _free_claims(rounds: int) -> tuple[list[Cell], list[Claim]]:
    """Compare the session that learns with one that does not, where there is no limit; they take turns."""
    name = "2,000 twice, no limit"
    plain: list[Done] = []
    careful: list[Done] = []
    for _ in range(rounds):
        plain.append(_free(2000, adaptive=False))
        careful.append(_free(2000, adaptive=True))
    cost = statistics.median(mine.seconds[0] - other.seconds[0] for mine, other in zip(careful, plain, strict=True))
    cpu = [
        statistics.median(mine.cpu[wave] / other.cpu[wave] for mine, other in zip(careful, plain, strict=True))
        for wave in (0, 1)
    ]
    seconds = statistics.median(sum(done.seconds) for done in careful)
    ratio = seconds / statistics.median(sum(done.seconds) for done in plain)
    failures = sum(done.failures for done in careful)
    return [name, "none", _OURS, failures, 4000, 0, round(seconds, 1), round(ratio, 2), ""], [
        at_most(f"{name}: seconds that the careful opening costs", cost, 1.0),
        at_most(f"{name}: CPU of the first wave / without learning", cpu[0], 1.5),
        at_most(f"{name}: CPU of the second wave / without learning", cpu[1], 1.15),
    ]


def _row(name: str, server: str, client: str, played: Played) -> list[Cell]:
    share: Cell = played.least_share if len(played.done) > 1 else ""
    times: list[Cell] = [round(played.seconds, 1), round(played.seconds / played.ideal, 2)]
    return [name, server, client, played.failures, played.sends, played.refused, *times, share]


def most_in_a_second(times: Sequence[float]) -> int:
    """Return the most arrivals in any second. Takes sorted times."""
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] >= 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most


def _spacing(name: str, played: Played, per_second: float) -> tuple[list[Claim], list[float]]:
    times = [arrival.at for arrival in played.arrivals]
    gaps = sorted(later - sooner for sooner, later in pairwise(times))
    most = most_in_a_second(times)
    tenth = statistics.quantiles(gaps, n=20)[0]
    return [
        at_most(f"{name}: requests in any second / rate told", most / per_second, 1.02),
        at_least(f"{name}: all but 5 % of the gaps / even spacing, at least", tenth * per_second, 0.75),
    ], gaps


def run(*, quick: bool = False) -> Section:
    """Play some of the cases of the section `limit` over sockets. `quick`: the short ones."""
    rows: list[list[Cell]] = []
    claims: list[Claim] = []
    data: dict[str, object] = {}
    cold = [("100 at 10/s", "fixed-window", 100, 10.0, 112, 1.4), ("100 at 10/s", "leaky-bucket", 100, 10.0, 112, 1.4)]
    if not quick:
        cold.append(("2,000 at 100/s", "fixed-window", 2000, 100.0, 2060, 1.25))
    failures = 0
    for name, kind, requests, per_second, sends, ratio in cold:
        limit = Limit.of("leaky-bucket" if kind == "leaky-bucket" else "fixed-window", per_second)
        played = _play(limit, requests)
        failures += played.failures
        rows.append(_row(name, kind, _OURS, played))
        claims.append(at_most(f"{name}, {kind}: sends", played.sends, sends))
        claims.append(at_most(f"{name}, {kind}: time / ideal", played.seconds / played.ideal, ratio))
    limit = Limit.of("fixed-window", 10.0)
    rows.append(_row("100 at 10/s", "fixed-window", _NAIVE, _play(limit, 100, client=_NAIVE)))

    limit = Limit.of("fixed-window", 100.0)
    requests = 300 if quick else 1000
    for label, slow in (("known", False), ("known, slow connections", True)):
        played = _play(limit, requests, rate=100.0, slow=slow)
        failures += played.failures
        name = f"{requests:,} at 100/s, {label}"
        rows.append(_row(name, "fixed-window", _OURS, played))
        claims.append(at_most(f"{name}: 429s", played.refused, 1))
        claims.append(at_least(f"{name}: rate / rate told", requests / played.seconds / 100.0, 0.95))
        spacing, gaps = _spacing(name, played, 100.0)
        claims += spacing
        data[name] = {"gaps": [round(gap, 5) for gap in gaps[:: max(1, len(gaps) // 100)]]}

    requests = 200 if quick else 1000
    played = _play(limit, requests, clients=2)
    failures += played.failures
    name = f"two processes of {requests:,} share 100/s"
    rows.append(_row(name, "fixed-window", _OURS, played))
    claims.append(at_most(f"{name}: time / ideal", played.seconds / played.ideal, 1.25))
    claims.append(at_least(f"{name}: least share", played.least_share, 1 / 3))

    row, free = _free_claims(1 if quick else 3)
    rows.append(row)
    claims += free
    claims.insert(0, at_most("failures, all cases", failures, 0))
    return Section(
        name="limit_live",
        title="The pace at a limit in real time, over sockets; server and clients in processes of their own.",
        columns=_COLUMNS,
        rows=rows,
        claims=claims,
        data=data,
    )
