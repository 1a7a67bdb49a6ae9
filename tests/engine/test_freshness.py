"""Caches and what rewrites ETags, between a call and the exchange: in virtual time."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import pytest
from multidict import CIMultiDict

from fielding_async import (
    DeadlineExceededError,
    FieldingRun,
    FieldingSession,
    InvalidRunStateError,
    OutcomeUnknownError,
    PreconditionFailedError,
    ProtocolError,
    Retry,
    Timeout,
    Update,
)
from fielding_async.core.wire.replies import Attempted, Response
from fielding_async.http.transport import Outgoing
from tests.tools import virtual_time
from tests.tools.fake_exchange import FakeExchange, ref_of, session_on
from tests.tools.sessions import longer

RUN = ref_of("1")


class Cached(FakeExchange):
    """An exchange behind a cache, which answers GETs with what it stored, for as long as `holds` says so.

    `age`: the `Age` of its answers, `None` if it says nothing. `rewrites`: what it makes of each ETag. `colleague`: how
    many writes somebody else makes right before the next one of ours.
    """

    def __init__(self, age: str | None = "1") -> None:
        super().__init__()
        self.age = age
        self.stored: Response | None = None
        self.holds: Callable[[], bool] = lambda: True
        self.rewrites: Callable[[str], str | None] = lambda etag: etag
        self.colleague: Callable[[], int] = lambda: 0
        self.gets: list[dict[str, str]] = []
        self.writes: list[dict[str, str]] = []

    def store(self) -> None:
        """Store the run as it is."""
        self.stored = cast("Response", super().answer(Outgoing("GET", "", {}, None), "run1", "get"))
        self.requests.clear()

    def answer(self, outgoing: Outgoing, name: str, action: str) -> Attempted:
        (self.gets if action == "get" else self.writes).append(dict(outgoing.headers))
        if action != "get":
            self.run("run1")["version"] += self.colleague()
        answer: Attempted
        if action == "get" and self.stored is not None and self.holds():
            self.requests["get"] += 1
            headers = dict(self.stored.headers) | ({} if self.age is None else {"Age": self.age})
            answer = Response(200, CIMultiDict(headers), self.stored.body)
        else:
            answer = super().answer(outgoing, name, action)
        if isinstance(answer, Response) and "ETag" in answer.headers:
            etag = self.rewrites(answer.headers["ETag"])
            others = {key: value for key, value in answer.headers.items() if key != "ETag"}
            answer = Response(
                answer.status, CIMultiDict(others | ({} if etag is None else {"ETag": etag})), answer.body
            )
        return answer


def play(main: Callable[[Cached, FieldingSession], Any], exchange: Cached | None = None, **arguments: Any) -> Cached:
    """Run a test with a session on a cached exchange; return the exchange."""
    cached = exchange or Cached()

    async def played() -> None:
        async with session_on(cached, **arguments) as fielding:
            await main(cached, fielding)

    virtual_time.run(played())
    return cached


def test_what_a_judgement_rests_on_is_asked_for_fresh_and_as_it_is() -> None:
    """GETs say `no-cache`; GETs of a run and writes say `identity`, as compression on the way changes ETags."""

    async def main(exchange: Cached, fielding: FieldingSession) -> None:
        await fielding.run(RUN).pause()
        await fielding.run(RUN).update(end_fielding_at=(await fielding.run(RUN).get()).end_fielding_at + timedelta(1))

    exchange = play(main)
    assert [request.get("Cache-Control") for request in exchange.gets] == ["no-cache"] * len(exchange.gets)
    asked = [request["Accept-Encoding"] for request in (*exchange.gets, *exchange.writes)]
    assert asked == ["identity"] * len(asked)


def test_a_cached_status_is_no_reason_to_send_nothing() -> None:
    """The cache says paused, a colleague has resumed: the cold pause is sent under the ETag it has, and refused."""

    async def main(exchange: Cached, fielding: FieldingSession) -> None:
        run = exchange.run("run1")
        run["status"] = "paused"
        exchange.store()
        run.update(status="live", version=2)
        started = asyncio.get_running_loop().time()
        exchange.holds = lambda: asyncio.get_running_loop().time() < started + 7
        outcome = await fielding.run(RUN).pause()
        assert outcome.effect == "accepted"

    assert play(main).applied == [("run1", "pause")]


def test_a_cache_that_lets_go_in_time_costs_only_waiting() -> None:
    """A GET with an `Age` is repeated; once it is fresh, the run is judged as ever."""

    async def main(exchange: Cached, fielding: FieldingSession) -> None:
        exchange.run("run1")["status"] = "paused"
        exchange.store()
        answers = iter([True, True, False])
        exchange.holds = lambda: next(answers)
        outcome = await fielding.run(RUN).pause()
        assert (outcome.effect, outcome.requests) == ("already", 3)

    assert play(main).applied == []


@pytest.mark.parametrize("age", ["0", "00", " 0 ", None])
def test_an_age_of_zero_is_fresh(age: str | None) -> None:
    """A cache that has just asked the exchange says `Age: 0`."""

    async def main(exchange: Cached, fielding: FieldingSession) -> None:
        exchange.run("run1")["status"] = "paused"
        exchange.store()
        outcome = await fielding.run(RUN).pause()
        assert (outcome.effect, outcome.requests) == ("already", 1)

    play(main, Cached(age))


@pytest.mark.parametrize("age", ["1", "600", "0, 5", "-1", "soon"])
def test_any_other_age_is_not(age: str) -> None:
    """A run that only a cache shows is paused already: that is never told, and the exchange's refusal is."""

    async def main(exchange: Cached, fielding: FieldingSession) -> None:
        exchange.run("run1")["status"] = "paused"
        exchange.store()
        with pytest.raises(InvalidRunStateError):
            await fielding.run(RUN).pause(timeout=None)

    play(main, Cached(age))


