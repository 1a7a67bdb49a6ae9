"""`fielding journal undo`: writes the plan that takes back what a plan did, and lists what cannot be taken back."""

import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fielding_async.cli.shared.arguments.options import FilePath
from fielding_async.cli.shared.exit_status import Exit, reporting_errors
from fielding_async.cli.shared.output import counted, printable, write_json, write_stderr, write_stdout
from fielding_async.core.errors import ConfigurationError

from .arguments import from_journal

if TYPE_CHECKING:
    from fielding_async.journal.undo.undo_plan import UndoPlan

    from .finished import FinishedJournal

__all__ = ["undo"]


@click.command()
@from_journal(to="PLAN", text="Where to write the plan. [default: FILE without .journal and .csv, with .undo.csv]")
@click.option(
    "--plan",
    "applied",
    metavar="APPLIED",
    type=FilePath(Path),
    help="The plan that was applied. [default: FILE without .journal]",
)
def undo(file: Path, output: Path | None, applied: Path | None, as_json: bool) -> None:
    """Write a plan that undoes what an applied plan did. Nothing is sent.

    FILE is the journal of a finished plan. Rows that ended accepted are undone, the last row of each run first: a pause
    by a resume, a resume by a pause, an update by an update to the former dates. A launch, a complete, a relaunch and a
    row that did not end accepted cannot be undone. Earlier rows of the same run cannot be undone either. All rows that
    are not undone are listed, with the reason. The command needs the applied plan to know whether rows were never sent.
    The plan is beside its journal, as apply leaves it, or named with --plan.

    Each row of the new plan names the ETag that the run must have (column if_match): the ETag after the plan's last
    write to the run, or `previous`, the ETag after the row before it on the same run. So if somebody else has written
    to a run since, its rows are refused, and that write is kept.

    Exit status: 0 the plan was written, 1 there is nothing to undo, or it could not be written, 2 bad arguments, or
    FILE is in use, belongs to a plan that is not finished, or is not a journal.

    \b
    Example:
      fielding journal undo plan.csv.journal
      fielding apply plan.undo.csv
    """
    from fielding_async.cli.shared.rows.undo_file import write_undo
    from fielding_async.journal.undo.undo_plan import undo_plan

    from .finished import read_finished

    path = output or _undo_path(file)
    with reporting_errors(doing="journal undo", as_json=as_json):
        found = read_finished(file, applied)
        plan = undo_plan(found.rows)
        if plan.rows:
            try:
                write_undo(path, plan.rows)
            except FileExistsError:
                raise ConfigurationError(
                    f"{path}: is there already, and is not replaced; remove it, or name another file with --output"
                ) from None
            except OSError as error:
                write_stderr(f"fielding: journal undo: {path}: cannot be written: {error.strerror or error}")
                raise click.exceptions.Exit(Exit.FAILED) from None
    status = Exit.DONE if plan.rows else Exit.FAILED
    command = shlex.join(["fielding", "apply", *(["--"] if str(path).startswith("-") else []), str(path)])
    if as_json:
        _write_objects(file, found, plan, path, command, status)
    else:
        _write_lines(file, found, plan, path, command)
    raise click.exceptions.Exit(status)


def _write_objects(
    file: Path, found: "FinishedJournal", plan: "UndoPlan", path: Path, command: str, status: Exit
) -> None:
    from fielding_async.cli.shared.rows.undo_texts import not_undone_object

    for row in plan.listed:
        write_json(not_undone_object(row))
    summary: dict[str, Any] = {
        "kind": "undo",
        "journal": str(file),
        "base_url": found.summary.base_url,
        "rows": len(found.rows),
        "undone": len(plan.rows),
        "not_undone": len(plan.listed),
        "actions": dict(Counter(row.action.name for row in plan.rows)),
        "is_whole": found.is_whole,
        "undo_plan": str(path) if plan.rows else None,
        "apply": command if plan.rows else None,
        "exit_status": int(status),
    }
    write_json(summary)


def _write_lines(file: Path, found: "FinishedJournal", plan: "UndoPlan", path: Path, command: str) -> None:
    from fielding_async.cli.shared.rows.undo_texts import actions_text, write_not_undone

    write_not_undone(plan)
    can = f"{len(plan.rows):,} can be taken back, {len(plan.listed):,} cannot"
    lines = [f"{file}: of {counted(len(found.rows), 'row')} {can}"]
    if not found.is_whole:
        lines.append(
            "the plan was not found beside its journal, so it is not known whether rows of it were never sent"
            " (name it with --plan)"
        )
    if plan.rows:
        lines += [
            f"written to {path}: {actions_text(plan)}, for {found.summary.base_url}",
            "to take them back:",
            f"  {command}",
        ]
    else:
        lines.append("nothing was written")
    write_stdout("\n".join(printable(line) for line in lines))


def _undo_path(journal: Path) -> Path:
    """Return where the plan that takes back a journal is written: `plan.undo.csv` beside `plan.csv.journal`."""
    return journal.with_name(f"{journal.name.removesuffix('.journal').removesuffix('.csv')}.undo.csv")
