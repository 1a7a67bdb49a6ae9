"""Many writers on one run in real time: over sockets, against the sandbox in a process of its own.

Two distances: next door, and behind a relay that holds every byte back for 10 ms each way. The clients take turns in
one process. Each writer lets the run end an hour later, ten times, in a session of its own.
"""

import asyncio
import multiprocessing
import statistics
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import AsyncExitStack, contextmanager, suppress
from datetime import timedelta
from multiprocessing.connection import Connection

import aiohttp
from attrs import frozen

from benchmarks.report import Cell, Claim, Section, at_most
from fielding_async import FieldingError, FieldingRun, FieldingSession, Limits, RunRef, Update
from fielding_async.core.wire.bodies import decode_run
from fielding_async.sandbox import Sandbox

__all__ = ["run"]

_EACH = 10
_HOUR = timedelta(hours=1)
_ONE_WAY = 0.01
_CROWD = 64  # they take so long that chance evens out within one round
_FAR = f"{2000 * _ONE_WAY:g} ms away"
_NEAR = "next door"
_TOKEN = "token-of-the-benchmark"
_OURS = "fielding-async"
_FREE = f"{_OURS}, free"
_NAIVE = "naive GET and PUT"


async def _hold_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Write what is read, each time `_ONE_WAY` later."""
    loop = asyncio.get_running_loop()
    with suppress(OSError):
        while data := await reader.read(65_536):
            loop.call_later(_ONE_WAY, writer.write, data)
    loop.call_later(_ONE_WAY, writer.close)


async def _serve(pipe: Connection) -> None:
    loop = asyncio.get_running_loop()
    async with Sandbox(require_token=_TOKEN) as sandbox:
        port = int(sandbox.url.split(":")[2].split("/")[0])
        pumps: set[asyncio.Task[None]] = set()

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            back, forth = await asyncio.open_connection("127.0.0.1", port)
            for pump in (_hold_back(reader, forth), _hold_back(back, writer)):
                task = loop.create_task(pump)
                pumps.add(task)
                task.add_done_callback(pumps.discard)

        far = await asyncio.start_server(relay, "127.0.0.1", 0)
        async with far:
            pipe.send((sandbox.url, sandbox.url.replace(str(port), str(far.sockets[0].getsockname()[1]))))
            while await loop.run_in_executor(None, pipe.recv):
                ref = sandbox.add_run("live")
                pipe.send((ref, sandbox.inspect(ref).version))
                pipe.send(sandbox.inspect(await loop.run_in_executor(None, pipe.recv)).version)


def _main(pipe: Connection) -> None:
    asyncio.run(_serve(pipe))


@contextmanager
def _serving() -> Generator[tuple[Connection, str, str]]:
    """Run the sandbox in a process of its own; yield the way to ask it, and its URLs near and far."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_main, args=(theirs,), daemon=True)
    process.start()
    theirs.close()  # so that a sandbox that never came up ends the wait below
    try:
        near, far = ours.recv()
        yield ours, near, far
    finally:
        ours.send(False)
        process.join(10)


@frozen
class _Tally:
    requests: int
    failures: int
    seconds: float


def _longer(now: FieldingRun) -> Update:
    return Update(end_fielding_at=now.end_fielding_at + _HOUR)


async def _ours(url: str, ref: RunRef, writers: int, *, adaptive: bool = True) -> _Tally:
    """One session for each writer, with all defaults."""
    limits = Limits(adaptive=adaptive)
    requests = failures = 0

    async def write(fielding: FieldingSession) -> None:
        nonlocal requests, failures
        for _ in range(_EACH):
            try:
                outcome = await fielding.run(ref).update(_longer)
            except FieldingError:
                failures += 1
            else:
                requests += outcome.requests

    async with AsyncExitStack() as stack:
        sessions = [
            await stack.enter_async_context(FieldingSession(_TOKEN, base_url=url, limits=limits))
            for _ in range(writers)
        ]
        began = time.perf_counter()
        await asyncio.gather(*map(write, sessions))
        return _Tally(requests, failures, time.perf_counter() - began)


