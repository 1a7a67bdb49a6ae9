"""Accounts and projects as the API shows them. A field that was not sent, or cannot be read, is `None`."""

from datetime import datetime
from enum import StrEnum

from attrs import field, frozen

__all__ = [
    "AccountItem",
    "ProjectDetails",
    "ProjectIdentity",
    "ProjectItem",
    "ProjectOverview",
    "ProjectStatistics",
    "ProjectStatus",
]


class ProjectStatus(StrEnum):
    """The statuses of a project that this version of the SDK knows. Members are equal to their plain strings."""

    __module__ = "fielding_async"

    ACTIVE = "active"
    INACTIVE = "inactive"


@frozen(kw_only=True)
class AccountItem:
    """An account that the token has access to. Source: an entry of `AccountsList`."""

    __module__ = "fielding_async"

    id: int
    """The account's id, which `fielding.account(…)` takes."""
    name: str | None = None
    """The account's name."""


@frozen(kw_only=True)
class ProjectStatistics:
    """Statistics over the target groups of a project. Source: `ProjectStatistics` of the API."""

    __module__ = "fielding_async"

    filling_goal: int | None = None
    """The goal of completes, over all target groups."""
    current_completes: int | None = None
    """How many completes there are now."""
    current_prescreens: int | None = None
    """How many prescreens there are now."""
    incidence_rate_median: float | None = None
    """The median incidence rate now, from 0 to 1."""
    length_of_interview_median_seconds: int | None = None
    """The median length of an interview now, in seconds."""
    conversion_rate_average: float | None = None
    """The average conversion rate now, from 0 to 1."""
    drop_off_rate_average: float | None = None
    """The average drop-off rate now, from 0 to 1."""


@frozen(kw_only=True)
class ProjectIdentity:
    """The fields that all values of a project have."""

    __module__ = "fielding_async"

    id: str
    """The project's id: 26 characters."""
    account_id: int | None = None
    """The id of the account that it belongs to."""
    name: str | None = None
    """The project's name."""
    human_readable_id: str | None = None
    """A short id (6 characters), unique within the account."""
    project_customer_reference_number: str | None = None
    """The customer's own reference number of the project."""


@frozen(kw_only=True)
class ProjectItem(ProjectIdentity):
    """A project in a list. Source: `ProjectListItem` of the API."""

    __module__ = "fielding_async"

    status: str | None = None
    """One of `ProjectStatus`, or a text that this version does not know."""
    target_group_count: int | None = None
    """The number of target groups in the project."""
    last_activity_at: datetime | None = None
    """The time of the last activity in the project: aware, in UTC."""
    statistics: ProjectStatistics = field(factory=ProjectStatistics)
    """Its statistics; each of its fields may be `None`."""
    highlighted_name: str | None = None
    """The name as HTML, with the matches of the search between `<em>` and `</em>`; `None` if it does not match."""
    target_group_human_readable_ids: tuple[str, ...] = ()
    """The short ids of its target groups that matched the search."""
    target_group_customer_reference_numbers: tuple[str, ...] = ()
    """The customer's reference numbers of its target groups that matched the search."""


@frozen(kw_only=True)
class ProjectDetails(ProjectIdentity):
    """A project. Source: `ProjectDetails` of the API."""

    __module__ = "fielding_async"

    project_manager_id: str | None = None
    """The id of the user who manages it: a UUID."""


@frozen(kw_only=True)
class ProjectOverview(ProjectIdentity):
    """A project with its status and statistics. Source: `ProjectOverview` of the API."""

    __module__ = "fielding_async"

    status: str | None = None
    """One of `ProjectStatus`, or a text that this version does not know."""
    project_manager_id: str | None = None
    """The id of the user who manages it: a UUID."""
    created_at: datetime | None = None
    """When it was created: aware, in UTC."""
    statistics: ProjectStatistics = field(factory=ProjectStatistics)
    """Its statistics; each of its fields may be `None`."""
