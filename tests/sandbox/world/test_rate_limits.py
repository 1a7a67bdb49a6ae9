"""Rate limits: the counting itself, with a clock in hand, and the 429 over HTTP."""

from datetime import UTC, datetime
from typing import Any

import pytest

from fielding_async.core.errors import ConfigurationError
from fielding_async.sandbox import Status
from fielding_async.sandbox.world.rate_limits import make_limiter, retry_after_text
from tests.sandbox.api import Api, serving

NOON = datetime(2030, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC)


def limiter(kind: Any, rate: float = 2.0, burst: int | None = None, window: float = 1.0) -> Any:
    return make_limiter(kind, rate, burst=burst, window=window, start=100.0)


def test_a_fixed_window_starts_afresh() -> None:
    """Two pass in each window, the rest wait for its end, however late in it the two came."""
    counter = limiter("fixed-window")
    assert [counter.hit(at) for at in (100.8, 100.9, 100.95)] == [None, None, pytest.approx(0.05)]
    assert [counter.hit(at) for at in (101.0, 101.1, 101.5)] == [None, None, pytest.approx(0.5)]


def test_a_sliding_window_looks_back() -> None:
    """Two pass in any second; refused requests do not count."""
    counter = limiter("sliding-window")
    assert [counter.hit(at) for at in (100.8, 100.9, 101.0)] == [None, None, pytest.approx(0.8)]
    assert [counter.hit(at) for at in (101.8, 101.85, 101.9)] == [None, pytest.approx(0.05), None]


def test_a_token_bucket_saves_up() -> None:
    """A burst passes at once, then one request for each token that drips in."""
    counter = limiter("token-bucket", burst=3)
    assert [counter.hit(100.0) for _ in range(4)] == [None, None, None, pytest.approx(0.5)]
    assert [counter.hit(at) for at in (100.5, 100.75, 1000.0, 1000.0)] == [None, pytest.approx(0.25), None, None]


def test_a_leaky_bucket_wants_even_spacing() -> None:
    """With a burst of one each request waits its turn; with more, so many may come early."""
    counter = limiter("leaky-bucket")
    assert [counter.hit(at) for at in (100.0, 100.1, 100.5)] == [None, pytest.approx(0.4), None]
    counter = limiter("leaky-bucket", burst=2)
    assert [counter.hit(100.0) for _ in range(3)] == [None, None, pytest.approx(0.5)]


@pytest.mark.parametrize("kind", ["fixed-window", "sliding-window", "token-bucket", "leaky-bucket"])
def test_waiting_as_told_is_enough(kind: Any) -> None:
    """Whoever waits as long as the counter says passes next, whatever the way of counting."""
    counter, at = limiter(kind, rate=7.3), 100.0
    for _ in range(200):
        wait = counter.hit(at)
        if wait is not None:
            assert 0 < wait <= 1
            at += wait
            assert counter.hit(at) is None


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("seconds", "2"),
        ("decimal", "1.235"),
        ("date", "Tue, 01 Jan 2030 12:00:02 GMT"),
        ("absent", None),
        ("zero", "0"),
        (lambda wait: f"<{wait}>", "<1.2345>"),
    ],
)
def test_retry_after_takes_any_form(form: Any, text: str | None) -> None:
    """Retry-After is written as switched on, and never asks for less than the wait."""
    assert retry_after_text(form, 1.2345, NOON) == text


@pytest.mark.parametrize(
    "settings",
    [{"rate": 0}, {"rate": float("inf")}, {"window": -1}, {"burst": 5}, {"kind": "guess"}],
)
def test_bad_limits_are_refused(settings: Any) -> None:
    """A limit that cannot be counted is a ConfigurationError."""
    with pytest.raises(ConfigurationError):
        limiter(**{"kind": "fixed-window"} | settings)


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
