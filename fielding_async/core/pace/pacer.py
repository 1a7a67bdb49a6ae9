"""When the next request may leave: observations in, times out. The clock and the dice are arguments.

One shared deadline after a 429, which only moves later; even spacing, at a known rate or at a learned one.
"""

from collections.abc import Callable
from math import inf

from attrs import define

from fielding_async.core.config import Limits

from .rate_learner import Learner

__all__ = ["Pacer", "Permit"]

_LEAST_PAUSE = 0.1
_HEADROOM = 1.01  # of a told interval: without any, a network that jitters makes 101 in a second out of 100
_LATENESS = 0.01
_CLOSEST = 0.75  # of the interval: as close as a late request may bring the next one
_ROUNDING = 1e-6  # seconds: times of a clock are floats
_MAX_DOUBLINGS = 16
_IDLE = 1.0
_REFUSED_MARGIN = 1.02  # of a told interval, for each pause
_FAR_OFF = 1.07
_BIG_STEP = 1.15
_MOST_MARGIN = 100.0
_QUIET = 20.0  # seconds


@define(eq=False, weakref_slot=False)
class Permit:
    """The right to send one request.

    `epoch`: the count of pauses begun when it was given; `at`: the time; `interval`: seconds since the request before
    it, as they were to be; `after`: seconds until the next; `is_paced`: it was the pace that it waited for. `used`: the
    request left; `refused`: it met a 429.
    """

    epoch: int
    at: float
    interval: float
    after: float
    is_paced: bool
    is_probe: bool = False
    used: bool = False
    refused: bool = False


