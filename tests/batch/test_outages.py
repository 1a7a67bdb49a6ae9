"""Rows that fail for what is not their own: tried again, set aside, or left open until the exchange is back.

In virtual time, with a journal on a disk in memory, unless a test says otherwise.
"""

import asyncio
from collections.abc import Iterable
from random import Random
from typing import Any

import pytest

from fielding_async import (
    Action,
    AuthenticationError,
    ClientCredentials,
    ConfigurationError,
    Done,
    FieldingSession,
    Limits,
    OutcomeUnknownError,
    Pause,
    PermissionDeniedError,
    Relaunch,
    Resume,
    Retry,
    RunRef,
    ServerError,
    SkippedError,
    Timeout,
    TransportError,
)
from fielding_async.batch.options import Options
from fielding_async.batch.perform_all import perform_all
from fielding_async.core.wire.replies import Attempted, Response
from fielding_async.http.transport import Outgoing
from fielding_async.journal.replay import Replay
from fielding_async.session import session_over
from tests.tools import virtual_time
from tests.tools.batches import collect_into
from tests.tools.fake_exchange import FakeExchange, ref_of, session_on
from tests.tools.fake_storage import Disk, MemoryStorage

from .troubled import AWAY, PAGE, Rows, TroubledExchange, applied_once, between, error_body, pauses, perform

pytestmark = pytest.mark.once


def replay_of(disk: Disk) -> Replay:
    replay = Replay(keep=True)
    first, *lines = disk.data.splitlines(keepends=True)
    replay.begin(first)
    for line in lines:
        replay.feed(line)
    return replay


@pytest.mark.parametrize(
    "answer", [AWAY, error_body(503), Response(502, {}, b"<h1>bad gateway</h1>"), error_body(403), PAGE]
)
def test_three_minutes_without_an_exchange_cost_no_row(answer: Attempted) -> None:
    """All 800 rows are applied exactly once; probes are GETs at growing waits, and nothing is written meanwhile."""
    exchange, disk = TroubledExchange(between(0.5, 180.5, answer)), Disk()
    arguments: dict[str, Any] = {}
    if answer == error_body(403):  # a plain token that is refused would not be waited for
        arguments["session"] = credentials_session(exchange)
    life = perform(disk, exchange, pauses(range(800)), wait=600.0, **arguments)
    assert life.done_rows() == list(range(800))
    assert life.stuck == 0
    assert 180 < life.seconds < 240
    applied_once(exchange, 800)
    assert replay_of(disk).counts().done == 800
    assert life.outage is None
    assert len(life.outages) > 100
    assert all(0 <= outage.wait_left <= 600 and not outage.is_given_up for outage in life.outages)
    assert life.outages[100].seconds > life.outages[10].seconds
    assert any(outage.next_probe_in for outage in life.outages)
    during = [at for at in exchange.probes if 1030 < at < 1180]
    assert 3 <= len(during) < 60


def credentials_session(exchange: Any) -> FieldingSession:
    return session_over(
        TokenEndpoint(exchange),
        auth=ClientCredentials("client", "client-secret", token_url="https://fake.invalid/token"),
        base_url="https://fake.invalid/v1",
        limits=Limits(concurrency=8, adaptive=False),
        retry=Retry(base=0.01, cap=0.1, max_attempts=3),
        timeout=Timeout(total=20, attempt=5),
    )


