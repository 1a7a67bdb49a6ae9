"""The rate learner of many sessions: what all of them observe, in the order in which the store has it.

In freedom a group sends no faster than four times what the cycle before the latest pause delivered, and twice that
after each second: one session has but so many requests in flight when the first is refused, a group many times that.

One session, the leader, keeps it. Its state is a text, so that another can go on where a leader was lost. Times are
seconds of the store's clock. A pause has a number, its epoch.
"""

import json
from collections.abc import Sequence
from math import inf
from typing import Any

from attrs import asdict

from .limit_evidence import Cycle
from .rate_learner import RateLearner
from .trial import Trial

__all__ = ["GroupLearner", "Seen"]

Seen = tuple[str, int, float, float, bool]
"""What (`s`: sent, `a`: accepted), the pause that was the latest then, when it was permitted, at which speed (0: as it
comes), and whether it had waited."""

_LEAST_PACE = 0.5  # requests a second
_MOST_UNDER_WAY = 5000  # requests whose speeds are kept
_FASTER, _DOUBLES, _OPEN = 4.0, 1.0, 750.0  # times what was delivered; seconds; requests a second


class GroupLearner:
    """A `RateLearner` that is fed by many. `epoch`: the pause that it knows as the latest."""

    def __init__(self) -> None:
        self.learner: RateLearner = RateLearner()
        self.epoch: int = 0
        self.until: float = -inf
        """The end of the latest pause."""
        self.has_resumed: bool = True
        """Whether the pace is one for after that pause."""
        self._speeds: dict[float, float] = {}  # of requests that are under way, by when they were permitted
        self._began = -inf  # the cycle
        self._accepted = 0  # in it
        self._delivered = inf  # requests a second, in the cycle before
        self._latest = -inf  # the time of the latest observation

    @property
    def interval(self) -> float:
        """Seconds between requests; 0: nothing spaces them."""
        seconds = max(0.0, self._latest - self._began)
        most = self._delivered * _FASTER * 2.0 ** min(seconds / _DOUBLES, 64.0)
        pace = min(self.learner.pace, inf if most > _OPEN else most)
        return 0.0 if pace == inf else 1.0 / pace

    def observe(self, seen: Seen) -> None:
        """Note that a request was permitted, or accepted."""
        kind, epoch, at, speed, waited = seen
        since, self._latest = abs(at - self._latest), max(self._latest, at)
        if kind == "s":
            # the members' clocks and loops are not exact to less: no speed is taken for one that was kept on purpose
            self._speeds[at] = 1.0 / since if since > 0 else inf
            if len(self._speeds) > _MOST_UNDER_WAY:
                del self._speeds[next(iter(self._speeds))]
            if epoch == self.epoch:  # those of before a pause would end the cycle that it belongs to
                self.resume(at)
                if self._began == -inf:
                    self._began = at
                self.learner.sent(at, waited=waited)
            return
        self._accepted += 1
        self.learner.accepted(at, self._speeds.pop(at, speed), waited=waited)

    def refused(self, epoch: int, at: float, speed: float, pause: float, *, waited: bool, is_first: bool) -> None:
        """Note a 429. `epoch`: the number of the pause that it started, if it `is_first`. `pause`: its seconds."""
        speed = self._speeds.pop(at, speed)
        if not is_first:
            self.learner.refused_too()
            if epoch > self.epoch and self.learner.is_under_way:
                self.learner.held_up(at + pause)
            return
        if not self.has_resumed:
            self.resume(at)
        if not self.learner.is_under_way:
            self.learner.sent(at, waited=waited)
        self.epoch, self.has_resumed = epoch, False
        if self._accepted and self._began > -inf:
            self._delivered = self._accepted / max(at + pause - self._began, 1e-3)
        self.learner.refused(at, speed, pause, waited=waited)

    def resume(self, at: float) -> None:
        """End the cycle of the latest pause, so that the pace is one for after it. `at`: when that pause ends."""
        if not self.has_resumed:
            self.has_resumed = True
            self._began, self._accepted = at, 0
            self.learner.sent(at, waited=True)

    def start_from(self, rate: float, epoch: int) -> None:
        """Start with what one window accepted, in requests a second, where the state of a leader was lost."""
        self.learner = RateLearner(pace=max(rate, _LEAST_PACE), is_opening=False)
        self.epoch, self.has_resumed = epoch, True

    # -- its state as a text

    def dump(self) -> str:
        """Return its state as JSON. Infinity is written as Python's `json` does."""
        state = asdict(self.learner)
        cycle = [self._began, self._accepted, self._delivered, self._latest]
        return json.dumps([state, self.epoch, self.has_resumed, cycle], separators=(",", ":"))

    @classmethod
    def load(cls, text: str | bytes) -> "GroupLearner | None":
        """Return what `dump` has written; `None` for anything else."""
        try:
            state, epoch, has_resumed, cycle = json.loads(text)
            found = cls()
            found.learner = _learner(state)
            found.epoch, found.has_resumed = int(epoch), bool(has_resumed)
            found._began, accepted, found._delivered, found._latest = map(float, cycle)
            found._accepted = int(accepted)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None
        return found


def _learner(state: dict[str, Any]) -> RateLearner:
    def cycle(value: Any) -> Cycle | None:
        return None if value is None else Cycle(**value)

    def cycles(values: Sequence[Any]) -> list[Cycle]:
        return [Cycle(**value) for value in values]

    trial = state["_trial"]
    values: dict[str, Any] = {name.removeprefix("_"): value for name, value in state.items()}
    values["cycle"], values["before"] = cycle(state["_cycle"]), cycle(state["_before"])
    values["lossy"] = cycles(state["_lossy"])
    if trial is not None:
        of_trial: dict[str, Any] = {**trial, "lossy": cycles(trial["lossy"])}
        of_trial["check"] = None if trial["check"] is None else cycles(trial["check"])
        values["trial"] = Trial(**of_trial)
    learner = RateLearner(**values)
    if not learner.pace > 0.0:
        raise ValueError(learner.pace)
    return learner
