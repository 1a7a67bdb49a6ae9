"""`fielding plans list`."""

from typing import TYPE_CHECKING

import click

from fielding_async.cli.shared.arguments.options import json_option
from fielding_async.cli.shared.exit_status import Exit
from fielding_async.cli.shared.output import counted, stdout_console, table_width, write_json, write_stderr

from .running import with_plans

if TYPE_CHECKING:
    from fielding_async.plans import PlanStatus, PostgresPlans

__all__ = ["list_plans"]


@click.command("list")
@json_option
def list_plans(as_json: bool) -> None:
    """List the plans in the database, in the order of submission.

    State: not begun, worked on (a worker holds a lease), no worker (some rows have not ended, and no worker holds a
    lease), paused, finished, cancelled, being deleted (a deletion was interrupted).

    Exit status: 0 the plans were listed, also if there are none, 2 bad settings or no tables, 3 the database cannot be
    used now.

    \b
    Examples:
      fielding plans list
      fielding plans list --json | jq -r 'select(.state == "no-worker") .plan'
    """

    async def work(plans: "PostgresPlans") -> int:
        from .showing.texts import status_object

        found = await plans.list()
        if as_json:
            for status in found:
                write_json(status_object(status))
        elif found:
            left_out = _write_table(found)
            note = f"; columns that do not fit: {', '.join(left_out)}; --json has all" if left_out else ""
            write_stderr(f"fielding: plans list: {counted(len(found), 'plan')}{note}")
        else:
            write_stderr("fielding: plans list: there are no plans; `fielding plans submit PLAN` stores one")
        return Exit.DONE

    with_plans(work, doing="plans list", as_json=as_json)


def _write_table(found: "list[PlanStatus]") -> tuple[str, ...]:
    """Write a table. Returns the titles of the columns that do not fit."""
    from fielding_async.cli.shared.output import printable
    from fielding_async.cli.shared.text_table import Column, lay_out, table_lines

    from .showing.texts import minute, state_of

    columns = [
        Column(title="Plan", shortest=12),
        Column(title="State", rank=1),
        Column(title="Rows", rank=2, is_number=True),
        Column(title="Left", rank=3, is_number=True),
        Column(title="Failed", rank=4, is_number=True),
        Column(title="Unknown", rank=5, is_number=True),
        Column(title="Workers", rank=7, is_number=True),
        Column(title="Submitted (UTC)", rank=6),
    ]
    rows = [
        [
            printable(status.name),
            state_of(status),
            f"{status.rows:,}",
            f"{status.left:,}",
            *(f"{count:,}" if count else "" for count in (status.counts.failed, status.counts.unknown)),
            f"{sum(worker.lease_left > 0 for worker in status.workers) or ''}",
            minute(status.submitted_at),
        ]
        for status in found
    ]
    console = stdout_console()
    layout = lay_out(columns, rows, table_width(console))
    for line in table_lines(columns, rows, layout):
        console.print(line, soft_wrap=True)
    return layout.left_out
