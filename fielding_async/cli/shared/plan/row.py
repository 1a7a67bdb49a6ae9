"""One row of a plan: its values checked, as a run and an action. Pure."""

import re
from collections.abc import Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from attrs import frozen

from fielding_async.core.actions import Action, Complete, LaunchNow, Pause, Relaunch, Resume, StatusAction, Update
from fielding_async.core.dates import to_text
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.ids import check_account_id, check_ulid, is_plain_id
from fielding_async.core.models import RunRef

from .hints import MISSING, cell_hint, missing_value
from .if_match import guarded, if_match_problem
from .plan_dates import date_problem, read_plan_date
from .problems import NOTHING, SHOWN, BadLine, Problem, missing, wrong

__all__ = [
    "ACTIONS",
    "COLUMNS",
    "ERROR",
    "IF_MATCH",
    "REF",
    "BadLine",
    "Defaults",
    "PlanRow",
    "Problem",
    "canonical_text",
    "read_row",
]

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

REF = "ref"
"""A column with the four ids in one text, `account/project/target group/run`, in place of four columns."""

IF_MATCH = "if_match"
"""A column with the only ETag that a row may be sent under; an empty cell is none."""

_IDS = COLUMNS[:4]
_DATES = ("start_fielding_at", "end_fielding_at")
_STATUS_ACTIONS: dict[str, StatusAction] = {
    action.name: action for action in (LaunchNow(), Pause(), Resume(), Complete(), Relaunch())
}
ACTIONS = (*_STATUS_ACTIONS, Update.name)
"""The names of the actions, as the API has them."""

_ORDINARY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)  # a run id that nothing has spoilt, unless it is in MISSING
_ORDINARY_REF = re.compile(r"\d{1,9}/[0-9A-Z]{26}/[0-9A-Z]{26}/[A-Za-z0-9_-]+", re.ASCII)
_WHOLE_NUMBER = re.compile(r"(\d{1,40})\.0", re.ASCII)
_RULES = {
    "account_id": "is not an account id (a whole number from 0 to 2147483647)",
    "project_id": "is not a project id (26 characters out of 0-9 and A-Z)",
    "target_group_id": "is not a target group id (26 characters out of 0-9 and A-Z)",
    "fielding_run_id": "is not a run id (no / ? # \\ %, spaces or control characters)",
}


@frozen
class Defaults:
    """The account and project of rows that name none. `ignores_extra`: columns that no plan has are left out."""

    account_id: int | None = None
    project_id: str | None = None
    ignores_extra: bool = False


@frozen
class PlanRow:
    """A well-formed row of a plan. `line` is the line on which it begins, counted from 1.

    `if_match`: the only ETag that it may be sent under, or `previous`.
    """

    line: int
    ref: RunRef
    action: Action
    if_match: str | None = None

    @property
    def pair(self) -> tuple[RunRef, Action]:
        """The row as a batch takes it: the action with its ETag, if it has one."""
        return self.ref, guarded(self.action, self.if_match)


def read_row(line: int, values: Mapping[str, Any], defaults: Defaults) -> PlanRow | BadLine:
    """Return the row that these values make, or all problems with them.

    `values` holds a trimmed text for each column, or a value of another type if the plan is JSON. An empty text and
    `None` are no value.
    """
    problems: list[Problem] = []
    if values.get(REF) not in NOTHING:
        values = _with_ref(values, problems)
        if problems:
            return BadLine(line, tuple(problems))
    ref = _ordinary_ref(values) or _read_ref(values, defaults, problems)
    action = _action(values, problems)
    if_match = None if values.get(IF_MATCH) in NOTHING else values[IF_MATCH]
    if if_match is not None and (rule := missing_value(if_match) or if_match_problem(if_match)) is not None:
        problems.append(wrong(IF_MATCH, if_match, rule))
    if problems or ref is None or action is None:
        return BadLine(line, tuple(problems))
    return PlanRow(line, ref, action, if_match)


def _ordinary_ref(values: Mapping[str, Any]) -> RunRef | None:
    """Return the ref of a row whose ids are four texts in their usual form, as most are: one match in place of four."""
    get = values.get
    ids: tuple[Any, ...] = (get("account_id"), get("project_id"), get("target_group_id"), get("fielding_run_id"))
    try:
        if _ORDINARY_REF.fullmatch("/".join(ids)) is None or ids[3] in MISSING:
            return None
    except TypeError:
        return None  # one of them is no text
    return RunRef(int(ids[0]), ids[1], ids[2], ids[3])


def _read_ref(values: Mapping[str, Any], defaults: Defaults, problems: list[Problem]) -> RunRef | None:
    account = _account(values.get("account_id"), defaults, problems)
    named = values.get("project_id")
    project = _id("project_id", defaults.project_id if named in NOTHING else named, problems)
    group = _id("target_group_id", values.get("target_group_id"), problems)
    run = _run_id(values.get("fielding_run_id"), problems)
    if account is None or project is None or group is None or run is None:
        return None
    return RunRef(account, project, group, run)


def canonical_text(ref: RunRef, action: Action, if_match: str | None = None) -> str:
    """Return a row as a text that does not depend on how the plan writes it. A plan's digest is over these texts."""
    if isinstance(action, Update):
        start, end = action.start_fielding_at, action.end_fielding_at
        text = f"{ref}|{action.name}|{to_text(start) if start else ''}|{to_text(end) if end else ''}"
    else:
        text = f"{ref}|{action.name}||"
    return f"{text}\n" if if_match is None else f"{text}|{if_match}\n"


