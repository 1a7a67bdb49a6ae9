"""Plans of fewer than twenty rows that all meet the same refusal, while GETs are answered. In virtual time."""

import asyncio

import pytest

from fielding_async.core.wire.replies import Attempted, Response
from fielding_async.http.transport import Outgoing
from tests.tools.fake_storage import Disk

from .troubled import PAGE, Answer, TroubledExchange, applied_once, error_body, pauses, perform

GATEWAY = Response(502, {"Content-Type": "text/html"}, b"<h1>bad gateway</h1>")


def on_writes(answer: Attempted, until: float = 1e9) -> Answer:
    def trouble(outgoing: Outgoing, name: str, action: str) -> Attempted | None:
        return answer if action != "get" and asyncio.get_running_loop().time() < until else None

    return trouble


@pytest.mark.parametrize("concurrency", [1, 2, None])
@pytest.mark.parametrize(
    ("rows", "answer"), [(1, PAGE), (1, GATEWAY), (2, PAGE), (5, GATEWAY), (19, PAGE), (2, error_body(500))]
)
def test_all_rows_stay_open(rows: int, answer: Attempted, concurrency: int | None) -> None:
    """No row is stuck: it waits, and stops with all of them open; the next batch applies them."""
    exchange, disk = TroubledExchange(on_writes(answer)), Disk()
    life = perform(disk, exchange, pauses(range(rows)), wait=100.0, concurrency=concurrency)
    assert life.open_rows() == list(range(rows))
    assert life.stuck == 0
    assert life.outage.is_given_up
    assert 100 <= life.seconds < 130
    assert disk.replayed().counts().stuck == 0
    exchange.trouble = lambda *_: None
    assert perform(disk, exchange, pauses(range(rows))).done_rows() == list(range(rows))
    applied_once(exchange, rows)


@pytest.mark.parametrize("answer", [PAGE, GATEWAY, error_body(500)])
def test_a_refusal_that_passes_is_waited_for(answer: Attempted) -> None:
    """One row is tried alone at each probe; all are done once it is accepted."""
    exchange, disk = TroubledExchange(on_writes(answer, 1100)), Disk()
    life = perform(disk, exchange, pauses(range(7)), wait=600.0)
    assert life.done_rows() == list(range(7))
    applied_once(exchange, 7)


@pytest.mark.parametrize("rows", [1, 3])
def test_rows_are_tried_three_times_before_it_is_an_outage(rows: int) -> None:
    """A page that passes within their tries stops no batch, though it may not wait."""
    exchange, disk = TroubledExchange(on_writes(PAGE, 1001.2)), Disk()
    life = perform(disk, exchange, pauses(range(rows)))
    assert (life.done_rows(), life.outage) == (list(range(rows)), None)
    applied_once(exchange, rows)


def test_one_row_that_the_exchange_itself_refuses_is_stuck() -> None:
    """Nothing shows that another row would be refused too."""
    exchange, disk = TroubledExchange(on_writes(error_body(500))), Disk()
    life = perform(disk, exchange, pauses(range(1)), wait=600.0)
    assert (life.open_rows(), life.stuck, life.outage) == ([0], 1, None)


@pytest.mark.parametrize("answer", [PAGE, error_body(500)])
def test_rows_that_are_left_of_a_plan_are_stuck_again(answer: Attempted) -> None:
    """Others of the plan were accepted before, so that these rows alone are in trouble: also for the next batch."""

    def trouble(outgoing: Outgoing, name: str, action: str) -> Attempted | None:
        return answer if action != "get" and name in {"run3", "run7"} else None

    exchange, disk = TroubledExchange(trouble), Disk()
    for _ in range(2):
        life = perform(disk, exchange, pauses(range(10)), wait=600.0)
        assert (life.open_rows(), life.stuck, life.outage) == ([3, 7], 2, None)
        assert life.seconds < 60
