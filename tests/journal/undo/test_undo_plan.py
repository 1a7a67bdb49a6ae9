"""What takes back the rows of a journal: each rule, and random journals held against a model of runs."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from fielding_async import FieldingRun, JournalRow, RunRef
from fielding_async.core.actions import (
    PREVIOUS,
    Action,
    Complete,
    LaunchNow,
    Pause,
    Relaunch,
    Resume,
    StatusAction,
    Update,
)
from fielding_async.core.errors import ConfigurationError
from fielding_async.journal.undo.undo_plan import UndoPlan, undo_plan

START = datetime(2031, 1, 1, tzinfo=UTC)
END = datetime(2031, 2, 1, tzinfo=UTC)
LATER = END + timedelta(days=7)
LIVE = FieldingRun(id="R1", status="live", version=4, start_fielding_at=START, end_fielding_at=END, etag='W/"4"')
PAUSED = evolve(LIVE, status="paused")


def ref(run: str = "R1") -> RunRef:
    return RunRef(101, "0" * 26, "1" * 26, run)


def row(number: int, action: Action, before: FieldingRun | None = LIVE, *, run: str = "R1", **more: Any) -> JournalRow:
    """Return a row that was sent as the row before left the run, and ended `accepted`, or as `more` says."""
    if before is not None and before.etag == LIVE.etag:
        before = evolve(before, etag=f'W/"{number + 4}"')
    known: dict[str, Any] = {"state": "done", "effect": "accepted", "etag": f'W/"{number + 5}"'} | more
    return JournalRow(number=number, ref=ref(run), action=action, before=before, **known)


def undone(plan: UndoPlan) -> list[tuple[int, Action, str]]:
    return [(row.number, row.action, row.if_match) for row in plan.rows]


def reasons(plan: UndoPlan) -> dict[int, str]:
    return {row.number: row.reason for row in plan.listed}


@pytest.mark.parametrize(
    ("action", "before", "inverse"),
    [
        (Pause(), LIVE, Resume()),
        (Resume(), PAUSED, Pause()),
        (Update(end_fielding_at=LATER), LIVE, Update(end_fielding_at=END)),
        (Update(start_fielding_at=START - timedelta(1)), PAUSED, Update(start_fielding_at=START)),
        (
            Update(start_fielding_at=START, end_fielding_at=LATER),
            LIVE,
            Update(start_fielding_at=START, end_fielding_at=END),
        ),
    ],
)
def test_what_an_accepted_row_did_is_taken_back(action: Action, before: FieldingRun, inverse: Action) -> None:
    """Pauses and resumes lead back, an update leads to the dates before of the bounds that it named."""
    plan = undo_plan([row(0, action, before)])
    assert undone(plan) == [(0, inverse, 'W/"5"')]
    assert plan.listed == ()


@pytest.mark.parametrize("action", [LaunchNow(), Complete(), Relaunch()])
def test_what_no_action_takes_back_is_listed(action: Action) -> None:
    """A launch, a complete and a relaunch are listed with their own reason."""
    plan = undo_plan([row(0, action)])
    assert not plan.rows
    assert "cannot be taken back" in reasons(plan)[0]


@pytest.mark.parametrize(
    "more",
    [
        {"effect": "already"},
        {"effect": "unconfirmed"},
        {"effect": None, "state": "failed"},
        {"effect": None, "state": "unknown"},
        {"effect": None, "state": "skipped"},
        {"effect": None, "state": "stuck"},
        {"effect": None, "state": "in flight"},
    ],
)
def test_a_row_that_did_not_end_accepted_is_listed_with_those_before_it(more: dict[str, Any]) -> None:
    """The undo of a run goes back to the first row, from its end, that did not end accepted; other runs go on."""
    plan = undo_plan(
        [
            row(0, Pause()),
            row(1, Resume(), PAUSED, **more),
            row(2, Update(end_fielding_at=LATER)),
            row(3, Pause(), run="R2"),
        ]
    )
    assert undone(plan) == [(3, Resume(), 'W/"8"'), (2, Update(end_fielding_at=END), 'W/"7"')]
    assert reasons(plan).keys() == {0, 1}
    assert reasons(plan)[1] in reasons(plan)[0]


def test_rows_of_a_run_are_taken_back_from_the_last_one_on() -> None:
    """The first is sent under the ETag that the last write left, each later one under that of the row before."""
    rows = [row(0, Pause()), row(1, Update(end_fielding_at=LATER), PAUSED), row(2, Resume(), PAUSED)]
    expected = [(2, Pause(), 'W/"7"'), (1, Update(end_fielding_at=END), PREVIOUS), (0, Resume(), PREVIOUS)]
    assert undone(undo_plan(rows)) == expected
    assert undone(undo_plan(reversed(rows))) == expected


@pytest.mark.parametrize(
    ("first", "middle", "reason"),
    [({}, evolve(PAUSED, etag='W/"9"'), "somebody else"), ({"etag": None}, PAUSED, "does not hold the ETag")],
)
def test_nothing_is_taken_back_over_what_somebody_else_wrote(
    first: dict[str, Any], middle: FieldingRun, reason: str
) -> None:
    """A row that the next one did not follow directly, also one that changed nothing, ends the way back."""
    later = Update(end_fielding_at=LATER)
    plan = undo_plan([row(0, Pause(), **first), row(1, later, middle), row(2, Resume(), PAUSED)])
    assert undone(plan) == [(2, Pause(), 'W/"7"'), (1, Update(end_fielding_at=END), PREVIOUS)]
    assert reason in reasons(plan)[0]
    plan = undo_plan([row(0, Pause(), **first), row(1, Update(end_fielding_at=END), middle), row(2, Resume(), PAUSED)])
    assert undone(plan) == [(2, Pause(), 'W/"7"')]
    assert reason in reasons(plan)[0]


def test_a_row_that_changed_nothing_is_listed_and_keeps_none_from_being_taken_back() -> None:
    """An accepted write of what was there already needs no undo; the ETag that it left is the one that counts."""
    rows = [row(0, Pause()), row(1, Update(end_fielding_at=END), PAUSED), row(2, Pause(), PAUSED)]
    plan = undo_plan(rows)
    assert undone(plan) == [(0, Resume(), 'W/"7"')]
    assert reasons(plan).keys() == {1, 2}


@pytest.mark.parametrize(
    ("action", "before", "more", "reason"),
    [
        (Pause(), None, {}, "as it was before"),
        (Pause(), LIVE, {"etag": None}, "does not hold the ETag"),
        (Pause(), evolve(LIVE, status="scheduled"), {}, "scheduled before"),
        (Resume(), evolve(LIVE, status="completed"), {}, "completed before"),
        (Update(end_fielding_at=LATER), evolve(LIVE, end_fielding_at=END + timedelta(microseconds=5)), {}, "finer"),
        (
            Update(start_fielding_at=START, end_fielding_at=LATER),
            evolve(LIVE, start_fielding_at=END, end_fielding_at=START),
            {},
            "not in order",
        ),
    ],
)
def test_a_row_is_not_taken_back_without_knowing_how(
    action: Action, before: FieldingRun | None, more: dict[str, Any], reason: str
) -> None:
    """Where the journal does not say how the run was, or no action leads back to that, the row is listed."""
    plan = undo_plan([row(0, action, before, **more)])
    assert not plan.rows
    assert reason in reasons(plan)[0]


def test_a_row_without_a_run_is_listed() -> None:
    """A bad row named no run, and holds up no other."""
    bad = JournalRow(number=1, ref=None, action=None, state="failed", error=ConfigurationError.__name__)
    plan = undo_plan([row(0, Pause()), bad])
    assert undone(plan) == [(0, Resume(), 'W/"5"')]
    assert reasons(plan).keys() == {1}


ACTIONS: list[Action] = [
    Pause(),
    Resume(),
    Complete(),
    Update(end_fielding_at=LATER),
    Update(end_fielding_at=LATER + timedelta(1)),
    Update(start_fielding_at=START - timedelta(1)),
    Update(start_fielding_at=START + timedelta(1), end_fielding_at=LATER),
]
ALLOWED = {"pause": "live", "resume": "paused", "complete": "live"}
Way = Literal["accepted", "already", "unconfirmed", "unknown", "failed"]
steps = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(ACTIONS),
        st.sampled_from(
            ["accepted", "accepted", "accepted", "accepted", "already", "unconfirmed", "unknown", "failed"]
        ),
    ),
    max_size=24,
)


def after(run: FieldingRun, action: Action) -> FieldingRun:
    """Return a run as an accepted write leaves it; the exchange's rules are asserted."""
    if isinstance(action, Update):
        run = evolve(
            run,
            start_fielding_at=action.start_fielding_at or run.start_fielding_at,
            end_fielding_at=action.end_fielding_at or run.end_fielding_at,
        )
    else:
        assert isinstance(action, StatusAction)
        assert ALLOWED[action.name] == run.status
        run = evolve(run, status=action.target)
    assert run.version is not None
    return evolve(run, version=run.version + 1, etag=f'W/"{run.version + 1}"')


