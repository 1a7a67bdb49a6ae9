"""Lists of accounts, projects and target groups: pages, cursors, filters."""

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from fielding_async.sandbox import Behaviour, Sandbox
from fielding_async.sandbox.serving.request_form import Request
from fielding_async.sandbox.serving.routes import OPERATIONS_BY_NAME
from tests.sandbox.api import Api, project_path, serving

MANAGER = "b551326b-ac9d-4d32-8823-4f025787dab9"
PROJECTS = "/demand/accounts/101/projects"


async def pages_of(api: Api, path: str, name: str, query: str = "") -> list[list[str]]:
    """The ids on each page of a list, as a client that follows next_cursor to its end reads them."""
    pages: list[list[str]] = []
    cursor = ""
    while True:
        got = await api.send("GET", f"{path}?{query}{cursor}")
        assert got.status == 200
        pages.append([entry["id"] for entry in got.json[name]])
        following = got.json.get("next_cursor")
        assert got.json.get("has_more", bool(following)) is bool(following)
        if not following:
            return pages
        cursor = f"&start_after={following}"


async def groups_of(api: Api, query: str) -> list[str]:
    pages = await pages_of(api, f"{project_path(api.sandbox)}/target-groups", "target_groups", query)
    return [group for page in pages for group in page]


async def test_what_is_added_shows_in_the_lists(api: Api) -> None:
    """Accounts, projects and target groups are listed in order of creation, also those that a run needed."""
    sandbox = api.sandbox
    assert (await api.send("GET", "/accounts")).json == {"accounts": []}
    second = sandbox.add_account(202, name="Globex Corp.")
    ref = sandbox.add_run("live")
    draft = sandbox.add_draft()
    empty = sandbox.add_project(name="Nothing in it", status="inactive")
    assert (await api.send("GET", "/accounts")).json["accounts"] == [
        {"id": second, "name": "Globex Corp."},
        {"id": 101, "name": "Account 101"},
    ]
    assert await pages_of(api, PROJECTS, "projects") == [[sandbox.project_id, empty]]
    assert await groups_of(api, "") == [ref.target_group_id, draft.target_group_id]
    counts = [(row["name"], row["target_group_count"]) for row in (await api.send("GET", PROJECTS)).json["projects"]]
    assert counts == [("Project 1", 2), ("Nothing in it", 0)]


@pytest.mark.parametrize("size", [None, 1, 3, 24, 25, 26, 100])
async def test_pages_hold_each_entry_once(api: Api, size: int | None) -> None:
    """Pages of any size hold every entry once, in order; ten without a size; the last one has no cursor."""
    added = [api.sandbox.add_target_group() for _ in range(25)]
    pages = await pages_of(
        api,
        f"{project_path(api.sandbox)}/target-groups",
        "target_groups",
        f"page_size={size}" if size else "",
    )
    assert [group for page in pages for group in page] == added
    assert [len(page) for page in pages[:-1]] == [size or 10] * (len(pages) - 1)


async def test_pages_lead_back_as_well(api: Api) -> None:
    """end_before gives the page before a cursor, in the same order; with start_after what is between both."""
    added = [api.sandbox.add_target_group() for _ in range(9)]
    path = f"{project_path(api.sandbox)}/target-groups"
    cursors: list[str] = []
    for size in (2, 6):
        cursors.append((await api.send("GET", f"{path}?page_size={size}")).json["next_cursor"])
    back = (await api.send("GET", f"{path}?page_size=3&end_before={cursors[1]}")).json
    assert [entry["id"] for entry in back["target_groups"]] == added[2:5]
    assert back["has_more"]
    between = (await api.send("GET", f"{path}?start_after={cursors[0]}&end_before={cursors[1]}")).json
    assert [entry["id"] for entry in between["target_groups"]] == added[2:5]
    assert not between["has_more"]
    first = (await api.send("GET", f"{path}?page_size=3&end_before={cursors[0]}")).json
    assert [entry["id"] for entry in first["target_groups"]] == added[:1]


async def test_what_is_added_meanwhile_comes_last(api: Api) -> None:
    """An entry that is added between two pages shows on the later one, and none is shown twice."""
    added = [api.sandbox.add_target_group() for _ in range(4)]
    path = f"{project_path(api.sandbox)}/target-groups?page_size=3"
    first = (await api.send("GET", path)).json
    added.append(api.sandbox.add_target_group())
    second = (await api.send("GET", f"{path}&start_after={first['next_cursor']}")).json
    assert [entry["id"] for page in (first, second) for entry in page["target_groups"]] == added