class TokenEndpoint:
    """The transport of an exchange whose tokens come from an endpoint; each is another one."""

    def __init__(self, exchange: FakeExchange) -> None:
        self.exchange = exchange
        self.tokens = 0

    async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
        if not outgoing.url.endswith("/token"):
            return await self.exchange.send(outgoing, timeout=timeout, connect_timeout=connect_timeout)
        self.tokens += 1
        await outgoing.leave()
        return Response(200, {}, b'{"access_token":"token-%d","expires_in":3600,"token_type":"Bearer"}' % self.tokens)

    def close_now(self) -> None:
        """Do nothing: nothing was opened."""

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close."""


def test_a_batch_that_waits_no_longer_stops_and_is_gone_on_with() -> None:
    """With `wait=10` it stops; rows that were tried come back open, without an end, and the next batch does all."""
    exchange, disk = TroubledExchange(between(0.5, 180.0, AWAY)), Disk()
    first = perform(disk, exchange, pauses(range(800)), wait=10.0)
    assert 10 < first.seconds < 15
    assert first.outage.is_given_up
    assert "could not connect" in first.outage.reason
    assert first.open_rows()
    assert all(isinstance(first.rows[number].error, TransportError) for number in first.open_rows())
    assert len(first.done_rows()) + len(first.open_rows()) == len(first.rows) < 800
    counts = replay_of(disk).counts()
    assert (counts.ended, counts.stuck) == (len(first.done_rows()), 0)
    exchange.trouble = lambda *_: None
    second = perform(disk, exchange, pauses(range(800)), wait=10.0)
    assert sorted([*first.done_rows(), *second.done_rows()]) == list(range(800))
    applied_once(exchange, 800)


def test_without_a_wait_it_stops_at_once() -> None:
    """`wait=0`, with a journal: one look, and no probe."""
    exchange, disk = TroubledExchange(lambda *_: error_body(503)), Disk()
    life = perform(disk, exchange, pauses(range(100)))
    assert life.seconds < 5
    assert 1 <= len(life.open_rows()) == len(life.rows) <= 8
    assert replay_of(disk).counts().ended == 0


def test_without_a_journal_a_wait_rides_outages_out_too() -> None:
    """Nothing is sent twice, as the rows keep what they sent in memory."""
    exchange = TroubledExchange(between(0.1, 60.0, AWAY))
    life = perform(None, exchange, pauses(range(100)), wait=100.0)
    assert life.done_rows() == list(range(100))
    applied_once(exchange, 100)


def test_without_a_journal_and_a_wait_each_row_comes_back_with_its_error() -> None:
    """As ever; `is_open` says that the error is not the row's own."""
    life = perform(None, TroubledExchange(lambda *_: error_body(503)), pauses(range(50)))
    assert sorted(life.rows) == life.open_rows() == list(range(50))
    assert all(isinstance(done.error, ServerError) for done in life.rows.values())
    assert life.outage is None


def test_429s_for_a_minute_fail_no_row() -> None:
    """Rows whose time ran out in the pauses are tried again."""
    refusal = Response(429, {"Retry-After": "30"}, b'{"object":"too_many_requests"}')
    exchange, disk = TroubledExchange(between(0.2, 60.0, refusal)), Disk()
    life = perform(disk, exchange, pauses(range(300)), wait=600.0)
    assert life.done_rows() == list(range(300))
    applied_once(exchange, 300)


@pytest.mark.parametrize("status", [403, 500])
@pytest.mark.parametrize("concurrency", [1, None])
def test_a_row_alone_in_trouble_is_set_aside_after_three_tries(status: int, concurrency: int | None) -> None:
    """999 rows are done; the one is stuck, and so left open for the next batch, with the rows behind it on its run."""

    def trouble(outgoing: Outgoing, name: str, action: str) -> Attempted | None:
        return error_body(status) if name == "run500" and action != "get" else None

    exchange, disk = TroubledExchange(trouble), Disk()
    rows = [*pauses(range(1000)), (ref_of(500), Resume())]
    life = perform(disk, exchange, rows, wait=600.0, concurrency=concurrency)
    assert life.done_rows() == [number for number in range(1000) if number != 500]
    assert life.open_rows() == [500, 1000]
    error = life.rows[500].error
    assert isinstance(error, PermissionDeniedError if status == 403 else OutcomeUnknownError)
    assert status == 403 or isinstance(error.__cause__, ServerError)
    assert isinstance(life.rows[1000].error, SkippedError)
    assert (life.stuck, life.outage, life.outages) == (1, None, [])
    attempts = 3 if status == 403 else 9  # a 500 is sent again within a try
    assert sum(name == "run500" for name, _ in exchange.sent_writes) == attempts
    assert len({etag for name, etag in exchange.sent_writes if name == "run500"}) == 1
    counts = replay_of(disk).counts()
    assert (counts.done, counts.stuck, counts.failed, counts.in_flight) == (999, 1, 0, 0)
    exchange.trouble = lambda *_: None
    again = perform(disk, exchange, rows, wait=600.0)
    assert again.done_rows() == [500, 1000]
    assert exchange.times(500) == 2
    assert replay_of(disk).counts().stuck == 0


def test_a_storm_of_429s_sets_no_row_aside_for_good() -> None:
    """A 429 says nothing of a row: while others are accepted, one that it ends is tried again without a count."""
    dice = Random(11)

    def trouble(outgoing: Outgoing, name: str, action: str) -> Attempted | None:
        if dice.random() < 0.2:
            return None
        return Response(429, {"Retry-After": f"{dice.uniform(0, 5):.1f}"}, b'{"object":"too_many_requests"}')

    exchange, disk = TroubledExchange(trouble), Disk()
    life = perform(disk, exchange, pauses(range(200)), wait=600.0, timeout=20.0)
    assert life.stuck == 0
    assert life.done_rows() == list(range(200))
    applied_once(exchange, 200)


