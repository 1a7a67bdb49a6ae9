"""The evidence of a limit that is not known: what refused requests say about it. Values in, a verdict out.

The rules below are those of this module and of `rate_learner`, which applies them. Speeds and paces are requests a
second. A *climb* is a time in which the pace grows until a request is refused; its *count* is how many were accepted.

What it assumes
---------------
A1  The server counts accepted requests in fixed or sliding windows, or has a token bucket that refills steadily, or
    demands a least spacing between two requests (a leaky bucket). A 429 does not say which.
A2  A 429 is caused by the rate of this session, together with the sessions that share its limit.
A3  A window lasts one second, unless the Retry-After shows that it is longer (R4).
A4  Sessions that share a limit are refused at about the same time, and follow these rules as well.
A5  The limit stays the same while evidence is gathered, which takes a few pauses.
A6  Two requests reach the server about as far apart as they were permitted.

The rules
---------
R1  Measuring: counting starts when requests are sent, at first, after a pause or after idle time, and ends with the
    first refusal. That refusal is evaluated when its pause is over and the replies to earlier requests are in. One
    that follows a short pause so soon that no window can have passed is not evaluated; its pause is a second at least.
R2  Opening: the first climb starts at 8.5 and grows with each accepted request that had waited for the pace. One that
    reaches 750 has met no limit; then there is no pace until a refusal.
R3  Light demand: if fewer requests were sent than permitted, the refusal says nothing about the limit. A proven pace is
    kept, twice in a row at most; otherwise the session starts again far below (R5).
R4  Long pause: a Retry-After of 2 s or more gives the length of the window. The pace becomes count / (seconds sent +
    pause), unless the pace was proven.
R5  Next to nothing was accepted right after a pause: climb again from a quarter of the pace, at most from the start of
    the opening. If nothing at all was accepted, the refusal may have been meant for others: the opening starts again,
    once.
R6  Shared climb: the session climbs steeply from ten times what it just counted, at most from 100. All sessions that
    were refused together (A4) climb in the same way, so each counts an even share, whatever it had before.
R7  Window: if two climbs count about the same (within a factor of 1.2), or the later one fewer, that is the count of a
    window; a count up to twice as high went across the border of two windows. If a climb counted many more than the
    one before, or next to none, other sessions took part: another shared climb follows, two at most, after which the
    lower count is used. Held is 0.97 of the count.
R8  Token bucket: the climb counts no fewer than the held pace allowed in a second, and yet that pace, sustained before,
    was refused 2 to 8 s after it was taken up. A window would have accepted it, so a bucket ran empty. Held is 0.97 of
    its refill, which is accepted / (seconds sent + pause).
R9  Spacing: one speed divides all that was accepted in two climbs from what was refused; or the request right after the
    refused one was accepted, and of all later ones no fewer than were refused. A full window refuses all of them, an
    empty bucket most. Held is the closest spacing that was accepted. Late requests do not bring the next one closer.
R10 Careful climb: if a first climb had fewer than eight accepted, the limit may be one on spacing. The next climb goes
    no faster than the fastest accepted request, and confirms it if clearly more are accepted than before.
R11 Holding: a pace that is held for 2 s without a refusal is sustained, and proven. It then moves up between the
    highest sustained and the lowest refused pace, and 5 % above after 20 s of quiet. If that is refused, it returns to
    the sustained pace and stays there for longer, up to two minutes. If nothing is refused, the steps grow.
R12 A held pace is refused: other sessions came, or the limit fell. A shared climb follows. A pace that is not proven
    and is refused within 0.6 s is tried once more, as other sessions may still be climbing. One that was refused soon
    after it was taken up is not taken up again: a tenth less is held.
R13 Lowering: a proven pace by spacing, and an opening that took 2 s or more, are not followed by a climb. The pace
    becomes accepted / (seconds sent + pause), or 6 % and then 15 % less than refused, if it was refused soon.

What is doubtful
----------------
D1  A2 is wrong for a 429 that has nothing to do with the rate of this session, such as one of an overloaded gateway. It
    is read as news of our own rate all the same, and the pace can fall a long way.
D2  Light demand suffers most: so little is sent that each refusal leads to R3 or R5, and there is little to raise the
    pace with afterwards. A stray 429 among the first requests of a session costs more than one in the middle of many.
D3  A6 and R2 depend on punctual timers. Only a request that was permitted less than 10 ms late counts as paced. With an
    event loop that is busy for longer, the pace is neither raised nor proven, so it recovers slowly or not at all.
D4  Slow replies stretch the opening. After 2 s its refusal is read by R13, not by a shared climb.
D5  Strict spacing under jitter: requests that were permitted far enough apart arrive too close. R9 may then settle well
    below the limit, or fail to see the spacing.
D6  A Retry-After that is longer than the window is read as the window's length (R4). The pace is then too low until R11
    raises it.
D7  Sessions share a limit on spacing unevenly: one of them gets nearly all of it. A session that joins several which
    have filled a window may wait long for its share.
D8  A1 is wrong for a server that counts refused requests as well. Counts may then come out too low.
"""

from math import inf

from attrs import define, field, frozen

__all__ = ["WINDOW", "Climb", "Evidence", "Refusal", "Verdict"]

WINDOW = 1.0
"""Seconds: the shortest time in which limits are counted (A3)."""

_SAME = 1.2  # counts within this factor are the same (R7)
_SLIGHTLY = 1.08  # a count that is higher by more than this factor, and still the same, is worth a try later
_TWICE = 2.2  # a climb across the border of two windows counts up to twice what one accepts
_FEW = 8  # a lower count may be what other sessions left over
_MOST = 2  # shared climbs in a row
_JITTER = 1.02
_DOUBT = 0.9  # times a pace that was refused soon after it was taken up
_BUCKET_TIME = (2 * WINDOW, 8 * WINDOW)  # a window refuses sooner, other sessions come at any time (R8)


