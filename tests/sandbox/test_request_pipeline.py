"""The rate limit over HTTP."""

from datetime import datetime
from typing import Any

import pytest

from fielding_async import ConfigurationError
from fielding_async.sandbox import Sandbox, Status

from .api import Api, serving


async def test_too_many_requests_are_429() -> None:
    """Beyond the limit every request is 429 with Retry-After and a body of its own, and meets no fault."""
    async with serving(require_token="abc") as api:
        ref = api.sandbox.add_run()
        api.sandbox.rate_limit(2, window=1000.0, kind="sliding-window")
        api.sandbox.rate_limit(0.001, window=1000.0)
        api.sandbox.script(Status(500))
        assert (await api.get(ref, Authorization="Bearer abc")).status == 500
        api.sandbox.script(Status(500))
        got = await api.get(ref)
        assert (got.status, got.json["object"]) == (429, "too_many_requests_problem_details")
        assert 990 < int(got.headers["Retry-After"]) <= 1000
        assert (await api.send("GET", "/nowhere")).status == 429
        assert [request.status for request in api.sandbox.requests] == [500, 429, 429]
        assert api.sandbox.unused_faults == [Status(500)]
        api.sandbox.rate_limit(None)
        assert (await api.get(ref)).status == 500


async def test_a_date_in_retry_after_is_by_the_sandboxs_clock(api: Api) -> None:
    """Retry-After as a date is to be read against the reply's own Date, which follows the sandbox's clock."""
    ref = api.sandbox.add_run()
    api.sandbox.advance(1e9)
    api.sandbox.rate_limit(0.01, window=100.0, retry_after="date")
    await api.get(ref)
    got = await api.get(ref)
    written = "%a, %d %b %Y %H:%M:%S GMT"
    until = datetime.strptime(got.headers["Retry-After"], written)
    wait = until - datetime.strptime(got.headers["Date"], written)
    assert 90 < wait.total_seconds() <= 102
    assert got.headers["traceparent"]


@pytest.mark.parametrize("form", [None, "none", 3])
def test_a_form_of_retry_after_that_is_none_is_refused_at_once(form: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"retry_after=.*'absent'"):
        Sandbox().rate_limit(10, retry_after=form)
