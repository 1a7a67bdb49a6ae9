"""Writes the rows that did not end well to PLAN.failed.csv and PLAN.unknown.csv."""

from pathlib import Path

from fielding_async import JournalRow
from fielding_async.cli.shared.output import printable, write_stderr
from fielding_async.cli.shared.plan.writer import PlanWriter
from fielding_async.cli.shared.row_texts import error_text

from .order import Order

__all__ = ["FailedRows"]


class FailedRows:
    """The files of rows that failed or were skipped, and of rows whose outcome is unknown.

    `guarded`: rows of the plan have an `if_match`.
    """

    def __init__(self, order: Order, *, guarded: bool) -> None:
        self._writers = {kind: PlanWriter(order.beside(kind), guarded=guarded) for kind in ("failed", "unknown")}
        self._errors: dict[str, OSError] = {}

    def add(self, row: JournalRow) -> None:
        """Write a row."""
        to = "unknown" if row.state == "unknown" else "failed"
        if row.ref is None or row.action is None or to in self._errors:
            return
        try:
            self._writers[to].add(row.ref, row.action, error_text(row, trace=True), row.if_match)
        except OSError as error:
            self._errors[to] = error

    def finish(self) -> dict[str, Path | None]:
        """Move the files to their paths, and return the paths by kind: `None` where there is no file."""
        written: dict[str, Path | None] = dict.fromkeys(self._writers)
        try:
            for kind, writer in self._writers.items():
                if kind not in self._errors:
                    try:
                        written[kind] = writer.finish()
                    except OSError as error:
                        self._errors[kind] = error
        finally:
            self.discard()
        return written

    def discard(self) -> None:
        """Remove files that are not finished."""
        for writer in self._writers.values():
            writer.discard()

    def report_files(self) -> None:
        """Report, on stderr, older files that were kept under another name, and files that could not be written."""
        for kind, writer in self._writers.items():
            path = printable(str(writer.path))
            if writer.kept is not None:
                kept = printable(str(writer.kept))
                write_stderr(f"fielding: apply: an older {path} {writer.kept_because}: it is now {kept}")
            if kind in self._errors:
                error = self._errors[kind]
                write_stderr(
                    f"fielding: apply: the rows that did not end well could not be written to {path}"
                    f" ({error.strerror or error}); they are in the journal: correct that, and give the command again"
                )
