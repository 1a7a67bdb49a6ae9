"""A row whose journal may go on elsewhere: its write does not leave, whatever permission it has, and it stays open."""

import asyncio
import json
from collections.abc import Callable, Iterator
from itertools import chain, repeat

import pytest

from fielding_async import (
    Action,
    BearerToken,
    Done,
    FieldingSession,
    JournalError,
    Limits,
    OutcomeUnknownError,
    Pause,
    Resume,
    RunRef,
)
from fielding_async.batch.options import Options
from fielding_async.batch.perform_all import perform_all
from fielding_async.core.wire.replies import Attempted
from fielding_async.http import fast_path
from fielding_async.http.transport import Outgoing
from tests.tools import virtual_time
from tests.tools.fake_exchange import FakeExchange, ref_of, session_on
from tests.tools.fake_storage import Disk, MemoryStorage
from tests.tools.loopback import LoopbackServer

Rows = list[tuple[RunRef, Action]]


class LeasedStorage(MemoryStorage):
    """A journal in memory whose lease holds as long as `holds` says so."""

    def __init__(self, disk: Disk, holds: Callable[[], bool]) -> None:
        super().__init__(disk)
        self._holds = holds

    @property
    def may_leave(self) -> Callable[[], bool]:
        return self._holds


class SlowToConnect(FakeExchange):
    """An exchange to which a connection takes 0.1 seconds."""

    async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
        await asyncio.sleep(0.1)
        return await super().send(outgoing, timeout=timeout, connect_timeout=connect_timeout)


async def perform(session: FieldingSession, rows: Rows, disk: Disk, holds: Callable[[], bool]) -> list[Done]:
    """Return the rows as they are yielded."""
    async with (
        session as fielding,
        perform_all(fielding, iter(rows), Options(wait=60.0), storage=lambda: LeasedStorage(disk, holds)) as batch,
    ):
        return [done async for done in batch]


def perform_until(exchange: FakeExchange, lapses_at: float, rows: Rows, disk: Disk, **settings: object) -> list[Done]:
    """Perform rows in virtual time, under a lease that lapses at this time after the start."""

    async def main() -> list[Done]:
        loop = asyncio.get_running_loop()
        until = loop.time() + lapses_at
        return await perform(session_on(exchange, **settings), rows, disk, lambda: loop.time() < until)

    return virtual_time.run(main())


def test_a_lease_that_lapses_between_permission_and_socket_holds_the_write_back() -> None:
    """No byte of the write leaves; its row is open, and its record says that nothing of it can be applied."""
    exchange, disk = SlowToConnect(latency=0.01), Disk()
    # GET: 0.11 s, then the intent is made durable within 10 ms, and the write connects from 0.12 s to 0.22 s
    (done,) = perform_until(exchange, 0.2, [(ref_of(1), Pause())], disk)
    assert exchange.requests == {"get": 1}
    assert isinstance(done.error, JournalError)
    assert done.is_open
    assert "lease" in str(done.error)
    assert b'"settled":0' in disk.data
    assert not disk.replayed().open


def test_a_lease_that_lapses_while_the_write_waits_for_the_pace_holds_it_back() -> None:
    """Requests that wait at the socket for their time ask again when it has come."""
    exchange, disk = FakeExchange(latency=0.01), Disk()
    times: list[float] = []
    exchange.lose = lambda run, action: times.append(asyncio.get_running_loop().time())
    limits = Limits(concurrency=8, rate=1, adaptive=False)
    done = perform_until(exchange, 5.5, [(ref_of(n), Pause()) for n in range(6)], disk, limits=limits)
    assert 0 < len(times) < 6
    assert max(times) < 1005.52
    assert len(exchange.applied) == sum(each.error is None for each in done)
    assert all(each.is_open for each in done if each.error is not None)
    assert not disk.replayed().open


class Colleague(FakeExchange):
    """An exchange at which somebody else writes just before each of our writes arrives."""

    def answer(self, outgoing: Outgoing, name: str, action: str) -> Attempted:
        self.run(name)["version"] += action != "get"
        return super().answer(outgoing, name, action)


def perform_until_a_write(exchange: FakeExchange, rows: Rows, disk: Disk, fate: str | None) -> list[Done]:
    """Perform rows under a lease that lapses as the first write arrives, which has this fate."""
    lapsed: list[str] = []

    def lose(run: str, action: str) -> str | None:
        lapsed.append(action)
        return fate

    exchange.lose = lose
    return virtual_time.run(perform(session_on(exchange), rows, disk, lambda: not lapsed))


