"""`fielding journal …`: shows what a journal holds, without a lock and without a request."""

from datetime import datetime
from pathlib import Path

import click

from fielding_async.cli.shared.arguments.options import FilePath
from fielding_async.cli.shared.exit_status import Exit, reporting_errors
from fielding_async.cli.shared.output import printable, write_json, write_stderr, write_stdout
from fielding_async.cli.shared.rows.options import check_filters, filter_options

from .arguments import from_journal
from .undo import undo

__all__ = ["journal"]


@click.group()
def journal() -> None:
    """Read the journal of a plan: what was changed, when, and the values before and after.

    No request is sent, and no settings are needed. A journal can be read while a plan is being applied.
    """


journal.add_command(undo)


@journal.command()
@click.argument("file", metavar="FILE", type=FilePath(str))
@filter_options()
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

    Effects: accepted, already (the run was already in the wanted state), unconfirmed (the run is in the wanted state,
    and a reply was lost), failed, unknown (it is unknown whether the write was applied), skipped, stuck (tried three
    times; the same command tries it again), in-flight (no end is recorded).

    Exit status: 0 the rows were shown, also if there are none, 2 bad arguments, or FILE is not a readable journal.

    \b
    Examples:
      fielding journal show plan.csv.journal --effect failed --effect unknown
      fielding journal show plan.csv.journal --target-group 01J...P1 \\
        --since 2026-08-31T18:00:00Z --until 2026-09-01T06:00:00Z
      fielding journal show plan.csv.journal --csv > rows.csv
    """
    from fielding_async import journal_rows
    from fielding_async.cli.shared.rows.display import Form, RowsDisplay, selection_of

    check_filters(as_json=as_json, as_csv=as_csv, since=since, until=until)
    with reporting_errors(doing="journal show", as_json=as_json):
        selection = selection_of(target_group, run, since, until, effects)
        form: Form = "json" if as_json else "csv" if as_csv else "table"
        display = RowsDisplay(selection, form, doing="journal show", holder="the journal")
        for row in journal_rows(file, all=True):
            display.add(row)
        display.end()
    raise click.exceptions.Exit(Exit.DONE)


@journal.command()
@from_journal(to="PAGE", text="Where to write the page. [default: FILE.html]")
def report(file: Path, output: Path | None, as_json: bool) -> None:
    """Write a report of a journal: one HTML page that needs no network.

    The page shows the rows over time, their effects, conflicts, pauses and outages, why rows are not done, and all rows
    in a table that can be searched and sorted. The page has ids, dates and messages, but no token. Only its owner can
    read the file. An older report is replaced. Any other file is not overwritten: the command fails.

    Exit status: 0 written, 1 it could not be written, 2 bad arguments, or FILE is not a readable journal.

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
