"""The handle of a target group: its runs, and the jobs that launch or schedule a draft."""

from datetime import datetime
from typing import Any

from attrs import field, frozen

from fielding_async.core.config import DEFAULT, TimeoutArg
from fielding_async.core.dates import check_period, floor_to_milliseconds, to_text
from fielding_async.core.ids import check_plain_id
from fielding_async.core.models import FieldingRun, RunRef
from fielding_async.core.wire.bodies import decode_run_list
from fielding_async.core.wire.operations import operation
from fielding_async.core.wire.replies import decoded
from fielding_async.core.wire.requests import request
from fielding_async.engine.engine import EngineSource
from fielding_async.engine.job_calls import Made, make_job

from .job import DraftJob
from .run import Run

__all__ = ["TargetGroup", "draft_job"]


@frozen
class TargetGroup:
    """A target group: `project.target_group(id)` makes one. Equal to another of the same session and ids.

    Its calls share these arguments: `timeout` (seconds from now), and `idempotency_key` (left out: a UUID4, made once
    and sent unchanged on every retry, so that there is one job even if a reply is lost).
    """

    __module__ = "fielding_async"

    session: EngineSource = field(repr=False)
    account_id: int
    project_id: str
    target_group_id: str

    def run(self, fielding_run_id: str) -> Run:
        """Return the handle of one of its runs. Raises `ConfigurationError` for an id that cannot be one."""
        run = check_plain_id("fielding_run_id", fielding_run_id)
        return Run(self.session, RunRef(self.account_id, self.project_id, self.target_group_id, run))

    def _ids(self) -> dict[str, Any]:
        return {
            "account_id": self.account_id,
            "project_id": self.project_id,
            "target_group_id": self.target_group_id,
        }

    async def list_runs(self, *, timeout: TimeoutArg = DEFAULT) -> list[FieldingRun]:
        """Return the target group's runs: none or one. Their `etag` is `None`.

        Source: `GET …/target-groups/{target_group_id}/fielding-runs`. Raises the errors of a read.
        """
        engine = self.session.engine()
        row = operation("list")
        with engine.call(row.name, timeout, ids=self._ids()) as call:
            asked = request(row, self._ids())
            end = await engine.sender.send(engine.sender.prepare(call, asked))
            if end.accepted is None:
                raise end.error
            return decoded(asked, end.accepted, lambda body: decode_run_list(body, call.left_out))

    async def launch_from_draft(
        self, *, end_fielding_at: datetime, idempotency_key: str | None = None, timeout: TimeoutArg = DEFAULT
    ) -> DraftJob:
        """Make a job that launches a draft target group; it ends at `end_fielding_at` (aware, floored to milliseconds).

        Source: `POST …/fielding-run-jobs/launch-from-draft`. Raises `OutcomeUnknownError`, with the idempotency key,
        if the job may have been made and no reply came.
        """
        end = floor_to_milliseconds("end_fielding_at", end_fielding_at)
        return await self._make("launch-from-draft", {"end_fielding_at": to_text(end)}, idempotency_key, timeout)

    async def schedule_from_draft(
        self,
        *,
        start_fielding_at: datetime,
        end_fielding_at: datetime,
        idempotency_key: str | None = None,
        timeout: TimeoutArg = DEFAULT,
    ) -> DraftJob:
        """Make a job that schedules a draft target group (aware datetimes, floored to milliseconds).

        Source: `POST …/fielding-run-jobs/schedule-from-draft`. Raises as `launch_from_draft` does.
        """
        start = floor_to_milliseconds("start_fielding_at", start_fielding_at)
        end = floor_to_milliseconds("end_fielding_at", end_fielding_at)
        check_period(start, end)
        body = {"start_fielding_at": to_text(start), "end_fielding_at": to_text(end)}
        return await self._make("schedule-from-draft", body, idempotency_key, timeout)

    async def _make(self, name: str, body: dict[str, str], key: str | None, timeout: TimeoutArg) -> DraftJob:
        ids = self._ids()
        made = await make_job(
            self.session.engine(),
            operation(name),
            ids,
            body,
            idempotency_key=key,
            timeout=timeout,
            touches=lambda ref: all(getattr(ref, id_name) == value for id_name, value in ids.items()),
        )
        return draft_job(self.session, name, ids, made.job_id, key=made.idempotency_key, made=made)


def draft_job(
    session: EngineSource, name: str, ids: dict[str, Any], job_id: str, *, key: str | None, made: Made | None = None
) -> DraftJob:
    """Return the handle of a draft job; `made`: the result of the call that made it, if that is known."""
    job_ids = (*ids.items(), ("job_id", check_plain_id("job_id", job_id)))
    trace_id, made_by = (None, None) if made is None else (made.trace_id, made.position)
    return DraftJob(session, operation(f"{name}-status"), job_ids, job_id, key, trace_id, made_by=made_by)
