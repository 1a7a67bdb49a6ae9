"""What the sandbox answers, against the document: documented statuses, required headers, valid bodies."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from yarl import URL

from fielding_async.core.models import RunRef
from fielding_async.core.wire.operations import BY_NAME, Operation
from fielding_async.sandbox import Behaviour, DraftRef, FailureReason, JobFails, JobFailure, Sandbox, Status

from .answers import check_answer
from .document import needs_document, operations
from .rows import OPERATIONS

pytestmark = [pytest.mark.once, needs_document]

TOKEN = "token-of-the-test"
START, END = "2098-01-01T00:00:00.000Z", "2099-01-01T00:00:00.000Z"
NOTHING = "Z" * 26
STATUSES = {"launch-now": "scheduled", "pause": "live", "resume": "paused", "complete": "live", "relaunch": "completed"}
WRONG = {"launch-now": "live", "pause": "paused", "resume": "live", "complete": "completed", "relaunch": "live"}
CREATIONS = [row for row in OPERATIONS if row.precondition == "idempotency-key"]
JOBS = [row for row in OPERATIONS if row.name.endswith("-status")]
ON_RUNS = [row for row in OPERATIONS if row.precondition == "if-match"]
PRECONDITIONS = {"none": [], "if-match": ["If-Match"], "idempotency-key": ["Idempotency-Key"]}
REQUIRED = [
    (row, header)
    for row in OPERATIONS
    for header in ("Authorization", "Cint-API-Version", *PRECONDITIONS[row.precondition])
]

each_operation = pytest.mark.parametrize("row", OPERATIONS, ids=lambda row: row.name)


class Checked:
    """Sends requests to a sandbox, and checks every answer against the document."""

    def __init__(self, sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.http = http

    async def send(
        self, row: Operation, ids: Any, *, without: str | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Send one request in good order but for what is named; return status, body and headers of the answer."""
        named = {"Authorization": f"Bearer {TOKEN}", "Cint-API-Version": "2025-12-18"}
        if row.precondition == "if-match":
            named["If-Match"] = self.etag(ids)
        if row.precondition == "idempotency-key":
            named["Idempotency-Key"] = "key-1"
        named |= headers or {}
        named.pop(without or "", None)
        content = body(row, ids)
        if content is not None:
            named["Content-Type"] = "application/json"
        url = URL(self.sandbox.url + row.path.format_map(ids), encoded=True)
        data = None if content is None else json.dumps(content)
        async with self.http.request(row.method, url, headers=named, data=data) as reply:
            raw = await reply.read()
            check_answer(operations()[row.operation_id], reply.status, reply.headers, raw)
            return reply.status, json.loads(raw) if raw else None, reply.headers

    def etag(self, ids: Any) -> str:
        try:
            return str(self.sandbox.inspect(RunRef(**ids)).etag)
        except KeyError:
            return 'W/"1"'

    def ids(self, row: Operation, *, wrong: bool = False) -> dict[str, Any]:
        """The ids of something that the operation can be carried out on; `wrong`: that is in the wrong state."""
        if row.name.endswith("-from-draft"):
            return named(self.sandbox.add_draft())
        if row.name.startswith("bulk-"):
            self.sandbox.add_run()
            return {"account_id": 101, "project_id": self.sandbox.project_id, "groups": [NOTHING]}
        status = (WRONG if wrong else STATUSES).get(row.name, "completed" if wrong else "live")
        return named(self.sandbox.add_run(status))

    async def job(self, row: Operation, ids: dict[str, Any] | None = None) -> dict[str, Any]:
        """Make a job, and return its ids."""
        making = BY_NAME[row.name.removesuffix("-status")]
        ids = ids or self.ids(making)
        status, _, headers = await self.send(making, ids)
        assert status == 201
        return {**ids, "job_id": headers["Location"].rsplit("/", 1)[-1]}


def named(ref: RunRef | DraftRef) -> dict[str, Any]:
    ids: dict[str, Any] = {
        "account_id": ref.account_id,
        "project_id": ref.project_id,
        "target_group_id": ref.target_group_id,
    }
    return ids | ({"fielding_run_id": ref.fielding_run_id} if isinstance(ref, RunRef) else {})


def body(row: Operation, ids: Any) -> Any:
    match row.name:
        case "update" | "schedule-from-draft":
            return {"start_fielding_at": START, "end_fielding_at": END}
        case "launch-from-draft":
            return {"end_fielding_at": END}
        case _ if row in CREATIONS:
            return {"target_group_ids": ids["groups"]}
        case _:
            return None


@asynccontextmanager
async def checked(**behaviour: Any) -> AsyncIterator[Checked]:
    async with (
        Sandbox(require_token=TOKEN, behaviour=Behaviour(**behaviour)) as sandbox,
        aiohttp.ClientSession() as http,
    ):
        yield Checked(sandbox, http)


