"""How accounts, projects, target groups and runs are shown: as a table, as cells of CSV, as JSON objects. Pure."""

from collections.abc import Callable
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

import attrs

from fielding_async.cli.shared.csv_output import csv_cell
from fielding_async.cli.shared.output import printable
from fielding_async.cli.shared.text_table import Column
from fielding_async.cli.shared.value_texts import json_value, progress_text, reached, run_object, status_style

if TYPE_CHECKING:
    from fielding_async import AccountItem, FoundRun, ProjectItem, TargetGroupItem

__all__ = ["ACCOUNTS", "PROJECTS", "RUNS", "TARGET_GROUPS", "View"]

_Item = TypeVar("_Item")


@attrs.frozen(kw_only=True)
class View(Generic[_Item]):
    """How the items of one kind are shown. `noun`: what one of them is called.

    `table`: the columns of the table, each with the text of an item. `csv`: the columns of CSV, each with where the
    value is, as a path of attributes. `as_object`: an item as a JSON object.
    """

    noun: str
    table: tuple[tuple[Column, Callable[[_Item], str]], ...]
    csv: tuple[tuple[str, str], ...]
    as_object: Callable[[_Item], dict[str, Any]]

    @property
    def columns(self) -> list[Column]:
        """The columns of the table."""
        return [column for column, _ in self.table]

    @property
    def csv_columns(self) -> list[str]:
        """The names of the columns of CSV."""
        return [name for name, _ in self.csv]

    def texts(self, item: _Item) -> list[str]:
        """Return an item as the texts of the table's columns, with nothing that could control a terminal."""
        return [printable(text(item)) for _, text in self.table]

    def csv_cells(self, item: _Item) -> list[str]:
        """Return an item as cells of CSV, safe to open in a spreadsheet."""
        return [csv_cell(attrgetter(path)(item)) for _, path in self.csv]


def _object(value: object) -> Any:
    """Return a value of the SDK as a JSON value, with all its fields."""
    kind: type[Any] = type(value)
    if attrs.has(kind):
        return {field.name: _object(getattr(value, field.name)) for field in attrs.fields(kind)}
    if isinstance(value, tuple):
        return [_object(entry) for entry in cast("tuple[object, ...]", value)]
    return json_value(value)


def _run_object(found: "FoundRun") -> dict[str, Any]:
    ref = found.ref
    shown = run_object(found.run, ref)
    del shown["etag"]  # a list has none
    return {**shown, **attrs.asdict(ref), "target_group": _object(found.target_group)}


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _minute(time: datetime | None) -> str:
    return "" if time is None else time.strftime("%Y-%m-%d %H:%M")


def _group_progress(group: "TargetGroupItem") -> str:
    progress = group.statistics.progress
    return progress_text(reached(progress), progress.filling_goal)


ACCOUNTS: "View[AccountItem]" = View(
    noun="account",
    table=(
        (Column(title="Account", is_number=True), lambda item: str(item.id)),
        (Column(title="Name", shortest=10), lambda item: _text(item.name)),
    ),
    csv=(("account_id", "id"), ("name", "name")),
    as_object=lambda item: {"kind": "account", **_object(item)},
)

PROJECTS: "View[ProjectItem]" = View(
    noun="project",
    table=(
        (Column(title="Project"), lambda item: item.id),
        (Column(title="Name", rank=1, shortest=14), lambda item: _text(item.name)),
        (Column(title="Status", rank=2, style=status_style), lambda item: _text(item.status)),
        (
            Column(title="Completes", rank=3, is_number=True),
            lambda item: progress_text(item.statistics.current_completes, item.statistics.filling_goal),
        ),
        (Column(title="Groups", rank=4, is_number=True), lambda item: _number(item.target_group_count)),
        (Column(title="Last activity (UTC)", rank=5), lambda item: _minute(item.last_activity_at)),
        (Column(title="Short id", rank=6), lambda item: _text(item.human_readable_id)),
        (
            Column(title="Reference", rank=7, shortest=12),
            lambda item: _text(item.project_customer_reference_number),
        ),
    ),
    csv=(
        ("account_id", "account_id"),
        ("project_id", "id"),
        ("human_readable_id", "human_readable_id"),
        ("name", "name"),
        ("status", "status"),
        ("target_group_count", "target_group_count"),
        ("last_activity_at", "last_activity_at"),
        ("project_customer_reference_number", "project_customer_reference_number"),
        *(
            (name, f"statistics.{name}")
            for name in (
                "filling_goal",
                "current_completes",
                "current_prescreens",
                "incidence_rate_median",
                "length_of_interview_median_seconds",
                "conversion_rate_average",
                "drop_off_rate_average",
            )
        ),
    ),
    as_object=lambda item: {"kind": "project", **_object(item)},
)

