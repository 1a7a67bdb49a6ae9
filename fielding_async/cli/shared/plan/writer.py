"""Writes rows with their errors to a CSV file that is a plan itself, and is safe to open in a spreadsheet."""

import csv
import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from itertools import chain, count
from pathlib import Path
from typing import IO

from fielding_async.cli.shared.csv_output import formula_safe
from fielding_async.cli.shared.new_files import open_beside, open_unlinked
from fielding_async.core.actions import Action, Update
from fielding_async.core.dates import to_text
from fielding_async.core.models import RunRef

from .line_reader import FORMULA
from .row import COLUMNS, ERROR, IF_MATCH

__all__ = ["PlanWriter", "cells", "plan_cells"]


def plan_cells(ref: RunRef, action: Action) -> list[str]:
    """Return the cells of a row for `COLUMNS`, the columns that each plan has."""
    start = action.start_fielding_at if isinstance(action, Update) else None
    end = action.end_fielding_at if isinstance(action, Update) else None
    return [
        str(ref.account_id),
        ref.project_id,
        ref.target_group_id,
        _unchanged(ref.fielding_run_id),
        action.name,
        to_text(start) if start is not None else "",
        to_text(end) if end is not None else "",
    ]


def cells(ref: RunRef, action: Action, error: str, if_match: str | None = None) -> list[str]:
    """Return the cells of a row: those of the plan's columns, its `if_match` unless that is `None`, and the error."""
    guard = [] if if_match is None else [_unchanged(if_match)]
    return [*plan_cells(ref, action), *guard, formula_safe(error)]


def _unchanged(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula, and that is the text itself when the plan is read."""
    return f"'{text}" if text.startswith(FORMULA) else text


class PlanWriter:
    """Writes rows to a temporary file, which replaces the file at `path` when all rows are written.

    Without rows no file is written. An older file with a line that the new one lacks (it was edited, or it is of
    another plan) is renamed: a `~`, or `~2` and so on, is added to its name. So is anything but a regular file
    with one name, such as a link or a pipe. It is neither read nor written to.
    `guarded`: the file has the column `if_match`. `kept`: its new path; `kept_because`: why. `rows`: how many rows were
    written.
    """

    def __init__(self, path: Path, *, guarded: bool = False) -> None:
        self.path = path
        self._guarded = guarded
        self.rows: int = 0
        self.kept: Path | None = None
        self.kept_because: str = ""
        self._partial: Path | None = None
        self._file: IO[str] | None = None
        self._write: Callable[[list[str]], object] | None = None

    def add(self, ref: RunRef, action: Action, error: str, if_match: str | None = None) -> None:
        """Write a row; `if_match` only where the file has that column. Raises `OSError`."""
        if self._write is None:
            self._partial, fd = open_beside(self.path)
            # with a byte order mark, without which Excel misreads what is not ASCII
            self._file = os.fdopen(fd, "w", encoding="utf-8-sig", newline="")
            self._write = csv.writer(self._file).writerow
            self._write([*COLUMNS, *([IF_MATCH] if self._guarded else []), ERROR])
        self._write(cells(ref, action, error, (if_match or "") if self._guarded else None))
        self.rows += 1

    def finish(self) -> Path | None:
        """Move the file to its path, and return the path; `None` if no row was written. Raises `OSError`."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())  # after a crash the path has either file, whole
            self._file.close()
        why = self._why_to_keep()
        if why:
            kept = self._free_name()
            self.path.replace(kept)
            self.kept, self.kept_because = kept, why
        if self._partial is None:
            return None
        self._partial.replace(self.path)
        return self.path

    def _why_to_keep(self) -> str:
        """Return why what is at the path is kept, for a message; empty if it is not kept."""
        try:
            found = self.path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return ""
        if stat.S_ISDIR(found.st_mode):
            if self._partial is None:
                return ""
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if stat.S_ISLNK(found.st_mode):
            return "was a symbolic link"
        if not stat.S_ISREG(found.st_mode):
            return "was not a regular file"  # reading a pipe would never end
        if found.st_nlink > 1:
            return "was a file with a second name (hard link)"
        return "held other lines" if self._partial is None or self._has_other_lines(self._partial) else ""

    def _has_other_lines(self, partial: Path) -> bool:
        with partial.open("rb") as new, os.fdopen(open_unlinked(self.path), "rb") as old:
            known = {hash(line) for line in new}
            return any(hash(line) not in known for line in old)

    def _free_name(self) -> Path:
        name = f"{self.path.name}~"
        names = chain([name], (f"{name}{number}" for number in count(2)))
        return next(path for path in map(self.path.with_name, names) if not os.path.lexists(path))

    def discard(self) -> None:
        """Remove the temporary file."""
        with suppress(OSError):
            if self._file is not None:
                self._file.close()
        with suppress(OSError):
            if self._partial is not None:
                self._partial.unlink(missing_ok=True)
