"""Many writers on one run, each with a session of its own: HTTP requests for each increment that counts.

In virtual time. Each writer lets the run end an hour later, ten times; the ETag decides who was first. All clients
are played at one distance; the SDK and loops that never wait also at others, and at a server that works off one
request after the other.
"""

import asyncio
import random
import statistics
from collections.abc import Awaitable, Callable
from typing import Any

import backoff
import stamina
from attrs import asdict, frozen

from benchmarks.conflict_run import END, HOUR, REF, USUAL, Run, RunTransport, Way
from benchmarks.limit_clients import Loop, simulate
from benchmarks.report import Cell, Claim, Section, at_most
from fielding_async import FieldingError, FieldingRun, FieldingSession, Limits, Timeout, Update
from fielding_async.session import session_over

__all__ = ["run"]

OURS = "fielding-async"
_WRITERS = (1, 2, 4, 8, 16, 32, 64)
_EACH = 10
_SERVICE = 0.0005
_PLAYS = 3
_OTHERS = [
    (writers, Way(round_trip, round_trip / 8, service))
    for writers in (2, 8, 64)
    for round_trip in (0.001, 0.02, 0.3)
    for service in (0.0, _SERVICE)
]
_CROWD = (200, USUAL)

Writer = Callable[[Run, random.Random], Awaitable[int]]
"""Adds an hour `_EACH` times; returns how many of them failed."""


def _longer(now: FieldingRun) -> Update:
    return Update(end_fielding_at=now.end_fielding_at + HOUR)


async def _ours(target: Run, dice: random.Random) -> int:
    return await _increase(session_over(RunTransport(target), dice=dice, auth="token"))


async def _free(target: Run, dice: random.Random) -> int:
    """Without a deadline, and without a pace to learn: what takes time is the conflicts."""
    free: dict[str, Any] = {"timeout": Timeout(total=None), "limits": Limits(adaptive=False)}
    return await _increase(session_over(RunTransport(target), dice=dice, auth="token", **free))


async def _increase(session: FieldingSession) -> int:
    failures = 0
    async with session as fielding:
        for _ in range(_EACH):
            try:
                await fielding.run(REF).update(_longer)
            except FieldingError:
                failures += 1
    return failures


class _Conflict(Exception):  # noqa: N818 - a status, not an error
    """412."""


async def _get_and_put(target: Run) -> None:
    version, end = await target.get()
    if await target.put(version, end + HOUR) is None:
        raise _Conflict


async def _repeat(act: Callable[[], Awaitable[None]]) -> int:
    failures = 0
    for _ in range(_EACH):
        try:
            await act()
        except _Conflict:
            failures += 1
    return failures


async def _naive(target: Run, dice: random.Random) -> int:
    """GET, then PUT; after a 412 the same again, at once, as often as it takes."""
    del dice

    async def act() -> None:
        while True:
            try:
                return await _get_and_put(target)
            except _Conflict:
                continue

    return await _repeat(act)


async def _backoff(target: Run, dice: random.Random) -> int:
    """`backoff.expo` around GET and PUT, with full jitter and 8 tries."""
    del dice

    @backoff.on_exception(backoff.expo, _Conflict, max_tries=8)
    async def act() -> None:
        await _get_and_put(target)

    return await _repeat(act)


async def _stamina(target: Run, dice: random.Random) -> int:
    """`stamina.retry` around GET and PUT, with its defaults."""
    del dice

    @stamina.retry(on=_Conflict)
    async def act() -> None:
        await _get_and_put(target)

    return await _repeat(act)


_CLIENTS: dict[str, Writer] = {
    OURS: _ours,
    "naive GET and PUT": _naive,
    "backoff.expo": _backoff,
    "stamina": _stamina,
}


@frozen
class Result:
    """What writers came to: requests for each success, failures, increments lost, seconds."""

    requests: float
    failures: int
    lost: int
    seconds: float


