"""The rules of the rate learner, one class each, and that no history of refusals leaves it stuck."""

from math import inf

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fielding_async import Limits
from fielding_async.core.pace.pacer import Pacer, Permit
from fielding_async.core.pace.rate_learner import RateLearner

ROUND_TRIP = 0.02


class Session:
    """A learner, and requests that are sent as fast as its pace allows; unevenly if there is none. `now`: its time."""

    def __init__(self) -> None:
        self.learner = RateLearner()
        self.now = 0.0
        self._last = -inf
        self._count = 0

    def send(self, *, waited: bool = True) -> tuple[float, float, bool]:
        """Send a request, and return when, its speed, and whether it had waited."""
        self.learner.sent(self.now, waited=waited)
        sent = (self.now, 1.0 / (self.now - self._last), waited)
        self._last = self.now
        self._count += 1
        self.now += 1.0 / self.learner.pace or 0.0005 * (1 + 3 * (self._count % 2))
        return sent

    def accept(self, count: int, *, waited: bool = True) -> None:
        """Send so many, all of which are accepted."""
        for _ in range(count):
            at, speed, _ = self.send(waited=waited)
            self.learner.accepted(at, speed, waited=waited)

    def refuse(self, pause: float, *, waited: bool = True, passed: int = 0, refused: int = 1) -> None:
        """Send one that is refused, and others that pass or are refused after it; then pause."""
        at, speed, _ = self.send(waited=waited)
        later = [self.send() for _ in range(passed + refused - 1)]
        self.learner.refused(at, speed, pause, waited=waited)
        for later_at, later_speed, _ in later[:passed]:
            self.learner.accepted(later_at, later_speed, waited=True)
        for _ in later[passed:]:
            self.learner.refused_too()
        self.now = at + ROUND_TRIP + pause

    def cycle(self, accepted: int, pause: float = 1.0, *, start: float | None = None) -> None:
        """Play one cycle of which all requests had waited. `start`: the pace at its begin."""
        self.accept(1)
        if start is not None:
            self.learner.pace = start
        self.accept(accepted - 1)
        self.refuse(pause)

    def resume(self) -> float:
        """Send the first request after a pause, which is accepted, and return the pace."""
        self.send()
        return self.learner.pace

    def find(self, count: int = 50) -> float:
        """Play two cycles of the same count, of which the second climbs faster, and return the pace of the trial."""
        self.cycle(count, start=100.0)
        self.cycle(count, start=400.0)
        return self.resume()


class TestRefusalThatStandsAlone:
    """R2: it costs its pause and the growth after it, and no pace is learned from it."""

    @pytest.mark.parametrize("number", [3, 8, 30, 200])
    def test_the_pace_goes_on_from_where_it_was(self, number: int) -> None:
        """After one refusal the pace is at least half of what it was, or twice what was accepted, and grows to none."""
        session = Session()
        session.accept(number)
        before = session.learner.pace
        session.refuse(0.1)
        assert session.resume() >= min(before / 2, 2 * number)
        session.accept(120)
        assert session.learner.pace == inf

    def test_many_at_light_demand(self) -> None:
        """Where nobody waits, not even a hundred refusals lead to a trial."""
        session = Session()
        for _ in range(100):
            session.accept(3, waited=False)
            session.refuse(1.0, waited=False)
        session.accept(120)
        assert session.learner.pace == inf


class TestOpening:
    """R3: it grows with each accepted request, and ends with the first refusal."""

    def test_750_a_second_is_no_limit(self) -> None:
        """After 120 accepted requests there is no pace."""
        session = Session()
        assert session.learner.pace < 10
        session.accept(120)
        assert session.learner.pace == inf
        assert session.now < 1.5

    def test_six_may_be_in_flight(self) -> None:
        """Six requests may be in flight whatever the pace, until one is refused."""
        pacer = Pacer(Limits(), lambda low, _high: low)
        permits = [pacer.take(0.0) for _ in range(6)]
        assert pacer.ready_at() <= 0.0  # and one by the pace
        pacer.take(0.0)
        assert pacer.ready_at() > 0.0
        pacer.throttled(permits[0], 1.0, 0.1)
        pacer.take(1.1, waited=True)
        assert pacer.ready_at() > 1.1

    def test_steady_demand_does_not_queue(self) -> None:
        """Requests that come one by one, and do not wait, are not held back by replies that take long."""
        pacer = Pacer(Limits(), lambda low, _high: low)
        assert all(isinstance(pacer.try_take(number * 0.01), Permit) for number in range(32))
        pacer.try_take(0.32)  # by the pace
        assert not isinstance(pacer.try_take(0.33), Permit)


