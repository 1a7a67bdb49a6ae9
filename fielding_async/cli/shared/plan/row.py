"""One row of a plan: its values checked, as a run and an action. Pure."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from attrs import frozen

from fielding_async.core.actions import Action, Complete, LaunchNow, Pause, Relaunch, Resume, StatusAction, Update
from fielding_async.core.dates import parse_timestamp, to_text
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.ids import check_account_id, check_plain_id, check_ulid
from fielding_async.core.models import RunRef

__all__ = ["ACTIONS", "COLUMNS", "ERROR", "BadLine", "Defaults", "PlanRow", "Problem", "canonical_text", "read_row"]

COLUMNS = (
    "account_id",
    "project_id",
    "target_group_id",
    "fielding_run_id",
    "action",
    "start_fielding_at",
    "end_fielding_at",
)
"""The columns of a plan."""

ERROR = "error"
"""A column with the error of a row that failed. It is ignored when such a file is read as a plan."""

_STATUS_ACTIONS: dict[str, StatusAction] = {
    action.name: action for action in (LaunchNow(), Pause(), Resume(), Complete(), Relaunch())
}
ACTIONS = (*_STATUS_ACTIONS, Update.name)
"""The names of the actions, as the API has them."""

_NOTHING = (None, "")
_SHOWN = 40  # characters of a value that a message repeats
_NO_ZONE = "has no time zone: add Z for UTC, or an offset such as +02:00"
_NO_DATE = "is not an RFC 3339 date and time, such as 2026-08-31T18:00:00Z"
_RULES = {
    "account_id": "is not an account id (a whole number from 0 to 2147483647)",
    "project_id": "is not a project id (26 characters out of 0-9 and A-Z)",
    "target_group_id": "is not a target group id (26 characters out of 0-9 and A-Z)",
    "fielding_run_id": "is not a run id (no / ? # \\ %, spaces or control characters)",
}
_OPTIONS = {"account_id": " (or give --account)", "project_id": " (or give --project)"}


@frozen
class Defaults:
    """The account and project of rows that name none."""

    account_id: int | None = None
    project_id: str | None = None


@frozen
class PlanRow:
    """A well-formed row of a plan. `line` is the line on which it begins, counted from 1."""

    line: int
    ref: RunRef
    action: Action


@frozen
class Problem:
    """One thing that is wrong with a line. `kind` is the same text for all lines with the same problem."""

    kind: str
    text: str


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
    `None` are no value.
    """
    problems: list[Problem] = []
    account = _account(values.get("account_id"), defaults, problems)
    named = values.get("project_id")
    project = _id("project_id", defaults.project_id if named in _NOTHING else named, problems)
    group = _id("target_group_id", values.get("target_group_id"), problems)
    run = _id("fielding_run_id", values.get("fielding_run_id"), problems)
    action = _action(values, problems)
    if problems or account is None or project is None or group is None or run is None or action is None:
        return BadLine(line, tuple(problems))
    return PlanRow(line, RunRef(account, project, group, run), action)


def canonical_text(ref: RunRef, action: Action) -> str:
    """Return a row as a text that does not depend on how the plan writes it. A plan's digest is over these texts."""
    if isinstance(action, Update):
        start, end = action.start_fielding_at, action.end_fielding_at
        return f"{ref}|{action.name}|{to_text(start) if start else ''}|{to_text(end) if end else ''}\n"
    return f"{ref}|{action.name}||\n"


def _wrong(column: str, value: object, rule: str) -> Problem:
    text = value if isinstance(value, str) else str(value)
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    return Problem(f"{column} {rule}", f"{column} {shown!r} {rule}")


def _missing(column: str) -> Problem:
    text = f"{column} is missing{_OPTIONS.get(column, '')}"
    return Problem(text, text)


def _account(value: Any, defaults: Defaults, problems: list[Problem]) -> int | None:
    if value is None or value == "":
        if defaults.account_id is None:
            problems.append(_missing("account_id"))
        return defaults.account_id
    try:
        # digits only: int() would also take 1_000, +1 and digits of other scripts
        text = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _SHOWN
        return check_account_id(int(value) if text else value)
    except ConfigurationError:
        problems.append(_wrong("account_id", value, _RULES["account_id"]))
        return None


def _id(column: str, value: Any, problems: list[Problem]) -> str | None:
    if value is None or value == "":
        problems.append(_missing(column))
        return None
    try:
        return check_plain_id(column, value) if column == "fielding_run_id" else check_ulid(column, value)
    except ConfigurationError:
        problems.append(_wrong(column, value, _RULES[column]))
        return None


def _action(values: Mapping[str, Any], problems: list[Problem]) -> Action | None:
    name = values.get("action")
    if name is None or name == "":
        problems.append(_missing("action"))
        return None
    if name == Update.name:
        return _update(values, problems)
    action = _STATUS_ACTIONS.get(name) if isinstance(name, str) else None
    if action is None:
        near = get_close_matches(name.lower().replace("_", "-"), ACTIONS, 1) if isinstance(name, str) else []
        rule = f"is not an action (one of {', '.join(ACTIONS)})"
        problem = _wrong("action", name, rule)
        problems.append(Problem(problem.kind, problem.text + (f"; did you mean {near[0]!r}?" if near else "")))
        return None
    dates = [column for column in COLUMNS[-2:] if values.get(column) not in _NOTHING]
    problems += [_wrong(column, values[column], "has no place here: only update takes dates") for column in dates]
    return action


def _update(values: Mapping[str, Any], problems: list[Problem]) -> Update | None:
    before = len(problems)
    start, end = (_timestamp(column, values.get(column), problems) for column in COLUMNS[-2:])
    if len(problems) > before:
        return None
    if start is None and end is None:
        text = "update needs start_fielding_at, end_fielding_at or both"
        problems.append(Problem(text, text))
        return None
    try:
        return Update(start, end)
    except ConfigurationError:
        problems.append(_wrong("end_fielding_at", values.get("end_fielding_at"), "is not after start_fielding_at"))
        return None


def _timestamp(column: str, value: Any, problems: list[Problem]) -> Any:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        problems.append(_wrong(column, value, _NO_DATE))
        return None
    try:
        return parse_timestamp(value)
    except ValueError:
        problems.append(_wrong(column, value, _NO_ZONE if _lacks_zone(value) else _NO_DATE))
        return None


def _lacks_zone(text: str) -> bool:
    try:
        parse_timestamp(f"{text}Z")
    except ValueError:
        return False
    return True
