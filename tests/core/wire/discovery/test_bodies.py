"""Bodies of discovery: what is said arrives; what is odd and not needed is left out and reported."""

import json
import math
import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fielding_async import Money, ProtocolError
from fielding_async.core.wire.discovery import bodies

PROJECT, GROUP = "01HD6WD8W4G8FMTFCX0JPR8TXN", "01BX5ZZKBKACTAV9WEVGEMMVS1"
MANAGER = "b551326b-ac9d-4d32-8823-4f025787dab9"
CREATED = "2023-01-01T23:00:00.000Z"
CREATED_AT = datetime(2023, 1, 1, 23, tzinfo=UTC)
COST: dict[str, Any] = {"value": "2.7352", "currency_code": "USD", "currency_scale": 2}
PROGRESS = {"current_completes": 1, "current_prescreens": 3, "filling_goal": 5, "filling_strategy": "completes"}
OVERALL = {
    "filling_goal": 1000,
    "current_completes": 412,
    "current_prescreens": 546,
    "incidence_rate_median": 0.05,
    "length_of_interview_median_seconds": 600,
    "conversion_rate_average": 0,
    "drop_off_rate_average": 1,
}
ISSUE = {
    "reason": {"code": "7", "description": "too low"},
    "issue_type": "warning",
    "suggestions": [{"code": "2131", "description": "Lower the quota."}],
}


def _stat(value: Any, *issues: Any) -> dict[str, Any]:
    return {"value": value, "issues": list(issues)}


PROJECT_BODY: dict[str, Any] = {
    "id": PROJECT,
    "account_id": 101,
    "name": "Test Project",
    "status": "active",
    "human_readable_id": "FT354J",
    "project_customer_reference_number": "RF-4567",
    "target_group_count": 1,
    "last_activity_at": CREATED,
    "statistics": OVERALL,
    "project_manager_id": MANAGER,
    "created_at": CREATED,
    "highlighted_name": "<em>Test</em> Project",
    "target_group_human_readable_ids": ["9NRV3B9"],
    "target_group_customer_reference_numbers": ["AB-1"],
}
GROUP_BODY: dict[str, Any] = {
    "id": GROUP,
    "name": "Example",
    "status": "live",
    "human_readable_id": "9NRV3B9",
    "project_manager_id": MANAGER,
    "locale": "eng_us",
    "created_at": CREATED,
    "updated_at": "2023-01-01T23:00:00.5+00:00",
    "exclusion_enabled": False,
    "target_group_customer_reference_number": "AB-1",
    "highlighted_name": "<em>Ex</em>ample",
    "statistics": {
        "progress": _stat(PROGRESS),
        "last_complete_date": _stat(CREATED),
        "earnings_per_click": _stat(COST),
        "earnings_per_click_per_minute": _stat(COST),
        "average_cost_per_interview": _stat(COST),
        "median_length_of_interview_seconds": _stat(61),
        "incidence_rate": _stat(0.5, ISSUE),
        "drop_off_rate": _stat(0.25),
        "conversion_rate": _stat(0.125),
    },
}
OVERVIEW_BODY: dict[str, Any] = {
    "project_name": "Test Project",
    "target_group_name": "Example",
    "human_readable_id": "9NRV3B9",
    "project_manager_id": MANAGER,
    "progress": PROGRESS,
    "pricing_model": "dynamic",
    "is_pricing_restricted": True,
    "current_cost_per_interview": COST,
    "average_cost_per_interview": COST,
    "current_cost": {"value": "00.10"},
    "status": "hibernating",
    "country_code": "US",
    "language_code": "ENG",
    "conversion_rate": 0.5,
    "drop_off_rate": 0.25,
    "incidence_rate": 0.125,
    "median_length_of_interview_seconds": 61,
    "study_type_code": "diary",
    "target_group_customer_reference_number": "AB-1",
    "created_at": CREATED,
}
CHANGES_BODY: dict[str, Any] = {
    "changelog": [
        {
            "id": "1a8fa143-22ee-4b69-9779-401a411152fa",
            "occurred_at": "2023-09-11T09:27:41Z",
            "user": {"type": "las_user", "las_user_id": MANAGER},
            "changes": [
                {"object": "name_change", "new_value": "Typo Fix", "old_value": None},
                {"object": "cpi_change", "new_value": COST, "old_value": {"value": "5", "currency_code": "USD"}},
            ],
        },
        {
            "id": "2",
            "occurred_at": "2023-09-11T09:28:41Z",
            "user": {"type": "system_user"},
            "changes": [{"object": "status_change", "new_value": "paused", "reason_code": "low_epc"}],
        },
    ],
    "next_cursor": "",
}
RUN_BODY = {
    "id": "run",
    "status": "live",
    "version": 7,
    "account_id": 101,
    "start_fielding_at": CREATED,
    "end_fielding_at": "2024-01-01T23:00:00.000Z",
    "project_id": PROJECT,
    "target_group_id": GROUP,
}


