"""The pacer: when the next request may be sent. Observations go in, times come out.

Times are seconds of one monotonic clock. The clock and the source of random numbers are arguments.

What it assumes
---------------
A1  A Retry-After says when the next request is accepted, whatever the reason of the 429.
A2  The limit is on the requests of this session together with those of others, not on a single operation.
A3  A configured `rate` is about right: off by a few percent, but not by a factor.

The rules
---------
R1  Pause: after a 429 nothing is sent until its Retry-After. The end of the pause only moves later. 429s of requests
    that were permitted before the pause started belong to the same burst. One of them may arrive after the pause, if
    the pause was shorter than the round trip. Its Retry-After is obeyed, but nothing is concluded from it (R2, R6 to
    R8).
R2  A Retry-After that is absent or unusable is a growing, jittered wait of at least 0.1 s. One above `max_pause` is cut
    to it. After both a single request probes; the others wait for its answer.
R3  Permissions are spaced by `interval`. With a configured rate that is 1.01 / rate, as a network with jitter would
    otherwise deliver 101 requests in a second of 100; `burst` permissions may be given together after idle time.
R4  A timer that fires up to 10 ms late (50 ms with a learned pace) costs nothing: the next permission counts from when
    this one was due. One that fires later costs the difference.
R5  A permission is checked again at the socket. Connections take different times to open, so that requests with
    evenly spaced permissions could leave together; a late request may bring the next one closer by a quarter of the
    interval at most.
R6  A configured rate that is refused is lowered by 2 % (by 15 % where it is much too high) and raised again after 20 s
    without a refusal.
R7  Without a configured rate the interval is that of the rate learner, unless `adaptive` is off. Until the first
    refusal that is no stray six requests may be in flight whatever the interval, and up to 32 if they come one by one:
    steady demand must not queue, as it would then leave as a burst and be refused for that. R5 does not hold these,
    unless one that follows the interval is before them.
R8  With a rate learner, a single request also follows a pause that started with nothing but 429s since the pause before
    (R2). The next such Retry-After is doubled, the one after it trebled, and so on, up to 8 s.

What is doubtful
----------------
D1  R8 makes the pauses longer than the server says. A server that counts refused requests needs that; where other
    programs used up the limit, it may cost seconds.
"""

from collections.abc import Callable
from math import inf

from attrs import define

from fielding_async.core.config import Limits

from .rate_learner import RateLearner

__all__ = ["Pacer", "Permit"]

_LEAST_PAUSE = 0.1  # seconds (R2)
_HEADROOM = 1.01  # times the configured interval (R3)
_LATENESS = 0.01  # seconds (R4)
_CLOSEST = 0.75  # of the interval (R5)
_ROUNDING = 1e-6  # seconds: times of a clock are floats
_MAX_DOUBLINGS = 16
_CATCH_UP = 0.05  # seconds: the same for a learned pace, which is not exact to less than the delays of a busy loop
_FREELY = 6  # requests in flight, whatever the pace (R7)
_FREELY_ALONE, _APART = 32, 0.0005  # the same for requests that come so many seconds apart, and do not wait
_LONGEST_IN_VAIN = 8.0  # seconds to which a Retry-After is lengthened (R8)
_SMALL_STEP = 1.02  # times the interval, for each refusal of a configured rate (R6)
_BIG_STEP = 1.15  # the same, for a rate that is further off than `_FAR_OFF`
_FAR_OFF = 1.07
_LONGEST = 100.0  # times the configured interval
_QUIET = 20.0  # seconds without a refusal (R6)


@define(eq=False, weakref_slot=False)
class Permit:
    """The permission to send one request.

    `epoch`: how many pauses had started when it was given. `at`: when that was. `after`: planned seconds until the
    next. `speed`: requests a second, from the seconds since the request before. `waited`: the request waited for it.
    `used`: the request left. `refused`: it met a 429. The limiter's own are `number` and `place`: of this permission,
    in the order in which they were given, and of its request, in the order in which they asked; and `is_background`:
    the class of the request.
    """

    epoch: int
    at: float
    after: float
    speed: float
    waited: bool
    used: bool = False
    refused: bool = False
    number: int = 0
    place: int = 0
    is_background: bool = False


