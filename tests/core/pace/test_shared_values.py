"""The pure parts of the shared pace: clocks, slots, the learner of a group, the rate of one on its own."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fielding_async import Limits
from fielding_async.core.pace.fallback import fallback_limits, fallback_rate
from fielding_async.core.pace.group_learner import GroupLearner
from fielding_async.core.pace.slot_book import Slot, SlotBook
from fielding_async.core.pace.store_clock import StoreClock

TRIPS = st.lists(st.tuples(st.floats(0.0, 0.2), st.floats(0.0, 0.2)), min_size=1, max_size=20)


@given(TRIPS, st.floats(-1e6, 1e6))
def test_a_leased_time_is_never_mapped_before_it(trips: list[tuple[float, float]], offset: float) -> None:
    """Whatever the two ways of each reply take, no time of the store is taken for an earlier local one."""
    clock, now = StoreClock(), 1000.0
    for there, back in trips:
        stored = now + there + offset
        clock.observe(now, now + there + back, stored)
        assert clock.local(stored) >= stored - offset - 1e-6
        now += there + back + 0.01


def test_the_best_of_the_replies_counts() -> None:
    """A quick reply makes the mapping exact, and slow ones after it do not spoil it."""
    clock = StoreClock()
    clock.observe(0.0, 0.3, 100.0)
    clock.observe(1.0, 1.002, 101.001)
    clock.observe(2.0, 2.3, 102.0)
    assert clock.local(101.001) == pytest.approx(1.002)


def test_no_single_reply_takes_the_place_of_all_before_it() -> None:
    """Bounds are renewed every few seconds: until a good one has come again, the former good one holds."""
    clock = StoreClock()
    clock.observe(0.0, 0.002, 100.0)
    for number in range(1, 40):
        at = number * 0.4
        clock.observe(at, at + (0.002 if number % 10 == 0 else 0.2), 100.0 + at)
        assert clock.local(100.0) == pytest.approx(0.002)


def test_a_bound_is_dropped_in_time() -> None:
    """As clocks drift, nothing is kept of a bound after ten seconds or little more."""
    clock = StoreClock()
    clock.observe(0.0, 0.002, 100.0)
    for number in range(1, 30):
        clock.observe(number * 0.4, number * 0.4 + 0.2, 100.0 + number * 0.4)
    assert clock.local(100.0) == pytest.approx(0.2)


@pytest.mark.parametrize("jump", [-50.0, 50.0])
def test_a_clock_that_jumps_is_followed_at_once(jump: float) -> None:
    """After the store's clock was set, its times are mapped by the first reply since."""
    clock = StoreClock()
    clock.observe(0.0, 0.002, 100.0)
    assert clock.observe(1.0, 1.002, 101.0 + jump)
    assert clock.local(101.0 + jump) == pytest.approx(1.002)


def book(*dues: float, change: int = 0) -> SlotBook:
    found = SlotBook()
    found.add(Slot(due * 1e6, due, change, 0.1) for due in dues)
    return found


def test_slots_are_taken_in_order_and_lapse() -> None:
    """A slot is given once its time has come, not before, and not when it is too late."""
    slots = book(2.0, 1.0, 3.0)
    assert slots.take(0.9, 0.05) is None
    first = slots.take(1.01, 0.05)
    assert first is not None
    assert first.due == 1.0
    assert slots.next_due(2.06, 0.05) == 3.0
    assert slots.lapsed == 1


def test_times_are_found_again_as_the_clock_is_known_better() -> None:
    """Slots that were mapped by a slow reply come earlier once a quick one has told the clocks' difference."""
    slots = book(1.0, 2.0)
    slots.retime(lambda stored: stored - 0.2)
    assert slots.next_due(0.0, 0.05) == pytest.approx(0.8)
    assert slots.last_due == pytest.approx(1.8)


def test_a_move_concerns_what_was_leased_before_it() -> None:
    """Slots from the start of a move on are moved, those that take account of it already are not."""
    slots = book(1.0, 2.0)
    slots.add([Slot(2.5e6, 2.5, 1, 0.1)])
    slots.move(1, 1.5e6, 1.0, 0.5e6)
    taken = [slots.take(10.0, 100.0) for _ in range(3)]
    assert [slot.due for slot in taken if slot is not None] == [1.0, 2.5, 2.5]
    slots = book(1.0, 2.0, 3.0)
    slots.move(1, 1e6, 0.5, 0.0)
    assert [slots.next_due(0.0, 0.0), slots.last_due] == [1.0, 2.0]