FILTERS: list[tuple[str, set[int]]] = [
    ("status=live", {0, 1}),
    ("status=live&status=draft", {0, 1, 3}),
    ("status=completed", set()),
    ("country=de", {1, 2}),
    ("country=de&country=us&language=ger", {1}),
    ("language=eng", {0, 2, 3}),
    ("search_string=%20autumn", {0, 2}),
    ("name=Autumn", {0, 2}),
    ("name=Autumn&search_string=spring", {1}),
    ("exclusion_status=true", {3}),
    ("exclusion_status=false&status=live", {0, 1}),
    (f"project_manager_id={MANAGER}", {2}),
    (f"project_manager_id={MANAGER.upper()}", {2}),
    ("target_group_customer_reference_numbers=AB-1&target_group_customer_reference_numbers=CD%202", {0, 3}),
    ("unknown=1", {0, 1, 2, 3}),
]


@pytest.mark.parametrize(("query", "found"), FILTERS, ids=[query for query, _ in FILTERS])
async def test_filters_of_target_groups(api: Api, query: str, found: set[int]) -> None:
    """Each filter lets pass what it names; several of one kind are alternatives; all given ones must pass."""
    add = api.sandbox.add_target_group
    added = [
        add(name="Autumn wave, adults", customer_reference_number="AB-1"),
        add(name="Spring wave", country="de", language="ger"),
        add(name="Late autumn", country="de", status="paused", project_manager_id=MANAGER.upper()),
        add(name="Wave of all", status="draft", exclusion_enabled=True, customer_reference_number="CD 2"),
    ]
    assert {added.index(group) for group in await groups_of(api, f"{query}&page_size=2")} == found


async def test_human_readable_ids_find_their_target_groups(api: Api) -> None:
    """Ids as people read them are unique in the account, and found as filter and as part of a search."""
    added = [api.sandbox.add_target_group() for _ in range(12)]
    rows = (await api.send("GET", f"{project_path(api.sandbox)}/target-groups?page_size=100")).json["target_groups"]
    short = [row["human_readable_id"] for row in rows]
    assert len(set(short)) == 12
    assert await groups_of(api, f"human_readable_ids={short[4]}&human_readable_ids={short[7]}") == [added[4], added[7]]
    assert await groups_of(api, f"search_string={short[4][1:].lower()}") == [added[4]]
    projects = (await api.send("GET", f"{PROJECTS}?search_string={short[4][:6]}")).json["projects"]
    assert short[4] in projects[0]["target_group_human_readable_ids"]


async def test_a_name_that_was_found_is_highlighted(api: Api) -> None:
    """The part of a name that a search found is between tags, and the rest cannot be taken for tags."""
    api.sandbox.add_project(name="<b>Test</b> Project")
    api.sandbox.add_target_group(name="Tea & Coffee")
    (project,) = (await api.send("GET", f"{PROJECTS}?search_string=test%3C/b%3E")).json["projects"]
    assert project["highlighted_name"] == "&lt;b&gt;<em>Test&lt;/b&gt;</em> Project"
    path = f"{project_path(api.sandbox)}/target-groups"
    (group,) = (await api.send("GET", f"{path}?search_string=coffee")).json["target_groups"]
    assert group["highlighted_name"] == "Tea &amp; <em>Coffee</em>"
    assert "highlighted_name" not in (await api.send("GET", path)).json["target_groups"][0]


async def test_filters_of_projects(api: Api) -> None:
    """Projects are filtered by status, manager and text, also the reference numbers of their target groups."""
    add = api.sandbox.add_project
    first = add(name="Northern lights", project_manager_id=MANAGER)
    second = add(name="Southern cross", status="inactive")
    api.sandbox.add_target_group(project_id=second, customer_reference_number="REF-00246")
    for query, found in {
        "status=inactive": [second],
        "status=active": [first],
        f"project_manager_id={MANAGER}": [first],
        "search_string=northern": [first],
        "name=ern": [first, second],
        "search_string=ref-002": [second],
        "search_string=ref-002&status=active": [],
    }.items():
        assert await pages_of(api, PROJECTS, "projects", query) == [found], query
    (row,) = (await api.send("GET", f"{PROJECTS}?search_string=ref-002")).json["projects"]
    assert row["target_group_customer_reference_numbers"] == ["REF-00246"]


