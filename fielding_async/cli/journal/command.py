"""`fielding journal …`: shows what a journal holds, without a lock and without a request."""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fielding_async.cli.shared.exit_status import Exit, reporting_errors
from fielding_async.cli.shared.options import json_option, timestamp
from fielding_async.cli.shared.output import printable, stdout_console, write_json, write_stderr, write_stdout
from fielding_async.core.ids import check_plain_id, check_ulid

from .undo import undo

if TYPE_CHECKING:
    from fielding_async import JournalRow

__all__ = ["journal"]

_MOST = 1000  # rows of a table: the widths of its columns are known only after all of them
_EFFECTS = ("accepted", "already", "unconfirmed", "failed", "unknown", "skipped", "stuck", "in-flight")


@click.group()
def journal() -> None:
    """Read the journal of a plan: what was changed, when, and the values before and after.

    No request is sent, and no settings are needed. A journal can be read while a plan is being applied.
    """


journal.add_command(undo)


@journal.command()
@click.argument("file", metavar="FILE", type=click.Path(readable=False, path_type=str))
@click.option("--target-group", metavar="ID", help="Only rows of this target group.")
@click.option("--run", metavar="ID", help="Only rows of this fielding run.")
@click.option("--since", callback=timestamp, metavar="TIME", help="Only rows that ended at this time or later.")
@click.option("--until", callback=timestamp, metavar="TIME", help="Only rows that ended before this time.")
@click.option(
    "--effect",
    "effects",
    type=click.Choice(_EFFECTS),
    multiple=True,
    help="Only rows with this effect. May be given several times.",
)
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Write CSV to stdout, safe to open in a spreadsheet.")
def show(
    file: str,
    target_group: str | None,
    run: str | None,
    since: datetime | None,
    until: datetime | None,
    effects: tuple[str, ...],
    as_json: bool,
    as_csv: bool,
) -> None:
    """Show the rows of a journal, in the order in which they ended; rows in flight come last.

    FILE is a journal that `fielding apply` or perform_all wrote. Each row has its time, its number in the plan (from
    0), its target group and run, its action, the changed values before and after, its effect, trace id and error.
    Times are RFC 3339 with a zone, such as 2026-08-31T18:00:00Z.

    Effects: accepted, already (the run was there), unconfirmed (it is there, and a reply was lost), failed, unknown
    (it cannot be told whether the write was applied), skipped, stuck (tried three times, and tried again by the same
    command), in-flight (no end is on record).

    Exit status: 0 also if no row is selected, 2 bad arguments, or FILE is no journal that can be read.

    \b
    Examples:
      fielding journal show plan.csv.journal --effect failed --effect unknown
      fielding journal show plan.csv.journal --target-group 01J...P1 \\
        --since 2026-08-31T18:00:00Z --until 2026-09-01T06:00:00Z
      fielding journal show plan.csv.journal --csv > rows.csv
    """
    from fielding_async import journal_rows

    from .selection import Selection

    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other: give one of them.")
    if since is not None and until is not None and until <= since:
        raise click.UsageError("--until must be after --since.")
    with reporting_errors(doing="journal show", as_json=as_json):
        selection = Selection(
            target_group=None if target_group is None else check_ulid("--target-group", target_group),
            run=None if run is None else check_plain_id("--run", run),
            since=since,
            until=until,
            effects=[effect.replace("-", " ") for effect in effects],
        )
        seen = untold = found = 0

        def selected() -> "Iterator[JournalRow]":
            nonlocal seen, untold, found
            for row in journal_rows(file, all=True):
                seen += 1
                is_shown = selection.has(row)
                untold += is_shown is None
                if is_shown:
                    found += 1
                    yield row

        rows = selected()
        if as_json:
            _write_objects(rows)
        elif as_csv:
            _write_csv(rows)
        else:
            _write_table(rows)
        if untold:
            write_stderr(
                f"fielding: journal show: {untold:,} more rows may belong here: the journal does not say when they"
                " ended, or of which run they are (a journal of an earlier version, or a row that is not valid)"
            )
        if not found:
            write_stderr(f"fielding: journal show: {_none(seen)}")
        elif not as_json and not as_csv:
            shown = f", {_MOST:,} of them shown: narrow it down, or give --csv or --json" if found > _MOST else ""
            write_stdout(f"{found:,} of {seen:,} rows{shown}")
    raise click.exceptions.Exit(Exit.DONE)


@journal.command()
@click.argument("file", metavar="FILE", type=click.Path(readable=False, path_type=Path))
@click.option(
    "--output",
    metavar="PAGE",
    type=click.Path(readable=False, path_type=Path),
    help="Where to write the page. [default: FILE.html]",
)
@json_option
def report(file: Path, output: Path | None, as_json: bool) -> None:
    """Write a report of a journal: one HTML page that needs no network.

    The page shows the rows over time, their effects, conflicts and outages, why rows are not done, and all rows
    in a table that can be searched and sorted. It holds ids, dates and messages, and no token. Only its owner can
    read the file. An older report is replaced; any other file is left, and is an error.

    Exit status: 0 written, 1 it could not be written, 2 bad arguments, or FILE is no journal that can be read.

    \b
    Example:
      fielding journal report plan.csv.journal --output report.html
    """
    from fielding_async.cli.shared.page.document import page
    from fielding_async.cli.shared.page.files import check_page_path, write_page
    from fielding_async.cli.shared.page.reading import read_report

    path = Path(f"{file}.html") if output is None else output
    with reporting_errors(doing="journal report", as_json=as_json):
        found = read_report(file)
        check_page_path("--output", path)
        try:
            write_page(path, page(found))
        except OSError as error:
            write_stderr(f"fielding: journal report: {path}: cannot be written: {error.strerror or error}")
            raise click.exceptions.Exit(Exit.FAILED) from None
    if as_json:
        write_json({"kind": "report", "journal": str(file), "rows": len(found.rows), "report": str(path)})
    else:
        write_stdout(printable(f"{len(found.rows):,} rows: {path}"))
    raise click.exceptions.Exit(Exit.DONE)


def _none(seen: int) -> str:
    return f"none of the journal's {seen:,} rows is selected" if seen else "the journal has no rows yet"


def _write_objects(rows: Iterable["JournalRow"]) -> None:
    from fielding_async.cli.shared.row_texts import row_object

    for row in rows:
        write_json(row_object(row))


def _write_csv(rows: Iterable["JournalRow"]) -> None:
    from .table import CSV_COLUMNS, csv_cells

    line = io.StringIO(newline="")
    writer = csv.writer(line, lineterminator="")

    def write(cells: Iterable[str]) -> None:
        writer.writerow(cells)
        write_stdout(line.getvalue())
        line.seek(0)
        line.truncate()

    write(CSV_COLUMNS)
    for row in rows:
        write(csv_cells(row))


def _write_table(rows: Iterator["JournalRow"]) -> None:
    from .table import table

    first = list(islice(rows, _MOST))
    if first:
        stdout_console().print(table(first))
    for _ in rows:
        pass  # counts the rest
