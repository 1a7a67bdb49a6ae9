"""Lists over real sockets: pages, their end, errors between them, and what is left of an iteration that is left."""

import asyncio
import gc
import json
import threading
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from fielding_async import (
    ConfigurationError,
    FieldingError,
    FieldingSession,
    Limits,
    ListingIterator,
    NotFoundError,
    PermissionDeniedError,
    Project,
    ProtocolError,
    RunRef,
    ServerError,
    SessionClosedError,
    TargetGroupItem,
    TargetGroupStatus,
)
from fielding_async.sandbox import Behaviour, Cut, Delay, Reply, Sandbox, Status
from tests.tools.lists import Holds, readers, settled
from tests.tools.sessions import TOKEN, sent, session
from tests.tools.waits import HANG

GROUPS = "list-target-groups"


def queries(sandbox: Sandbox, operation: str) -> list[dict[str, str]]:
    """Return the queries of the requests for an operation, in order."""
    return [dict(parse_qsl(urlsplit(request.path).query)) for request in sent(sandbox, operation)]


def with_groups(sandbox: Sandbox, count: int, **arguments: Any) -> list[str]:
    """Add target groups to the sandbox's project, and return their ids."""
    return [sandbox.add_target_group(**arguments) for _ in range(count)]


def project_of(fielding: FieldingSession, sandbox: Sandbox) -> Project:
    """Return the project of the sandbox."""
    return fielding.project(101, sandbox.project_id)


async def until_error(iterator: AsyncIterator[Any]) -> tuple[list[Any], Exception]:
    """Return the entries that come before an error, and the error."""
    found: list[Any] = []
    try:
        async for item in iterator:
            found.append(item)
    except FieldingError as error:
        return found, error
    raise AssertionError("no error came")


# -- what is listed


async def test_accounts_are_listed(sandbox: Sandbox) -> None:
    """They come on one page, and lead to projects."""
    for number in (7, 9):
        sandbox.add_account(number, name=f"Account {number}")
    sandbox.add_project(9, name="Their project")
    async with session(sandbox) as fielding:
        accounts = await fielding.list_accounts().all()
        assert {(account.id, account.name) for account in accounts} >= {(7, "Account 7"), (9, "Account 9")}
        (project,) = await fielding.account(9).list_projects().all()
    assert (project.name, project.account_id) == ("Their project", 9)
    assert [request.path for request in sent(sandbox, "list-accounts")] == ["/v1/accounts"]


async def test_projects_are_listed_with_filters(sandbox: Sandbox) -> None:
    """Every filter arrives; what is found leads to the project itself."""
    manager = "96c65204-90c2-4dcb-9393-b8226dd50c76"
    wanted = sandbox.add_project(name="Wave of spring", project_manager_id=manager, status="inactive")
    sandbox.add_project(name="Wave of autumn")
    async with session(sandbox) as fielding:
        account = fielding.account(101)
        for filters in ({"status": "inactive"}, {"search": "of spring"}, {"project_manager_id": manager}):
            found = await account.list_projects(**filters).all()  # type: ignore[arg-type]
            assert [project.id for project in found] == [wanted]
        project = account.project(wanted)
        details = await project.get()
        overview = await project.overview()
    assert (details.id, details.name, details.account_id) == (wanted, "Wave of spring", 101)
    assert (overview.id, overview.status) == (wanted, "inactive")
    assert overview.created_at is not None
    assert overview.created_at.utcoffset() is not None
    assert queries(sandbox, "list-projects") == [
        {"page_size": "100", "status": "inactive"},
        {"page_size": "100", "search_string": "of spring"},
        {"page_size": "100", "project_manager_id": manager},
    ]


async def test_target_groups_are_listed_with_filters(sandbox: Sandbox) -> None:
    """Arrays are repeated parameters, and the exchange's own names are used."""
    wanted = sandbox.add_target_group(
        name="Spring wave", status="paused", country="de", language="deu", customer_reference_number="AB-7"
    )
    with_groups(sandbox, 2)
    async with session(sandbox) as fielding:
        project = project_of(fielding, sandbox)
        (item,) = await project.list_target_groups(status=["paused", "draft"], country={"de"}, language="deu").all()
        assert (item.id, item.status, item.name) == (wanted, TargetGroupStatus.PAUSED, "Spring wave")
        assert item.human_readable_id is not None
        for listing in (
            project.list_target_groups(human_readable_ids=[item.human_readable_id]),
            project.list_target_groups(target_group_customer_reference_numbers=("AB-7",)),
            project.list_target_groups(search="ring wa"),
        ):
            assert [found.id for found in await listing.all()] == [wanted]
        assert await project.list_target_groups(exclusion_status=True).all() == []
    first = sent(sandbox, GROUPS)[0]
    assert first.path.endswith("?page_size=100&status=paused&status=draft&country=de&language=deu")


