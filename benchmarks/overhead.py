"""What the SDK costs on top of hand-written aiohttp: CPU per request of warm actions, 32 at once, as paired ratios.

    python -m benchmarks.overhead [--rounds 15] [--actions 2000]

Peers, in the same run against the same server: aiohttp with an ETag dict written by hand, and the naive
GET-then-act that users write first.
"""

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from itertools import chain

import aiohttp

from benchmarks.server import serving
from fielding_async import FieldingSession, RunRef

PROJECT, GROUP = "0" * 26, "1" * 26
AT_ONCE = 32
HEADERS = {"Authorization": "Bearer token", "Cint-API-Version": "2025-12-18", "Accept": "application/json"}

Round = Callable[[], Awaitable[None]]


def _path(run: str) -> str:
    return f"/demand/accounts/101/projects/{PROJECT}/target-groups/{GROUP}/fielding-runs/{run}"


async def _side_by_side(act: Callable[[str, int], Awaitable[object]], prefix: str, actions: int) -> None:
    """Perform `actions` actions, one run to each of the 32 tasks."""

    async def one(number: int) -> None:
        for turn in range(actions // AT_ONCE):
            await act(f"{prefix}{number}", turn)

    async with asyncio.TaskGroup() as group:
        for number in range(AT_ONCE):
            group.create_task(one(number))


async def measure(base_url: str, rounds: int, actions: int) -> dict[str, list[float]]:
    """Return the CPU seconds per action of each peer, round by round, the peers taking turns."""
    connector = aiohttp.TCPConnector(limit=AT_ONCE)
    async with (
        FieldingSession("token", base_url=base_url) as fielding,
        aiohttp.ClientSession(connector=connector, headers=HEADERS) as http,
    ):
        etags: dict[str, str] = {}

        async def ours(run: str, turn: int) -> None:
            handle = fielding.run(RunRef(101, PROJECT, GROUP, run))
            await (handle.resume() if turn % 2 else handle.pause())

        async def by_hand(run: str, turn: int) -> None:
            url = base_url + _path(run)
            if run not in etags:
                async with http.get(url) as reply:
                    await reply.json()
                    etags[run] = reply.headers["ETag"]
            action = "resume" if turn % 2 else "pause"
            async with http.post(f"{url}/{action}", headers={"If-Match": etags[run]}) as reply:
                assert reply.status == 204
                etags[run] = reply.headers["ETag"]

        async def naive(run: str, turn: int) -> None:
            url = base_url + _path(run)
            async with http.get(url) as reply:
                await reply.json()
                etag = reply.headers["ETag"]
            action = "resume" if turn % 2 else "pause"
            async with http.post(f"{url}/{action}", headers={"If-Match": etag}) as reply:
                assert reply.status == 204

        peers = {"fielding-async": ours, "aiohttp by hand": by_hand, "naive GET-then-act": naive}
        found: dict[str, list[float]] = {name: [] for name in peers}
        for number in range(rounds + 2):  # the first two warm up
            for name, act in peers.items():
                started = time.process_time()
                await _side_by_side(act, name.split()[0], actions)
                if number >= 2:
                    found[name].append((time.process_time() - started) / actions)
        return found


def paired(ours: list[float], theirs: list[float]) -> tuple[float, float, float]:
    """Return the median of the ratios round by round, and the quartiles around it."""
    ratios = sorted(mine / other for mine, other in zip(ours, theirs, strict=True))
    low, _, high = statistics.quantiles(ratios, n=4)
    return statistics.median(ratios), low, high


def main() -> None:
    """Measure, and print a table and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--actions", type=int, default=2000)
    options = parser.parse_args()
    with serving() as base_url:
        found = asyncio.run(measure(base_url, options.rounds, options.actions))
    ours = found["fielding-async"]
    rows = {name: (statistics.median(times) * 1e6, *paired(ours, times)) for name, times in found.items()}
    width = max(map(len, chain(rows, ["client"])))
    print(f"{'client':{width}}  CPU us per action   fielding-async / client (quartiles)")
    for name, (median, ratio, low, high) in rows.items():
        print(f"{name:{width}}  {median:17.0f}   {ratio:.2f} ({low:.2f} to {high:.2f})")
    print(json.dumps({name: {"cpu_us": row[0], "ratio": row[1], "quartiles": row[2:]} for name, row in rows.items()}))


if __name__ == "__main__":
    main()
