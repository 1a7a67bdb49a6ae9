"""The Fielding Assistant against the document: what the sandbox answers, what the client reads and sends."""

import json
from typing import Any

import aiohttp
import pytest

from fielding_async.core.assistant.assignment import assistant_body, decode_assistant
from fielding_async.core.wire.operations import BY_NAME
from fielding_async.sandbox import Sandbox, Status

from .answers import check_answer
from .document import examples, needs_document, operations, problems

pytestmark = [pytest.mark.once, needs_document]

TOKEN = "token-of-the-test"
GET, PUT = BY_NAME["get-assistant"].operation_id, BY_NAME["update-assistant"].operation_id
EXAMPLES = [example for example in examples("discovery") if example.operation_id in {GET, PUT}]
MONEY = {"value": "5.00", "currency_code": "USD"}
BODIES: list[dict[str, Any]] = [
    {},
    {"pricing": {"type": "dynamic", "maximum_cpi": MONEY, "minimum_cpi": MONEY}},
    {"pricing": {"type": "rate_card", "boost_cpi": MONEY}, "pacing": None},
    {"pacing": {"type": "linear", "increment_interval": "P1DT5H"}},
    {"pacing": {"type": "gemini", "exposed_target_group_id": "0" * 26}},
    {"quota_overlay": {"prevent_overfill": True, "balance_fill": False}},
    {
        "soft_launch": {
            "end_at": "2031-05-17T12:30:15.123Z",
            "filling_goal_percentage": 1,
            "demographics_strictness_percentage": 0,
        }
    },
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: json.dumps(body)[:40])
async def test_each_answer_is_as_documented(body: dict[str, Any]) -> None:
    """What is put is shown as documented, and each refusal has its documented body."""
    async with Sandbox(require_token=TOKEN) as sandbox, aiohttp.ClientSession() as http:
        ref = sandbox.add_draft()
        get, put = (operations("discovery")[name] for name in (GET, PUT))
        ids = {
            "account_id": ref.account_id,
            "project_id": ref.project_id,
            "target_group_id": ref.target_group_id,
        }

        async def send(row: Any, **headers: str) -> int:
            named = {"Authorization": f"Bearer {TOKEN}", "Cint-API-Version": "2025-12-18"} | {
                name.replace("_", "-"): value for name, value in headers.items()
            }
            url = sandbox.url + row.path.format_map(ids)
            content = None if row is get else body
            async with http.request(row.method, url, headers=named, json=content) as reply:
                check_answer(row, reply.status, reply.headers, await reply.read())
                return reply.status

        assert [await send(get), await send(put), await send(put, If_None_Match="*")] == [404, 400, 204]
        assert [await send(get), await send(put, If_None_Match="*")] == [200, 412]
        sandbox.script(Status(500), on="GET")
        sandbox.script(Status(500), on="PUT")
        assert [await send(get), await send(put)] == [500, 500]
        sandbox.expire_tokens()
        assert [await send(get), await send(put)] == [403, 403]


def test_every_example_is_read_and_sent_back() -> None:
    """Each example of an assignment is read and written as it stands, the broken names in it included."""
    values = [example.value for example in EXAMPLES if "pacing" in json.dumps(example.value)]
    assert values
    for value in values:
        written = json.loads(assistant_body(decode_assistant(json.dumps(value).encode(), None)))
        assert written == {name: module for name, module in value.items() if module is not None}


def _request_schema() -> Any:
    return operations("discovery")[PUT].request


@pytest.mark.parametrize("body", BODIES, ids=lambda body: json.dumps(body)[:40])
def test_what_the_client_sends_is_as_documented(body: dict[str, Any]) -> None:
    """What was read is sent back in the form of the request schema, without modules that are null."""
    written = json.loads(assistant_body(decode_assistant(json.dumps(body).encode(), None)))
    assert problems(_request_schema(), written) == []
