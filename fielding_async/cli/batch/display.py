"""A bulk job as texts of its progress, and its result as a table, lines or a JSON object."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from fielding_async.cli.shared.exit_status import Exit
from fielding_async.cli.shared.jobs.texts import Asked, ask_again, job_ids, job_lines
from fielding_async.cli.shared.output import counted, printable, stdout_console, write_json, write_stdout
from fielding_async.cli.shared.value_texts import json_value
from fielding_async.core.job_results import BatchResult

if TYPE_CHECKING:
    from fielding_async import BatchJob

__all__ = ["BatchView"]

_ALL = 25  # up to so many target groups each has a row; of more, only those that were not updated


class BatchView:
    """Shows the jobs of one command on a project.

    `groups`: how many target groups the job is for, and `send_again`: the command that makes the same job again, of a
    command that makes one.
    """

    def __init__(
        self, action: str, asked: Asked, project: str, groups: int | None = None, send_again: str | None = None
    ) -> None:
        self._action = action
        self._asked = asked
        self._project = project
        self._groups = groups
        self._send_again = send_again

    def begun(self, job: "BatchJob") -> str:
        """Return the text of a job that is waited for."""
        if self._groups is None:
            return f"{self._asked.doing}: waiting for job {printable(job.job_id)}"
        return f"{self._asked.doing}: job made, for {counted(self._groups, 'target group')}"

    def polled(self, result: BatchResult) -> str:
        """Return the text of a job as a poll returned it."""
        counts = f"{len(result.updated)} updated, {len(result.failed)} failed"
        return f"{self._asked.doing}: {printable(result.status)}, {counts}"

    def write_made(self, job: "BatchJob") -> None:
        """Write a job that was made and is not waited for."""
        ask = ask_again("batch", self._action, f"{self._project}/{job.job_id}", self._asked)
        if self._asked.as_json:
            more = {"send_again": self._send_again, "ask_again": ask}
            write_json({"kind": "job", "action": self._action, **job_ids(job), **more})
            return
        write_stdout(f"{self.begun(job)}; it continues on the exchange")
        write_stdout("\n".join(job_lines(job, ask)))

    def write_result(self, job: "BatchJob", result: BatchResult, more: Mapping[str, str]) -> int:
        """Write a job as it is, and return the exit status for one that has ended."""
        if self._asked.as_json:
            write_json({**result_object(self._action, result, job), **more})
        else:
            table = result_table(result)
            if table is not None:
                stdout_console().print(table)
            status = "" if result.status == "Completed" else f"{printable(result.status)}, "
            write_stdout("\n".join(result_lines(f"{self._asked.doing}: {status}", result)))
        is_failed = result.status == "Failed" or result.failed or result.missing
        return Exit.FAILED if is_failed else Exit.DONE

    def failure(self, _result: BatchResult) -> Mapping[str, Any]:
        """Return nothing: the error says it all."""
        return {}

    def again(self, job: "BatchJob") -> Mapping[str, str]:
        """Return the command that waits for the job again, by its name in objects."""
        if self._send_again is not None:
            return {"send_again": self._send_again}  # only it knows the target groups, and so which are missing
        return {"ask_again": ask_again("batch", self._action, f"{self._project}/{job.job_id}", self._asked)}


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


def result_lines(start: str, result: BatchResult) -> list[str]:
    """Return the counts of the result, as lines."""
    counts = f"{len(result.updated)} updated, {len(result.failed)} failed, {len(result.missing)} missing"
    return [f"{start}{counts} (job {printable(result.job_id)})"]


def result_object(action: str, result: BatchResult, job: "BatchJob") -> dict[str, Any]:
    """Return the result as a JSON object."""
    names = ("status", "created_at", "created_by", "updated", "failed", "missing")
    shown = {name: json_value(getattr(result, name)) for name in names}
    return {"kind": "batch", "action": action, **job_ids(job), **shown}
