"""Public classes know where they are public: in traces, in pickles, for type hints and in the reference."""

import inspect
import pickle
import pickletools
import typing
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import fielding_async
import fielding_async.sandbox
import fielding_async.webhooks
from fielding_async import (
    BatchResult,
    DoneWithError,
    FieldingError,
    FieldingRun,
    JobFailedError,
    Leftover,
    OutcomeUnknownTimeoutError,
    Pause,
    RunRef,
    RunStatus,
    SkippedError,
    Update,
)

HOMES = (fielding_async, fielding_async.sandbox, fielding_async.webhooks)
PUBLIC = [
    pytest.param(home, value, id=f"{home.__name__}.{name}")
    for home in HOMES
    for name in home.__all__
    if isinstance(value := getattr(home, name), type) or inspect.isfunction(value)
]
REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
NOW = datetime(2031, 1, 31, 8, tzinfo=UTC)
REF = RunRef(101, "0" * 26, "1" * 26, "run")
RUN = FieldingRun(
    id="run",
    status=RunStatus.LIVE,
    version=1,
    start_fielding_at=NOW,
    end_fielding_at=NOW,
    last_changed_at=NOW,
    last_changed_by="somebody",
)
JOB = BatchResult(job_id="job", status="Failed", created_at=NOW, created_by="somebody")
VALUES = [RUN, DoneWithError(REF, Pause(), ValueError()), Leftover(REF, Update(end_fielding_at=NOW), "never sent"), JOB]


def errors() -> list[FieldingError]:
    """Return one error of each class."""
    special: dict[str, dict[str, Any]] = {
        "JobFailedError": {"result": JOB},
        "SkippedError": {"because": ValueError("an earlier row")},
    }
    found: list[FieldingError] = []
    for name in fielding_async.__all__:
        kind = getattr(fielding_async, name)
        if isinstance(kind, type) and issubclass(kind, FieldingError):
            needed = special.get(name, {"status": 400} if issubclass(kind, fielding_async.APIError) else {})
            found.append(kind("what went wrong", method="GET", path="/path", ref=REF, **needed))
    return found


@pytest.mark.parametrize(("home", "value"), PUBLIC)
def test_a_public_name_says_where_it_is_public(home: ModuleType, value: Any) -> None:
    """Its module is the public import path; it pickles by that, its type hints resolve, it stands in the reference."""
    assert value.__module__ == home.__name__
    assert pickle.loads(pickle.dumps(value)) is value
    if isinstance(value, type):
        typing.get_type_hints(value)
    if REFERENCE.exists():
        pages = "".join(page.read_text() for page in REFERENCE.glob("*.md"))
        assert f"{home.__name__}.{value.__name__}\n" in pages


def test_a_pickle_names_nothing_behind_the_public_modules() -> None:
    """What was stored can be read after the modules behind the public ones have moved."""
    stored = pickle.dumps([*VALUES, *errors()])
    texts = {argument for _, argument, _ in pickletools.genops(stored) if isinstance(argument, str)}
    assert {text for text in texts if "fielding_async" in text} == {"fielding_async"}
    assert pickle.loads(pickle.dumps(VALUES[:1])) == VALUES[:1]


@pytest.mark.parametrize("error", errors(), ids=lambda error: type(error).__name__)
def test_an_error_pickles_with_all_it_holds(error: FieldingError) -> None:
    """Class, text and every value come back."""
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), again.args) == (str(error), error.args)
    assert again.__dict__.keys() == error.__dict__.keys()
    assert again.ref == error.ref


def test_an_unknown_outcome_at_the_deadline_is_told_as_one() -> None:
    """`OutcomeUnknownTimeoutError` can be imported, and is both of what people catch."""
    assert issubclass(OutcomeUnknownTimeoutError, fielding_async.OutcomeUnknownError)
    assert issubclass(OutcomeUnknownTimeoutError, TimeoutError)
    assert issubclass(JobFailedError, FieldingError)
    assert issubclass(SkippedError, FieldingError)
