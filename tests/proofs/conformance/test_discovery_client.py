"""The client's lists, overviews and change logs against the document: it reads the examples, and asks as documented."""

import json
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import pytest
from attrs import has

from fielding_async import FieldingSession
from fielding_async.core.wire import bodies
from fielding_async.sandbox import Reply, Sandbox

from .document import Example, examples, needs_document, operations, problems
from .rows import DISCOVERY

pytestmark = [pytest.mark.once, needs_document]

ROWS = {row.operation_id: row for row in DISCOVERY if "assistant" not in row.path}
EXAMPLES = [example for example in examples("discovery") if example.operation_id in ROWS]
LISTS = {
    "get_user_accounts": "accounts",
    "list_account_projects": "projects",
    "get_list_target_groups": "target_groups",
    "get_target_group_changelog": "changelog",
}
GROUP, PROJECT = "01BTGNYV6HRNK8K8VKZASZCFP1", "01BTGNYV6HRNK8K8VKZASZCFP0"
MANAGER = "b551326b-ac9d-4d32-8823-4f025787dab9"


def differences(value: Any, example: Any, where: str = "$") -> list[str]:
    """What an example says, and a value of the client does not."""
    if isinstance(example, Mapping) and has(type(value)):
        found: list[str] = []
        for key, said in example.items():
            # a statistic stands beside its issues, which the client gathers in one place
            of = said["value"] if isinstance(said, Mapping) and said.keys() == {"value", "issues"} else said
            found += differences(getattr(value, key, "no such attribute"), of, f"{where}.{key}")
        return found
    if isinstance(example, list) and isinstance(value, tuple):
        pairs = zip(value, example, strict=True)
        return [entry for part, said in pairs for entry in differences(part, said, f"{where}[]")]
    if isinstance(value, datetime):
        return [] if value == datetime.fromisoformat(example).astimezone(UTC) else [where]
    return [] if value == example else [f"{where}: {value!r} is not {example!r}"]


async def read(fielding: Any, operation_id: str) -> Any:
    """Call an operation, and return its one value or the list of its values."""
    project = fielding.project(101, PROJECT)
    group = project.target_group(GROUP)
    match operation_id:
        case "get_user_accounts":
            return await fielding.list_accounts().all()
        case "list_account_projects":
            return await fielding.account(101).list_projects().all()
        case "get_list_target_groups":
            return await project.list_target_groups().all()
        case "get_target_group_changelog":
            return await group.list_changes().all()
        case "get_project_by_id":
            return await project.get()
        case "project_overview":
            return await project.overview()
        case _:
            return await group.overview()


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
async def test_an_example_is_read_to_the_full(example: Example) -> None:
    """Every example of a response decodes, and what it says arrives."""
    body = dict(example.value)
    if example.status >= 400:
        said = bodies.decode_error(json.dumps(body).encode())
        assert (said.object, said.detail, said.error_id) == (body["object"], body["detail"], body.get("id"))
        return
    listed = LISTS.get(example.operation_id)
    if listed:
        body |= {"has_more": False, "next_cursor": None}
    answer = Reply(200, {"Content-Type": "application/json"}, json.dumps(body).encode())
    async with Sandbox() as sandbox, FieldingSession("token", base_url=sandbox.url) as fielding:
        sandbox.script(answer, on=ROWS[example.operation_id].name)
        value = await read(fielding, example.operation_id)
    if listed == "changelog":
        check_changes(value, body[listed])
    elif listed:
        assert len(value) == len(body[listed]) > 0
        assert [differences(*pair) for pair in zip(value, body[listed], strict=True)] == [[]] * len(value)
    else:
        assert differences(value, body) == []


def check_changes(changes: list[Any], batches: list[dict[str, Any]]) -> None:
    """Each change of each batch is a value, with what its batch says."""
    said = [(batch, item) for batch in batches for item in batch["changes"]]
    assert len(changes) == len(said) > 0
    for change, (batch, item) in zip(changes, said, strict=True):
        assert (change.batch_id, change.type) == (batch["id"], item["object"])
        assert (change.user_type, change.user_id) == (batch["user"]["type"], batch["user"]["las_user_id"])
        assert change.occurred_at == datetime.fromisoformat(batch["occurred_at"])
        assert differences(change.new_value, item["new_value"]) == []
        assert differences(change.old_value, item["old_value"]) == []


async def ask_everything(fielding: Any) -> None:
    """Call each operation with every filter that it has."""
    await fielding.list_accounts().all()
    account, project = fielding.account(101), fielding.project(101, PROJECT)
    await account.list_projects(status="active", search="tests", project_manager_id=MANAGER, page_size=1).all()
    await project.get()
    await project.overview()
    group = project.target_group(GROUP)
    await project.list_target_groups(
        status=("live", "paused"),
        search="Target",
        country=("us", "de"),
        language="eng",
        exclusion_status=False,
        project_manager_id=MANAGER,
        page_size=1,
    ).all()
    await project.list_target_groups(human_readable_ids=("9NRV3B9", "9NRV3B8")).all()
    await project.list_target_groups(target_group_customer_reference_numbers=("AB-1", "C d")).all()
    await group.overview()
    await group.list_changes(types=("status_change", "name_change"), page_size=1).all()


@pytest.mark.skipif(not ROWS, reason="the client has none of these operations")
async def test_queries_are_as_documented() -> None:
    """Each parameter that is sent is documented and valid, one that takes several is repeated; every filter is sent."""
    async with Sandbox() as sandbox, FieldingSession("token", base_url=sandbox.url) as fielding:
        sandbox.add_project(101, project_id=PROJECT, project_manager_id=MANAGER, name="Of tests")
        sandbox.add_project(101, project_manager_id=MANAGER, name="Of tests as well")
        groups = [sandbox.add_target_group(project_id=PROJECT, target_group_id=ulid) for ulid in (GROUP, "0" * 26)]
        ref = sandbox.add_run("live", target_group_id=groups[0])
        for status in ("paused", "live"):
            sandbox.touch(ref, status=status)
        await ask_everything(fielding)
        asked = {row.name: row for row in ROWS.values()}
        sent: dict[str, set[str]] = defaultdict(set)
        for request in sandbox.requests:
            assert request.status == 200
            row = operations("discovery")[asked[str(request.operation)].operation_id]
            documented = {entry["name"]: entry["schema"] for entry in row.parameters if entry["in"] == "query"}
            given: dict[str, list[str]] = defaultdict(list)
            for name, value in parse_qsl(request.path.partition("?")[2], keep_blank_values=True):
                given[name].append(value)
            for name, values in given.items():
                assert problems(documented[name], typed(documented[name], values)) == [], name
            sent[row.operation_id] |= given.keys()
            assert request.header_values("Cint-API-Version") == ["2025-12-18"]
    unsent = {"end_before", "name"}  # the client does not page back; `name` is deprecated
    for operation_id in ROWS:
        row = operations("discovery")[operation_id]
        assert sent[operation_id] == {entry["name"] for entry in row.parameters if entry["in"] == "query"} - unsent


def typed(schema: dict[str, Any], values: list[str]) -> Any:
    """Return the values of a query parameter in the type that its schema is about."""
    if schema.get("type") == "array":
        return values
    (value,) = values
    match schema.get("type"):
        case "integer":
            return int(value)
        case "boolean":
            return json.loads(value)
        case _:
            return value
