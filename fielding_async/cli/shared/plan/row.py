"""One row of a plan: its values checked, as a run and an action. Pure."""

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from fielding_async.core.actions import Action, Update
from fielding_async.core.dates import to_text
from fielding_async.core.models import RunRef

from .cells.actions import DATES, read_action
from .cells.hints import missing_value
from .cells.ids import IDS, REF, ordinary_ref, read_ref, with_ref
from .cells.if_match import guarded, if_match_problem
from .cells.problems import NOTHING, Problem, wrong

__all__ = [
    "COLUMNS",
    "ERROR",
    "IF_MATCH",
    "BadLine",
    "Defaults",
    "PlanRow",
    "canonical_text",
    "read_row",
]

COLUMNS = (*IDS, "action", *DATES)
"""The columns of a plan."""

ERROR = "error"
"""A column with the error of a row that failed. It is ignored when such a file is read as a plan."""

IF_MATCH = "if_match"
"""A column with the only ETag that a row may be sent under; an empty cell is none."""


@frozen
class Defaults:
    """The account and project of rows that name none. `ignores_extra`: columns that no plan has are left out."""

    account_id: int | None = None
    project_id: str | None = None
    ignores_extra: bool = False


@frozen
class PlanRow:
    """A well-formed row of a plan. `line` is the line on which it starts, counted from 1.

    `ref`: its run, or one whose `fielding_run_id` is `NO_RUN`. `if_match`: the only ETag that it may be sent under, or
    `previous`.
    """

    line: int
    ref: RunRef
    action: Action
    if_match: str | None = None

    @property
    def pair(self) -> tuple[RunRef, Action]:
        """The row as a batch takes it: the action with its ETag, if it has one."""
        return self.ref, guarded(self.action, self.if_match)


@frozen
class BadLine:
    """A line of a plan that is not a valid row, with all its problems."""

    line: int
    problems: tuple[Problem, ...]

    @property
    def text(self) -> str:
        """All problems, on one line."""
        return "; ".join(problem.text for problem in self.problems)


def read_row(line: int, values: Mapping[str, Any], defaults: Defaults) -> PlanRow | BadLine:
    """Return the row that these values make, or all problems with them.

    `values` holds a trimmed text for each column, or a value of another type if the plan is JSON. An empty text and
    `None` are no value. A row without `fielding_run_id` and without a `ref` of four ids names no run; with an empty
    `fielding_run_id` it is wrong.
    """
    problems: list[Problem] = []
    if values.get(REF) not in NOTHING:
        values = with_ref(values, problems)
        if problems:
            return BadLine(line, tuple(problems))
    ref = ordinary_ref(values) or read_ref(values, defaults.account_id, defaults.project_id, problems)
    action = read_action(values, problems)
    if_match = None if values.get(IF_MATCH) in NOTHING else values[IF_MATCH]
    if if_match is not None and (rule := missing_value(if_match) or if_match_problem(if_match)) is not None:
        problems.append(wrong(IF_MATCH, if_match, rule))
    if problems or ref is None or action is None:
        return BadLine(line, tuple(problems))
    return PlanRow(line, ref, action, if_match)


def canonical_text(ref: RunRef, action: Action, if_match: str | None = None) -> str:
    """Return a row as a text that does not depend on how the plan writes it. A plan's digest is over these texts."""
    if isinstance(action, Update):
        start, end = action.start_fielding_at, action.end_fielding_at
        text = f"{ref}|{action.name}|{to_text(start) if start else ''}|{to_text(end) if end else ''}"
    else:
        text = f"{ref}|{action.name}||"
    return f"{text}\n" if if_match is None else f"{text}|{if_match}\n"
