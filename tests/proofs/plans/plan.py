"""The plans of the kill runs: rows by seed, that all can be carried out, each run's own statuses and dates in order."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

from fielding_async import Pause, Resume, RunRef, Update
from fielding_async.core.actions import Action
from fielding_async.core.dates import to_text

from .records import PlannedRow

__all__ = ["FIRST_END", "make_plan", "planned", "ref_of", "what"]

FIRST_END = datetime(2031, 1, 1, tzinfo=UTC)
"""When every run ends at first."""

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_MOST_ROWS_OF_A_RUN = 7
_MOST_RUNS_AT_ONCE = 4096


def _ulid(kind: str, number: int) -> str:
    digits = ""
    for _ in range(10):
        number, digit = divmod(number, 32)
        digits = _CROCKFORD[digit] + digits
    return f"01HZ00000000000{kind}{digits}"


def ref_of(run: int) -> RunRef:
    """Return the ids of a run."""
    return RunRef(101, _ulid("P", 1), _ulid("G", run), _ulid("R", run))


def make_plan(rows: int, seed: int) -> Iterator[tuple[RunRef, Action]]:
    """Yield `rows` rows of runs that are live at first.

    Each run has 1 to 7 rows: pauses and resumes in turn, and updates of its end to one of three dates, so that a run
    comes back to the state that it was in. The rows of many runs are mixed with each other.
    """
    dice = Random(seed)
    open_runs: list[tuple[RunRef, list[Action]]] = []
    runs, planned_rows, yielded = 0, 0, 0
    while yielded < rows:
        while planned_rows < rows and len(open_runs) < _MOST_RUNS_AT_ONCE:
            actions = _actions(dice, min(dice.randint(1, _MOST_ROWS_OF_A_RUN), rows - planned_rows))
            open_runs.append((ref_of(runs), actions))
            runs += 1
            planned_rows += len(actions)
        at = dice.randrange(len(open_runs))
        ref, actions = open_runs[at]
        yield ref, actions.pop(0)
        yielded += 1
        if not actions:
            open_runs[at] = open_runs[-1]
            open_runs.pop()


def _actions(dice: Random, rows: int) -> list[Action]:
    actions: list[Action] = []
    is_live, end = True, 0
    for _ in range(rows):
        if dice.random() < 0.4:
            end = dice.choice([other for other in range(3) if other != end])
            actions.append(Update(end_fielding_at=FIRST_END + timedelta(days=end)))
        else:
            actions.append(Pause() if is_live else Resume())
            is_live = not is_live
    return actions


def what(action: Action) -> str:
    """Return an action as `PlannedRow` has it."""
    if isinstance(action, Update):
        assert action.end_fielding_at is not None
        return f"update {to_text(action.end_fielding_at)}"
    return action.name


def planned(rows: int, seed: int) -> list[PlannedRow]:
    """Return the rows of a plan as a judge takes them."""
    return [
        PlannedRow(number, ref.fielding_run_id, what(action))
        for number, (ref, action) in enumerate(make_plan(rows, seed))
    ]