def read(decode: Callable[..., Any], body: Any, reports: list[str] | None = None) -> Any:
    return decode(json.dumps(body).encode(), reports.append if reports is not None else None)


runs_of_group = partial(bodies.decode_runs, account_id=101, project_id=PROJECT, target_group_id=GROUP)
DECODERS: list[tuple[Callable[..., Any], Any]] = [
    (bodies.decode_accounts, {"accounts": [{"id": 1, "name": "Acme Inc."}]}),
    (bodies.decode_projects, {"projects": [PROJECT_BODY], "has_more": True, "next_cursor": "c", "url": ""}),
    (partial(bodies.decode_project, PROJECT), PROJECT_BODY),
    (partial(bodies.decode_project_overview, PROJECT), PROJECT_BODY),
    (bodies.decode_target_groups, {"target_groups": [GROUP_BODY], "has_more": False, "url": ""}),
    (bodies.decode_target_group_overview, OVERVIEW_BODY),
    (bodies.decode_changes, CHANGES_BODY),
    (lambda body, report: runs_of_group(body, report=report), {"data": [RUN_BODY]}),
]


def test_a_project_of_a_list_is_read_to_the_full() -> None:
    """Every field arrives, dates aware, rates as numbers, whole ones too."""
    reports: list[str] = []
    page = read(*DECODERS[1], reports)
    (item,) = page.items
    assert (page.next_cursor, reports) == ("c", [])
    assert (item.id, item.account_id, item.name, item.status) == (PROJECT, 101, "Test Project", "active")
    assert (item.human_readable_id, item.project_customer_reference_number) == ("FT354J", "RF-4567")
    assert (item.target_group_count, item.last_activity_at) == (1, CREATED_AT)
    assert item.highlighted_name == "<em>Test</em> Project"
    assert (item.target_group_human_readable_ids, item.target_group_customer_reference_numbers) == (
        ("9NRV3B9",),
        ("AB-1",),
    )
    statistics = item.statistics
    assert (statistics.filling_goal, statistics.current_completes, statistics.current_prescreens) == (1000, 412, 546)
    assert (statistics.incidence_rate_median, statistics.length_of_interview_median_seconds) == (0.05, 600)
    assert (statistics.conversion_rate_average, statistics.drop_off_rate_average) == (0.0, 1.0)
    assert type(statistics.conversion_rate_average) is float


def test_a_project_is_read_to_the_full() -> None:
    """Details and overview: what both have, and what each has alone."""
    for value in (read(*DECODERS[2]), read(*DECODERS[3])):
        assert (value.id, value.account_id, value.name) == (PROJECT, 101, "Test Project")
        assert (value.human_readable_id, value.project_manager_id) == ("FT354J", MANAGER)
        assert value.project_customer_reference_number == "RF-4567"
    assert (value.status, value.created_at, value.statistics.filling_goal) == ("active", CREATED_AT, 1000)


def test_a_target_group_of_a_list_is_read_to_the_full() -> None:
    """Statistics are taken out of their wrappers; money stays text; issues name their statistic."""
    reports: list[str] = []
    (item,) = read(*DECODERS[4], reports).items
    assert reports == []
    assert (item.id, item.name, item.status, item.human_readable_id) == (GROUP, "Example", "live", "9NRV3B9")
    assert (item.project_manager_id, item.locale, item.created_at) == (MANAGER, "eng_us", CREATED_AT)
    assert item.updated_at == datetime(2023, 1, 1, 23, 0, 0, 500_000, tzinfo=UTC)
    assert (item.exclusion_enabled, item.target_group_customer_reference_number) == (False, "AB-1")
    assert item.highlighted_name == "<em>Ex</em>ample"
    statistics = item.statistics
    progress = statistics.progress
    assert (progress.current_completes, progress.current_prescreens) == (1, 3)
    assert (progress.filling_goal, progress.filling_strategy) == (5, "completes")
    money = Money(value="2.7352", currency_code="USD", currency_scale=2)
    assert statistics.earnings_per_click == money
    assert (statistics.earnings_per_click_per_minute, statistics.average_cost_per_interview) == (money, money)
    assert str(money) == "2.7352 USD"
    assert (statistics.last_complete_date, statistics.median_length_of_interview_seconds) == (CREATED_AT, 61)
    assert (statistics.incidence_rate, statistics.drop_off_rate, statistics.conversion_rate) == (0.5, 0.25, 0.125)
    (issue,) = statistics.issues
    assert (issue.statistic, issue.issue_type, issue.reason_code) == ("incidence_rate", "warning", "7")
    assert issue.reason == "too low"
    assert [(entry.code, entry.description) for entry in issue.suggestions] == [("2131", "Lower the quota.")]


