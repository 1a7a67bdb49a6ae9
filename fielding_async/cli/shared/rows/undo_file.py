"""Writes the plan that takes rows back to a new file."""

import csv
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from fielding_async.cli.shared.new_files import claim, open_beside
from fielding_async.cli.shared.plan.row import COLUMNS, IF_MATCH
from fielding_async.cli.shared.plan.writer import cells
from fielding_async.journal.undo.undo_plan import UndoRow

__all__ = ["write_undo"]


def write_undo(path: Path, rows: Iterable[UndoRow]) -> None:
    """Write rows as a plan to a new file, readable by its owner only. The path has all of it, or an empty file.

    Raises `FileExistsError` if anything is at the path, `OSError` if it cannot be written; then nothing is left there.
    """
    claim(path)
    partial: Path | None = None
    try:
        partial, fd = open_beside(path)
        # with a byte order mark, as other plans that this program writes
        with os.fdopen(fd, "w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*COLUMNS, IF_MATCH])
            for row in rows:
                *plan_cells, _error = cells(row.ref, row.action, "", row.if_match)
                writer.writerow(plan_cells)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        for left in (partial, path):
            with suppress(OSError):
                if left is not None:
                    left.unlink(missing_ok=True)
        raise
