"""`fielding plans status`: how far a plan is, once or as it changes."""

import asyncio
from typing import TYPE_CHECKING

import click

from fielding_async.cli.shared.arguments.numbers import Number
from fielding_async.cli.shared.arguments.options import json_option
from fielding_async.cli.shared.exit_status import Exit
from fielding_async.cli.shared.output import (
    is_live,
    stdout_console,
    stdout_has_reader,
    table_width,
    write_json,
)
from fielding_async.core.errors import JournalError

from .arguments import plan_argument
from .running import with_plans

if TYPE_CHECKING:
    from fielding_async.plans import PlanStatus, PostgresPlans

__all__ = ["status"]

_sleep = asyncio.sleep


@click.command()
@plan_argument
@click.option("--watch", is_flag=True, help="Show it again as it changes, until the plan has ended or Ctrl-C.")
@click.option(
    "--every",
    type=Number(min=0.5, max=3600),
    default=1.0,
    show_default="1",
    metavar="SECONDS",
    help="With --watch: how often the database is asked.",
)
@json_option
def status(name: str, watch: bool, every: float, as_json: bool) -> None:
    """Show the progress of a plan: how many rows ended in which way, its workers and its shards.

    With --watch, the command redraws a table on a terminal. The table also shows how many rows all workers together
    perform in a second, and the time left at this speed. In a file or a pipe, and with --json, the command writes a
    line whenever something has changed. If the database cannot be used for some time, the command says so and tries
    again.

    Lease left is the time for which a worker certainly holds its shards (parts of the plan). It is "over" for a worker
    that was killed or lost its connection. Other workers then take its shards.

    Exit status: 0 it was shown, or the plan that was watched has ended, 2 bad arguments or settings, or no such plan, 3
    the database cannot be used now, 129, 130 and 143 on signals.

    \b
    Examples:
      fielding plans status plan
      fielding plans status plan --watch
      fielding plans status plan --json | jq .left
    """

    async def work(plans: "PostgresPlans") -> int:
        found = await plans.status(name)
        if watch:
            await _watch(plans, found, every=every, as_json=as_json)
        elif as_json:
            from .showing.texts import status_object

            write_json(status_object(found))
        else:
            from .showing.status_view import status_lines

            console, note = stdout_console(), await _note(plans, found)
            for line in status_lines(found, width=table_width(console), is_drawn=console.file.isatty(), note=note):
                console.print(line, soft_wrap=True)
        return Exit.DONE

    with_plans(work, doing="plans status", as_json=as_json)


async def _note(plans: "PostgresPlans", found: "PlanStatus") -> str:
    """Return what holds a plan up, if that is known."""
    from .showing.texts import outage_text

    outage = await plans.outage(found.name) if found.left else None
    return "" if outage is None else outage_text(outage)


async def _watch(plans: "PostgresPlans", first: "PlanStatus", *, every: float, as_json: bool) -> None:
    """Show the status of a plan as it changes, until it has ended."""
    from .showing.progress import Pace
    from .showing.status_display import Lines, Screen

    console = stdout_console()
    display = Screen(console) if is_live(console) and not as_json else Lines(as_json=as_json)
    loop, pace = asyncio.get_running_loop(), Pace()
    found, note = first, await _note(plans, first)
    with display:
        while True:
            pace.add(loop.time(), found)
            display.show(found, pace.rows_per_second, note)
            if found.finished_at is not None and not any(worker.lease_left > 0 for worker in found.workers):
                return
            await _sleep(every)
            if not stdout_has_reader():
                return
            try:
                found = await plans.status(first.name)
                note = await _note(plans, found)
            except JournalError as error:
                display.failed(error.message)
