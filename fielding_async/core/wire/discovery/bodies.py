"""JSON of discovery, read. What is needed and missing, or of another type, raises a `ProtocolError` that names it."""

from collections.abc import Iterator
from typing import Any, cast

from fielding_async.core.discovery.changes import TargetGroupChange
from fielding_async.core.discovery.money import Money
from fielding_async.core.discovery.projects import (
    AccountItem,
    ProjectDetails,
    ProjectItem,
    ProjectOverview,
    ProjectStatistics,
)
from fielding_async.core.discovery.target_groups import (
    IssueSuggestion,
    StatisticIssue,
    TargetGroupItem,
    TargetGroupOverview,
    TargetGroupProgress,
    TargetGroupStatistics,
)
from fielding_async.core.errors import ProtocolError
from fielding_async.core.ids import is_plain_id
from fielding_async.core.models import FieldingRun
from fielding_async.core.wire.bodies import decode_run_list, load_json
from fielding_async.core.wire.structuring import Report, clean_text

from .fields import Fields, top_fields
from .pages import Page, page_of

__all__ = [
    "decode_accounts",
    "decode_changes",
    "decode_project",
    "decode_project_overview",
    "decode_projects",
    "decode_runs",
    "decode_target_group_overview",
    "decode_target_groups",
]


def decode_accounts(body: bytes, report: Report | None = None) -> Page[AccountItem]:
    """Read an `AccountsList`, which has one page; raises `ProtocolError`. `report`: as for `structure`, and below."""
    what = "list of accounts"
    entries = top_fields(load_json(body, what), what, report).needed_objects("accounts")
    return Page(tuple(AccountItem(id=entry.needed_integer("id"), name=entry.text("name")) for entry in entries))


def decode_projects(body: bytes, report: Report | None = None) -> Page[ProjectItem]:
    """Read a `ProjectsList`; raises `ProtocolError`."""
    what = "list of projects"
    page = top_fields(load_json(body, what), what, report)
    items = [_project_item(entry) for entry in page.needed_objects("projects")]
    return page_of(items, (item.id for item in items), page)


def _identity(entry: Fields) -> dict[str, Any]:
    """Return what all values of a project have in common."""
    return {
        "id": entry.needed_id("id"),
        "account_id": entry.integer("account_id"),
        "name": entry.text("name"),
        "human_readable_id": entry.text("human_readable_id"),
        "project_customer_reference_number": entry.text("project_customer_reference_number"),
    }


def _project_item(entry: Fields) -> ProjectItem:
    return ProjectItem(
        **_identity(entry),
        status=entry.text("status"),
        target_group_count=entry.integer("target_group_count"),
        last_activity_at=entry.date("last_activity_at"),
        statistics=_project_statistics(entry),
        highlighted_name=entry.text("highlighted_name"),
        target_group_human_readable_ids=entry.texts("target_group_human_readable_ids"),
        target_group_customer_reference_numbers=entry.texts("target_group_customer_reference_numbers"),
    )


def _project_statistics(entry: Fields) -> ProjectStatistics:
    found = entry.object("statistics")
    if found is None:
        return ProjectStatistics()
    return ProjectStatistics(
        filling_goal=found.integer("filling_goal"),
        current_completes=found.integer("current_completes"),
        current_prescreens=found.integer("current_prescreens"),
        incidence_rate_median=found.rate("incidence_rate_median"),
        length_of_interview_median_seconds=found.integer("length_of_interview_median_seconds"),
        conversion_rate_average=found.rate("conversion_rate_average"),
        drop_off_rate_average=found.rate("drop_off_rate_average"),
    )


def decode_project(asked: str, body: bytes, report: Report | None = None) -> ProjectDetails:
    """Read a `ProjectDetails`; raises `ProtocolError`, also if it is another project than was `asked` for."""
    entry = _asked_project(body, "project", asked, report)
    return ProjectDetails(**_identity(entry), project_manager_id=entry.text("project_manager_id"))


