"""The pace that an unknown limit bears, learned from what was accepted and what was refused. The clock is an argument.

Servers count in windows, in token buckets, or by the spacing of requests (a leaky bucket); a 429 does not say which.
A climb that ends in a refusal measures how many requests went through, in what time, and how close together:

- the first climb (the opening) grows until something refuses; without a refusal the pace is soon no limit at all;
- a second one starts at a fraction of the first's speed. If it passes the first one's count, spacing is what matters,
  and the closest spacing that went through is kept. If it is refused again, two counts tell a window (the same count
  in another time) from a bucket (the same share of the time, the refill included);
- then the pace is held; while the bracket between what was borne and what was refused is wide, it moves up inside.

After a long quiet time the pace is tried a little above; a refusal there returns to what was borne before.
"""

from math import inf, log, sqrt

from attrs import define

__all__ = ["Learner"]

_FIRST = 8.5  # requests a second, at the start of the opening
_GROWTH = 1.4  # of the pace with each reply, at low speeds
_STEP = 7.0  # the most that a reply adds: the pace then doubles in a fixed time, a tenth of a second
_OPEN = 750.0  # a climb that gets here has met no limit
_SLOWEST = 0.5  # requests a second; slower than this the pauses do the pacing
_MARGIN = 0.97
_WORTHWHILE = 1.015  # a step up by less is not worth the risk of a refusal
_WINDOW = 1.0  # seconds: the shortest time in which limits are counted
_DWELL = 2.0  # seconds without a refusal after which a pace counts as borne
_QUIET = 20.0  # seconds at the top of the bracket before the pace is tried above it; longer after each refusal there
_LONGER = 1.5
_QUIETEST = 120.0
_PROBE = 1.05
_BOLDER = 1.6  # each step beyond that is not refused makes the next one larger
_BOLDEST = 3.0
_SHORT = 2.2  # seconds; a held pace refused sooner is only a little above a window's limit
_FALLS = (0.94, 0.85)
_FEW = 5  # accepted requests, below which a count says nothing of a limit


@define
class _Climb:
    """What was accepted since the pace was taken up, at first or after a pause. Speeds in requests a second.

    `paced`: how many of the accepted had waited for the pace.
    """

    began: float
    accepted: int = 0
    paced: int = 0
    closest: float = 0.0


@define
class _Refusal:
    """The first refusal of a climb. `seconds` after its beginning, at `speed`; the pause that followed.

    `balance`: of those that had left after it, how many more were accepted than refused; the next left at `next_at`.
    """

    climb: _Climb
    sent_at: float
    seconds: float
    speed: float
    pause: float
    next_at: float = inf
    next_accepted: bool = False
    balance: int = 0

    @property
    def rate(self) -> float:
        """How many requests a second went through in its climb, up to here."""
        return self.climb.accepted / self.seconds

    def followed_by(self, sent_at: float, *, accepted: bool) -> None:
        """Note what became of a request that had left later."""
        self.balance += 1 if accepted else -1
        if self.sent_at < sent_at < self.next_at:
            self.next_at, self.next_accepted = sent_at, accepted

    @property
    def is_of_spacing(self) -> bool:
        """Whether the next one passed, and not by chance: a full window refuses all, an empty bucket most of them."""
        return self.next_accepted and self.balance >= 0


