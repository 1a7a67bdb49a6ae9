"""Slots, pace, pauses and the two classes of waiters: in virtual time, and one over real sockets."""

import asyncio
import random
import sys
from typing import Any

import pytest

from fielding_async import FieldingError, Limits, RateLimitError, Retry, RunRef, Timeout
from fielding_async.core.pace.out_of_time import OutOfTimeError
from fielding_async.core.pace.pacer import Pacer
from fielding_async.core.wire.replies import Attempted, Response, api_error_class
from fielding_async.engine.limiter import Limiter, Permit, Priority
from fielding_async.http.transport import Outgoing
from fielding_async.sandbox import Hold, Sandbox, Status
from fielding_async.session import session_over
from tests.tools.sessions import QUICK, sent, session
from tests.tools.virtual_time import run


def too_many(retry_after: float | None) -> RateLimitError:
    """Return a 429 as the reader of replies makes it."""
    error = api_error_class(429)("429", status=429)
    assert isinstance(error, RateLimitError)
    error.retry_after = retry_after
    return error


def limiter(**limits: Any) -> Limiter:
    """Return a limiter on the running loop, with dice that always fall high."""
    return Limiter(Limits(**limits), lambda _low, high: high, asyncio.get_running_loop())


async def use(box: Limiter, *, under_way: bool = False, deadline: float | None = None) -> Permit:
    """Get a permission and send: what it takes to use up a turn."""
    permit = await box.acquire(Priority.UNDER_WAY if under_way else Priority.FIRST, deadline=deadline)
    assert box.may_leave(permit, asyncio.get_running_loop().time()) == 0.0
    return permit


def test_no_more_than_concurrency_are_in_flight() -> None:
    """A slot more is given only when one is handed back, first come, first served."""

    async def main() -> None:
        box = limiter(concurrency=2)
        order: list[int] = []

        async def one(number: int) -> None:
            permit = await use(box)
            order.append(number)
            assert box.in_flight <= 2
            await asyncio.sleep(1)
            box.release(permit)

        async with asyncio.TaskGroup() as group:
            for number in range(9):
                group.create_task(one(number))
        assert order == list(range(9))
        assert asyncio.get_running_loop().time() == 1005
        assert box.in_flight == 0

    run(main())


@pytest.mark.parametrize("burst", [1, 3])
def test_a_known_rate_is_evenly_paced(burst: int) -> None:
    """At a known rate requests leave one interval apart and a hundredth, after a burst of at most `burst`."""

    async def main() -> list[float]:
        box = limiter(rate=10, burst=burst)
        loop = asyncio.get_running_loop()
        await asyncio.sleep(100)  # idle time earns no more than the burst
        times: list[float] = []
        for _ in range(8):
            permit = await use(box)
            times.append(round(loop.time() - 1100, 6))
            box.release(permit)
        return times

    assert run(main()) == [round(max(0, number - burst + 1) * 0.101, 6) for number in range(8)]


def test_late_timers_do_not_slow_the_pace_down() -> None:
    """A permission taken some milliseconds late does not put off all that follow; idle time still earns nothing."""
    pacer = Pacer(Limits(rate=100), lambda _low, high: high)
    now = 50.0
    pacer.take(now)
    for _ in range(1000):
        now = pacer.ready_at() + 0.003
        pacer.take(now, waited=True)
    assert now == pytest.approx(60.1, abs=0.01)
    pacer.take(now + 5)
    assert pacer.ready_at() == pytest.approx(now + 5.0101)


def test_any_loops_timers_will_do() -> None:
    """The limiter asks no more of a timer than to be cancelled: uvloop's do not tell when they ring."""

    class Bare:
        def __init__(self, handle: asyncio.TimerHandle) -> None:
            self.cancel = handle.cancel

    async def main() -> None:
        loop = asyncio.get_running_loop()
        call_at = loop.call_at
        box = limiter(rate=10)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "call_at", lambda *arguments: Bare(call_at(*arguments)))
            async with asyncio.TaskGroup() as group:
                for _ in range(5):
                    group.create_task(use(box))
        assert box.in_flight == 5

    run(main())


def test_calls_under_way_go_first() -> None:
    """Requests of calls already under way pass first requests of waiting calls; each class keeps its order."""

    async def main() -> list[str]:
        box = limiter(concurrency=1)
        order: list[str] = []
        first = await use(box)

        async def one(name: str, under_way: bool) -> None:
            permit = await use(box, under_way=under_way)
            order.append(name)
            box.release(permit)

        async with asyncio.TaskGroup() as group:
            for name, under_way in (("a", False), ("b", True), ("c", False), ("d", True)):
                group.create_task(one(name, under_way))
            await asyncio.sleep(1)
            box.release(first)
        return order

    assert run(main()) == ["b", "d", "a", "c"]


