"""When the next request may leave: observations in, times out. The clock and the dice are arguments.

One shared deadline after a 429, which only moves later; even spacing at a known rate.
"""

from collections.abc import Callable
from math import inf

from attrs import define

from .config import Limits

__all__ = ["Pacer", "Ticket"]

_LEAST_PAUSE = 0.1
_LATENESS = 0.01
_MAX_DOUBLINGS = 16


@define(eq=False)
class Ticket:
    """A permission to send one request, and the epoch (the count of pauses begun) it was given in."""

    epoch: int
    is_probe: bool = False


class Pacer:
    """The pace of one session. Times are seconds of one monotonic clock, given by the caller."""

    def __init__(self, limits: Limits, uniform: Callable[[float, float], float]) -> None:
        self._interval = 0.0 if limits.rate is None else 1.0 / limits.rate
        self._credit = self._interval * (limits.burst - 1)
        self._max_pause = limits.max_pause
        self._uniform = uniform
        self._due = -inf  # when an evenly paced request would be due
        self._paused_until = -inf
        self._epoch = 0
        self._blind_pauses = 0  # pauses in a row whose length the server did not say
        self._probe_wanted = False
        self._probe: Ticket | None = None

    @property
    def paused_until(self) -> float:
        """The end of the pause begun last; in the past, or minus infinity, when there is none."""
        return self._paused_until

    def ready_at(self) -> float:
        """Return the time from which the next request may leave: infinity while a probe's answer is awaited."""
        if self._probe is not None:
            return inf
        return max(self._paused_until, self._due - self._credit)

    def take(self, now: float, *, waited: bool = False) -> Ticket:
        """Give the permission that `ready_at` promised. `waited`: it was waited for, and is not taken after idle time.

        A timer that rings a little late does not slow the pace down: the next permission counts from when this one
        was due, if that was no more than a few milliseconds ago.
        """
        if self._interval:
            self._due = max(self._due, now - _LATENESS if waited else now) + self._interval
        ticket = Ticket(self._epoch)
        if self._probe_wanted:
            self._probe_wanted = False
            ticket.is_probe = True
            self._probe = ticket
        return ticket

    def may_leave(self, ticket: Ticket, now: float) -> bool:
        """Whether a request permitted earlier may still leave: not if a pause has begun since."""
        return ticket.epoch == self._epoch or now >= self._paused_until

    def give_back(self, ticket: Ticket) -> None:
        """Take back a permission that was not used."""
        if self._interval:
            self._due -= self._interval
        if ticket is self._probe:
            self._probe = None
            self._probe_wanted = True

    def answered(self, ticket: Ticket) -> None:
        """Note an answer that was no 429, or the lack of one."""
        if ticket is self._probe:
            self._probe = None
        if ticket.epoch == self._epoch:
            self._blind_pauses = 0

    def throttled(self, ticket: Ticket, retry_after: float | None, now: float) -> None:
        """Note a 429; `retry_after` in seconds, `None` if the server named no usable time."""
        if ticket is self._probe:
            self._probe = None
        same_burst = ticket.epoch != self._epoch
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
        self._paused_until = max(self._paused_until, now + seconds)
