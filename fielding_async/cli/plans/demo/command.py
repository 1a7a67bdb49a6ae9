"""`fielding plans demo`."""

import os
from typing import TYPE_CHECKING

import click

from fielding_async.cli.shared.arguments.numbers import WholeNumber
from fielding_async.cli.shared.arguments.options import json_option
from fielding_async.cli.shared.exit_status import Exit, perform
from fielding_async.cli.shared.output import printable, write_json, write_stderr, write_stdout

if TYPE_CHECKING:
    from .scenario import Result

__all__ = ["demo"]

_PLANS_URL = "FIELDING_PLANS_URL"


@click.command()
@click.option(
    "--runs",
    type=WholeNumber(10, 500),
    default=40,
    show_default=True,
    metavar="NUMBER",
    help="How many runs the plan has three rows for, 10 to 500.",
)
@json_option
def demo(runs: int, as_json: bool) -> None:
    """Show two workers on one plan, one of which is killed. Takes about half a minute.

    The command starts a sandbox of the exchange. It also starts this machine's PostgreSQL in a temporary folder. If
    FIELDING_PLANS_URL is set, it uses the database at this address instead. It makes the tables of plans there if they
    do not exist, and deletes its plan at the end. Then two processes work on the plan. One of them is killed (SIGKILL)
    while it has rows in flight. When the leases of the killed process are over, the other process takes over its rows.

    At the end, the command compares the writes that the sandbox has applied with the plan. Each write must have been
    applied exactly once, and the writes of one run in their order. If this is not so, the command says what is wrong
    and exits with 1.

    Exit status: 0 each write was applied once, 1 a write was not applied once, or there is no PostgreSQL, 2 bad
    settings, 3 the database cannot be used now.

    \b
    Examples:
      fielding plans demo
      fielding plans demo --runs 100 --json
    """

    async def work() -> int:
        from .local_postgres import NoPostgresError, local_postgres
        from .scenario import run_demo

        name = f"fielding-demo-{os.getpid()}"
        say = write_stderr if as_json else write_stdout
        try:
            if os.environ.get(_PLANS_URL):
                say(f"{runs} runs, {3 * runs} rows, two workers, the database of {_PLANS_URL}")
                return _report(await run_demo(os.environ[_PLANS_URL], name, runs, say), as_json=as_json)
            say(f"{runs} runs, {3 * runs} rows, two workers, PostgreSQL in a temporary folder")
            with local_postgres() as url:
                return _report(await run_demo(url, name, runs, say), as_json=as_json)
        except NoPostgresError as error:
            write_stderr(printable(f"fielding: plans demo: {error}"))
        except OSError as error:
            write_stderr(printable(f"fielding: plans demo: cannot be run on this machine: {error.strerror or error}"))
        return Exit.FAILED

    perform(work, doing="plans demo", as_json=as_json)


def _report(result: "Result", *, as_json: bool) -> int:
    from fielding_async.cli.plans.showing.report_texts import outcomes_table, report_lines, report_object
    from fielding_async.cli.shared.output import stdout_console

    status = Exit.FAILED if result.problems else Exit.DONE
    if as_json:
        more = {
            "kind": "demo",
            "seconds": round(result.seconds, 1),
            "killed_after": result.killed_after,
            "in_flight_when_killed": result.open,
            "problems": list(result.problems),
            "exit_status": int(status),
        }
        write_json({**report_object(result.report), **more})
    else:
        write_stdout("\n".join(["", *report_lines(result.report)]))
        stdout_console().print(outcomes_table(result.report))
        kill = "No worker was killed: the plan ended before that; try again with more --runs."
        if result.killed_after is not None:
            kill = f"A worker was killed after {result.killed_after:,} rows, with {result.open:,} rows in flight."
        write_stdout(f"Took {result.seconds:.1f} s. {kill}")
        if not result.problems:
            rows = result.report.rows
            write_stdout(f"The sandbox's own history: {rows:,} writes asked for, each applied exactly once, in order.")
    if result.problems:
        write_stderr("\n".join(["fielding: plans demo: the check failed", *(f"  {text}" for text in result.problems)]))
    return status
