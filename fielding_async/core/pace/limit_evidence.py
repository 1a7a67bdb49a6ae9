"""The evidence of a limit that is not known, in cycles of sending and pausing. Pure functions of values.

The rules below are those of this module and of `rate_learner`, which applies them. Paces and rates are requests a
second. *Freedom* is to send without a trial: only the pauses are obeyed, and the short growth of the pace after each
(R3, R4). A *trial* is a pace that is tried instead. To *hold* a pace is to send at it.

What it assumes
---------------
A1  A refusal may have nothing to do with our pace: it is a stray. This is the first hypothesis, and the default.
A2  Otherwise the server accepts so many requests in a time (a window, a bucket that refills), or demands a least
    spacing between two requests, or allows so many in flight. A 429 does not say which.
A3  A pause costs what the server says, whatever the reason. It is obeyed by all hypotheses.
A4  A pace that is right delivers more than freedom, and more requests pass between two refusals than in freedom.
    Where refusals are strays, as many pass between two of them at any pace.

The rules
---------
R1  Cycle: from the first request after a pause to the end of the next pause. A cycle without an accepted request only
    lengthens the pause before it.
R2  A refusal that stands alone costs its pause and the growth of the pace after it (R4). No pace is learned from it.
R3  Opening: until the first refusal that is no stray (R5) six requests may be in flight at any time, and up to 32 if
    they come one by one. The others follow a pace that starts at 8.5 and grows with each accepted request. Above 750
    there is no pace.
R4  Resume: after a refusal freedom starts again at half the pace, at most at twice what the last cycle accepted in a
    second (in the pause, if that was shorter), and at least at 8.5, or at eight requests in the time of the pause. The
    pace grows as in the opening while requests wait for it.
R5  Stray: if three requests that were sent after the refused one passed for each that was refused, the refusal was not
    for the pace. The pace stays as it was, and the evidence so far is dropped.
R6  Lossy: a cycle counts against freedom if its pause took over a third of it while requests waited: at least half of
    all, and the refused one. Light demand therefore concludes nothing. Idle time drops the evidence so far.
R7  Spacing: one speed parts two cycles in a row: what was accepted in either came slower than what was refused in
    either. The second is lossy; the first is lossy too, or less than a third of what it sent was accepted. The trial
    starts just below that speed, but not if the two delivered more. Late requests do not bring the next one closer.
R8  Amount: two lossy cycles in a row delivered the same within a factor of 1.6 (or four did not), and sixteen requests
    or more were accepted. The trial starts at 0.98 of the lower of the two rates, and never below what was delivered.
    A pause in whole seconds may be up to a second too long, so that much is left out of the rate.
R9  Raising: a pace that was held for 1 to 2 s while requests waited is sustained. It grows by 1.25, and by more with
    each success. Past 750 the trial is over, and there is no pace. On spacing, late timers may have kept all requests
    slower than the pace: only the highest speed that was accepted is sustained then.
R10 Probe: a raised pace that is refused is left for the sustained one. The next step is the middle of the two, or a
    tenth more if they are close. It waits for as many pauses as pay for it: the pause divided by the gain, 20 s at
    most. A step that succeeds is followed by the next without a wait. On spacing the first step waits, too, and so does
    the next one after a pace that was not reached (R9). Each failure of a tenth lengthens the wait.
R11 Cut: a pause of less than 15 % of the time at a pace never lowers it, nor does one refusal of a pace that was
    sustained since the last. Otherwise the pace falls by 7 %, or to what two cycles indicate (R8), at least to what
    they delivered and to half of what freedom did.
R12 Loss: a trial that falls behind freedom by the time of three of freedom's cycles is dropped. So is a trial of
    spacing that is refused again after fewer than eight accepted requests.
R13 Pointless: if no more than twice as many requests pass between refusals as in freedom, over four refusals, they are
    strays (A4). The trial is dropped. If it was one of an amount, freedom is without R4 until a trial succeeds.
R14 Each trial of an amount that was dropped doubles the number of lossy cycles that the next one needs, up to eight.
    After a loss (R12) at pauses under half a second, beside which R4 is slow, freedom is without R4 as well, unless it
    did not deliver more without R4 before. A trial that delivers more than freedom resets both. After a trial of
    spacing whose pace was never sustained, the next trial is one of an amount.
R15 Check: a trial may rest on strays that came close together. A sustained pace that is refused while requests wait is
    checked after eight refusals, and at once if freedom delivered 1.25 times what the cycle did and the trial was never
    ahead of it. The next cycle is sent at four times the pace, or the next two if one accepted less than a handful
    (R8). If they deliver 1.25 times what the latest four did, or that pace is sustained for 1.25 times as many requests
    as passed in each of these, the refusals were not for the pace, and the trial is dropped as by R13. Each check
    doubles the number of such refusals that the next one needs. Slight pauses (R11) start none.

What is doubtful
----------------
D1  Strict spacing under jitter with rounded pauses: each pair that the network brings too close costs a second. No
    pace well below the limit avoids that, and none near it can be held. Costs of 2 to 5 times the ideal remain.
D2  A lone refusal against strict spacing: the first refusal of both looks the same. Because R2 comes first, a server
    with strict spacing is recognized after two refusals, about 2.5 s. One that allows less than 8.5 requests a second
    refuses the second request of each cycle, which parts no speeds: R8 finds it after sixteen requests.
D3  A Retry-After of 5 s on a window of 1 s: each refusal costs five windows, and what a cycle delivers is a fifth of
    the limit. R9 finds the rest in some seconds, and each step too far costs 5 s. Where plain obedience happens to meet
    no refusal at all, its mean latency may be a fifteenth.
D4  A step that lasts 1 to 2 s may cross the border of two windows. It is then sustained though it is above the limit,
    and the next refusals correct it, each at the cost of a pause.
D5  Strays of a few percent with long pauses, where requests always wait, look like an amount until R13 or R15 tells.
D6  A limit on what is in flight is obeyed by a pace, not by a bound. That suits service times that vary little.
D7  A limit that rises is found by the next probe (R10), up to 20 s later.
D8  Sessions that share a limit do not agree on their parts. Each gets one, but a small one may be a fifth of an even
    part with two sessions, and an eighth with four.
"""

