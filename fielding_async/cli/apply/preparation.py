"""What comes before the first write of a plan: what will be done is shown, runs are fetched, and the user is asked."""

import os
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

import click
from attrs import evolve

from fielding_async import JournalSummary
from fielding_async.cli.shared.exit_status import Exit
from fielding_async.cli.shared.output import write_json, write_stderr, write_stdout
from fielding_async.cli.shared.plan.checked_plan import CheckedPlan
from fielding_async.cli.shared.plan.file import PlanFile
from fielding_async.cli.shared.plan.row import BadLine, Defaults, PlanRow
from fielding_async.cli.shared.question import is_agreed
from fielding_async.cli.shared.signal_handling import run_async
from fielding_async.core.addresses import BASE_URL
from fielding_async.core.credentials import resolve_auth
from fielding_async.journal.reader import ReadJournal

from .journal_files import pairs_left
from .order import Order
from .preview import check_line, dry_run_lines, dry_run_object, earlier_summary, prompt_lines, warn_of_missing_head
from .rows.recorded_runs import RecordedRuns
from .rows.run_resolution import find_runs
from .run_check import check_runs

if TYPE_CHECKING:
    from .execution import Execution

__all__ = ["prepare", "show_dry_run"]


def show_dry_run(order: Order, file: PlanFile, defaults: Defaults, checked: CheckedPlan) -> None:
    """Show what the plan would do."""
    rows = partial(file.rows, defaults)
    earlier = earlier_summary(order, checked, rows)
    warn_of_missing_head(order, checked, earlier)
    runs = _find_runs(order, checked, earlier, rows)
    runs_checked = check_runs(order, checked, earlier, rows, runs)
    if order.as_json:
        write_json(dry_run_object(order, checked, earlier, runs=runs, runs_checked=runs_checked))
    else:
        write_stdout("\n".join(dry_run_lines(order, checked, earlier, runs=runs, runs_checked=runs_checked)))


def prepare(order: Order, file: PlanFile, defaults: Defaults, checked: CheckedPlan, *, yes: bool) -> "Execution":
    """Say what will be done, and ask whether to do it unless `yes`. Returns the execution that does it."""
    from .execution import Execution

    rows = partial(file.rows, defaults)
    resolve_auth(None, os.environ)
    journal = ReadJournal(order.journal)
    earlier = earlier_summary(order, checked, rows, journal)
    if order.base_url != BASE_URL:
        from fielding_async.cli.shared.sandbox_detection import is_sandbox

        order = evolve(order, sandbox=bool(run_async(lambda: is_sandbox(order.base_url))))
    warn_of_missing_head(order, checked, earlier)
    runs = _find_runs(order, checked, earlier, rows)
    write_stderr("\n".join(prompt_lines(order, checked, earlier, runs)))
    runs_checked = check_runs(order, checked, earlier, rows, runs)
    if runs_checked is not None:
        write_stderr(check_line(runs_checked))
    execution = Execution(order, checked, pairs_left(file, defaults, checked, journal), journal, earlier, runs=runs)
    if not yes and not execution.is_over:
        _ask()
    return execution


def _find_runs(
    order: Order, checked: CheckedPlan, earlier: JournalSummary | None, rows: Callable[[], Iterable[PlanRow | BadLine]]
) -> RecordedRuns | None:
    """Return the runs of a plan that names none; `None` if it names them."""
    return find_runs(
        order.plan,
        checked,
        rows,
        on_record=0 if earlier is None else earlier.resolved_runs,
        concurrency=order.concurrency,
        rate=order.rate,
        as_json=order.as_json,
        words=order.words,
    )


def _ask() -> None:
    """Ask before the first write of a plan. Ends the command unless the answer is yes."""
    if not is_agreed("Apply it? [y/N] ", "give --yes to apply the plan; nothing was sent"):
        write_stderr("fielding: apply: not applied; nothing was sent")
        raise click.exceptions.Exit(Exit.FAILED)
