"""The action of a plan's row, with its dates. Pure."""

from collections.abc import Mapping
from datetime import datetime
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from fielding_async.core.actions import Action, Complete, LaunchNow, Pause, Relaunch, Resume, StatusAction, Update
from fielding_async.core.errors import ConfigurationError

from .hints import cell_hint, missing_value
from .plan_dates import date_problem, read_plan_date
from .problems import NOTHING, SHOWN, Problem, missing, wrong

__all__ = ["ACTIONS", "DATES", "plain_action", "read_action"]

DATES = ("start_fielding_at", "end_fielding_at")
"""The columns of the dates, which only updates have."""

_STATUS_ACTIONS: dict[str, StatusAction] = {
    action.name: action for action in (LaunchNow(), Pause(), Resume(), Complete(), Relaunch())
}
ACTIONS = (*_STATUS_ACTIONS, Update.name)
"""The names of the actions, as the API has them."""


def read_action(values: Mapping[str, Any], problems: list[Problem]) -> Action | None:
    """Return the action, or add what is wrong with it or with its dates."""
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
    for column in DATES:
        value = values.get(column)
        if value not in NOTHING:
            problems.append(wrong(column, value, missing_value(value) or "has no place here: only update takes dates"))
    return action


@lru_cache(maxsize=1024)  # the rows of one plan share most of their actions
def plain_action(name: str, start: str, end: str) -> Action | None:
    """Return the action of a row with these cells, the dates empty if it has none; `None` if they are not right."""
    problems: list[Problem] = []
    action = read_action({"action": name, "start_fielding_at": start, "end_fielding_at": end}, problems)
    return None if problems else action


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
    start, end = (_timestamp(column, values.get(column), problems) for column in DATES)
    if len(problems) > before:
        return None
    if start is None and end is None:
        text = "update needs start_fielding_at, end_fielding_at or both"
        problems.append(Problem(text, text))
        return None
    try:
        return Update(start_fielding_at=start, end_fielding_at=end)
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
