"""Target groups as the API shows them. A field that was not sent, or cannot be read, is `None`."""

from datetime import datetime
from enum import StrEnum

from attrs import field, frozen

from .money import Money

__all__ = [
    "IssueSuggestion",
    "StatisticIssue",
    "TargetGroupItem",
    "TargetGroupOverview",
    "TargetGroupProgress",
    "TargetGroupStatistics",
    "TargetGroupStatus",
]


class TargetGroupStatus(StrEnum):
    """The statuses of a target group that this version of the SDK knows. Members are equal to their plain strings.

    A draft has no fielding run.
    """

    __module__ = "fielding_async"

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    LIVE = "live"
    PAUSED = "paused"
    COMPLETED = "completed"
    ARCHIVED = "archived"


@frozen(kw_only=True)
class TargetGroupProgress:
    """The progress of a target group towards its goal. Source: `TargetGroupProgress` of the API."""

    __module__ = "fielding_async"

    current_completes: int | None = None
    """The number of completes now."""
    current_prescreens: int | None = None
    """The number of prescreens now."""
    filling_goal: int | None = None
    """The goal: a number of completes or of prescreens, depending on `filling_strategy`."""
    filling_strategy: str | None = None
    """What is counted: `automated`, `prescreens`, `completes`, or a text that this version does not know."""


@frozen(kw_only=True)
class IssueSuggestion:
    """A suggestion to remedy an issue. Source: `TargetGroupStatisticsIssuesSuggestion` of the API."""

    __module__ = "fielding_async"

    code: str | None = None
    """Its code."""
    description: str | None = None
    """What to do, in words."""


@frozen(kw_only=True)
class StatisticIssue:
    """An issue of one of the statistics. Source: `TargetGroupStatisticIssue` of the API."""

    __module__ = "fielding_async"

    statistic: str
    """The name of the statistic: `progress`, `incidence_rate` and so on."""
    issue_type: str | None = None
    """`warning`, `error`, or a text that this version does not know."""
    reason_code: str | None = None
    """The code of the reason."""
    reason: str | None = None
    """The reason, in words."""
    suggestions: tuple[IssueSuggestion, ...] = ()
    """Suggestions to remedy it."""


@frozen(kw_only=True)
class TargetGroupStatistics:
    """Statistics of a target group in a list. Source: `TargetGroupStatistics` of the API."""

    __module__ = "fielding_async"

    progress: TargetGroupProgress = field(factory=TargetGroupProgress)
    """The progress of the target group. Each field of this value may be `None`."""
    last_complete_date: datetime | None = None
    """When the latest complete was received: aware, in UTC."""
    earnings_per_click: Money | None = None
    """The cost per interview times the completes, divided by the entrants."""
    earnings_per_click_per_minute: Money | None = None
    """Earnings per click, divided by the median length of an interview in minutes."""
    average_cost_per_interview: Money | None = None
    """The average cost per interview."""
    median_length_of_interview_seconds: int | None = None
    """The median length of an interview now, in seconds."""
    incidence_rate: float | None = None
    """The incidence rate now, from 0 to 1."""
    drop_off_rate: float | None = None
    """The drop-off rate now, from 0 to 1."""
    conversion_rate: float | None = None
    """The conversion rate now, from 0 to 1."""
    issues: tuple[StatisticIssue, ...] = ()
    """The issues of all statistics."""


@frozen(kw_only=True)
class TargetGroupItem:
    """A target group in a list. Source: `TargetGroupsListItem` of the API."""

    __module__ = "fielding_async"

    id: str
    """The target group's id: 26 characters."""
    name: str | None = None
    """Its name."""
    status: str | None = None
    """One of `TargetGroupStatus`, or a text that this version does not know."""
    human_readable_id: str | None = None
    """A short id (7 characters), unique within the account."""
    project_manager_id: str | None = None
    """The id of the user who manages it: a UUID."""
    locale: str | None = None
    """Language and country, such as `eng_us`."""
    created_at: datetime | None = None
    """When it was created: aware, in UTC."""
    updated_at: datetime | None = None
    """When it was last updated: aware, in UTC."""
    exclusion_enabled: bool | None = None
    """Whether exclusions are enabled."""
    target_group_customer_reference_number: str | None = None
    """The customer's own reference number of the target group."""
    highlighted_name: str | None = None
    """The name as HTML, with the matches of the search between `<em>` and `</em>`; `None` if it does not match."""
    statistics: TargetGroupStatistics = field(factory=TargetGroupStatistics)
    """Its statistics; each of its fields may be `None`."""


@frozen(kw_only=True)
class TargetGroupOverview:
    """A target group that is not a draft, with its status and statistics. Source: `TargetGroupOverview` of the API."""

    __module__ = "fielding_async"

    project_name: str | None = None
    """The name of the target group's project."""
    target_group_name: str | None = None
    """Its name."""
    status: str | None = None
    """One of `TargetGroupStatus`, or a text that this version does not know."""
    human_readable_id: str | None = None
    """A short id (7 characters), unique within the account."""
    project_manager_id: str | None = None
    """The id of the user who manages it: a UUID."""
    progress: TargetGroupProgress = field(factory=TargetGroupProgress)
    """The progress of the target group. Each field of this value may be `None`."""
    pricing_model: str | None = None
    """`rate_card`, `dynamic`, or a text that this version does not know."""
    is_pricing_restricted: bool | None = None
    """Whether the Fielding Assistant restricts its cost per interview."""
    current_cost_per_interview: Money | None = None
    """The current cost per interview."""
    average_cost_per_interview: Money | None = None
    """The average cost per interview."""
    current_cost: Money | None = None
    """The cost of all completes so far."""
    country_code: str | None = None
    """The country, such as `US`, in the letter case that was sent."""
    language_code: str | None = None
    """The language, such as `ENG`, in the letter case that was sent."""
    conversion_rate: float | None = None
    """The conversion rate now, from 0 to 1."""
    drop_off_rate: float | None = None
    """The drop-off rate now, from 0 to 1."""
    incidence_rate: float | None = None
    """The incidence rate now, from 0 to 1."""
    median_length_of_interview_seconds: int | None = None
    """The median length of an interview now, in seconds."""
    study_type_code: str | None = None
    """The code of the study type, such as `adhoc` or `diary`."""
    target_group_customer_reference_number: str | None = None
    """The customer's own reference number of the target group."""
    created_at: datetime | None = None
    """When it was created: aware, in UTC."""
