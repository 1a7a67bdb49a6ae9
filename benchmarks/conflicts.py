"""Many writers on one run, each with a session of its own: HTTP requests for each increment that counts.

In virtual time. Each writer lets the run end an hour later, ten times; the ETag decides who was first.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import backoff
import stamina
from attrs import asdict, define, frozen

from benchmarks.limit_clients import Loop, simulate
from benchmarks.report import Cell, Claim, Section, at_most
from fielding_async import FieldingError, FieldingRun, RunRef, Update
from fielding_async.core.wire.replies import Attempted, Response
from fielding_async.http.transport import Outgoing
from fielding_async.session import session_over

__all__ = ["Run", "run"]

OURS = "fielding-async"
_WRITERS = (1, 2, 4, 8, 16, 32, 64)
_EACH = 10
_ONE_WAY = 0.01
_JITTER = 0.005
_REF = RunRef(1, "0" * 26, "1" * 26, "run")
_END = datetime(2031, 1, 1, tzinfo=UTC)
_HOUR = timedelta(hours=1)


@define
class Run:
    """The run on the server: its version is its ETag."""

    dice: random.Random
    version: int = 1
    end: datetime = _END
    requests: int = 0

    async def _travel(self) -> None:
        await asyncio.sleep(_ONE_WAY + self.dice.uniform(0, _JITTER))

    async def get(self) -> tuple[int, datetime]:
        """Return the version and the end."""
        self.requests += 1
        await self._travel()
        found = self.version, self.end
        await self._travel()
        return found

    async def put(self, version: int, end: datetime) -> int | None:
        """Set the end if the version still is this one: the new version, or `None` for a 412."""
        self.requests += 1
        await self._travel()
        accepted = version == self.version
        if accepted:
            self.version, self.end = version + 1, end
        found = self.version
        await self._travel()
        return found if accepted else None


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


@define
class _Transport:
    """The SDK's seam, over a run."""

    target: Run

    async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
        del timeout, connect_timeout  # no reply is ever lost
        await outgoing.leave()
        if outgoing.method == "GET":
            version, end = await self.target.get()
            body = (
                f'{{"id":"run","status":"live","version":{version},"start_fielding_at":"2026-01-01T00:00:00.000Z",'
                f'"end_fielding_at":"{_text(end)}","last_changed_at":"2026-01-01T00:00:00.000Z",'
                '"last_changed_by":"somebody"}'
            )
            return Response(200, {"ETag": f'W/"{version}"'}, body.encode())
        assert outgoing.body is not None
        wanted = outgoing.body.decode().partition('"end_fielding_at":')[2].split('"')[1]
        etag = int(outgoing.headers["If-Match"].split('"')[1])
        left = await self.target.put(etag, datetime.fromisoformat(wanted))
        if left is None:
            return Response(412, {}, b"{}")
        return Response(202, {"ETag": f'W/"{left}"'}, b'{"id":"run"}')

    def close_now(self) -> None:
        """Do nothing: nothing was opened."""

    async def aclose(self) -> None:
        """Nothing was opened."""


Writer = Callable[[Run, random.Random], Awaitable[int]]
"""Adds an hour `_EACH` times; returns how many of them failed."""


def _longer(now: FieldingRun) -> Update:
    return Update(end_fielding_at=now.end_fielding_at + _HOUR)


async def _ours(target: Run, dice: random.Random) -> int:
    failures = 0
    async with session_over(_Transport(target), dice=dice, auth="token") as fielding:
        for _ in range(_EACH):
            try:
                await fielding.run(_REF).update(_longer)
            except FieldingError:
                failures += 1
    return failures


class _Conflict(Exception):  # noqa: N818 - a status, not an error
    """412."""


async def _get_and_put(target: Run) -> None:
    version, end = await target.get()
    if await target.put(version, end + _HOUR) is None:
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


def _play(writer: Writer, writers: int) -> Result:
    target = Run(random.Random(writers))
    loop = Loop()

    async def main() -> int:
        return sum(await asyncio.gather(*(writer(target, random.Random(f"{number}")) for number in range(writers))))

    began = loop.time()
    failures = simulate(main(), loop, writers)
    successes = writers * _EACH - failures
    lost = successes - round((target.end - _END) / _HOUR)
    return Result(target.requests / successes if successes else 0.0, failures, lost, loop.time() - began)


def run(*, quick: bool = False) -> Section:
    """Let 1 to 64 writers loose on one run. `quick`: at most 8."""
    found = {
        name: {writers: _play(writer, writers) for writers in _WRITERS if writers <= 8 or not quick}
        for name, writer in _CLIENTS.items()
    }
    rows: list[list[Cell]] = [
        [
            writers,
            name,
            round(result.requests, 2),
            result.failures,
            result.lost,
            round(result.seconds, 1),
            round(writers * _EACH / result.seconds, 1),
        ]
        for writers in found[OURS]
        for name, results in found.items()
        for result in (results[writers],)
    ]
    ours, naive = found[OURS], found["naive GET and PUT"]
    most = max(ours)
    claims: list[Claim] = [
        at_most("failures", sum(result.failures for result in ours.values()), 0),
        at_most("increments lost", sum(result.lost for result in ours.values()), 0),
        at_most("one writer: requests per success", ours[1].requests, 1 + 1 / _EACH),
        at_most(f"{most} writers: requests per success, ours / naive", ours[most].requests / naive[most].requests, 0.5),
    ]
    return Section(
        name="conflicts",
        title=(
            "Writers with sessions of their own on one run, ten increments each, replies in 20 to 30 ms (virtual time)."
        ),
        columns=["writers", "client", "requests per success", "failures", "lost", "seconds", "successes per second"],
        rows=rows,
        claims=claims,
        data={name: {str(n): asdict(result) for n, result in results.items()} for name, results in found.items()},
    )