async def test_an_overview_and_changes_of_a_target_group(sandbox: Sandbox) -> None:
    """Progress and status; who changed what, filtered by type."""
    ref = sandbox.add_run("live")
    async with session(sandbox) as fielding:
        group = project_of(fielding, sandbox).target_group(ref.target_group_id)
        await fielding.run(ref).pause()
        await fielding.run(ref).resume()
        overview = await group.overview()
        changes = await group.list_changes(types="status_change").all()
        everything = await group.list_changes(page_size=1).all()
    assert overview.status == "live"
    assert overview.progress.filling_goal is not None
    assert overview.current_cost is not None
    assert "paused" in {change.new_value for change in changes}
    assert {change.type for change in changes} == {"status_change"}
    assert {change.batch_id for change in changes} <= {change.batch_id for change in everything}
    assert len(queries(sandbox, "list-changes")) > 2
    assert [change.occurred_at for change in changes if change.occurred_at is None] == []


async def test_an_overview_of_a_draft_says_that_it_may_be_one(sandbox: Sandbox) -> None:
    """The 404 is that of every resource; the error says what else it may mean here."""
    draft = sandbox.add_draft()
    async with session(sandbox) as fielding:
        with pytest.raises(NotFoundError, match="may be a draft, which has no overview") as caught:
            await project_of(fielding, sandbox).target_group(draft.target_group_id).overview()
    assert caught.value.args == (caught.value.message,)
    assert caught.value.trace_id is not None


async def test_list_runs_can_be_awaited_as_ever(sandbox: Sandbox) -> None:
    """Awaiting any list is its `all()`."""
    ref = sandbox.add_run("live")
    async with session(sandbox) as fielding:
        listing = project_of(fielding, sandbox).target_group(ref.target_group_id).list_runs()
        (run,) = await listing
        assert [run] == await listing.all() == [found async for found in listing]
    assert (run.id, run.status, run.etag) == (ref.fielding_run_id, "live", None)


async def test_a_run_from_its_text(sandbox: Sandbox) -> None:
    """`str(ref)` leads back to the run."""
    ref = sandbox.add_run("live")
    async with session(sandbox) as fielding:
        run = fielding.run(str(ref))
        assert (run, run.ref) == (fielding.run(ref), ref)
        assert (await run.get()).id == ref.fielding_run_id
        with pytest.raises(ConfigurationError, match="must be a str of four ids"):
            fielding.run("101/two")
        with pytest.raises(ConfigurationError, match="project_id='p'"):
            fielding.run("101/p/t/r")


# -- pages


@pytest.mark.parametrize("last_cursor", ["absent", "null", "empty"])
@pytest.mark.parametrize("backwards", [False, True])
async def test_a_list_has_every_entry_once(last_cursor: Any, backwards: bool) -> None:
    """However the last page says that it is the last, each page is fetched once."""
    behaviour = Behaviour(last_cursor=last_cursor, has_more_backwards=backwards)
    async with Sandbox(behaviour=behaviour) as sandbox, session(sandbox) as fielding:
        ids = with_groups(sandbox, 7)
        listing = project_of(fielding, sandbox).list_target_groups(page_size=3)
        assert [item.id for item in await listing.all()] == ids
        assert [item.id async for item in listing] == ids, "each iteration starts afresh"
        asked = queries(sandbox, GROUPS)
        assert ["start_after" in query for query in asked] == [False, True, True] * 2
        assert all(query["page_size"] == "3" for query in asked)


async def test_a_page_is_fetched_while_the_one_before_is_read(sandbox: Sandbox) -> None:
    """One page ahead, and not two."""
    with_groups(sandbox, 6)
    async with session(sandbox) as fielding:
        iterator = aiter(project_of(fielding, sandbox).list_target_groups(page_size=2))
        await anext(iterator)
        (ahead,) = readers()
        await asyncio.wait([ahead])
        assert len(sent(sandbox, GROUPS)) == 2
        await anext(iterator)
        await settled()
        assert len(sent(sandbox, GROUPS)) == 2
        await anext(iterator)
        await asyncio.wait(readers())
        assert len(sent(sandbox, GROUPS)) == 3
        assert [item.status async for item in iterator] == ["live"] * 3


