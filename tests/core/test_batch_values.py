"""A row that a batch yields: one of two kinds, which at run time are both a `Done`."""

import pickle

import pytest
from attrs import evolve

from fielding_async import (
    Action,
    ConfigurationError,
    Done,
    DoneWithError,
    DoneWithOutcome,
    Outcome,
    Pause,
    RunRef,
    Update,
)
from fielding_async.core.actions import StatusAction

REF = RunRef(101, "0" * 26, "1" * 26, "run")
OUTCOME = Outcome(ref=REF, action=Pause(), effect="accepted", etag='"8"', requests=2, conflicts=0, trace_id="a" * 32)
WELL = DoneWithOutcome(REF, Pause(), OUTCOME, number=3)
ILL = DoneWithError(REF, Pause(), ValueError("no"), number=4, is_open=True)


def test_both_kinds_are_a_done() -> None:
    """`isinstance` and `issubclass` take the one and the other, and nothing else."""
    assert isinstance(WELL, Done)
    assert isinstance(ILL, Done)
    assert not isinstance(OUTCOME, Done)
    assert issubclass(DoneWithError, Done)
    assert not issubclass(Outcome, Done)


def test_a_row_is_made_as_ever() -> None:
    """`Done(ref, action, outcome, error)` makes the kind that fits, and refuses neither and both."""
    made = Done(REF, Pause(), OUTCOME, number=3)  # type: ignore[operator]
    assert made == WELL
    assert type(made) is DoneWithOutcome
    assert Done(REF, Pause(), None, ILL.error, number=4, is_open=True) == ILL  # type: ignore[operator]
    for both in ({}, {"outcome": OUTCOME, "error": ILL.error}):
        with pytest.raises(ConfigurationError, match="an outcome or an error, and not both"):
            Done(REF, Pause(), **both)  # type: ignore[operator]


def test_a_row_has_what_the_other_kind_has() -> None:
    """Outcome and error can be asked of each row; `result` returns the one or raises the other."""
    assert (WELL.outcome, WELL.error, WELL.number, WELL.is_open) == (OUTCOME, None, 3, False)
    assert (ILL.outcome, ILL.number, ILL.is_open) == (None, 4, True)
    assert WELL.result() is OUTCOME
    with pytest.raises(ValueError, match="no"):
        ILL.result()


def test_a_row_is_a_plain_value() -> None:
    """It pickles, can be copied with a change, and its `repr` leaves out what is always `None`."""
    assert pickle.loads(pickle.dumps(WELL)) == WELL
    again = pickle.loads(pickle.dumps(ILL))
    assert (type(again), repr(again.error), again.number) == (DoneWithError, repr(ILL.error), 4)
    assert evolve(WELL, number=5).number == 5
    assert repr(ILL) == f"DoneWithError(ref={REF!r}, action=Pause(), error=ValueError('no'), number=4, is_open=True)"
    assert "error" not in repr(WELL)


def test_every_action_is_an_action() -> None:
    """The base class has no values of its own, costs nothing, and cannot be performed."""
    assert issubclass(StatusAction, Action)
    assert isinstance(Update(), Action)
    assert Action.__slots__ == ()
    assert not hasattr(Pause(), "__dict__")
    with pytest.raises(TypeError):
        Update("a date")  # type: ignore[call-arg, arg-type]