def test_an_overview_of_a_target_group_is_read_to_the_full() -> None:
    """An unknown status is kept, and so is every digit of an amount."""
    value = read(*DECODERS[5])
    for name, sent in OVERVIEW_BODY.items():
        if type(sent) is not dict and name != "created_at":
            assert getattr(value, name) == sent, name
    assert value.created_at == CREATED_AT
    assert (value.progress.current_completes, value.progress.filling_goal) == (1, 5)
    assert value.current_cost == Money(value="00.10")
    assert str(value.current_cost) == "00.10"
    assert value.current_cost_per_interview == value.average_cost_per_interview == Money(**COST)


def test_changes_are_read_to_the_full() -> None:
    """One value for each changed property, with who changed it and when; amounts of money are such."""
    page = read(*DECODERS[6])
    name, cpi, status = page.items
    assert (name.type, name.old_value, name.new_value) == ("name_change", None, "Typo Fix")
    assert (name.batch_id, name.occurred_at) == (
        "1a8fa143-22ee-4b69-9779-401a411152fa",
        datetime(2023, 9, 11, 9, 27, 41, tzinfo=UTC),
    )
    assert (name.user_type, name.user_id) == ("las_user", MANAGER)
    assert (cpi.batch_id, cpi.new_value, cpi.old_value) == (
        name.batch_id,
        Money(**COST),
        Money(value="5", currency_code="USD"),
    )
    assert (status.new_value, status.reason_code, status.user_type) == ("paused", "low_epc", "system_user")
    assert (status.user_id, page.next_cursor) == (None, None)


def test_a_changed_value_of_any_shape_is_kept_exactly() -> None:
    """Numbers keep their digits; an object that is no amount of money stays one."""
    text = b"""{"changelog": [{"changes": [{"object": "newer", "old_value": [1.10, true, {"value": "1", "x": null}],
        "new_value": {"value": 2.5}}]}]}"""
    (change,) = bodies.decode_changes(text).items
    assert change.old_value == (Decimal("1.10"), True, {"value": "1", "x": None})
    assert str(change.old_value[0]) == "1.10"
    assert change.new_value == {"value": Decimal("2.5")}
    assert (change.occurred_at, change.user_type, change.batch_id) == (None, None, None)


def test_runs_are_those_of_the_target_group_each_once() -> None:
    """A run that is named twice comes once."""
    page = read(DECODERS[7][0], {"data": [RUN_BODY, {**RUN_BODY, "status": "paused"}]})
    assert [(run.id, run.status, run.etag) for run in page.items] == [("run", "live", None)]


@pytest.mark.parametrize(("decode", "body"), DECODERS)
def test_values_are_frozen_and_picklable(decode: Callable[..., Any], body: Any) -> None:
    """What was read can be kept."""
    value = read(decode, body)
    for item in getattr(value, "items", (value,)):
        assert pickle.loads(pickle.dumps(item)) == item
        with pytest.raises(AttributeError):
            item.name = "other"


ODD: list[tuple[int, list[Any], Any, str]] = [
    (0, ["accounts", 0, "name"], 5, "$.accounts[].name"),
    (1, ["projects", 0, "last_activity_at"], "yesterday", "$.projects[].last_activity_at"),
    (1, ["projects", 0, "target_group_count"], "1", "$.projects[].target_group_count"),
    (1, ["projects", 0, "target_group_count"], True, "$.projects[].target_group_count"),
    (1, ["projects", 0, "statistics"], [], "$.projects[].statistics"),
    (1, ["projects", 0, "statistics", "incidence_rate_median"], "0.5", "$.projects[].statistics.incidence_rate_median"),
    (
        1,
        ["projects", 0, "statistics", "incidence_rate_median"],
        math.nan,
        "$.projects[].statistics.incidence_rate_median",
    ),
    (
        1,
        ["projects", 0, "statistics", "drop_off_rate_average"],
        10**400,
        "$.projects[].statistics.drop_off_rate_average",
    ),
    (1, ["projects", 0, "target_group_human_readable_ids"], "x", "$.projects[].target_group_human_readable_ids"),
    (1, ["projects", 0, "target_group_human_readable_ids"], [5], "$.projects[].target_group_human_readable_ids[]"),
    (2, ["name"], {}, "$.name"),
    (3, ["created_at"], 5, "$.created_at"),
    (4, ["target_groups", 0, "status"], 5, "$.target_groups[].status"),
    (4, ["target_groups", 0, "exclusion_enabled"], 0, "$.target_groups[].exclusion_enabled"),
    (
        4,
        ["target_groups", 0, "statistics", "earnings_per_click", "value", "value"],
        2.5,
        "$.target_groups[].statistics.earnings_per_click.value.value",
    ),
    (
        4,
        ["target_groups", 0, "statistics", "incidence_rate", "issues", 0, "reason"],
        "low",
        "$.target_groups[].statistics.incidence_rate.issues[].reason",
    ),
    (5, ["current_cost"], "2.5", "$.current_cost"),
    (5, ["progress", "filling_goal"], 2.5, "$.progress.filling_goal"),
    (6, ["changelog", 0, "user"], "me", "$.changelog[].user"),
    (6, ["changelog", 0, "changes", 0], "name", "$.changelog[].changes[]"),
    (7, ["data", 0, "account_id"], "101", "$.account_id"),
]


