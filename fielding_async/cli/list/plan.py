"""The plan for the runs that were found, and its summary. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from fielding_async.cli.shared.csv_output import csv_line
from fielding_async.cli.shared.output import counted, printable
from fielding_async.cli.shared.plan.row import COLUMNS
from fielding_async.cli.shared.plan.writer import plan_cells
from fielding_async.core.actions import Action

from .notes import list_notes

if TYPE_CHECKING:
    from fielding_async import FoundRun

__all__ = ["plan_lines", "summary"]


def plan_lines(found: Sequence["FoundRun"], action: Action) -> Iterator[str]:
    """Return the plan as lines of CSV, the names of its columns first."""
    yield csv_line(COLUMNS)
    for entry in found:
        yield csv_line(plan_cells(entry.ref, action))


def summary(found: Sequence["FoundRun"], action: Action, *, limit: int | None, vanished: int) -> str:
    """Return what the plan holds, such as `a plan of 3 rows: pause, of runs that are now: 2 live, 1 paused`.

    `limit`: how many runs were asked for at most; `vanished`: how many target groups vanished while the list was read.
    """
    if found:
        counts = Counter(printable(entry.run.status) for entry in found)
        each = ", ".join(f"{count:,} {status}" for status, count in counts.most_common())
        notes = [f"a plan of {counted(len(found), 'row')}: {action.name}, of runs that are now: {each}"]
    else:
        notes = [f"a plan without rows: there is no run to {action.name}"]
    return "; ".join([*notes, *list_notes(len(found), limit, vanished)])