@given(steps)
def test_any_journal_is_taken_back_as_far_as_it_goes(steps: list[tuple[int, Action, Way]]) -> None:
    """The counts add up; each undo is legal under the ETag it is sent under; runs with accepted rows only are as ever.

    A run with another row is left as it was after the last row that is not taken back.
    """
    runs = {number: evolve(LIVE, id=f"R{number}") for number in range(4)}
    journal: list[JournalRow] = []
    states: defaultdict[RunRef, dict[int, FieldingRun]] = defaultdict(dict)  # before each row
    for number, (which, action, way) in enumerate(steps):
        run = runs[which]
        if way == "accepted" and not isinstance(action, Update) and ALLOWED[action.name] != run.status:
            way = "failed"
        states[ref(run.id)][number] = run
        if way == "accepted":
            runs[which] = after(run, action)
        done: dict[str, Any] = {"state": way, "effect": None, "etag": None}
        if way in {"accepted", "already", "unconfirmed"}:
            done = {"state": "done", "effect": way, "etag": runs[which].etag}
        journal.append(row(number, action, run, run=run.id, **done))
    plan = undo_plan(journal)
    numbers = [undo.number for undo in plan.rows] + [left.number for left in plan.listed]
    assert sorted(numbers) == list(range(len(journal)))
    assert [row.number for row in plan.rows] == sorted((row.number for row in plan.rows), reverse=True)
    now = {ref(run.id): run for run in runs.values()}
    seen: set[RunRef] = set()
    for undo in plan.rows:
        assert undo.if_match == (PREVIOUS if undo.ref in seen else now[undo.ref].etag)
        seen.add(undo.ref)
        now[undo.ref] = after(now[undo.ref], undo.action)
    for run_ref, befores in states.items():
        of_run = [found for found in journal if found.ref == run_ref]
        kept = [found for found in of_run if found.effect != "accepted" or isinstance(found.action, Complete)]
        since = max((found.number for found in kept), default=-1)
        first = next((number for number in befores if number > since), None)
        if first is not None:
            assert same(now[run_ref], befores[first])
    assert all(reason for reason in reasons(plan).values())


def same(run: FieldingRun, other: FieldingRun) -> bool:
    names = ("status", "start_fielding_at", "end_fielding_at")
    return all(getattr(run, name) == getattr(other, name) for name in names)