def test_a_lost_write_is_never_judged_by_a_cache() -> None:
    """The pause was applied and its replies lost; the cache still shows the run live: the outcome is unknown."""

    async def main(exchange: Cached, fielding: FieldingSession) -> None:
        await fielding.run(RUN).get()
        exchange.store()
        exchange.lose = lambda run, action: "after"
        with pytest.raises(OutcomeUnknownError) as caught:
            await fielding.run(RUN).pause()
        assert caught.value.current is None

    assert play(main).applied == [("run1", "pause")]


def test_a_cache_is_given_five_seconds_without_a_deadline() -> None:
    """Also a call without a deadline ends: GETs are repeated with growing waits, for five seconds."""

    async def main(exchange: Cached, fielding: FieldingSession) -> None:
        exchange.store()
        with pytest.raises(ProtocolError, match="no-cache") as caught:
            await fielding.run(RUN).update(lambda run: None, timeout=None)
        assert (caught.value.method, caught.value.path is not None) == ("GET", True)
        assert 4.9 < asyncio.get_running_loop().time() - 1000 < 6

    exchange = play(main, retry=Retry())
    assert 3 < exchange.requests["get"] < 16
    assert exchange.writes == []


def test_an_etag_that_is_refused_as_it_was_read_is_named() -> None:
    """Something rewrites ETags: the write is refused under what a GET showed, and so is each GET's since."""

    async def main(exchange: Cached, fielding: FieldingSession) -> None:
        exchange.rewrites = lambda etag: etag.replace('"', '-gzip"').replace('-gzip"', '"', 1)
        with pytest.raises(ProtocolError, match=r'W/"1-gzip".*rewrites') as caught:
            await fielding.run(RUN).pause(timeout=None)
        assert isinstance(caught.value.__cause__, PreconditionFailedError)
        assert "nothing was applied" in str(caught.value)

    exchange = play(main)
    assert exchange.applied == []
    assert len(exchange.writes) == 1


def test_the_refused_etag_is_named_when_time_runs_out_as_well() -> None:
    """Where the deadline comes before the five seconds are over, the error says what went on until then."""

    async def main(exchange: Cached, fielding: FieldingSession) -> None:
        exchange.rewrites = lambda etag: etag.replace("1", "0")
        with pytest.raises(DeadlineExceededError, match=r'W/"0".*rewrites') as caught:
            await fielding.run(RUN).pause(timeout=2)
        assert (caught.value.conflicts, isinstance(caught.value.__cause__, PreconditionFailedError)) == (1, True)

    play(main)


def test_an_etag_that_is_dropped_is_named() -> None:
    """A GET without an ETag before a write is a `ProtocolError` that names the header."""

    async def main(exchange: Cached, fielding: FieldingSession) -> None:
        exchange.rewrites = lambda etag: None
        with pytest.raises(ProtocolError, match="ETag header"):
            await fielding.run(RUN).pause()

    assert play(main).writes == []


def test_a_get_of_the_callers_returns_what_came() -> None:
    """`run.get()` is no judgement: it returns a cache's answer at once."""

    async def main(exchange: Cached, fielding: FieldingSession) -> None:
        exchange.store()
        run: FieldingRun = await fielding.run(RUN).get()
        assert run.etag == 'W/"1"'

    assert play(main).requests["get"] == 1


def test_what_is_seen_from_a_cache_does_not_reverse_a_colleague() -> None:
    """With `seen=` a run that only a cache shows as it was seen is no leave to send over a refusal for ever."""

    async def main(exchange: Cached, fielding: FieldingSession) -> None:
        seen = await fielding.run(RUN).get()
        exchange.store()
        exchange.run("run1").update(version=2, status="paused")
        with pytest.raises(ProtocolError, match='W/"1"'):
            await fielding.run(RUN).complete(seen=seen, timeout=None)

    assert play(main).applied == []


def test_an_opening_get_has_all_of_the_time() -> None:
    """Nothing may be lost yet, so no time is kept back for the GET that settles a lost reply."""

    async def main(exchange: Cached, fielding: FieldingSession) -> None:
        exchange.latency = 9.5
        run = await fielding.run(RUN).get(timeout=10)
        assert run.version == 1

    play(main, timeout=Timeout(total=60, attempt=20))


