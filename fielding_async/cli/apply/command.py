"""`fielding apply`: applies a plan of many rows with a journal, so that it can be stopped and continued at any time."""

import os
import shlex
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from fielding_async.cli.shared.exit_status import (
    Exit,
    perform,
    report_interrupted,
    reporting_errors,
)
from fielding_async.cli.shared.options import json_option, on_conflict_option
from fielding_async.cli.shared.output import is_live, printable, stderr_console, write_json, write_stderr, write_stdout
from fielding_async.cli.shared.signal_handling import Interrupted, interrupting, run_async
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.ids import check_account_id, check_ulid
from fielding_async.core.models import OnConflict

from .order import Order, check_journal_path, command_words

if TYPE_CHECKING:
    from fielding_async.cli.shared.plan.checked_plan import CheckedPlan
    from fielding_async.cli.shared.plan.file import PlanFile
    from fielding_async.cli.shared.plan.row import Defaults

    from .execution import Execution

__all__ = ["apply"]

_SLOWEST, _FASTEST = 1e-6, 1e9  # requests a second
_LARGE = 4 << 20  # bytes of a plan whose check is shown with its progress


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
@click.argument("plan", metavar="PLAN", type=click.Path(readable=False, path_type=str))
@click.option("--account", type=int, metavar="NUMBER", help="Account id of rows that name none.")
@click.option("--project", metavar="ID", help="Project id of rows that name none.")
@click.option("--ignore-columns", is_flag=True, help="Leave out columns (or keys) that a plan does not have.")
@click.option("--dry-run", is_flag=True, help="Check the plan and say what would be sent; send nothing.")
@click.option(
    "--journal",
    "journal_path",
    metavar="FILE",
    type=click.Path(readable=False, path_type=Path),
    help="Where to keep the journal; %Y, %m and %d in its name are the date (UTC) on which it is begun, %% is a"
    " percent sign. [default: PLAN.journal]",
)
@click.option(
    "--check-runs",
    metavar="NUMBER|all",
    callback=_how_many,
    help="First GET the runs of NUMBER rows, evenly spread, or of all rows; if one does not exist, send nothing.",
)
@click.option(
    "--concurrency", type=click.IntRange(1, 1000), default=32, show_default=True, metavar="NUMBER", help="Rows at once."
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    metavar="NUMBER",
    help="Send so many requests a second, evenly paced. [default: as many as the server takes]",
)
@on_conflict_option
@click.option("--fail-fast", is_flag=True, help="Start no more rows after the first one that fails or is unknown.")
@click.option(
    "--wait",
    type=click.FloatRange(min=0, max=1e9),
    default=600.0,
    show_default="600",
    metavar="SECONDS",
    help="Wait at most so long while the exchange cannot be used; 0 stops at once.",
)
@click.option(
    "--report",
    "page",
    metavar="PAGE",
    type=click.Path(readable=False, path_type=Path),
    help="At the end write a report there: one HTML page that needs no network.",
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
    Dates are RFC 3339 with a time zone; forms such as 2031-05-17 12:00:00+00 are read too. A row with an ETag in
    column if_match, as fielding journal undo writes it, is refused if the run has another ETag.

    The whole plan is checked before anything is sent. What is sent is journalled first, so that the same command, given
    again after whatever happened, continues where it stopped and sends nothing twice. A finished plan is not sent
    again. To apply a plan every day, use one journal for each day, as in the last example; an unfinished journal of it
    is continued, whatever its date. Ctrl-C starts no more rows and waits for those under way; a second does not wait.

    Rows that failed are written to PLAN.failed.csv, a plan in turn, and rows of which it cannot be told whether they
    were applied to PLAN.unknown.csv. A row that failed keeps later rows of its run from being sent.

    While the exchange cannot be used, no row is started; a GET of one run at a time finds out when it can be used
    again. After --wait seconds the command stops. The rows that are left are open, and the same command continues with
    them. A row is stuck if it fails three times while others succeed, and the row itself is not the cause: the same
    command tries it again.

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

    with reporting_errors(doing="apply", as_json=as_json), _reporting_signals() as executions:
        defaults = Defaults(
            None if account is None else check_account_id(account),
            None if project is None else check_ulid("project_id", project),
            ignores_extra=ignore_columns,
        )
        if rate is not None and not _SLOWEST <= rate <= _FASTEST:
            raise ConfigurationError(f"--rate {rate:g}: must be requests a second, {_SLOWEST:g} to {_FASTEST:g}")
        needs_journal = "needs --journal FILE, so that it can be continued"
        if plan == STDIN and journal_path is None and not dry_run:
            raise ConfigurationError(f"a plan from standard input {needs_journal}")  # before waiting for it
        with PlanFile(plan) as file:
            if not file.is_lasting and journal_path is None and not dry_run:
                raise ConfigurationError(f"a plan from {file.name} {needs_journal}")
            pattern = None if journal_path is None else parse_pattern(journal_path)
            checked = _check(file, defaults, as_json=as_json)
            if not checked.rows:
                _report_no_rows(file.name, as_json=as_json)
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
            if dry_run:
                _show_dry_run(order, file, defaults, checked)
                return
            executions.append(_prepare(order, file, defaults, checked, yes=yes))
            _perform(executions[0])


@contextmanager
def _reporting_signals() -> "Generator[list[Execution]]":
    """End the command at a signal, and say that nothing was sent if that is so.

    It yields a list for the execution, which handles signals itself while the batch is under way.
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


def _check(file: "PlanFile", defaults: "Defaults", *, as_json: bool) -> "CheckedPlan":
    """Check the whole plan. Ends the command, and names every bad line, if there are any."""
    from fielding_async.cli.shared.plan.checked_plan import bad_plan_lines, check_plan, plan_object
    from fielding_async.cli.shared.plan.row import BadLine

    def write_bad(bad: BadLine) -> None:
        reasons = [problem.text for problem in bad.problems]
        write_json({"kind": "bad-line", "plan": file.name, "line": bad.line, "reasons": reasons})

    console = stderr_console()
    shows = file.size >= _LARGE and is_live(console)
    with console.status(f"checking {file.name}", spinner="line") if shows else nullcontext() as status:

        def show_position(position: int) -> None:
            if status is not None:
                status.update(f"checking {file.name}: {position / file.size:.0%}")

        checked = check_plan(file.rows(defaults, show_position), on_bad=write_bad if as_json else None)
    if checked.bad:
        words = [word for word in command_words() if word not in {"--yes", "--json", "--dry-run"}]
        everything = shlex.join([*words, "--dry-run", "--json"])
        write_stderr("\n".join(bad_plan_lines(file.name, checked, all_of_them=everything)))
        if as_json:
            write_json({**plan_object(file.name, checked), "exit_status": int(Exit.USAGE)})
        raise click.exceptions.Exit(Exit.USAGE)
    return checked


def _report_no_rows(name: str, *, as_json: bool) -> None:
    """Report a plan with a header and no rows. No journal is read."""
    write_stderr(printable(f"fielding: apply: nothing was sent: {name} holds no rows, only the names of the columns"))
    if as_json:
        named = dict.fromkeys(
            ("done", "failed", "unknown", "skipped", "stuck", "open", "in_flight", "never_sent", "sent_now"), 0
        )
        write_json({"kind": "apply", "plan": name, "rows": 0, **named, "ended_before": 0, "exit_status": 0})


def _show_dry_run(order: Order, file: "PlanFile", defaults: "Defaults", checked: "CheckedPlan") -> None:
    from .preview import dry_run_lines, dry_run_object, earlier_summary
    from .run_check import look_at_runs

    earlier = earlier_summary(order, checked, lambda: file.rows(defaults))
    runs_checked = look_at_runs(order, checked, earlier, lambda: file.rows(defaults))
    if order.as_json:
        write_json(dry_run_object(order, checked, earlier, runs_checked=runs_checked))
    else:
        write_stdout("\n".join(dry_run_lines(order, checked, earlier, runs_checked=runs_checked)))


def _prepare(order: Order, file: "PlanFile", defaults: "Defaults", checked: "CheckedPlan", *, yes: bool) -> "Execution":
    """Say what will be done, and ask whether to do it. Returns the execution that does it."""
    from attrs import evolve

    from fielding_async.cli.shared.plan.checked_plan import verified_rows
    from fielding_async.cli.shared.question import ask
    from fielding_async.core.addresses import BASE_URL
    from fielding_async.core.credentials import resolve_auth

    from .execution import Execution
    from .preview import check_line, earlier_summary, prompt_lines
    from .run_check import look_at_runs

    resolve_auth(None, os.environ)
    earlier = earlier_summary(order, checked, lambda: file.rows(defaults))
    if order.base_url != BASE_URL:
        from fielding_async.cli.shared.sandbox_detection import is_sandbox

        order = evolve(order, sandbox=bool(run_async(lambda: is_sandbox(order.base_url))))
    write_stderr("\n".join(prompt_lines(order, checked, earlier)))
    runs_checked = look_at_runs(order, checked, earlier, lambda: file.rows(defaults))
    if runs_checked is not None:
        write_stderr(check_line(runs_checked))
    pairs = (row.pair for row in verified_rows(file.rows(defaults), checked))
    execution = Execution(order, checked, pairs, earlier=None if earlier is None else earlier.counts)
    if not yes and not execution.is_over:
        ask()
    return execution


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
