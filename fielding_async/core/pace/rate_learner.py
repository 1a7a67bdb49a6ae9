"""The rate learner (draft)."""

from math import inf, sqrt

from attrs import define, field

__all__ = ["Cycle", "RateLearner"]

_FIRST = 8.5  # requests a second, at the start of the opening
_GROWTH = 1.4  # times the pace with each reply, at low speeds
_STEP = 7.0  # the most that a reply adds: the pace then doubles in a tenth of a second
_OPEN = 750.0  # requests a second: a pace that gets here is none
_LOSSY = 1 / 3  # of a cycle's time: the pause of one that is held against the pace
_SLIGHT = 0.15  # of a cycle's time: a pause that never lowers a pace
_HANDFUL = 8  # accepted requests, from which something may be concluded
_AGREE = 1.6  # rates of two cycles within this factor agree
_MARGIN = 0.98  # times the rate that cycles point to
_WORTH = 0.9  # times what freedom delivered: a pace that delivers less is let go
_HOLD = 1.0  # seconds, at least, that a pace is held before it is raised
_LONGEST_HOLD = 2.0
_QUIET = 8.0  # seconds, at first, before a pace above one that was refused is tried
_QUIETEST = 20.0
_IDLE = 1.0
_MOST = 16
_PATIENCE = 3.0
_CLOSE = 1.12
_AFRESH = 1.5
_SURE = 1.0
_SLOWEST = 0.5
_EAGER = 0.9
_REFUSALS = 4
_RATIO = 2.0


@define
class Cycle:
    """From the first request after a pause to the end of the next pause."""

    began: float
    accepted: int = 0
    permits: int = 0
    waited: int = 0
    refused_at: float = 0.0
    fastest: float = 0.0
    speed: float = inf
    refused_waited: bool = False
    pause: float = 0.0
    passed: int = 0
    refused: int = 0

    @property
    def sending(self) -> float:
        return max(self.refused_at - self.began, 1e-3)

    @property
    def seconds(self) -> float:
        return self.sending + self.pause

    @property
    def is_crowded(self) -> bool:
        """Whether requests waited."""
        return self.refused_waited and 2 * self.waited >= self.permits

    @property
    def is_stray(self) -> bool:
        return self.passed >= 3 * self.refused

    @property
    def is_lossy(self) -> bool:
        return self.is_crowded and self.pause > self.seconds * _LOSSY

    @property
    def shortest(self) -> float:
        """Its seconds, less what a Retry-After in whole seconds may have been too long."""
        if self.pause >= 1.0 and self.pause % 1.0 == 0.0:
            return max(self.pause, self.seconds - 1.0)
        return self.seconds


def delivered(cycles: list[Cycle]) -> float:
    return sum(one.accepted for one in cycles) / sum(one.seconds for one in cycles)


def indicated(cycles: list[Cycle]) -> float:
    return sum(one.accepted for one in cycles) / sum(one.shortest for one in cycles)


