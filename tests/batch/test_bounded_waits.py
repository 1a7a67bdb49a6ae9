"""How soon a batch stops that may not wait long for an exchange that is away. In virtual time."""

import asyncio

import pytest

from fielding_async import Retry, Timeout, TransportError
from fielding_async.core.wire.replies import Attempted, Lost, Response
from fielding_async.http.transport import Outgoing
from tests.tools.fake_exchange import session_on
from tests.tools.fake_storage import Disk

from .troubled import AWAY, TroubledExchange, applied_once, between, error_body, pauses, perform

pytestmark = pytest.mark.once


@pytest.mark.parametrize("answer", [AWAY, error_body(503), Lost("cut")])
@pytest.mark.parametrize(("wait", "at_most"), [(0.0, 1.5), (1.0, 1.5), (3.0, 3.5), (30.0, 30.5)])
def test_the_retries_of_rows_end_with_the_wait(wait: float, at_most: float, answer: Attempted) -> None:
    """Rows and probes would go on for some 15 s by themselves: the first failure counts, and what it began."""
    exchange, disk = TroubledExchange(between(0.5, 1e9, answer)), Disk()
    session = session_on(exchange, retry=Retry(), timeout=Timeout())
    life = perform(disk, exchange, pauses(range(800)), session=session, wait=wait)
    assert wait <= life.seconds - 0.5 <= at_most
    assert life.outage.is_given_up
    assert life.outage.seconds >= wait
    assert life.open_rows()
    exchange.trouble = lambda *_: None
    perform(disk, exchange, pauses(range(800)))
    applied_once(exchange, 800)


def test_a_request_is_sent_again_as_ever_while_others_are_answered() -> None:
    """One run that cannot be reached for four seconds costs no try, though the batch may not wait at all."""

    def trouble(outgoing: Outgoing, name: str, action: str) -> Attempted | None:
        return AWAY if name == "run5" and asyncio.get_running_loop().time() < 1004 else None

    exchange, disk = TroubledExchange(trouble), Disk()
    session = session_on(exchange, retry=Retry(max_attempts=50, base=0.5, cap=0.5))
    life = perform(disk, exchange, pauses(range(2400)), session=session)
    assert life.done_rows() == list(range(2400))
    assert life.stuck == 0
    assert life.rows[5].result().requests > 8  # of its only try
    applied_once(exchange, 2400)


def test_without_a_journal_and_a_wait_the_settings_alone_say_how_often() -> None:
    """Each row is attempted as often as `Retry` says."""
    exchange = TroubledExchange(lambda *_: AWAY)
    session = session_on(exchange, retry=Retry(max_attempts=6, base=1.0, cap=4.0))
    life = perform(None, exchange, pauses(range(4)), session=session)
    assert len(exchange.probes) == 4 * 6
    assert all(isinstance(done.error, TransportError) for done in life.rows.values())


def test_one_failure_of_a_slow_batch_is_no_outage() -> None:
    """A row at a time, no wait, every third request refused once with 503: all rows are done."""
    seen = 0

    def trouble(outgoing: Outgoing, name: str, action: str) -> Attempted | None:
        nonlocal seen
        seen += 1
        return Response(503, {}, b"{}") if seen % 3 == 0 else None

    exchange, disk = TroubledExchange(trouble), Disk()
    session = session_on(exchange, retry=Retry())
    life = perform(disk, exchange, pauses(range(60)), session=session, concurrency=1)
    assert life.done_rows() == list(range(60))
    applied_once(exchange, 60)