@given(st.lists(st.floats(1.0, 100.0), min_size=2, max_size=20, unique=True), st.floats(0.1, 10.0), st.floats(0.0, 5.0))
def test_a_move_keeps_the_order(dues: list[float], ratio: float, by: float) -> None:
    """Whatever the pace becomes, slots keep their order."""
    slots = book(*dues)
    slots.move(1, min(dues) * 1e6, ratio, by * 1e6)
    times = [slot.due for slot in (slots.take(1e6, 1e6) for _ in dues) if slot is not None]
    assert len(times) == len(dues)
    assert all(before <= after for before, after in pairwise(times))


def test_what_is_not_needed_is_given_back() -> None:
    """Slots whose time has not come are given back, but for those that are kept and the probe."""
    slots = book(1.0, 2.0, 3.0, 4.0)
    slots.add([Slot(5e6, 5.0, 0, 0.1, is_probe=True)])
    assert slots.give_back(1.5, 2) == [3e6, 4e6]
    assert len(slots) == 3


@pytest.mark.parametrize(
    ("configured", "interval", "members", "expected", "rate"),
    [
        (100.0, 0.02, 5, 8, 10.0),  # the last shared pace
        (100.0, None, 0, 8, 12.5),  # never reached
        (100.0, None, 0, 1, 100.0),
        (None, 0.02, 4, 1, 12.5),
        (None, 0.0, 4, 1, None),  # nothing spaced the requests
        (None, None, 0, 8, None),
    ],
)
def test_the_rate_of_one_on_its_own(
    configured: float | None, interval: float | None, members: int, expected: int, rate: float | None
) -> None:
    """The last shared pace or the configured rate is divided by the members last seen, else by those expected."""
    found, _ = fallback_rate(configured=configured, interval=interval, members=members, expected=expected)
    assert found == (None if rate is None else pytest.approx(rate))
    assert fallback_limits(Limits(rate=configured, burst=5), found).burst == (5 if found is None else 1)


def fed(cycles: int) -> GroupLearner:
    """Return the learner of a group on a window of 100 a second, after so many refusals."""
    learner, now = GroupLearner(), 10.0
    for epoch in range(cycles):
        for number in range(100):
            learner.observe(("s", epoch, now, 500.0, True))
            learner.observe(("a", epoch, now, 500.0, True))
            now += 0.003 if number % 2 else 0.001  # as timers have it
        learner.observe(("s", epoch, now, 500.0, True))
        learner.refused(epoch + 1, now, 500.0, 0.8, waited=True, is_first=True)
        learner.refused(epoch + 1, now, 500.0, 0.8, waited=True, is_first=False)
        now += 0.8
        learner.resume(now)
    return learner


def test_a_successor_goes_on_where_the_leader_was() -> None:
    """What was dumped and loaded learns the same from then on; anything else is not loaded."""
    for cycles in range(5):
        one = fed(cycles)
        other = GroupLearner.load(one.dump())
        assert other is not None
        assert other.dump() == one.dump()
        for learner in (one, other):
            learner.observe(("s", cycles, 100.0, 90.0, True))
            learner.observe(("a", cycles, 100.0, 90.0, True))
        assert other.dump() == one.dump()
    for junk in ("", "{}", "[1,2,3]", "[{},1,true,[0,0,0,0]]", b"\xff", "null"):
        assert GroupLearner.load(junk) is None


def test_a_group_on_a_window_finds_its_rate() -> None:
    """After a few refusals the pace is about what the window delivers, not what was sent at once."""
    assert 60.0 < 1.0 / fed(4).interval <= 110.0


def test_in_freedom_a_group_sends_little_more_than_was_delivered() -> None:
    """After the first refusal it sends at most four times what was delivered; without another, ever faster."""
    learner = fed(1)
    assert learner.interval >= 1.0 / 401.0
    for step in range(150):
        learner.observe(("s", 1, 12.0 + step / 10, 500.0, True))
        learner.observe(("a", 1, 12.0 + step / 10, 500.0, True))
    assert learner.interval == 0.0


def test_observations_of_before_a_pause_end_no_cycle() -> None:
    """A request that was permitted before the pause and is told of after it does not take the pause for over."""
    learner = GroupLearner()
    for step in range(20):
        learner.observe(("s", 0, 10.0 + step / 100, 100.0, True))
        learner.observe(("a", 0, 10.0 + step / 100, 100.0, True))
    learner.refused(1, 10.2, 100.0, 1.0, waited=True, is_first=True)
    pace = learner.learner.pace
    learner.observe(("s", 0, 10.19, 100.0, True))
    assert not learner.has_resumed
    assert learner.learner.pace == pace
    learner.resume(11.2)
    assert learner.learner.pace < pace
    assert math.isfinite(learner.interval)
