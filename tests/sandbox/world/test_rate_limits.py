"""Rate limiters: counting by a clock that the test sets."""

from typing import Any

import pytest

from fielding_async.core.errors import ConfigurationError
from fielding_async.sandbox.world.rate_limits import make_limiter


def limiter(kind: Any, rate: float = 2.0, burst: int | None = None, window: float | None = None) -> Any:
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
    "settings",
    [{"rate": 0}, {"rate": float("inf")}, {"window": -1}, {"burst": 5}, {"kind": "guess"}],
)
def test_bad_limits_are_refused(settings: Any) -> None:
    """A limit that cannot be counted is a ConfigurationError."""
    with pytest.raises(ConfigurationError):
        limiter(**{"kind": "fixed-window"} | settings)
