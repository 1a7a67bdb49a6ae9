"""Tokens: required, issued, expired, refused."""

import json
from typing import Any

import pytest

from fielding_async.sandbox import Sandbox, Status
from tests.sandbox.api import Api, Got, serving

GOOD = {
    "client_id": "me",
    "client_secret": "s3cret",
    "grant_type": "client_credentials",
    "auth_scopes": "app:api",
    "audience": "https://api.luc.id",
}


async def fetch(api: Api, body: Any) -> Got:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with api.http.post(api.sandbox.token_url, data=data) as reply:
        return Got(reply.status, reply.headers, await reply.read())


async def test_a_static_token_is_asked_for() -> None:
    """With `require_token` a missing, malformed or unknown token is 401, and the right one passes."""
    async with serving(require_token="abc") as api:
        ref = api.sandbox.add_run()
        for authorization in (None, "abc", "Bearer", "Bearer abcd", "Basic abc"):
            got = await api.get(ref, Authorization=authorization)
            assert (got.status, got.json["object"]) == (401, "authorization_error")
        assert (await api.get(ref, Authorization="bearer abc")).status == 200
    assert Sandbox(require_token=True).token
    assert Sandbox().token is None


async def test_tokens_are_issued_and_expire() -> None:
    """A client fetches a token; after its lifetime it is 403 `authorization_error`, and a new one passes."""
    async with serving(token_lifetime=60) as api:
        ref = api.sandbox.add_run()
        assert (await api.get(ref)).status == 200
        api.sandbox.add_client("me", "s3cret")
        assert (await api.get(ref)).status == 401
        issued = (await fetch(api, GOOD)).json
        assert (issued["expires_in"], issued["token_type"]) == (60, "Bearer")
        token = f"Bearer {issued['access_token']}"
        assert (await api.get(ref, Authorization=token)).status == 200
        api.sandbox.advance(60)
        got = await api.get(ref, Authorization=token)
        assert (got.status, got.json["object"]) == (403, "authorization_error")
        api.sandbox.token_lifetime = 120
        issued = (await fetch(api, GOOD)).json
        assert issued["expires_in"] == 120
        assert (await api.get(ref, Authorization=f"Bearer {issued['access_token']}")).status == 200
        assert [request.operation for request in api.sandbox.requests].count("token") == 2


async def test_tokens_can_be_expired_and_refused_at_once() -> None:
    """`expire_tokens` makes every token 403, `refuse` makes one 401 or 403."""
    async with serving(require_token="abc") as api:
        ref = api.sandbox.add_run()
        api.sandbox.add_client("me", "s3cret")
        issued = (await fetch(api, GOOD)).json["access_token"]
        api.sandbox.expire_tokens()
        for token in ("abc", issued):
            assert (await api.get(ref, Authorization=f"Bearer {token}")).status == 403
        fresh = (await fetch(api, GOOD)).json["access_token"]
        assert (await api.get(ref, Authorization=f"Bearer {fresh}")).status == 200
        api.sandbox.refuse(fresh)
        assert (await api.get(ref, Authorization=f"Bearer {fresh}")).status == 401
        api.sandbox.refuse(fresh, 403)
        assert (await api.get(ref, Authorization=f"Bearer {fresh}")).status == 403


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"grant_type=client_credentials", 400, "invalid_request"),
        ([], 400, "invalid_request"),
        ({name: value for name, value in GOOD.items() if name != "audience"}, 400, "invalid_request"),
        (GOOD | {"grant_type": "password"}, 400, "unsupported_grant_type"),
        (GOOD | {"auth_scopes": "all"}, 400, "invalid_scope"),
        (GOOD | {"client_secret": "wrong"}, 401, "access_denied"),
        (GOOD | {"client_id": "nobody"}, 401, "access_denied"),
    ],
)
async def test_bad_token_requests_are_turned_away(api: Api, body: Any, status: int, code: str) -> None:
    """What is not the documented request of a known client gets no token."""
    api.sandbox.add_client("me", "s3cret")
    got = await fetch(api, body)
    assert (got.status, got.json["error"]) == (status, code)


async def test_the_token_endpoint_fails_only_when_named(api: Api) -> None:
    """A fault for any operation spares the token endpoint, one for `token` strikes it."""
    api.sandbox.add_client("me", "s3cret")
    api.sandbox.script(Status(500), Status(501, applied=False), on=None)
    api.sandbox.script(Status(503), on="token")
    assert (await fetch(api, GOOD)).status == 503
    assert (await fetch(api, GOOD)).status == 200
    api.sandbox.clear_faults()


async def test_secrets_are_not_in_the_repr(api: Api) -> None:
    """The repr of a request shows neither its headers nor its body."""
    api.sandbox.add_client("me", "s3cret")
    await fetch(api, GOOD)
    assert "s3cret" not in repr(api.sandbox.requests)
