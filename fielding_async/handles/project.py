"""Projects: their target groups and runs, and the bulk jobs over target groups."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from attrs import field, frozen

from fielding_async.core.config import DEFAULT_TIMEOUT, TimeoutArg, check_timeout
from fielding_async.core.discovery.found_runs import FoundRun
from fielding_async.core.discovery.projects import ProjectDetails, ProjectOverview
from fielding_async.core.discovery.target_groups import TargetGroupItem
from fielding_async.core.ids import check_plain_id, check_target_group_ids, check_ulid
from fielding_async.core.wire.discovery.bodies import decode_project, decode_project_overview, decode_target_groups
from fielding_async.core.wire.discovery.filters import (
    Params,
    check_concurrency,
    check_where,
    run_statuses,
    target_group_params,
)
from fielding_async.core.wire.discovery.pages import Page
from fielding_async.core.wire.operations import operation
from fielding_async.engine.engine import EngineSource
from fielding_async.engine.jobs.job_calls import Made, make_job
from fielding_async.engine.reading.read import Read, read_value
from fielding_async.engine.reading.run_search import PAGE_SIZE

from .found_runs import FoundRuns, Wanted
from .job import BatchJob
from .lists import Listing
from .target_group import TargetGroup

__all__ = ["Project", "batch_job"]


@frozen
class Project:
    """The handle of a project, from `session.project(account_id, project_id)`.

    Handles with the same session and the same ids are equal. Each bulk call (`launch`, `pause`, `resume`, `complete`,
    `relaunch`) makes one job for many target groups. The bulk calls have these arguments:

    `target_group_ids`: one id or more, and none of them twice. `idempotency_key`: if left out, the call makes a UUID4.
    It sends the same key with every retry, so that there is one job even if a reply is lost. `timeout`: seconds from
    now, as for all calls.

    The bulk calls raise `OutcomeUnknownError`, with the key, if the job may have been made and no reply came.
    """

    __module__ = "fielding_async"

    _session: EngineSource = field(repr=False)
    account_id: int
    """The account's id."""
    project_id: str
    """The project's id."""

    def target_group(self, target_group_id: str) -> TargetGroup:
        """Return the handle of a target group of this project. Raises `ConfigurationError` for a bad id."""
        group = check_ulid("target_group_id", target_group_id)
        return TargetGroup(self._session, self.account_id, self.project_id, group)

    async def get(self, *, timeout: TimeoutArg = DEFAULT_TIMEOUT) -> ProjectDetails:
        """Return the project. Source: `GET …/projects/{project_id}`. Raises the errors of a read."""
        read = Read(operation("get-project"), self._ids(), partial(decode_project, self.project_id))
        return await read_value(self._session.engine(), read, timeout)

    async def overview(self, *, timeout: TimeoutArg = DEFAULT_TIMEOUT) -> ProjectOverview:
        """Return the project with its status and statistics.

        Source: `GET …/projects/{project_id}/overview`. Raises the errors of a read.
        """
        read = Read(operation("project-overview"), self._ids(), partial(decode_project_overview, self.project_id))
        return await read_value(self._session.engine(), read, timeout)

    def list_target_groups(
        self,
        *,
        status: str | Iterable[str] | None = None,
        search: str | None = None,
        country: str | Iterable[str] | None = None,
        language: str | Iterable[str] | None = None,
        exclusion_status: bool | None = None,
        project_manager_id: str | None = None,
        human_readable_ids: Iterable[str] | None = None,
        target_group_customer_reference_numbers: Iterable[str] | None = None,
        page_size: int = 100,
        timeout: TimeoutArg = DEFAULT_TIMEOUT,
    ) -> Listing[TargetGroupItem]:
        """Return a list of the project's target groups, drafts included.

        `status`: one or more of `TargetGroupStatus`. `search`: 1 to 128 characters that occur in the name or short id.
        `country`: one or more codes of two lower-case letters, such as `us`. `language`: one or more codes of three
        lower-case letters, such as `eng`. `exclusion_status`: whether exclusions are enabled. `project_manager_id`: the
        UUID of a user. `human_readable_ids`: short ids (7 characters). No other filter may be given with this filter.
        `target_group_customer_reference_numbers`: reference numbers. No other filter may be given with this filter.
        `page_size`: target groups for each request, 1 to 100. `timeout`: seconds for each page.

        Source: `GET …/projects/{project_id}/target-groups`. Raises `ConfigurationError` for a bad argument; the errors
        of a read are raised by the iteration.
        """
        params = target_group_params(
            status=status,
            search=search,
            country=country,
            language=language,
            exclusion_status=exclusion_status,
            project_manager_id=project_manager_id,
            human_readable_ids=human_readable_ids,
            target_group_customer_reference_numbers=target_group_customer_reference_numbers,
            page_size=page_size,
        )
        return Listing(self._session, self._groups(params), check_timeout(timeout))

    def find_runs(
        self,
        *,
        status: str | Iterable[str] | None = None,
        target_group_status: str | Iterable[str] | None = None,
        search: str | None = None,
        where: Callable[[FoundRun], object] | None = None,
        concurrency: int = 8,
        timeout: TimeoutArg = DEFAULT_TIMEOUT,
    ) -> FoundRuns:
        """Search for the project's runs: `async for found in project.find_runs(status="live"): …`

        The session fetches the target groups page by page, and the runs of several target groups at the same time. It
        yields each run once, as soon as it has found the run. Drafts have no run and are left out. A target group that
        no longer exists (404) is skipped, and counted by `vanished` of the iterator. The runs have no ETag.

        `status`: one or more of `RunStatus`. The session compares the status of each run after it has fetched the run.
        `target_group_status`: one or more of `TargetGroupStatus`; the exchange applies this filter. `search`: 1 to 128
        characters that occur in the target group's name or short id; the exchange applies this filter. `where`: a
        function (not async) that gets a `FoundRun`, and returns whether to yield it. `concurrency`: the greatest number
        of requests in flight, 1 to 1000. `timeout`: seconds for each request.

        Source: `GET …/projects/{project_id}/target-groups` and `GET …/fielding-runs`. Raises `ConfigurationError` for a
        bad argument; the errors of a read are raised by the iteration.
        """
        params = target_group_params(
            status=target_group_status, status_argument="target_group_status", search=search, page_size=PAGE_SIZE
        )
        check_where(where)
        wanted = Wanted(
            session=self._session,
            account_id=self.account_id,
            project_id=self.project_id,
            groups=self._groups(params),
            statuses=run_statuses(status),
            where=where,
            concurrency=check_concurrency(concurrency),
            timeout=check_timeout(timeout),
        )
        return FoundRuns(wanted)

    def _ids(self) -> dict[str, Any]:
        return {"account_id": self.account_id, "project_id": self.project_id}

    def _groups(self, params: Params) -> Read[Page[TargetGroupItem]]:
        return Read(operation("list-target-groups"), self._ids(), decode_target_groups, params)

    async def launch(
        self,
        target_group_ids: Iterable[str],
        *,
        idempotency_key: str | None = None,
        timeout: TimeoutArg = DEFAULT_TIMEOUT,
    ) -> BatchJob:
        """Make a job that launches scheduled runs.

        Source: `POST …/batch-jobs/launch-fielding-runs-by-target-group-id`.
        """
        return await self._make("bulk-launch", target_group_ids, idempotency_key, timeout)

    async def pause(
        self,
        target_group_ids: Iterable[str],
        *,
        idempotency_key: str | None = None,
        timeout: TimeoutArg = DEFAULT_TIMEOUT,
    ) -> BatchJob:
        """Make a job that pauses live runs. Source: `POST …/batch-jobs/pause-fielding-runs-by-target-group-id`."""
        return await self._make("bulk-pause", target_group_ids, idempotency_key, timeout)

    async def resume(
        self,
        target_group_ids: Iterable[str],
        *,
        idempotency_key: str | None = None,
        timeout: TimeoutArg = DEFAULT_TIMEOUT,
    ) -> BatchJob:
        """Make a job that resumes paused runs. Source: `POST …/batch-jobs/resume-fielding-runs-by-target-group-id`."""
        return await self._make("bulk-resume", target_group_ids, idempotency_key, timeout)

    async def complete(
        self,
        target_group_ids: Iterable[str],
        *,
        idempotency_key: str | None = None,
        timeout: TimeoutArg = DEFAULT_TIMEOUT,
    ) -> BatchJob:
        """Make a job that completes runs. Source: `POST …/batch-jobs/complete-fielding-runs-by-target-group-id`."""
        return await self._make("bulk-complete", target_group_ids, idempotency_key, timeout)

    async def relaunch(
        self,
        target_group_ids: Iterable[str],
        *,
        idempotency_key: str | None = None,
        timeout: TimeoutArg = DEFAULT_TIMEOUT,
    ) -> BatchJob:
        """Make a job that relaunches completed runs.

        Source: `POST …/batch-jobs/relaunch-fielding-runs-by-target-group-id`.
        """
        return await self._make("bulk-relaunch", target_group_ids, idempotency_key, timeout)

    async def _make(self, name: str, target_group_ids: Iterable[str], key: str | None, timeout: TimeoutArg) -> BatchJob:
        groups = check_target_group_ids(target_group_ids)
        ids = self._ids()
        asked = frozenset(groups)
        made = await make_job(
            self._session.engine(),
            operation(name),
            ids,
            {"target_group_ids": list(groups)},
            idempotency_key=key,
            timeout=timeout,
            touches=lambda ref: (
                (ref.account_id, ref.project_id) == (self.account_id, self.project_id) and ref.target_group_id in asked
            ),
        )
        return batch_job(self._session, name, ids, made.job_id, groups=groups, key=made.idempotency_key, made=made)


def batch_job(
    session: EngineSource,
    name: str,
    ids: dict[str, Any],
    job_id: str,
    *,
    groups: tuple[str, ...],
    key: str | None,
    made: Made | None = None,
) -> BatchJob:
    """Return the handle of a bulk job; `made`: the result of the call that made it, if that is known."""
    job_ids = (*ids.items(), ("job_id", check_plain_id("job_id", job_id)))
    trace_id, made_by = (None, None) if made is None else (made.trace_id, made.position)
    return BatchJob(session, operation(f"{name}-status"), job_ids, job_id, key, trace_id, groups, made_by=made_by)
