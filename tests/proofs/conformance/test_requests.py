"""What the client sends, against the document's schemas and required headers."""

import json
import re
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from fielding_async import FieldingSession
from fielding_async.sandbox import ReceivedRequest, Sandbox

from .document import needs_document, operations, problems
from .rows import OPERATIONS

pytestmark = [pytest.mark.once, needs_document]

TOKEN = "token-of-the-test"
START = datetime(2098, 1, 2, 3, 4, 5, 678_999, tzinfo=timezone(timedelta(hours=5, minutes=30)))
END = datetime(2099, 1, 1, tzinfo=UTC)
ROWS = {row.name: row for row in OPERATIONS}


async def call_everything(sandbox: Sandbox, fielding: FieldingSession) -> None:
    """Call each of the 22 operations, some of them in several forms."""
    scheduled, live, paused, completed, other = (
        sandbox.add_run(status) for status in ("scheduled", "live", "paused", "completed", "scheduled")
    )
    await fielding.run(scheduled).get()
    await fielding.run(scheduled).update(start_fielding_at=START, end_fielding_at=END)
    await fielding.run(scheduled).update(end_fielding_at=END + timedelta(microseconds=1_999))
    await fielding.run(scheduled).launch_now()
    await fielding.run(live).pause()
    await fielding.run(paused).resume()
    await fielding.run(live).resume()
    await fielding.run(other).complete()
    await fielding.run(completed).relaunch()
    project = fielding.project(live.account_id, live.project_id)
    await project.target_group(live.target_group_id).list_runs()
    drafts = [sandbox.add_draft().target_group_id for _ in range(2)]
    await (await project.target_group(drafts[0]).launch_from_draft(end_fielding_at=END)).status()
    scheduling = project.target_group(drafts[1]).schedule_from_draft(start_fielding_at=START, end_fielding_at=END)
    await (await scheduling).status()
    ids = [live.target_group_id, paused.target_group_id]
    for bulk in (project.launch, project.pause, project.resume, project.complete, project.relaunch):
        await (await bulk(ids)).status()


@pytest.fixture
async def sent() -> AsyncIterator[tuple[ReceivedRequest, ...]]:
    async with (
        Sandbox(require_token=TOKEN) as sandbox,
        FieldingSession(TOKEN, base_url=sandbox.url, api_version="2025-12-18") as fielding,
    ):
        await call_everything(sandbox, fielding)
        yield sandbox.requests


def pattern(template: str) -> re.Pattern[str]:
    return re.compile("/v1" + re.sub(r"\{\w+\}", "[^/?]+", template))


async def test_every_operation_is_sent_and_accepted(sent: tuple[ReceivedRequest, ...]) -> None:
    """All 22 operations are called over a socket, each with its documented success."""
    succeeded = {request.operation for request in sent if request.operation and request.status}
    assert succeeded == set(ROWS)
    for request in sent:
        row = ROWS[str(request.operation)]
        assert (request.method, request.status) == (row.method, row.success)
        assert pattern(row.path).fullmatch(request.path)


async def test_bodies_are_valid(sent: tuple[ReceivedRequest, ...]) -> None:
    """Each body validates against the schema of its operation, formats included; where none is wanted, none is sent."""
    with_body = set[str]()
    for request in sent:
        described = operations()[ROWS[str(request.operation)].operation_id]
        if described.request is None:
            assert request.body == b""
            assert request.header("Content-Type") is None
            continue
        with_body.add(described.operation_id)
        assert request.header("Content-Type") == "application/json"
        assert problems(described.request, json.loads(request.body)) == []
    assert with_body == {row.operation_id for row in operations().values() if row.request is not None}


async def test_timestamps_have_three_digits_and_z(sent: tuple[ReceivedRequest, ...]) -> None:
    """Dates go out in UTC, cut to milliseconds, whatever zone and precision they were given in."""
    bodies = [json.loads(request.body) for request in sent if b"_fielding_at" in request.body]
    assert "2098-01-01T21:34:05.678Z" in {body.get("start_fielding_at") for body in bodies}
    assert {body["end_fielding_at"] for body in bodies} == {"2099-01-01T00:00:00.000Z", "2099-01-01T00:00:00.001Z"}


async def test_required_headers_are_sent(sent: tuple[ReceivedRequest, ...]) -> None:
    """Each required header is sent once and valid by its schema; the version is a date, the key a UUID."""
    for request in sent:
        described = operations()[ROWS[str(request.operation)].operation_id]
        for parameter in described.parameters:
            if parameter["in"] != "header":
                continue
            (value,) = request.header_values(parameter["name"])
            assert problems(parameter["schema"], value) == []
        assert request.header_values("Cint-API-Version") == ["2025-12-18"]
        assert request.header_values("Authorization") == [f"Bearer {TOKEN}"]
        for key in request.header_values("Idempotency-Key"):
            assert uuid.UUID(key).version == 4


async def test_headers_of_other_operations_are_not_sent(sent: tuple[ReceivedRequest, ...]) -> None:
    """If-Match and Idempotency-Key go only where the document asks for them."""
    for request in sent:
        wanted = {name.lower() for name in operations()[ROWS[str(request.operation)].operation_id].names("header")}
        had = {name for name in ("if-match", "idempotency-key") if request.header(name) is not None}
        assert had == wanted - {"cint-api-version"}


@pytest.mark.parametrize(
    "value",
    ["2030-01-01T00:00:00Z", "2030-01-01T00:00:00.000+00:00", "2030-01-01T00:00:00.000000Z", "2030-01-01"],
)
def test_the_validation_itself_is_strict(value: Any) -> None:
    """Another form of timestamp, a missing field and an id of another form do not validate."""
    update = operations()["update_fielding_run"].request
    bulk = operations()["create_bulk_pause_target_groups_job"].request
    assert update is not None
    assert bulk is not None
    good = "2030-01-01T00:00:00.000Z"
    assert problems(update, {"start_fielding_at": good, "end_fielding_at": good}) == []
    assert problems(update, {"start_fielding_at": value, "end_fielding_at": good})
    assert problems(update, {"end_fielding_at": good})
    assert problems(bulk, {"target_group_ids": []})
    assert problems(bulk, {"target_group_ids": ["short"]})
