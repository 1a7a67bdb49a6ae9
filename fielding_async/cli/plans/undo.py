"""`fielding plans undo`: the rows that take back what a plan did, as a file or as a plan."""

import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fielding_async.cli.shared.arguments.options import FilePath, json_option
from fielding_async.cli.shared.exit_status import Exit, reporting_errors
from fielding_async.cli.shared.output import counted, printable, write_json, write_stderr, write_stdout
from fielding_async.core.errors import ConfigurationError

from .arguments import plan_argument
from .running import with_plans

if TYPE_CHECKING:
    from fielding_async.plans import PostgresPlans, UndoPlan

__all__ = ["undo"]

_DOING = "plans undo"


@click.command()
@plan_argument
@click.option("--plan", "path", metavar="FILE", type=FilePath(Path), help="Write the rows to this new file, as a plan.")
@click.option("--submit-as", metavar="NAME", help="Submit the rows as a plan of this name.")
@json_option
def undo(name: str, path: Path | None, submit_as: str | None, as_json: bool) -> None:
    """Find the rows that undo what a plan did. Nothing is sent to the exchange.

    The rules are those of fielding journal undo. Rows that ended accepted can be undone, the last row of each run
    first. Each new row names the ETag that the run had after the plan. Rows that cannot be undone are listed, with the
    reason. Without --plan and --submit-as, the command only shows which rows there are.

    The plan must be finished, or it must be cancelled and have no worker.

    Exit status: 0 there are rows, and they were written or submitted if asked for, 1 there is nothing to undo, or the
    file could not be written, 2 bad arguments or settings, no such plan, or it is not finished, 3 the database cannot
    be used now.

    \b
    Examples:
      fielding plans undo plan
      fielding plans undo plan --submit-as plan-undo
      fielding plans undo plan --plan plan.undo.csv
    """
    if path is not None and submit_as is not None:
        raise click.UsageError("--plan and --submit-as exclude each other: give one of them.")

    if submit_as is not None:
        from fielding_async.plans.values.plan_values import check_plan_name

        with reporting_errors(doing=_DOING, as_json=as_json):
            check_plan_name("--submit-as", submit_as)

    async def work(plans: "PostgresPlans") -> int:
        found = await plans.undo(name)
        if found.rows and path is not None and not _write_file(path, found):
            return Exit.FAILED
        if found.rows and submit_as is not None:
            await plans.submit(found.pairs, plan=submit_as)
        status = Exit.DONE if found.rows else Exit.FAILED
        if as_json:
            _write_objects(name, found, path, submit_as, status)
        else:
            _write_lines(name, found, path, submit_as)
        return status

    with_plans(work, doing=_DOING, as_json=as_json)


def _write_file(path: Path, found: "UndoPlan") -> bool:
    from fielding_async.cli.shared.rows.undo_file import write_undo

    try:
        write_undo(path, found.rows)
    except FileExistsError:
        raise ConfigurationError(f"--plan {path}: is there already, and is not replaced; name another file") from None
    except OSError as error:
        write_stderr(printable(f"fielding: {_DOING}: {path}: cannot be written: {error.strerror or error}"))
        return False
    return True


def _next(path: Path | None, submit_as: str | None) -> str | None:
    """Return the command that takes the rows back; `None` if they are nowhere yet."""
    if path is not None:
        return shlex.join(["fielding", "apply", *(["--"] if str(path).startswith("-") else []), str(path)])
    if submit_as is not None:
        words = ["fielding", "plans", "work", "--until-done", *(["--"] if submit_as.startswith("-") else []), submit_as]
        return shlex.join(words)
    return None


def _write_objects(name: str, found: "UndoPlan", path: Path | None, submit_as: str | None, status: Exit) -> None:
    from fielding_async.cli.shared.rows.undo_texts import not_undone_object

    for row in found.listed:
        write_json(not_undone_object(row))
    summary: dict[str, Any] = {
        "kind": "undo",
        "plan": name,
        "undone": len(found.rows),
        "not_undone": len(found.listed),
        "actions": dict(Counter(row.action.name for row in found.rows)),
        "undo_plan": str(path) if found.rows and path is not None else None,
        "submitted_as": submit_as if found.rows else None,
        "apply": _next(path, submit_as) if found.rows else None,
        "exit_status": int(status),
    }
    write_json(summary)


def _write_lines(name: str, found: "UndoPlan", path: Path | None, submit_as: str | None) -> None:
    from fielding_async.cli.shared.rows.undo_texts import actions_text, write_not_undone

    write_not_undone(found)
    rows = counted(len(found.rows) + len(found.listed), "row")
    lines = [f"{name}: of {rows} on record {len(found.rows):,} can be taken back, {len(found.listed):,} cannot"]
    command = _next(path, submit_as)
    if not found.rows:
        lines.append("there is nothing to take back")
    elif command is None:
        lines += [f"they are: {actions_text(found)}", "nothing was written: give --submit-as NAME or --plan FILE"]
    else:
        where = f"written to {path}" if path is not None else f"submitted as {submit_as}"
        lines += [f"{where}: {actions_text(found)}", "to take them back:", f"  {command}"]
    write_stdout("\n".join(printable(line) for line in lines))
