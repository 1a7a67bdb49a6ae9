"""The rate learner: finds a pace that delivers more than plain obedience does, where there is one.

What it assumes, its rules (R1 to R15) and its doubts are at the top of `limit_evidence`. The clock is an argument.
"""

from math import inf, sqrt

from attrs import define, field

from .limit_evidence import Cycle, delivered, indicated, parting_speeds
from .trial import FIRST_STEP, Trial

__all__ = ["RateLearner"]

_FIRST = 8.5  # requests a second, at the start of the opening (R3)
_CARE = 8  # requests that may follow a pause in the time that it took (R4)
_GROWTH = 1.4  # times the pace with each accepted request, at low paces
_STEP = 7.0  # the most that one adds: the pace then doubles in a tenth of a second
_OPEN = 750.0  # requests a second: faster than this there is no limit worth a pace
_SLOWEST = 0.5  # requests a second: slower than this the pauses do the pacing
_HANDFUL = 16  # accepted requests: fewer conclude nothing (R8)
_AGREE = 1.6  # times: rates within this factor agree (R8)
_MARGIN = 0.98  # times an indicated rate (R8)
_BELOW = 0.99  # times a speed that was accepted (R7)
_CLEAR = 1.38  # times: an accepted and a refused speed that are further apart leave room between them (R7)
_LEAST_HOLD, _LONGEST_HOLD = 1.0, 2.0  # seconds that a pace is held until it is sustained (R9)
_FEWEST = 4  # requests in that time
_AGAIN = 2.0  # times the pace: the first step above a pace that was refused before (R9)
_BOLDER, _BOLDEST = 1.3, 2.0  # times the step after each success, and the largest step (R9)
_CLOSE = 1.12  # times: a sustained and a refused pace within this factor are close (R10)
_ABOVE, _TENTH = 1.05, 0.1  # the step from there: 5 % above the refused pace, 10 % above the sustained one at least
_EAGER = 0.9  # pauses, divided by the gain, until a step that failed is followed by another (R10)
_LONGER, _PATIENT = 1.5, 4.0  # times that wait after each failure of a tenth, and the most of it
_LONGEST_WAIT = 20.0  # seconds until a step, at most
_SLIGHT = 0.15  # of the time at a pace: a shorter pause never lowers it (R11)
_CUT = 0.93  # times a pace that was refused (R11)
_PATIENCE = 3.0  # cycles by which a trial may fall behind freedom (R12)
_REFUSALS, _RATIO = 4, 2.0  # refusals, and times what passed between them in freedom (R13)
_NEEDED, _MOST = 2, 8  # lossy cycles in a row until a trial, at first and at most (R14)
_BRIEF = 0.5  # seconds: where pauses are shorter, R4 may cost more than they do (R14)
_CHECK = 4.0  # times a sustained pace: the pace of a check (R15)
_BETTER = 1.25  # times what freedom delivered, or a pace: freedom is better (R15)
_IDLE = 1.0  # seconds without a request


