"""`fielding watch`: shows the runs of a project, and what changes, until it is ended."""

import asyncio
import math
import os

import click

from fielding_async.cli.shared.arguments.options import json_option
from fielding_async.cli.shared.arguments.project_argument import ProjectRef, project_argument
from fielding_async.cli.shared.exit_status import Exit, perform, report_error
from fielding_async.cli.shared.output import is_live, stdout_console, write_stderr
from fielding_async.core.errors import NotFoundError

__all__ = ["watch"]

_sleep = asyncio.sleep
_LEAST, _MOST = 5.0, 86_400.0  # seconds between two fetches of a run


def _seconds(_context: click.Context, _parameter: click.Parameter, text: str) -> float:
    """Read `--every`."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not _LEAST <= value <= _MOST:
        raise click.BadParameter(f"{text!r} is not a number of seconds from {_LEAST:g} to {_MOST:g}")
    return value


@click.command()
@project_argument
@click.option(
    "--every",
    callback=_seconds,
    default="30",
    show_default=True,
    metavar="SECONDS",
    help="Fetch each run at most once in this many seconds; at least 5.",
)
@json_option
def watch(project: ProjectRef, every: float, as_json: bool) -> None:
    """Watch the runs of a project until Ctrl-C.

    On a terminal, a table shows each run with its status, its progress to the goal, the time left and who changed it
    last. In a file or a pipe, and with --json, a line is written for each run that is found, for each change of a run,
    and for each run that no longer exists. A change is a new status, date, progress, goal or name. Drafts have no run
    and are not shown.

    All runs are fetched, with about as many requests as there are target groups. After --every seconds they are
    fetched again. While the exchange cannot be used, the command says so, shows the runs as last fetched, and tries
    again. It ends if the project does not exist or the token is not accepted.

    Exit status: 1 the project cannot be read, 2 bad arguments or settings, 129, 130 and 143 on signals, 0 if the pipe
    that stdout writes to was closed.

    \b
    Examples:
      fielding watch 101/01J...P0
      fielding watch 101/01J...P0 --every 60 >> changes.log
      fielding watch 101/01J...P0 --json | jq 'select(.status == "paused")'
    """

    async def work() -> int:
        from fielding_async import BearerToken, FieldingSession
        from fielding_async.core.credentials import resolve_auth

        from .display import Lines, LiveTable
        from .runs import Watched
        from .sweeps import sweep_for_ever

        watched = Watched()
        is_plain_token = isinstance(resolve_auth(None, os.environ), BearerToken)
        console = stdout_console()
        async with FieldingSession() as fielding:
            display: Lines | LiveTable
            if is_live(console) and not as_json:
                display = LiveTable(console, str(project), watched, lambda: fielding.stats().pause_left)
            else:
                display = Lines(every=every, as_json=as_json)
            handle = fielding.project(project.account_id, project.project_id)
            try:
                with display:
                    await sweep_for_ever(
                        handle.find_runs,
                        watched,
                        display,
                        every=every,
                        is_plain_token=is_plain_token,
                        sleep=_sleep,
                    )
            except NotFoundError as error:
                report_error(error, doing="watch", as_json=as_json)
                write_stderr(f"  {project.hint}")
                return Exit.FAILED
        return Exit.DONE

    perform(work, doing="watch", as_json=as_json)
