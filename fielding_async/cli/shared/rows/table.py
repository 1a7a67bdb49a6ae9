"""Rows of a journal as a table for a terminal and as cells of a CSV file. Pure."""

from collections.abc import Iterable

from attrs import astuple
from rich.box import HORIZONTALS
from rich.table import Table
from rich.text import Text

from fielding_async import JournalRow
from fielding_async.cli.shared.csv_output import csv_cell
from fielding_async.cli.shared.output import counted, printable
from fielding_async.cli.shared.row_texts import (
    after_object,
    before_object,
    change_text,
    effect_of,
    error_text,
)
from fielding_async.core.actions import Update
from fielding_async.core.dates import to_text

__all__ = ["CSV_COLUMNS", "csv_cells", "table"]

_STYLES = {
    "failed": "red",
    "unknown": "red",
    "stuck": "yellow",
    "in flight": "yellow",
    "skipped": "yellow",
    "not begun": "dim",
}
_NARROW = 30  # characters of the last column in 80 columns
_LONGEST = 300  # characters of an error
CSV_COLUMNS = (
    *("time", "number", "account_id", "project_id", "target_group_id", "fielding_run_id", "action"),
    *("asked_start", "asked_end", "status_before", "start_before", "end_before", "etag_before"),
    *("status_after", "start_after", "end_after", "etag_after", "effect", "conflicts", "trace_id", "error", "message"),
)


def table(rows: Iterable[JournalRow]) -> Table:
    """Return rows as a table. Each has several lines, so that ids and trace ids are whole in 80 columns."""
    shown = Table(box=HORIZONTALS, show_lines=True, pad_edge=False)
    shown.add_column("Time, no.", no_wrap=True)
    shown.add_column("Target group, run", min_width=26, overflow="fold")
    shown.add_column("Action, effect, trace id, error", overflow="fold")
    for row in rows:
        effect = effect_of(row)
        what = Text(_action(row))
        change = change_text(row)
        for part in filter(None, change.split(", ")):
            text = printable(part)
            what.append("\n" + (text.replace(" -> ", "\n  -> ") if len(text) > _NARROW else text))
        what.append(f"\n{effect}", style=_STYLES.get(effect, "green"))
        if row.conflicts:
            what.append(f", {counted(row.conflicts, 'conflict')}")
        if row.trace_id:
            what.append(f"\n{printable(row.trace_id)}", style="dim")
        if row.error:
            what.append(f"\n{printable(error_text(row))[:_LONGEST]}")
        time = "no time" if row.time is None else to_text(row.time).replace("T", "\n", 1)
        shown.add_row(f"{time}\nno. {row.number}", _where(row), what)
    return shown


def _action(row: JournalRow) -> str:
    return row.action.name if row.action is not None else "not valid"


def _where(row: JournalRow) -> str:
    if row.ref is None:
        return "not known" if row.before is None else f"not known\n{printable(row.before.id)}"
    return f"{printable(row.ref.target_group_id)}\n{printable(row.ref.fielding_run_id)}"


def csv_cells(row: JournalRow) -> list[str]:
    """Return a row as the cells of `CSV_COLUMNS`. No spreadsheet takes one of them for a formula."""
    ref = row.ref
    asked = row.action if isinstance(row.action, Update) else None
    before, after = before_object(row) or {}, after_object(row) or {}
    names = ("status", "start_fielding_at", "end_fielding_at", "etag")
    found = [
        row.time,
        row.number,
        *((None,) * 4 if ref is None else astuple(ref)),
        _action(row),
        *((None, None) if asked is None else (asked.start_fielding_at, asked.end_fielding_at)),
        *(before.get(name) for name in names),
        *(after.get(name) for name in names),
        effect_of(row),
        row.conflicts,
        row.trace_id,
        row.error,
        row.message,
    ]
    return [csv_cell(value) for value in found]
