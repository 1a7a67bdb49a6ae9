"""What takes back the rows of a plan, for people and as JSON: which rows cannot be taken back, and why."""

from collections import Counter
from typing import TYPE_CHECKING, Any

from fielding_async.cli.shared.output import printable, stdout_console, write_stdout
from fielding_async.journal.undo.undo_plan import NotUndone, UndoPlan

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["actions_text", "not_undone_object", "write_not_undone"]

_SHOWN = 100  # rows that are not taken back and are shown one by one


def not_undone_object(row: NotUndone) -> dict[str, Any]:
    """Return a row that is not taken back as a JSON object."""
    return {
        "kind": "not-undone",
        "number": row.number,
        "ref": None if row.ref is None else str(row.ref),
        "action": None if row.action is None else row.action.name,
        "reason": row.reason,
    }


def write_not_undone(plan: UndoPlan) -> None:
    """Write the rows that are not taken back to stdout, as a table."""
    if plan.listed:
        stdout_console().print(_table(plan.listed[:_SHOWN]))
    if left := plan.listed[_SHOWN:]:
        write_stdout(f"and {len(left):,} more rows that are not taken back; all of them: --json")


def actions_text(plan: UndoPlan) -> str:
    """Return how many rows each action has, such as `2 pause, 1 resume`."""
    actions = Counter(row.action.name for row in plan.rows)
    return ", ".join(f"{count:,} {name}" for name, count in sorted(actions.items()))


def _table(rows: tuple[NotUndone, ...]) -> "Table":
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
