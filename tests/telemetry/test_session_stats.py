"""`FieldingSession.stats()`: what goes on and what has happened, at any time, from any thread, at no risk."""

import asyncio
import multiprocessing
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from fielding_async import (
    FieldingSession,
    Limits,
    OutcomeUnknownError,
    Pause,
    RateLimitError,
    Retry,
    SessionStats,
    Timeout,
)
from fielding_async.core.pace.waiting_line import Priority
from fielding_async.core.wire.replies import Attempted, Response
from fielding_async.http.transport import Outgoing
from fielding_async.sandbox import Cut, Sandbox, SecondWriter, Status
from fielding_async.telemetry.session_stats import SessionWatch
from tests.tools.fake_exchange import FakeExchange, ref_of, session_on
from tests.tools.sessions import session
from tests.tools.virtual_time import run
from tests.tools.waits import HANG

COUNTS = ("requests", "refusals", "conflicts", "lost_replies", "unknown")


class Throttling(FakeExchange):
    """An exchange that answers so many requests with 429 and this Retry-After."""

    def __init__(self, refusals: int, retry_after: str) -> None:
        super().__init__()
        self.refusals = refusals
        self.retry_after = retry_after

    def answer(self, outgoing: Outgoing, name: str, action: str) -> Attempted:
        if self.refusals:
            self.refusals -= 1
            return Response(429, {"Retry-After": self.retry_after}, b"{}")
        return super().answer(outgoing, name, action)


def test_before_it_is_entered_all_is_zero() -> None:
    """A session that was not entered has nothing to tell, and its pace is not known."""
    assert FieldingSession("token", base_url="http://127.0.0.1:9/v1").stats() == SessionStats()
    assert SessionStats().pace is None


def test_it_shows_who_is_in_flight_and_who_waits_for_what() -> None:
    """Slots, the queue with its batch rows and its oldest request, and turns, while they are taken and waited for."""
    seen: list[SessionStats] = []

    async def main() -> None:
        limits, timeout = Limits(concurrency=2, adaptive=False), Timeout(total=None, attempt=60)
        async with session_on(FakeExchange(latency=10.0), limits=limits, timeout=timeout) as fielding:
            tasks: list[asyncio.Task[Any]] = [
                asyncio.create_task(fielding.run(ref_of(number)).get()) for number in range(2)
            ]
            await asyncio.sleep(1)
            tasks += [asyncio.create_task(fielding.run(ref_of(0)).pause()) for _ in range(3)]  # one waits for a slot
            rows = [(ref_of(name), Pause()) for name in ("a", "b", "c", "d")]
            async with fielding.perform_all(rows, concurrency=4) as batch:
                async with asyncio.TaskGroup() as group:
                    reader = group.create_task(anext(aiter(batch)))
                    await asyncio.sleep(4)
                    seen.append(fielding.stats())
                    await reader
                async for _ in batch:
                    pass
            await asyncio.gather(*tasks)
            seen.append(fielding.stats())

    run(main())
    during, after = seen
    assert (during.in_flight, during.waiting, during.waiting_batch, during.waiting_turns) == (2, 5, 4, 2)
    assert during.oldest_wait == pytest.approx(4)
    assert (during.requests, during.runs_cached) == (0, 0)
    assert (after.in_flight, after.waiting, after.waiting_turns, after.oldest_wait) == (0, 0, 0, 0.0)
    assert after.runs_cached == 6


def test_it_shows_the_pause_and_the_pace() -> None:
    """`pause_left` goes down to 0 after a 429; `pace` is the configured rate, and `None` where there is no limit."""

    async def main(limits: Limits) -> list[SessionStats]:
        seen: list[SessionStats] = []
        async with session_on(Throttling(1, "3"), limits=limits) as fielding:
            seen.append(fielding.stats())
            task = asyncio.create_task(fielding.run(ref_of(1)).get())
            await asyncio.sleep(1)
            seen.append(fielding.stats())
            await task
            seen.append(fielding.stats())
        return seen

    before, during, after = run(main(Limits(rate=20.0)))
    assert before.pace == pytest.approx(20.0, rel=0.02)
    assert (before.pause_left, before.refusals) == (0.0, 0)
    assert during.pause_left == pytest.approx(2.0, abs=0.1)
    assert (during.refusals, during.waiting, during.in_flight) == (1, 1, 0)
    assert (after.pause_left, after.refusals, after.requests) == (0.0, 1, 2)
    assert [stats.pace for stats in run(main(Limits(adaptive=False)))] == [None] * 3


async def test_it_counts_what_outcomes_and_errors_say(sandbox: Sandbox) -> None:
    """Requests, 429s, conflicts, lost replies and unknown outcomes are those that the calls themselves report."""
    ref, lost = sandbox.add_run("live"), sandbox.add_run("live")
    sandbox.script(Cut("before"), Status(503), SecondWriter(), Status(429, retry_after="0.05"), on="pause", ref=ref)
    async with session(sandbox, retry=Retry(max_attempts=3, base=0.001, cap=0.01, conflict_base=0.001)) as fielding:
        outcome = await fielding.run(ref).pause()
        stats = fielding.stats()
        assert stats.requests == outcome.requests == len(sandbox.requests)
        assert (stats.refusals, stats.conflicts, stats.lost_replies, stats.unknown) == (1, outcome.conflicts, 2, 0)
        assert outcome.conflicts == 1
        await fielding.run(lost).get()
        sandbox.script(*[Cut("before")] * 3, on="pause", ref=lost)
        sandbox.script(*[Status(503)] * 3, on="get", ref=lost)
        with pytest.raises(OutcomeUnknownError):
            await fielding.run(lost).pause()
        assert fielding.stats().unknown == 1
        assert fielding.stats().requests == len(sandbox.requests)