class Pacer:
    """The pace of one session. Times are seconds of one monotonic clock, given by the caller."""

    def __init__(self, limits: Limits, uniform: Callable[[float, float], float]) -> None:
        self._interval = 0.0 if limits.rate is None else _HEADROOM / limits.rate
        self._told_interval = self._interval
        self._refused_at = -inf
        self._burst = 1 if limits.rate is None else limits.burst
        self._learner = Learner() if limits.rate is None and limits.adaptive else None
        self._is_strict = False  # a late request does not bring the next one closer
        self._max_pause = limits.max_pause
        self._uniform = uniform
        self._due = -inf  # when an evenly paced request would be due
        self._last = -inf  # when the last permission was given
        self._last_interval = 0.0
        self._leaves_from = -inf  # when an evenly paced request may leave at the socket
        self._left_at = -inf
        self._paused_until = -inf
        self._epoch = 0
        self._vain_pauses = 0  # pauses in a row with nothing but 429s between
        self._blind_pauses = 0  # pauses in a row whose length the server did not say
        self._probe_wanted = False
        self._probe: Permit | None = None

    @property
    def paused_until(self) -> float:
        """The end of the pause begun last; in the past, or minus infinity, when there is none."""
        return self._paused_until

    @property
    def vain_pauses(self) -> int:
        """How many pauses there were in a row without an answer between them that was no 429."""
        return self._vain_pauses

    def ready_at(self) -> float:
        """Return the time from which the next request may leave: infinity while a probe's answer is awaited."""
        if self._probe is not None:
            return inf
        return max(self._paused_until, self._due - self._interval * (self._burst - 1))

    def take(self, now: float, *, waited: bool = False) -> Permit:
        """Give the permission that `ready_at` promised. `waited`: it was waited for, and is not taken after idle time.

        A timer that rings a little late does not slow the pace down: the next permission counts from when this one
        was due, if that was no more than a few milliseconds ago.
        """
        since, self._last = now - self._last, now
        if self._learner is not None:
            self._learn_sending(self._learner, since, now)
        is_paced = waited and now - self._due <= _LATENESS
        if self._interval:
            keeps_time = self._due >= now or (is_paced and not self._is_strict)
            self._due = (self._due if keeps_time else now) + self._interval
        permit = Permit(self._epoch, now, max(since, self._last_interval), self._interval, is_paced)
        self._last_interval = self._interval
        if self._probe_wanted:
            self._probe_wanted = False
            permit.is_probe = True
            self._probe = permit
        return permit

    def _learn_sending(self, learner: Learner, since: float, now: float) -> None:
        if since > _IDLE + 3 * self._interval:
            learner.idle(now)
        learner.sending(now)
        self._interval = 1.0 / learner.pace
        self._is_strict = learner.is_strict

    def leaves_at(self, permit: Permit, now: float) -> float | None:
        """Return the time from which a request permitted earlier may leave, now that it has a connection.

        `None`: it may not, for a pause has begun since; it needs a new permission. Opening connections takes now more
        and now less time, so what was permitted evenly could leave in a bunch.
        """
        if permit.epoch != self._epoch and now < self._paused_until:
            return None
        if self._is_strict:
            return self._leaves_from - _ROUNDING
        leaves_at = self._leaves_from - permit.after * (self._burst - 1) - _LATENESS
        return leaves_at if self._burst > 1 else max(leaves_at, self._left_at + permit.after * _CLOSEST - _ROUNDING)

    def left(self, permit: Permit, now: float) -> None:
        """Note that the request leaves."""
        self._left_at = now
        self._leaves_from = max(self._leaves_from, now) + permit.after

    def give_back(self, permit: Permit) -> None:
        """Take back a permission that was not used."""
        self._due -= permit.after
        if permit is self._probe:
            self._probe = None
            self._probe_wanted = True

    def answered(self, permit: Permit, now: float) -> None:
        """Note an answer that was no 429, or the lack of one."""
        if permit is self._probe:
            self._probe = None
        if permit.epoch == self._epoch:
            self._blind_pauses = self._vain_pauses = 0
        if self._learner is None:
            self._come_back(now)
        else:
            speed = 1.0 / permit.interval if permit.interval else inf
            self._learner.accepted(permit.at, speed, now, is_paced=permit.is_paced)

    def throttled(self, permit: Permit, retry_after: float | None, now: float) -> None:
        """Note a 429; `retry_after` in seconds, `None` if the server named no usable time."""
        was_probe = permit is self._probe
        if was_probe:
            self._probe = None
        same_burst = permit.epoch != self._epoch
        if same_burst and self._learner is not None:
            self._learner.refused_too(permit.at)
        if retry_after is None:
            if same_burst and now < self._paused_until:
                return
            self._blind_pauses = min(self._blind_pauses + 1, _MAX_DOUBLINGS)
            ceiling = min(_LEAST_PAUSE * 2**self._blind_pauses, self._max_pause)
            seconds = self._uniform(min(_LEAST_PAUSE, ceiling), ceiling)
            self._probe_wanted = True
        else:
            seconds = min(retry_after, self._max_pause)
            if retry_after > self._max_pause:
                self._probe_wanted = True
        if not same_burst or now >= self._paused_until:
            self._epoch += 1
            self._vain_pauses += 1
            self._leaves_from = -inf
            seconds = self._learn_refusal(permit, seconds, was_probe=was_probe)
        self._paused_until = max(self._paused_until, now + seconds)

    def _give_way(self, now: float) -> None:
        """Keep a little below a rate that is refused although it was told, and well below one that is far off."""
        self._is_strict = True  # never bring the next request closer because one was late
        quiet = now - self._refused_at
        self._refused_at = now
        step = _REFUSED_MARGIN if quiet > _QUIET or self._interval < self._told_interval * _FAR_OFF else _BIG_STEP
        self._interval = min(self._interval * step, self._told_interval * _MOST_MARGIN)

    def _come_back(self, now: float) -> None:
        if now - self._refused_at > _QUIET and self._interval > self._told_interval * _FAR_OFF:
            self._refused_at = now
            self._interval /= _BIG_STEP

    def _learn_refusal(self, permit: Permit, seconds: float, *, was_probe: bool) -> float:
        """Take note of the first 429 of a burst. Returns the length of the pause."""
        if self._learner is None:
            self._give_way(permit.at)
            return seconds
        self._due = -inf
        if was_probe:
            self._learner.resumed_in_vain()
            return seconds
        return self._learner.refused(permit.at, 1.0 / permit.interval if permit.interval else inf, seconds)
