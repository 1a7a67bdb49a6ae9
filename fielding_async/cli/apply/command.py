"""`fielding apply`: applies a plan of many rows with a journal, so that it can be stopped and continued at any time."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from fielding_async.cli.shared.arguments.numbers import Number, WholeNumber
from fielding_async.cli.shared.arguments.options import (
    FilePath,
    json_option,
    on_conflict_option,
    pace_options,
    rate_problem,
)
from fielding_async.cli.shared.exit_status import perform, report_interrupted, reporting_errors
from fielding_async.cli.shared.signal_handling import Interrupted, interrupting
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.ids import check_account_id, check_ulid
from fielding_async.core.models import OnConflict

from .order import Order, check_journal_path, command_words

if TYPE_CHECKING:
    from .execution import Execution

__all__ = ["apply"]


def _how_many(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | Literal["all"] | None:
    """Read `--check-runs`."""
    if value is None:
        return None
    if value == "all":
        return "all"
    if not (value.isascii() and value.isdigit()) or not 0 < len(value) < 10 or not int(value):
        raise click.BadParameter(f"{value!r} is neither a number of rows, 1 or more, nor all")
    return int(value)


@click.command()
@click.argument("plan", metavar="PLAN", type=FilePath(str))
@click.option("--account", type=WholeNumber(), metavar="NUMBER", help="Account id of rows that name none.")
@click.option("--project", metavar="ID", help="Project id of rows that name none.")
@click.option("--ignore-columns", is_flag=True, help="Leave out columns (or keys) that a plan does not have.")
@click.option("--dry-run", is_flag=True, help="Check the plan and say what would be sent; send nothing.")
@click.option(
    "--journal",
    "journal_path",
    metavar="FILE",
    type=FilePath(Path),
    help="Where to keep the journal; %Y, %m and %d in its name are the date (UTC) on which it is started, %% is a"
    " percent sign. [default: PLAN.journal]",
)
@click.option(
    "--check-runs",
    metavar="NUMBER|all",
    callback=_how_many,
    help="First GET the runs of NUMBER rows, evenly spread, or of all rows; if one does not exist, send nothing.",
)
@pace_options
@on_conflict_option
@click.option("--fail-fast", is_flag=True, help="Start no more rows after the first one that fails or is unknown.")
@click.option(
    "--wait",
    type=Number(min=0, max=1e9),
    default=600.0,
    show_default="600",
    metavar="SECONDS",
    help="Longest wait while the exchange cannot be used; 0 stops at once.",
)
@click.option(
    "--report",
    "page",
    metavar="PAGE",
    type=FilePath(Path),
    help="At the end, write a report to this file: one HTML page that needs no network.",
)
@click.option("--yes", is_flag=True, help="Do not ask before the first write.")
@json_option
def apply(
    plan: str,
    account: int | None,
    project: str | None,
    ignore_columns: bool,
    dry_run: bool,
    journal_path: Path | None,
    check_runs: int | Literal["all"] | None,
    concurrency: int,
    rate: float | None,
    on_conflict: OnConflict,
    fail_fast: bool,
    wait: float,
    page: Path | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Apply a plan: one action on one fielding run in each row.

    PLAN is a CSV file (commas, semicolons, tabs or |) whose first line names its columns, or JSON Lines with the same
    keys: account_id, project_id, target_group_id, fielding_run_id (or the four in one, as ref), action and, for
    updates, start_fielding_at and end_fielding_at. Actions: launch-now, pause, resume, complete, relaunch, update.
    Dates are RFC 3339 with a time zone; forms such as 2031-05-17 12:00:00+00 are read too. A row can name an ETag in
    the column if_match, as fielding journal undo writes it. If the run has another ETag, this row is refused.

    A plan without the column fielding_run_id acts on the one run of each target group. One GET for each target group
    finds it, also with --dry-run. The runs are recorded in the journal before the first write, and the same command
    continues with these runs. A target group without a run is a bad line.

    The whole plan is checked before anything is sent. Each write is recorded in the journal before it is sent. So the
    same command continues where it stopped, also after a crash, and sends no write twice. A finished plan is not sent
    again. To apply a plan every day, use one journal for each day, as in the last example; an unfinished journal of the
    plan is continued, whatever its date. After Ctrl-C, the command starts no more rows, and waits for the rows in
    flight. After a second Ctrl-C, it does not wait.

    Rows that failed are written to PLAN.failed.csv, which is a plan too. If it is unknown whether a row was applied,
    the row is written to PLAN.unknown.csv. After a row has failed, later rows of the same run are not sent.

    While the exchange cannot be used, no row is started, and one GET at a time shows when it can be used again. After
    --wait seconds the command stops. The remaining rows are open, and the same command continues with them. A row is
    stuck if it fails three times while others succeed, and the row itself is not the cause. The same command tries
    stuck rows again.

    Exit status: 0 all done, 1 some failed or are stuck, or were not sent, 2 bad arguments, settings or lines (nothing
    was sent), 3 some open or unknown, 129, 130 and 143 on signals.

    \b
    Examples:
      fielding apply plan.csv --dry-run --rate 20
      fielding apply plan.csv --rate 20
      fielding apply plan.jsonl --account 101 --project 01J...P0 --yes --json
      fielding apply plan.csv --yes --journal plan-%Y-%m-%d.journal
    """
    from fielding_async.cli.shared.plan.file import STDIN, PlanFile
    from fielding_async.cli.shared.plan.row import Defaults

    from .journal_files import find_journal
    from .journal_pattern import parse_pattern
    from .page import check_page
    from .rows.plan_check import check_file, report_no_rows

    with reporting_errors(doing="apply", as_json=as_json), _reporting_signals() as executions:
        defaults = Defaults(
            None if account is None else check_account_id(account),
            None if project is None else check_ulid("project_id", project),
            ignores_extra=ignore_columns,
        )
        if (problem := rate_problem(rate)) is not None:
            raise ConfigurationError(problem)
        needs_journal = "needs --journal FILE, so that it can be continued: give one"
        if plan == STDIN and journal_path is None and not dry_run:
            raise ConfigurationError(f"a plan from standard input {needs_journal}")  # before waiting for it
        with PlanFile(plan) as file:
            if not file.is_lasting and journal_path is None and not dry_run:
                raise ConfigurationError(f"a plan from {file.name} {needs_journal}")
            pattern = None if journal_path is None else parse_pattern(journal_path)
            checked = check_file(file, defaults, as_json=as_json, words=command_words())
            if not checked.rows:
                report_no_rows(file.name, as_json=as_json)
                return
            base_url = _base_url()
            journal = Path(f"{plan}.journal")
            if pattern is not None:
                journal = find_journal(pattern, checked, base_url=base_url, today=datetime.now(UTC).date())
            order = Order(
                plan=file.name,
                is_lasting=file.is_lasting,
                journal=journal,
                is_dated=pattern is not None and pattern.is_dated,
                sandbox=False,
                base_url=base_url,
                concurrency=concurrency,
                rate=rate,
                on_conflict=on_conflict,
                fail_fast=fail_fast,
                wait=wait,
                as_json=as_json,
                check_runs=check_runs,
                words=command_words(),
                page=page,
            )
            check_journal_path(order)
            check_page(order)
            from .preparation import prepare, show_dry_run  # after what is cheap to check

            if dry_run:
                show_dry_run(order, file, defaults, checked)
                return
            executions.append(prepare(order, file, defaults, checked, yes=yes))
            _perform(executions[0])


@contextmanager
def _reporting_signals() -> "Generator[list[Execution]]":
    """End the command at a signal, and say that nothing was sent if that is so.

    It yields a list for the execution, which handles signals itself while the batch is in progress.
    """
    executions: list[Execution] = []
    try:
        with interrupting():
            yield executions
    except Interrupted as interrupted:
        has_begun = any(execution.has_begun for execution in executions)
        status = report_interrupted(interrupted, doing="apply", has_begun=has_begun)
        raise click.exceptions.Exit(status) from None


def _base_url() -> str:
    from fielding_async.core.addresses import resolve_base_url

    return resolve_base_url(None, os.environ)


def _perform(execution: "Execution") -> None:
    from .report import report

    async def work() -> int:
        if not execution.is_over:
            await execution.run()
        return report(execution)

    perform(
        work,
        doing="apply",
        as_json=execution.order.as_json,
        on_signal=execution.on_signal,
        has_begun=lambda: execution.has_begun,
    )