@pytest.mark.parametrize("endless", ["same-cursor", "first-page", "fresh-cursors"])
async def test_a_list_without_an_end_is_ended(endless: Any) -> None:
    """A circle is noticed when it closes; what came before it was yielded."""
    async with Sandbox(behaviour=Behaviour(endless_lists=endless)) as sandbox, session(sandbox) as fielding:
        ids = with_groups(sandbox, 5)
        iterator = aiter(project_of(fielding, sandbox).list_target_groups(page_size=2))
        seen, error = await until_error(iterator)
        assert [item.id for item in seen] == ids
        with pytest.raises(ProtocolError, match="list-target-groups: the list would never end") as caught:
            raise error
        assert (caught.value.status, caught.value.method) == (200, "GET")
        assert caught.value.path == f"/demand/accounts/101/projects/{sandbox.project_id}/target-groups"
        with pytest.raises(ProtocolError, match="the list would never end"):
            await project_of(fielding, sandbox).find_runs().all()


async def test_a_cursor_is_sent_back_as_it_came(sandbox: Sandbox) -> None:
    """Whatever characters it has: it is a text of the exchange's."""
    cursor = 'a b+c/=&%3D%?#\\"ü\u2028'
    page = json.dumps({"target_groups": [{"id": "0" * 26}], "has_more": True, "next_cursor": cursor}).encode()
    last = json.dumps({"target_groups": [], "has_more": False}).encode()
    sandbox.script(*[Reply(200, (("Content-Type", "application/json"),), body) for body in (page, last)], on=GROUPS)
    async with session(sandbox) as fielding:
        (item,) = await project_of(fielding, sandbox).list_target_groups(search="50 % + ü").all()
    assert item.id == "0" * 26
    assert [query.get("start_after") for query in queries(sandbox, GROUPS)] == [None, cursor]
    assert {query["search_string"] for query in queries(sandbox, GROUPS)} == {"50 % + ü"}


async def test_a_page_is_retried_as_any_get(sandbox: Sandbox) -> None:
    """A lost reply, a 503 and a 429 in the middle of a list cost nothing but time."""
    ids = with_groups(sandbox, 8)
    async with session(sandbox) as fielding:
        iterator = aiter(project_of(fielding, sandbox).list_target_groups(page_size=2))
        first = await anext(iterator)
        sandbox.script(Cut("after"), Status(503), Status(429, retry_after="0"), on=GROUPS)
        assert [first.id, *[item.id async for item in iterator]] == ids


async def test_an_error_comes_after_the_entries_before_it(sandbox: Sandbox) -> None:
    """It is raised in its place, once; then the iteration is over."""
    ids = with_groups(sandbox, 4)
    async with session(sandbox) as fielding:
        iterator = aiter(project_of(fielding, sandbox).list_target_groups(page_size=2))
        first = await anext(iterator)
        sandbox.script(Status(403), on=GROUPS)
        rest, error = await until_error(iterator)
        assert [item.id for item in (first, *rest)] == ids[:2]
        assert isinstance(error, PermissionDeniedError)
        with pytest.raises(StopAsyncIteration):
            await anext(iterator)


async def test_a_page_that_cannot_be_read_is_an_error(sandbox: Sandbox) -> None:
    """Nothing is left out of a list in silence."""
    page = Reply(200, (("Content-Type", "application/json"),), b'{"target_groups":[{"id":"x"}]}')
    sandbox.script(page, on=GROUPS)
    async with session(sandbox) as fielding:
        with pytest.raises(ProtocolError, match=r"must be an id of 26 characters .* @ \$.target_groups\[\].id"):
            await project_of(fielding, sandbox).list_target_groups().all()


async def test_lists_let_other_calls_go_first(sandbox: Sandbox, held: Holds) -> None:
    """With one slot, a call that comes later is sent before the next page."""
    ref = sandbox.add_run("live")
    with_groups(sandbox, 3)
    async with session(sandbox, limits=Limits(concurrency=1, adaptive=False)) as fielding:
        hold = held(GROUPS)
        listing = asyncio.create_task(project_of(fielding, sandbox).list_target_groups(page_size=1).all())
        await hold.arrived()
        accounts = asyncio.create_task(fielding.list_accounts().all())
        await settled()
        assert fielding.stats().waiting_batch == 1
        call = asyncio.create_task(fielding.run(ref).get())
        await settled()
        hold.release()
        await asyncio.gather(listing, accounts, call)
    assert [request.operation for request in sandbox.requests][:2] == [GROUPS, "get"]


# -- leaving early


