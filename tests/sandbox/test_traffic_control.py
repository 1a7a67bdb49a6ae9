"""Limits that go by requests, limits of requests in flight, and latency."""

import asyncio
from typing import Any

import pytest

from fielding_async.sandbox import Hold

from .api import Api


async def test_a_request_count_does_not_depend_on_time(api: Api) -> None:
    """After so many requests all are refused for the window, whatever time they took."""
    ref = api.sandbox.add_run()
    api.sandbox.rate_limit(3, kind="request-count", window=1.0)
    assert [(await api.get(ref)).status for _ in range(4)] == [200, 200, 200, 429]
    got = await api.get(ref)
    assert (got.status, got.headers["Retry-After"]) == (429, "1")


async def test_requests_in_flight_are_limited(api: Api) -> None:
    """While as many requests are in progress, others are refused; when one ends, the next passes."""
    ref = api.sandbox.add_run("live")
    api.sandbox.in_flight_limit(1, retry_after="seconds")
    hold = Hold()
    api.sandbox.script(hold, on="pause")
    task = asyncio.create_task(api.act(ref, "pause"))
    await hold.arrived()
    got = await api.get(ref)
    assert (got.status, got.headers["Retry-After"]) == (429, "1")
    hold.release()
    assert (await task).status == 204
    assert (await api.get(ref)).status == 200
    api.sandbox.in_flight_limit(None)


@pytest.mark.parametrize("jitter", [0.0, 0.01])
async def test_latency_delays_each_request(api: Api, monkeypatch: pytest.MonkeyPatch, jitter: float) -> None:
    """Each request waits before it is handled, by chance within the jitter."""
    ref = api.sandbox.add_run()
    waited: list[float] = []
    sleep = asyncio.sleep

    async def slept(seconds: float, *rest: Any) -> None:
        waited.append(seconds)
        await sleep(0)

    monkeypatch.setattr("fielding_async.sandbox.server.asyncio.sleep", slept)
    api.sandbox.latency(0.02, jitter=jitter)
    assert [(await api.get(ref)).status for _ in range(3)] == [200] * 3
    found = [seconds for seconds in waited if seconds > 0.005]
    assert len(found) == 3
    assert all(0.02 - jitter <= seconds <= 0.02 + jitter for seconds in found)