from collections.abc import Sequence
from math import inf

from attrs import define

__all__ = ["Cycle", "delivered", "indicated", "parting_speeds"]

_LOSSY = 1 / 3  # of a cycle's seconds: a longer pause counts against freedom (R6)
_STRAY = 3  # requests sent later that passed, for each that was refused (R5)
_SHORTEST = 1e-3  # seconds of sending, so that no rate is infinite
_JITTER = 1.02  # times a speed: as much is due to timers (R7)


@define
class Cycle:
    """What was seen from the first request after a pause to the end of the next pause (R1).

    `began`: when, in seconds. `permits`: how many were sent; `waited`: how many of these had waited; `accepted`: how
    many answers were no 429. `fastest`: the highest speed (from its spacing to the request before) of one that was
    accepted and sent before the refused one. `refused_at`, `refused_speed`, `refused_waited`: when the first refused
    one was sent, its speed, whether it had waited. `pause`: its seconds. `refused`: how many 429s. `passed`: how many
    requests were sent after the refused one and accepted.
    """

    began: float
    permits: int = 0
    waited: int = 0
    accepted: int = 0
    fastest: float = 0.0
    refused_at: float = 0.0
    refused_speed: float = inf
    refused_waited: bool = False
    pause: float = 0.0
    refused: int = 0
    passed: int = 0

    @property
    def sending(self) -> float:
        """Seconds until the refused request was sent."""
        return max(self.refused_at - self.began, _SHORTEST)

    @property
    def seconds(self) -> float:
        """All its seconds."""
        return self.sending + self.pause

    @property
    def least_seconds(self) -> float:
        """Its seconds, less those by which a pause in whole seconds may be too long (R8)."""
        is_rounded = self.pause >= 1.0 and self.pause % 1.0 == 0.0
        return max(self.pause, self.seconds - 1.0) if is_rounded else self.seconds

    @property
    def is_stray(self) -> bool:
        """Whether its refusal was not for the pace (R5)."""
        return self.passed >= _STRAY * self.refused

    @property
    def is_crowded(self) -> bool:
        """Whether requests waited in it: at least half of all, and the refused one (R6)."""
        return self.refused_waited and 2 * self.waited >= self.permits

    @property
    def is_lossy(self) -> bool:
        """Whether it counts against freedom (R6)."""
        return self.is_crowded and self.accepted > 0 and self.pause > self.seconds * _LOSSY

    @property
    def is_burst(self) -> bool:
        """Whether most of what it sent was refused at once, as by a limit on spacing."""
        return 3 * self.accepted < self.permits


def delivered(cycles: Sequence[Cycle]) -> float:
    """Return how many requests a second were accepted, pauses included."""
    return sum(cycle.accepted for cycle in cycles) / sum(cycle.seconds for cycle in cycles)


def indicated(cycles: Sequence[Cycle]) -> float:
    """Return how many a second the server may have accepted without a pause (R8)."""
    return sum(cycle.accepted for cycle in cycles) / sum(cycle.least_seconds for cycle in cycles)


def parting_speeds(one: Cycle, other: Cycle) -> tuple[float, float] | None:
    """Return the speeds between which one parts what two cycles accepted from what they refused (R7), if any does."""
    accepted, refused = max(one.fastest, other.fastest), min(one.refused_speed, other.refused_speed)
    return (min(accepted, refused), max(accepted, refused)) if 0.0 < accepted <= refused * _JITTER < inf else None
