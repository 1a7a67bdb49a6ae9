"""An exchange in trouble, in virtual time, and what a batch leaves behind that meets it."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from attrs import define, field

from fielding_async import Action, Batch, Done, FieldingSession, Pause, RunRef
from fielding_async.batch.options import Options
from fielding_async.batch.perform_all import perform_all
from fielding_async.core.wire.replies import Attempted, NotSent, Response
from fielding_async.http.transport import Outgoing
from tests.tools import virtual_time
from tests.tools.fake_exchange import FakeExchange, ref_of, session_on
from tests.tools.fake_storage import Disk, MemoryStorage

__all__ = [
    "AWAY",
    "PAGE",
    "Answer",
    "Life",
    "Rows",
    "TroubledExchange",
    "applied_once",
    "between",
    "error_body",
    "pauses",
    "perform",
]

Rows = list[tuple[RunRef, Action]]
Answer = Callable[[Outgoing, str, str], Attempted | None]
PAGE = Response(404, {"Content-Type": "text/html"}, b"<h1>default backend - 404</h1>")


def error_body(status: int) -> Response:
    return Response(status, {}, b'{"object":"so_it_is"}')


class TroubledExchange(FakeExchange):
    """Asks `trouble` for an answer to each request before it gives its own. `writes`: (run, If-Match) of those sent."""

    def __init__(self, trouble: Answer) -> None:
        super().__init__()
        self.trouble = trouble
        self.sent_writes: list[tuple[str, str]] = []
        self.probes: list[float] = []

    def answer(self, outgoing: Outgoing, name: str, action: str) -> Attempted:
        if action == "get":
            self.probes.append(asyncio.get_running_loop().time())
        else:
            self.sent_writes.append((name, outgoing.headers["If-Match"]))
        return self.trouble(outgoing, name, action) or super().answer(outgoing, name, action)


@define
class Life:
    """What a batch left behind: its rows by number, how long it took, and what it said of outages."""

    rows: dict[int, Done] = field(factory=dict)
    seconds: float = 0.0
    stuck: int = 0
    outage: Any = None
    outages: list[Any] = field(factory=list)

    def open_rows(self) -> list[int]:
        return sorted(number for number, done in self.rows.items() if done.is_open)

    def done_rows(self) -> list[int]:
        return sorted(number for number, done in self.rows.items() if done.outcome is not None)


def pauses(numbers: Iterable[int]) -> Rows:
    return [(ref_of(number), Pause()) for number in numbers]


def perform(
    disk: Disk | None, exchange: FakeExchange, rows: Any, *, session: FieldingSession | None = None, **options: Any
) -> Life:
    """Perform rows in a process of their own."""
    life = Life()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        storage = None if disk is None else lambda: MemoryStorage(disk)
        async with session or session_on(exchange) as fielding:
            async with perform_all(fielding, rows, Options(**options), storage=storage) as batch:
                watching = loop.create_task(watch(batch))
                async for done in batch:
                    assert done.number not in life.rows
                    life.rows[done.number] = done
                watching.cancel()
            life.seconds = loop.time() - began
            life.stuck, life.outage = batch.stuck, batch.outage
            assert batch.open == 0

    async def watch(batch: Batch) -> None:
        while True:
            await asyncio.sleep(1)
            if batch.outage is not None:
                life.outages.append(batch.outage)

    virtual_time.run(main())
    return life


def between(begin: float, end: float, answer: Attempted) -> Answer:
    """Trouble from `begin` to `end`, in seconds of the loop's time after its start."""

    def trouble(outgoing: Outgoing, name: str, action: str) -> Attempted | None:
        return answer if begin <= asyncio.get_running_loop().time() - 1000 < end else None

    return trouble


def applied_once(exchange: FakeExchange, count: int) -> None:
    assert sorted(exchange.applied) == sorted((f"run{number}", "pause") for number in range(count))


AWAY = NotSent("could not connect")