def _play(writer: Writer, writers: int, way: Way = USUAL, play: int = 0) -> Result:
    target = Run(random.Random(1000 * play + writers), way)
    loop = Loop()

    async def main() -> int:
        dice = (random.Random(f"{play} {number}") for number in range(writers))
        return sum(await asyncio.gather(*(writer(target, one) for one in dice)))

    began = loop.time()
    failures = simulate(main(), loop, writers)
    successes = writers * _EACH - failures
    lost = successes - round((target.end - END) / HOUR)
    return Result(target.requests / successes if successes else 0.0, failures, lost, loop.time() - began)


@frozen
class Pair:
    """The SDK and loops that never wait, in the same world: medians of some plays. `ratio`: of the seconds."""

    writers: int
    way: Way
    ours: Result
    naive: Result
    ratio: float


def _compare(writers: int, way: Way, plays: int) -> Pair:
    def median(results: list[Result]) -> Result:
        return Result(
            statistics.median(result.requests for result in results),
            sum(result.failures for result in results),
            sum(result.lost for result in results),
            statistics.median(result.seconds for result in results),
        )

    ours, naive = ([_play(writer, writers, way, play) for play in range(plays)] for writer in (_free, _naive))
    ratio = statistics.median(mine.seconds / other.seconds for mine, other in zip(ours, naive, strict=True))
    return Pair(writers, way, median(ours), median(naive), ratio)


def _row(writers: int, way: Way, name: str, result: Result) -> list[Cell]:
    return [
        writers,
        way.text,
        name,
        round(result.requests, 2),
        result.failures,
        result.lost,
        round(result.seconds, 2),
        round(writers * _EACH / result.seconds, 1),
    ]


def run(*, quick: bool = False) -> Section:
    """Let 1 to 64 writers write to one run, and some also far away. `quick`: at most 8."""
    found = {
        name: {writers: _play(writer, writers) for writers in _WRITERS if writers <= 8 or not quick}
        for name, writer in _CLIENTS.items()
    }
    pairs = [_compare(writers, way, _PLAYS) for writers, way in _OTHERS if writers <= 8 or not quick]
    crowd = [] if quick else [_compare(*_CROWD, plays=1)]
    rows = [_row(writers, USUAL, name, results[writers]) for writers in found[OURS] for name, results in found.items()]
    for pair in [*pairs, *crowd]:
        rows += [
            _row(pair.writers, pair.way, f"{OURS}, free", pair.ours),
            _row(pair.writers, pair.way, "naive GET and PUT", pair.naive),
        ]
    ours, naive = found[OURS], found["naive GET and PUT"]
    most = max(ours)
    all_ours = [*ours.values(), *(pair.ours for pair in [*pairs, *crowd])]
    claims: list[Claim] = [
        at_most("failures", sum(result.failures for result in all_ours), 0),
        at_most("increments lost", sum(result.lost for result in all_ours), 0),
        at_most("one writer: requests per success", ours[1].requests, 1 + 1 / _EACH),
        at_most(f"{most} writers: seconds, ours / naive", ours[most].seconds / naive[most].seconds, 1.3),
        at_most(f"{most} writers: requests per success", ours[most].requests, 5),
        at_most("at any distance: seconds, ours / naive, the worst", max(pair.ratio for pair in pairs), 1.3),
        at_most("at any distance: requests per success, the most", max(pair.ours.requests for pair in pairs), 5),
    ]
    claims += [at_most(f"{pair.writers} writers: seconds, ours / naive", pair.ratio, 1.3) for pair in crowd]
    return Section(
        name="conflicts",
        title=(
            "Writers with sessions of their own on one run, ten increments each (virtual time). "
            f"Serial: the server takes {1000 * _SERVICE:g} ms for each request, one after the other. "
            "Free: without a deadline, and without learning a pace."
        ),
        columns=[
            "writers",
            "replies in",
            "client",
            "requests per success",
            "failures",
            "lost",
            "seconds",
            "successes per second",
        ],
        rows=rows,
        claims=claims,
        data={name: {str(n): asdict(result) for n, result in results.items()} for name, results in found.items()},
    )
