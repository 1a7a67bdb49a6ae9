"""`fielding journal undo`: writes the plan that takes back what a plan did, and lists what cannot be taken back."""

import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fielding_async.cli.shared.exit_status import Exit, reporting_errors
from fielding_async.cli.shared.options import json_option
from fielding_async.cli.shared.output import printable, stdout_console, write_json, write_stderr, write_stdout
from fielding_async.core.errors import ConfigurationError

if TYPE_CHECKING:
    from rich.table import Table

    from .finished import FinishedJournal
    from .undo_plan import NotUndone, UndoPlan

__all__ = ["undo"]

_SHOWN = 100  # rows that are not taken back and are shown one by one


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(readable=False, path_type=Path))
@click.option(
    "--output",
    metavar="PLAN",
    type=click.Path(readable=False, path_type=Path),
    help="Where to write the plan. [default: FILE without .journal and .csv, with .undo.csv]",
)
@json_option
def undo(file: Path, output: Path | None, as_json: bool) -> None:
    """Write the plan that takes back what a plan did. Nothing is sent.

    FILE is the journal of a finished plan. Rows that ended accepted are taken back, the last one of each run first: a
    pause by a resume, a resume by a pause, an update by an update to the former dates. A run is taken back up to its
    last row that cannot be: a launch, a complete or a relaunch, or a row that did not end accepted. All rows that are
    not taken back are listed, with the reason.

    Each row of the new plan names the ETag that the run must have (column if_match): that which our last write left,
    or, as `previous`, that which the row before it on the same run leaves. So a run that somebody else has written to
    since is refused, and what they wrote stands.

    Exit status: 0 the plan was written, 1 there is nothing to take back, or it could not be written, 2 bad arguments,
    or FILE is in use, of a plan that is not finished, or no journal.

    \b
    Example:
      fielding journal undo plan.csv.journal
      fielding apply plan.undo.csv
    """
    from .finished import read_finished
    from .undo_file import undo_path, write_undo
    from .undo_plan import undo_plan

    path = output or undo_path(file)
    with reporting_errors(doing="journal undo", as_json=as_json):
        found = read_finished(file)
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
    for row in plan.listed:
        write_json(
            {
                "kind": "not-undone",
                "number": row.number,
                "ref": None if row.ref is None else str(row.ref),
                "action": None if row.action is None else row.action.name,
                "reason": row.reason,
            }
        )
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
    if plan.listed:
        stdout_console().print(_table(plan.listed[:_SHOWN]))
    left = plan.listed[_SHOWN:]
    lines = [f"and {len(left):,} more rows that are not taken back; all of them: --json"] if left else []
    total = len(found.rows)
    lines.append(
        f"{file}: of {total:,} row{'' if total == 1 else 's'} {len(plan.rows):,} can be taken back,"
        f" {len(plan.listed):,} cannot"
    )
    if not found.is_whole:
        lines.append("the plan itself was not found beside its journal: rows of it that were never sent are not seen")
    if plan.rows:
        actions = Counter(row.action.name for row in plan.rows)
        each = ", ".join(f"{count:,} {name}" for name, count in sorted(actions.items()))
        lines += [f"written to {path}: {each}, for {found.summary.base_url}", "to take them back:", f"  {command}"]
    else:
        lines.append("nothing was written")
    write_stdout("\n".join(printable(line) for line in lines))


def _table(rows: "tuple[NotUndone, ...]") -> "Table":
    from rich.box import HORIZONTALS
    from rich.table import Table

    table = Table(box=HORIZONTALS, pad_edge=False)
    table.add_column("Row", justify="right", no_wrap=True)
    table.add_column("Run", overflow="fold")
    table.add_column("Action", no_wrap=True)
    table.add_column("Not taken back, because", overflow="fold")
    for row in rows:
        run = "not known" if row.ref is None else printable(row.ref.fielding_run_id)
        table.add_row(f"no. {row.number}", run, "?" if row.action is None else row.action.name, printable(row.reason))
    return table