async def test_after_a_break_nothing_is_left(sandbox: Sandbox, held: Holds) -> None:
    """The page that is under way is given up, without garbage collection and without a call."""
    with_groups(sandbox, 4)
    async with session(sandbox) as fielding:
        hold = held(GROUPS, Delay(0))
        gc.disable()
        try:
            async for _ in project_of(fielding, sandbox).list_target_groups(page_size=1):
                await hold.arrived()
                assert len(readers()) == 1
                break
            await settled()
            assert readers() == set()
            assert fielding.stats().in_flight == 0
        finally:
            gc.enable()


async def reading_ahead(fielding: FieldingSession, sandbox: Sandbox, held: Holds) -> ListingIterator[TargetGroupItem]:
    """Return an iterator that has yielded one of four target groups; the request of its next page is held."""
    hold = held(GROUPS, Delay(0))
    iterator = aiter(project_of(fielding, sandbox).list_target_groups(page_size=2))
    await anext(iterator)
    await hold.arrived()
    return iterator


async def test_an_iteration_that_is_closed_is_over(sandbox: Sandbox, held: Holds) -> None:
    """`aclose` ends the request under way, twice over too; entries that were read are gone."""
    with_groups(sandbox, 4)
    async with session(sandbox) as fielding:
        iterator = await reading_ahead(fielding, sandbox, held)
        await iterator.aclose()
        assert readers() == set()
        await iterator.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(iterator)
        await aiter(project_of(fielding, sandbox).list_target_groups()).aclose()


async def test_an_iteration_that_waits_is_ended_by_closing_it(sandbox: Sandbox, held: Holds) -> None:
    """Its consumer sees the end of the list, not a cancellation."""
    async with session(sandbox) as fielding:
        hold = held(GROUPS)
        iterator = aiter(project_of(fielding, sandbox).list_target_groups())
        consumer = asyncio.ensure_future(anext(iterator, None))
        await hold.arrived()
        await iterator.aclose()
        assert await consumer is None


async def test_a_consumer_that_stops_waiting_loses_nothing(sandbox: Sandbox, held: Holds) -> None:
    """The page goes on, and whoever asks next gets it."""
    ids = with_groups(sandbox, 2)
    async with session(sandbox) as fielding:
        hold = held(GROUPS)
        iterator = aiter(project_of(fielding, sandbox).list_target_groups())
        consumer = asyncio.ensure_future(anext(iterator))
        await hold.arrived()
        consumer.cancel()
        await asyncio.wait([consumer])
        hold.release()
        assert [item.id async for item in iterator] == ids
    assert len(sent(sandbox, GROUPS)) == 1


async def test_one_iteration_is_for_one_task(sandbox: Sandbox, held: Holds) -> None:
    """A second one that waits is refused; each may iterate the list itself."""
    with_groups(sandbox, 1)
    async with session(sandbox) as fielding:
        hold = held(GROUPS)
        iterator = aiter(project_of(fielding, sandbox).list_target_groups())
        consumer = asyncio.ensure_future(anext(iterator))
        await hold.arrived()
        with pytest.raises(ConfigurationError, match="iterated by another task"):
            await anext(iterator)
        hold.release()
        await consumer


async def test_a_list_that_is_collected_in_another_thread_ends_its_requests(sandbox: Sandbox, held: Holds) -> None:
    """The garbage collector runs wherever it likes."""
    with_groups(sandbox, 2)
    async with session(sandbox) as fielding:
        hold = held(GROUPS, Delay(0))
        kept: list[ListingIterator[TargetGroupItem]] = []
        kept.append(aiter(project_of(fielding, sandbox).list_target_groups(page_size=1)))
        await anext(kept[0])
        await hold.arrived()
        tasks = readers()
        asyncio.get_running_loop().set_debug(True)  # then it refuses to be used by another thread
        thread = threading.Thread(target=kept.clear)
        thread.start()
        thread.join()
        await asyncio.wait(tasks, timeout=HANG)
        assert {task.cancelled() for task in tasks} == {True}


def test_a_list_may_outlive_its_loop() -> None:
    """Nothing happens to it then: no task, no warning."""

    async def leave() -> ListingIterator[TargetGroupItem]:
        async with Sandbox() as sandbox, session(sandbox) as fielding:
            with_groups(sandbox, 2)
            iterator = aiter(project_of(fielding, sandbox).list_target_groups(page_size=1))
            await anext(iterator)
            return iterator

    iterator = asyncio.run(leave())
    del iterator
    gc.collect()


# -- the session


