"""`fielding list …`: shows accounts, projects, target groups and runs, or writes a plan for the runs found."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from fielding_async.cli.shared.arguments.options import timestamp
from fielding_async.cli.shared.arguments.project_argument import ProjectRef, account_argument, project_argument
from fielding_async.cli.shared.exit_status import Exit, perform
from fielding_async.cli.shared.output import stdout_has_reader, write_stderr, write_stdout
from fielding_async.cli.shared.signal_handling import interrupting_output

from .actions import PLANS, planned_action
from .order import Form, Order, Rows, list_options, read_list, write_list

if TYPE_CHECKING:
    from fielding_async import FieldingSession, FoundRun
    from fielding_async.core.actions import Action

    from .views import View

__all__ = ["list_group"]

_Item = TypeVar("_Item")
_RUN_STATUSES = ("scheduled", "live", "paused", "completed")
_GROUP_STATUSES = ("draft", *_RUN_STATUSES, "archived")


def _many(option: str, name: str, text: str, **more: Any) -> Callable[[Any], Any]:
    """Return an option that may be given several times."""
    return click.option(option, name, multiple=True, help=f"{text} May be given several times.", **more)


@click.group("list")
def list_group() -> None:
    """List accounts, projects, target groups and fielding runs.

    \b
    Examples, from the accounts down to a plan for the runs of a project:
      fielding list accounts
      fielding list projects 101 --status active
      fielding list target-groups 101/01J...P0 --status live
      fielding list runs 101/01J...P0 --status live
      fielding list runs 101/01J...P0 --status live --plan pause > plan.csv

    Only GETs are sent. The list is written to stdout as a table. On a terminal the table is as wide as the terminal;
    in a file or a pipe it has all columns. Nothing is written unless the whole list could be read.

    Exit status: 0 the list was written, also if it is empty, 1 it could not be read, 2 bad arguments or settings, 129,
    130 and 143 on signals.
    """


@list_group.command()
@list_options
def accounts(limit: int | None, as_csv: bool, as_json: bool) -> None:
    """List the accounts that the token has access to.

    \b
    Example:
      fielding list accounts
    """
    from .views import ACCOUNTS

    order = Order(doing="list accounts", form=Form(as_json=as_json, as_csv=as_csv, limit=limit))
    _perform(order, ACCOUNTS, lambda fielding: fielding.list_accounts())


@list_group.command()
@account_argument
@click.option("--status", type=click.Choice(["active", "inactive"]), help="Only projects with this status.")
@click.option("--search", metavar="TEXT", help="Only projects with this text (5 to 128 characters) in name or ids.")
@click.option("--project-manager", metavar="ID", help="Only projects of this project manager (a UUID).")
@list_options
def projects(
    account: int,
    status: str | None,
    search: str | None,
    project_manager: str | None,
    limit: int | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """List the projects of an account.

    \b
    Examples:
      fielding list projects 101 --status active
      fielding list projects 101 --search 'Wave 7' --csv > projects.csv
    """
    from .views import PROJECTS

    order = Order(
        doing="list projects",
        form=Form(as_json=as_json, as_csv=as_csv, limit=limit),
        hint="`fielding list accounts` shows the accounts that exist",
        is_filtered=any((status, search, project_manager)),
    )
    _perform(
        order,
        PROJECTS,
        lambda fielding: fielding.account(account).list_projects(
            status=status, search=search, project_manager_id=project_manager
        ),
    )


@list_group.command()
@project_argument
@_many("--status", "statuses", "Only target groups with this status.", type=click.Choice(_GROUP_STATUSES))
@click.option("--search", metavar="TEXT", help="Only target groups with this text in name or short id.")
@_many("--country", "countries", "Only target groups of this country, such as us.", metavar="CODE")
@_many("--language", "languages", "Only target groups in this language, such as eng.", metavar="CODE")
@_many("--short-id", "short_ids", "Only target groups with this short id; no other filters.", metavar="ID")
@_many(
    "--reference",
    "references",
    "Only target groups with this customer reference number; no other filters.",
    metavar="TEXT",
)
@click.option("--project-manager", metavar="ID", help="Only target groups of this project manager (a UUID).")
@click.option("--exclusions/--no-exclusions", default=None, help="Only target groups with, or without, exclusions.")
@list_options
def target_groups(
    project: ProjectRef,
    statuses: tuple[str, ...],
    search: str | None,
    countries: tuple[str, ...],
    languages: tuple[str, ...],
    short_ids: tuple[str, ...],
    references: tuple[str, ...],
    project_manager: str | None,
    exclusions: bool | None,
    limit: int | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """List the target groups of a project, drafts included.

    \b
    Examples:
      fielding list target-groups 101/01J...P0 --status live --country us
      fielding list target-groups 101/01J...P0 --json --limit 10
    """
    from .views import TARGET_GROUPS

    filters: dict[str, Any] = {
        "status": statuses,
        "search": search,
        "country": tuple(code.lower() for code in countries),
        "language": tuple(code.lower() for code in languages),
        "human_readable_ids": short_ids,
        "target_group_customer_reference_numbers": references,
        "exclusion_status": exclusions,
        "project_manager_id": project_manager,
    }
    given = {name: value for name, value in filters.items() if value not in {None, ()}}
    order = Order(
        doing="list target-groups",
        form=Form(as_json=as_json, as_csv=as_csv, limit=limit),
        hint=project.hint,
        is_filtered=bool(given),
    )
    _perform(
        order,
        TARGET_GROUPS,
        lambda fielding: fielding.project(project.account_id, project.project_id).list_target_groups(**given),
    )


@list_group.command()
@project_argument
@_many("--status", "statuses", "Only runs with this status.", type=click.Choice(_RUN_STATUSES))
@_many(
    "--target-group-status",
    "group_statuses",
    "Only runs of target groups with this status.",
    type=click.Choice(_GROUP_STATUSES[1:]),
)
@click.option("--search", metavar="TEXT", help="Only runs of target groups with this text in name or short id.")
@click.option(
    "--plan",
    "plan",
    type=click.Choice(PLANS),
    help="Instead of the list, write a plan for `fielding apply`, with this action on each run.",
)
@click.option(
    "--start", callback=timestamp, metavar="DATETIME", help="New start for --plan update: RFC 3339, with a zone."
)
@click.option("--end", callback=timestamp, metavar="DATETIME", help="New end for --plan update: RFC 3339, with a zone.")
@list_options
def runs(
    project: ProjectRef,
    statuses: tuple[str, ...],
    group_statuses: tuple[str, ...],
    search: str | None,
    plan: str | None,
    start: datetime | None,
    end: datetime | None,
    limit: int | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """List the fielding runs of a project.

    The runs of each target group are fetched by one GET, so a list takes about as many requests as there are target
    groups. Drafts have no run. --target-group-status and --search are sent to the exchange and reduce the number of
    requests. --status is compared with each run after it is fetched. Runs are in the order of their ids.

    With --plan the runs become the rows of a plan. The plan goes to stdout, and a summary of it to stderr. Nothing is
    changed until `fielding apply` applies the plan. If the list could not be read to its end, no plan is written, and
    `apply` refuses the empty input. A plan without rows is valid: `apply` then sends nothing.

    \b
    Examples:
      fielding list runs 101/01J...P0 --status live --status paused
      fielding list runs 101/01J...P0 --status live --plan pause > plan.csv
      fielding list runs 101/01J...P0 --status live --plan pause \\
        | fielding apply - --yes --journal pause.journal
      fielding list runs 101/01J...P0 --status live --plan update \\
        --end 2031-08-31T18:00:00Z > plan.csv
    """
    from .views import RUNS

    form = Form(as_json=as_json, as_csv=as_csv, limit=limit)
    action = planned_action(plan, start, end)
    if action is not None and (as_json or as_csv):
        raise click.UsageError(f"--plan writes a plan, not a list: leave out {'--json' if as_json else '--csv'}.")
    if action is not None and not stdout_has_reader():
        raise click.UsageError("--plan writes the plan to stdout, which is closed: send it to a file or a pipe.")
    filters: dict[str, Any] = {"status": statuses, "target_group_status": group_statuses, "search": search}
    given = {name: value for name, value in filters.items() if value not in {None, ()}}
    order = Order(doing="list runs", form=form, hint=project.hint, is_filtered=bool(given))

    def rows(fielding: "FieldingSession") -> "Rows[FoundRun]":
        return fielding.project(project.account_id, project.project_id).find_runs(**given)

    _perform(order, RUNS, rows, sort=lambda found: str(found.ref), action=action)


def _perform(
    order: Order,
    view: "View[_Item]",
    rows: "Callable[[FieldingSession], Rows[_Item]]",
    *,
    sort: Callable[[_Item], str] | None = None,
    action: "Action | None" = None,
) -> NoReturn:
    """Read a list, write it as asked, and exit through click."""

    async def work() -> int:
        result = await read_list(order, view.noun, rows)
        if result is None:
            return Exit.FAILED
        found, vanished = result
        if sort is not None:
            found.sort(key=sort)
        if action is not None:
            _write_plan(order, found, vanished, action)  # a part of it would be a plan, so it is written whole
            return Exit.DONE
        with interrupting_output():
            write_list(order, view, found, vanished)
        return Exit.DONE

    perform(work, doing=order.doing, as_json=order.form.as_json)


def _write_plan(order: Order, found: "list[Any]", vanished: int, action: "Action") -> None:
    from .plan import plan_lines, summary

    for line in plan_lines(found, action):
        write_stdout(line)
    write_stderr(f"fielding: {order.doing}: {summary(found, action, limit=order.form.limit, vanished=vanished)}")
