"""Client processes of limited servers in real time: each makes its calls in a process of its own, over sockets."""

import asyncio
import multiprocessing
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import nullcontext
from multiprocessing.connection import Connection
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from attrs import frozen

from benchmarks.half_speed import half_speed
from fielding_async import FieldingError, FieldingSession, Limits, Pause, RunRef
from fielding_async.coordination import Shared
from fielding_async.core.wire.bodies import decode_run

__all__ = ["NAIVE", "OURS", "Done", "Job", "start_together"]

OURS = "fielding-async"
NAIVE = "naive sleep"
_SLOWEST_OPENING = 0.1


@frozen
class Job:
    """What one client process is to do.

    `slow_opening`: each request opens a connection, which takes up to 0.1 s. `starts`: when each call of a wave begins,
    in seconds; left out, all begin at once. `slowed`: on a processor of half the speed. `shared`: the URL of the Redis
    through which the session keeps one pace with others; `expected`: how many there are. `is_batch`: the calls are the
    rows of a batch, two requests each.
    """

    base_url: str
    token: str
    requests: int
    rate: float | None = None
    adaptive: bool = True
    slow_opening: bool = False
    waves: int = 1
    starts: tuple[float, ...] = ()
    slowed: bool = False
    shared: str | None = None
    expected: int | None = None
    is_batch: bool = False


@frozen
class Done:
    """What a client process did: seconds of each wave, and of each call, those that failed included."""

    failures: int
    seconds: list[float]
    cpu: list[float]
    latencies: list[float]


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
    latencies: list[float] = []
    connector = aiohttp.TCPConnector(
        limit=32, force_close=True, use_dns_cache=False, resolver=_SlowResolver() if job.slow_opening else None
    )
    async with aiohttp.ClientSession(connector=connector) as http:
        limits = Limits(rate=job.rate, adaptive=job.adaptive)
        shared = None if job.shared is None else Shared(job.shared, scope="benchmark", expected=job.expected)
        async with FieldingSession(
            job.token, base_url=job.base_url, limits=limits, http=http if job.slow_opening else None, shared=shared
        ) as fielding:

            async def one(number: int) -> None:
                nonlocal failures
                if job.starts:
                    await asyncio.sleep(job.starts[number])
                called = time.perf_counter()
                try:
                    await fielding.run(RunRef(1, "0" * 26, "1" * 26, f"r{number}")).get()
                except FieldingError:
                    failures += 1
                latencies.append(time.perf_counter() - called)

            async def batch() -> None:
                nonlocal failures
                # without the token, which would be hidden in the replies
                runs = (RunRef(1, "0" * 26, "1" * 26, f"{job.token[-1]}-{row}") for row in range(job.requests))
                rows = ((run, Pause()) for run in runs)
                async with fielding.perform_all(rows) as performed:
                    async for done in performed:
                        failures += done.error is not None

            for _ in range(job.waves):
                began, busy = time.perf_counter(), time.process_time()
                async with asyncio.TaskGroup() as group:
                    if job.is_batch:
                        group.create_task(batch())
                    else:
                        for number in range(job.requests):
                            group.create_task(one(number))
                seconds.append(time.perf_counter() - began)
                cpu.append(time.process_time() - busy)
    return Done(failures, seconds, cpu, latencies)


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
    return Done(0, [time.perf_counter() - began], [time.process_time() - busy], [])


_RUN = (
    b'{"id":"r","status":"live","version":1,"start_fielding_at":"2030-01-01T00:00:00.000Z",'
    b'"end_fielding_at":"2030-01-31T00:00:00.000Z","last_changed_at":"2030-01-01T00:00:00.000Z","last_changed_by":"x"}'
)
_CLIENTS: dict[str, Callable[[Job], Coroutine[Any, Any, Done]]] = {OURS: _ours, NAIVE: _naive}


def _work(pipe: Connection, client: str, job: Job) -> None:
    decode_run(_RUN, None)  # loads what replies are read with: else one client is late by the time that takes
    if job.shared is not None:
        Shared(job.shared)  # imports redis-py
    with half_speed() if job.slowed else nullcontext():
        pipe.send("ready")
        pipe.recv()
        pipe.send(asyncio.run(_CLIENTS[client](job)))
        pipe.recv()  # the end of a process takes CPU time that the others would miss


def start_together(client: str, jobs: Sequence[Job]) -> list[Done]:
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
    for pipe in pipes:
        pipe.send("end")
    for process in processes:
        process.join(10)
    return done
