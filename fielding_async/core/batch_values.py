"""The results of a batch, as values."""

from typing import Literal

from attrs import field, frozen

from .actions import Action
from .models import Outcome, RunRef

__all__ = ["Done", "LeftState", "Leftover", "OnRowFailure", "Outage", "Stop"]

LeftState = Literal["never sent", "unknown", "ended"]
"""What is known of a row that was taken from the input and not yielded."""

OnRowFailure = Literal["skip", "continue"]
"""What becomes of the later rows of a run after one that failed or is unknown.

If that row has not ended finally, because a resumed batch goes on with it, they are skipped for now in either case.
"""

Stop = Literal["drain", "cancel"]
"""What leaving a batch early does with the rows in flight."""


@frozen
class Done:
    """A row that a batch yields: with an `outcome`, or else with an `error`.

    `number` is the row's place in the input, from 0. `is_open`: the row has not ended, as the `error` has another cause
    than the row itself, such as an outage. The next batch with the same journal tries it again; without a journal the
    caller has to.
    """

    __module__ = "fielding_async"

    ref: RunRef
    action: Action
    outcome: Outcome | None = None
    error: Exception | None = None
    number: int = field(default=-1, kw_only=True)
    is_open: bool = field(default=False, kw_only=True)

    def result(self) -> Outcome:
        """Return the outcome. Raises the error of a row that ended with one."""
        if self.error is not None:
            raise self.error
        assert self.outcome is not None  # noqa: S101 - one of the two is always there
        return self.outcome


@frozen
class Leftover:
    """A row that was taken from the input and not yielded.

    `state` is `"never sent"`; `"unknown"` (its write may or may not be applied); or `"ended"`: it ended while the batch
    was being left, and `done` says how. `number` is the row's place in the input, from 0.
    """

    __module__ = "fielding_async"

    ref: RunRef
    action: Action
    state: LeftState
    done: Done | None = None
    number: int = field(default=-1, kw_only=True)


@frozen(kw_only=True)
class Outage:
    """The exchange cannot be used: a batch starts no rows, and probes with a GET of a run at growing waits.

    `reason` is the last failure, in words. `seconds` is how long the outage has lasted, 0 or more. `next_probe_in` is
    how many seconds from now the next probe is sent, 0 or more; `None` if none is planned, as while one is under way.
    `wait_left` is how many seconds longer the batch waits at most, from 0 to `wait`. `is_given_up`: the batch has
    stopped waiting and starts no more rows; `wait_left` is then 0.
    """

    __module__ = "fielding_async"

    reason: str
    seconds: float
    next_probe_in: float | None
    wait_left: float
    is_given_up: bool = False