@define
class RateLearner:
    pace: float = _FIRST
    is_strict: bool = False

    _cycle: Cycle | None = None
    _is_over: bool = False  # the cycle ended in a refusal
    _lossy: list[Cycle] = field(factory=list[Cycle])  # in a row, at freedom or at the pace that is held
    _not_spacing: bool = False
    _before: Cycle | None = None
    _needed: int = 2  # lossy cycles in a row for another experiment

    _free_rate: float = 0.0  # what freedom delivered; 0: free
    _low: float = 0.0
    _high: float = inf
    _since: float = 0.0
    _began: float = 0.0
    _permits: int = 0
    _waited: int = 0
    _factor: float = 1.25
    _hold: float = _HOLD
    _quiet: float = 1.0
    _pause: float = 1.0
    _tried: float = inf
    _lower: float = inf
    _has_failed: bool = False
    _last: float = -inf
    _is_proven: bool = False
    _ever: bool = False
    _is_careful: bool = True
    _cycle_time: float = 1.0
    _began_count: int = 0
    _free_count: float = 0.0
    _counts: list[int] = field(factory=list[int])
    is_opening: bool = True
    _count: int = 0
    _marks: list[tuple[float, int]] = field(factory=lambda: [(0.0, 0)])

    @property
    def is_free(self) -> bool:
        return self._free_rate == 0.0

    def sent(self, now: float, *, waited: bool) -> None:
        """Note a permission."""
        if self._is_over and self._cycle is not None:
            self._end(self._cycle, now)
            self._cycle, self._is_over = None, False
        elif now - self._last > _IDLE + 3 / self.pace:
            self._cycle = None
            if self.is_free:
                self._lossy.clear()
                self._before = None
        self._last = now
        if self._cycle is None:
            self._cycle = Cycle(now)
            self._marks = [(now, self._count)]
            self._hold_from(now)
        self._cycle.permits += 1
        self._cycle.waited += waited
        self._permits += 1
        self._waited += waited
        if not self.is_free and not self._is_over:
            self._raise_held(now)

    def accepted(self, sent_at: float, speed: float, *, waited: bool) -> None:
        cycle = self._cycle
        if cycle is None:
            return
        cycle.accepted += 1
        self._count += 1
        if sent_at > cycle.began and not (self._is_over and sent_at > cycle.refused_at):
            cycle.fastest = max(cycle.fastest, speed)
        if self._is_over:
            cycle.passed += sent_at > cycle.refused_at
        elif self.is_free and (waited or self.is_opening) and self.pace < inf:
            self.pace = min(self.pace * _GROWTH, self.pace + _STEP)
            if self.pace > _OPEN:
                self.pace = inf

    def refused(self, sent_at: float, speed: float, pause: float, *, waited: bool) -> None:
        cycle = self._cycle
        if cycle is None:
            return
        if self._is_over:  # the pause went on
            cycle.pause = max(cycle.pause, sent_at + pause - cycle.refused_at)
            return
        cycle.refused_at, cycle.speed, cycle.pause, cycle.refused = sent_at, speed, pause, 1
        cycle.refused_waited = waited
        self._is_over = True

    def refused_too(self, sent_at: float) -> None:
        if self._cycle is not None and self._is_over:
            self._cycle.refused += 1

    # --

    def _end(self, cycle: Cycle, now: float) -> None:
        if not cycle.accepted:
            if self._lossy:
                self._lossy[-1].pause += cycle.seconds
            return
        if self.is_free:
            self._end_free(cycle, now)
        else:
            self._end_paced(cycle, now)

    def _end_free(self, cycle: Cycle, now: float) -> None:
        if cycle.is_stray:
            self._lossy.clear()
            self._before = None
            return
        self.is_opening = False
        if self._is_careful:
            self.pace = max(_FIRST, min(self.pace / 2, 2.0 * cycle.accepted / min(1.0, max(cycle.pause, 1e-3))))
        before, self._before = self._before, cycle
        if not cycle.is_lossy or not cycle.accepted:
            self._lossy.clear()
            return
        self._lossy = [*self._lossy, cycle][-_MOST:]
        lossy = self._lossy
        one, other = before or cycle, cycle
        parted = max(one.fastest, other.fastest), min(one.speed, other.speed)
        if before is not None and (before.is_lossy or 3 * before.accepted < before.permits) and not self._not_spacing and 0 < parted[0] <= parted[1] * 1.02 < inf:
            self._hold_at(0.98 * (min(parted) if parted[1] < 1.25 * parted[0] else sqrt(parted[0] * parted[1])), [one, other], now)
            self.is_strict, self._high = True, max(parted[1], parted[0] * 1.02)
            return
        if len(lossy) < self._needed:
            return
        many = self._needed
        while many < len(lossy) and sum(c.accepted for c in lossy[-many:]) < _HANDFUL:
            many += 1
        recent = lossy[-many:]
        if sum(c.accepted for c in recent) < _HANDFUL:
            return
        halves = [recent[:-1], recent[-1:]]
        if max(delivered(one) for one in halves) > _AGREE * min(delivered(one) for one in halves):
            if len(lossy) < 2 * self._needed:
                return
            halves = [recent]
        pace = _MARGIN * min(indicated(one) for one in halves)
        self._hold_at(max(pace, min(delivered(one) for one in halves), _SLOWEST), recent, now)

    def _hold_at(self, pace: float, cycles: list[Cycle], now: float) -> None:
        self._free_rate = max(min(pace, delivered(cycles)), 0.1)
        self._cycle_time = sum(c.seconds for c in cycles) / len(cycles)
        self._began_count = self._count
        self._free_count, self._counts = sum(c.accepted for c in cycles) / len(cycles), []
        self._hold = min(max(_HOLD, sum(c.seconds for c in cycles) / len(cycles)), _LONGEST_HOLD)
        self._factor, self._quiet, self._high, self._pause = 1.25, 1.0, inf, cycles[-1].pause
        self._low = self.pace = self._lower = pace
        self._lossy, self._began, self._is_proven, self._ever = [], now, False, False

    def _end_paced(self, cycle: Cycle, now: float) -> None:
        self._counts = [*self._counts, cycle.accepted][-_REFUSALS:]
        self._pause = cycle.pause
        held = min(cycle.sending, cycle.refused_at - self._since)
        if cycle.pause < (held + cycle.pause) * _SLIGHT:
            pass
        elif self.pace > self._low * 1.001:
            self._high = self.pace
            at, count = self._marks[0]
            if cycle.refused_at - at >= 2 * self._hold:
                self._low = max(self._low, min(_MARGIN * (self._count - count) / (cycle.refused_at - at), self.pace))
            if self._low * _CLOSE >= self._tried:
                self._quiet = min(self._quiet * 1.5, 4.0)
            self.pace, self._factor, self._has_failed, self._is_proven = self._low, 1.25, True, False
        else:
            self._lossy.append(cycle)
            if self.is_strict and len(self._lossy) > 1 and sum(c.accepted for c in self._lossy[-2:]) < _HANDFUL:
                self._let_go()
                return
            if len(self._lossy) > 1 or not self._is_proven:
                self._cut()
        is_pointless = len(self._counts) == _REFUSALS and sum(self._counts) < _REFUSALS * _RATIO * self._free_count
        if is_pointless or self._lost(now) > _PATIENCE * self._cycle_time:
            self._let_go()

    def _cut(self) -> None:
        self._high = self.pace
        recent = self._lossy[-2:]
        cut = 0.93 * self.pace
        if len(self._lossy) == 1 and not self.is_strict:
            cut = min(cut, sqrt(self._lower * self.pace))
        if not self.is_strict and len(self._lossy) > 1:
            cut = min(cut, _MARGIN * indicated(recent))
        self._low = self.pace = max(cut, delivered(recent), self._free_rate / 2, _SLOWEST)
        self._is_proven = False

    def _lost(self, now: float) -> float:
        """Seconds that freedom would have needed less."""
        seconds = now - self._began
        lost = seconds - (self._count - self._began_count) / self._free_rate
        if lost < 0:
            self._began, self._began_count = now, self._count
        return lost

    def _let_go(self) -> None:
        if self.is_strict:
            self._not_spacing = not self._ever
        else:
            self._not_spacing = False
            self._needed = min(2 * self._needed, _MOST)
            self._is_careful = False
        self._free_rate, self.is_strict = 0.0, False
        self._lossy, self._before = [], None
        self.pace = max(self.pace, _FIRST) if self._is_careful else inf

    def _hold_from(self, now: float) -> None:
        self._marks = [*self._marks[-1:], (now, self._count)]
        self._since, self._permits, self._waited = now, 0, 0

    def _raise_held(self, now: float) -> None:
        seconds = now - self._since
        if seconds < self._hold * (1.0 if self._high == inf else _SURE) or self._permits < 4:
            return
        if 2 * self._waited < self._permits or self._permits < 0.5 * self.pace * seconds:
            self._hold_from(now)
            return
        if self.pace >= self._low:
            if self.pace > self._low:
                self._lower = self._low
            self._low, self._is_proven, self._ever = self.pace, True, True
            self._lossy.clear()
            if self._lost(now) < 0:
                self._needed, self._is_careful = 2, True
        if self._low > self._high:
            self._high, self._factor = inf, max(self._factor, _AFRESH)
        if self._high == inf:
            self.pace *= self._factor
            self._factor = min(self._factor * 1.3, 3.0)
        else:
            step = sqrt(self._low * self._high)
            gain = step / self._low - 1.0
            if self._low * _CLOSE >= self._high:
                step, gain = max(1.05 * self._high, 1.1 * self._low), 0.1
            if self._has_failed and seconds < min(self._quiet * _EAGER * self._pause / gain, _QUIETEST):
                return
            self._tried, self.pace, self._has_failed = self._high, step, False
        if self.pace > _OPEN:
            self._free_rate, self.pace, self.is_strict = 0.0, inf, False
        self._hold_from(now)
