"""What climbs that ended in a refusal tell of a limit: counts of a window, a bucket drawn empty, spacing."""

import pytest

from fielding_async.core.pace.limit_evidence import Climb, Inquiry, Refusal, Verdict

pytestmark = pytest.mark.once


def refusal(accepted: int, *, seconds: float = 0.4, speed: float = 400.0, pause: float = 1.0) -> Refusal:
    climb = Climb(0.0, accepted=accepted, paced=accepted, closest=speed)
    return Refusal(climb, sent_at=seconds, seconds=seconds, speed=speed, pause=pause)


def opened_with(accepted: int, *, speed: float = 700.0) -> Inquiry:
    inquiry = Inquiry()
    opening = refusal(accepted, seconds=0.9, speed=speed)
    assert inquiry.verdict(opening) is None
    inquiry.climb_refused(opening)
    inquiry.races = 1
    return inquiry


@pytest.mark.parametrize(
    ("opening", "race", "verdict"),
    [
        (100, 100, Verdict(100, 100)),
        (104, 100, Verdict(100, 100)),
        (80, 50, Verdict(50, 50)),  # it had more than its share
        (140, 100, Verdict(100, 100)),  # the opening went across the border of two windows
        (42, 49, Verdict(42, 49)),  # the even share is between the two
        (20, 50, None),  # it had less than its share, or the race went across a border
        (97, 2, None),  # so few may be what others had left
    ],
)
def test_a_race_after_the_opening_tells_the_count_of_a_window(opening: int, race: int, verdict: Verdict | None) -> None:
    """The same count twice, or fewer, is believed; many more, or next to none, need another race."""
    assert opened_with(opening).verdict(refusal(race)) == verdict


@pytest.mark.parametrize(("second", "verdict"), [(50, Verdict(50, 50)), (82, Verdict(50, 50)), (30, Verdict(30, 30))])
def test_the_second_race_ends_it(second: int, verdict: Verdict) -> None:
    """Others may have settled by then, so that more was left: the first race was the even one."""
    inquiry = opened_with(20)
    inquiry.climb_refused(refusal(50, speed=8 * 50))
    inquiry.races = 2
    assert inquiry.verdict(refusal(second, speed=8 * second)) == verdict


def test_a_speed_that_parts_accepted_from_refused_is_a_limit_by_spacing() -> None:
    """Fewer passed in the race, at the same closest spacing: it is not their count that matters."""
    inquiry = opened_with(16, speed=100.0)
    verdict = inquiry.verdict(refusal(5, seconds=0.1, speed=99.0))
    assert verdict is not None
    assert verdict.is_strict
    assert verdict.borne == pytest.approx(99.0)


def test_a_held_pace_that_a_window_would_have_borne_was_of_a_bucket() -> None:
    """The race counts as many as before, yet the pace held was refused after seconds: what counts is the refill."""
    inquiry = Inquiry()
    inquiry.hold_refused(refusal(380, seconds=2.8, speed=142.0), 142.0, is_borne=True, is_proven=True)
    inquiry.races = 1
    verdict = inquiry.verdict(refusal(145))
    assert verdict == Verdict(100, 100)
    assert inquiry.is_bucket
    later = Inquiry(is_bucket=True)
    assert later.verdict(refusal(70)) == Verdict(50, 50)


def test_a_careful_race_that_is_refused_tells_nothing_but_that_it_was_not_the_spacing() -> None:
    """So few that passed may be what others had left: the races that count begin after it."""
    inquiry = opened_with(3, speed=9.0)
    inquiry.is_careful = True
    assert inquiry.verdict(refusal(3, speed=8.0)) is None
    inquiry.climb_refused(refusal(3, speed=8.0))
    assert inquiry.races == 0
    assert inquiry.counts == [3]


@pytest.mark.parametrize(("race", "pace"), [(100, 90), (110, 90), (95, 95)])
def test_a_pace_refused_soon_after_it_was_taken_up_is_not_taken_up_again(race: int, pace: float) -> None:
    """A race may go across the border of two windows again: what it confirms is held a tenth lower."""
    inquiry = Inquiry()
    inquiry.hold_refused(refusal(137, seconds=1.4, speed=100.0), 100.0, is_borne=True, is_proven=False)
    inquiry.races = 1
    verdict = inquiry.verdict(refusal(race))
    assert verdict is not None
    assert verdict.borne == pace
