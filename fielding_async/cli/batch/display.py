"""Progress of a bulk job on stderr, and its result as a table, lines or a JSON object."""

import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from fielding_async.cli.shared.output import is_live, printable, stderr_console, write_stderr
from fielding_async.cli.shared.value_texts import json_value
from fielding_async.core.job_results import BatchResult

if TYPE_CHECKING:
    from fielding_async import BatchJob

__all__ = ["JobProgress", "made_object", "result_lines", "result_object", "result_table"]

_ALL = 25  # up to so many target groups each has a row; of more, only those that were not updated


class JobProgress:
    """Shows a bulk job on stderr while it runs: one line redrawn on a terminal, else a line for each change."""

    def __init__(self, doing: str, groups: int) -> None:
        self._doing, self._groups = doing, groups
        self._start = time.monotonic()
        self._last = ""
        self._console: Console = stderr_console()
        self._status: Status | None = None

    def __enter__(self) -> Self:
        text = f"{self._doing}: job made, for {self._groups} target groups"
        if is_live(self._console):
            self._status = self._console.status(Text(text), spinner="line")
            self._status.start()
        else:
            self._write(text)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def on_poll(self, result: BatchResult) -> None:
        """Show the job as a poll returned it."""
        text = f"{self._doing}: {printable(result.status)}, {len(result.updated)} updated, {len(result.failed)} failed"
        if self._status is not None:
            self._status.update(Text(f"{text}, {time.monotonic() - self._start:.0f} s"))
        else:
            self._write(text)

    def _write(self, text: str) -> None:
        if text != self._last:
            write_stderr(text)
            self._last = text


def result_table(result: BatchResult) -> Table | None:
    """Return the result as a table; `None` if it would have no rows, as all of many target groups were updated."""
    rows: list[tuple[str, str, str]] = []
    not_updated = len(result.failed) + len(result.missing)
    if len(result.updated) + not_updated <= _ALL:
        rows += [(group, "updated", "") for group in result.updated]
    for failed in result.failed:
        reason = ": ".join(printable(text) for text in (failed.code, failed.description) if text)
        rows.append((failed.target_group_id, "failed", reason or "no reason given"))
    rows += [(group, "missing", "not in the job's result") for group in result.missing]
    if not rows:
        return None
    table = Table()
    table.add_column("Target group", no_wrap=True)
    table.add_column("Result", no_wrap=True)
    table.add_column("Reason", overflow="fold")
    for group, what, reason in rows:
        style = "" if what == "updated" else "red"
        table.add_row(Text(printable(group)), Text(what, style), Text(reason))
    return table


def result_lines(doing: str, result: BatchResult) -> list[str]:
    """Return the counts of the result, as lines."""
    counts = f"{len(result.updated)} updated, {len(result.failed)} failed, {len(result.missing)} missing"
    return [f"{doing}: {counts} (job {printable(result.job_id)})"]


def result_object(action: str, result: BatchResult, job: "BatchJob") -> dict[str, Any]:
    """Return the result as a JSON object."""
    names = ("job_id", "status", "created_at", "created_by", "updated", "failed", "missing")
    shown = {name: json_value(getattr(result, name)) for name in names}
    return {
        "kind": "batch",
        "action": action,
        **shown,
        "idempotency_key": job.idempotency_key,
        "trace_id": job.trace_id,
    }


def made_object(action: str, job: "BatchJob", again: str) -> dict[str, Any]:
    """Return a job that was made and is not waited for, as a JSON object. `again`: the command that waits for it."""
    ids = {"job_id": job.job_id, "idempotency_key": job.idempotency_key, "trace_id": job.trace_id}
    return {"kind": "job", "action": action, **ids, "send_again": again}
