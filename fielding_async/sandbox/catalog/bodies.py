"""Accounts, projects, target groups and changes as JSON objects."""

from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Literal
from uuid import UUID

from .records import Change, StoredAccount, StoredGroup, StoredProject
from .statistics import GroupStatistics, ProjectStatistics, traits_for

__all__ = ["Bodies", "DateForm"]

DateForm = Literal["milliseconds", "seconds", "offset"]
"""How dates are written: `…:00.000Z`, `…:00Z`, or `…:00.000000+00:00`."""

_CURRENCY = {"currency_code": "USD", "currency_scale": 2}
_USERS = {"system": {"type": "system_user"}, "marketplace": {"type": "system_marketplace_user"}}


class Bodies:
    """Makes JSON objects. `nulls`: a field without a value is sent as `null` rather than left out."""

    def __init__(self, dates: DateForm, *, nulls: bool) -> None:
        self._dates: DateForm = dates
        self._nulls = nulls

    def account(self, account: StoredAccount) -> dict[str, Any]:
        """Return an account as the list shows it."""
        return {"id": account.id, "name": account.name}

    def project_item(
        self, project: StoredProject, statistics: ProjectStatistics, matches: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return a project as the list shows it. `matches`: what a search found."""
        return {
            "id": project.id,
            "human_readable_id": project.human_readable_id,
            "account_id": project.account.id,
            "name": project.name,
            "target_group_count": len(project.groups),
            "status": project.status,
            "last_activity_at": self.date(project.active_at),
            "statistics": _project_statistics(statistics),
            **self._optional("project_customer_reference_number", project.reference),
            **matches,
        }

    def project(self, project: StoredProject) -> dict[str, Any]:
        """Return the details of a project."""
        return {
            "id": project.id,
            "human_readable_id": project.human_readable_id,
            "name": project.name,
            "project_manager_id": project.manager,
            "account_id": project.account.id,
            **self._optional("project_customer_reference_number", project.reference),
        }

    def project_overview(self, project: StoredProject, statistics: ProjectStatistics) -> dict[str, Any]:
        """Return the overview of a project."""
        return {
            **self.project(project),
            "status": project.status,
            "statistics": _project_statistics(statistics),
            "created_at": self.date(project.created_at),
        }

    def group_item(
        self, group: StoredGroup, status: str, statistics: GroupStatistics, matches: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return a target group as the list shows it. `matches`: what a search found."""
        price, per_click = statistics.price, statistics.per_click
        shown: dict[str, Any] = {"progress": _progress(statistics)}
        if statistics.last_complete is not None:
            shown |= {
                "last_complete_date": self.date(statistics.last_complete),
                "earnings_per_click": _money(per_click),
                "earnings_per_click_per_minute": _money(per_click * 60 // statistics.interview_seconds),
                "average_cost_per_interview": _money(price),
                "median_length_of_interview_seconds": statistics.interview_seconds,
                "incidence_rate": statistics.incidence,
                "drop_off_rate": statistics.drop_off,
                "conversion_rate": statistics.conversion,
            }
        return {
            "id": group.id,
            "human_readable_id": group.human_readable_id,
            "name": group.name,
            "project_manager_id": group.manager,
            "exclusion_enabled": group.exclusion,
            "locale": f"{group.language}_{group.country}",
            "status": status,
            "created_at": self.date(group.created_at),
            "updated_at": self.date(group.updated_at),
            "statistics": {name: {"value": value, "issues": []} for name, value in shown.items()},
            **self._optional("target_group_customer_reference_number", group.reference),
            **matches,
        }

    def group_overview(
        self, group: StoredGroup, status: str, statistics: GroupStatistics, *, by_id: bool
    ) -> dict[str, Any]:
        """Return the overview of a target group; `by_id`: in the form of the operation that takes its id alone."""
        price, completes = statistics.price, statistics.completes
        seconds: dict[str, Any] = {"median_length_of_interview_seconds": statistics.interview_seconds}
        above: dict[str, Any] = {}
        if by_id:
            above = {"account_id": group.project.account.id, "project_id": group.project.id}
        elif not completes:
            seconds = self._optional("median_length_of_interview_seconds", None)
        return {
            **above,
            "project_name": group.project.name,
            "target_group_name": group.name,
            "human_readable_id": group.human_readable_id,
            "project_manager_id": group.manager,
            "progress": _progress(statistics),
            "pricing_model": "dynamic",
            "is_pricing_restricted": False,
            "current_cost_per_interview": _money(price),
            **({"average_cost_per_interview": _money(price)} if completes else {}),
            "current_cost": _money(price * completes),
            "status": status,
            "country_code": group.country.upper(),
            "language_code": group.language.upper(),
            "conversion_rate": statistics.conversion,
            "drop_off_rate": statistics.drop_off,
            "incidence_rate": statistics.incidence,
            **seconds,
            "study_type_code": "adhoc",
            **self._optional("target_group_customer_reference_number", group.reference),
            "created_at": self.date(group.created_at),
        }

    def draft(self, group: StoredGroup) -> dict[str, Any]:
        """Return a draft target group."""
        return {
            "human_readable_id": group.human_readable_id,
            "name": group.name,
            "business_unit_id": 3337,
            "locale": f"{group.language}_{group.country}",
            "collects_pii": False,
            "study_type_code": "adhoc",
            "industry_code": "other",
            "pricing_model": "dynamic",
            "cost_per_interview": _money(traits_for(group).price),
            "project_manager_id": group.manager,
            "completes_goal": group.goal,
            "expected_length_of_interview_minutes": max(1, traits_for(group).interview_seconds // 60),
            "expected_incidence_rate": 0.5,
            "exclusion": {"enabled": group.exclusion, "list": []},
            "respondent_activity_exclusions": [],
            "industry_lockout_code": "no_lock_out",
            "live_url": "https://survey.example/live",
            "test_url": "https://survey.example/test",
            "created_at": self.date(group.created_at),
            "links": {"test_client_survey": "https://survey.example/test"},
            **self._optional("target_group_customer_reference_number", group.reference),
        }

    def change(self, group: StoredGroup, change: Change, types: tuple[str, ...]) -> dict[str, Any]:
        """Return changes made at the same time; with `types` those of these types alone."""
        digest = blake2b(f"{group.project.id}/{group.id}/{change.number}".encode(), digest_size=16).digest()
        user = _USERS.get(change.user) or {"type": "las_user", "las_user_id": change.user}
        return {
            "id": str(UUID(bytes=digest, version=4)),
            "occurred_at": self.date(change.at),
            "user": user,
            "changes": [item for item in change.items if not types or item["object"] in types],
        }

    def date(self, moment: datetime) -> str:
        """Write a date; digits beyond the form's precision are cut off."""
        moment = moment.astimezone(UTC)
        if self._dates == "offset":
            return moment.isoformat(timespec="microseconds")
        return moment.isoformat(timespec=self._dates).removesuffix("+00:00") + "Z"

    def _optional(self, name: str, value: str | None) -> dict[str, Any]:
        return {} if value is None and not self._nulls else {name: value}


def _money(amount: int) -> dict[str, Any]:
    return {"value": f"{amount // 10_000}.{amount % 10_000:04d}", **_CURRENCY}


def _progress(statistics: GroupStatistics) -> dict[str, Any]:
    return {
        "current_completes": statistics.completes,
        "current_prescreens": statistics.prescreens,
        "filling_goal": statistics.goal,
        "filling_strategy": "completes",
    }


def _project_statistics(statistics: ProjectStatistics) -> dict[str, Any]:
    return {
        "filling_goal": statistics.goal,
        "current_completes": statistics.completes,
        "current_prescreens": statistics.prescreens,
        "incidence_rate_median": statistics.incidence_median,
        "length_of_interview_median_seconds": statistics.interview_seconds_median,
        "conversion_rate_average": statistics.conversion_average,
        "drop_off_rate_average": statistics.drop_off_average,
    }