async def _free(url: str, ref: RunRef, writers: int) -> _Tally:
    """Without a pace to learn: what takes time is the conflicts."""
    return await _ours(url, ref, writers, adaptive=False)


async def _naive(url: str, ref: RunRef, writers: int) -> _Tally:
    """One aiohttp session for each writer: GET, then PUT; after a 412 the same again, at once."""
    requests = 0
    path = f"/demand/accounts/{ref.account_id}/projects/{ref.project_id}/target-groups/{ref.target_group_id}"
    address = f"{url}{path}/fielding-runs/{ref.fielding_run_id}"

    async def write(http: aiohttp.ClientSession) -> None:
        nonlocal requests
        for _ in range(_EACH):
            status = 412
            while status == 412:
                async with http.get(address) as reply:
                    body, etag = await reply.json(), reply.headers["ETag"]
                    found = decode_run(await reply.read(), etag, ref)
                wanted = (found.end_fielding_at + _HOUR).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
                bounds = {"start_fielding_at": body["start_fielding_at"], "end_fielding_at": wanted}
                async with http.put(address, json=bounds, headers={"If-Match": etag}) as reply:
                    await reply.read()
                    status = reply.status
                requests += 2
            assert status == 202

    headers = {"Authorization": f"Bearer {_TOKEN}", "Cint-API-Version": "2025-12-18"}
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(aiohttp.ClientSession(headers=headers)) for _ in range(writers)]
        began = time.perf_counter()
        await asyncio.gather(*map(write, clients))
        return _Tally(requests, 0, time.perf_counter() - began)


_CLIENTS: dict[str, Callable[[str, RunRef, int], Awaitable[_Tally]]] = {_OURS: _ours, _FREE: _free, _NAIVE: _naive}


def run(*, quick: bool = False) -> Section:
    """Let 2, 8 and 64 writers write to one run. `quick`: 2 and 8, once."""
    sizes = (2, 8) if quick else (2, 8, _CROWD)
    rows: list[list[Cell]] = []
    claims: list[Claim] = []
    failures = lost = 0
    with _serving() as (sandbox, near, far):

        async def play(url: str, writers: int, name: str) -> _Tally:
            nonlocal failures, lost
            sandbox.send(True)
            ref, before = sandbox.recv()
            tally = await _CLIENTS[name](url, ref, writers)
            sandbox.send(ref)
            failures += tally.failures
            lost += writers * _EACH - tally.failures - (sandbox.recv() - before)
            return tally

        for place, url in ((_NEAR, near), (_FAR, far)):
            for writers in sizes:
                rounds = 1 if quick or writers == _CROWD else 3
                played = [{name: asyncio.run(play(url, writers, name)) for name in _CLIENTS} for _ in range(rounds)]
                requests = {
                    name: statistics.median(one[name].requests / (writers * _EACH) for one in played)
                    for name in _CLIENTS
                }
                for name in _CLIENTS:
                    seconds = statistics.median(one[name].seconds for one in played)
                    rows.append([writers, place, name, round(requests[name], 2), round(seconds, 2)])
                ratio = statistics.median(one[_FREE].seconds / one[_NAIVE].seconds for one in played)
                claims.append(at_most(f"{writers} writers, {place}: seconds, free / naive", ratio, 1.3))
                if writers == max(sizes):
                    ratio = statistics.median(one[_OURS].seconds / one[_NAIVE].seconds for one in played)
                    claims += [
                        at_most(f"{writers} writers, {place}: seconds, ours / naive", ratio, 1.3),
                        at_most(f"{writers} writers, {place}: requests per success", requests[_OURS], 5),
                    ]
    return Section(
        name="conflicts_live",
        title="Writers with sessions of their own on one run, ten increments each, against the sandbox (real time). "
        "Free: without learning a pace.",
        columns=["writers", "sandbox", "client", "requests per success", "seconds"],
        rows=rows,
        claims=[at_most("failures", failures, 0), at_most("increments lost", lost, 0), *claims],
    )
