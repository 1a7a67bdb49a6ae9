"""`find_runs` over real sockets: which runs are found, by how many requests, and what is left when it is left."""

import asyncio
import gc
import weakref
from collections import Counter
from typing import Any

import pytest

from fielding_async import (
    ConfigurationError,
    FieldingSession,
    FoundRun,
    FoundRuns,
    Limits,
    NotFoundError,
    Pause,
    PermissionDeniedError,
    ProtocolError,
    RunRef,
    SessionClosedError,
    TargetGroupItem,
)
from fielding_async.core.wire.discovery import bodies
from fielding_async.sandbox import Cut, Reply, Sandbox, Status
from tests.tools.fake_project import FakeProject
from tests.tools.lists import Holds, readers, settled
from tests.tools.sessions import sent, session

GROUPS = "list-target-groups"
JSON = (("Content-Type", "application/json"),)


def search(fielding: FieldingSession, sandbox: Sandbox, **arguments: Any) -> FoundRuns:
    """Return a search in the project of the sandbox."""
    return fielding.project(101, sandbox.project_id).find_runs(**arguments)


def with_runs(sandbox: Sandbox, count: int, status: str = "live") -> list[RunRef]:
    """Add runs to the sandbox's project."""
    return [sandbox.add_run(status) for _ in range(count)]


class Living:
    """Counts the target groups that are in memory: how many now, and the most that there were."""

    def __init__(self) -> None:
        self._alive: dict[int, object] = {}
        self.most = 0

    def __call__(self, **fields: Any) -> TargetGroupItem:
        """Make a target group."""
        item = TargetGroupItem(**fields)
        number = len(self._alive) + 10**6 * (self.most + 1)
        while number in self._alive:
            number += 1
        self._alive[number] = weakref.ref(item, lambda _: self._alive.pop(number))
        self.most = max(self.most, len(self._alive))
        return item


# -- what is found


