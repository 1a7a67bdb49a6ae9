"""What refused climbs say about a limit: the count of a window, an empty token bucket, spacing."""

import pytest

from fielding_async.core.pace.limit_evidence import Climb, Evidence, Refusal, Verdict

pytestmark = pytest.mark.once


def refusal(accepted: int, *, seconds: float = 0.4, speed: float = 400.0, pause: float = 1.0) -> Refusal:
    climb = Climb(0.0, accepted=accepted, paced=accepted, fastest=speed)
    return Refusal(climb, sent_at=seconds, seconds=seconds, speed=speed, pause=pause)


def opened_with(accepted: int, *, speed: float = 700.0) -> Evidence:
    evidence = Evidence()
    opening = refusal(accepted, seconds=0.9, speed=speed)
    assert evidence.verdict(opening) is None
    evidence.climb_refused(opening)
    evidence.shared_climbs = 1
    return evidence


@pytest.mark.parametrize(
    ("opening", "climb", "verdict"),
    [
        (100, 100, Verdict(100, 100)),
        (104, 100, Verdict(100, 100)),
        (80, 50, Verdict(50, 50)),  # the opening had more than its share
        (140, 100, Verdict(100, 100)),  # the opening went across the border of two windows
        (42, 49, Verdict(42, 49)),  # the even share is between the two
        (20, 50, None),  # the opening had less than its share, or the climb went across a border
        (97, 2, None),  # so few may be what other sessions left over
    ],
)
def test_a_shared_climb_after_the_opening_gives_the_count_of_a_window(
    opening: int, climb: int, verdict: Verdict | None
) -> None:
    """The same count twice, or a lower one, is believed; a much higher one, or next to none, needs another climb."""
    assert opened_with(opening).verdict(refusal(climb)) == verdict


@pytest.mark.parametrize(("second", "verdict"), [(50, Verdict(50, 50)), (82, Verdict(50, 50)), (30, Verdict(30, 30))])
def test_the_second_shared_climb_decides(second: int, verdict: Verdict) -> None:
    """Other sessions may hold a pace again by then, so that more is left over: the first climb was the even one."""
    evidence = opened_with(20)
    evidence.climb_refused(refusal(50, speed=8 * 50))
    evidence.shared_climbs = 2
    assert evidence.verdict(refusal(second, speed=8 * second)) == verdict


def test_a_speed_that_divides_accepted_from_refused_is_a_limit_on_spacing() -> None:
    """Fewer were accepted in the second climb, at the same closest spacing: their count is not the limit."""
    evidence = opened_with(16, speed=100.0)
    verdict = evidence.verdict(refusal(5, seconds=0.1, speed=99.0))
    assert verdict is not None
    assert verdict.is_strict
    assert verdict.sustained == pytest.approx(99.0)


def test_a_refused_pace_that_a_window_would_have_accepted_means_a_bucket() -> None:
    """The climb counts as many as before, yet the held pace was refused after seconds: the refill is the limit."""
    evidence = Evidence()
    evidence.hold_refused(refusal(380, seconds=2.8, speed=142.0), 142.0, is_sustained=True, is_proven=True)
    evidence.shared_climbs = 1
    verdict = evidence.verdict(refusal(145))
    assert verdict == Verdict(100, 100)
    assert evidence.is_bucket
    later = Evidence(is_bucket=True)
    assert later.verdict(refusal(70)) == Verdict(50, 50)


def test_a_refused_careful_climb_only_rules_out_spacing() -> None:
    """So few accepted may be what other sessions left over: the climbs that count start after it."""
    evidence = opened_with(3, speed=9.0)
    evidence.is_careful = True
    assert evidence.verdict(refusal(3, speed=8.0)) is None
    evidence.climb_refused(refusal(3, speed=8.0))
    assert evidence.shared_climbs == 0
    assert evidence.counts == [3]


@pytest.mark.parametrize(("climb", "pace"), [(100, 90), (110, 90), (95, 95)])
def test_a_pace_refused_soon_after_it_was_taken_up_is_not_taken_up_again(climb: int, pace: float) -> None:
    """A climb may go across the border of two windows again: what it confirms is held a tenth lower."""
    evidence = Evidence()
    evidence.hold_refused(refusal(137, seconds=1.4, speed=100.0), 100.0, is_sustained=True, is_proven=False)
    evidence.shared_climbs = 1
    verdict = evidence.verdict(refusal(climb))
    assert verdict is not None
    assert verdict.sustained == pace