@pytest.fixture
async def api() -> AsyncIterator[Checked]:
    async with checked() as api:
        yield api


@each_operation
async def test_success_is_as_documented(api: Checked, row: Operation) -> None:
    """The success of each operation has the documented status, headers and body."""
    ids = await api.job(row) if row in JOBS else api.ids(row)
    assert (await api.send(row, ids))[0] == row.success


@pytest.mark.parametrize(("row", "header"), REQUIRED, ids=lambda part: part if isinstance(part, str) else part.name)
async def test_a_missing_header_is_refused(api: Checked, row: Operation, header: str) -> None:
    """Without a header that it requires, each operation answers a documented 401 or 400, and changes nothing."""
    ids = await api.job(row) if row in JOBS else api.ids(row)
    before = (len(api.sandbox.history), len(api.sandbox.jobs))
    status, error, _ = await api.send(row, ids, without=header)
    assert status == (401 if header == "Authorization" else 400)
    assert (len(api.sandbox.history), len(api.sandbox.jobs)) == before
    if status == 400:
        assert [param["name"].lower() for param in error["invalid_params"]] == [header.lower()]


@each_operation
async def test_an_expired_token_is_forbidden(api: Checked, row: Operation) -> None:
    """An expired token is answered with the documented 403."""
    ids = await api.job(row) if row in JOBS else api.ids(row)
    api.sandbox.expire_tokens()
    assert (await api.send(row, ids))[0] == 403


@each_operation
async def test_what_is_not_there_is_not_found(api: Checked, row: Operation) -> None:
    """Ids of nothing are answered with 404 where the document knows it; a draft job then fails later."""
    ids = {
        "account_id": 101,
        "project_id": NOTHING,
        "target_group_id": NOTHING,
        "fielding_run_id": NOTHING,
        "job_id": NOTHING,
        "groups": [NOTHING],
    }
    if row.precondition == "if-match" or row.name == "get":
        ids = {key: ids[key] for key in ("account_id", "project_id", "target_group_id", "fielding_run_id")}
    status, _, _ = await api.send(row, ids)
    assert status == (404 if 404 in operations()[row.operation_id].responses else 201)


@pytest.mark.parametrize("row", ON_RUNS, ids=lambda row: row.name)
async def test_conflicts_and_wrong_states(api: Checked, row: Operation) -> None:
    """A stale ETag is 412, a wrong state 422, both as documented."""
    assert (await api.send(row, api.ids(row), headers={"If-Match": 'W/"99"'}))[0] == 412
    assert (await api.send(row, api.ids(row, wrong=True)))[0] == 422


@each_operation
async def test_failures_of_the_exchange(api: Checked, row: Operation) -> None:
    """500 has the documented body everywhere, 429 where it is documented."""
    ids = await api.job(row) if row in JOBS else api.ids(row)
    for code in {500, 429} & set(operations()[row.operation_id].responses):
        api.sandbox.script(Status(code, retry_after="1" if code == 429 else None))
        assert (await api.send(row, ids))[0] == code


@pytest.mark.parametrize("row", JOBS, ids=lambda row: row.name)
@pytest.mark.parametrize("end", ["Processing", "Completed", "Failed"])
async def test_jobs_in_every_state(row: Operation, end: str) -> None:
    """A job that runs, that completed and that failed validates, failure reasons included."""
    async with checked(job_polls=1 if end == "Processing" else 0) as api:
        making = BY_NAME[row.name.removesuffix("-status")]
        ids = api.ids(making)
        if "groups" in ids:
            refs = [api.sandbox.add_run(status) for status in ("scheduled", "live", "paused", "completed")]
            ids["groups"] = [*(ref.target_group_id for ref in refs), NOTHING]
        if end == "Failed":
            reasons = (FailureReason("n", "r", "d"), FailureReason("n"))
            api.sandbox.script(JobFails(JobFailure("TargetGroupInvalidState", "No.", reasons)), on=making.name)
        status, job, _ = await api.send(row, await api.job(row, ids))
        assert (status, job["status"]) == (200, end)
        if end == "Completed" and "groups" in ids:
            sizes = [len(job[f"{kind}_target_groups"]["data"]) for kind in ("updated", "failed")]
            assert sum(sizes) == 5
            assert min(sizes) > 0


@pytest.mark.parametrize("draft", [True, False])
async def test_a_list_of_nothing_and_of_one(api: Checked, draft: bool) -> None:
    """The list of a draft is empty, that of a run has one entry; both validate."""
    ids = named(api.sandbox.add_draft() if draft else api.sandbox.add_run())
    status, listed, _ = await api.send(BY_NAME["list"], ids)
    assert (status, len(listed["data"])) == (200, 0 if draft else 1)
