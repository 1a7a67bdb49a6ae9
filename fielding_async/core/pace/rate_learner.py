"""The rate learner: finds the pace that an unknown limit allows, from accepted and refused requests.

What it assumes, its rules (R1 to R13) and its doubts are at the top of `limit_evidence`. The clock is an argument.
"""

from math import inf, sqrt

from attrs import define, evolve, field

from .limit_evidence import WINDOW, Climb, Evidence, Refusal, Verdict

__all__ = ["RateLearner"]

_FIRST = 8.5  # requests a second, at the start of the opening (R2)
_GROWTH = 1.4  # times the pace with each reply, at low speeds
_STEP = 7.0  # the most that a reply adds: the pace then doubles in a fixed time, a tenth of a second
_START = 100.0  # requests a second, the highest start of a shared climb (R6)
_STEEP = 1000.0  # requests a second, per second: how fast a shared climb grows
_TENFOLD = 10.0  # times what was counted before: the start of a shared climb
_TOO_FEW = 8  # accepted in a first climb: with fewer, the next climb is a careful one (R10)
_OPEN = 750.0  # requests a second; a climb that gets here has met no limit
_SLOWEST = 0.5  # requests a second; slower than this the pauses do the pacing
_MARGIN = 0.97  # times a count or a refill (R7, R8)
_WORTHWHILE = 1.015  # a step up by less is not worth the risk of a refusal
_DWELL = 2.0  # seconds without a refusal after which a pace is sustained (R11)
_QUIET = 20.0  # seconds without a refusal before a pace above the bracket is tried; more after each refusal there
_LONGER = 1.5  # times
_QUIETEST = 120.0  # seconds
_PROBE_STEP = 1.05  # times the pace: the first step above the bracket
_BOLDER = 1.6  # times: each step above that is not refused makes the next one larger
_BOLDEST = 3.0
_SHORT = 2.2  # seconds; a held pace refused sooner is only a little above the limit of a window
_FALLS = (0.94, 0.85)  # times the refused pace (R13)
_SETTLING_TIME = 0.6  # seconds; a pace refused sooner is tried once more, as other sessions may still be climbing (R12)
_FEW = 5  # accepted requests; a lower count says nothing about a limit


