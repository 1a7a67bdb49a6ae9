"""Projects, and the bulk jobs over their target groups."""

from collections.abc import Iterable
from typing import Any

from attrs import field, frozen

from fielding_async.core.config import DEFAULT, TimeoutArg
from fielding_async.core.ids import check_plain_id, check_target_group_ids, check_ulid
from fielding_async.core.wire.operations import operation
from fielding_async.engine.engine import EngineSource
from fielding_async.engine.job_calls import Made, make_job

from .job import BatchJob
from .target_group import TargetGroup

__all__ = ["Project", "batch_job"]


@frozen
class Project:
    """A project: `session.project(account_id, project_id)` makes one. Equal to another of the same session and ids.

    Its bulk calls make a job over many target groups. They share these arguments: `target_group_ids` (at least one,
    none twice), `idempotency_key` (left out: a UUID4, made once and sent unchanged on every retry, so that there is one
    job even if a reply is lost), `timeout` (seconds from now). They raise `OutcomeUnknownError`, with the key, if the
    job may have been made and no reply came.
    """

    __module__ = "fielding_async"

    session: EngineSource = field(repr=False)
    account_id: int
    project_id: str

    def target_group(self, target_group_id: str) -> TargetGroup:
        """Return the handle of one of its target groups. Raises `ConfigurationError` for an id that cannot be one."""
        group = check_ulid("target_group_id", target_group_id)
        return TargetGroup(self.session, self.account_id, self.project_id, group)

    async def launch(
        self, target_group_ids: Iterable[str], *, idempotency_key: str | None = None, timeout: TimeoutArg = DEFAULT
    ) -> BatchJob:
        """Make a job that launches scheduled runs.

        Source: `POST …/batch-jobs/launch-fielding-runs-by-target-group-id`.
        """
        return await self._make("bulk-launch", target_group_ids, idempotency_key, timeout)

    async def pause(
        self, target_group_ids: Iterable[str], *, idempotency_key: str | None = None, timeout: TimeoutArg = DEFAULT
    ) -> BatchJob:
        """Make a job that pauses live runs. Source: `POST …/batch-jobs/pause-fielding-runs-by-target-group-id`."""
        return await self._make("bulk-pause", target_group_ids, idempotency_key, timeout)

    async def resume(
        self, target_group_ids: Iterable[str], *, idempotency_key: str | None = None, timeout: TimeoutArg = DEFAULT
    ) -> BatchJob:
        """Make a job that resumes paused runs. Source: `POST …/batch-jobs/resume-fielding-runs-by-target-group-id`."""
        return await self._make("bulk-resume", target_group_ids, idempotency_key, timeout)

    async def complete(
        self, target_group_ids: Iterable[str], *, idempotency_key: str | None = None, timeout: TimeoutArg = DEFAULT
    ) -> BatchJob:
        """Make a job that completes runs. Source: `POST …/batch-jobs/complete-fielding-runs-by-target-group-id`."""
        return await self._make("bulk-complete", target_group_ids, idempotency_key, timeout)

    async def relaunch(
        self, target_group_ids: Iterable[str], *, idempotency_key: str | None = None, timeout: TimeoutArg = DEFAULT
    ) -> BatchJob:
        """Make a job that relaunches completed runs.

        Source: `POST …/batch-jobs/relaunch-fielding-runs-by-target-group-id`.
        """
        return await self._make("bulk-relaunch", target_group_ids, idempotency_key, timeout)

    async def _make(self, name: str, target_group_ids: Iterable[str], key: str | None, timeout: TimeoutArg) -> BatchJob:
        groups = check_target_group_ids(target_group_ids)
        ids = {"account_id": self.account_id, "project_id": self.project_id}
        asked = frozenset(groups)
        made = await make_job(
            self.session.engine(),
            operation(name),
            ids,
            {"target_group_ids": list(groups)},
            idempotency_key=key,
            timeout=timeout,
            touches=lambda ref: (
                (ref.account_id, ref.project_id) == (self.account_id, self.project_id) and ref.target_group_id in asked
            ),
        )
        return batch_job(self.session, name, ids, made.job_id, groups=groups, key=made.idempotency_key, made=made)


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
