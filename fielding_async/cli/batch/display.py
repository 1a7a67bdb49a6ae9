"""What `fielding batch` shows: progress while the job goes on, and its result."""

import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from fielding_async.cli.shared.output import clean, complain, err, is_live
from fielding_async.cli.shared.render import plain
from fielding_async.core.job_results import BatchResult

if TYPE_CHECKING:
    from fielding_async.handles.job import BatchJob

__all__ = ["JobProgress", "made_object", "result_lines", "result_object", "result_table"]

_ALL = 25  # up to so many target groups each has a row, beyond only those that were not updated


class JobProgress:
    """Progress of one bulk job on stderr: redrawn on a terminal, else a line for each change."""

    def __init__(self, doing: str, asked: int) -> None:
        self._doing, self._asked = doing, asked
        self._began = time.monotonic()
        self._said = ""
        self._console: Console = err()
        self._status: Status | None = None

    def __enter__(self) -> Self:
        text = f"{self._doing}: job made, for {self._asked} target groups"
        if is_live(self._console):
            self._status = self._console.status(Text(text), spinner="line")
            self._status.start()
        else:
            self._say(text)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def told(self, result: BatchResult) -> None:
        """Take account of a poll."""
        text = f"{self._doing}: {clean(result.status)}, {len(result.updated)} updated, {len(result.failed)} failed"
        if self._status is not None:
            self._status.update(Text(f"{text}, {time.monotonic() - self._began:.0f} s"))
        else:
            self._say(text)

    def _say(self, text: str) -> None:
        if text != self._said:
            complain(text)
            self._said = text


def result_table(result: BatchResult) -> Table | None:
    """Return the result as a table; `None` if all of many target groups were updated."""
    rows: list[tuple[str, str, str]] = []
    undone = len(result.failed) + len(result.missing)
    if len(result.updated) + undone <= _ALL:
        rows += [(group, "updated", "") for group in result.updated]
    for failed in result.failed:
        reason = ": ".join(clean(text) for text in (failed.code, failed.description) if text)
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
        table.add_row(Text(clean(group)), Text(what, style), Text(reason))
    return table


def result_lines(doing: str, result: BatchResult) -> list[str]:
    """Return the result in short."""
    counts = f"{len(result.updated)} updated, {len(result.failed)} failed, {len(result.missing)} missing"
    return [f"{doing}: {counts} (job {clean(result.job_id)})"]


def result_object(action: str, result: BatchResult, job: "BatchJob") -> dict[str, Any]:
    """Return the result as an object."""
    names = ("job_id", "status", "created_at", "created_by", "updated", "failed", "missing")
    shown = {name: plain(getattr(result, name)) for name in names}
    return {
        "kind": "batch",
        "action": action,
        **shown,
        "idempotency_key": job.idempotency_key,
        "trace_id": job.trace_id,
    }


def made_object(action: str, job: "BatchJob", again: str) -> dict[str, Any]:
    """Return a job that was made, and is not waited for, as an object."""
    ids = {"job_id": job.job_id, "idempotency_key": job.idempotency_key, "trace_id": job.trace_id}
    return {"kind": "job", "action": action, **ids, "send_again": again}
