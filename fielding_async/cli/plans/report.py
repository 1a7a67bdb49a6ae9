"""`fielding plans report`: what is on record of a plan, as text, as JSON, or as an HTML page."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from fielding_async.cli.shared.arguments.options import FilePath, json_option
from fielding_async.cli.shared.exit_status import Exit, reporting_errors
from fielding_async.cli.shared.output import printable, stdout_console, write_json, write_stderr, write_stdout

from .arguments import plan_argument
from .running import with_plans

if TYPE_CHECKING:
    from fielding_async.plans import PlanReport, PostgresPlans

__all__ = ["report"]

_DOING = "plans report"


@click.command()
@plan_argument
@click.option(
    "--html",
    "page",
    metavar="FILE",
    type=FilePath(Path),
    help="Write the report to this file, as one HTML page that needs no network.",
)
@json_option
def report(name: str, page: Path | None, as_json: bool) -> None:
    """Report a plan: rows by action and effect, outages and pauses, and what late workers learned.

    The command reads all records of the plan, even while workers work on the plan. With --html, it writes the same kind
    of page as fielding journal report: all rows over time and in a table, with their effects, conflicts and errors. It
    replaces an older report, but no other file.

    A late worker is a worker whose lease was over before it could record the end of its rows. Another worker has taken
    over these rows.

    Exit status: 0 reported, 1 the page could not be written, 2 bad arguments or settings, no such plan, or its record
    is damaged, 3 the database cannot be used now.

    \b
    Examples:
      fielding plans report plan
      fielding plans report plan --html plan.html
    """

    async def work(plans: "PostgresPlans") -> int:
        found = await plans.report(name)
        if page is not None and not await _write_page(plans, found, page):
            return Exit.FAILED
        if as_json:
            _write_object(found, page)
        else:
            from .showing.report_texts import event_lines, late_text_lines, outcomes_table, report_lines

            write_stdout("\n".join(report_lines(found)))
            if found.outcomes:
                stdout_console().print(outcomes_table(found))
            lines = [*event_lines(found), *late_text_lines(found)]
            if page is not None:
                lines.append(printable(f"report: {page}"))
            if lines:
                write_stdout("\n".join(lines))
        return Exit.DONE

    if page is not None:
        from fielding_async.cli.shared.page.files import check_page_path

        with reporting_errors(doing=_DOING, as_json=as_json):
            check_page_path("--html", page)
    with_plans(work, doing=_DOING, as_json=as_json)


async def _write_page(plans: "PostgresPlans", found: "PlanReport", path: Path) -> bool:
    """Write the page; return whether it could be."""
    from fielding_async.cli.shared.page.document import page
    from fielding_async.cli.shared.page.files import check_page_path, write_page

    from .showing.page import read_page

    contents = await read_page(plans, found)
    check_page_path("--html", path)  # once more: a file may have been put there meanwhile
    try:
        write_page(path, page(contents))
    except OSError as error:
        write_stderr(printable(f"fielding: {_DOING}: {path}: cannot be written: {error.strerror or error}"))
        return False
    return True


def _write_object(found: "PlanReport", page: Path | None) -> None:
    from .showing.late import late_object
    from .showing.report_texts import event_object, report_object

    for event in found.events:
        write_json(event_object(event))
    for late in found.late:
        write_json(late_object(late))
    write_json({**report_object(found), "report": None if page is None else str(page)})
