"""A pace that is tried in place of freedom: what is known of it. The rules are at the top of `limit_evidence`."""

from math import inf

from attrs import define, field

from .limit_evidence import Cycle

__all__ = ["FIRST_STEP", "Trial"]

FIRST_STEP = 1.25
"""Times the pace: the first step (R9)."""
_REACHED = 0.98  # times a pace: slower requests have not tried it (R9)


@define
class Trial:
    """A pace that is tried in place of freedom.

    `free_rate`, `free_count`, `cycle_seconds`: what freedom delivered, what it accepted between two refusals, and how
    long its cycles were. `low`: the sustained pace; `high`: the lowest that was refused. `pause`: the latest.
    """

    free_rate: float
    free_count: float
    cycle_seconds: float
    low: float
    high: float
    pause: float
    ahead_since: float  # the latest time at which it was not behind freedom
    accepted: int = 0  # since then
    factor: float = FIRST_STEP
    caution: float = 1.0  # times the wait for a step
    tried: float = inf  # the refused pace at the last step
    has_failed: bool = False  # the last step; so the next one waits
    is_proven: bool = False  # `low` was sustained since the last refusal that counts
    was_proven: bool = False
    lossy: list[Cycle] = field(factory=list[Cycle])  # those in a row that refused `low`
    counts: list[int] = field(factory=list[int])  # accepted between the latest refusals
    spans: list[float] = field(factory=list[float])  # the seconds of these cycles
    was_ahead: bool = False  # of freedom, at a pace that was sustained
    doubts: int = 0  # refusals since the latest check that gave a reason for one (R15)
    doubts_needed: int = 1
    refusals: int = 0  # since the latest check
    refusals_needed: int = 8
    check: list[Cycle] | None = None  # the cycles of the check in progress
    since: float = 0.0  # the pace is held
    permits: int = 0  # since then
    waited: int = 0
    fastest: float = 0.0  # the highest speed that was accepted since then

    def accept(self, sent_at: float, speed: float) -> None:
        """Note an answer that is no 429 to a request of this time and speed."""
        self.accepted += 1
        if sent_at >= self.since:
            self.fastest = max(self.fastest, speed)

    def sustain(self, pace: float, *, is_spacing: bool) -> float:
        """Note that a pace was sustained. Returns it; on spacing, as far as requests came at it (R9)."""
        self.is_proven = self.was_proven = True
        self.lossy.clear()
        sustained = pace
        if is_spacing and self.fastest:
            sustained = max(self.low, min(pace, self.fastest))
            self.has_failed |= sustained < _REACHED * pace
        self.low = sustained
        return sustained

    def seconds_behind(self, now: float) -> float:
        """Return the seconds that freedom would have needed less for what was accepted; less than 0: more."""
        behind = now - self.ahead_since - self.accepted / self.free_rate
        if behind < 0:
            self.ahead_since, self.accepted = now, 0
        return behind

    def starts_check(self) -> bool:
        """Start a check of the sustained pace, which was refused, if it is time (R15). Returns whether it is."""
        if self.doubts >= self.doubts_needed:
            self.doubts_needed *= 2
        elif self.refusals >= self.refusals_needed:
            self.refusals_needed *= 2
        else:
            return False
        self.doubts = self.refusals = 0
        self.check = []
        return True

    def hold_from(self, now: float) -> None:
        """Hold the pace from now on."""
        self.since, self.permits, self.waited, self.fastest = now, 0, 0, 0.0