@define
class RateLearner:
    """The pace of a session whose limit is not known. Times are seconds of one monotonic clock."""

    pace: float = _FIRST
    """Requests a second; infinity while there is none."""
    is_opening: bool = True
    """Whether no refusal but strays has come, so that a few requests may be in flight whatever the pace (R3)."""

    _cycle: Cycle | None = None
    _is_over: bool = False  # the cycle ended in a refusal
    _before: Cycle | None = None  # the cycle before
    _lossy: list[Cycle] = field(factory=list[Cycle])  # those in a row, in freedom
    _needed: int = _NEEDED
    _is_careful: bool = True  # in freedom, after a pause (R4)
    _careful_rate: float = 0.0  # what freedom delivered before the latest trial of an amount, with R4
    _careless_rate: float = inf  # the same without R4
    _may_be_spacing: bool = True
    _is_spacing: bool = False  # the trial is one of R7
    _trial: Trial | None = None
    _last: float = -inf

    @property
    def is_strict(self) -> bool:
        """Whether the limit is taken for one on spacing, so that a late request must not bring the next one closer."""
        return self._is_spacing and self._trial is not None

    @property
    def is_under_way(self) -> bool:
        """Whether a cycle has started that no refusal has ended."""
        return self._cycle is not None and not self._is_over

    # -- observations

    def sent(self, now: float, *, waited: bool) -> None:
        """Note a permission to send. `waited`: the request had to wait for it."""
        if self._is_over and self._cycle is not None:
            self._end(self._cycle, now)
            self._cycle, self._is_over = None, False
        elif now - self._last > _IDLE + 3.0 / self.pace:
            self._cycle, self._before = None, None
            self._lossy.clear()
        self._last = now
        if self._cycle is None:
            self._cycle = Cycle(now)
            if self._trial is not None:
                self._trial.hold_from(now)
        self._cycle.permits += 1
        self._cycle.waited += waited
        if self._trial is not None:
            self._trial.permits += 1
            self._trial.waited += waited
            self._raise(self._trial, now)

    def accepted(self, sent_at: float, speed: float, *, waited: bool) -> None:
        """Note an answer that is no 429.

        `sent_at`: when the request was permitted. `speed`: requests a second, from its spacing to the one before.
        """
        cycle = self._cycle
        if cycle is None:
            return
        cycle.accepted += 1
        if self._trial is not None:
            self._trial.accept(sent_at, speed)
        if self._is_over and sent_at > cycle.refused_at:
            cycle.passed += 1
        elif sent_at > cycle.began:
            cycle.fastest = max(cycle.fastest, speed)
        if self._trial is None and not self._is_over and (waited or self.is_opening):
            self._grow()

    def refused(self, sent_at: float, speed: float, pause: float, *, waited: bool) -> None:
        """Note the first 429 of a burst. `pause`: the seconds that follow. The others: as for `accepted`."""
        cycle = self._cycle
        if cycle is None:
            return
        if self._is_over:
            cycle.pause = max(cycle.pause, sent_at + pause - cycle.refused_at)
            return
        cycle.refused_at, cycle.refused_speed, cycle.refused_waited = sent_at, speed, waited
        cycle.pause, cycle.refused = pause, 1
        self._is_over = True

    def held_up(self, until: float) -> None:
        """Note a pause in the cycle in progress, which a late 429 of the burst before it has started."""
        self._last = max(self._last, until)  # it is no idle time
        if self._trial is not None:
            self._trial.hold_from(until)

    def refused_too(self) -> None:
        """Note another 429 of the same burst."""
        if self._cycle is not None and self._is_over:
            self._cycle.refused += 1

    # -- freedom

    def _grow(self) -> None:
        self.pace = min(self.pace * _GROWTH, self.pace + _STEP)
        if self.pace > _OPEN:
            self.pace = inf

    def _end(self, cycle: Cycle, now: float) -> None:
        if self._trial is not None:
            if cycle.accepted or self._trial.check is not None:
                self._end_held(self._trial, cycle, now)
        elif cycle.accepted:
            self._end_free(cycle, now)
        elif self._lossy:
            self._lossy[-1].pause += cycle.seconds

    def _end_free(self, cycle: Cycle, now: float) -> None:
        if cycle.is_stray:
            self._before = None
            self._lossy.clear()
            return
        self.is_opening = False
        if self._is_careful:
            in_a_second = 2.0 * cycle.accepted / max(min(cycle.pause, 1.0), 1e-3)
            self.pace = max(_FIRST, min(self.pace / 2.0, in_a_second), _CARE / max(cycle.pause, 1e-3))
        before, self._before = self._before, cycle
        if not cycle.is_lossy:
            self._lossy.clear()
            return
        self._lossy = [*self._lossy, cycle][-2 * _MOST :]
        if before is not None and self._may_be_spacing and (before.is_lossy or before.is_burst):
            speeds = parting_speeds(before, cycle)
            if speeds is not None:
                slower, faster = speeds
                pace = _BELOW * (slower if faster < _CLEAR * slower else sqrt(slower * faster))
                if pace > delivered([before, cycle]):
                    self._try(pace, [before, cycle], now, low=_BELOW * slower, refused=faster)
                    return
        self._try_amount(now)

    def _try_amount(self, now: float) -> None:
        """Try what the lossy cycles delivered, if there are enough (R8)."""
        many = self._needed
        while many < len(self._lossy) and sum(cycle.accepted for cycle in self._lossy[-many:]) < _HANDFUL:
            many += 1
        recent = self._lossy[-many:]
        if len(recent) < self._needed or sum(cycle.accepted for cycle in recent) < _HANDFUL:
            return
        parts = [recent[:-1], recent[-1:]]
        rates = [delivered(part) for part in parts]
        if max(rates) > _AGREE * min(rates):
            if len(self._lossy) < 2 * self._needed:
                return
            parts = [recent]
        pace = max(_MARGIN * min(map(indicated, parts)), min(map(delivered, parts)))
        self._try(pace, recent, now)

    def _try(
        self, pace: float, cycles: list[Cycle], now: float, *, low: float | None = None, refused: float = inf
    ) -> None:
        if pace > _OPEN:
            return  # no limit worth a pace (R3); requests that come more slowly could never raise it
        is_spacing = low is not None
        self.pace, self._is_spacing, self._lossy = max(pace, _SLOWEST), is_spacing, []
        count = sum(cycle.accepted for cycle in cycles) / len(cycles)
        seconds = sum(cycle.seconds for cycle in cycles) / len(cycles)
        free_rate = max(count / seconds, 0.1)
        if not is_spacing and self._is_careful:
            self._careful_rate = free_rate
        elif not is_spacing:
            self._careless_rate = free_rate
        low = self.pace if low is None else min(low, self.pace)
        self._trial = Trial(free_rate, count, seconds, low, refused, cycles[-1].pause, now, has_failed=is_spacing)

    # -- trials

    def _raise(self, trial: Trial, now: float) -> None:
        """Raise a pace that was held for long enough (R9, R10)."""
        seconds, fewest = now - trial.since, float(_FEWEST)
        if trial.check is not None:
            fewest = max(fewest, _BETTER * sum(trial.counts) / len(trial.counts))  # a long window lets as many pass
        if seconds < min(max(trial.cycle_seconds, _LEAST_HOLD), _LONGEST_HOLD) or trial.permits < fewest:
            return
        if 2 * trial.waited < trial.permits or trial.permits < self.pace * seconds / 2:
            trial.hold_from(now)  # it was not used
            return
        if trial.check is not None:
            self._let_go(trial, is_pointless=True)
            return
        self.pace = trial.sustain(self.pace, is_spacing=self._is_spacing)
        if trial.seconds_behind(now) < 0:
            trial.was_ahead = True
            self._needed, self._is_careful = _NEEDED, True
        if trial.low > trial.high:
            trial.high, trial.factor = inf, max(trial.factor, _AGAIN)
        if trial.high == inf:
            self.pace *= trial.factor
            trial.factor = min(trial.factor * _BOLDER, _BOLDEST)
        elif not self._step(trial, seconds):
            return
        if self.pace > _OPEN:
            self._trial, self.pace = None, inf
        trial.hold_from(now)

    def _step(self, trial: Trial, seconds: float) -> bool:
        """Raise a pace between the sustained and the refused one, or beyond, if it is time (R10)."""
        step = sqrt(trial.low * trial.high)
        gain = step / trial.low - 1.0
        if trial.low * _CLOSE >= trial.high:
            step, gain = max(_ABOVE * trial.high, (1.0 + _TENTH) * trial.low), _TENTH
        if trial.has_failed and seconds < min(trial.caution * _EAGER * trial.pause / gain, _LONGEST_WAIT):
            return False
        trial.tried, self.pace, trial.has_failed = trial.high, step, False
        return True

    def _end_held(self, trial: Trial, cycle: Cycle, now: float) -> None:
        if trial.check is not None:
            self._end_check(trial, trial.check, cycle)
            return
        trial.counts = [*trial.counts, cycle.accepted][-_REFUSALS:]
        trial.spans = [*trial.spans, cycle.seconds][-_REFUSALS:]
        trial.refusals += 1
        trial.pause = cycle.pause
        held = min(cycle.sending, cycle.refused_at - trial.since)
        if cycle.pause >= (held + cycle.pause) * _SLIGHT:
            if self.pace > trial.low * 1.001:
                self._step_back(trial)
            else:
                trial.lossy.append(cycle)
                if self._is_spacing and len(trial.lossy) > 1 and cycle.accepted < _HANDFUL / 2:
                    self._let_go(trial, is_pointless=False)
                    return
                if len(trial.lossy) > 1 or not trial.is_proven:
                    self._lower(trial)
                elif cycle.is_crowded:
                    trial.doubts += not trial.was_ahead and _BETTER * delivered([cycle]) < trial.free_rate
                    if trial.starts_check():
                        self.pace = _CHECK * trial.low
        is_pointless = len(trial.counts) == _REFUSALS and sum(trial.counts) < _REFUSALS * _RATIO * trial.free_count
        if is_pointless or trial.seconds_behind(now) > _PATIENCE * trial.cycle_seconds:
            self._let_go(trial, is_pointless=is_pointless)

    def _end_check(self, trial: Trial, check: list[Cycle], cycle: Cycle) -> None:
        check.append(cycle)
        rate, before = delivered(check), sum(trial.counts) / sum(trial.spans)
        if len(check) == 1 and cycle.accepted < _HANDFUL:
            return
        trial.check, self.pace = None, trial.low
        if rate > _BETTER * before:
            self._let_go(trial, is_pointless=True)

    def _step_back(self, trial: Trial) -> None:
        trial.high, self.pace = self.pace, trial.low
        if trial.low * _CLOSE >= trial.tried:
            trial.caution = min(trial.caution * _LONGER, _PATIENT)
        trial.factor, trial.has_failed, trial.is_proven = FIRST_STEP, True, False

    def _lower(self, trial: Trial) -> None:
        recent = trial.lossy[-2:]
        cut = _CUT * self.pace
        if len(recent) > 1 and not self._is_spacing:
            cut = min(cut, _MARGIN * indicated(recent))
        trial.high = self.pace
        trial.low = self.pace = max(cut, delivered(recent), trial.free_rate / 2.0, _SLOWEST)
        trial.is_proven = False
        if self.pace > _OPEN:
            self._trial, self.pace = None, inf

    def _let_go(self, trial: Trial, *, is_pointless: bool) -> None:
        """Drop the trial, as it did not deliver more than freedom (R12 to R14)."""
        if self._is_spacing:
            self._may_be_spacing = trial.was_proven
        else:
            self._may_be_spacing = True
            self._needed = min(2 * self._needed, _MOST)
            may_be_better = trial.pause < _BRIEF and self._careless_rate > self._careful_rate
            self._is_careful = not is_pointless and not may_be_better
        self._trial, self._before = None, None
        self._lossy.clear()
        self.pace = max(self.pace, _FIRST) if self._is_careful else inf
