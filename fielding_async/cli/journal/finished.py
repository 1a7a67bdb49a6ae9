"""Reads a journal whose plan is finished: no row of it is under way, stuck or unsent, and no batch writes it."""

import shlex
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
    """A journal and all its rows. `is_whole`: its plan was found beside it, and every row of that is on record."""

    summary: JournalSummary
    rows: tuple[JournalRow, ...]
    is_whole: bool


def plan_of(journal: Path) -> Path | None:
    """Return the path of the plan that `fielding apply` keeps a journal for under this name; `None` for another."""
    return journal.with_suffix("") if journal.suffix == _SUFFIX and journal.stem else None


def read_finished(journal: Path) -> FinishedJournal:
    """Return a journal whose plan is finished, as far as can be told.

    Raises `ConfigurationError` if it is not, if a batch uses the journal, or if it cannot be read.
    """
    with held(journal):
        summary = read_journal(journal)
        rows = tuple(journal_rows(journal, all=True))
    counts = summary.counts
    planned = _rows_of_plan(journal, summary.plan)
    last = max((row.number for row in rows), default=-1) + 1
    unsent = max(planned or 0, last) - len({row.number for row in rows})
    left = [
        f"{count:,} {what}"
        for count, what in ((counts.in_flight, "under way"), (counts.stuck, "stuck"), (unsent, "never sent"))
        if count
    ]
    if left:
        plan = plan_of(journal)
        command = f": {shlex.join(['fielding', 'apply', str(plan)])}" if planned is not None else ""
        raise ConfigurationError(
            f"{journal}: its plan is not finished ({', '.join(left)}), so not all its changes are known; first continue"
            f" the plan, with the command that began it{command}"
        )
    return FinishedJournal(summary, rows, planned is not None)


def _rows_of_plan(journal: Path, digest: str | None) -> int | None:
    """Return how many rows the plan of a journal has; `None` if it is not beside the journal, or cannot be told."""
    plan = plan_of(journal)
    if plan is None or digest is None or not plan.is_file():
        return None
    try:
        with PlanFile(str(plan)) as file:
            checked = check_plan(file.rows(Defaults(ignores_extra=True)))
    except ConfigurationError:
        return None
    return checked.rows if checked.digest == digest and not checked.bad else None