async def test_every_run_is_found_once_by_the_least_requests(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page for every 100 target groups and a list for each that is no draft; at most 8 requests, 200 groups."""
    monkeypatch.setattr(bodies, "TargetGroupItem", living := Living())
    refs = with_runs(sandbox, 730)
    for _ in range(45):
        sandbox.add_draft()
    sandbox.add_run("live", project_id="9" * 26)
    found: Counter[RunRef] = Counter()
    in_flight = 0
    async with session(sandbox) as fielding:
        async for one in search(fielding, sandbox):
            found[one.ref] += 1
            in_flight = max(in_flight, fielding.stats().in_flight)
            assert (one.run.id, one.run.etag) == (one.ref.fielding_run_id, None)
            assert one.target_group.id == one.ref.target_group_id
        stats = fielding.stats()
    assert found == Counter(refs)
    assert Counter(request.operation for request in sandbox.requests) == {GROUPS: 8, "list": 730}
    assert stats.requests == 738
    assert stats.runs_cached == 0
    assert in_flight <= 8
    assert 100 < living.most <= 200


async def test_a_slow_caller_holds_the_search_back(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nothing is taken, no more is found than there are requests side by side."""
    monkeypatch.setattr(bodies, "TargetGroupItem", living := Living())
    with_runs(sandbox, 250)
    async with session(sandbox) as fielding:
        iterator = aiter(search(fielding, sandbox, concurrency=4))
        await anext(iterator)
        while readers():
            await asyncio.wait(readers())
        assert len(sent(sandbox, "list")) == 5
        assert len(sent(sandbox, GROUPS)) == 2
        assert living.most <= 200
        await iterator.aclose()


async def test_the_status_is_that_of_the_run(sandbox: Sandbox) -> None:
    """It is judged and not sent; that of target groups is sent, and so is the search."""
    live, paused, completed = (sandbox.add_run(status) for status in ("live", "paused", "completed"))
    named = sandbox.add_run("live", target_group_id=sandbox.add_target_group(name="Spring wave"))
    async with session(sandbox) as fielding:

        async def refs(**arguments: Any) -> set[RunRef]:
            return {found.ref for found in await search(fielding, sandbox, **arguments)}

        assert await refs() == {live, paused, completed, named}
        assert await refs(status="live") == {live, named}
        assert await refs(status=["paused", "completed"]) == {paused, completed}
        assert not [request for request in sent(sandbox, GROUPS) if "status" in request.path]
        assert await refs(target_group_status={"paused"}) == {paused}
        assert "status=paused" in sent(sandbox, GROUPS)[-1].path
        assert await refs(search="spring") == {named}
        assert "search_string=spring" in sent(sandbox, GROUPS)[-1].path
        assert await refs(where=lambda found: found.target_group.name == "Spring wave") == {named}
        assert await refs(status="paused", where=lambda found: found.ref == live) == set()


async def test_what_was_found_can_be_acted_on(sandbox: Sandbox) -> None:
    """From the search to the batch, lazily."""
    live = with_runs(sandbox, 12)
    paused = with_runs(sandbox, 3, "paused")
    async with session(sandbox) as fielding:
        pairs = ((found.ref, Pause()) async for found in search(fielding, sandbox, status="live"))
        async with fielding.perform_all(pairs) as batch:
            done = [row.result().effect async for row in batch]
    assert done == ["accepted"] * 12
    assert {sandbox.inspect(ref).status for ref in (*live, *paused)} == {"paused"}


async def test_a_target_group_without_a_run_is_passed_over(sandbox: Sandbox) -> None:
    """An empty list is no run; a 404 is one that vanished, and is counted."""
    sandbox.add_target_group(status="archived")
    refs = with_runs(sandbox, 5)
    async with session(sandbox) as fielding:
        sandbox.script(Status(404), on="list")
        iterator = aiter(search(fielding, sandbox, concurrency=1))
        assert iterator.vanished == 0
        assert {found.ref async for found in iterator} == set(refs)
        assert iterator.vanished == 1
        again = aiter(search(fielding, sandbox))
        assert {found.ref async for found in again} == set(refs)
        assert again.vanished == 0


async def test_a_target_group_that_moves_to_a_later_page_comes_once(sandbox: Sandbox) -> None:
    """Pages are read while the project changes."""
    refs = with_runs(sandbox, 3)
    names = [ref.target_group_id for ref in refs]

    def page(ids: list[str], cursor: str | None) -> Reply:
        groups = ", ".join(f'{{"id": "{name}", "status": "live"}}' for name in ids)
        more = "" if cursor is None else f', "next_cursor": "{cursor}"'
        return Reply(200, JSON, f'{{"target_groups": [{groups}]{more}}}'.encode())

    sandbox.script(page(names[:2], "c"), page([names[1], names[2]], None), on=GROUPS)
    async with session(sandbox) as fielding:
        found = await search(fielding, sandbox).all()
    assert {one.ref for one in found} == set(refs)
    assert len(found) == len(sent(sandbox, "list")) == 3


# -- errors


async def test_an_error_comes_after_what_was_found(sandbox: Sandbox, held: Holds) -> None:
    """Nothing new is started behind it, what is under way still counts, and then it is raised, once."""
    with_runs(sandbox, 40)
    async with session(sandbox) as fielding:
        hold = held("list")
        sandbox.script(Status(403), on="list")
        iterator = aiter(search(fielding, sandbox, concurrency=4))
        found = [await anext(iterator)]
        await settled()
        hold.release()
        with pytest.raises(PermissionDeniedError):
            found += [one async for one in iterator]
        with pytest.raises(StopAsyncIteration):
            await anext(iterator)
        assert readers() == set()
    assert 2 < len(sent(sandbox, "list")) < 12


async def test_a_page_that_fails_comes_after_the_target_groups_before_it(sandbox: Sandbox) -> None:
    """However early the page was fetched ahead."""
    with_runs(sandbox, 130)
    found: list[FoundRun] = []
    async with session(sandbox) as fielding:
        iterator = aiter(search(fielding, sandbox))
        found.append(await anext(iterator))
        sandbox.script(Status(403), on=GROUPS)
        try:
            async for one in iterator:
                found.append(one)
        except PermissionDeniedError:
            pass
        else:
            pytest.fail("no error came")
    assert len(found) == 100


async def test_a_404_of_something_in_between_is_no_run_that_vanished(sandbox: Sandbox) -> None:
    """A page that is not the exchange's own would make every run vanish."""
    with_runs(sandbox, 2)
    sandbox.script(Reply(404, (("Content-Type", "text/html"),), b"<html>not here</html>"), on="list")
    async with session(sandbox) as fielding:
        with pytest.raises(NotFoundError):
            await search(fielding, sandbox).all()


async def test_a_project_that_is_not_there_is_an_error(sandbox: Sandbox) -> None:
    """It is not a project without runs."""
    async with session(sandbox) as fielding:
        with pytest.raises(NotFoundError):
            await fielding.project(101, "Z" * 26).find_runs().all()


async def test_a_run_of_another_target_group_is_refused(sandbox: Sandbox) -> None:
    """What acts on runs must not get another than was asked for."""
    (ref,) = with_runs(sandbox, 1)
    run = sandbox.inspect(ref)
    body = (
        f'{{"data":[{{"id":"{run.id}","status":"live","version":1,"start_fielding_at":"2030-01-01T00:00:00.000Z",'
        f'"end_fielding_at":"2031-01-01T00:00:00.000Z","target_group_id":"{"7" * 26}"}}]}}'
    )
    sandbox.script(Reply(200, JSON, body.encode()), on="list")
    async with session(sandbox) as fielding:
        with pytest.raises(ProtocolError, match=r"\$.data\[\].target_group_id is '7777"):
            await search(fielding, sandbox).all()


async def test_passing_failures_are_healed(sandbox: Sandbox) -> None:
    """A lost reply, a 503 and a 429 cost nothing but time."""
    refs = with_runs(sandbox, 20)
    async with session(sandbox) as fielding:
        sandbox.script(Cut("after"), Status(503), Status(429, retry_after="0"), on="list")
        sandbox.script(Cut("before"), on=GROUPS)
        found = await search(fielding, sandbox).all()
    assert {one.ref for one in found} == set(refs)


class Mine(Exception):  # noqa: N818
    """What a caller raises."""


async def test_what_where_raises_passes_through(sandbox: Sandbox) -> None:
    """The search is over then; nothing of it is under way."""
    with_runs(sandbox, 30)

    def where(found: FoundRun) -> bool:
        raise Mine(found.ref)

    async with session(sandbox) as fielding:
        iterator = aiter(search(fielding, sandbox, where=where))
        with pytest.raises(Mine) as caught:
            await anext(iterator)
        assert isinstance(caught.value.args[0], RunRef)
        await settled()
        assert readers() == set()
        with pytest.raises(StopAsyncIteration):
            await anext(iterator)


@pytest.mark.parametrize("kind", [StopIteration, StopAsyncIteration])
async def test_where_cannot_end_the_search_by_mistake(sandbox: Sandbox, kind: type[Exception]) -> None:
    """A search that ends must have found everything."""
    with_runs(sandbox, 2)

    def where(_: FoundRun) -> bool:
        raise kind

    async with session(sandbox) as fielding:
        with pytest.raises(RuntimeError, match=f"where raised {kind.__name__}"):
            await search(fielding, sandbox, where=where).all()


async def test_where_that_returns_an_awaitable_is_refused(sandbox: Sandbox) -> None:
    """It would be true whatever it comes to."""
    with_runs(sandbox, 2)

    async def judged() -> bool:
        return False

    async with session(sandbox) as fielding:
        with pytest.raises(ConfigurationError, match="where: must be a plain callable"):
            await search(fielding, sandbox, where=lambda _: judged()).all()


# -- leaving early


async def test_after_a_break_nothing_is_left(sandbox: Sandbox, held: Holds) -> None:
    """Requests end without garbage collection and without a call; only GETs ever were under way."""
    with_runs(sandbox, 120)
    async with session(sandbox) as fielding:
        held("list")
        gc.disable()
        try:
            async for _ in search(fielding, sandbox):
                assert readers()
                break
            await settled()
            assert readers() == set()
            assert fielding.stats().in_flight == 0
        finally:
            gc.enable()
    assert {request.method for request in sandbox.requests} == {"GET"}


async def test_a_search_that_is_closed_is_over(sandbox: Sandbox, held: Holds) -> None:
    """Whoever waits in it sees its end; closing again does nothing."""
    with_runs(sandbox, 1)
    async with session(sandbox) as fielding:
        hold = held("list")
        iterator = aiter(search(fielding, sandbox))
        consumer = asyncio.ensure_future(anext(iterator, None))
        await hold.arrived()
        with pytest.raises(ConfigurationError, match="iterated by another task"):
            await anext(iterator)
        await iterator.aclose()
        assert readers() == set()
        assert await consumer is None
        await iterator.aclose()
        await aiter(search(fielding, sandbox)).aclose()


async def test_a_consumer_that_stops_waiting_loses_nothing(sandbox: Sandbox, held: Holds) -> None:
    """Whoever asks next gets the run."""
    refs = with_runs(sandbox, 3)
    async with session(sandbox) as fielding:
        hold = held(GROUPS)
        iterator = aiter(search(fielding, sandbox))
        consumer = asyncio.ensure_future(anext(iterator))
        await hold.arrived()
        consumer.cancel()
        await asyncio.wait([consumer])
        hold.release()
        assert {found.ref async for found in iterator} == set(refs)
    assert len(sandbox.requests) == 4


async def test_a_search_that_nobody_waits_for_comes_to_rest(sandbox: Sandbox, held: Holds) -> None:
    """Also where it finds nothing that would fill its room; whoever asks again lets it go on."""
    with_runs(sandbox, 40, "paused")
    last = sandbox.add_run("live")
    async with session(sandbox) as fielding:
        hold = held("list")
        iterator = aiter(search(fielding, sandbox, status="live", concurrency=3))
        consumer = asyncio.ensure_future(anext(iterator))
        await hold.arrived()
        consumer.cancel()
        await asyncio.wait([consumer])
        hold.release()
        while readers():
            await asyncio.wait(readers())
        assert len(sent(sandbox, "list")) < 40
        assert [found.ref async for found in iterator] == [last]
    assert len(sent(sandbox, "list")) == 41


async def test_a_session_that_closes_ends_the_search(sandbox: Sandbox, held: Holds) -> None:
    """The consumer learns why, and no task is left when the session is closed."""
    with_runs(sandbox, 5)
    async with session(sandbox) as fielding:
        hold = held("list")
        consumer = asyncio.ensure_future(search(fielding, sandbox, concurrency=1).all())
        await hold.arrived()
        await fielding.aclose()
        assert readers() == set()
        with pytest.raises(SessionClosedError):
            await consumer


@pytest.mark.parametrize("steps", range(8))
async def test_a_session_that_closes_while_requests_end_leaves_no_task(steps: int) -> None:
    """Whatever the moment: a request that just ended must not start another that outlives the session."""
    project = FakeProject(30)
    closing: list[asyncio.Task[None]] = []
    left: list[set[asyncio.Task[Any]]] = []

    def close(left: int) -> None:
        if left:
            loop.call_soon(close, left - 1)
        else:
            closing.append(loop.create_task(close_session()))

    async def close_session() -> None:
        await fielding.aclose()
        left.append(readers())

    def begin(operation: str) -> None:
        if project.requests["fielding-runs"] == 5:
            close(steps)

    loop = asyncio.get_running_loop()
    project.on_reply = begin
    async with project.session() as fielding:
        consumer = asyncio.ensure_future(project.handle(fielding).find_runs(concurrency=2).all())
        while not closing:
            await asyncio.sleep(0)
        with pytest.raises(SessionClosedError):
            await consumer
        await closing[0]
        await settled()
    assert left == [set()]


@pytest.mark.parametrize("concurrency", [1, 3, 8])
async def test_no_more_requests_are_under_way_than_are_asked_for(concurrency: int) -> None:
    """Pages are counted too, and no request waits for another without need."""
    project = FakeProject(450)
    async with project.session() as fielding:
        found = await project.handle(fielding).find_runs(concurrency=concurrency).all()
    assert len(found) == len({one.ref for one in found}) == 450
    assert project.requests == {"target-groups": 5, "fielding-runs": 450}
    assert project.most_active == concurrency


async def test_a_search_needs_no_more_slots_than_there_are(sandbox: Sandbox) -> None:
    """One slot is enough, whatever the search would take."""
    refs = with_runs(sandbox, 7)
    async with session(sandbox, limits=Limits(concurrency=1, adaptive=False)) as fielding:
        found = await search(fielding, sandbox, concurrency=50).all()
    assert {one.ref for one in found} == set(refs)
    assert repr(search(fielding, sandbox)) == f"<FoundRuns of 101/{sandbox.project_id}>"
