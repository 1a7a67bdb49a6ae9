"""A run with many writers, in virtual time: its server, the way there, and the SDK's transport over it."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

from attrs import define, frozen

from fielding_async import RunRef
from fielding_async.core.wire.replies import Attempted, Response
from fielding_async.http.transport import Outgoing

__all__ = ["END", "HOUR", "REF", "USUAL", "Run", "RunTransport", "Way"]

REF = RunRef(1, "0" * 26, "1" * 26, "run")
END = datetime(2031, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


@frozen
class Way:
    """The way to the server: seconds there and back together; each way up to `jitter` seconds longer.

    `service`: the seconds that the server takes for each request, one after the other.
    """

    round_trip: float
    jitter: float
    service: float = 0.0

    @property
    def text(self) -> str:
        """For the table: from where to where, in milliseconds."""
        low, high = 1000 * self.round_trip, 1000 * (self.round_trip + 2 * self.jitter)
        return f"{low:g} to {high:g} ms{', serial' if self.service else ''}"


USUAL = Way(0.02, 0.005)


@define
class Run:
    """The run on the server: its version is its ETag."""

    dice: random.Random
    way: Way = USUAL
    _free_from: float = 0.0
    version: int = 1
    end: datetime = END
    requests: int = 0

    async def _travel(self) -> None:
        await asyncio.sleep(self.way.round_trip / 2 + self.dice.uniform(0, self.way.jitter))

    async def _arrive(self) -> None:
        await self._travel()
        if self.way.service:
            loop = asyncio.get_running_loop()
            self._free_from = max(self._free_from, loop.time()) + self.way.service
            await asyncio.sleep(self._free_from - loop.time())

    async def get(self) -> tuple[int, datetime]:
        """Return the version and the end."""
        self.requests += 1
        await self._arrive()
        found = self.version, self.end
        await self._travel()
        return found

    async def put(self, version: int, end: datetime) -> int | None:
        """Set the end if the version still is this one: the new version, or `None` for a 412."""
        self.requests += 1
        await self._arrive()
        accepted = version == self.version
        if accepted:
            self.version, self.end = version + 1, end
        found = self.version
        await self._travel()
        return found if accepted else None


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


@define
class RunTransport:
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