def test_a_write_keeps_time_for_the_get_that_settles_it() -> None:
    """A write that gets no reply is given up in time for a GET to show what became of it."""

    async def main(exchange: Cached, fielding: FieldingSession) -> None:
        await fielding.run(RUN).get()
        exchange.latencies = {"run1": 0.1}

        def slow(run: str, action: str) -> str | None:
            exchange.latencies = {}
            return "after"

        exchange.lose = slow
        outcome = await fielding.run(RUN).pause(timeout=10)
        assert outcome.effect == "unconfirmed"

    play(main, timeout=Timeout(total=60, attempt=20))


def test_a_field_that_cannot_be_read_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """An `account_id` that is a text is left out, with one log line for the call."""

    async def main(exchange: Cached, fielding: FieldingSession) -> None:
        exchange.run("run1")["account_id"] = "101"
        run = await fielding.run(RUN).get()
        assert run.account_id is None

    with caplog.at_level(logging.WARNING, "fielding_async"):
        play(main)
    assert [record.getMessage().count("$.account_id") for record in caplog.records] == [1]


def test_a_lost_reply_is_lost_with_a_cache_as_well() -> None:
    """The pause was not applied, and the cache shows the old ETag: a 5xx in the exchange's form proves nothing then."""

    async def main(exchange: Cached, fielding: FieldingSession) -> None:
        await fielding.run(RUN).get()
        exchange.store()
        exchange.refuse["run1"] = 503
        with pytest.raises(OutcomeUnknownError):
            await fielding.run(RUN).pause()

    assert play(main).applied == []


def test_both_bounds_are_sent_again_only_if_both_are_as_they_were() -> None:
    """An update of both bounds is lost before it is applied, and a colleague sets another end: that stays."""

    async def main(exchange: Cached, fielding: FieldingSession) -> None:
        run = await fielding.run(RUN).get()

        def colleague(name: str, action: str) -> str | None:
            if exchange.requests["update"] > 1:
                return None
            exchange.run("run1").update(end_fielding_at="2031-06-30T00:00:00.000Z", version=2)
            return "before"

        exchange.lose = colleague
        wanted = Update(
            start_fielding_at=run.start_fielding_at + timedelta(1), end_fielding_at=run.end_fielding_at + timedelta(9)
        )
        with pytest.raises(PreconditionFailedError, match="not reversed") as caught:
            await fielding.run(RUN).perform(wanted)
        assert caught.value.wanted == wanted
        assert caught.value.current is not None
        assert caught.value.current.version == 2

    assert play(main).applied == []


def test_a_page_and_a_colleague_are_told_apart_by_the_version() -> None:
    """A page of a filter stands for nothing; a colleague writes twice and pauses the run: that is no acceptance."""

    async def main(exchange: Cached, fielding: FieldingSession) -> None:
        await fielding.run(RUN).get()
        plain = exchange.answer

        def answer(outgoing: Outgoing, name: str, action: str) -> Attempted:
            if action != "pause":
                return plain(outgoing, name, action)
            exchange.run("run1").update(version=3, status="paused")
            return Response(200, {}, b"<html></html>")

        exchange.answer = answer  # type: ignore[method-assign]
        outcome = await fielding.run(RUN).pause()
        assert (outcome.effect, outcome.run.version) == ("unconfirmed", 3)

    assert play(main).applied == []


@pytest.mark.parametrize("order", ["pause", "update"])
def test_time_that_runs_out_among_conflicts_is_said_as_what_it_is(order: str) -> None:
    """A plain call that is refused until its time is over ends in the class of that, with the last refusal as cause."""

    async def main(exchange: Cached, fielding: FieldingSession) -> None:
        exchange.colleague = lambda: 1
        run = fielding.run(RUN)
        with pytest.raises(DeadlineExceededError, match=r"after \d+ conflicts") as caught:
            await (run.pause(timeout=3) if order == "pause" else run.update(longer, timeout=3))
        error = caught.value
        assert isinstance(error.__cause__, PreconditionFailedError)
        assert error.conflicts == len(exchange.writes) > 3
        assert error.current is not None
        assert (error.method, error.path is not None) == ("POST" if order == "pause" else "PUT", True)

    assert play(main).applied == []


def test_what_a_colleague_changed_twice_since_a_lost_attempt_stays() -> None:
    """Proven not applied and sent again, the pause meets a 412 with two writes behind it: one may be a resume."""

    async def main(exchange: Cached, fielding: FieldingSession) -> None:
        await fielding.run(RUN).get()

        exchange.colleague = iter([0, 1, 2]).__next__
        lost = iter(["before", None, None])
        exchange.lose = lambda name, action: next(lost)
        with pytest.raises(PreconditionFailedError, match="not reversed"):
            await fielding.run(RUN).pause()

    assert play(main).applied == []