@define
class RateLearner:
    """The pace of a session whose limit is not known. Times are seconds of one monotonic clock."""

    pace: float = _FIRST
    """Requests a second; infinity while no limit is known."""
    is_strict: bool = False
    """Whether the limit is one on spacing, so that a late request must not bring the next one closer (R9)."""

    _climbing: bool = True
    _evidence: Evidence = field(factory=Evidence)
    _start: float = _START  # of the shared climb
    _top: float = inf  # of a careful climb
    _strict_above: float = 0.0  # so many accepted, a careful climb confirms spacing
    _sustained: float = 0.0  # the bracket: the highest pace that was sustained, or is believed to be
    _proven: bool = False  # that it was sustained
    _refused: float = inf  # the bracket: the lowest pace that was refused
    _current: Climb | None = None
    _pending: Refusal | None = None  # evaluated when its pause is over (R1)
    _held_since: float = 0.0
    _held_from: int = 0  # the count when the pace was taken up
    _eager: bool = True  # to move up inside the bracket as soon as a pace is sustained, without a quiet time
    _is_probing: bool = False  # the pace is above the bracket
    _quiet_time: float = _QUIET
    _probe_step: float = _PROBE_STEP
    _falls: int = 0  # refusals since a pace was sustained that only lowered or kept it
    _is_sure: bool = False  # that the limit is one on spacing
    _is_shared: bool = False  # other sessions use the same limit
    _refusal_ignored: bool = False  # one, right after the pace was taken up (R12)
    _got_nothing: bool = False  # nothing was accepted since the opening started again (R5)
    _paused: float = inf  # the seconds of the last pause, if more than two were accepted before it

    def resumed(self, now: float) -> None:
        """Note that requests are sent again: for the first time, or after a 429."""
        if self._pending is not None:
            self._decide(self._pending, now)
            self._pending = None
            self._current = None
        if self._current is None:
            self._current = Climb(now)
            self._hold_from(now)

    def idle(self, now: float) -> None:
        """Note that nothing was sent for a while before `now`: what follows is measured by itself (R1)."""
        if self._pending is None and self._current is not None:
            self._current = Climb(now)
            self._hold_from(now)

    def accepted(self, sent_at: float, speed: float, now: float, *, is_paced: bool) -> None:
        """Note an answer that is no 429.

        `sent_at`: when the request was permitted. `speed`: requests a second, from its spacing to the one before.
        `is_paced`: it had waited for the pace, and for nothing else.
        """
        climb = self._pending.climb if self._pending is not None else self._current
        if climb is None or sent_at < climb.started:
            return
        if self._pending is not None and sent_at > self._pending.sent_at:
            self._pending.followed_by(sent_at, accepted=True)
            return
        climb.accepted += 1
        climb.paced += is_paced
        climb.fastest = max(climb.fastest, speed)
        if self._pending is not None or not is_paced:
            # requests sent before the refusal only add to the evidence, and a pace that is not used proves nothing
            return
        if self._climbing:
            self._raise_pace(climb, now)
        elif now - self._held_since >= _DWELL and climb.accepted - self._held_from >= 4:
            self._note_sustained(now)

    def refused(self, sent_at: float, speed: float, pause: float) -> float:
        """Note the first 429 of a burst. `sent_at` and `speed`: as for `accepted`. `pause`: the seconds that follow.

        Returns the length of the pause, in seconds: longer than `pause` if no window can have passed (R1).
        """
        climb = self._current
        if climb is None:
            return pause
        seconds = max(sent_at - climb.started, 1e-3)
        if self._paused < WINDOW and seconds + self._paused < WINDOW and climb.accepted < self.pace * WINDOW / 2:
            self._current, self._paused = None, max(pause, WINDOW)
            return self._paused
        self._pending = Refusal(climb, sent_at, seconds, speed, pause)
        return pause

    def refused_too(self, sent_at: float) -> None:
        """Note another 429 of the same burst."""
        if self._pending is not None:
            self._pending.followed_by(sent_at, accepted=False)

    def probe_refused(self) -> None:
        """Note that the single request after a pause was refused: nothing is concluded from it."""
        self._current = None

    # -- between refusals

    def _raise_pace(self, climb: Climb, now: float) -> None:
        if self.pace == inf:
            return
        if self._evidence.is_careful and climb.fastest >= self._top * 0.99 and climb.accepted > self._strict_above:
            # more were accepted than before the first refusal, so their count was not the limit
            last = self._evidence.last
            refused = max(0.0 if last is None else last.speed, self._top * 1.02)
            self._hold(Verdict(self._top, refused, is_strict=True), now)
            return
        if self._evidence.shared_climbs and not self._evidence.is_careful:
            self.pace = max(self.pace, sqrt(self._start**2 + 2 * _STEEP * climb.accepted))
        else:
            self.pace = min(self.pace * _GROWTH, self.pace + _STEP, self._top)
        if self.pace > _OPEN:
            self.pace = inf

    def _note_sustained(self, now: float) -> None:
        if self.pace >= self._sustained:
            self._sustained, self._proven, self._falls, self._refusal_ignored = self.pace, True, 0, False
        if self._sustained > self._refused:
            # a refused pace is sustained now: the limit has changed
            self._refused = inf
        if self._refused == inf:
            self._is_probing = True
            self._probe_step = min(self._probe_step * _BOLDER, _BOLDEST)
            self._set_pace(self._sustained * self._probe_step, now)
            return
        is_quiet = now - self._held_since >= self._quiet_time
        middle = sqrt(self._sustained * self._refused) * 0.98
        if middle > self._sustained * _WORTHWHILE and (self._eager or is_quiet):
            self._set_pace(min(middle, self._sustained * 1.25), now)
        elif is_quiet:
            self._is_probing = True
            self._set_pace(max(self._sustained, self._refused if self._eager else 0.0) * self._probe_step, now)

    def _hold(self, verdict: Verdict, now: float, *, is_sure: bool = False) -> None:
        self._sustained, self._refused = max(verdict.sustained, _SLOWEST), verdict.refused
        self.is_strict, self._proven, self._is_sure = verdict.is_strict, False, is_sure
        self._hold_sustained(now)

    def _hold_sustained(self, now: float) -> None:
        """Hold the highest pace that is sustained, or believed to be."""
        self._climbing, self._eager, self._is_probing = False, True, False
        self._evidence = Evidence(is_bucket=self._evidence.is_bucket)
        self._set_pace(self._sustained, now)

    def _set_pace(self, pace: float, now: float) -> None:
        self.pace = inf if pace > _OPEN else max(pace, _SLOWEST)
        self._hold_from(now)

    def _hold_from(self, now: float) -> None:
        self._held_since = now
        self._held_from = 0 if self._current is None else self._current.accepted

    # -- after a refusal

    def _decide(self, refusal: Refusal, now: float) -> None:
        climb, seconds = refusal.climb, refusal.seconds
        count = climb.accepted
        self._got_nothing = self._got_nothing and not count
        self._current = None
        self._paused = refusal.pause if count > 2 else inf
        self._probe_step = _PROBE_STEP
        is_long = refusal.pause >= 2 * WINDOW
        brief = seconds < WINDOW and not is_long
        is_light = refusal.rate < _FIRST and climb.paced < count / 2  # fewer were sent than permitted (R3)
        if (is_light and not brief) or (is_long and count < _FEW):
            self._learn_nothing(refusal, now)
        elif is_long and not self._proven:
            # the pause gives the length of the window (R4)
            self._fall_to(count / (seconds + refusal.pause) * _MARGIN, now)
        elif brief and count <= 1:
            self._end_at_once(refusal, now)
        elif self._climbing:
            self._end_climb(refusal, now)
        else:
            self._end_hold(refusal, now)

    def _end_at_once(self, refusal: Refusal, now: float) -> None:
        verdict = self._evidence.verdict(refusal) if self._climbing and refusal.climb.accepted else None
        if verdict is not None and verdict.is_strict:
            self._hold(verdict, now, is_sure=True)
            return
        if not (self._climbing or refusal.climb.accepted) and self.is_strict and self._falls < len(_FALLS):
            # the pause was shorter than the spacing
            self._falls += 1
            self._hold_sustained(now)
            return
        was_strict = self.is_strict
        self._start_far_below(refusal)
        if not was_strict:
            self._restart_opening(refusal)

    def _end_climb(self, refusal: Refusal, now: float) -> None:
        climb = refusal.climb
        few_and_slow = self.is_strict and climb.accepted < _TOO_FEW
        if climb.fastest and (few_and_slow or self._evidence.points_to_spacing(refusal)):
            sustained = min(climb.fastest, refusal.speed)
            self._hold(Verdict(sustained, max(refusal.speed, sustained * 1.02), is_strict=True), now, is_sure=True)
        elif refusal.seconds < _DWELL or self.is_strict:
            self._conclude(refusal, now)
        else:
            self._fall(refusal, now)

    def _end_hold(self, refusal: Refusal, now: float) -> None:
        was_above = self.pace > self._sustained
        if self._proven and was_above and (self._is_probing or not self._is_shared):
            self._refused, self._quiet_time = self.pace, min(self._quiet_time * _LONGER, _QUIETEST)
            self._hold_sustained(now)
            self._eager = False
        elif self.is_strict and ((self._is_sure and self._proven) or refusal.points_to_spacing):
            self._fall(refusal, now)
        elif refusal.seconds < _SETTLING_TIME and not (self._proven or self._refusal_ignored or self.is_strict):
            self._refusal_ignored = True
            self._hold_sustained(now)
        else:
            self._refusal_ignored, self._is_shared = False, True
            sustained = min(self._sustained, self.pace)
            self._evidence.hold_refused(refusal, sustained, is_sustained=not was_above, is_proven=self._proven)
            self._start_shared_climb(refusal)

    def _fall(self, refusal: Refusal, now: float) -> None:
        self._falls += 1
        floor = refusal.rate_with_refill * _MARGIN
        if refusal.seconds < _SHORT and self._falls <= len(_FALLS) and self.pace < inf:
            floor = max(floor, self.pace * _FALLS[self._falls - 1])
        self._fall_to(floor, now)

    def _fall_to(self, pace: float, now: float) -> None:
        self._hold(Verdict(pace, min(self.pace, _OPEN), is_strict=self.is_strict), now, is_sure=self._is_sure)

    def _learn_nothing(self, refusal: Refusal, now: float) -> None:
        """Go on after a refusal under light demand (R3)."""
        if self._proven and self._falls < len(_FALLS):
            self._falls += 1
            self._hold_sustained(now)
            return
        self._falls = 0
        self._start_far_below(refusal)
        self._restart_opening(refusal)

    def _restart_opening(self, refusal: Refusal) -> None:
        if not refusal.climb.accepted and not self._got_nothing:
            self._got_nothing = True
            self.pace = _FIRST  # the refusal may have been meant for others (R5)

    def _start_far_below(self, refusal: Refusal) -> None:
        """Climb again from far below, as next to nothing was accepted (R5)."""
        # two requests that were too close are evidence of spacing, but not after idle time
        self.is_strict = refusal.climb.accepted > 0 and refusal.seconds < WINDOW
        speed = refusal.speed if self.is_strict else inf
        self._climbing, self._evidence = True, Evidence()
        self._sustained, self._proven, self._top = 0.0, False, inf
        self.pace = max(min(self.pace, speed or inf, 4 * _FIRST) / 4, _SLOWEST)

    def _conclude(self, refusal: Refusal, now: float) -> None:
        verdict = self._evidence.verdict(refusal)
        if verdict is None:
            is_opening = self._evidence.last is None and not self._evidence.counts
            self._evidence.climb_refused(refusal)
            self._start_shared_climb(refusal, is_careful=is_opening and refusal.climb.accepted < _TOO_FEW)
        elif verdict.is_strict:
            self._hold(verdict, now, is_sure=True)
        else:
            self._hold(evolve(verdict, sustained=verdict.sustained * _MARGIN), now)

    def _start_shared_climb(self, refusal: Refusal, *, is_careful: bool = False) -> None:
        """Climb as all sessions do that were refused together (R6). `is_careful`: no faster than was accepted (R10)."""
        climb = refusal.climb
        self._evidence.shared_climbs += 1
        self._evidence.is_careful = is_careful
        self._climbing, self._proven, self.is_strict = True, False, False
        self._start = self.pace = min(_START, max(_TENFOLD * climb.accepted, _FIRST))
        self._top = inf
        if is_careful:
            self._top = max(climb.fastest, _SLOWEST)
            self._strict_above = 1.3 * climb.accepted + 2
            self.pace = max(min(3.0 * climb.accepted, self._top), _SLOWEST)
