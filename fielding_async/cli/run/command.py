"""`fielding run …`: reads one run, or acts on it."""

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING

import click

from fielding_async.cli.shared.arguments.options import (
    json_option,
    on_conflict_option,
    run_argument,
    run_or_group,
    timeout_option,
    timestamp,
)
from fielding_async.cli.shared.exit_status import Exit, perform, report_cancelled
from fielding_async.cli.shared.output import write_json, write_stdout
from fielding_async.cli.shared.value_texts import outcome_lines, outcome_object, run_lines, run_object
from fielding_async.core.actions import Action, Complete, LaunchNow, Pause, Relaunch, Resume, StatusAction, Update
from fielding_async.core.models import OnConflict, RunRef

from .run_of_group import TimeLeft, run_of

if TYPE_CHECKING:
    from fielding_async.cli.shared.arguments.places import GroupRef

__all__ = ["run"]

_TIMEOUT = timeout_option("Give up after this many seconds. [default: 60, counted from the first request]")


@click.group()
def run() -> None:
    """Show one fielding run, or act on it.

    Name a run by its four ids, in one argument or with options; or by its target group, which has at most one run:

    \b
      fielding run get ACCOUNT/PROJECT/TARGET_GROUP/RUN
      fielding run get --account 101 --project ID --target-group ID RUN
      fielding run get ACCOUNT/PROJECT/TARGET_GROUP

    Settings come from the environment: FIELDING_TOKEN (or FIELDING_CLIENT_ID and FIELDING_CLIENT_SECRET) and, for
    another server than the exchange itself, FIELDING_BASE_URL.

    The command handles ETags, conflicts with other writers, lost replies and rate limits. Exit status: 0 done, 1
    failed, 2 bad arguments or settings, 3 it is unknown whether the action was applied.
    """


@run.command()
@run_argument
@_TIMEOUT
@json_option
def get(
    run_id: str,
    account: int | None,
    project: str | None,
    target_group: str | None,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Show a run as it is now.

    \b
    Examples:
      fielding run get 101/01J...P0/01J...P1
      fielding run get --json 101/01J...P0/01J...P1/01J...P2
    """
    place = run_or_group(run_id, account, project, target_group)

    async def work() -> int:
        from fielding_async import FieldingSession

        time = TimeLeft(timeout)
        async with FieldingSession() as fielding:
            run = await run_of(fielding, place, time)
            found = await run.get(**time.limit())
            if as_json:
                write_json(run_object(found, run.ref))
            else:
                write_stdout("\n".join(run_lines(found, run.ref)))
        return Exit.DONE

    perform(work, doing="run get", as_json=as_json)


def _act(
    place: "RunRef | GroupRef", action: Action, on_conflict: OnConflict, timeout: float | None, *, as_json: bool
) -> None:
    async def work() -> int:
        from fielding_async import FieldingSession

        time = TimeLeft(timeout)
        async with FieldingSession() as fielding:
            try:
                run = await run_of(fielding, place, time)
                outcome = await run.perform(action, on_conflict=on_conflict, **time.limit())
            except asyncio.CancelledError as cancelled:
                otherwise = f"{action.name} was cancelled before it was applied: nothing was changed"
                report_cancelled(cancelled, otherwise=otherwise)
                raise
            if as_json:
                write_json(outcome_object(outcome))
            else:
                write_stdout("\n".join(outcome_lines(outcome, action.name)))
        return Exit.DONE

    perform(work, doing=f"run {action.name}", as_json=as_json)


def _status_command(kind: type[StatusAction], what: str) -> click.Command:
    text = f"""{what}

    \b
    Examples:
      fielding run {kind.name} 101/01J...P0/01J...P1/01J...P2
      fielding run {kind.name} 101/01J...P0/01J...P1
    """

    @click.command(kind.name, help=text)
    @run_argument
    @on_conflict_option
    @_TIMEOUT
    @json_option
    def command(
        run_id: str,
        account: int | None,
        project: str | None,
        target_group: str | None,
        on_conflict: OnConflict,
        timeout: float | None,
        as_json: bool,
    ) -> None:
        _act(run_or_group(run_id, account, project, target_group), kind(), on_conflict, timeout, as_json=as_json)

    return command


for _kind, _what in (
    (LaunchNow, "Launch a scheduled run now. It keeps its length."),
    (Pause, "Pause a live run."),
    (Resume, "Resume a paused run."),
    (Complete, "Complete a live or scheduled run."),
    (Relaunch, "Relaunch a completed run."),
):
    run.add_command(_status_command(_kind, _what))


@run.command()
@run_argument
@click.option("--start", callback=timestamp, metavar="DATETIME", help="When fielding starts: RFC 3339, with a zone.")
@click.option("--end", callback=timestamp, metavar="DATETIME", help="When fielding ends: RFC 3339, with a zone.")
@on_conflict_option
@_TIMEOUT
@json_option
def update(
    run_id: str,
    account: int | None,
    project: str | None,
    target_group: str | None,
    start: datetime | None,
    end: datetime | None,
    on_conflict: OnConflict,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Change the dates of a run. What is not named stays as it is.

    RUN is ACCOUNT/PROJECT/TARGET_GROUP/RUN, or ACCOUNT/PROJECT/TARGET_GROUP.

    \b
    Examples:
      fielding run update RUN --end 2026-08-31T18:00:00Z
      fielding run update RUN --start 2026-08-01T09:00:00+02:00 \\
        --end 2026-08-31T18:00:00+02:00
    """
    place = run_or_group(run_id, account, project, target_group)
    if start is None and end is None:
        raise click.UsageError("Nothing to change: give --start, --end or both.")
    if start is not None and end is not None and end <= start:
        raise click.UsageError("--end must be after --start.")
    update = Update(start_fielding_at=start, end_fielding_at=end)
    _act(place, update, on_conflict, timeout, as_json=as_json)