class Pacer:
    """The pace of one session."""

    def __init__(self, limits: Limits, uniform: Callable[[float, float], float]) -> None:
        self._interval = 0.0 if limits.rate is None else _HEADROOM / limits.rate
        self._configured_interval = self._interval
        self._refused_at = -inf
        self._burst = 1 if limits.rate is None else limits.burst
        self._learner = RateLearner() if limits.rate is None and limits.adaptive else None
        self._is_strict = False  # a late request must not bring the next one closer
        self._max_pause = limits.max_pause
        self._uniform = uniform
        self._due = -inf  # when an evenly paced request would be due
        self._last = -inf  # when the last permission was given
        self._leaves_from = -inf  # when an evenly paced request may leave, at the socket
        self._left_at = -inf
        self.paused_until: float = -inf
        """The end of the latest pause; in the past, or minus infinity, when there is none."""
        self._epoch = 0
        self._burst_epoch = 0  # of the latest pause that started with the first 429 of a burst
        self._in_flight = 0  # permissions whose requests are not over
        self.pauses_in_a_row: int = 0
        """How many pauses there were in a row with nothing but 429s between them."""
        self._blind_pauses = 0  # pauses in a row without a usable Retry-After
        self._probe_wanted = False
        self._probe: Permit | None = None

    @property
    def interval(self) -> float:
        """The planned seconds between requests."""
        return self._interval

    def take_over(self, *, due: float, paused_until: float) -> None:
        """Go on where another pacer ends. `due`: when the first request may be sent. `paused_until`: as here."""
        self._due = due
        self.paused_until = paused_until

    def ready_at(self) -> float:
        """Return the time from which the next permission can be given: infinity until the probe (R2) is answered."""
        if self._probe is not None:
            return inf
        if self._is_free(0.0, waited=True):
            return self.paused_until
        return max(self.paused_until, self._due - self._interval * (self._burst - 1))

    def try_take(self, now: float, *, waited: bool = False) -> Permit | float:
        """Give a permission; or return the time from which one can be given, infinity until the probe is answered."""
        ready_at = self.ready_at()
        if ready_at > now and not (self._is_free(now - self._last, waited=waited) and self.paused_until <= now):
            return ready_at
        return self.take(now, waited=waited)

    def take(self, now: float, *, waited: bool = False) -> Permit:
        """Give a permission whose time, by `ready_at`, has come. `waited`: the request waited for it (R4)."""
        since, self._last = now - self._last, now
        learner = self._learner
        if learner is not None:
            learner.sent(now, waited=waited)
            self._interval, self._is_strict = 1.0 / learner.pace, learner.is_strict
        after = self._interval
        if self._is_free(since, waited=waited):
            after = 0.0
        elif self._interval:
            is_paced = waited and now - self._due <= (_LATENESS if learner is None else _CATCH_UP)
            keeps_time = self._due >= now or (is_paced and not self._is_strict)
            self._due = (self._due if keeps_time else now) + self._interval
        self._in_flight += 1
        permit = Permit(self._epoch, now, after, 1.0 / since if since > 0 else inf, waited)
        if self._probe_wanted:
            self._probe_wanted = False
            self._probe = permit
        return permit

    def _is_free(self, since: float, *, waited: bool) -> bool:
        """Whether a request may be sent whatever the interval (R7). `since`: seconds since the last permission."""
        if self._learner is None or not self._learner.is_opening or self._probe is not None:
            return False
        is_alone = not waited and since >= _APART
        return self._in_flight < (_FREELY_ALONE if is_alone else _FREELY)

    def leaves_at(self, permit: Permit, now: float) -> float | None:
        """Return the time from which a permitted request may leave, now that it has a connection (R5).

        `None`: a pause has started since, and the request needs a new permission.
        """
        if permit.epoch != self._epoch and now < self.paused_until:
            return None
        if self._is_strict:
            return self._leaves_from - _ROUNDING
        if not permit.after and self._learner is not None and self._learner.is_opening:
            return -inf  # whatever the interval (R7)
        leaves_at = self._leaves_from - permit.after * (self._burst - 1) - _LATENESS
        return leaves_at if self._burst > 1 else max(leaves_at, self._left_at + permit.after * _CLOSEST - _ROUNDING)

    def may_leave(self, permit: Permit, now: float) -> float | None:
        """Use the permission up and return 0 if its request may leave now.

        Otherwise return the seconds to wait before asking again, or `None` if the permission has lapsed.
        """
        leaves_at = self.leaves_at(permit, now)
        if leaves_at is None or leaves_at > now:
            return None if leaves_at is None else leaves_at - now
        self.left(permit, now)
        return 0.0

    def left(self, permit: Permit, now: float) -> None:
        """Note that the request leaves now."""
        permit.used = True
        self._left_at = now
        self._leaves_from = max(self._leaves_from, now) + permit.after

    def ended(self, permit: Permit, now: float) -> None:
        """Note that the request of a permission is over: it was answered, or lost, or it never left."""
        if not permit.used:
            self.give_back(permit)
        elif not permit.refused:
            self.answered(permit, now)

    def give_back(self, permit: Permit) -> None:
        """Take back a permission whose request did not leave."""
        self._in_flight -= 1
        self._due -= permit.after
        if permit is self._probe:
            self._probe = None
            self._probe_wanted = True

    def answered(self, permit: Permit, now: float) -> None:
        """Note an answer that is no 429, or that no answer came."""
        self._in_flight -= 1
        if permit is self._probe:
            self._probe = None
        if permit.epoch >= self._burst_epoch:
            self._blind_pauses = self.pauses_in_a_row = 0
        if self._learner is None:
            self._raise_rate(now)
        else:
            self._learner.accepted(permit.at, permit.speed, waited=permit.waited)

    def throttled(self, permit: Permit, retry_after: float | None, now: float) -> float | None:
        """Note a 429. `retry_after`: its seconds; `None` if the server named no usable time.

        Returns the seconds of the pause that starts with it; `None` if one was in progress.
        """
        was_paused = self.paused_until > now
        permit.refused = True
        self._in_flight -= 1
        if permit is self._probe:
            self._probe = None
        same_burst = permit.epoch < self._burst_epoch
        if same_burst and self._learner is not None:
            self._learner.refused_too()
        if retry_after is None:
            if same_burst and was_paused:
                return None
            if not same_burst:
                self._blind_pauses = min(self._blind_pauses + 1, _MAX_DOUBLINGS)
            ceiling = min(_LEAST_PAUSE * 2**self._blind_pauses, self._max_pause)
            seconds = self._uniform(min(_LEAST_PAUSE, ceiling), ceiling)
            self._probe_wanted = True
        else:
            seconds = min(retry_after, self._max_pause)
            if retry_after > self._max_pause:
                self._probe_wanted = True
        if not same_burst or now >= self.paused_until:
            self._epoch += 1
            if not same_burst:
                self._burst_epoch = self._epoch
                if self._learner is not None and retry_after is not None and self.pauses_in_a_row:
                    self._probe_wanted = True
                    longest = min(_LONGEST_IN_VAIN, self._max_pause)
                    seconds = max(seconds, min(seconds * self.pauses_in_a_row, longest))
                self.pauses_in_a_row += 1
            self._leaves_from = -inf
            self._learn_refusal(permit, seconds, now, same_burst=same_burst)
        self.paused_until = max(self.paused_until, now + seconds)
        return None if was_paused else self.paused_until - now

    def _lower_rate(self, now: float) -> None:
        """Lower a configured rate that was refused (R6)."""
        self._is_strict = True
        quiet = now - self._refused_at
        self._refused_at = now
        step = _SMALL_STEP if quiet > _QUIET or self._interval < self._configured_interval * _FAR_OFF else _BIG_STEP
        self._interval = min(self._interval * step, self._configured_interval * _LONGEST)

    def _raise_rate(self, now: float) -> None:
        """Raise a configured rate again that has not been refused for a while (R6)."""
        if now - self._refused_at > _QUIET and self._interval > self._configured_interval * _FAR_OFF:
            self._refused_at = now
            self._interval /= _BIG_STEP

    def _learn_refusal(self, permit: Permit, seconds: float, now: float, *, same_burst: bool) -> None:
        """Note a 429 with which a pause starts. `seconds`: of that. `same_burst`: it is not the first of its burst."""
        if self._learner is None:
            if not same_burst:
                self._lower_rate(permit.at)
            return
        self._due = -inf
        if same_burst and self._learner.is_under_way:
            self._learner.held_up(now + seconds)
        else:
            self._learner.refused(permit.at, permit.speed, seconds, waited=permit.waited)