REFUSED = [
    (PROJECTS, "search_string=four", "search_string"),
    (PROJECTS, f"search_string={'x' * 129}", "search_string"),
    (PROJECTS, "status=live", "status"),
    (PROJECTS, "status=active&status=inactive", "status"),
    (PROJECTS, "project_manager_id=somebody", "project_manager_id"),
    ("{groups}", "status=active", "status"),
    ("{groups}", "status=live,paused", "status"),
    ("{groups}", "country=US", "country"),
    ("{groups}", "country=usa", "country"),
    ("{groups}", "language=en", "language"),
    ("{groups}", "human_readable_ids=SHORT", "human_readable_ids"),
    ("{groups}", "target_group_customer_reference_numbers=a%2Fb", "target_group_customer_reference_numbers"),
    ("{groups}", "exclusion_status=yes", "exclusion_status"),
    *(("{groups}", f"page_size={size}", "page_size") for size in ("0", "101", "-1", "1.5", "ten", "", "1&page_size=2")),
    *(("{groups}", f"{name}=nothing", name) for name in ("start_after", "end_before")),
    ("{groups}/{group}/changelog", "page_size=51", "page_size"),
    ("{groups}/{group}/changelog", "change_types=mood_change", "change_types"),
    ("{groups}/{group}/changelog", "start_after=nothing", "start_after"),
]


@pytest.mark.parametrize(("path", "query", "name"), REFUSED)
async def test_a_bad_query_is_a_bad_request(api: Api, path: str, query: str, name: str) -> None:
    """What a parameter may not be is answered with 400, which names it."""
    group = api.sandbox.add_target_group()
    path = path.format(groups=f"{project_path(api.sandbox)}/target-groups", group=group)
    got = await api.send("GET", f"{path}?{query}")
    assert (got.status, got.json["object"]) == (400, "bad_request_error")
    assert [param["name"] for param in got.json["invalid_params"]] == [name]


async def test_all_that_is_wrong_is_named_at_once(api: Api) -> None:
    """Path, header and query are checked together."""
    path = "/demand/accounts/x/projects/y/target-groups?page_size=0&country=1"
    got = await api.send("GET", path, Cint_API_Version=None)
    assert [param["name"] for param in got.json["invalid_params"]] == [
        *("account_id", "project_id", "Cint-API-Version", "page_size", "country")
    ]
    many = await api.send("GET", f"{PROJECTS}?{'a=1&' * 1001}")
    assert [param["name"] for param in many.json["invalid_params"]] == ["query"]


@pytest.mark.parametrize(
    ("form", "sent"), [("absent", {}), ("null", {"next_cursor": None}), ("empty", {"next_cursor": ""})]
)
async def test_the_last_cursor_has_three_forms(form: Any, sent: dict[str, Any]) -> None:
    """The last page of projects and target groups has no cursor, null or an empty one; that of changes an empty one."""
    async with serving(behaviour=Behaviour(last_cursor=form)) as api:
        group = api.sandbox.add_target_group()
        groups = f"{project_path(api.sandbox)}/target-groups"
        for path in (PROJECTS, groups):
            got = (await api.send("GET", path)).json
            assert {name: value for name, value in got.items() if name == "next_cursor"} == sent
            assert got["has_more"] is False
        assert (await api.send("GET", f"{groups}/{group}/changelog")).json == {"changelog": [], "next_cursor": ""}


async def test_has_more_may_mean_earlier_pages() -> None:
    """With has_more_backwards the last page of target groups says that there is more; that of projects does not."""
    async with serving(behaviour=Behaviour(has_more_backwards=True)) as api:
        for _ in range(3):
            api.sandbox.add_target_group()
        for _ in range(2):
            api.sandbox.add_project()
        for path, more in ((f"{project_path(api.sandbox)}/target-groups", True), (PROJECTS, False)):
            first = (await api.send("GET", f"{path}?page_size=2")).json
            last = (await api.send("GET", f"{path}?page_size=2&start_after={first['next_cursor']}")).json
            assert (last["has_more"], "next_cursor" in last) == (more, False)
            assert (await api.send("GET", path)).json["has_more"] is False