def _with_ref(values: Mapping[str, Any], problems: list[Problem]) -> Mapping[str, Any]:
    """Return the values with the four ids that the ref names."""
    ref = values[REF]
    parts = ref.split("/") if isinstance(ref, str) else []
    if len(parts) != len(_IDS):
        problems.append(wrong(REF, ref, "is not the four ids of a run (account/project/target group/run)"))
        return values
    for column, part in zip(_IDS, parts, strict=True):
        value = values.get(column)
        if value not in NOTHING and (column != "account_id" or str(value) != f"{part}.0") and str(value) != part:
            problems.append(wrong(column, value, "is not what ref says", f" ({part[:SHOWN]!r})"))
    return {**values, **dict(zip(_IDS, parts, strict=True))}


def _wrong_id(column: str, value: object) -> Problem:
    absent = missing_value(value)
    if absent is not None:
        return wrong(column, value, absent)
    rule = _RULES[column]
    hint = cell_hint(value, is_text=column != "account_id")
    return (
        wrong(column, value, f"{rule.partition(' (')[0]}: {hint[0]}", hint[1]) if hint else wrong(column, value, rule)
    )


def _account(value: Any, defaults: Defaults, problems: list[Problem]) -> int | None:
    if value is None or value == "":
        if defaults.account_id is None:
            problems.append(missing("account_id"))
        return defaults.account_id
    try:
        # digits only: int() would also take 1_000, +1 and digits of other scripts
        text = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= SHOWN
        return check_account_id(int(value) if text else _whole(value))
    except ConfigurationError:
        problems.append(_wrong_id("account_id", value))
        return None


def _whole(value: Any) -> Any:
    """Return the whole number that is written as 101.0 (pandas, where other rows have none); else the value itself."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    match = _WHOLE_NUMBER.fullmatch(value) if isinstance(value, str) else None
    return value if match is None else int(match[1])


def _id(column: str, value: Any, problems: list[Problem]) -> str | None:
    if value is None or value == "":
        problems.append(missing(column))
        return None
    try:
        return check_ulid(column, value)
    except ConfigurationError:
        problems.append(_wrong_id(column, value))
        return None


def _run_id(value: Any, problems: list[Problem]) -> str | None:
    if value is None or value == "":
        problems.append(missing("fielding_run_id"))
        return None
    if isinstance(value, str):
        if _ORDINARY.fullmatch(value) and value not in MISSING:
            return value
        # the exchange would take such an id for that of an unknown run, row by row
        if is_plain_id(value) and value not in MISSING and cell_hint(value, is_text=True) is None:
            return value
    problems.append(_wrong_id("fielding_run_id", value))
    return None


def _action(values: Mapping[str, Any], problems: list[Problem]) -> Action | None:
    name = values.get("action")
    if name is None or name == "":
        problems.append(missing("action"))
        return None
    action = _STATUS_ACTIONS.get(name) if isinstance(name, str) else None
    if action is None and name != Update.name:
        plain = name.lower().replace("_", "-").replace(" ", "-") if isinstance(name, str) and name.isascii() else ""
        action = _STATUS_ACTIONS.get(plain)
        if action is None and plain != Update.name:
            problems.append(_wrong_action(name, plain))
            return None
    if action is None:
        return _update(values, problems)
    for column in _DATES:
        value = values.get(column)
        if value not in NOTHING:
            problems.append(wrong(column, value, missing_value(value) or "has no place here: only update takes dates"))
    return action


def _wrong_action(name: object, plain: str) -> Problem:
    absent = missing_value(name)
    if absent is not None:
        return wrong("action", name, absent)
    hint = cell_hint(name, is_text=True)
    if hint is not None:
        return wrong("action", name, f"is not an action: {hint[0]}", hint[1])
    near = get_close_matches(plain[:SHOWN], ACTIONS, 1)
    rule = f"is not an action (one of {', '.join(ACTIONS)})"
    return wrong("action", name, rule, f"; did you mean {near[0]!r}?" if near else "")


def _update(values: Mapping[str, Any], problems: list[Problem]) -> Update | None:
    before = len(problems)
    start, end = (_timestamp(column, values.get(column), problems) for column in _DATES)
    if len(problems) > before:
        return None
    if start is None and end is None:
        text = "update needs start_fielding_at, end_fielding_at or both"
        problems.append(Problem(text, text))
        return None
    try:
        return Update(start, end)
    except ConfigurationError:
        problems.append(wrong("end_fielding_at", values.get("end_fielding_at"), "is not after start_fielding_at"))
        return None


def _timestamp(column: str, value: Any, problems: list[Problem]) -> datetime | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            return read_plan_date(value)
        except ValueError:
            pass
    absent = missing_value(value)
    hint = cell_hint(value, is_text=False)
    if absent is not None:
        problems.append(wrong(column, value, absent))
    elif hint is not None:
        problems.append(wrong(column, value, f"is not an RFC 3339 date and time: {hint[0]}", hint[1]))
    else:
        problems.append(wrong(column, value, *date_problem(value)))
    return None