def test_a_cancelled_waiter_gives_its_place_back() -> None:
    """A waiter cancelled while waiting, or in the very moment it is served, costs nobody a slot or a turn."""

    async def main() -> float:
        box = limiter(concurrency=1, rate=1)
        loop = asyncio.get_running_loop()
        holder = await use(box)
        waiting = [asyncio.create_task(use(box)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(5)
        box.release(holder)  # serves the second, which is cancelled before it can see it
        waiting[1].cancel()
        permit = await waiting[2]
        box.release(permit)
        assert box.in_flight == 0
        return loop.time()

    assert run(main()) == 1005


def test_one_429_pauses_everything_once() -> None:
    """Of 50 tasks none leaves from the moment a 429 is received until its time has passed, and the replies of one
    burst make one pause, not one each.
    """

    async def main() -> None:
        box = limiter(concurrency=50, adaptive=False)
        loop = asyncio.get_running_loop()
        left: list[float] = []

        async def one() -> None:
            while True:
                permit = await box.acquire(Priority.FIRST, deadline=None)
                await asyncio.sleep(0.01)  # the connection is opened
                if box.may_leave(permit, asyncio.get_running_loop().time()) is None:
                    box.release(permit)
                    continue
                left.append(loop.time())
                throttled = len(left) <= 10
                await asyncio.sleep(0.02)
                if throttled:
                    box.throttled(permit, too_many(3))
                box.release(permit)
                if not throttled:
                    return

        async with asyncio.TaskGroup() as group:
            for number in range(50):
                group.create_task(one())
                if number == 9:
                    await asyncio.sleep(0.015)
        early = [time for time in left if time < 1003]
        assert max(early) <= 1000.03
        late = [time for time in left if time >= 1003]
        assert len(late) == 60 - len(early)
        assert min(late) >= 1003.03
        assert max(late) < 1003.2

    run(main())


def test_a_pause_only_moves_later() -> None:
    """A shorter Retry-After does not shorten a pause; a longer one lengthens it."""
    pacer = Pacer(Limits(), lambda _low, high: high)
    tickets = [pacer.take(0.0) for _ in range(3)]
    for ticket, seconds in zip(tickets, (5.0, 1.0, 7.0), strict=True):
        pacer.throttled(ticket, seconds, 1.0)
    assert pacer.paused_until == 8.0


def test_a_pause_beyond_max_pause_ends_in_one_probe() -> None:
    """A Retry-After beyond `max_pause` is obeyed that long; then one request alone tries."""

    async def main() -> None:
        box = limiter(max_pause=10, adaptive=False)
        loop = asyncio.get_running_loop()
        first = await use(box)
        box.throttled(first, too_many(86_400))
        box.release(first)
        times: list[float] = []

        async def one() -> None:
            permit = await use(box)
            times.append(loop.time())
            await asyncio.sleep(2)
            box.release(permit)

        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(one())
        assert times == [1010, 1012, 1012, 1012]

    run(main())


def test_a_429_without_a_time_makes_growing_pauses() -> None:
    """With Retry-After absent, 0 or junk the pauses grow from at least 0.1 s, up to `max_pause`, and start anew after
    a success.
    """
    pauses: list[float] = []
    pacer = Pacer(Limits(max_pause=2.0), lambda low, _high: low)
    assert pacer.ready_at() <= 0
    high = Pacer(Limits(max_pause=2.0), lambda _low, high: high)
    now = 0.0
    for _ in range(8):
        ticket = high.take(now)
        high.throttled(ticket, None, now)
        pauses.append(high.ready_at() - now)
        now = high.ready_at()
    assert pauses == sorted(pauses)
    assert pauses[0] >= 0.1
    assert pauses[-1] == 2.0
    high.answered(high.take(now), now)
    ticket = high.take(now)
    high.throttled(ticket, None, now)
    assert high.ready_at() - now == pytest.approx(pauses[0])
    ticket = pacer.take(0.0)
    pacer.throttled(ticket, None, 0.0)
    assert pacer.ready_at() == 0.1


def test_a_wait_that_a_pause_keeps_beyond_its_deadline_is_not_begun() -> None:
    """A waiter whose deadline lies within the pause is told at once, with the 429."""

    async def main() -> None:
        box = limiter()
        permit = await use(box)
        box.throttled(permit, too_many(30))
        box.release(permit)
        with pytest.raises(OutOfTimeError) as caught:
            await box.acquire(Priority.UNDER_WAY, deadline=1010.0)
        assert caught.value.pause is not None
        assert asyncio.get_running_loop().time() == 1000

    run(main())


def test_a_wait_for_a_slot_ends_at_its_deadline() -> None:
    """A waiter that gets no slot in time is told at its deadline, and its place is gone."""

    async def main() -> None:
        box = limiter(concurrency=1)
        permit = await use(box)
        with pytest.raises(OutOfTimeError) as caught:
            await box.acquire(Priority.FIRST, deadline=1002.5)
        assert caught.value.pause is None
        assert asyncio.get_running_loop().time() == 1002.5
        box.release(permit)
        box.release(await use(box))

    run(main())


class FakeExchange:
    """A transport that answers GETs with a live run and pauses with 204, each after ten milliseconds."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, str, str]] = []

    async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
        await asyncio.sleep(0.001)
        await outgoing.leave()
        name = outgoing.url.split("/fielding-runs/")[1].split("/")[0]
        self.sent.append((asyncio.get_running_loop().time(), outgoing.method, name))
        await asyncio.sleep(0.01)
        if outgoing.method == "POST":
            return Response(204, {"ETag": 'W/"2"'})
        body = (
            f'{{"id":"{name}","status":"live","version":1,"start_fielding_at":"2026-01-01T00:00:00.000Z",'
            '"end_fielding_at":"2031-01-01T00:00:00.000Z","last_changed_at":"2026-01-01T00:00:00.000Z",'
            '"last_changed_by":"somebody"}'
        )
        return Response(200, {"ETag": 'W/"1"'}, body.encode())

    def close_now(self) -> None:
        """Do nothing: nothing was opened."""

    async def aclose(self) -> None:
        """Nothing was opened."""


def test_cold_actions_at_a_known_pace_finish_in_call_order() -> None:
    """2,000 cold actions at a known pace finish one after the other in the order of their calls: not all GETs first."""

    async def main() -> None:
        exchange = FakeExchange()
        fielding = session_over(exchange, dice=random.Random(1), auth="token", limits=Limits(rate=100), retry=QUICK)
        finished: list[int] = []

        async def one(number: int) -> None:
            await fielding.run(RunRef(1, "0" * 26, "1" * 26, f"r{number}")).pause()
            finished.append(number)

        async with fielding, asyncio.TaskGroup() as group:
            for number in range(2000):
                group.create_task(one(number))
        assert finished == sorted(finished)
        gaps = [later[0] - sooner[0] for sooner, later in zip(exchange.sent, exchange.sent[1:], strict=False)]
        assert min(gaps) >= 0.01 - 1e-9
        assert asyncio.get_running_loop().time() - 1000 == pytest.approx(40.4, rel=0.01)

    run(main())


def test_the_spacing_holds_at_the_socket() -> None:
    """However long each connection takes to open, requests leave no closer together than the rate says."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        dice = random.Random(4)
        left: list[float] = []

        class SlowToConnect(FakeExchange):
            async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
                await asyncio.sleep(dice.uniform(0.0, 0.2))
                answer = await super().send(outgoing, timeout=timeout, connect_timeout=connect_timeout)
                left.append(loop.time())
                return answer

        exchange = SlowToConnect()
        fielding = session_over(exchange, dice=random.Random(1), auth="token", limits=Limits(rate=100), retry=QUICK)
        async with fielding, asyncio.TaskGroup() as group:
            for number in range(500):
                group.create_task(fielding.run(RunRef(1, "0" * 26, "1" * 26, f"r{number}")).get())
        gaps = [later[0] - sooner[0] for sooner, later in zip(exchange.sent, exchange.sent[1:], strict=False)]
        assert min(gaps) > 0.0074  # what late timers may bring the next request closer, and no more
        assert sum(gaps) == pytest.approx(5.0, rel=0.1)

    run(main())


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.parametrize("limits", [Limits(rate=100), Limits(), Limits(concurrency=4, adaptive=False)])
def test_a_call_costs_the_same_however_many_wait(limits: Limits) -> None:
    """With 10,000 waiting, with deadlines and without, a call takes as many steps of the limiter as with 500."""

    async def main(waiting: int) -> float:
        loop = asyncio.get_running_loop()
        box = Limiter(limits, lambda _low, high: high, loop)
        steps = 0

        def count(frame: Any, event: str, _arg: Any) -> None:
            nonlocal steps
            steps += event == "call" and "fielding_async" in frame.f_code.co_filename

        async def one(number: int) -> None:
            deadline = loop.time() + 1e6 + number if number % 2 else None
            permit = await box.acquire(Priority(number % len(Priority)), deadline=deadline)
            while box.may_leave(permit, asyncio.get_running_loop().time()):
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.01)
            box.release(permit)

        before = sys.getprofile()
        sys.setprofile(count)
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(waiting):
                    group.create_task(one(number))
        finally:
            sys.setprofile(before)
        return steps / waiting

    few, many = run(main(500)), run(main(10_000))
    assert many <= 1.2 * few


async def test_a_429_pauses_every_task_over_real_sockets(sandbox: Sandbox) -> None:
    """When one of 50 tasks meets a 429, no request reaches the server until its Retry-After has passed."""
    refs = [sandbox.add_run("live") for _ in range(50)]
    holds = [Hold() for _ in range(9)]
    async with session(sandbox, limits=Limits(concurrency=10)) as fielding:
        # connections that are open already leave no excuse
        await asyncio.gather(*(fielding.run(ref).get() for ref in refs))
        warm_up = len(sandbox.requests)
        sandbox.script(*holds, Status(429, retry_after="0.5"), on="pause")
        calls = [asyncio.create_task(fielding.run(ref).pause()) for ref in refs]
        while not fielding.engine().limiter.pause_left:
            await asyncio.sleep(0)
        for hold in holds:  # these had left before the 429; when they end, there is room for others
            hold.release()
        await asyncio.gather(*calls)
    requests = sandbox.requests[warm_up:]
    refused = next(request for request in requests if request.status == 429)
    later = sorted(request.received_at - refused.received_at for request in requests)
    assert len([gap for gap in later if gap < 0.49]) == 10
    assert [request.status for request in requests].count(429) == 1
    assert len(sent(sandbox, "pause")) == 51


async def test_a_429_uses_up_no_attempt(sandbox: Sandbox) -> None:
    """Even with a single attempt, many 429s are waited out."""
    ref = sandbox.add_run("live")
    sandbox.script(*[Status(429, retry_after="0.01")] * 5, on="get")
    async with session(sandbox, retry=Retry(max_attempts=1)) as fielding:
        assert (await fielding.run(ref).get()).status == "live"


def ends_while_all_is_refused(
    total: float, retry_after: str | None, *, timeout: float | None = 0.0, closed: float = 600.0
) -> list[tuple[float, str]]:
    """Return when and how 12 calls end whose server answers nothing but 429s, for ten minutes and then no more."""

    class Closed(FakeExchange):
        async def send(self, outgoing: Outgoing, *, timeout: float, connect_timeout: float) -> Attempted:
            if asyncio.get_running_loop().time() >= 1000 + closed:
                return await super().send(outgoing, timeout=timeout, connect_timeout=connect_timeout)
            await outgoing.leave()
            return Response(429, {} if retry_after is None else {"Retry-After": retry_after})

    async def main() -> list[tuple[float, str]]:
        loop = asyncio.get_running_loop()
        ends: list[tuple[float, str]] = []
        fielding = session_over(
            Closed(), dice=random.Random(1), auth="token", timeout=Timeout(total=total), retry=QUICK
        )

        async def one(number: int) -> None:
            more: dict[str, Any] = {} if timeout == 0.0 else {"timeout": timeout}
            kind = "ok"
            try:
                await fielding.run(RunRef(1, "0" * 26, "1" * 26, f"r{number}")).get(**more)
            except FieldingError as error:
                kind = type(error).__name__
            ends.append((loop.time() - 1000, kind))

        async with fielding, asyncio.TaskGroup() as group:
            for number in range(12):
                group.create_task(one(number))
        return ends

    return run(main())


@pytest.mark.parametrize("retry_after", ["1", "2.5", None])
def test_a_queue_that_nobody_gets_on_in_comes_to_its_end(retry_after: str | None) -> None:
    """Where all is refused, calls that never had a permission fail with the 429 once their time would have been up."""
    ends = ends_while_all_is_refused(8, retry_after)
    assert {kind for _, kind in ends} == {"RateLimitError"}
    assert max(at for at, _ in ends) < 3 * 8


def test_a_long_pause_does_not_end_a_queue() -> None:
    """A queue that a single pause holds up is no outage: its calls have their whole time once the pause is over.

    Only the seven that were sent before the first answer had begun theirs.
    """
    ends = ends_while_all_is_refused(8, "100", closed=100)
    assert [kind for _, kind in ends].count("ok") >= 5


def test_a_call_without_a_limit_waits_an_outage_out() -> None:
    """`timeout=None` is kept to the letter."""
    assert {kind for _, kind in ends_while_all_is_refused(8, "1", timeout=None)} == {"ok"}


def test_a_pace_that_leaves_no_time_is_not_waited_for() -> None:
    """A call whose deadline lies before the next permission fails at once."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        box = limiter(rate=0.1)
        (await use(box)).used = True
        with pytest.raises(OutOfTimeError):
            await box.acquire(Priority.FIRST, deadline=loop.time() + 3)
        assert loop.time() == 1000

    run(main())
