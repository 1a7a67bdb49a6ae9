"""The handle of a target group: its runs, overview and changes, and the jobs that launch or schedule a draft."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from attrs import field, frozen

from fielding_async.core.assistant.assignment import AssistantRef
from fielding_async.core.config import DEFAULT_TIMEOUT, TimeoutArg, check_timeout
from fielding_async.core.dates import check_period, floor_to_milliseconds, to_text
from fielding_async.core.discovery.changes import TargetGroupChange
from fielding_async.core.discovery.target_groups import TargetGroupOverview
from fielding_async.core.errors import NotFoundError
from fielding_async.core.ids import check_plain_id
from fielding_async.core.models import FieldingRun, RunRef
from fielding_async.core.wire.discovery.bodies import decode_changes, decode_target_group_overview
from fielding_async.core.wire.discovery.filters import change_params
from fielding_async.core.wire.operations import operation
from fielding_async.engine.engine import EngineSource
from fielding_async.engine.jobs.job_calls import Made, make_job
from fielding_async.engine.reading.read import Read, read_value
from fielding_async.engine.reading.run_search import runs_of

from .assistant import Assistant
from .job import DraftJob
from .lists import Listing
from .run import Run

__all__ = ["TargetGroup", "draft_job"]


@frozen
class TargetGroup:
    """The handle of a target group, from `project.target_group(id)`.

    The calls have these arguments:

    `timeout`: seconds from now. `idempotency_key`: if left out, the call makes a UUID4. It sends the same key with
    every retry, so that there is one job even if a reply is lost.

    Handles with the same session and the same ids are equal.
    """

    __module__ = "fielding_async"

    _session: EngineSource = field(repr=False)
    account_id: int
    """The account's id."""
    project_id: str
    """The project's id."""
    target_group_id: str
    """The target group's id."""

    def run(self, fielding_run_id: str) -> Run:
        """Return the handle of a run of this target group. Raises `ConfigurationError` for an id that cannot be one."""
        run = check_plain_id("fielding_run_id", fielding_run_id)
        return Run(self._session, RunRef(self.account_id, self.project_id, self.target_group_id, run))

    @property
    def assistant(self) -> Assistant:
        """The handle of the target group's Fielding Assistant."""
        return Assistant(self._session, AssistantRef(self.account_id, self.project_id, self.target_group_id))

    def _ids(self) -> dict[str, Any]:
        return {
            "account_id": self.account_id,
            "project_id": self.project_id,
            "target_group_id": self.target_group_id,
        }

    async def overview(self, *, timeout: TimeoutArg = DEFAULT_TIMEOUT) -> TargetGroupOverview:
        """Return the target group with its status, progress and statistics. `timeout`: seconds from now.

        Source: `GET …/target-groups/{target_group_id}/overview`. Raises the errors of a read; `NotFoundError` for a
        draft, which has no overview.
        """
        read = Read(operation("target-group-overview"), self._ids(), decode_target_group_overview)
        try:
            return await read_value(self._session.engine(), read, timeout)
        except NotFoundError as error:
            error.message += "; it may be a draft, which has no overview"
            error.args = (error.message,)
            raise

    def list_runs(self, *, timeout: TimeoutArg = DEFAULT_TIMEOUT) -> Listing[FieldingRun]:
        """Return a list of the target group's runs: none or one. Their `etag` is `None`.

        `timeout`: seconds for each page.

        Source: `GET …/target-groups/{target_group_id}/fielding-runs`. Raises `ConfigurationError` for a bad `timeout`;
        the errors of a read are raised by the iteration.
        """
        return Listing(self._session, runs_of(**self._ids()), check_timeout(timeout))

    def list_changes(
        self, *, types: str | Iterable[str] | None = None, page_size: int = 50, timeout: TimeoutArg = DEFAULT_TIMEOUT
    ) -> Listing[TargetGroupChange]:
        """Return a list of the changes in the target group's change log, in the order in which the exchange lists them.

        `types`: only changes of this type or these types, such as `"status_change"`. `page_size`: batches of changes
        for each request, 1 to 50. `timeout`: seconds for each page.

        Source: `GET …/target-groups/{target_group_id}/changelog`. Raises `ConfigurationError` for a bad argument; the
        errors of a read are raised by the iteration.
        """
        params = change_params(types=types, page_size=page_size)
        read = Read(operation("list-changes"), self._ids(), decode_changes, params)
        return Listing(self._session, read, check_timeout(timeout))

    async def launch_from_draft(
        self, *, end_fielding_at: datetime, idempotency_key: str | None = None, timeout: TimeoutArg = DEFAULT_TIMEOUT
    ) -> DraftJob:
        """Make a job that launches a draft target group.

        `end_fielding_at`: the end of the run, an aware datetime, floored to milliseconds.

        Source: `POST …/fielding-run-jobs/launch-from-draft`. Raises `OutcomeUnknownError`, with the idempotency key, if
        the job may have been made and no reply came.
        """
        end = floor_to_milliseconds("end_fielding_at", end_fielding_at)
        return await self._make("launch-from-draft", {"end_fielding_at": to_text(end)}, idempotency_key, timeout)

    async def schedule_from_draft(
        self,
        *,
        start_fielding_at: datetime,
        end_fielding_at: datetime,
        idempotency_key: str | None = None,
        timeout: TimeoutArg = DEFAULT_TIMEOUT,
    ) -> DraftJob:
        """Make a job that schedules a draft target group.

        `start_fielding_at`, `end_fielding_at`: start and end of the run, aware datetimes, floored to milliseconds.

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
            self._session.engine(),
            operation(name),
            ids,
            body,
            idempotency_key=key,
            timeout=timeout,
            touches=lambda ref: all(getattr(ref, id_name) == value for id_name, value in ids.items()),
        )
        return draft_job(self._session, name, ids, made.job_id, key=made.idempotency_key, made=made)


def draft_job(
    session: EngineSource, name: str, ids: dict[str, Any], job_id: str, *, key: str | None, made: Made | None = None
) -> DraftJob:
    """Return the handle of a draft job; `made`: the result of the call that made it, if that is known."""
    job_ids = (*ids.items(), ("job_id", check_plain_id("job_id", job_id)))
    trace_id, made_by = (None, None) if made is None else (made.trace_id, made.position)
    return DraftJob(session, operation(f"{name}-status"), job_ids, job_id, key, trace_id, made_by=made_by)
