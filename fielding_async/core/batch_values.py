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
"""The state of a row that was taken from the input and not yielded; see `Leftover.state`."""

OnRowFailure = Literal["skip", "continue"]
"""What a batch does with the later rows of a run if an earlier row of this run failed, or if its outcome is unknown.

`"skip"`: they are skipped. `"continue"`: they are performed. If a later batch can still continue the earlier row, the
later rows are skipped for now in both cases.
"""

StopMode = Literal["drain", "cancel"]
"""Whether a batch that is left early waits for its rows in flight (`"drain"`) or cancels them (`"cancel"`)."""


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
    """The row's place in the input, from 0; -1 if the value was made without a place."""
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
    """The run, as the input named it. If the row is not valid, this is what the input had in place of the run."""
    action: Action | Any
    """The action, or the callable change, as the input had it. If the row is not valid, this is what it had instead."""
    error: Exception
    """Why there is no outcome: an error that `Run.perform` raises, or a `SkippedError` for a row that was not sent."""
    outcome: None = field(default=None, init=False, repr=False)
    """Always `None`: the other kind of `Done` has an outcome."""
    number: int = field(default=-1, kw_only=True)
    """The row's place in the input, from 0; -1 if the value was made without a place."""
    is_open: bool = field(default=False, kw_only=True)
    """Whether the row has not ended, because `error` has another cause than the row itself, such as an outage.

    The next batch with the same journal tries the row again. Without a journal, your program has to try it again.
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

        For a type checker, `Done` is the union of the two. After `if done.error is None`, the type checker knows that
        `done.outcome` is an `Outcome`. Both kinds have the attributes `ref`, `action`, `outcome`, `error`, `number` and
        `is_open`, and `result()`, which returns the outcome or raises the error.

        `isinstance(value, Done)` is true for both. `Done(ref, action, outcome, error)` makes one of the two. It raises
        `ConfigurationError` unless you give exactly one of outcome and error. A type checker accepts only
        `DoneWithOutcome(ref, action, outcome)` and `DoneWithError(ref, action, error)`.
        """

        __module__ = "fielding_async"


@frozen
class Leftover:
    """A row that was taken from the input and not yielded."""

    __module__ = "fielding_async"

    ref: RunRef
    """The run, as the input named it."""
    action: Action | Any
    """The action, or the callable change, as the input had it."""
    state: LeftoverState
    """`"never sent"`; `"unknown"`: its write may or may not be applied; `"ended"`: it ended when the batch was left."""
    done: Done | None = None
    """How the row ended if `state` is `"ended"`, otherwise `None`."""
    number: int = field(default=-1, kw_only=True)
    """The row's place in the input, from 0."""


@frozen(kw_only=True)
class Outage:
    """An outage: the exchange cannot be used. The batch starts no rows, and tests the exchange with GETs of a run.

    These GETs are the *probes*. The waits between them grow. All times are in seconds.
    """

    __module__ = "fielding_async"

    reason: str
    """The last failure, in words."""
    seconds: float
    """How long the outage has lasted, in seconds, 0 or more."""
    next_probe_in: float | None
    """Seconds until the next probe, 0 or more; `None` if none is planned, for example because one is in progress."""
    wait_left: float
    """Seconds for which the batch still waits at most, from 0 to the argument `wait`; 0 if it has given up."""
    is_given_up: bool = False
    """Whether the batch has stopped waiting and starts no more rows."""