@pytest.mark.parametrize(("number", "path", "odd", "reported"), ODD)
def test_what_is_odd_and_not_needed_is_left_out(number: int, path: list[Any], odd: Any, reported: str) -> None:
    """The value is read without the field, which is reported by its path; all other fields stay."""
    decode, body = DECODERS[number]
    reports: list[str] = []
    changed = json.loads(json.dumps(body))
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = odd
    value = read(decode, changed, reports)
    assert reports == [reported]
    assert value != read(decode, body)


WRONG: list[tuple[int, Any, str]] = [
    (0, [], "list of accounts: expected a JSON object, got list"),
    (0, {}, r"list of accounts: required field missing @ \$.accounts"),
    (0, {"accounts": {}}, r"must be a list, not dict @ \$.accounts"),
    (0, {"accounts": [5]}, r"must be an object, not int @ \$.accounts\[\]"),
    (0, {"accounts": [{"id": "1"}]}, r"must be int, not '1' @ \$.accounts\[\].id"),
    (1, {"projects": [{"id": "../../x"}]}, r"must be an id of 26 characters .* not '../../x' @ \$.projects\[\].id"),
    (1, {"projects": [], "next_cursor": 5}, r"must be str, not int @ \$.next_cursor"),
    (2, {**PROJECT_BODY, "id": "0" * 26}, f"id is '{'0' * 26}', but '{PROJECT}' was asked for"),
    (3, {**PROJECT_BODY, "id": None}, r"project overview: required field missing @ \$.id"),
    (4, {"target_groups": None}, r"required field missing @ \$.target_groups"),
    (5, None, "target group overview: expected a JSON object, got NoneType"),
    (6, {"changelog": [{"changes": [{}]}]}, r"required field missing @ \$.changelog\[\].changes\[\].object"),
    (7, {"data": [{**RUN_BODY, "target_group_id": "0" * 26}]}, r"\$.data\[\].target_group_id is .* was asked for"),
    (7, {"data": [{**RUN_BODY, "id": "../x"}]}, r"no id of a run: '../x' @ \$.data\[\].id"),
    (7, {"data": [{**RUN_BODY, "status": None}]}, "status"),
]


@pytest.mark.parametrize(("number", "body", "text"), WRONG)
def test_what_is_needed_is_needed(number: int, body: Any, text: str) -> None:
    """Ids and lists must be there, and ids must be ids: they go into paths."""
    with pytest.raises(ProtocolError, match=text):
        read(DECODERS[number][0], body)


def test_a_value_nested_too_deeply_is_refused() -> None:
    """It is a response that cannot be read, not a crash."""
    levels = 100_000
    deep = b'{"changelog":[{"changes":[{"object":"x","new_value":' + b"[" * levels + b"]" * levels + b"}]}]}"
    with pytest.raises(ProtocolError, match=r"too many levels|not JSON"):
        bodies.decode_changes(deep)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from([PROJECT, CREATED]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def spoilt(draw: st.DrawFn) -> tuple[Callable[..., Any], Any]:
    """Return a decoder, and a body of its own in which one value at any depth is another."""
    decode, body = draw(st.sampled_from(DECODERS))
    changed = json.loads(json.dumps(body))
    top: Any = {"": changed}
    place: Any = top
    key: Any = ""
    while True:
        found: Any = place[key]
        if isinstance(found, dict) and found and draw(st.booleans()):
            place, key = found, draw(st.sampled_from(sorted(found)))
        elif isinstance(found, list) and found and draw(st.booleans()):
            place, key = found, draw(st.integers(0, len(found) - 1))
        else:
            break
    place[key] = draw(JSON)
    return decode, top[""]


@settings(max_examples=60)
@given(case=spoilt())
def test_any_body_is_read_or_refused(case: tuple[Callable[..., Any], Any]) -> None:
    """Whatever comes, it is a value that can be written and pickled, or a `ProtocolError`."""
    try:
        value = read(*case, [])
    except ProtocolError:
        return
    repr(value).encode()
    pickle.dumps(value)