def test_a_row_that_is_limited_for_ever_does_not_keep_a_batch_from_ending() -> None:
    """Its 429s pause the session, so GETs fail too: after `wait` it is left open."""

    def trouble(outgoing: Outgoing, name: str, action: str) -> Attempted | None:
        if name != "run5" or action == "get":
            return None
        return Response(429, {"Retry-After": "30"}, b'{"object":"too_many_requests"}')

    exchange, disk = TroubledExchange(trouble), Disk()
    life = perform(disk, exchange, pauses(range(40)), wait=600.0, timeout=20.0)
    assert life.open_rows() == [5]
    assert life.done_rows() == [number for number in range(40) if number != 5]
    assert life.seconds < 1000


@pytest.mark.parametrize("wait", [0.0, 60.0])
def test_twenty_rows_with_the_same_refusal_stop_a_batch(wait: float) -> None:
    """GETs work, and every write gets the page of a default backend: no row is out of tries when it is noticed."""

    def trouble(outgoing: Outgoing, name: str, action: str) -> Attempted | None:
        return None if action == "get" else PAGE

    exchange, disk = TroubledExchange(trouble), Disk()
    life = perform(disk, exchange, pauses(range(500)), wait=wait, concurrency=4)
    assert life.stuck == 0
    assert 20 <= len(life.open_rows()) == len(life.rows) <= 24
    assert len({name for name, _ in exchange.sent_writes}) <= 24
    assert replay_of(disk).counts().ended == replay_of(disk).counts().stuck == 0
    assert wait <= life.seconds < wait + 5
    exchange.trouble = lambda *_: None
    assert perform(disk, exchange, pauses(range(500))).done_rows() == list(range(500))
    applied_once(exchange, 500)


def test_a_refusal_of_all_writes_that_passes_is_ridden_out() -> None:
    """As a probe tells nothing then, one row is tried alone at each, and all go on once it is accepted."""

    def trouble(outgoing: Outgoing, name: str, action: str) -> Attempted | None:
        return PAGE if action != "get" and 1000.5 < asyncio.get_running_loop().time() < 1100 else None

    exchange, disk = TroubledExchange(trouble), Disk()
    life = perform(disk, exchange, pauses(range(500)), wait=600.0)
    assert life.done_rows() == list(range(500))
    assert life.stuck == 0
    applied_once(exchange, 500)
    assert len(exchange.sent_writes) < 500 + 60


@pytest.mark.parametrize("status", [401, 403])
def test_a_plain_token_that_is_refused_is_not_waited_for(status: int) -> None:
    """It stops at once, with all rows open; a new token goes on."""
    exchange, disk = TroubledExchange(between(1.0, 1e9, error_body(status))), Disk()
    life = perform(disk, exchange, pauses(range(1000)), wait=600.0)
    assert life.seconds < 10
    assert life.outage.is_given_up
    assert life.open_rows()
    kind = AuthenticationError if status == 401 else PermissionDeniedError
    assert all(isinstance(life.rows[number].error, kind) for number in life.open_rows())
    counts = replay_of(disk).counts()
    assert (counts.ended, counts.done, counts.stuck) == (len(life.done_rows()), len(life.done_rows()), 0)
    exchange.trouble = lambda *_: None
    perform(disk, exchange, pauses(range(1000)))
    applied_once(exchange, 1000)


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_of_client_credentials_that_is_revoked_is_replaced(status: int) -> None:
    """In one batch, without an outage."""
    revoked: set[str] = set()

    def trouble(outgoing: Outgoing, name: str, action: str) -> Attempted | None:
        token = outgoing.headers["Authorization"]
        if asyncio.get_running_loop().time() > 1000.5 and not revoked:
            revoked.add(token)
        return error_body(status) if token in revoked else None

    exchange, disk = TroubledExchange(trouble), Disk()
    life = perform(disk, exchange, pauses(range(800)), session=credentials_session(exchange))
    assert life.done_rows() == list(range(800))
    assert revoked
    applied_once(exchange, 800)


def test_an_api_version_that_is_refused_leaves_all_rows_open() -> None:
    """The exchange refuses GETs as well, with its own 400: that says nothing of the rows."""
    exchange, disk = TroubledExchange(lambda *_: error_body(400)), Disk()
    life = perform(disk, exchange, pauses(range(100)), wait=30.0)
    assert 30 <= life.seconds < 35
    assert len(life.rows) <= 20
    assert life.open_rows() == sorted(life.rows)
    exchange.trouble = lambda *_: None
    assert perform(disk, exchange, pauses(range(100))).done_rows() == list(range(100))