_PROGRESS = ("filling_goal", "filling_strategy", "current_completes", "current_prescreens")
_GROUP = (
    *("name", "status", "human_readable_id", "locale", "project_manager_id"),
    *("target_group_customer_reference_number", "exclusion_enabled", "created_at", "updated_at"),
)
_STATISTICS = (
    *("last_complete_date", "average_cost_per_interview", "median_length_of_interview_seconds"),
    *("incidence_rate", "conversion_rate", "drop_off_rate"),
)

TARGET_GROUPS: "View[TargetGroupItem]" = View(
    noun="target group",
    table=(
        (Column(title="Target group"), lambda item: item.id),
        (Column(title="Name", rank=1, shortest=14), lambda item: _text(item.name)),
        (Column(title="Status", rank=2, style=status_style), lambda item: _text(item.status)),
        (Column(title="Progress", rank=3, is_number=True), _group_progress),
        (Column(title="Locale", rank=4), lambda item: _text(item.locale)),
        (Column(title="Short id", rank=5), lambda item: _text(item.human_readable_id)),
        (Column(title="Last complete (UTC)", rank=6), lambda item: _minute(item.statistics.last_complete_date)),
        (Column(title="Created (UTC)", rank=7), lambda item: _minute(item.created_at)),
        (
            Column(title="Reference", rank=8, shortest=12),
            lambda item: _text(item.target_group_customer_reference_number),
        ),
    ),
    csv=(
        ("target_group_id", "id"),
        *((name, name) for name in _GROUP),
        *((name, f"statistics.progress.{name}") for name in _PROGRESS),
        *((name, f"statistics.{name}") for name in _STATISTICS),
    ),
    as_object=lambda item: {"kind": "target-group", **_object(item)},
)

RUNS: "View[FoundRun]" = View(
    noun="run",
    table=(
        (Column(title="Target group"), lambda item: item.ref.target_group_id),
        (Column(title="Name", rank=1, shortest=14), lambda item: _text(item.target_group.name)),
        (Column(title="Status", rank=2, style=status_style), lambda item: str(item.run.status)),
        (Column(title="End (UTC)", rank=3), lambda item: _minute(item.run.end_fielding_at)),
        (Column(title="Progress", rank=4, is_number=True), lambda item: _group_progress(item.target_group)),
        (Column(title="Run", rank=5), lambda item: item.ref.fielding_run_id),
        (Column(title="Start (UTC)", rank=6), lambda item: _minute(item.run.start_fielding_at)),
        (Column(title="Changed (UTC)", rank=7), lambda item: _minute(item.run.last_changed_at)),
        (Column(title="By", rank=8, shortest=12), lambda item: _text(item.run.last_changed_by)),
    ),
    csv=(
        *((name, f"ref.{name}") for name in ("account_id", "project_id", "target_group_id", "fielding_run_id")),
        *(
            (name, f"run.{name}")
            for name in (
                *("status", "start_fielding_at", "end_fielding_at", "version", "last_changed_at"),
                "last_changed_by",
            )
        ),
        ("target_group_name", "target_group.name"),
        ("target_group_status", "target_group.status"),
        ("target_group_human_readable_id", "target_group.human_readable_id"),
        *((name, f"target_group.statistics.progress.{name}") for name in _PROGRESS),
    ),
    as_object=_run_object,
)
