"""The waits between the rounds of a conflict, as values."""

from math import inf
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fielding_async.core.conflict.round_waits import RoundWaits

BASE, CAP = 0.05, 20.0


class Dice:
    """In the place of `random.uniform`: the highest value, and what was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, float]] = []

    def __call__(self, low: float, high: float) -> float:
        self.asked.append((low, high))
        return high


def rounds(
    *, request: float, each: list[tuple[int | None, float]], base: float = BASE, cap: float = CAP
) -> list[tuple[float, float]]:
    """Return between which bounds each wait was drawn, where GETs and writes take `request` seconds.

    `each`: the version that a GET showed, and when it ended.
    """
    dice = Dice()
    waits = RoundWaits(base, cap, dice)
    waits.after_conflict(0.0, inf)
    for version, ended in each:
        waits.fetched(version, ended - request, ended)
        waits.after_conflict(ended + request, inf)
    return dice.asked


def test_the_first_round_follows_at_once() -> None:
    """After the first 412 there is no wait, and no dice are thrown."""
    dice = Dice()
    assert RoundWaits(BASE, CAP, dice).after_conflict(0.0, inf) == 0.0
    assert dice.asked == []


@pytest.mark.parametrize(("request_time", "ceiling"), [(0.001, BASE), (0.04, BASE), (0.3, 0.3)])
def test_the_second_wait_is_up_to_the_base_or_the_time_of_a_request(request_time: float, ceiling: float) -> None:
    """The second wait is anywhere up to `conflict_base`, or the time of a request if that is longer."""
    assert rounds(request=request_time, each=[(1, 10.0)]) == [pytest.approx((0.0, ceiling))]


def test_a_run_that_is_always_busy_doubles_the_ceiling() -> None:
    """When others write all the time the ceiling doubles with each round, up to 64 times the time of a request."""
    each: list[tuple[int | None, float]] = [(number * 100, float(number)) for number in range(12)]
    bounds = rounds(request=0.05, each=each)
    assert [high for _, high in bounds[:4]] == pytest.approx([0.05, 0.1, 0.2, 0.4])
    assert bounds[-1] == pytest.approx((1.6, 3.2))


def test_no_ceiling_exceeds_the_cap() -> None:
    """`Retry.cap` holds for the waits after conflicts, whatever rounds take."""
    each: list[tuple[int | None, float]] = [(number * 100, float(number)) for number in range(20)]
    assert rounds(request=2.0, each=each, cap=7.0)[-1] == (3.5, 7.0)


def test_a_run_that_is_idle_shortens_the_waits_to_the_time_of_a_request() -> None:
    """When hardly anybody writes the ceiling falls by four with each round, down to the time of a request."""
    each: list[tuple[int | None, float]] = [(1, 0.0), (101, 1.0), (201, 2.0), (301, 3.0), (302, 30.0), (303, 60.0)]
    bounds = [high for _, high in rounds(request=0.05, each=each)]
    assert bounds == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.1, 0.05])


def test_a_run_that_is_idle_as_long_as_it_should_be_keeps_the_ceiling() -> None:
    """Writes of 0.05 s that fill 85 % of the time leave the ceiling as it is."""
    each: list[tuple[int | None, float]] = [(1, 0.0), (101, 1.0), (201, 2.0), (218, 3.0)]
    bounds = [high for _, high in rounds(request=0.05, each=each)]
    assert bounds == pytest.approx([0.05, 0.1, 0.2, 0.2])


@pytest.mark.parametrize("versions", [[None] * 5, [1, None, 2, None, 3]])
def test_without_versions_the_ceiling_doubles(versions: list[int | None]) -> None:
    """Where GETs show no versions, the waits grow as an exponential backoff does."""
    bounds = rounds(request=0.05, each=[(version, float(at)) for at, version in enumerate(versions)])
    assert [high for _, high in bounds] == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8])


def test_one_slow_request_does_not_count() -> None:
    """One GET or write that took longer than usual, for a new connection perhaps, does not lengthen the waits."""
    dice = Dice()
    waits = RoundWaits(BASE, CAP, dice)
    now = 0.0
    for get, write in [(0.02, 0.02), (9.0, 0.02), (0.02, 0.02), (0.02, 9.0), *[(0.02, 0.02)] * 9]:
        waits.fetched(None, now, now + get)
        waits.after_conflict(now + get + write, inf)
        now += get + write
    assert dice.asked[-1][1] == pytest.approx(64 * 0.02)


@pytest.mark.parametrize(("get", "write"), [(0.2, 0.01), (0.01, 0.2)])
def test_the_slower_request_of_a_round_counts(get: float, write: float) -> None:
    """Where only one of GET and write waits for a pace, its time is what a round is judged by."""
    dice = Dice()
    waits = RoundWaits(BASE, CAP, dice)
    for number in range(12):
        waits.fetched(100 * number, float(number), number + get)
        waits.after_conflict(number + get + write, inf)
    assert dice.asked[-1][1] == pytest.approx(64 * 0.2)


def test_a_base_of_zero_means_no_waits() -> None:
    """`conflict_base=0` is a loop without waits, for as many rounds as there are."""
    each: list[tuple[int | None, float]] = [(number, float(number)) for number in range(2_000)]
    assert rounds(request=0.05, each=each, base=0.0) == []


def test_a_wait_leaves_time_for_two_rounds_before_the_deadline() -> None:
    """Of what is left, less two rounds, a wait takes at most half; if nothing is left, there is no further round."""
    dice = Dice()
    waits = RoundWaits(1.0, CAP, dice)
    waits.after_conflict(99.9, inf)
    waits.fetched(1, 99.9, 100.0)
    assert waits.after_conflict(100.1, 101.5) == pytest.approx(0.5)
    assert waits.after_conflict(100.1, 100.4) == inf


@given(
    st.floats(0, 100),
    st.floats(0, 100),
    st.lists(
        st.tuples(
            st.floats(0, 1e4) | st.just(inf), st.none() | st.integers(0, 2**31), st.floats(0, 1e3), st.floats(0, 1e3)
        )
    ),
    st.randoms(use_true_random=False),
)
def test_every_wait_is_a_time_that_is_left(
    base: float, cap: float, each: list[tuple[float, int | None, float, float]], dice: Random
) -> None:
    """Whatever rounds show, a wait is not negative, not above the cap, and ends before the deadline, or is infinite."""
    waits = RoundWaits(base, cap, dice.uniform)
    now = 0.0
    for left, version, pause, took in each:
        wait = waits.after_conflict(now, now + left)
        assert wait == inf or 0 <= wait <= min(cap, left)
        now += pause
        waits.fetched(version, now, now + took)
        now += took