@define
class Climb:
    """What was accepted since requests are sent: at first, after a pause or after idle time (R1).

    `started`: when that was, in seconds. `accepted`: the count. `paced`: how many of these had waited for the pace.
    `fastest`: the highest speed of an accepted request, from its spacing to the one before.
    """

    started: float
    accepted: int = 0
    paced: int = 0
    fastest: float = 0.0


@define
class Refusal:
    """The first refusal of a climb or of a held pace.

    `sent_at`: when its request was permitted; `seconds`: the same, since the climb started. `speed`: from its spacing
    to the request before. `pause`: the seconds of the pause that followed. `next_at` and `next_accepted`: when the next
    one was permitted, and whether it was accepted. `balance`: of the later ones, the accepted less the refused.
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
        """How many requests a second were accepted before it."""
        return self.climb.accepted / self.seconds

    @property
    def rate_with_refill(self) -> float:
        """The same, with the pause that follows: what a token bucket accepts in the long run."""
        return self.climb.accepted / (self.seconds + max(self.pause, WINDOW))

    def followed_by(self, sent_at: float, *, accepted: bool) -> None:
        """Note the answer to a later request."""
        self.balance += 1 if accepted else -1
        if self.sent_at < sent_at < self.next_at:
            self.next_at, self.next_accepted = sent_at, accepted

    @property
    def points_to_spacing(self) -> bool:
        """Whether the next request was accepted, and not by chance (R9)."""
        return self.next_accepted and self.balance >= 0


@frozen
class Verdict:
    """A pace that the server is believed to sustain, and one that it refuses. `is_strict`: it limits the spacing."""

    sustained: float
    refused: float
    is_strict: bool = False


@define
class Evidence:
    """The refusals in a row that are not explained yet, and what they say together.

    `counts`: the count of a window according to each. `last`: the refusal before, if it ended a climb. `shared_climbs`:
    how many there were. `is_careful`: the current climb is a careful one (R10). `refill_rate`: what was accepted in the
    long run at a sustained pace that was then refused; 0 if none was (R8). `is_doubtful`: that pace was refused soon
    after it was taken up. `is_bucket`: the limit was found to be a token bucket.
    """

    counts: list[float] = field(factory=list[float])
    last: Refusal | None = None
    shared_climbs: int = 0
    is_careful: bool = False
    refill_rate: float = 0.0
    is_bucket: bool = False
    is_doubtful: bool = False

    def hold_refused(self, refusal: Refusal, pace: float, *, is_sustained: bool, is_proven: bool) -> None:
        """Start with the refusal of a held pace.

        `is_sustained`: the pace was not above the highest sustained one. `is_proven`: that one was held for a while.
        """
        seconds, count = refusal.seconds, refusal.climb.accepted
        is_whole = seconds > 1.2 * WINDOW  # otherwise what was accepted is itself the count of a window
        self.counts, self.last = [pace * WINDOW if is_whole else count], None
        self.is_doubtful = is_whole and not is_proven
        least, most = _BUCKET_TIME
        self.refill_rate = refusal.rate_with_refill if is_sustained and least < seconds < most else 0.0

    def climb_refused(self, refusal: Refusal) -> None:
        """Add the refusal that ended a climb."""
        if self.is_careful:
            self.shared_climbs = 0  # spacing is ruled out, and so low a count says nothing else
        else:
            self.counts.append(refusal.climb.accepted)
        self.last = refusal

    def points_to_spacing(self, refusal: Refusal) -> bool:
        """Whether the refusal by itself is evidence of spacing, and the climb before does not contradict (R9)."""
        return refusal.points_to_spacing and (self.last is None or _dividing_speed(self.last, refusal) is not None)

    def verdict(self, refusal: Refusal) -> Verdict | None:
        """Return what the refusal of another climb means; `None` if another shared climb is needed (R7 to R9)."""
        count = refusal.climb.accepted
        if self.is_careful or not (self.counts or self.is_bucket):
            return None
        if self.is_bucket:
            return Verdict(refusal.rate_with_refill, refusal.rate_with_refill)
        before = self.counts[-1]
        alike = next((one for one in self.counts if max(one, count) <= _SAME * min(one, count)), None)
        fell = count * _SAME < before
        if self.last is not None and count < self.last.climb.accepted and (fell or alike is None):
            between = _dividing_speed(self.last, refusal)
            if between is not None:
                return between
        if fell and (count >= _FEW or self.shared_climbs >= _MOST):
            return Verdict(count, count)
        if alike is not None:
            return self._from_like_counts(alike, count)
        lesser = before if before >= _FEW else count
        return Verdict(lesser, lesser) if self.shared_climbs >= _MOST else None

    def _from_like_counts(self, one: float, count: float) -> Verdict:
        if self.refill_rate and one == self.counts[0] and count >= one:
            # a window that accepts so many would have accepted the held pace (R8)
            self.is_bucket = True
            return Verdict(self.refill_rate, self.refill_rate)
        least = min(other for other in (*self.counts, count) if other * _TWICE > count)
        if self.is_doubtful and one == self.counts[0] and count >= one:
            least *= _DOUBT
        return Verdict(least, count if _SLIGHTLY * least < count <= _SAME * least else least)


def _dividing_speed(one: Refusal, other: Refusal) -> Verdict | None:
    """Return the speed that divides all that was accepted in two climbs from what was refused, if there is one."""
    sustained = max(one.climb.fastest, other.climb.fastest)
    refused = min(one.speed, other.speed)
    if sustained > refused * _JITTER:
        return None
    return Verdict(min(sustained, refused), max(refused, sustained * _JITTER), is_strict=True)