def decode_project_overview(asked: str, body: bytes, report: Report | None = None) -> ProjectOverview:
    """Read a `ProjectOverview`; raises `ProtocolError`, also if it is another project than was `asked` for."""
    entry = _asked_project(body, "project overview", asked, report)
    return ProjectOverview(
        **_identity(entry),
        status=entry.text("status"),
        project_manager_id=entry.text("project_manager_id"),
        created_at=entry.date("created_at"),
        statistics=_project_statistics(entry),
    )


def _asked_project(body: bytes, what: str, asked: str, report: Report | None) -> Fields:
    entry = top_fields(load_json(body, what), what, report)
    if (found := entry.needed_id("id")) != asked:
        raise ProtocolError(f"{what}: $.id is {found!r}, but {asked!r} was asked for")
    return entry


def decode_target_groups(body: bytes, report: Report | None = None) -> Page[TargetGroupItem]:
    """Read a `TargetGroupsList`; raises `ProtocolError`."""
    what = "list of target groups"
    page = top_fields(load_json(body, what), what, report)
    items = [_target_group_item(entry) for entry in page.needed_objects("target_groups")]
    return page_of(items, (item.id for item in items), page)


def _target_group_item(entry: Fields) -> TargetGroupItem:
    return TargetGroupItem(
        id=entry.needed_id("id"),
        name=entry.text("name"),
        status=entry.text("status"),
        human_readable_id=entry.text("human_readable_id"),
        project_manager_id=entry.text("project_manager_id"),
        locale=entry.text("locale"),
        created_at=entry.date("created_at"),
        updated_at=entry.date("updated_at"),
        exclusion_enabled=entry.flag("exclusion_enabled"),
        target_group_customer_reference_number=entry.text("target_group_customer_reference_number"),
        highlighted_name=entry.text("highlighted_name"),
        statistics=_target_group_statistics(entry),
    )


def _target_group_statistics(entry: Fields) -> TargetGroupStatistics:
    found = entry.object("statistics")
    if found is None:
        return TargetGroupStatistics()
    issues: list[StatisticIssue] = []

    def of(name: str) -> Fields:
        """Return the fields that hold a statistic as their `value`, and note its issues."""
        one = found.object(name)
        if one is None:
            return Fields({}, "", found.what, None)
        issues.extend(_issue(name, issue) for issue in one.objects("issues"))
        return one

    return TargetGroupStatistics(
        progress=_progress(of("progress"), "value"),
        last_complete_date=of("last_complete_date").date("value"),
        earnings_per_click=of("earnings_per_click").money("value"),
        earnings_per_click_per_minute=of("earnings_per_click_per_minute").money("value"),
        average_cost_per_interview=of("average_cost_per_interview").money("value"),
        median_length_of_interview_seconds=of("median_length_of_interview_seconds").integer("value"),
        incidence_rate=of("incidence_rate").rate("value"),
        drop_off_rate=of("drop_off_rate").rate("value"),
        conversion_rate=of("conversion_rate").rate("value"),
        issues=tuple(issues),
    )


def _issue(statistic: str, issue: Fields) -> StatisticIssue:
    reason = issue.object("reason")
    return StatisticIssue(
        statistic=statistic,
        issue_type=issue.text("issue_type"),
        reason_code=None if reason is None else reason.text("code"),
        reason=None if reason is None else reason.text("description"),
        suggestions=tuple(
            IssueSuggestion(code=entry.text("code"), description=entry.text("description"))
            for entry in issue.objects("suggestions")
        ),
    )


def _progress(holder: Fields, name: str) -> TargetGroupProgress:
    found = holder.object(name)
    if found is None:
        return TargetGroupProgress()
    return TargetGroupProgress(
        current_completes=found.integer("current_completes"),
        current_prescreens=found.integer("current_prescreens"),
        filling_goal=found.integer("filling_goal"),
        filling_strategy=found.text("filling_strategy"),
    )


