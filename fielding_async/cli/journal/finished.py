"""Reads a journal whose plan is finished: no row of it is in progress, stuck or unsent, and no batch writes it."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from fielding_async import JournalRow, JournalSummary, journal_rows, read_journal
from fielding_async.cli.shared.plan.checked_plan import check_plan
from fielding_async.cli.shared.plan.file import PlanFile
from fielding_async.cli.shared.plan.row import Defaults
from fielding_async.core.errors import ConfigurationError
from fielding_async.journal.held_file import held

__all__ = ["FinishedJournal", "plan_of", "read_finished"]

_SUFFIX = ".journal"


@frozen
class FinishedJournal:
    """A journal and all its rows. `is_whole`: its plan was found, and every row of that is on record."""

    summary: JournalSummary
    rows: tuple[JournalRow, ...]
    is_whole: bool


def plan_of(journal: Path) -> Path | None:
    """Return the path of the plan that `fielding apply` keeps a journal for under this name; `None` for another."""
    return journal.with_suffix("") if journal.suffix == _SUFFIX and journal.stem else None


def read_finished(journal: Path, plan: Path | None = None) -> FinishedJournal:
    """Return a journal whose plan is finished, as far as can be told.

    `plan`: the path of the plan; left out, it is looked for beside the journal. Raises `ConfigurationError` if the plan
    is not finished, if `plan` is not that of the journal, if a batch uses the journal, or if it cannot be read.
    """
    with held(journal):
        summary = read_journal(journal)
        rows = tuple(journal_rows(journal, all=True))
    counts = summary.counts
    beside = plan or plan_of(journal)
    planned = None if beside is None else _rows_of_plan(beside, summary.plan, rows)
    if plan is not None and planned is None:
        raise ConfigurationError(
            f"--plan {plan}: is not the plan of {journal}, or was changed since; name the file that was applied, or"
            " leave --plan out"
        )
    last = max((row.number for row in rows), default=-1) + 1
    unsent = max(planned or 0, last) - len({row.number for row in rows})
    left = [
        f"{count:,} {what}"
        for count, what in ((counts.in_flight, "in progress"), (counts.stuck, "stuck"), (unsent, "never sent"))
        if count
    ]
    if left:
        is_found = plan is None and planned is not None
        command = f": {shlex.join(['fielding', 'apply', str(beside)])}" if is_found else ""
        raise ConfigurationError(
            f"{journal}: its plan is not finished ({', '.join(left)}), so not all its changes are known; first continue"
            f" the plan, with the command that started it{command}"
        )
    return FinishedJournal(summary, rows, planned is not None)


def _rows_of_plan(plan: Path, digest: str | None, rows: Sequence[JournalRow]) -> int | None:
    """Return how many rows a plan has; `None` if it is not there, is not that of the digest, or cannot be known."""
    if digest is None or not plan.is_file():
        return None
    # what --account and --project said of rows that name none; the digest shows whether it is right
    account, project = next(((row.ref.account_id, row.ref.project_id) for row in rows if row.ref), (None, None))
    defaults = Defaults(account, project, ignores_extra=True)
    try:
        with PlanFile(str(plan)) as file:
            checked = check_plan(file.rows(defaults))
    except ConfigurationError:
        return None
    return checked.rows if checked.digest == digest and not checked.bad else None
