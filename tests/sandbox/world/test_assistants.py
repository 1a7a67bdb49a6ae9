"""The sandbox's Fielding Assistants: preconditions, what the document asks of a body, and what the switches change."""

import json
from typing import Any

import aiohttp
import pytest

from fielding_async import ConfigurationError, RunRef
from fielding_async.sandbox import Behaviour, DraftRef, Repeat, Sandbox

HEADERS = {"Cint-API-Version": "2025-12-18", "Content-Type": "application/json"}
LINEAR = '{"pacing":{"type":"linear","increment_interval":"P1D"}}'
MONEY = {"value": "5.00", "currency_code": "USD"}


async def call(
    sandbox: Sandbox, ref: RunRef | DraftRef, method: str = "GET", body: str | None = None, **headers: str
) -> tuple[int, str | None, str]:
    """Send a request about the assistant; return status, ETag and body."""
    path = f"/demand/accounts/{ref.account_id}/projects/{ref.project_id}/target-groups/{ref.target_group_id}"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named["Authorization"] = f"Bearer {sandbox.token}"
    url = f"{sandbox.url}{path}/fielding-assistant-assignment"
    async with aiohttp.ClientSession() as http, http.request(method, url, data=body, headers=HEADERS | named) as reply:
        return reply.status, reply.headers.get("ETag"), await reply.text()


async def test_an_assignment_is_made_read_and_replaced(sandbox: Sandbox) -> None:
    """The first under `If-None-Match: *`, the next under the ETag of the GET; the reply to a write bears none."""
    ref = sandbox.add_run("live")
    assert (await call(sandbox, ref))[0] == 404
    assert sandbox.inspect_assistant(ref).etag is None
    assert await call(sandbox, ref, "PUT", LINEAR, If_None_Match="*") == (204, None, "")
    status, etag, body = await call(sandbox, ref)
    assert status == 200
    assert json.loads(body) == {"pricing": None, "quota_overlay": None, "soft_launch": None, **json.loads(LINEAR)}
    assert etag is not None
    assert (await call(sandbox, ref, "PUT", "{}", If_Match=etag))[0] == 204
    assert sandbox.inspect_assistant(ref).modules == "{}"
    assert (await call(sandbox, ref))[1] not in {None, etag}
    assert [write.etag_before for write in sandbox.assistant_history] == [None, etag]
    assert [request.applied for request in sandbox.requests] == [False, True, False, True, False]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 400),
        ({"If_Match": 'W/"1"'}, 204),
        ({"If_Match": '"1"'}, 412),
        ({"If_Match": "*"}, 204),
        ({"If_None_Match": "*"}, 412),
        ({"If_None_Match": 'W/"1"'}, 412),
        ({"If_None_Match": '"other"'}, 204),
    ],
)
async def test_a_write_needs_a_precondition_that_holds(sandbox: Sandbox, headers: dict[str, str], status: int) -> None:
    """ETags are compared as they were sent; without a precondition nothing is written."""
    ref = sandbox.add_draft()
    sandbox.touch_assistant(ref, LINEAR)
    assert (await call(sandbox, ref, "PUT", "{}", **headers))[0] == status
    assert len(sandbox.assistant_history) == 1 + (status == 204)


async def test_there_is_nothing_to_match_before_the_first(sandbox: Sandbox) -> None:
    """`If-Match` of what does not exist is refused, whatever it names."""
    ref = sandbox.add_draft()
    assert (await call(sandbox, ref, "PUT", LINEAR, If_Match="*"))[0] == 412
    nowhere = DraftRef(101, "0" * 26, "1" * 26)
    assert (await call(sandbox, nowhere, "PUT", LINEAR, If_None_Match="*"))[0] == 404
    with pytest.raises(KeyError, match="no such target group"):
        sandbox.inspect_assistant(nowhere)
    with pytest.raises(KeyError, match="no such target group"):
        sandbox.touch_assistant(nowhere, LINEAR)


async def test_half_a_character_is_kept_as_it_was_escaped(sandbox: Sandbox) -> None:
    """JSON may hold one half of a surrogate pair, and UTF-8 may not."""
    ref = sandbox.add_draft()
    body = r'{"extra":{"\ud800":"\udfff é"}}'
    assert (await call(sandbox, ref, "PUT", body, If_None_Match="*"))[0] == 204
    status, _, found = await call(sandbox, ref)
    assert (status, json.loads(found)["extra"]) == (200, {"\ud800": "\udfff é"})
    assert sandbox.inspect_assistant(ref).modules == body