class TestStray:
    """R5: requests that were sent after the refused one and passed clear the pace."""

    def test_the_pace_stays(self) -> None:
        """Twenty strays while requests wait leave the pace as it was."""
        session = Session()
        session.accept(120)
        for _ in range(20):
            session.accept(20)
            session.refuse(1.0, passed=5)
        session.accept(1)
        assert session.learner.pace == inf


class TestAmount:
    """R8: two cycles that agree lead to a trial of what they indicate."""

    def test_two_that_agree(self) -> None:
        """Two cycles of fifty a second start a trial of 45 to 50 a second."""
        assert 45 <= Session().find(50) <= 50

    def test_a_handful_concludes_nothing(self) -> None:
        """Two cycles of five accepted requests start no trial."""
        session = Session()
        assert session.find(5) > 8.0
        session.accept(120)
        assert session.learner.pace == inf

    def test_two_that_do_not_agree(self) -> None:
        """Cycles of 300 and of 30 start no trial; a further one of 30 does."""
        session = Session()
        session.cycle(300, start=700.0)
        session.cycle(30, start=100.0)
        assert session.resume() > 40
        session.cycle(30, start=400.0)
        assert 20 <= session.resume() <= 30

    def test_idle_time_between_them(self) -> None:
        """A cycle before 30 s of idle time does not count."""
        session = Session()
        session.cycle(50, start=100.0)
        session.accept(10)
        session.now += 30.0
        session.cycle(50, start=400.0)
        assert session.resume() > 60


class TestSpacing:
    """R7: one speed parts what passed from what did not."""

    def test_two_climbs(self) -> None:
        """Both end where the pace passes 100 a second: the trial starts just below, and late requests stay late."""
        session = Session()
        for _ in range(2):
            session.accept(1)
            while session.learner.pace < 100.0:
                session.accept(1)
            session.refuse(1.0)
        assert 85 <= session.resume() <= 100
        assert session.learner.is_strict

    def test_a_speed_below_what_was_delivered(self) -> None:
        """Speeds that would slow the session down start no trial of spacing."""
        session = Session()
        for _ in range(2):
            session.accept(1)
            session.learner.pace = inf
            for _ in range(20):  # all at the same time: their speeds are unknown, but for the last two
                session.learner.sent(session.now, waited=True)
                session.learner.accepted(session.now, 0.0, waited=True)
            session.learner.sent(session.now + 0.1, waited=True)
            session.learner.accepted(session.now + 0.1, 10.0, waited=True)
            session.now += 0.2
            session.learner.sent(session.now, waited=True)
            session.learner.refused(session.now, 11.0, 0.3, waited=True)
            session.now += 0.3
        assert session.resume() > 30
        assert not session.learner.is_strict

    def test_late_timers_sustain_no_more_than_came(self) -> None:
        """R9: where each request is 1 ms late, a step to a higher pace sustains only the speed at which they came."""
        session = Session()
        for _ in range(2):
            session.accept(1)
            while session.learner.pace < 100.0:
                session.accept(1)
            session.refuse(1.0)
        held = session.resume()
        fastest = 0.0
        highest = held
        for _ in range(1500):
            session.now += 0.001
            _, speed, _ = sent = session.send()
            session.learner.accepted(sent[0], speed, waited=True)
            fastest, highest = max(fastest, speed), max(highest, session.learner.pace)
        assert fastest < 0.95 * highest  # no request came at the highest pace
        session.refuse(1.0)
        assert session.resume() <= max(fastest, held)

    def test_the_first_step_waits(self) -> None:
        """R10: it may cost a pause, so the pace is held until that is paid for."""
        session = Session()
        for _ in range(2):
            session.accept(1)
            while session.learner.pace < 100.0:
                session.accept(1)
            session.refuse(1.0)
        held, began = session.resume(), session.now
        while session.now < began + 3.0:
            session.accept(1)
        assert session.learner.pace == held

    def test_windows_are_not_taken_for_it(self) -> None:
        """A climb that starts higher passes at speeds that were refused before."""
        session = Session()
        session.find(50)
        assert not session.learner.is_strict