def decode_target_group_overview(body: bytes, report: Report | None = None) -> TargetGroupOverview:
    """Read a `TargetGroupOverview`; raises `ProtocolError`."""
    what = "target group overview"
    entry = top_fields(load_json(body, what), what, report)
    return TargetGroupOverview(
        project_name=entry.text("project_name"),
        target_group_name=entry.text("target_group_name"),
        status=entry.text("status"),
        human_readable_id=entry.text("human_readable_id"),
        project_manager_id=entry.text("project_manager_id"),
        progress=_progress(entry, "progress"),
        pricing_model=entry.text("pricing_model"),
        is_pricing_restricted=entry.flag("is_pricing_restricted"),
        current_cost_per_interview=entry.money("current_cost_per_interview"),
        average_cost_per_interview=entry.money("average_cost_per_interview"),
        current_cost=entry.money("current_cost"),
        country_code=entry.text("country_code"),
        language_code=entry.text("language_code"),
        conversion_rate=entry.rate("conversion_rate"),
        drop_off_rate=entry.rate("drop_off_rate"),
        incidence_rate=entry.rate("incidence_rate"),
        median_length_of_interview_seconds=entry.integer("median_length_of_interview_seconds"),
        study_type_code=entry.text("study_type_code"),
        target_group_customer_reference_number=entry.text("target_group_customer_reference_number"),
        created_at=entry.date("created_at"),
    )


def decode_changes(body: bytes, report: Report | None = None) -> Page[TargetGroupChange]:
    """Read a `TargetGroupChangelogList`; raises `ProtocolError`."""
    what = "list of changes"
    page = top_fields(load_json(body, what, exact=True), what, report)
    items: list[TargetGroupChange] = []
    ids: list[str | None] = []
    try:
        for batch in page.needed_objects("changelog"):
            ids.append(batch.text("id"))
            items.extend(_changes(batch))
    except RecursionError:
        raise ProtocolError(f"{what}: a value with too many levels @ $.changelog[].changes[]") from None
    return page_of(items, ids, page)


def _changes(batch: Fields) -> Iterator[TargetGroupChange]:
    user = batch.object("user")
    for change in batch.objects("changes"):
        yield TargetGroupChange(
            type=change.needed_text("object"),
            old_value=_value(change.data.get("old_value")),
            new_value=_value(change.data.get("new_value")),
            reason_code=change.text("reason_code"),
            occurred_at=batch.date("occurred_at"),
            user_type=None if user is None else user.text("type"),
            user_id=None if user is None else user.text("las_user_id"),
            batch_id=batch.text("id"),
        )


_OF_MONEY = {"value", "currency_code", "currency_scale"}


def _value(value: Any) -> Any:
    """Return a JSON value of a change as a value: an amount of money as one, a list as a tuple."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, list):
        return tuple(map(_value, cast("list[object]", value)))
    if not isinstance(value, dict):
        return value
    entries = cast("dict[str, Any]", value)
    amount = entries.get("value")
    code, scale = entries.get("currency_code"), entries.get("currency_scale")
    if (
        entries.keys() <= _OF_MONEY
        and isinstance(amount, str)
        and (code is None or isinstance(code, str))
        and (scale is None or type(scale) is int)
    ):
        return Money(value=clean_text(amount), currency_code=code and clean_text(code), currency_scale=scale)
    return {clean_text(name): _value(entry) for name, entry in entries.items()}


def decode_runs(
    body: bytes, account_id: int, project_id: str, target_group_id: str, report: Report | None = None
) -> Page[FieldingRun]:
    """Read the runs of a target group, each once; raises `ProtocolError`, also for a run of another target group."""
    runs: dict[str, FieldingRun] = {}
    for run in decode_run_list(body, report):
        for name, has, wanted in (
            ("account_id", run.account_id, account_id),
            ("project_id", run.project_id, project_id),
            ("target_group_id", run.target_group_id, target_group_id),
        ):
            if has is not None and has != wanted:
                raise ProtocolError(
                    f"list of fielding runs: $.data[].{name} is {str(has)[:60]!r}, but {wanted!r} was asked for"
                )
        if not is_plain_id(run.id):
            raise ProtocolError(f"list of fielding runs: no id of a run: {run.id[:60]!r} @ $.data[].id")
        runs.setdefault(run.id, run)
    return Page(tuple(runs.values()))