def test_after_a_412_the_lease_is_asked_again() -> None:
    """A write that was refused is not sent under the fresh ETag once the lease is over."""
    exchange, disk = Colleague(latency=0.01), Disk()
    (done,) = perform_until_a_write(exchange, [(ref_of(1), Pause())], disk, None)
    assert exchange.requests == {"get": 2, "pause": 1}
    assert not exchange.applied
    assert isinstance(done.error, JournalError)
    assert done.is_open
    assert not disk.replayed().open


@pytest.mark.parametrize("fate", ["before", "after"])
def test_between_the_attempts_of_a_lost_reply_the_lease_is_asked_again(fate: str) -> None:
    """What may have been applied keeps its intent, and whoever goes on with the journal judges it."""
    exchange, disk = FakeExchange(latency=0.01), Disk()
    (done,) = perform_until_a_write(exchange, [(ref_of(1), Pause())], disk, fate)
    assert exchange.requests == {"get": 1, "pause": 1}
    assert isinstance(done.error, OutcomeUnknownError)
    assert done.is_open
    assert [(action, base.etag) for action, base in disk.replayed().open.values()] == [(Pause(), 'W/"1"')]
    exchange.lose = lambda run, action: None
    (done,) = perform_until(exchange, 60, [(ref_of(1), Pause())], disk)
    assert done.outcome is not None
    assert done.outcome.effect == ("accepted" if fate == "before" else "unconfirmed")
    assert exchange.times(1) == 1


def test_later_rows_of_a_run_whose_row_was_held_back_are_not_sent() -> None:
    """They come after it, in the next batch with this journal."""
    exchange, disk = SlowToConnect(latency=0.01), Disk()
    rows: Rows = [(ref_of(1), Pause()), (ref_of(1), Resume())]
    done = perform_until(exchange, 0.2, rows, disk)
    assert [each.is_open for each in done] == [True, True]
    assert not exchange.applied
    done = perform_until(exchange, 60, rows, disk)
    assert [each.error for each in done] == [None, None]
    assert exchange.applied == [("run1", "pause"), ("run1", "resume")]


class Exchange(LoopbackServer):
    """A server that answers GETs of one run and accepts all writes. `received`: every byte, by connection."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(self.received)
        self.received.append(b"")
        while data := await reader.read(65536):
            self.received[number] += data
            body = b""
            if data.startswith(b"GET"):
                run = {"id": "run1", "status": "live", "version": 1, "start_fielding_at": "2030-01-01T08:00:01.000Z"}
                run |= {"end_fielding_at": "2031-01-31T08:00:01.005Z", "last_changed_by": "somebody"}
                run["last_changed_at"] = run["start_fielding_at"]
                body = json.dumps(run).encode()
            status = b"200 OK" if body else b"204 No Content"
            length = b"Content-Length: %d\r\nContent-Type: application/json\r\n" % len(body) if body else b""
            writer.write(b'HTTP/1.1 %b\r\nETag: W/"1"\r\n%b\r\n%b' % (status, length, body))
            await writer.drain()


@pytest.mark.parametrize("way", ["fast", "public"])
@pytest.mark.parametrize(("answers", "writes"), [([True, False], 0), ([True, True], 1), ([True, False, True, True], 1)])
async def test_no_byte_of_a_write_that_is_held_back_is_on_the_wire(
    monkeypatch: pytest.MonkeyPatch, way: str, answers: list[bool], writes: int
) -> None:
    """Over real sockets, on both ways to send: asked before the attempt, and again when the connection is open.

    If the lease holds again, the write is sent under a new permission.
    """
    if way == "public":
        monkeypatch.setattr(fast_path, "_REQUEST", None)
    said: Iterator[bool] = chain(answers, repeat(answers[-1]))
    async with Exchange() as exchange:
        session = FieldingSession(auth=BearerToken("token"), base_url=f"http://127.0.0.1:{exchange.port}/v1")
        (done,) = await perform(session, [(ref_of(1), Pause())], Disk(), lambda: next(said))
    received = b"".join(exchange.received)
    assert received.count(b"GET ") == 1
    assert received.count(b"POST ") == writes
    assert received.endswith(b"\r\n\r\n")
    assert (done.error is None) == bool(writes)
    assert done.is_open == (not writes)
