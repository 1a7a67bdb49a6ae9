"""Clients that are generated from the vendor's documents read the sandbox: it is met as a stranger meets it."""

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from fielding_async.sandbox import Sandbox

from .document import PATHS, Document, needs_document

pytestmark = [
    pytest.mark.slow,
    pytest.mark.once,
    needs_document,
    pytest.mark.skipif(find_spec("openapi_python_client") is None, reason="not at hand: openapi-python-client"),
]

MADE = {"status_change", "fielding_period_start_date_change", "fielding_period_end_date_change"}
VERSION = {"cint_api_version": "2025-12-18"}


def generatable(value: Any) -> Any:
    """Return a part of a document in the form that the generator takes.

    It makes nothing of `allOf` around one reference beside `nullable` (difference 6 of schemathesis-discovery.toml),
    nothing of two schemas of the same title, and nothing that can be imported of some changes: those that the sandbox
    makes are left.
    """
    if isinstance(value, list):
        return [generatable(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    if "TargetGroupChangelogItem" in value:
        changes = value["TargetGroupChangelogItem"]["oneOf"]
        kept = [entry for entry in changes if entry["properties"]["object"]["enum"][0] in MADE]
        value = {**value, "TargetGroupChangelogItem": {"oneOf": kept}}
    plain = {key: generatable(entry) for key, entry in value.items() if key != "title" or not isinstance(entry, str)}
    parts = [part for part in plain.get("allOf", ()) if part.keys() != {"nullable"}]
    return parts[0] if len(parts) == 1 else plain


class Client:
    """A generated client, by the names of its operations."""

    def __init__(self, package: str, sandbox: Sandbox) -> None:
        self._package = package
        module = importlib.import_module(f"{package}.client")
        self._client = module.AuthenticatedClient(base_url=sandbox.url, token="token", raise_on_unexpected_status=True)

    def read(self, tag: str, operation_id: str, *ids: Any, **others: Any) -> Any:
        """Call an operation; return what the client makes of its success."""
        module = importlib.import_module(f"{self._package}.api.{tag}.{operation_id}")
        reply = module.sync_detailed(*ids, client=self._client, **VERSION, **others)
        assert reply.status_code in {200, 204}
        return reply.parsed

    def close(self) -> None:
        """Close its connections."""
        self._client.get_httpx_client().close()


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Document, str]]:
    """Generate a client from each document."""
    import yaml

    folder = tmp_path_factory.mktemp("generated")
    made: dict[Document, str] = {}
    for name, path in PATHS.items():
        document = generatable(yaml.safe_load(path.read_text(encoding="utf-8")))
        document["info"]["title"] = name
        (folder / f"{name}.json").write_text(json.dumps(document, default=str))
        made[name] = generate(folder, name)
    sys.path.insert(0, str(folder))
    yield made
    sys.path.remove(str(folder))


def generate(folder: Path, name: str) -> str:
    package = f"generated_{name}"
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none", "--path", f"{name}.json"]
    subprocess.run([*command, "--output-path", package], cwd=folder, check=True, capture_output=True)
    return package


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    now = datetime(2030, 1, 1, tzinfo=UTC)
    with Sandbox(clock=lambda: now) as sandbox:
        yield sandbox


@pytest.fixture
def clients(packages: dict[Document, str], sandbox: Sandbox) -> Iterator[dict[Document, Client]]:
    made = {name: Client(package, sandbox) for name, package in packages.items()}
    yield made
    for client in made.values():
        client.close()


def test_a_generated_client_reads_runs(clients: dict[Document, Client], sandbox: Sandbox) -> None:
    """It reads a run and the list of a target group, and pauses the run under its ETag."""
    client, ref = clients["fielding"], sandbox.add_run("live")
    group = (ref.account_id, ref.project_id, ref.target_group_id)
    run = client.read("fielding", "get_fielding_run", *group, ref.fielding_run_id)
    assert (run.id, run.status, run.version) == (ref.fielding_run_id, "live", 1)
    (listed,) = client.read("fielding", "get_fielding_runs_by_target_group_id", *group).data
    assert listed.to_dict() == run.to_dict()
    etag = sandbox.inspect(ref).etag
    client.read("fielding", "pause_fielding_run", *group, ref.fielding_run_id, if_match=etag)
    assert sandbox.inspect(ref).status == "paused"


def test_a_generated_client_finds_what_there_is(clients: dict[Document, Client], sandbox: Sandbox) -> None:
    """It goes from the accounts to the target groups by pages and filters, and reads overviews and changes."""
    client = clients["discovery"]
    project = sandbox.add_project(name="Generated", customer_reference_number="RF-4567")
    refs = [sandbox.add_run(status, project_id=project) for status in ("live", "paused", "live")]
    draft = sandbox.add_draft(project_id=project)
    sandbox.touch(refs[0], status="paused")
    (account,) = client.read("accounts", "get_user_accounts").accounts
    assert (account.id, account.name) == (101, "Account 101")
    (found,) = client.read("projects", "list_account_projects", account.id, search_string="generated").projects
    assert (found.id, found.target_group_count, found.highlighted_name) == (project, 4, "<em>Generated</em>")
    assert client.read("projects", "get_project_by_id", account.id, project).name == "Generated"
    overview = client.read("projects", "project_overview", account.id, project)
    ids, cursor = list[str](), dict[str, Any]()
    completes = 0
    while True:
        listing = client.read("target_groups", "get_list_target_groups", account.id, project, page_size=3, **cursor)
        ids += [group.id for group in listing.target_groups]
        completes += sum(group.statistics.progress.value.current_completes for group in listing.target_groups)
        if not listing.next_cursor:
            break
        cursor = {"start_after": listing.next_cursor}
    assert ids == [*(ref.target_group_id for ref in refs), draft.target_group_id]
    assert overview.statistics.current_completes == completes > 0
    statuses = importlib.import_module("generated_discovery.models.target_group_status").TargetGroupStatus
    wanted = {"status": [statuses.PAUSED, statuses.DRAFT], "country": ["us"]}
    filtered = client.read("target_groups", "get_list_target_groups", account.id, project, **wanted)
    assert [group.id for group in filtered.target_groups] == [ids[0], ids[1], ids[3]]
    group = client.read("target_groups", "get_target_group_overview", account.id, project, ids[0])
    assert (group.status, group.project_name, group.current_cost_per_interview.currency_code) == (
        *("paused", "Generated", "USD"),
    )
    by_id = client.read("target_groups", "get_target_group_overview_by_target_group_id", ids[0])
    assert (by_id.project_id, by_id.target_group_name) == (project, group.target_group_name)
    assert client.read("target_groups", "get_target_group", account.id, project, ids[3]).name == "Target Group 4"
    log = client.read("target_groups", "get_target_group_changelog", account.id, project, ids[0])
    assert [(change.object_, change.new_value) for entry in log.changelog for change in entry.changes] == [
        ("status_change", "paused")
    ]