class TestRaising:
    """R9, R10: a pace that is sustained grows, and one that is refused then is left for it."""

    def test_a_pace_that_is_used_grows_to_none(self) -> None:
        """A pace that is used, and not refused, is none within 12 s."""
        session = Session()
        session.find(50)
        began = session.now
        while session.learner.pace < inf:
            session.accept(1)
        assert session.now - began < 12.0

    def test_a_pace_that_is_not_used_stays(self) -> None:
        """Where no request waits the pace is not raised."""
        session = Session()
        pace = session.find(50)
        for _ in range(100):
            session.now += 0.2
            session.accept(1, waited=False)
        assert session.learner.pace == pace

    def test_a_step_that_is_refused(self) -> None:
        """The sustained pace comes back, and the next step waits until it pays."""
        session = Session()
        low = session.find(50)
        while session.learner.pace == low:
            session.accept(1)
        assert session.learner.pace == pytest.approx(1.25 * low)
        session.refuse(1.0)
        assert session.resume() == low
        began = session.now
        while session.learner.pace == low:
            session.accept(1)
        assert session.now - began > 5.0
        assert low < session.learner.pace < 1.25 * low


class TestHeldPaceRefused:
    """R11: what lowers a pace, and what does not."""

    def proven(self) -> tuple[Session, float]:
        """Return a session that holds a sustained pace, and that pace."""
        session = Session()
        low = session.find(50)
        while session.learner.pace == low:
            session.accept(1)
        session.refuse(1.0)
        session.accept(int(3 * low))
        assert session.learner.pace == low
        return session, low

    def test_a_short_pause(self) -> None:
        """A pause that is short beside the time at the pace does not lower it, however often it comes."""
        session, low = self.proven()
        for _ in range(10):
            session.accept(int(3 * low))
            session.refuse(0.1)
            assert session.resume() >= low

    def test_one_refusal(self) -> None:
        """One refusal of a sustained pace does not lower it."""
        session, low = self.proven()
        session.refuse(1.0)
        assert session.resume() == low

    def test_two_in_a_row(self) -> None:
        """Two refusals in a row lower it, but not below half."""
        session, low = self.proven()
        session.refuse(1.0)
        session.cycle(30)
        assert low / 2 <= session.resume() < 0.94 * low


class TestTrialsEnd:
    """R12, R13: a trial that delivers less than freedom, or makes no difference to the count, is dropped."""

    def test_strays_at_any_pace(self) -> None:
        """Where as many pass between refusals as before, the pace is soon none, and the next resume is without care."""
        session = Session()
        session.find(50)
        for _ in range(5):
            session.cycle(50)
        assert session.resume() == inf

    def test_the_next_one_needs_more(self) -> None:
        """R14: after a trial that was dropped three lossy cycles start none, and a fourth does."""
        session = Session()
        session.find(50)
        for _ in range(4):
            session.cycle(50)
        for _ in range(3):
            session.cycle(50)
            assert session.resume() == inf
        session.cycle(50)
        assert session.resume() < 60

    @pytest.mark.parametrize(("pause", "is_free"), [(0.45, True), (0.9, False)])
    def test_a_loss(self, pause: float, is_free: bool) -> None:
        """R12, R14: after a trial that fell behind freedom, the next resume is without care only at brief pauses."""
        session = Session()
        session.cycle(50, 0.4, start=100.0)
        session.cycle(50, 0.4, start=200.0)
        session.resume()
        session.cycle(20, 1.5)
        assert session.resume() < 100.0
        session.cycle(20, pause)
        assert (session.resume() == inf) == is_free
        session.cycle(20, pause)
        assert (session.resume() == inf) == is_free


