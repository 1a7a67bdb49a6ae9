"""The pace that an unknown limit bears, learned from what was accepted and what was refused. The clock is an argument.

- The first climb (the opening) grows until something refuses; without a refusal the pace is soon no limit at all.
- After a refusal comes a race: all sessions that were refused together climb in the same way, whatever they had, so
  that what they share is shared evenly. What it counts, beside what was counted before, tells the pace (`climbs`).
- Then the pace is held; while the bracket between what was borne and what was refused is wide, it moves up inside. A
  refusal of a pace that was borne means that others came or that the limit fell: another race.

After a long quiet time the pace is tried a little above; a refusal there returns to what was borne before.
"""

from math import inf, sqrt

from attrs import define, evolve, field

from .limit_evidence import WINDOW, Climb, Inquiry, Refusal, Verdict

__all__ = ["RateLearner"]

_FIRST = 8.5  # requests a second, at the start of the opening
_GROWTH = 1.4  # of the pace with each reply, at low speeds
_STEP = 7.0  # the most that a reply adds: the pace then doubles in a fixed time, a tenth of a second
_START = 100.0  # requests a second, at the start of a race
_STEEP = 1000.0  # requests a second, and second: how fast a race grows
_TENFOLD = 10.0  # no race starts at more than so many times what was counted before
_TOO_FEW = 8  # accepted in the opening: then spacing may well be what matters, and the race is run with care
_OPEN = 750.0  # a climb that gets here has met no limit
_SLOWEST = 0.5  # requests a second; slower than this the pauses do the pacing
_MARGIN = 0.97
_WORTHWHILE = 1.015  # a step up by less is not worth the risk of a refusal
_DWELL = 2.0  # seconds without a refusal after which a pace counts as borne
_QUIET = 20.0  # seconds at the top of the bracket before the pace is tried above it; longer after each refusal there
_LONGER = 1.5
_QUIETEST = 120.0
_PROBE = 1.05
_BOLDER = 1.6  # each step beyond that is not refused makes the next one larger
_BOLDEST = 3.0
_SHORT = 2.2  # seconds; a held pace refused sooner is only a little above a window's limit
_FALLS = (0.94, 0.85)
_RACE_TIME = 0.6  # seconds; who is refused as soon after settling stands it once, for others may still be racing
_FEW = 5  # accepted requests, below which a count says nothing of a limit


