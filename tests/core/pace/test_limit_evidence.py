"""What one cycle says, and what two say together."""

from math import inf

import pytest

from fielding_async.core.pace.limit_evidence import Cycle, delivered, indicated, parting_speeds


def cycle(*, accepted: int = 10, sending: float = 0.5, pause: float = 1.0, waited: int = 11, passed: int = 0) -> Cycle:
    """Return a cycle of one refusal, whose requests had waited."""
    return Cycle(
        100.0,
        permits=accepted + 1,
        waited=waited,
        accepted=accepted,
        refused_at=100.0 + sending,
        refused_waited=waited > 0,
        pause=pause,
        refused=1,
        passed=passed,
    )


class TestLossy:
    """R6: a pause counts against freedom if it took a third of the time while requests waited."""

    def test_a_pause_of_half_the_time_while_requests_wait(self) -> None:
        """A pause of half of the time, while requests wait, counts."""
        assert cycle(sending=1.0, pause=1.0).is_lossy

    def test_a_pause_that_is_short_beside_the_sending(self) -> None:
        """A pause that is short beside the time of sending does not count."""
        assert not cycle(sending=2.1, pause=1.0).is_lossy

    def test_light_demand(self) -> None:
        """Where few requests waited, or the refused one did not, nothing counts."""
        assert not cycle(waited=5).is_lossy
        crowded = cycle()
        crowded.refused_waited = False
        assert not crowded.is_lossy

    def test_a_cycle_in_which_nothing_was_accepted(self) -> None:
        """A cycle in which nothing was accepted does not count by itself."""
        assert not cycle(accepted=0, waited=1).is_lossy


class TestStray:
    """R5: what was sent after the refused request and passed shows that the refusal was not for the pace."""

    def test_three_that_passed_for_each_that_was_refused(self) -> None:
        """If three passed for each that was refused, the refusal is a stray."""
        assert cycle(passed=3).is_stray

    def test_fewer(self) -> None:
        """If fewer passed it is none: it may be a bucket that refills, or spacing."""
        assert not cycle(passed=2).is_stray
        several = cycle(passed=6)
        several.refused = 3
        assert not several.is_stray


class TestRates:
    """R8: what cycles delivered, and what they indicate."""

    def test_the_pause_counts_as_time(self) -> None:
        """Ten in half a second and a pause of half a second are ten a second."""
        assert delivered([cycle(pause=0.5)]) == pytest.approx(10.0)
        assert delivered([cycle(pause=0.5), cycle(accepted=20, pause=0.5)]) == pytest.approx(15.0)

    def test_a_pause_in_whole_seconds_may_be_too_long(self) -> None:
        """The second that rounding may have added is left out, but the pause itself is not."""
        assert indicated([cycle(sending=0.3, pause=1.0)]) == pytest.approx(10.0)
        assert indicated([cycle(sending=3.0, pause=2.0, accepted=40)]) == pytest.approx(10.0)
        assert indicated([cycle(sending=0.3, pause=0.7)]) == pytest.approx(10.0)


class TestSpacing:
    """R7: one speed parts what two cycles accepted from what they refused."""

    @pytest.mark.parametrize(
        ("fastest", "refused", "parting"),
        [
            ((90.0, 95.0), (104.0, 106.0), (95.0, 104.0)),
            ((0.0, 95.0), (inf, 104.0), (95.0, 104.0)),  # a burst, of which only the first passed
            ((90.0, 101.0), (100.0, 106.0), (100.0, 101.0)),  # within the jitter of timers
            ((90.0, 140.0), (104.0, 150.0), None),  # one was accepted that was faster
            ((0.0, 0.0), (inf, inf), None),
            ((20.0, 30.0), (inf, inf), None),
        ],
    )
    def test_two_cycles(
        self, fastest: tuple[float, float], refused: tuple[float, float], parting: tuple[float, float] | None
    ) -> None:
        """Only a speed that contradicts neither cycle parts them."""
        one, other = cycle(), cycle()
        one.fastest, other.fastest = fastest
        one.refused_speed, other.refused_speed = refused
        assert parting_speeds(one, other) == parting
