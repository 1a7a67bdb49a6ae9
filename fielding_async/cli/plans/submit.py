"""`fielding plans submit`: checks a plan file as `fielding apply` does, and stores its rows."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fielding_async.cli.shared.arguments.numbers import WholeNumber
from fielding_async.cli.shared.arguments.options import FilePath, json_option
from fielding_async.cli.shared.exit_status import Exit, reporting_errors
from fielding_async.cli.shared.output import counted, printable, write_json, write_stdout
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.ids import check_account_id, check_ulid

from .running import with_plans

if TYPE_CHECKING:
    from fielding_async.cli.shared.plan.checked_plan import CheckedPlan
    from fielding_async.cli.shared.plan.file import PlanFile
    from fielding_async.cli.shared.plan.row import Defaults

__all__ = ["submit"]

_NOTHING = "nothing was submitted"


@click.command()
@click.argument("plan", metavar="PLAN", type=FilePath(str))
@click.option(
    "--name", metavar="NAME", help="The plan's name in the database. [default: that of the file, without its suffix]"
)
@click.option("--account", type=WholeNumber(), metavar="NUMBER", help="Account id of rows that name none.")
@click.option("--project", metavar="ID", help="Project id of rows that name none.")
@click.option("--ignore-columns", is_flag=True, help="Leave out columns (or keys) that a plan does not have.")
@json_option
def submit(
    plan: str, name: str | None, account: int | None, project: str | None, ignore_columns: bool, as_json: bool
) -> None:
    """Submit a plan: check a file, and store its rows. Nothing is sent to the exchange.

    PLAN is a file as fielding apply takes it; - is standard input, which needs --name. Each row must name its fielding
    run. The whole file is checked before a row is stored. The command stores all rows of the file, or none.

    If you submit the same rows again under the same name, nothing changes. Other rows under this name are refused.

    Exit status: 0 the plan is stored, 2 bad arguments, settings or lines, or another plan has the name, 3 the database
    cannot be used now.

    \b
    Examples:
      fielding plans submit plan.csv
      fielding plans submit plan.jsonl --name close-out-may --account 101
    """
    from fielding_async.cli.shared.plan.file import STDIN, PlanFile
    from fielding_async.cli.shared.plan.plan_check import check_file
    from fielding_async.cli.shared.plan.row import Defaults
    from fielding_async.plans.values.plan_values import check_plan_name

    doing = "plans submit"
    with reporting_errors(doing=doing, as_json=as_json):
        defaults = Defaults(
            None if account is None else check_account_id(account),
            None if project is None else check_ulid("project_id", project),
            ignores_extra=ignore_columns,
        )
        if name is None and plan == STDIN:
            raise ConfigurationError("a plan from standard input has no name: give it one with --name")
        with PlanFile(plan) as file:
            given = check_plan_name("--name", Path(plan).stem if name is None else name)
            words = ["fielding", "plans", "submit", plan, *(() if name is None else ("--name", name)), "--json"]
            checked = check_file(file, defaults, as_json=as_json, all_of_them=shlex.join(words), nothing=_NOTHING)
            _check_rows(file, checked)
            _store(file, defaults, checked, given, as_json=as_json)


def _check_rows(file: "PlanFile", checked: "CheckedPlan") -> None:
    """Raise `ConfigurationError` for a plan without rows, or whose rows name no runs."""
    if not checked.rows:
        raise ConfigurationError(
            f"{file.name}: holds no rows, only the names of the columns; {_NOTHING}. Add rows to it"
        )
    if checked.names_no_runs:
        raise ConfigurationError(
            f"{file.name}: has no column fielding_run_id, and a plan in PostgreSQL must name the run of each"
            f" row; {_NOTHING}. `fielding list runs ACCOUNT/PROJECT --plan ACTION` writes a plan with the runs, or add"
            " the column"
        )


def _store(file: "PlanFile", defaults: "Defaults", checked: "CheckedPlan", name: str, *, as_json: bool) -> None:
    from fielding_async.cli.shared.plan.checked_plan import verified_rows
    from fielding_async.plans import PostgresPlans

    async def work(plans: PostgresPlans) -> int:
        rows = verified_rows(file.rows(defaults), checked)
        stored = await plans.submit((row.pair for row in rows), plan=name)
        if as_json:
            found = {"kind": "submitted", "plan": name, "rows": stored.rows, "is_new": stored.is_new}
            write_json({**found, "exit_status": int(Exit.DONE)})
            return Exit.DONE
        shown = printable(name)
        said = f"{shown}: {counted(stored.rows, 'row')} submitted"
        if not stored.is_new:
            said = f"{shown}: is there already, with the same {counted(stored.rows, 'row')}; nothing was changed"
        lines = [said, *([printable(checked.duplicates_text)] if checked.duplicates else [])]
        command = shlex.join(["fielding", "plans", "work", *(["--"] if name.startswith("-") else []), name])
        write_stdout(
            "\n".join([*lines, "to work it off, on any number of hosts:", f"  {printable(command)} --until-done"])
        )
        return Exit.DONE

    with_plans(work, doing="plans submit", as_json=as_json)
