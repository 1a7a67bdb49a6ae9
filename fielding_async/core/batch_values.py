"""The results of a batch, as values."""

from typing import TYPE_CHECKING, Any, Literal, Never, TypeAlias

from attrs import field, frozen

from .errors import ConfigurationError
from .models import Action, Outcome, RunRef

__all__ = [
    "Done",
    "DoneWithError",
    "DoneWithOutcome",
    "Leftover",
    "LeftoverState",
    "OnRowFailure",
    "Outage",
    "StopMode",
]

LeftoverState = Literal["never sent", "unknown", "ended"]
"""What is known of a row that was taken from the input and not yielded."""

OnRowFailure = Literal["skip", "continue"]
"""What becomes of the later rows of a run after one that failed or is unknown.

If that row has not ended finally, because a resumed batch continues with it, they are skipped for now in either case.
"""

StopMode = Literal["drain", "cancel"]
"""What leaving a batch early does with the rows in flight."""


@frozen
class DoneWithOutcome:
    """A row that a batch yields, and that ended with an outcome: one of the two kinds of `Done`."""

    __module__ = "fielding_async"

    ref: RunRef
    """The run, as the input named it."""
    action: Action | Any
    """The action, or the callable change, as the input had it."""
    outcome: Outcome
    """What became of the action."""
    error: None = field(default=None, init=False, repr=False)
    """Always `None`: the other kind of `Done` has an error."""
    number: int = field(default=-1, kw_only=True)
    """The row's place in the input, from 0. -1 if it was made without one."""
    is_open: bool = field(default=False, kw_only=True)
    """Always `False`: a row with an outcome has ended."""

    def result(self) -> Outcome:
        """Return the outcome."""
        return self.outcome


@frozen
class DoneWithError:
    """A row that a batch yields, and that has an error in place of an outcome: one of the two kinds of `Done`."""

    __module__ = "fielding_async"

    ref: RunRef
    """The run, as the input named it. In a bad row it is what stood in the place of the ref."""
    action: Action | Any
    """The action, or the callable change, as the input had it. In a bad row it is what stood in its place."""
    error: Exception
    """Why there is no outcome: an error that `Run.perform` raises, or a `SkippedError` for a row that was not sent."""
    outcome: None = field(default=None, init=False, repr=False)
    """Always `None`: the other kind of `Done` has an outcome."""
    number: int = field(default=-1, kw_only=True)
    """The row's place in the input, from 0. -1 if it was made without one."""
    is_open: bool = field(default=False, kw_only=True)
    """Whether the row has not ended, because `error` has another cause than the row itself, such as an outage.

    The next batch with the same journal tries it again. Without a journal the caller has to.
    """

    def result(self) -> Never:
        """Raise the error."""
        raise self.error


if TYPE_CHECKING:
    Done: TypeAlias = DoneWithOutcome | DoneWithError
    """A row that a batch yields: a `DoneWithOutcome` or a `DoneWithError`."""
else:

    class _DoneType(type):
        """What makes `Done` at run time what its two kinds have in common: its instances are theirs."""

        def __call__(cls, ref, action, outcome=None, error=None, *, number=-1, is_open=False):
            if (outcome is None) is (error is None):
                raise ConfigurationError("Done: must have an outcome or an error, and not both")
            if error is None:
                return DoneWithOutcome(ref, action, outcome, number=number, is_open=is_open)
            return DoneWithError(ref, action, error, number=number, is_open=is_open)

        def __instancecheck__(cls, value):
            return isinstance(value, DoneWithOutcome | DoneWithError)

        def __subclasscheck__(cls, kind):
            return issubclass(kind, DoneWithOutcome | DoneWithError)

    class Done(metaclass=_DoneType):
        """A row that a batch yields: a `DoneWithOutcome` or a `DoneWithError`.

        To a type checker it is the union of the two. After `if done.error is None` it knows that `done.outcome` is an
        `Outcome`. Both kinds have the attributes `ref`, `action`, `outcome`, `error`, `number` and `is_open`, and
        `result()`, which returns the outcome or raises the error.

        `isinstance(value, Done)` is true for both. `Done(ref, action, outcome, error)` makes the one or the other, and
        raises `ConfigurationError` unless exactly one of outcome and error is given. A type checker accepts
        `DoneWithOutcome(ref, action, outcome)` and `DoneWithError(ref, action, error)` only.
        """

        __module__ = "fielding_async"


@frozen
class Leftover:
    """A row that was taken from the input and not yielded.

    `state` is `"never sent"`; `"unknown"` (its write may or may not be applied); or `"ended"`: it ended while the batch
    was being left, and `done` says how. `number` is the row's place in the input, from 0.
    """

    __module__ = "fielding_async"

    ref: RunRef
    """The run, as the input named it."""
    action: Action | Any
    """The action, or the callable change, as the input had it."""
    state: LeftoverState
    """`"never sent"`, `"unknown"` (its write may or may not be applied) or `"ended"` (while the batch was left)."""
    done: Done | None = None
    """How the row ended if `state` is `"ended"`, otherwise `None`."""
    number: int = field(default=-1, kw_only=True)
    """The row's place in the input, from 0."""


@frozen(kw_only=True)
class Outage:
    """The exchange cannot be used: a batch starts no rows, and probes with a GET of a run at growing waits.

    `reason` is the last failure, in words. `seconds` is how long the outage has lasted, 0 or more. `next_probe_in` is
    how many seconds from now the next probe is sent, 0 or more; `None` if none is planned, as while one is in progress.
    `wait_left` is how many seconds longer the batch waits at most, from 0 to `wait`. `is_given_up`: the batch has
    stopped waiting and starts no more rows; `wait_left` is then 0.
    """

    __module__ = "fielding_async"

    reason: str
    """The last failure, in words."""
    seconds: float
    """How long the outage has lasted, in seconds, 0 or more."""
    next_probe_in: float | None
    """Seconds until the next probe, 0 or more; `None` if none is planned, as while one is in progress."""
    wait_left: float
    """Seconds that the batch waits at most from now, from 0 to `wait`."""
    is_given_up: bool = False
    """Whether the batch has stopped waiting and starts no more rows."""