@define
class Learner:
    """The pace of a session whose limit is not known. Times are seconds of one monotonic clock."""

    pace: float = _FIRST
    """Requests a second; infinity while no limit is known."""
    is_strict: bool = False
    """Whether the spacing itself is what the server looks at, so that a late request must not bring the next closer."""

    _climbing: bool = True
    _keep_until: float = 0.0  # the climb stands still up to this count of accepted requests
    _top: float = inf  # where the climb ends
    _borne: float = 0.0  # the bracket: a pace that was borne, or is believed to be
    _proven: bool = False
    _refused: float = inf  # and one that was refused
    _now: _Climb | None = None
    _first: _Refusal | None = None  # how the climb before ended, if that is not understood yet
    _pending: _Refusal | None = None  # decided upon when the pause is over and all replies are in
    _held_since: float = 0.0
    _held_from: int = 0
    _eager: bool = True  # whether to move up inside the bracket as soon as a pace counts as borne
    _quiet: float = _QUIET
    _probe: float = _PROBE
    _falls: int = 0
    _in_vain: bool = False  # nothing has gone through since the pace was taken up from the start
    _paused: float = inf  # the length of the pause before, if enough had gone through to speak of a window

    def sending(self, now: float) -> None:
        """Note that a request leaves: after a pause, that the pace is taken up again."""
        if self._pending is not None:
            self._decide(self._pending, now)
            self._pending = None
            self._now = None
        if self._now is None:
            self._now = _Climb(now)
            self._hold_from(now)

    def idle(self, now: float) -> None:
        """Note that nothing was sent for a while before `now`: what follows is measured by itself."""
        if self._pending is None and self._now is not None:
            self._now = _Climb(now)
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
        if self._paused < _WINDOW and seconds + self._paused < _WINDOW and climb.accepted < self.pace * _WINDOW / 2:
            self._now, self._paused = None, max(pause, _WINDOW)
            return self._paused
        self._pending = _Refusal(climb, sent_at, seconds, speed, pause)
        return pause

    def refused_too(self, sent_at: float) -> None:
        """Note another 429 of the same burst."""
        if self._pending is not None:
            self._pending.followed_by(sent_at, accepted=False)

    def resumed_in_vain(self) -> None:
        """Note that the single request that felt its way after a pause was refused."""
        self._now = None

    # -- between refusals

    def _climb(self, climb: _Climb, now: float) -> None:
        if climb.accepted <= self._keep_until or self.pace == inf:
            return
        self.pace = min(self.pace * _GROWTH, self.pace + _STEP, self._top)
        if climb.closest >= self._top * 0.99:
            # more went through than before the first refusal, so it was not their count
            speed = self._first.speed if self._first is not None else 0.0
            self._borne, self._refused = self._top, max(speed, self._top * 1.02)
            self._climbing, self.is_strict = False, True
            self._move(self._top, now)
        elif self.pace > _OPEN:
            self.pace = inf

    def _bear(self, now: float) -> None:
        if self.pace >= self._borne:
            self._borne, self._proven, self._falls, self._first = self.pace, True, 0, None
        if self._borne > self._refused:
            # what was refused once is borne now: the limit is another
            self._refused = inf
        if self._refused == inf:
            self._probe = min(self._probe * _BOLDER, _BOLDEST)
            self._move(self._borne * self._probe, now)
            return
        is_quiet = now - self._held_since >= self._quiet
        middle = sqrt(self._borne * self._refused) * 0.98
        if middle > self._borne * _WORTHWHILE and (self._eager or is_quiet):
            self._move(min(middle, self._borne * 1.25), now)
        elif is_quiet:
            self._move(max(self._borne, self._refused if self._eager else 0.0) * self._probe, now)

    def _hold(self, pace: float, now: float, *, strict: bool | None = None) -> None:
        self._climbing, self._first, self._eager = False, None, True
        if strict is not None:
            self.is_strict = strict
        self._move(pace, now)

    def _move(self, pace: float, now: float) -> None:
        self.pace = inf if pace > _OPEN else max(pace, _SLOWEST)
        self._hold_from(now)

    def _hold_from(self, now: float) -> None:
        self._held_since = now
        self._held_from = 0 if self._now is None else self._now.accepted

    # -- after a refusal

    def _decide(self, refusal: _Refusal, now: float) -> None:
        climb, seconds = refusal.climb, refusal.seconds
        count = climb.accepted
        self._in_vain = self._in_vain and not count
        self._now = None
        self._paused = refusal.pause if count > 2 else inf
        self._probe = _PROBE
        is_long = refusal.pause >= 2 * _WINDOW
        brief = seconds < _WINDOW and not is_long
        is_light = refusal.rate < _FIRST and climb.paced < count / 2  # less was asked for than was permitted
        if (is_light and not brief) or (is_long and count < _FEW):
            self._learn_nothing(refusal, now)
        elif is_long and not self._proven:
            # so long a pause tells the length of the window
            self._fall_to(count / (seconds + refusal.pause) * _MARGIN, now)
        elif brief and count <= 1:
            self._spread(refusal)
        elif self._climbing and climb.closest and (self.is_strict or refusal.is_of_spacing):
            self._borne, self._proven = min(climb.closest, refusal.speed), False
            self._refused = max(refusal.speed, self._borne * 1.02)
            self._hold(self._borne, now, strict=True)
        elif (self._climbing and seconds < _DWELL) or brief:
            if self._first is None:
                self._climb_again(refusal)
            else:
                self._compare(self._first, refusal, now)
        elif self._proven and self.pace > self._borne:
            self._refused, self._quiet = self.pace, min(self._quiet * _LONGER, _QUIETEST)
            self._hold(self._borne, now)
            self._eager = False
        else:
            self._falls += 1
            floor = count / (seconds + max(refusal.pause, _WINDOW)) * _MARGIN
            if seconds < _SHORT and self._falls <= len(_FALLS) and self.pace < inf:
                floor = max(floor, self.pace * _FALLS[self._falls - 1])
            self._fall_to(floor, now)

    def _fall_to(self, pace: float, now: float) -> None:
        self._refused = min(self.pace, _OPEN)
        self._borne, self._proven = max(pace, _SLOWEST), False
        self._hold(self._borne, now)

    def _learn_nothing(self, refusal: _Refusal, now: float) -> None:
        """Too little was sent to tell a limit by: keep what is proven, a few times; else begin anew with care."""
        if self._proven and self._falls < len(_FALLS):
            self._falls += 1
            self._hold(self._borne, now)
            return
        self._falls = 0
        self._spread(refusal)
        if not refusal.climb.accepted and not self._in_vain:
            self._in_vain = True
            self.pace = _FIRST  # as at the start: it may have been meant for others

    def _spread(self, refusal: _Refusal) -> None:
        """Next to nothing went through, right after a pause: begin far below. Two that were too close tell spacing."""
        # after idle time the spacing says nothing
        self.is_strict = refusal.climb.accepted > 0 and refusal.seconds < _WINDOW
        speed = refusal.speed if self.is_strict else inf
        self._climbing, self._first = True, None
        self._borne, self._proven, self._keep_until, self._top = 0.0, False, 0, inf
        self.pace = max(min(self.pace, speed or inf, 4 * _FIRST) / 4, _SLOWEST)

    def _climb_again(self, refusal: _Refusal) -> None:
        climb = refusal.climb
        self._first = refusal
        self._climbing, self._proven = True, False
        self._top = max(climb.closest, _SLOWEST)
        self._keep_until = 1.3 * climb.accepted + 2
        self.pace = min(3.0 * climb.accepted, self._top)

    def _compare(self, first: _Refusal, refusal: _Refusal, now: float) -> None:
        """Two climbs were refused: the same count speaks for a window, the same count and refill for a bucket."""
        count, before = refusal.climb.accepted, first.climb.accepted
        rate = count / (refusal.seconds + _WINDOW)
        rate_before = before / (first.seconds + _WINDOW)
        fewer = min(count, before) / _WINDOW
        is_bucket = abs(log(count / before)) > abs(log(rate / rate_before)) + 0.25
        self._borne = (rate if is_bucket else fewer) * _MARGIN
        self._refused, self._proven = fewer, False
        self._hold(self._borne, now, strict=False)
