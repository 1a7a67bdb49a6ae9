"""When a lease holds, when a slice ends, and how many shards are claimed."""

import time

import pytest

from fielding_async.plans.working.clock import boot_clock
from fielding_async.plans.working.lease import Lease, Slice, Terms, are_busy, shards_wanted

TERMS = Terms(attempt=20.0, slack=12.0, margin=1.0)


def test_a_lease_is_counted_from_before_it_was_asked_for_and_ends_early() -> None:
    """The server counts from later, so that it is over for its holder first."""
    lease = Lease.granted(TERMS, 100.0)
    assert TERMS.length == 33.0
    assert lease.holds(131.9)
    assert not lease.holds(132.0)


def test_a_write_may_leave_while_its_attempt_is_over_before_the_lease_is() -> None:
    """For `slack` seconds, so that a successor meets no write of its predecessor."""
    lease = Lease.granted(TERMS, 100.0)
    assert lease.may_leave(111.9)
    assert not lease.may_leave(112.0)


def test_a_renewal_counts_from_when_it_was_asked_for() -> None:
    """One whose reply came late does not take time away, and one that was lost is never renewed."""
    lease = Lease.granted(TERMS, 100.0)
    lease.renew(110.0)
    assert lease.until == 142.0
    lease.renew(105.0)
    assert lease.until == 142.0
    lease.lose()
    lease.renew(120.0)
    assert not lease.holds(0.0)
    assert not lease.may_leave(0.0)


def test_a_lease_is_renewed_well_before_its_writes_would_stay() -> None:
    """Two renewals may be lost."""
    assert 3 * TERMS.renew_every <= TERMS.slack


def test_what_is_under_way_at_the_end_of_a_slice_drains_within_an_attempt() -> None:
    """Writes leave for half of that time, and an end that is moved forward is not moved back."""
    slice_ = Slice(100.0, 20.0)
    assert (slice_.leaves_until, slice_.cut_at) == (110.0, 120.0)
    slice_.end_now(90.0)
    slice_.end_now(95.0)
    assert (slice_.ends, slice_.cut_at) == (90.0, 110.0)


@pytest.mark.parametrize(
    ("slots", "shards", "in_flight", "are_settled", "wanted"),
    [
        (28, 0, 0, True, 4),
        (2, 0, 0, True, 2),
        (28, 4, 28, True, 0),
        (28, 4, 4, False, 0),  # they have not started yet
        (28, 4, 4, True, 4),  # a row each: as many again, not 24 at once
        (28, 8, 16, True, 6),
        (28, 28, 3, True, 0),
        (1, 1, 0, True, 0),
        (28, 3, 0, True, 4),
    ],
)
def test_shards_are_claimed_while_there_are_free_slots(
    slots: int, shards: int, in_flight: int, are_settled: bool, wanted: int
) -> None:
    """Several at once, and more where each has few rows that can go at a time."""
    assert shards_wanted(slots, shards=shards, in_flight=in_flight, are_settled=are_settled) == wanted


def test_the_clock_counts_sleep_where_there_is_one_that_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """`CLOCK_BOOTTIME`, else `CLOCK_MONOTONIC` (which counts it on macOS), else `monotonic`."""
    asked: list[int] = []

    def gettime(number: int) -> float:
        asked.append(number)
        return 7.0

    monkeypatch.setattr(time, "clock_gettime", gettime, raising=False)
    monkeypatch.setattr(time, "CLOCK_BOOTTIME", 70, raising=False)
    monkeypatch.setattr(time, "CLOCK_MONOTONIC", 10, raising=False)
    assert boot_clock()() == 7.0
    monkeypatch.delattr(time, "CLOCK_BOOTTIME")
    assert boot_clock()() == 7.0
    assert asked == [70, 10]
    monkeypatch.delattr(time, "clock_gettime")
    assert boot_clock() is time.monotonic


def test_three_quarters_of_the_slots_are_nearly_full_use() -> None:
    """Then no more shards are claimed: each has a journal of its own, whose groups grow with its rows in progress."""
    assert [are_busy(28, in_flight) for in_flight in (0, 20, 21, 28)] == [False, False, True, True]
