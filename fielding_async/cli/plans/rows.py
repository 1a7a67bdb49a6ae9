"""`fielding plans rows`: the rows of a plan, as `fielding journal show` shows those of a journal."""

from contextlib import aclosing
from datetime import datetime
from typing import TYPE_CHECKING

import click

from fielding_async.cli.shared.exit_status import Exit, reporting_errors
from fielding_async.cli.shared.output import write_stderr
from fielding_async.cli.shared.rows.options import check_filters, filter_options

from .arguments import plan_argument
from .running import with_plans

if TYPE_CHECKING:
    from fielding_async.plans import PostgresPlans

__all__ = ["rows"]

_DOING = "plans rows"


@click.command()
@plan_argument
@filter_options("not-begun")
def rows(
    name: str,
    target_group: str | None,
    run: str | None,
    since: datetime | None,
    until: datetime | None,
    effects: tuple[str, ...],
    as_json: bool,
    as_csv: bool,
) -> None:
    """Show the rows of a plan: what was changed, when, and the values before and after.

    The rows are shown shard by shard (a shard is a part of a plan). In each shard, the rows that have ended come first,
    in the order in which they ended. The other rows follow. Each row has its time, its number in the plan (from 0), its
    target group and run, its action, the changed values before and after, its effect, trace id and error. A plan can be
    read while workers work on it.

    Effects: accepted, already (the run was already in the wanted state), unconfirmed (the run is in the wanted state,
    and a reply was lost), failed, unknown (it is unknown whether the write was applied), skipped, stuck (tried three
    times; it is tried again later), in-flight (no end is recorded), not-begun (no write is in flight or in doubt).

    Exit status: 0 the rows were shown, also if there are none, 2 bad arguments or settings, no such plan, or its record
    is damaged, 3 the database cannot be used now.

    \b
    Examples:
      fielding plans rows plan --effect failed --effect unknown
      fielding plans rows plan --run 01J...R1 --json
      fielding plans rows plan --csv > rows.csv
    """
    from fielding_async.cli.shared.rows.display import Form, RowsDisplay, selection_of

    check_filters(as_json=as_json, as_csv=as_csv, since=since, until=until)
    with reporting_errors(doing=_DOING, as_json=as_json):
        selection = selection_of(target_group, run, since, until, effects)
    form: Form = "json" if as_json else "csv" if as_csv else "table"

    async def work(plans: "PostgresPlans") -> int:
        from .showing.late import late_lines, plan_row_object

        display = RowsDisplay(selection, form, doing=_DOING, holder="the plan", as_object=plan_row_object)
        late: list[str] = []
        async with aclosing(plans.rows(name, all=True)) as found:
            async for row in found:
                display.add(row)
                if row.late and not as_json and selection.has(row):
                    late += late_lines(row.late)
        display.end()
        if late:
            write_stderr("\n".join(late))
        return Exit.DONE

    with_plans(work, doing=_DOING, as_json=as_json)