@pytest.mark.parametrize("has_journal", [True, False])
def test_a_relaunch_that_was_applied_late_is_never_sent_afresh(has_journal: bool) -> None:
    """It was answered 500, then applied, and the run has ended again by itself: nobody can tell, so it is unknown."""
    run = {"late": False}

    def trouble(outgoing: Outgoing, name: str, action: str) -> Attempted | None:
        if action == "get" or name != "run0":
            return None
        if not run["late"]:
            return error_body(500)
        return None

    exchange = TroubledExchange(trouble)
    exchange.run("run0")["status"] = "completed"

    def other_rows() -> Iterable[tuple[RunRef, Action]]:
        yield ref_of(0), Relaunch()
        yield from pauses(range(1, 200))

    async def main() -> list[Done]:
        loop = asyncio.get_running_loop()

        def land() -> None:  # applied, and ended by the exchange: two versions further, completed as before
            run["late"] = True
            exchange.run("run0")["version"] += 2

        loop.call_later(0.3, land)  # after the first try
        async with session_on(exchange) as fielding:
            storage = (lambda: MemoryStorage(Disk())) if has_journal else None
            async with perform_all(fielding, other_rows(), Options(wait=60.0), storage=storage) as batch:
                return [done async for done in batch]

    found = {done.number: done for done in virtual_time.run(main())}
    assert isinstance(found[0].error, OutcomeUnknownError)
    assert not found[0].is_open
    assert {etag for name, etag in exchange.sent_writes if name == "run0"} == {'W/"1"'}
    assert sum(done.outcome is not None for done in found.values()) == 199


def test_rows_of_one_run_wait_for_one_that_is_open() -> None:
    """Their order holds over an outage and over tries."""
    exchange, disk = TroubledExchange(between(0.05, 30.0, AWAY)), Disk()
    actions: list[Action] = [Pause(), Resume()] * 20
    rows: Rows = [(ref_of(number), action) for action in actions for number in range(3)]
    life = perform(disk, exchange, rows, wait=600.0)
    assert life.done_rows() == list(range(120))
    for number in range(3):
        assert [action for run, action in exchange.applied if run == f"run{number}"] == ["pause", "resume"] * 20


def test_a_computer_that_sleeps_fails_no_row() -> None:
    """All rows under way run out of time together; that is no outage, and each is tried again."""
    exchange, disk = FakeExchange(), Disk()

    async def main() -> list[Done]:
        loop = asyncio.get_running_loop()

        def sleep(latency: float) -> None:
            exchange.latency = latency

        loop.call_later(0.5, sleep, 400.0)
        loop.call_later(0.6, sleep, 0.01)
        limits = Limits(concurrency=40, adaptive=False)
        async with session_on(exchange, limits=limits) as fielding:
            context = perform_all(fielding, pauses(range(3000)), Options(), storage=lambda: MemoryStorage(disk))
            async with context as batch:
                return [done async for done in batch]

    assert sum(done.outcome is not None for done in virtual_time.run(main())) == 3000
    applied_once(exchange, 3000)


@pytest.mark.parametrize("how", ["stop", "leave", "close"])
def test_a_batch_can_be_ended_in_an_outage(how: str) -> None:
    """The probe ends with it, and nothing of it is left; rows that are open are yielded, or listed."""
    exchange, disk = TroubledExchange(lambda *_: AWAY), Disk()

    async def main() -> None:
        async with session_on(exchange) as fielding:
            context = perform_all(fielding, pauses(range(50)), Options(wait=1e6), storage=lambda: MemoryStorage(disk))
            loop = asyncio.get_running_loop()
            async with context as batch:
                found: list[Done] = []
                if how == "leave":
                    with pytest.raises(TimeoutError):
                        async with asyncio.timeout(500):
                            await anext(batch)
                elif how == "stop":
                    loop.call_later(500, batch.stop)
                    found = [done async for done in batch]
                else:
                    closing = []
                    loop.call_later(500, lambda: closing.append(loop.create_task(fielding.aclose())))
                    with pytest.raises(Exception, match="session was closed"):
                        await collect_into(found, batch)
                    await closing[0]
            assert (len(found) > 0) is (how != "leave")
            assert len(found) + len(batch.leftover) == batch.taken
            assert {row.state for row in batch.leftover} <= {"never sent", "ended"}
            assert len(asyncio.all_tasks()) == 1

    virtual_time.run(main())
    assert replay_of(disk).counts().ended == 0


@pytest.mark.parametrize("wait", [-1, True, "10", None, float("nan"), float("inf"), 1e10])
def test_a_bad_wait_is_refused(wait: Any) -> None:
    """It is seconds, from 0."""

    async def main() -> None:
        async with session_on(FakeExchange()) as fielding:
            with pytest.raises(ConfigurationError, match=r"wait=.*must be a number of seconds"):
                fielding.perform_all([], wait=wait)

    virtual_time.run(main())
