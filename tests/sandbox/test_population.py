"""Accounts, projects and target groups that are added, and what is refused."""

from datetime import UTC, datetime
from typing import Any

import pytest

from fielding_async.core.errors import ConfigurationError
from fielding_async.sandbox import Sandbox, Status

from .api import Api, group_path, project_path


def test_ids_left_out_are_made_up() -> None:
    """Accounts count from 101, past those that are there; projects and target groups get ids of their own."""
    sandbox = Sandbox(seed=4)
    assert [sandbox.add_account(), sandbox.add_account(103), sandbox.add_account(), sandbox.add_account()] == [
        *(101, 103, 102, 104)
    ]
    made = [*(sandbox.add_project() for _ in range(3)), *(sandbox.add_target_group() for _ in range(3))]
    assert len({*made, sandbox.project_id}) == 7
    assert made[:1] == [Sandbox(seed=4).add_project()]


def test_ids_given_lead_to_the_rest() -> None:
    """A run for a target group that was added before is in its project and account; a project decides the account."""
    sandbox = Sandbox()
    project = sandbox.add_project(55)
    group = sandbox.add_target_group(project_id=project, status="completed")
    ref = sandbox.add_run("live", target_group_id=group)
    assert (ref.account_id, ref.project_id, ref.target_group_id) == (55, project, group)
    assert sandbox.add_draft(project_id=project).account_id == 55
    assert sandbox.add_run(project_id=project).account_id == 55
    elsewhere = sandbox.add_run(account_id=56, project_id=project)
    assert elsewhere.account_id == 56
    assert sandbox.add_run().account_id == 101


async def test_a_run_gives_a_target_group_its_status(api: Api) -> None:
    """A target group has the status that it was added with until it gets a run, and then that of the run."""
    group = api.sandbox.add_target_group(name="Named by hand", status="archived", filling_goal=5, country="de")
    path = f"{project_path(api.sandbox)}/target-groups"
    assert (await api.send("GET", path)).json["target_groups"][0]["status"] == "archived"
    listed = await api.send("GET", f"{path}/{group}/fielding-runs")
    assert listed.json == {"data": [], "has_more": False}
    ref = api.sandbox.add_run("live", target_group_id=group)
    await api.act(ref, "pause")
    (row,) = (await api.send("GET", path)).json["target_groups"]
    assert (row["name"], row["status"], row["locale"]) == ("Named by hand", "paused", "eng_de")
    assert row["statistics"]["progress"]["value"]["filling_goal"] == 5
    with pytest.raises(ConfigurationError, match="must be of a target group without a run"):
        api.sandbox.add_run(target_group_id=group)


async def test_only_a_draft_can_be_launched_by_a_job(api: Api) -> None:
    """A target group added as draft is launched by a job; one of another status without a run is not."""
    body = {"end_fielding_at": "2098-01-01T00:00:00.000Z"}
    ended: list[tuple[str, str]] = []
    for status in ("draft", "archived"):
        group = api.sandbox.add_target_group(status=status)
        draft = api.sandbox.add_draft()
        draft = type(draft)(draft.account_id, draft.project_id, group)
        job = await api.draft("launch-from-draft", draft, body)
        shown = (await api.draft_status("launch-from-draft", draft, job.job_id)).json
        ended.append((shown["status"], shown.get("failure_reason", {}).get("code", "")))
    assert ended == [("Completed", ""), ("Failed", "TargetGroupInvalidState")]


ONE_CASE: list[tuple[str, dict[str, Any], str]] = [
    ("add_account", {"account_id": -1}, "account_id=-1"),
    ("add_account", {"account_id": True}, "account_id=True"),
    ("add_account", {"name": ""}, "name=''"),
    ("add_project", {"account_id": 2**31}, "account_id=2147483648"),
    ("add_project", {"project_id": "short"}, "project_id='short'"),
    ("add_project", {"status": "live"}, "status='live': must be one of active, inactive"),
    ("add_project", {"project_manager_id": "me"}, "project_manager_id='me'"),
    ("add_project", {"customer_reference_number": "a/b"}, "customer_reference_number='a/b'"),
    ("add_target_group", {"target_group_id": "x"}, "target_group_id='x'"),
    ("add_target_group", {"status": "active"}, "status='active'"),
    ("add_target_group", {"name": "four"}, "name='four'"),
    ("add_target_group", {"country": "US"}, "country='US': must be 2 letters"),
    ("add_target_group", {"language": "en"}, "language='en': must be 3 letters"),
    ("add_target_group", {"filling_goal": 0}, "filling_goal=0"),
    ("add_target_group", {"created_at": datetime(2030, 1, 1)}, "created_at"),
    ("add_target_group", {"account_id": "101"}, "account_id='101'"),
]


@pytest.mark.parametrize(("method", "arguments", "said"), ONE_CASE)
def test_bad_arguments_are_refused(method: str, arguments: dict[str, Any], said: str) -> None:
    """What cannot be is refused by name, and nothing is added."""
    sandbox = Sandbox()
    with pytest.raises(ConfigurationError, match=said):
        getattr(sandbox, method)(**arguments)
    assert not sandbox._pipeline.engine.catalog.accounts  # pyright: ignore[reportPrivateUsage]


def test_what_exists_is_not_added_again() -> None:
    """An account, a project of an account and a target group of a project are added once."""
    sandbox = Sandbox()
    account = sandbox.add_account()
    project = sandbox.add_project(account)
    group = sandbox.add_target_group(project_id=project)
    for add in (
        lambda: sandbox.add_account(account),
        lambda: sandbox.add_project(account, project_id=project),
        lambda: sandbox.add_target_group(project_id=project, target_group_id=group),
        lambda: sandbox.add_draft(target_group_id=group),
    ):
        with pytest.raises(ConfigurationError, match="exists already"):
            add()
    assert sandbox.add_project(5, project_id=project) == project


async def test_lists_meet_faults_limits_and_tokens_as_all_operations_do(api: Api) -> None:
    """Faults are aimed at a list by its name, and tokens, trace headers and the record of requests are the usual."""
    ref = api.sandbox.add_run("live")
    api.sandbox.script(Status(503), on="list-target-groups")
    path = f"{project_path(api.sandbox)}/target-groups"
    parent = f"00-{'a' * 32}-{'b' * 16}-01"
    assert (await api.send("GET", f"{group_path(ref)}/overview")).status == 200
    assert [(await api.send("GET", path)).status for _ in range(2)] == [503, 200]
    got = await api.send("GET", path, traceparent=parent)
    assert got.headers["traceparent"] == parent
    assert api.sandbox.requests[-1].operation == "list-target-groups"
    assert (await api.send("GET", path, Cint_API_Version=None)).status == 400
    api.sandbox.refuse("revoked", 403)
    assert (await api.send("GET", path, Authorization="Bearer revoked")).status == 403
    api.sandbox.rate_limit(1)
    assert [(await api.send("GET", "/accounts")).status for _ in range(2)] == [200, 429]


def test_a_project_may_be_old() -> None:
    """The age of a target group is that of its project at least."""
    sandbox = Sandbox()
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    sandbox.add_target_group(created_at=long_ago)
    (project,) = sandbox._pipeline.engine.catalog.accounts[101].projects  # pyright: ignore[reportPrivateUsage]
    assert project.created_at == long_ago
