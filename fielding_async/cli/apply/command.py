"""`fielding apply`: applies a plan of many rows with a journal, so that it can be stopped and continued at any time."""

import asyncio
import os
import shlex
import sys
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fielding_async.cli.shared.exit_status import Exit, perform, reporting_errors
from fielding_async.cli.shared.options import json_option, on_conflict_option
from fielding_async.cli.shared.output import is_live, stderr_console, write_json, write_stderr, write_stdout
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.ids import check_account_id, check_ulid
from fielding_async.core.models import OnConflict

from .order import Order

if TYPE_CHECKING:
    from fielding_async.cli.shared.plan.checked_plan import CheckedPlan
    from fielding_async.cli.shared.plan.file import PlanFile
    from fielding_async.cli.shared.plan.row import Defaults

__all__ = ["apply"]

_SLOWEST, _FASTEST = 1e-6, 1e9  # requests a second
_LARGE = 4 << 20  # bytes of a plan whose check is shown with its progress


@click.command()
@click.argument("plan", metavar="PLAN", type=click.Path(readable=False, path_type=str))
@click.option("--account", type=int, metavar="NUMBER", help="Account id of rows that name none.")
@click.option("--project", metavar="ID", help="Project id of rows that name none.")
@click.option("--dry-run", is_flag=True, help="Check the plan and say what would be sent; send nothing.")
@click.option(
    "--journal",
    "journal_path",
    metavar="FILE",
    type=click.Path(readable=False, path_type=Path),
    help="Where to keep the journal. [default: PLAN.journal]",
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
    dry_run: bool,
    journal_path: Path | None,
    concurrency: int,
    rate: float | None,
    on_conflict: OnConflict,
    fail_fast: bool,
    page: Path | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Apply a plan: one action on one fielding run in each row.

    PLAN is a CSV file (commas, semicolons or tabs) whose first line names its columns, or JSON Lines with the same
    keys: account_id, project_id, target_group_id, fielding_run_id, action and, for updates, start_fielding_at and
    end_fielding_at. Actions: launch-now, pause, resume, complete, relaunch, update. Dates are RFC 3339 with a zone.

    The whole plan is checked before anything is sent. What is sent is journalled first, so that the same command, given
    again after whatever happened, goes on where it was and sends nothing twice. Ctrl-C starts no more rows and waits
    for those under way; a second one waits no longer.

    Rows that failed are written to PLAN.failed.csv, a plan in turn, and rows of which it cannot be told whether they
    were applied to PLAN.unknown.csv. A row that failed keeps later rows of its run from being sent.

    Exit status: 0 all done, 1 some failed or were not sent, 2 bad arguments, settings or lines (nothing was sent),
    3 some unknown, 130 and 143 on signals.

    \b
    Examples:
      fielding apply plan.csv --dry-run --rate 20
      fielding apply plan.csv --rate 20
      fielding apply plan.jsonl --account 101 --project 01J...P0 --yes --json
    """
    from fielding_async.cli.shared.plan.file import STDIN, PlanFile
    from fielding_async.cli.shared.plan.row import Defaults

    with reporting_errors(doing="apply", as_json=as_json):
        defaults = Defaults(
            None if account is None else check_account_id(account),
            None if project is None else check_ulid("project_id", project),
        )
        if rate is not None and not _SLOWEST <= rate <= _FASTEST:
            raise ConfigurationError(f"--rate {rate:g}: must be requests a second, {_SLOWEST:g} to {_FASTEST:g}")
        needs_journal = "needs --journal FILE, to be gone on with"
        if plan == STDIN and journal_path is None and not dry_run:
            raise ConfigurationError(f"a plan from standard input {needs_journal}")  # before waiting for it
        with PlanFile(plan) as file:
            if not file.is_lasting and journal_path is None and not dry_run:
                raise ConfigurationError(f"a plan from {file.name} {needs_journal}")
            checked = _check(file, defaults, as_json=as_json)
            order = Order(
                plan=file.name,
                is_lasting=file.is_lasting,
                journal=journal_path or Path(f"{plan}.journal"),
                sandbox=False,
                base_url=_base_url(),
                concurrency=concurrency,
                rate=rate,
                on_conflict=on_conflict,
                fail_fast=fail_fast,
                as_json=as_json,
                words=_command_words(),
                page=page,
            )
            _check_journal_path(order)
            if dry_run:
                _show_dry_run(order, checked)
                return
            _apply(order, file, defaults, checked, yes=yes)


def _base_url() -> str:
    from fielding_async.core.addresses import resolve_base_url

    return resolve_base_url(None, os.environ)


def _check_journal_path(order: Order) -> None:
    """Refuse a journal at the path of a file of failed rows, which would replace it at the end."""
    if not order.journal.name:
        return  # a folder: refused when the journal is opened
    for path in (order.beside("failed"), order.beside("unknown")):
        if str(order.journal.resolve()).casefold() == str(path.resolve()).casefold():
            raise ConfigurationError(
                f"--journal {order.journal}: rows that do not end well are written there; name another file"
            )
    if order.page is not None:
        from .page import check_page

        check_page(order)


def _command_words() -> tuple[str, ...]:
    """Return the command as it was given, without `--fail-fast`: given again, it continues the plan."""
    context = click.get_current_context()
    plan = str(context.params["plan"])
    words = ["fielding", "apply", *([plan] if plan == "-" or not plan.startswith("-") else [])]
    for parameter in context.command.params:
        name, value = parameter.name or "", context.params.get(parameter.name or "")
        if isinstance(parameter, click.Argument) or value == parameter.default or value is None or name == "fail_fast":
            continue
        option = parameter.opts[0]
        text = f"{value:g}" if isinstance(value, float) else f"{value}"
        words += [option] if value is True else [] if value is False else [option, text]
    return (*words, *(["--", plan] if plan not in words else []))


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
        words = [word for word in _command_words() if word not in {"--yes", "--json", "--dry-run"}]
        everything = shlex.join([*words, "--dry-run", "--json"])
        write_stderr("\n".join(bad_plan_lines(file.name, checked, all_of_them=everything)))
        if as_json:
            write_json({**plan_object(file.name, checked), "exit_status": int(Exit.USAGE)})
        raise click.exceptions.Exit(Exit.USAGE)
    if not checked.rows:
        raise ConfigurationError(f"{file.name}: holds no rows, only the names of the columns")
    return checked


def _show_dry_run(order: Order, checked: "CheckedPlan") -> None:
    from .preview import dry_run_lines, dry_run_object, earlier_counts

    earlier = earlier_counts(order, checked)
    if order.as_json:
        write_json(dry_run_object(order, checked, earlier))
    else:
        write_stdout("\n".join(dry_run_lines(order, checked, earlier)))


def _apply(order: Order, file: "PlanFile", defaults: "Defaults", checked: "CheckedPlan", *, yes: bool) -> None:
    from attrs import evolve

    from fielding_async.cli.shared.plan.checked_plan import verified_rows
    from fielding_async.core.addresses import BASE_URL
    from fielding_async.core.credentials import resolve_auth

    from .execution import Execution
    from .preview import earlier_counts, prompt_lines
    from .report import report

    resolve_auth(None, os.environ)
    earlier = earlier_counts(order, checked)
    if order.base_url != BASE_URL:
        from fielding_async.cli.shared.sandbox_detection import is_sandbox

        order = evolve(order, sandbox=asyncio.run(is_sandbox(order.base_url)))
    write_stderr("\n".join(prompt_lines(order, checked, earlier)))
    is_over = earlier is not None and earlier.ended == checked.rows
    if not yes and not is_over:
        _ask()
    pairs = ((row.ref, row.action) for row in verified_rows(file.rows(defaults), checked))
    execution = Execution(order, checked, iter(()) if is_over else pairs, has_journal=earlier is not None)

    async def work() -> int:
        await execution.run()
        return report(execution)

    perform(work, doing="apply", as_json=order.as_json, on_signal=execution.on_signal)


def _ask() -> None:
    """Ask before the first write. Ends the command unless the answer is yes."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr and sys.stderr.isatty()):  # pyright: ignore[reportUnnecessaryComparison]
        raise ConfigurationError("nobody is there to be asked: give --yes to apply the plan; nothing was sent")
    _discard_typed()
    sys.stderr.write("Apply it? [y/N] ")
    sys.stderr.flush()
    try:
        answer = sys.stdin.readline()
    except UnicodeDecodeError:
        answer = ""  # typed in another encoding: no "yes" in any of them
    if answer.strip().lower() not in {"y", "yes"}:
        write_stderr("fielding: apply: not applied; nothing was sent")
        raise click.exceptions.Exit(Exit.FAILED)


def _discard_typed() -> None:
    """Discard what was typed before the question was shown."""
    with suppress(ImportError, OSError, ValueError):
        import termios  # not on Windows

        termios.tcflush(sys.stdin, termios.TCIFLUSH)
