"""The job of a draft as texts of its progress, and its result as lines or a JSON object."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fielding_async.cli.shared.arguments.places import GroupRef
from fielding_async.cli.shared.exit_status import Exit
from fielding_async.cli.shared.jobs.texts import Asked, ask_again, job_ids, job_lines
from fielding_async.cli.shared.output import printable, write_json, write_stdout
from fielding_async.cli.shared.value_texts import failure_lines, json_value
from fielding_async.core.job_results import DraftResult

if TYPE_CHECKING:
    from fielding_async import DraftJob

__all__ = ["DraftView"]


class DraftView:
    """Shows the jobs of one command on a target group. `send_again`: the command that makes the same job again."""

    def __init__(self, action: str, place: GroupRef, asked: Asked, send_again: str | None = None) -> None:
        self._action = action
        self._place = place
        self._asked = asked
        self._send_again = send_again

    def begun(self, job: "DraftJob") -> str:
        """Return the text of a job that is waited for."""
        made = "waiting for job" if self._send_again is None else "job made:"
        return f"{self._asked.doing}: {made} {printable(job.job_id)}"

    def polled(self, result: DraftResult) -> str:
        """Return the text of a job as a poll returned it."""
        return f"{self._asked.doing}: {printable(result.status)}"

    def write_made(self, job: "DraftJob") -> None:
        """Write a job that was made and is not waited for."""
        if self._asked.as_json:
            head = {"kind": "job", "action": self._action, "target_group": str(self._place)}
            write_json({**head, **job_ids(job), "send_again": self._send_again, **self.again(job)})
            return
        write_stdout(f"{self._asked.doing}: job made, for {self._place}; it continues on the exchange")
        write_stdout("\n".join(job_lines(job, self.again(job)["ask_again"])))

    def write_result(self, job: "DraftJob", result: DraftResult, more: Mapping[str, str]) -> int:
        """Write a job as it is, and return the exit status for one that has ended."""
        run_id = result.created_fielding_run_id
        run = None if run_id is None else f"{self._place}/{run_id}"
        if self._asked.as_json:
            names = ("status", "created_at", "created_by", "created_fielding_run_id")
            shown = {name: json_value(getattr(result, name)) for name in names}
            head = {"kind": "draft", "action": self._action, "target_group": str(self._place), "ref": run}
            write_json({**head, **job_ids(job), **shown, **self.failure(result), **more})
        else:
            lines = [f"{self._asked.doing}: {printable(result.status)} (job {printable(result.job_id)})"]
            lines += [f"  target group  {self._place}"] if run is None else [f"  run  {printable(run)}"]
            if result.failure is not None:
                lines += [f"  {line}" for line in failure_lines(result.failure)]
            write_stdout("\n".join(lines))
        return Exit.FAILED if result.status == "Failed" else Exit.DONE

    def failure(self, result: DraftResult) -> Mapping[str, Any]:
        """Return why a job failed, and the trace id of the request that made it, as members of an object."""
        return {"failure": json_value(result.failure), "job_trace_id": result.job_trace_id}

    def again(self, job: "DraftJob") -> Mapping[str, str]:
        """Return the command that waits for the job again, by its name in objects."""
        return {"ask_again": ask_again("draft", self._action, f"{self._place}/{job.job_id}", self._asked)}
