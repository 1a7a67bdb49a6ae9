"""`fielding plans pause`, `resume`, `cancel` and `delete`."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import click

from fielding_async.cli.shared.arguments.numbers import Number
from fielding_async.cli.shared.arguments.options import json_option
from fielding_async.cli.shared.exit_status import Exit, reporting_errors
from fielding_async.cli.shared.output import counted, printable, write_json, write_stderr, write_stdout
from fielding_async.cli.shared.question import is_agreed
from fielding_async.cli.shared.signal_handling import Interrupted, interrupting

from .arguments import plan_argument
from .running import with_plans

if TYPE_CHECKING:
    from fielding_async.plans import PostgresPlans

__all__ = ["cancel", "delete", "pause", "resume"]

_yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


@click.command()
@plan_argument
@json_option
def pause(name: str, as_json: bool) -> None:
    """Pause a plan: no more of its rows are started, and those in progress end.

    All workers see the pause within seconds. The pause lasts until you run fielding plans resume.

    Exit status: 0 it is paused, 2 bad settings, no such plan, or the plan has ended, 3 the database cannot be used now.

    \b
    Example:
      fielding plans pause plan
    """
    _order(
        name, "pause", lambda plans: plans.pause(name), "paused: no more rows are started", "is paused already", as_json
    )


@click.command()
@plan_argument
@json_option
def resume(name: str, as_json: bool) -> None:
    """Resume a paused plan: workers continue with its rows.

    Workers that wait for the plan (--until-done) continue within a minute.

    Exit status: 0 the plan is not paused any more, 2 bad settings, no such plan, or it was cancelled, 3 the database
    cannot be used now.

    \b
    Example:
      fielding plans resume plan
    """
    _order(name, "resume", lambda plans: plans.resume(name), "resumed: it can be worked on", "is not paused", as_json)


@click.command()
@plan_argument
@_yes_option
@json_option
def cancel(name: str, yes: bool, as_json: bool) -> None:
    """Cancel a plan: no more of its rows are started, and those in progress end. A cancelled plan cannot be resumed.

    The writes that were applied stay applied, and their records are kept. fielding plans undo finds the rows that undo
    them.

    Exit status: 0 it is cancelled, 1 you did not agree, 2 bad settings, no such plan, or the plan is finished, 3 the
    database cannot be used now.

    \b
    Example:
      fielding plans cancel plan --yes
    """
    if not yes:
        advice = "give --yes to cancel the plan; nothing was changed"
        _ask(f"Cancel plan {printable(name)} for good? [y/N] ", advice, doing="plans cancel", as_json=as_json)
    done = "cancelled: no more rows are started"
    _order(name, "cancel", lambda plans: plans.cancel(name), done, "was cancelled before", as_json)


def _ask(question: str, advice: str, *, doing: str, as_json: bool) -> None:
    """Ask, and end the command unless the answer is yes."""
    with reporting_errors(doing=doing, as_json=as_json):
        try:
            with interrupting():
                if is_agreed(question, advice):
                    return
        except Interrupted as interrupted:
            write_stderr(f"fielding: {doing}: {interrupted.name}: nothing was changed")
            raise click.exceptions.Exit(interrupted.status) from None
    write_stderr(f"fielding: {doing}: nothing was changed")
    raise click.exceptions.Exit(Exit.FAILED)


def _order(
    name: str,
    doing: str,
    act: "Callable[[PostgresPlans], Awaitable[bool]]",
    done: str,
    before: str,
    as_json: bool,
) -> None:
    async def work(plans: "PostgresPlans") -> int:
        is_changed = await act(plans)
        if as_json:
            write_json({"kind": doing, "plan": name, "changed": is_changed, "exit_status": int(Exit.DONE)})
        else:
            write_stdout(printable(f"{name}: {done}" if is_changed else f"{name}: {before}; nothing was changed"))
        return Exit.DONE

    with_plans(work, doing=f"plans {doing}", as_json=as_json)


@click.command()
@click.argument("name", metavar="[NAME]", required=False)
@click.option(
    "--older-than",
    type=Number(min=0, max=36_500),
    metavar="DAYS",
    help="Delete all plans that ended, or were cancelled, so many days ago.",
)
@click.option("--force", is_flag=True, help="Delete the plan even if a worker holds a lease of it.")
@_yes_option
@json_option
def delete(name: str | None, older_than: float | None, force: bool, yes: bool, as_json: bool) -> None:
    """Delete a plan, or all old plans, with all records.

    After that, it is unknown what the plan changed, and the plan cannot be undone. A plan on which a worker works is
    deleted only with --force. There is then no record of the rows that the worker has in progress. If a deletion was
    interrupted, the same command completes it.

    Exit status: 0 deleted, 1 you did not agree, 2 bad arguments or settings, no such plan, or a worker works on it, 3
    the database cannot be used now.

    \b
    Examples:
      fielding plans delete plan --yes
      fielding plans delete --older-than 90 --yes
    """
    if (name is None) == (older_than is None):
        raise click.UsageError("give either NAME or --older-than DAYS.")
    if older_than is not None and force:
        raise click.UsageError("--force goes with NAME: plans that ended have no worker.")

    async def work(plans: "PostgresPlans") -> int:
        deleted: tuple[str, ...] = ()
        if name is None:
            deleted = await plans.delete_older_than(older_than or 0.0)
        else:
            await plans.delete(name, force=force)
            deleted = (name,)
        if as_json:
            write_json({"kind": "delete", "plans": list(deleted), "exit_status": int(Exit.DONE)})
        else:
            shown = ": " + ", ".join(map(printable, deleted)) if deleted else ""
            write_stdout(f"{counted(len(deleted), 'plan')} deleted{shown}")
        return Exit.DONE

    if not yes:
        what = f"all plans that ended {older_than:g} days ago or earlier" if name is None else f"plan {printable(name)}"
        question = f"Delete {what}, with all that is on record? [y/N] "
        _ask(question, "give --yes to delete; nothing was deleted", doing="plans delete", as_json=as_json)
    with_plans(work, doing="plans delete", as_json=as_json)
