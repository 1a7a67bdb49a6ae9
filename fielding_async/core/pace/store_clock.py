"""Times of a store's clock as times of the local monotonic clock.

A reply that says when the store made it bounds the difference of the two clocks: it was made after the question was
sent, and before the reply came. The latest local time that is possible is used, so that what is leased for a time is
never sent before it. Both clocks are arguments; seconds.
"""

from math import inf

__all__ = ["StoreClock"]

_KEPT = 5.0  # seconds after which a bound is the former one, and as many more until it is dropped: clocks drift
_FURTHEST = 10.0  # seconds by which a bound may be later than the offset without a jump
_DRIFT = 0.002  # seconds by which bounds may contradict each other without a jump


class StoreClock:
    """The difference between the clock of a store and the local one. `round_trip`: seconds, of lately."""

    def __init__(self) -> None:
        self._offset = inf  # what is added to a store's time, at most: the lower one of two bounds
        self._latest = self._former = inf
        self._since = -inf
        self.round_trip: float = 0.0

    @property
    def is_known(self) -> bool:
        """Whether any reply has come."""
        return self._offset != inf

    def observe(self, sent: float, received: float, stored: float) -> bool:
        """Note a reply. `stored`: the time of the store in it. Returns whether its clock has jumped."""
        trip = received - sent
        self.round_trip = trip if not self.round_trip else self.round_trip + (trip - self.round_trip) / 8.0
        least, most = sent - stored, received - stored
        has_jumped = self.is_known and not least - _DRIFT <= self._offset <= most + _FURTHEST
        if has_jumped:
            self._latest = self._former = inf
        if has_jumped or received - self._since > _KEPT:
            # one reply that was late must not take the place of all bounds at once
            self._former = self._latest if received - self._since <= 2 * _KEPT else inf
            self._latest, self._since = inf, received
        self._latest = min(self._latest, most)
        self._offset = min(self._latest, self._former)
        return has_jumped

    def local(self, stored: float) -> float:
        """Return the local time of a store's time: the latest that is possible."""
        return stored + self._offset

    def stored(self, local: float) -> float:
        """Return the store's time of a local time."""
        return local - self._offset