async def test_a_session_that_closes_ends_its_lists(sandbox: Sandbox, held: Holds) -> None:
    """The consumer gets what was read, then `SessionClosedError`; no task is left when the session is closed."""
    with_groups(sandbox, 4)
    async with session(sandbox) as fielding:
        iterator = await reading_ahead(fielding, sandbox, held)
        assert len(readers()) == 1
        await fielding.aclose()
        assert readers() == set()
        await anext(iterator)
        with pytest.raises(SessionClosedError):
            await anext(iterator)


async def test_a_list_that_is_read_when_the_session_closes(sandbox: Sandbox, held: Holds) -> None:
    """Whoever waits for a page learns why none comes."""
    async with session(sandbox) as fielding:
        hold = held(GROUPS)
        consumer = asyncio.ensure_future(project_of(fielding, sandbox).list_target_groups().all())
        await hold.arrived()
        await fielding.aclose()
        with pytest.raises(SessionClosedError):
            await consumer


async def test_a_list_needs_a_live_session(sandbox: Sandbox) -> None:
    """It can be made before and iterated within: not before, not after."""
    fielding = session(sandbox)
    listing = fielding.list_accounts()
    with pytest.raises(SessionClosedError, match="has not been entered"):
        await listing.all()
    async with fielding:
        assert await listing.all() == []
    with pytest.raises(SessionClosedError, match="is closed"):
        await anext(aiter(listing))


async def test_a_list_stays_on_the_loop_of_its_session(sandbox: Sandbox) -> None:
    """Another loop is refused before anything is started there."""
    with_groups(sandbox, 4)
    async with session(sandbox) as fielding:
        iterator = aiter(project_of(fielding, sandbox).list_target_groups(page_size=1))
        await anext(iterator)

        async def elsewhere() -> None:
            for other in (iterator, aiter(fielding.list_accounts())):
                with pytest.raises(SessionClosedError, match="another thread"):
                    await anext(other)

        await asyncio.to_thread(asyncio.run, elsewhere())


async def test_a_list_is_awaited_by_a_drain(sandbox: Sandbox, held: Holds) -> None:
    """The page that is asked for may still come; the next one is refused."""
    with_groups(sandbox, 4)
    async with session(sandbox) as fielding:
        hold = held(GROUPS)
        listing = project_of(fielding, sandbox).list_target_groups(page_size=2)
        iterator = aiter(listing)
        consumer = asyncio.ensure_future(anext(iterator))
        await hold.arrived()
        closing = asyncio.ensure_future(fielding.aclose(drain=HANG))
        await settled()
        hold.release()
        assert (await consumer).status == "live"
        await closing
        with pytest.raises(SessionClosedError):
            _ = [item async for item in iterator]


# -- odds and ends


async def test_a_list_has_its_own_time_for_each_request(sandbox: Sandbox, held: Holds) -> None:
    """`timeout` bounds a page, and no page after a page."""
    with_groups(sandbox, 2)
    async with session(sandbox) as fielding:
        held(GROUPS)
        with pytest.raises(TimeoutError):
            await project_of(fielding, sandbox).list_target_groups(timeout=0.05).all()
        held("get-project")
        with pytest.raises(TimeoutError):
            await project_of(fielding, sandbox).get(timeout=0.05)


async def test_errors_and_reprs_show_no_query_and_no_token(sandbox: Sandbox) -> None:
    """What users search for stays out of errors, as secrets do."""
    async with session(sandbox) as fielding:
        sandbox.script(*[Status(500)] * 5, on=GROUPS)
        listing = project_of(fielding, sandbox).list_target_groups(search="a secret wave")
        with pytest.raises(ServerError) as caught:
            await listing.all()
    assert "wave" not in str(caught.value)
    assert repr(listing) == f"<Listing: list-target-groups of 101/{sandbox.project_id}>"
    assert repr(fielding.list_accounts()) == "<Listing: list-accounts>"
    assert TOKEN not in repr(vars(caught.value))


def test_a_ref_is_read_from_its_text() -> None:
    """`RunRef.parse` is the inverse of `str`."""
    ref = RunRef(2**31 - 1, "0" * 26, "1" * 26, "run-7")
    assert RunRef.parse(str(ref)) == ref
    assert type(RunRef.parse(str(ref)).account_id) is int


@pytest.mark.parametrize(
    "text", ["", "1/2/3", "1/2/3/4/5", "1//3/4", "x/a/b/c", "01/a/b/c", "-1/a/b/c", "1.0/a/b/c", "٣/a/b/c", None, 5]
)
def test_a_text_that_is_no_ref_is_refused(text: Any) -> None:
    """The rule is said, and nothing is guessed."""
    with pytest.raises(ConfigurationError, match="account/project/target_group/run"):
        RunRef.parse(text)