@define
class RateLearner:
    """The pace of a session whose limit is not known. Times are seconds of one monotonic clock."""

    pace: float = _FIRST
    """Requests a second; infinity while no limit is known."""
    is_strict: bool = False
    """Whether the spacing itself is what the server looks at, so that a late request must not bring the next closer."""

    _climbing: bool = True
    _inquiry: Inquiry = field(factory=Inquiry)
    _start: float = _START  # of the race
    _top: float = inf  # of a race with care: up to this pace
    _pass_after: float = 0.0  # which it passes if more than so many were accepted
    _borne: float = 0.0  # the bracket: a pace that was borne, or is believed to be
    _proven: bool = False
    _refused: float = inf  # and one that was refused
    _now: Climb | None = None
    _pending: Refusal | None = None  # decided upon when the pause is over and all replies are in
    _held_since: float = 0.0
    _held_from: int = 0
    _eager: bool = True  # whether to move up inside the bracket as soon as a pace counts as borne
    _beyond: bool = False  # the bracket is what is tried
    _quiet: float = _QUIET
    _probe: float = _PROBE
    _falls: int = 0
    _is_sure: bool = False  # that the spacing is what matters
    _in_company: bool = False  # others use the same limit
    _stood: bool = False  # while others raced
    _in_vain: bool = False  # nothing has gone through since the pace was taken up from the start
    _paused: float = inf  # the length of the pause before, if enough had gone through to speak of a window

    def resumed(self, now: float) -> None:
        """Note that requests are sent again: for the first time, or after a 429."""
        if self._pending is not None:
            self._decide(self._pending, now)
            self._pending = None
            self._now = None
        if self._now is None:
            self._now = Climb(now)
            self._hold_from(now)

    def idle(self, now: float) -> None:
        """Note that nothing was sent for a while before `now`: what follows is measured by itself."""
        if self._pending is None and self._now is not None:
            self._now = Climb(now)
            self._hold_from(now)

    def accepted(self, sent_at: float, speed: float, now: float, *, is_paced: bool) -> None:
        """Note an answer that was no 429, to a request that left at `sent_at`, after the one before at `speed`.

        `is_paced`: it had waited for the pace, and for nothing else.
        """
        climb = self._pending.climb if self._pending is not None else self._now
        if climb is None or sent_at < climb.began:
            return
        if self._pending is not None and sent_at > self._pending.sent_at:
            self._pending.followed_by(sent_at, accepted=True)
            return
        climb.accepted += 1
        climb.paced += is_paced
        climb.closest = max(climb.closest, speed)
        if self._pending is not None or not is_paced:
            # answers to what left before the refusal only add to the evidence; an unused pace proves nothing
            return
        if self._climbing:
            self._climb(climb, now)
        elif now - self._held_since >= _DWELL and climb.accepted - self._held_from >= 4:
            self._bear(now)

    def refused(self, sent_at: float, speed: float, pause: float) -> float:
        """Note the first 429 of a burst: of the request that left at `sent_at`, to be followed by a pause.

        Returns the length of the pause, in seconds: longer where a short one was too short for a window to pass.
        """
        climb = self._now
        if climb is None:
            return pause
        seconds = max(sent_at - climb.began, 1e-3)
        if self._paused < WINDOW and seconds + self._paused < WINDOW and climb.accepted < self.pace * WINDOW / 2:
            self._now, self._paused = None, max(pause, WINDOW)
            return self._paused
        self._pending = Refusal(climb, sent_at, seconds, speed, pause)
        return pause

    def refused_too(self, sent_at: float) -> None:
        """Note another 429 of the same burst."""
        if self._pending is not None:
            self._pending.followed_by(sent_at, accepted=False)

    def resumed_in_vain(self) -> None:
        """Note that the single request that felt its way after a pause was refused."""
        self._now = None

    # -- between refusals

    def _climb(self, climb: Climb, now: float) -> None:
        if self.pace == inf:
            return
        if self._inquiry.is_careful and climb.closest >= self._top * 0.99 and climb.accepted > self._pass_after:
            # more went through than before the first refusal, so it was not their count
            last = self._inquiry.last
            refused = max(0.0 if last is None else last.speed, self._top * 1.02)
            self._hold(Verdict(self._top, refused, is_strict=True), now)
            return
        if self._inquiry.races and not self._inquiry.is_careful:
            self.pace = max(self.pace, sqrt(self._start**2 + 2 * _STEEP * climb.accepted))
        else:
            self.pace = min(self.pace * _GROWTH, self.pace + _STEP, self._top)
        if self.pace > _OPEN:
            self.pace = inf

    def _bear(self, now: float) -> None:
        if self.pace >= self._borne:
            self._borne, self._proven, self._falls, self._stood = self.pace, True, 0, False
        if self._borne > self._refused:
            # what was refused once is borne now: the limit is another
            self._refused = inf
        if self._refused == inf:
            self._beyond = True
            self._probe = min(self._probe * _BOLDER, _BOLDEST)
            self._move(self._borne * self._probe, now)
            return
        is_quiet = now - self._held_since >= self._quiet
        middle = sqrt(self._borne * self._refused) * 0.98
        if middle > self._borne * _WORTHWHILE and (self._eager or is_quiet):
            self._move(min(middle, self._borne * 1.25), now)
        elif is_quiet:
            self._beyond = True
            self._move(max(self._borne, self._refused if self._eager else 0.0) * self._probe, now)

    def _hold(self, verdict: Verdict, now: float, *, is_sure: bool = False) -> None:
        self._borne, self._refused, self.is_strict = max(verdict.borne, _SLOWEST), verdict.refused, verdict.is_strict
        self._proven, self._is_sure = False, is_sure
        self._return(now)

    def _return(self, now: float) -> None:
        """Hold the pace that is borne, or believed to be."""
        self._climbing, self._eager, self._beyond = False, True, False
        self._inquiry = Inquiry(is_bucket=self._inquiry.is_bucket)
        self._move(self._borne, now)

    def _move(self, pace: float, now: float) -> None:
        self.pace = inf if pace > _OPEN else max(pace, _SLOWEST)
        self._hold_from(now)

    def _hold_from(self, now: float) -> None:
        self._held_since = now
        self._held_from = 0 if self._now is None else self._now.accepted

    # -- after a refusal

    def _decide(self, refusal: Refusal, now: float) -> None:
        climb, seconds = refusal.climb, refusal.seconds
        count = climb.accepted
        self._in_vain = self._in_vain and not count
        self._now = None
        self._paused = refusal.pause if count > 2 else inf
        self._probe = _PROBE
        is_long = refusal.pause >= 2 * WINDOW
        brief = seconds < WINDOW and not is_long
        is_light = refusal.rate < _FIRST and climb.paced < count / 2  # less was asked for than was permitted
        if (is_light and not brief) or (is_long and count < _FEW):
            self._learn_nothing(refusal, now)
        elif is_long and not self._proven:
            # so long a pause tells the length of the window
            self._fall_to(count / (seconds + refusal.pause) * _MARGIN, now)
        elif brief and count <= 1:
            self._end_at_once(refusal, now)
        elif self._climbing:
            self._end_climb(refusal, now)
        else:
            self._end_hold(refusal, now)

    def _end_at_once(self, refusal: Refusal, now: float) -> None:
        verdict = self._inquiry.verdict(refusal) if self._climbing and refusal.climb.accepted else None
        if verdict is not None and verdict.is_strict:
            self._hold(verdict, now, is_sure=True)
            return
        if not (self._climbing or refusal.climb.accepted) and self.is_strict and self._falls < len(_FALLS):
            # the pause was shorter than the spacing
            self._falls += 1
            self._return(now)
            return
        was_strict = self.is_strict
        self._spread(refusal)
        if not was_strict:
            self._begin_anew(refusal)

    def _end_climb(self, refusal: Refusal, now: float) -> None:
        climb = refusal.climb
        few_and_slow = self.is_strict and climb.accepted < _TOO_FEW
        if climb.closest and (few_and_slow or self._inquiry.is_of_spacing(refusal)):
            borne = min(climb.closest, refusal.speed)
            self._hold(Verdict(borne, max(refusal.speed, borne * 1.02), is_strict=True), now, is_sure=True)
        elif refusal.seconds < _DWELL or self.is_strict:
            self._judge(refusal, now)
        else:
            self._fall(refusal, now)

    def _end_hold(self, refusal: Refusal, now: float) -> None:
        was_above = self.pace > self._borne
        if self._proven and was_above and (self._beyond or not self._in_company):
            self._refused, self._quiet = self.pace, min(self._quiet * _LONGER, _QUIETEST)
            self._return(now)
            self._eager = False
        elif self.is_strict and ((self._is_sure and self._proven) or refusal.is_of_spacing):
            self._fall(refusal, now)
        elif refusal.seconds < _RACE_TIME and not (self._proven or self._stood or self.is_strict):
            self._stood = True
            self._return(now)
        else:
            self._stood, self._in_company = False, True
            borne = min(self._borne, self.pace)
            self._inquiry.hold_refused(refusal, borne, is_borne=not was_above, is_proven=self._proven)
            self._race(refusal)

    def _fall(self, refusal: Refusal, now: float) -> None:
        self._falls += 1
        floor = refusal.rate_with_refill * _MARGIN
        if refusal.seconds < _SHORT and self._falls <= len(_FALLS) and self.pace < inf:
            floor = max(floor, self.pace * _FALLS[self._falls - 1])
        self._fall_to(floor, now)

    def _fall_to(self, pace: float, now: float) -> None:
        self._hold(Verdict(pace, min(self.pace, _OPEN), is_strict=self.is_strict), now, is_sure=self._is_sure)

    def _learn_nothing(self, refusal: Refusal, now: float) -> None:
        """Too little was sent to tell a limit by: keep what is proven, a few times; else begin anew with care."""
        if self._proven and self._falls < len(_FALLS):
            self._falls += 1
            self._return(now)
            return
        self._falls = 0
        self._spread(refusal)
        self._begin_anew(refusal)

    def _begin_anew(self, refusal: Refusal) -> None:
        if not refusal.climb.accepted and not self._in_vain:
            self._in_vain = True
            self.pace = _FIRST  # as at the start: it may have been meant for others

    def _spread(self, refusal: Refusal) -> None:
        """Next to nothing went through, right after a pause: begin far below. Two that were too close tell spacing."""
        # after idle time the spacing says nothing
        self.is_strict = refusal.climb.accepted > 0 and refusal.seconds < WINDOW
        speed = refusal.speed if self.is_strict else inf
        self._climbing, self._inquiry = True, Inquiry()
        self._borne, self._proven, self._top = 0.0, False, inf
        self.pace = max(min(self.pace, speed or inf, 4 * _FIRST) / 4, _SLOWEST)

    def _judge(self, refusal: Refusal, now: float) -> None:
        verdict = self._inquiry.verdict(refusal)
        if verdict is None:
            is_opening = self._inquiry.last is None and not self._inquiry.counts
            self._inquiry.climb_refused(refusal)
            self._race(refusal, is_careful=is_opening and refusal.climb.accepted < _TOO_FEW)
        elif verdict.is_strict:
            self._hold(verdict, now, is_sure=True)
        else:
            self._hold(evolve(verdict, borne=verdict.borne * _MARGIN), now)

    def _race(self, refusal: Refusal, *, is_careful: bool = False) -> None:
        """Climb as all do who were refused now. `is_careful`: up to the spacing that was borne, for it may be that."""
        climb = refusal.climb
        self._inquiry.races += 1
        self._inquiry.is_careful = is_careful
        self._climbing, self._proven, self.is_strict = True, False, False
        self._start = self.pace = min(_START, max(_TENFOLD * climb.accepted, _FIRST))
        self._top = inf
        if is_careful:
            self._top = max(climb.closest, _SLOWEST)
            self._pass_after = 1.3 * climb.accepted + 2
            self.pace = min(3.0 * climb.accepted, self._top)