async def test_numbers_keep_their_digits(sandbox: Sandbox) -> None:
    """Modules that the document does not know are stored and shown as they were sent."""
    ref = sandbox.add_draft()
    body = '{"new":{"a":1.10,"b":[1e400,-0,1234567890123456789012345678901234567890],"c":"é \\u0000"}}'
    assert (await call(sandbox, ref, "PUT", body, If_None_Match="*"))[0] == 204
    assert sandbox.inspect_assistant(ref).modules == body
    assert body[1:-1] in (await call(sandbox, ref))[2]


@pytest.mark.parametrize(
    ("module", "named"),
    [
        ({"pricing": {"type": "auction"}}, "pricing.type"),
        ({"pricing": {"type": "dynamic"}}, "pricing"),
        ({"pricing": {"type": "dynamic", "total_budget": MONEY, "maximum_cpi": MONEY}}, "pricing"),
        ({"pricing": {"type": "rate_card", "boost_cpi": {**MONEY, "value": 5}}}, "pricing.boost_cpi"),
        ({"pricing": {"type": "rate_card", "boost_cpi": {**MONEY, "currency_code": "usd"}}}, "pricing.boost_cpi"),
        ({"pacing": {"type": "linear"}}, "pacing.increment_interval"),
        ({"pacing": {"type": "adaptive", "increment_interval": "P398D"}}, "pacing.increment_interval"),
        ({"pacing": {"type": "adaptive", "increment_interval": "P"}}, "pacing.increment_interval"),
        ({"pacing": {"type": "gemini", "exposed_target_group_id": "x"}}, "pacing.exposed_target_group_id"),
        ({"quota_overlay": None}, "quota_overlay"),
        ({"quota_overlay": {"prevent_overfill": True, "balance_fill": 1}}, "quota_overlay.balance_fill"),
        ({"soft_launch": {"end_at": "soon"}}, "soft_launch.end_at"),
    ],
)
async def test_a_module_is_as_the_document_has_it(sandbox: Sandbox, module: dict[str, Any], named: str) -> None:
    """What does not fit is a 400 that names the member; a colleague cannot write it either."""
    ref = sandbox.add_draft()
    status, _, body = await call(sandbox, ref, "PUT", json.dumps(module), If_None_Match="*")
    assert status == 400
    assert named in {problem["name"] for problem in json.loads(body)["invalid_params"]}
    with pytest.raises(ConfigurationError, match="touch_assistant"):
        sandbox.touch_assistant(ref, json.dumps(module))


async def test_null_disables_where_the_document_allows_it(sandbox: Sandbox) -> None:
    """Pricing and pacing may be sent as null."""
    ref = sandbox.add_draft()
    assert (await call(sandbox, ref, "PUT", '{"pricing":null,"pacing":null}', If_None_Match="*"))[0] == 204
    assert sandbox.inspect_assistant(ref).modules == "{}"


async def test_the_switches_change_what_is_shown() -> None:
    """An empty object before the first, an ETag with the 204, no nulls, a scale, and an ETag that a no-op keeps."""
    behaviour = Behaviour(
        assistant_before_first="empty",
        assistant_etag_on_write=True,
        assistant_nulls=False,
        assistant_adds_scale=True,
        assistant_noop_steps_etag=False,
    )
    async with Sandbox(behaviour=behaviour) as sandbox:
        ref = sandbox.add_draft()
        assert await call(sandbox, ref) == (200, None, "{}")
        body = json.dumps({"pricing": {"type": "rate_card", "boost_cpi": MONEY}})
        assert await call(sandbox, ref, "PUT", body, If_None_Match="*") == (204, 'W/"1"', "")
        assert await call(sandbox, ref, "PUT", body, If_Match='W/"1"') == (204, 'W/"1"', "")
        shown = json.loads((await call(sandbox, ref))[2])
        assert shown == {"pricing": {"type": "rate_card", "boost_cpi": {**MONEY, "currency_scale": 2}}}


async def test_a_repeated_request_meets_its_own_write(sandbox: Sandbox) -> None:
    """A load balancer's second copy is refused, as the first has changed the ETag."""
    ref = sandbox.add_draft()
    sandbox.script(Repeat("second"), on="update-assistant")
    assert (await call(sandbox, ref, "PUT", LINEAR, If_None_Match="*"))[0] == 412
    assert len(sandbox.assistant_history) == 1


@pytest.mark.parametrize("modules", ["[]", "1", "{"])
def test_a_colleague_writes_objects(modules: str) -> None:
    """What is no JSON object is a `ConfigurationError`."""
    sandbox = Sandbox()
    with pytest.raises(ConfigurationError, match="touch_assistant"):
        sandbox.touch_assistant(sandbox.add_draft(), modules)
