"""The log of requests: headers as received, and how many requests are kept."""

from tests.sandbox.api import Api, run_path, serving


async def test_requests_show_repeated_headers(api: Api) -> None:
    """Headers are kept as pairs, so that duplicates are seen; a doubled If-Match matches nothing."""
    ref = api.sandbox.add_run("live")
    headers = [("Cint-API-Version", "2025-12-18"), ("If-Match", 'W/"1"'), ("If-Match", 'W/"1"')]
    async with api.http.post(api.sandbox.url + run_path(ref) + "/pause", headers=headers) as reply:
        assert reply.status == 412
    request = api.sandbox.requests[0]
    assert request.header_values("IF-MATCH") == ['W/"1"', 'W/"1"']
    assert (request.header("cint-api-version"), request.header("x")) == ("2025-12-18", None)


async def test_only_the_latest_are_kept_when_asked() -> None:
    """`keep` bounds the memory of requests and writes, and their numbers go on."""
    async with serving(keep=2) as api:
        ref = api.sandbox.add_run("live")
        for action in ("pause", "resume", "pause"):
            await api.act(ref, action)
        assert [request.id for request in api.sandbox.requests] == [2, 3]
        assert [write.seq for write in api.sandbox.history] == [2, 3]
