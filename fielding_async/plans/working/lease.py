"""When a lease holds, when it is renewed, when a slice of work ends, and how many shards to claim. Pure.

What it rests on
----------------
L1  A lease is granted by the server, for `length` seconds by the server's clock from when it executes the statement.
    The worker counts from before the statement left, by its own clock, and ends `margin` seconds early: it lets go
    before anybody else may claim.
L2  A write may leave only while its attempt will be over before the lease is. So a successor meets no write of its
    predecessor on the way, except that of a worker that was stopped between the question and the socket.
L3  Nothing rests on L1 and L2 alone: every commit finds the epoch unchanged or fails, and a write leaves only under the
    ETag on record, which a successor goes on with. Where ETags return, L2 is what keeps a late write away.
L4  A worker can be without the database for `slack` seconds, less the age of its last renewal, before its writes stay.

Times are those of one clock of the worker's machine, which counts sleep, in seconds.
"""

from math import ceil, inf

from attrs import define, frozen

__all__ = ["Lease", "Slice", "Terms", "are_busy", "shards_wanted"]

_GRACE_SHARE = 0.5  # of an attempt's time: rows under way at the end of a slice may still send for so long
_FIRST_SHARDS = 4
_BUSY_SHARE = 0.75


@frozen(kw_only=True)
class Terms:
    """The terms of a worker's leases, in seconds. `attempt`: the most that one attempt at a write takes.

    `slack`: for how long writes may leave after a renewal. `margin`: for what L1 cannot know, such as clocks that do
    not go at the same rate.
    """

    attempt: float
    slack: float = 12.0
    margin: float = 1.0

    @property
    def length(self) -> float:
        """For how long a lease is asked."""
        return self.slack + self.attempt + self.margin

    @property
    def renew_every(self) -> float:
        """The time between renewals."""
        return self.slack / 3


@define(eq=False)
class Lease:
    """A lease of one shard. `until`: when it is over for its holder; minus infinity if it was lost before."""

    terms: Terms
    until: float

    @classmethod
    def granted(cls, terms: Terms, asked_at: float) -> "Lease":
        """Return the lease that was asked for at this time."""
        return cls(terms, asked_at + terms.length - terms.margin)

    def renew(self, asked_at: float) -> None:
        """Take note that it was renewed by a statement that left at this time. One that was lost stays so."""
        if self.until != -inf:
            self.until = max(self.until, asked_at + self.terms.length - self.terms.margin)

    def lose(self) -> None:
        """Take note that somebody else has it, or that it was given back."""
        self.until = -inf

    def holds(self, now: float) -> bool:
        """Whether nobody else can have it."""
        return now < self.until

    def may_leave(self, now: float) -> bool:
        """Whether a write that leaves now is over before the lease is."""
        return now < self.until - self.terms.attempt


@define(eq=False)
class Slice:
    """The time of one call of `work`. `ends`: when nothing new starts any more; `attempt`: as in `Terms`."""

    ends: float
    attempt: float

    def end_now(self, now: float) -> None:
        """Let nothing new start from now on."""
        self.ends = min(self.ends, now)

    @property
    def leaves_until(self) -> float:
        """Until when writes of rows in progress may leave: nearly all of them are answered by `cut_at`."""
        return self.ends + self.attempt * _GRACE_SHARE

    @property
    def cut_at(self) -> float:
        """When whatever still waits is cut off."""
        return self.ends + self.attempt


def are_busy(slots: int, in_flight: int) -> bool:
    """Whether so many rows in progress make nearly full use of the session."""
    return in_flight >= slots * _BUSY_SHARE


def shards_wanted(slots: int, *, shards: int, in_flight: int, are_settled: bool) -> int:
    """Return how many more shards to claim.

    `slots`: the rows that the session can have in progress. `shards`: those at work, `in_flight`: their rows in
    progress. `are_settled`: all of these shards have had time to start rows, and they have not been busy since.
    """
    if not shards:
        return min(_FIRST_SHARDS, slots)
    if shards >= slots or not are_settled or are_busy(slots, in_flight):
        return 0
    each = max(1.0, in_flight / shards)
    return min(ceil((slots - in_flight) / each), slots - shards, max(_FIRST_SHARDS, shards))
