"""Which runs a batch fetches to find out whether the exchange can be used. In virtual time, with a journal."""

import asyncio

import pytest

from fielding_async import Done, PermissionDeniedError
from fielding_async.batch.options import Options
from fielding_async.batch.perform_all import perform_all
from fielding_async.core.wire.replies import Attempted
from fielding_async.http.transport import Outgoing
from tests.tools import virtual_time
from tests.tools.fake_exchange import session_on
from tests.tools.fake_storage import Disk

from .troubled import Answer, TroubledExchange, applied_once, error_body, pauses, perform


def broken_and_forbidden(status: int) -> Answer:
    """The first run answers everything with 500, the next one with a status: it is the first that is fetched."""

    def trouble(outgoing: Outgoing, name: str, action: str) -> Attempted | None:
        if name == "run0":
            return error_body(500)
        return error_body(status) if name == "run1" else None

    return trouble


@pytest.mark.parametrize("status", [403, 500, 400])
def test_one_run_that_is_refused_does_not_stop_a_batch(status: int) -> None:
    """A GET of a second run tells: two runs fail for reasons of their own, and all others are done.

    A plain token that is refused as such would stop the batch at once.
    """
    exchange, disk = TroubledExchange(broken_and_forbidden(status)), Disk()
    exchange.latencies = {"run0": 0.001, "run1": 0.1, "run2": 0.2, "run3": 0.2}  # it fails before any other succeeds
    life = perform(disk, exchange, pauses(range(200)), wait=60.0, concurrency=4)
    assert life.done_rows() == list(range(2, 200))
    assert life.open_rows() == [0, 1]
    assert (life.stuck, life.outage, life.outages) == (2, None, [])
    exchange.trouble = lambda *_: None
    assert perform(disk, exchange, pauses(range(200))).done_rows() == [0, 1]
    applied_once(exchange, 200)


def test_one_run_that_is_forbidden_does_not_end_an_outage_that_passes() -> None:
    """While a batch waits, a plain token's 403 for one run is no reason to stop."""

    def trouble(outgoing: Outgoing, name: str, action: str) -> Attempted | None:
        if asyncio.get_running_loop().time() < 1050:
            return error_body(503)
        return error_body(403) if name == "run1" else None

    exchange, disk = TroubledExchange(trouble), Disk()
    life = perform(disk, exchange, pauses(range(100)), wait=600.0, concurrency=4)
    assert life.done_rows() == [0, *range(2, 100)]
    assert isinstance(life.rows[1].error, PermissionDeniedError)
    assert life.stuck == 1
    assert life.outages


@pytest.mark.parametrize("rows", [1, 2, 50])
def test_a_plain_token_that_all_runs_refuse_stops_at_once(rows: int) -> None:
    """The second GET is refused too."""
    exchange, disk = TroubledExchange(lambda *_: error_body(403)), Disk()
    life = perform(disk, exchange, pauses(range(rows)), wait=600.0)
    assert life.seconds < 5
    assert life.outage.is_given_up
    assert life.open_rows() == sorted(life.rows)


@pytest.mark.parametrize("concurrency", [1, 2, 8])
def test_the_first_rows_of_a_plan_may_all_be_forbidden(concurrency: int) -> None:
    """No other run is known by then, so the next row's is fetched: these rows alone are refused."""

    def trouble(outgoing: Outgoing, name: str, action: str) -> Attempted | None:
        return error_body(403) if int(name.removeprefix("run")) < concurrency else None

    exchange, disk = TroubledExchange(trouble), Disk()
    rows = [*pauses([0, 0, 0]), *pauses(range(1, 100))]
    life = perform(disk, exchange, rows, wait=60.0, concurrency=concurrency)
    assert life.done_rows() == list(range(concurrency + 2, 102))
    assert life.open_rows() == list(range(concurrency + 2))
    assert (life.stuck, life.outage) == (concurrency, None)


def test_a_row_that_fails_as_a_probe_is_answered_does_not_keep_the_batch_from_ending() -> None:
    """It fails in the very round of the loop in which the probe for the row before it ends."""

    class Exchange(TroubledExchange):
        def __init__(self) -> None:
            super().__init__(lambda _, name, __: error_body(403) if name in self.refused else None)
            self.refused = {"run0", "run1"}
            self.is_probed, self.may_answer = asyncio.Event(), asyncio.Event()

        async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
            answer = await super().send(outgoing, timeout=timeout, connect_timeout=connect_timeout)
            if outgoing.url.endswith("/run1"):
                await self.is_probed.wait()
                self.may_answer.set()
            elif outgoing.url.endswith("/run2"):
                self.is_probed.set()
                await self.may_answer.wait()
                self.refused.discard("run0")
            return answer

    exchange = Exchange()

    async def main() -> list[Done]:
        async with (
            session_on(exchange) as fielding,
            perform_all(fielding, pauses(range(20)), Options(wait=60.0, concurrency=2)) as batch,
        ):
            return [done async for done in batch]

    found = virtual_time.run(main())
    assert sorted(done.number for done in found if done.outcome is not None) == [0, *range(2, 20)]
    assert [done.number for done in found if done.is_open] == [1]