def test_after_closing_it_keeps_the_last_values() -> None:
    """Once the session is closed, counts stay, nothing is in flight, and the pause stays as long as it was then."""
    left: list[Any] = []

    async def main() -> None:
        async with session_on(Throttling(1, "30"), timeout=Timeout(total=None)) as fielding:
            task = asyncio.create_task(fielding.run(ref_of(1)).get())
            await asyncio.sleep(10)
        await asyncio.wait([task])
        left.extend([fielding, type(task.exception()).__name__])
        await asyncio.sleep(60)

    run(main())
    fielding, error = left
    assert error == "SessionClosedError"
    stats = fielding.stats()
    assert stats == fielding.stats()
    assert (stats.requests, stats.refusals, stats.in_flight, stats.waiting, stats.oldest_wait) == (1, 1, 0, 0, 0.0)
    assert stats.pause_left == pytest.approx(20, abs=0.1)


async def test_any_thread_may_read_while_calls_run(sandbox: Sandbox) -> None:
    """Readers in four threads meet no exception, see counts that only grow, and in the end the right ones."""
    refs = [sandbox.add_run("live") for _ in range(40)]
    is_over = threading.Event()
    seen: list[list[SessionStats]] = [[] for _ in range(4)]
    failures: list[BaseException] = []

    async with session(sandbox, limits=Limits(concurrency=4, adaptive=False)) as fielding:

        def read(into: list[SessionStats]) -> None:
            try:
                while not is_over.is_set():
                    into.append(fielding.stats())
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=read, args=(into,)) for into in seen]
        for thread in threads:
            thread.start()
        try:
            outcomes = await asyncio.gather(
                *(fielding.run(ref).pause() for ref in refs), *(fielding.run(ref).resume() for ref in refs)
            )
        finally:
            is_over.set()
            for thread in threads:
                await asyncio.to_thread(thread.join, HANG)
        total = fielding.stats()
    assert failures == []
    for stats in seen:
        assert stats
        for name in COUNTS:
            values = [getattr(one, name) for one in stats]
            assert values == sorted(values)
    assert max(one.in_flight for stats in seen for one in stats) > 0
    assert total.requests == sum(outcome.requests for outcome in outcomes) == len(sandbox.requests)
    assert (total.in_flight, total.waiting, total.waiting_turns, total.runs_cached) == (0, 0, 0, len(refs))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
def test_a_forked_child_may_read_what_the_parent_had() -> None:
    """In a forked child `stats()` raises nothing, and holds the counts at the fork."""

    async def main() -> tuple[SessionStats, SessionStats]:
        async with session_on(FakeExchange()) as fielding:
            await fielding.run(ref_of(1)).pause()
            fork = multiprocessing.get_context("fork")
            ours, theirs = fork.Pipe()
            child = fork.Process(target=lambda: theirs.send(fielding.stats()))
            child.start()
            try:
                assert ours.poll(HANG)
                return ours.recv(), fielding.stats()
            finally:
                child.join(HANG)
                ours.close()
                theirs.close()

    theirs, ours = asyncio.run(main())
    assert theirs == ours
    assert ours.requests == 2


class _Restless:
    """A limiter whose queue changes, so many times, while another thread copies it."""

    in_flight = 1
    oldest_wait = 0.0
    pace = None
    pause_left = 0.0
    refusals = 0
    waiting = 0

    def __init__(self, changes: int) -> None:
        self.changes = changes

    @property
    def waiting_by_class(self) -> Mapping[Priority, int]:
        if self.changes:
            self.changes -= 1
            raise RuntimeError("dictionary changed size during iteration")
        return {Priority.FIRST: 3, Priority.BACKGROUND: 2}


@pytest.mark.parametrize("changes", [0, 1, 5])
def test_a_copy_that_was_disturbed_is_made_again(changes: int) -> None:
    """Where a copy fails because another thread changed what was copied, the snapshot is taken again."""
    limiter = _Restless(changes)
    stats = SessionWatch(limiter, limiter, {}, name=None, slots=1).stats()
    assert (stats.in_flight, stats.waiting, stats.waiting_batch) == (1, 5, 2)


def test_copies_that_are_always_disturbed_leave_the_snapshot_before() -> None:
    """If no copy can be made, the last snapshot is returned, and nothing is raised."""
    limiter = _Restless(0)
    watch = SessionWatch(limiter, limiter, {}, name=None, slots=1)
    before = watch.stats()
    limiter.changes = 10**9
    assert watch.stats() is before


def test_refusals_that_end_a_call_are_counted() -> None:
    """A call that ends in `RateLimitError` leaves its 429 in the counts, and no unknown outcome."""

    async def main() -> SessionStats:
        async with session_on(Throttling(9, "100")) as fielding:
            with pytest.raises(RateLimitError):
                await fielding.run(ref_of(1)).get(timeout=5)
            return fielding.stats()

    stats = run(main())
    assert (stats.requests, stats.refusals, stats.unknown) == (1, 1, 0)