class TestCheck:
    """R15: a pace that rests on strays that came close together is soon left, and one that is right is kept."""

    def doubtful(self) -> tuple[Session, float]:
        """Return a session at a sustained pace that was never ahead of freedom, and was refused; and that pace."""
        session = Session()
        session.cycle(15, start=400.0)
        session.cycle(20, start=400.0)
        low = session.resume()
        while session.learner.pace == low:
            session.accept(1)
        session.refuse(1.0)
        assert session.resume() == low
        session.accept(int(1.5 * low))
        assert session.learner.pace == low
        session.refuse(1.0)
        return session, low

    def test_freedom_is_better(self) -> None:
        """Four times the pace delivers far more: there is no pace any more."""
        session, low = self.doubtful()
        assert session.resume() == pytest.approx(4 * low)
        session.accept(60)
        session.refuse(1.0)
        assert session.resume() == inf

    def test_no_refusal_comes(self) -> None:
        """The trial is over once four times the pace has been held."""
        session, low = self.doubtful()
        session.accept(int(10 * low))
        assert session.learner.pace == inf

    def test_a_window_of_a_minute(self) -> None:
        """Four times a slow pace has to last for more requests than a window lets pass, before the trial is dropped."""
        session = Session()
        session.cycle(30, 45.0, start=100.0)
        session.cycle(30, 45.0, start=400.0)
        pace = session.resume()
        assert pace < 1.0
        for _ in range(30):  # a foreign client takes a part of each window
            session.accept(80)
            before = session.learner.pace
            session.refuse(20.0)
            pace = session.resume()
            if pace > 2.0 * before:
                break
        session.accept(95)  # for more than 2 s
        assert session.learner.pace == pace < inf
        session.refuse(40.0)
        assert session.resume() == before

    def test_the_pace_is_right(self) -> None:
        """What passes at four times the pace is no more than at the pace, which goes on."""
        session, low = self.doubtful()
        for _ in range(2):  # one is too little evidence
            assert session.resume() == pytest.approx(4 * low)
            session.accept(int(low / 2))
            session.refuse(1.0)
        assert session.resume() == low
        session.accept(int(10 * low))
        assert session.learner.pace > low


class TestCheckInTime:
    """R15: a pace that is refused again and again is checked, even if freedom delivered no more."""

    def test_eight_refusals(self) -> None:
        """Strays let ever as many requests pass, at any pace: it is checked, and dropped."""
        session = Session()
        session.find(20)
        paces: list[float] = []
        for number in range(30):
            session.accept(70 + 30 * (number % 2))
            session.refuse(1.0)
            paces.append(session.resume())
            if paces[-1] == inf:
                break
        assert paces[-1] == inf
        assert paces[-2] > 2 * paces[-3]


class TestNeverStuck:
    """Once refusals cease the pace no longer delays requests within seconds, whatever came before."""

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.integers(0, 40),
                st.one_of(st.none(), st.floats(0.0, 30.0)),
                st.booleans(),
                st.integers(0, 5),
                st.floats(0.0, 3.0),
            ),
            max_size=40,
        )
    )
    @example(
        history=[
            (34, None, False, 0, 3.0),
            (20, None, True, 0, 2.2),
            (37, None, False, 0, 1.5),
            (14, None, True, 0, 2.4),
            (0, 29.7, True, 0, 1.2),
            (17, 8e-262, True, 4, 0.7),
            (38, None, False, 5, 8e-262),
            (4, 15.4, True, 0, 1.6),
            (37, 4.05, True, 2, 1.7),
            (0, 2e-309, True, 3, 1.2),
            (0, 26.2, True, 4, 2.1),
            (0, 26.2, True, 4, 2.1),
        ]
    )
    def test_any_history(self, history: list[tuple[int, float | None, bool, int, float]]) -> None:
        """Requests of which some were refused, while others waited or not, and idle times; then nothing but answers."""
        pacer = Pacer(Limits(), lambda low, _high: low)
        now = 0.0

        def send(*, waited: bool) -> tuple[float, object]:
            nonlocal now
            now = max(now, pacer.ready_at())
            permit = pacer.take(now, waited=waited)
            pacer.left(permit, now)
            return now, permit

        for accepted, retry_after, waited, others, gap in history:
            for _ in range(accepted):
                _, permit = send(waited=waited)
                now += ROUND_TRIP
                pacer.answered(permit, now)  # type: ignore[arg-type]
            _, refused = send(waited=waited)
            late = [send(waited=waited)[1] for _ in range(others) if pacer.ready_at() < inf]
            now += ROUND_TRIP
            pacer.throttled(refused, retry_after, now)  # type: ignore[arg-type]
            for permit in late:
                pacer.answered(permit, now)  # type: ignore[arg-type]
            now += gap
        now = began = max(now, pacer.paused_until)
        while pacer.interval > 0.0:
            _, permit = send(waited=True)
            now += 0.001
            pacer.answered(permit, now)  # type: ignore[arg-type]
            assert now - began < 90.0, pacer.interval
            if now - began > 45.0:
                assert pacer.interval < 0.1
