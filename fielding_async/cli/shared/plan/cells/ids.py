"""The four ids of a plan's row, in columns of their own or in one. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from fielding_async.core.errors import ConfigurationError
from fielding_async.core.ids import check_account_id, check_ulid, is_plain_id
from fielding_async.core.models import RunRef

from .hints import MISSING, cell_hint, missing_value
from .problems import NOTHING, SHOWN, Problem, missing, wrong

__all__ = ["IDS", "NO_RUN", "REF", "ordinary_ref", "read_ref", "with_ref"]

IDS = ("account_id", "project_id", "target_group_id", "fielding_run_id")
"""The columns of the ids."""

REF = "ref"
"""A column with the four ids in one text, `account/project/target group/run`, in place of four columns.

In a plan that names no runs it holds the first three.
"""

NO_RUN = ""
"""The `fielding_run_id` in the ref of a row that names no run: that of its target group is found before it is sent."""

_RUN_ID = IDS[3]
_ORDINARY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)  # a run id that nothing has damaged, unless it is in MISSING
_ORDINARY_REF = re.compile(r"\d{1,9}/[0-9A-Z]{26}/[0-9A-Z]{26}/[A-Za-z0-9_-]*", re.ASCII)
_WHOLE_NUMBER = re.compile(r"(\d{1,40})\.0", re.ASCII)
_RULES = {
    "account_id": "is not an account id (a whole number from 0 to 2147483647)",
    "project_id": "is not a project id (26 characters out of 0-9 and A-Z)",
    "target_group_id": "is not a target group id (26 characters out of 0-9 and A-Z)",
    "fielding_run_id": "is not a run id (no / ? # \\ %, spaces or control characters)",
}


def ordinary_ref(values: Mapping[str, Any]) -> RunRef | None:
    """Return the ref of a row whose ids are four texts in their usual form, as most are: one match in place of four."""
    get = values.get
    ids: tuple[Any, ...] = (get("account_id"), get("project_id"), get("target_group_id"), get(_RUN_ID, NO_RUN))
    try:
        if _ORDINARY_REF.fullmatch("/".join(ids)) is None or ids[3] in MISSING:
            return None
        if ids[3] == NO_RUN and _RUN_ID in values:
            return None  # an empty cell
    except TypeError:
        return None  # one of them is no text
    return RunRef(int(ids[0]), ids[1], ids[2], ids[3])


def read_ref(
    values: Mapping[str, Any], account_id: int | None, project_id: str | None, problems: list[Problem]
) -> RunRef | None:
    """Return the ref that the ids make, or add what is wrong with them.

    `account_id` and `project_id` are those of a row that names none.
    """
    account = _account(values.get("account_id"), account_id, problems)
    named = values.get("project_id")
    project = _id("project_id", project_id if named in NOTHING else named, problems)
    group = _id("target_group_id", values.get("target_group_id"), problems)
    run = _run_id(values[_RUN_ID], problems) if _RUN_ID in values else NO_RUN
    if account is None or project is None or group is None or run is None:
        return None
    return RunRef(account, project, group, run)


def with_ref(values: Mapping[str, Any], problems: list[Problem]) -> Mapping[str, Any]:
    """Return the values with the ids that the ref names: those of a run, or of a target group."""
    ref = values[REF]
    parts = ref.split("/") if isinstance(ref, str) else []
    if len(parts) not in {3, 4}:
        rule = "is not the four ids of a run (account/project/target group/run), nor the first three"
        problems.append(wrong(REF, ref, rule))
        return values
    for column, part in zip(IDS, parts, strict=False):
        value = values.get(column)
        if value not in NOTHING and (column != "account_id" or str(value) != f"{part}.0") and str(value) != part:
            problems.append(wrong(column, value, "is not what ref says", f" ({part[:SHOWN]!r})"))
    return {**values, **dict(zip(IDS, parts, strict=False))}


def _wrong_id(column: str, value: object) -> Problem:
    absent = missing_value(value)
    if absent is not None:
        return wrong(column, value, absent)
    rule = _RULES[column]
    hint = cell_hint(value, is_text=column != "account_id")
    return (
        wrong(column, value, f"{rule.partition(' (')[0]}: {hint[0]}", hint[1]) if hint else wrong(column, value, rule)
    )


def _account(value: Any, default: int | None, problems: list[Problem]) -> int | None:
    if value is None or value == "":
        if default is None:
            problems.append(missing("account_id"))
        return default
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
