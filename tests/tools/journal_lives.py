"""What the tests share in which processes that keep a journal come and are killed, beside a colleague."""

import asyncio
import json
from random import Random
from typing import Any

from fielding_async import Action, Done, FieldingSession, Limits, Retry, RunRef, Timeout
from fielding_async.batch.options import Options
from fielding_async.batch.perform_all import perform_all
from fielding_async.http.transport import Outgoing, Transport
from fielding_async.session import session_over

from . import virtual_time
from .fake_exchange import FakeExchange, session_on
from .fake_storage import Disk, MemoryStorage

__all__ = ["colleague", "intent_on_record", "kill", "new_session", "one_process", "target"]

Rows = list[tuple[RunRef, Action]]


def new_session(transport: Transport, dice: Random) -> FieldingSession:
    """Return the session of a new process, with dice of its own."""
    return session_over(
        transport,
        dice=Random(dice.getrandbits(64)),
        auth="token",
        base_url="https://fake.invalid/v1",
        limits=Limits(concurrency=4, adaptive=False),
        retry=Retry(base=0.01, cap=0.1, max_attempts=3),
        timeout=Timeout(total=20, attempt=5),
    )


def target(outgoing: Outgoing) -> tuple[str, str]:
    """Return the run and the action that a request is about."""
    name, _, action = outgoing.url.partition("/fielding-runs/")[2].partition("/")
    return name, "get" if outgoing.method == "GET" else action or "update"


def intent_on_record(disk: Disk, outgoing: Outgoing) -> int:
    """Return the row that a write is of: its intent is on the disk before it leaves, under the very same ETag."""
    name, action = target(outgoing)
    data = disk.data
    place = data.rfind(f'"run":"{name}"'.encode())
    assert place > 0, "a write left without an intent"
    intent: dict[str, Any] = json.loads(data[data.rfind(b"\n", 0, place) + 1 : data.index(b"\n", place)])
    assert intent["etag"] == outgoing.headers["If-Match"], "a write left under another ETag than that on record"
    assert action == (intent["action"] if isinstance(intent["action"], str) else "update")
    number: int = intent["intent"]
    return number


async def kill(disk: Disk, dice: Random) -> None:
    """End a process whose transport is dead already: nothing more of it reaches its disk, and its tasks are gone."""
    disk.crash(dice)
    me = asyncio.current_task()
    while others := asyncio.all_tasks() - {me}:
        for task in others:
            task.cancel()
        await asyncio.wait(others, timeout=0.001)


def colleague(
    exchange: FakeExchange, names: list[str], dice: Random, *, rate: float, statuses: tuple[str, ...]
) -> None:
    """Change a run now and then, `rate` times a second; 0: never."""
    loop = asyncio.get_running_loop()

    def act() -> None:
        run = exchange.run(dice.choice(names))
        run["version"] += 1
        if dice.random() < 0.5:
            run["status"] = dice.choice(statuses)
        if dice.random() < 0.5:
            run["end_fielding_at"] = f"2033-01-01T00:00:{dice.randrange(60):02}.000Z"
        loop.call_later(dice.expovariate(rate), act)

    if rate:
        loop.call_later(dice.expovariate(rate), act)


def one_process(disk: Disk, exchange: FakeExchange, rows: Rows, **options: Any) -> list[Done]:
    """Perform rows with a journal on this disk, as a process of its own would, in virtual time."""

    async def main() -> list[Done]:
        async with session_on(exchange) as fielding:
            context = perform_all(fielding, rows, Options(**options), storage=lambda: MemoryStorage(disk))
            async with context as batch:
                return [done async for done in batch]

    return virtual_time.run(main())
