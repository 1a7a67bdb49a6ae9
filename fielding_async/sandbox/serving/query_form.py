"""The query of a list: pages and filters. A parameter that takes several values is repeated."""

import re
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl

from attrs import frozen

__all__ = ["CHANGE_TYPES", "NO_QUERY", "REFERENCE", "TARGET_GROUP_STATUSES", "UUID_FORM", "Query", "read_query"]

TARGET_GROUP_STATUSES = ("draft", "scheduled", "live", "paused", "completed", "archived")
"""The statuses of target groups."""

CHANGE_TYPES = (
    *("business_unit_change", "collects_pii_change", "cpi_change", "cpi_note_change", "currency_change"),
    *("expected_incidence_rate_change", "expected_length_of_interview_minutes_change", "external_name_change"),
    *("fielding_period_end_date_change", "fielding_period_start_date_change", "filling_goal_change"),
    *("filling_strategy_change", "industry_lockout_code_change", "live_url_change", "locale_change", "name_change"),
    *("pacing_adaptive_increment_interval_change", "pacing_assistance_change"),
    *("pacing_gemini_exposed_target_group_id_change", "pacing_linear_increment_interval_change"),
    *("pricing_assistance_change", "pricing_dynamic_maximum_cpi_change", "pricing_dynamic_minimum_cpi_change"),
    *("pricing_dynamic_total_budget_change", "pricing_dynamic_unlock_max_budget_usage_change"),
    *("pricing_rate_card_boost_cpi_change", "pricing_rate_card_maximum_cpi_change", "private_exchange_cpi_change"),
    *("project_id_change", "project_manager_change", "quota_overlay_assisted_change"),
    *("quota_overlay_balance_fill_change", "quota_overlay_prevent_overfilling_change", "soft_launch_assisted_change"),
    *("soft_launch_demographics_strictness_percentage_change", "soft_launch_end_date_change"),
    *("soft_launch_filling_goal_percentage_change", "status_change", "study_type_change"),
    *("target_group_customer_reference_number_change", "test_url_change", "user_requested_cpi_change"),
)
"""The types of changes that a change log may be filtered by."""

REFERENCE = r"[a-zA-Z0-9\-_ ]{3,128}"
"""The form of customer reference numbers."""

UUID_FORM = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
"""The form of user ids."""

_MOST_PARAMETERS = 1000


@frozen(kw_only=True)
class Query:
    """The contents of a well-formed query. An absent filter is empty; `search` is in lower case."""

    page_size: int = 10
    start_after: str = ""
    end_before: str = ""
    search: str = ""
    status: tuple[str, ...] = ()
    country: tuple[str, ...] = ()
    language: tuple[str, ...] = ()
    human_readable_ids: tuple[str, ...] = ()
    reference_numbers: tuple[str, ...] = ()
    project_manager_id: str = ""
    exclusion: bool | None = None
    change_types: tuple[str, ...] = ()


NO_QUERY = Query()


@frozen
class _Parameter:
    """A query parameter: the texts that it takes, how that is said, and whether it takes several."""

    takes: Callable[[str], bool]
    reason: str
    several: bool = False


def _matches(pattern: str, reason: str, *, several: bool = False) -> _Parameter:
    return _Parameter(lambda value: re.fullmatch(pattern, value) is not None, reason, several)


def _one_of(*allowed: str, several: bool = False) -> _Parameter:
    return _Parameter(lambda value: value in allowed, f"must be one of {', '.join(allowed)}", several)


def _length(least: int, most: int, *, several: bool = False) -> _Parameter:
    reason = f"must have {least} characters" if least == most else f"must have {least} to {most} characters"
    return _Parameter(lambda value: least <= len(value) <= most, reason, several)


def _size(most: int) -> _Parameter:
    def takes(value: str) -> bool:
        return re.fullmatch("[0-9]{1,9}", value) is not None and 1 <= int(value) <= most

    return _Parameter(takes, f"must be a whole number from 1 to {most}")


_ANY = _Parameter(lambda _value: True, "")
_MANAGER = _matches(UUID_FORM, "must be a UUID")
_CURSORS = {"start_after": _ANY, "end_before": _ANY}
_PARAMETERS: Mapping[str, Mapping[str, _Parameter]] = {
    "list-projects": {
        **_CURSORS,
        "page_size": _size(100),
        "status": _one_of("active", "inactive"),
        "name": _ANY,
        "search_string": _length(5, 128),
        "project_manager_id": _MANAGER,
    },
    "list-target-groups": {
        **_CURSORS,
        "page_size": _size(100),
        "status": _one_of(*TARGET_GROUP_STATUSES, several=True),
        "name": _ANY,
        "search_string": _ANY,
        "country": _matches("[a-z]{2}", "must be two letters of a-z", several=True),
        "language": _matches("[a-z]{3}", "must be three letters of a-z", several=True),
        "human_readable_ids": _length(7, 7, several=True),
        "target_group_customer_reference_numbers": _matches(
            REFERENCE, "must have 3 to 128 characters of letters, digits, '-', '_' and blank", several=True
        ),
        "exclusion_status": _one_of("true", "false"),
        "project_manager_id": _MANAGER,
    },
    "list-changes": {**_CURSORS, "page_size": _size(50), "change_types": _one_of(*CHANGE_TYPES, several=True)},
}


def read_query(operation: str, raw: str, problems: list[tuple[str, str]]) -> Query:
    """Read the query of an operation, and append what is wrong with it to `problems`.

    Parameters that the operation does not have are ignored.
    """
    known = _PARAMETERS.get(operation)
    if known is None:
        return NO_QUERY
    given: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(raw, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        problems.append(("query", f"must have at most {_MOST_PARAMETERS} parameters"))
        return NO_QUERY
    for name, value in pairs:
        if name in known:
            given.setdefault(name, []).append(value)
    for name, values in given.items():
        parameter = known[name]
        if len(values) > 1 and not parameter.several:
            problems.append((name, "must be given once"))
        elif not all(map(parameter.takes, values)):
            problems.append((name, parameter.reason))
    if problems:
        return NO_QUERY

    def one(name: str) -> str:
        return given.get(name, [""])[0]

    def several(name: str) -> tuple[str, ...]:
        return tuple(given.get(name, ()))

    return Query(
        page_size=int(one("page_size") or (50 if operation == "list-changes" else 10)),
        start_after=one("start_after"),
        end_before=one("end_before"),
        search=(one("search_string") or one("name")).strip().lower(),
        status=several("status"),
        country=several("country"),
        language=several("language"),
        human_readable_ids=several("human_readable_ids"),
        reference_numbers=several("target_group_customer_reference_numbers"),
        project_manager_id=one("project_manager_id").lower(),
        exclusion=None if not one("exclusion_status") else one("exclusion_status") == "true",
        change_types=several("change_types"),
    )