@pytest.mark.parametrize("kind", ["same-cursor", "first-page", "fresh-cursors"])
async def test_a_list_may_never_end(kind: Any) -> None:
    """An endless list gives the last page again, the first page, or empty pages with cursors never seen before."""
    async with serving(behaviour=Behaviour(endless_lists=kind)) as api:
        added = [api.sandbox.add_target_group() for _ in range(5)]
        cursors: list[str] = []
        pages: list[list[str]] = []
        for _ in range(8):
            after = f"&start_after={cursors[-1]}" if cursors else ""
            got = (await api.send("GET", f"{project_path(api.sandbox)}/target-groups?page_size=2{after}")).json
            assert got["has_more"]
            cursors.append(got["next_cursor"])
            pages.append([entry["id"] for entry in got["target_groups"]])
        whole = [added[:2], added[2:4], added[4:]]
        assert pages[:3] == whole
        match kind:
            case "same-cursor":
                assert pages[3:] == [added[4:]] * 5
                assert len(set(cursors)) == 2
            case "first-page":
                assert pages[3:6] == whole
                assert len(set(cursors)) == 3
            case _:
                assert pages[3:] == [[]] * 5
                assert len(set(cursors)) == 8


async def test_an_endless_list_of_one_page(api: Api) -> None:
    """A list of one page is endless as well, and an empty one never is."""
    for kind in ("same-cursor", "first-page", "fresh-cursors"):
        async with serving(behaviour=Behaviour(endless_lists=kind)) as endless:
            assert not (await endless.send("GET", "/accounts")).json["accounts"]
            endless.sandbox.add_project(project_id=endless.sandbox.project_id)
            assert not (await endless.send("GET", f"{project_path(endless.sandbox)}/target-groups")).json["has_more"]
            endless.sandbox.add_target_group()
            got = (await endless.send("GET", f"{project_path(endless.sandbox)}/target-groups")).json
            assert got["has_more"]
            path = f"{project_path(endless.sandbox)}/target-groups?start_after={got['next_cursor']}"
            again = (await endless.send("GET", path)).json
            assert again["has_more"]
            assert again["next_cursor"]


async def test_cursors_of_one_list_are_none_of_another(api: Api) -> None:
    """A cursor is opaque, stays the same for a place, and is refused by another list."""
    for _ in range(2):
        api.sandbox.add_target_group()
        api.sandbox.add_project()
    groups = f"{project_path(api.sandbox)}/target-groups"
    first, again = [(await api.send("GET", f"{groups}?page_size=1")).json["next_cursor"] for _ in range(2)]
    assert first == again
    assert (await api.send("GET", f"{PROJECTS}?start_after={first}")).status == 400


async def test_what_is_not_there_is_not_found(api: Api) -> None:
    """Unknown accounts, projects and target groups are 404 everywhere, an account without projects an empty list."""
    api.sandbox.add_account(5)
    project, group = f"/demand/accounts/5/projects/{'0' * 26}", f"target-groups/{'0' * 26}"
    paths = ["", "/overview", "/target-groups", f"/{group}", f"/{group}/overview", f"/{group}/changelog"]
    for path in [PROJECTS, *(project + path for path in paths), f"/demand/{group}/overview"]:
        got = await api.send("GET", path)
        assert (got.status, got.json["object"]) == (404, "not_found_error"), path
    assert (await api.send("GET", "/demand/accounts/5/projects")).json["projects"] == []


def test_neither_adding_nor_a_page_costs_more_in_a_large_world() -> None:
    """The 3,000th target group is added with as many steps as the 30th, and a page costs as many as of a small list."""
    sandbox = Sandbox()
    engine = sandbox._pipeline.engine  # pyright: ignore[reportPrivateUsage]
    small, large = sandbox.add_project(), sandbox.add_project()

    def page(project: str) -> Any:
        request = Request(
            operation=OPERATIONS_BY_NAME["list-target-groups"],
            ids={"account_id": "101", "project_id": project},
            headers={"cint-api-version": "2025-12-18"},
            query="page_size=10&country=us",
        )
        return engine.handle(request, sandbox.now).reply.body

    early = [steps(lambda: sandbox.add_run("live", project_id=small)) for _ in range(30)]
    for _ in range(2_940):
        sandbox.add_run("live", project_id=large)
    late = [steps(lambda: sandbox.add_run("live", project_id=large)) for _ in range(30)]
    assert min(late) <= max(early)
    assert len(json.loads(page(large))["target_groups"]) == 10
    assert steps(lambda: page(large)) <= steps(lambda: page(small)) + 5


def steps(act: Callable[[], object]) -> int:
    """Count the calls of functions in what is done."""
    count = 0

    def note(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(None)
    return count
