"""Writes the rows that are selected to stdout: as a table, as JSON or as CSV."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

from fielding_async import JournalRow
from fielding_async.cli.shared.csv_output import csv_line
from fielding_async.cli.shared.output import stdout_console, write_json, write_stderr, write_stdout
from fielding_async.cli.shared.row_texts import row_object
from fielding_async.core.ids import check_plain_id, check_ulid

from .selection import Selection

__all__ = ["Form", "RowsDisplay", "selection_of"]

_MOST = 1000  # rows of a table: the widths of its columns are known only after all of them

Form = Literal["table", "json", "csv"]
"""How rows are written."""


def selection_of(
    target_group: str | None,
    run: str | None,
    since: datetime | None,
    until: datetime | None,
    effects: tuple[str, ...],
) -> Selection:
    """Return the selection that the options name. Raises `ConfigurationError`."""
    return Selection(
        target_group=None if target_group is None else check_ulid("--target-group", target_group),
        run=None if run is None else check_plain_id("--run", run),
        since=since,
        until=until,
        effects=[effect.replace("-", " ") for effect in effects],
    )


class RowsDisplay:
    """Writes rows to stdout as they come, if they are selected. `doing`: the command, for messages.

    `holder`: what holds the rows, such as "the journal". `as_object`: a row as a JSON object.
    """

    def __init__(
        self,
        selection: Selection,
        form: Form,
        *,
        doing: str,
        holder: str,
        as_object: Callable[[Any], dict[str, Any]] = row_object,
    ) -> None:
        self._selection = selection
        self._form = form
        self._doing = doing
        self._holder = holder
        self._as_object = as_object
        self._first: list[JournalRow] = []
        self._seen = self._untold = self._found = 0
        if form == "csv":
            from .table import CSV_COLUMNS

            write_stdout(csv_line(CSV_COLUMNS))

    def add(self, row: JournalRow) -> None:
        """Write a row if it is selected; keep it for the table if there is one."""
        self._seen += 1
        is_shown = self._selection.has(row)
        self._untold += is_shown is None
        if not is_shown:
            return
        self._found += 1
        if self._form == "json":
            write_json(self._as_object(row))
        elif self._form == "csv":
            from .table import csv_cells

            write_stdout(csv_line(csv_cells(row)))
        elif len(self._first) < _MOST:
            self._first.append(row)

    def end(self) -> None:
        """Write the table, and how many rows there are."""
        if self._first:
            from .table import table

            stdout_console().print(table(self._first))
        if self._untold:
            write_stderr(
                f"fielding: {self._doing}: {self._untold:,} more rows may match: {self._holder} does not say when they"
                " ended, or of which run they are (a journal of an earlier version, or a row that is not valid)"
            )
        if not self._found:
            none = f"none of {self._holder}'s {self._seen:,} rows is selected"
            write_stderr(f"fielding: {self._doing}: {none if self._seen else f'{self._holder} has no rows yet'}")
        elif self._form == "table":
            narrow = f", {_MOST:,} of them shown: narrow it down, or give --csv or --json"
            write_stdout(f"{self._found:,} of {self._seen:,} rows{narrow if self._found > _MOST else ''}")
