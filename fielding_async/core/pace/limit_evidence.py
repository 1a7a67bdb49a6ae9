"""What climbs of the pace that ended in a refusal tell of a limit that is not known. Values in, a verdict out.

Servers count in windows, in token buckets, or by the spacing of requests (a leaky bucket); a 429 does not say which.
"""

from math import inf

from attrs import define, field, frozen

__all__ = ["WINDOW", "Climb", "Inquiry", "Refusal", "Verdict"]

WINDOW = 1.0
"""Seconds: the shortest time in which limits are counted."""

_SAME = 1.2  # two counts that differ by less are the same
_SLIGHTLY = 1.08  # one that rose by more, and is the same all the same, is worth a try
_TWICE = 2.2  # a race across the border of two windows counts up to twice what one bears
_FEW = 8  # a count below may be what others had left
_MOST = 2  # races in a row
_JITTER = 1.02
_DOUBT = 0.9  # of a pace that was refused soon after it was taken up
_OVERDRAWN = (2 * WINDOW, 8 * WINDOW)  # a window refuses sooner, other sessions come at any time


@define
class Climb:
    """What was accepted since the pace was taken up, at first or after a pause. Speeds in requests a second.

    `paced`: how many of the accepted had waited for the pace.
    """

    began: float
    accepted: int = 0
    paced: int = 0
    closest: float = 0.0


@define
class Refusal:
    """The first refusal of a climb. `seconds` after its beginning, at `speed`; the pause that followed.

    `balance`: of those that had left after it, how many more were accepted than refused; the next left at `next_at`.
    """

    climb: Climb
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

    @property
    def rate_with_refill(self) -> float:
        """The same, with the pause that follows: what a bucket bears in the long run."""
        return self.climb.accepted / (self.seconds + max(self.pause, WINDOW))

    def followed_by(self, sent_at: float, *, accepted: bool) -> None:
        """Note what became of a request that had left later."""
        self.balance += 1 if accepted else -1
        if self.sent_at < sent_at < self.next_at:
            self.next_at, self.next_accepted = sent_at, accepted

    @property
    def is_of_spacing(self) -> bool:
        """Whether the next one passed, and not by chance: a full window refuses all, an empty bucket most of them."""
        return self.next_accepted and self.balance >= 0


@frozen
class Verdict:
    """A pace that is believed to be borne, one that is not, and whether the spacing itself is what the server sees."""

    borne: float
    refused: float
    is_strict: bool = False


@define
class Inquiry:
    """The refusals in a row that are not understood yet, and what they tell together.

    `counts`: what each says that a window bears; `last`: the climb before, if it was one; `races`: how many there were;
    `is_careful`: the race under way is one that a limit by spacing would let pass; `overdrawn`: what went through in
    the long run at a held pace that was then refused, `is_doubtful`: soon; `is_bucket`: the limit was found to be one.
    """

    counts: list[float] = field(factory=list[float])
    last: Refusal | None = None
    races: int = 0
    is_careful: bool = False
    overdrawn: float = 0.0
    is_bucket: bool = False
    is_doubtful: bool = False

    def hold_refused(self, refusal: Refusal, pace: float, *, is_borne: bool, is_proven: bool) -> None:
        """Begin with the refusal of a pace that was held. `is_borne`: it was not above what had been borne before.

        `is_proven`: that had been borne for a while.
        """
        seconds, count = refusal.seconds, refusal.climb.accepted
        is_whole = seconds > 1.2 * WINDOW  # else what went through is itself the count of a window
        self.counts, self.last = [pace * WINDOW if is_whole else count], None
        self.is_doubtful = is_whole and not is_proven
        least, most = _OVERDRAWN
        self.overdrawn = refusal.rate_with_refill if is_borne and least < seconds < most else 0.0

    def climb_refused(self, refusal: Refusal) -> None:
        """Go on with the refusal that ended a climb."""
        if self.is_careful:
            self.races = 0  # it was not the spacing, and so few tell nothing else
        else:
            self.counts.append(refusal.climb.accepted)
        self.last = refusal

    def is_of_spacing(self, refusal: Refusal) -> bool:
        """Say whether the refusal by itself speaks for spacing, and the climb before does not contradict."""
        return refusal.is_of_spacing and (self.last is None or _speed_between(self.last, refusal) is not None)

    def verdict(self, refusal: Refusal) -> Verdict | None:
        """Judge the refusal that ended another climb; `None`: another race is needed to tell.

        In a race all who were refused together climb in the same way, whatever they had before: what it counts is an
        even share of a window, or more if it went across the border of two.
        """
        count = refusal.climb.accepted
        if self.is_careful or not (self.counts or self.is_bucket):
            return None
        if self.is_bucket:
            return Verdict(refusal.rate_with_refill, refusal.rate_with_refill)
        before = self.counts[-1]
        alike = next((one for one in self.counts if max(one, count) <= _SAME * min(one, count)), None)
        fell = count * _SAME < before
        if self.last is not None and count < self.last.climb.accepted and (fell or alike is None):
            between = _speed_between(self.last, refusal)
            if between is not None:
                return between
        if fell and (count >= _FEW or self.races >= _MOST):
            return Verdict(count, count)
        if alike is not None:
            return self._of_two(alike, count)
        lesser = before if before >= _FEW else count
        return Verdict(lesser, lesser) if self.races >= _MOST else None

    def _of_two(self, one: float, count: float) -> Verdict:
        if self.overdrawn and one == self.counts[0] and count >= one:
            # a window that bears so many would have borne the pace that was held: a bucket was drawn empty
            self.is_bucket = True
            return Verdict(self.overdrawn, self.overdrawn)
        least = min(other for other in (*self.counts, count) if other * _TWICE > count)
        if self.is_doubtful and one == self.counts[0] and count >= one:
            least *= _DOUBT
        return Verdict(least, count if _SLIGHTLY * least < count <= _SAME * least else least)


def _speed_between(one: Refusal, other: Refusal) -> Verdict | None:
    """Return the speed that parts all that was accepted in two climbs from what was refused, if there is one."""
    borne = max(one.climb.closest, other.climb.closest)
    refused = min(one.speed, other.speed)
    if borne > refused * _JITTER:
        return None
    return Verdict(min(borne, refused), max(refused, borne * _JITTER), is_strict=True)
