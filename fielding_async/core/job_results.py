"""The results of draft jobs and bulk jobs."""

from attrs import frozen

from .errors import JobFailedError
from .models import FailedTargetGroup, Failure, JobResult

__all__ = ["BatchResult", "DraftResult"]


@frozen(kw_only=True)
class BatchResult(JobResult):
    """The state or the result of a bulk job. Source: `GetBulk…TargetGroupJobResponse`.

    `updated` has the ids of the target groups that were changed, or that were already in the wanted state. `failed` has
    the target groups that could not be changed. `missing` has the ids of the request that are in neither of these
    lists. If the job object was created without these ids, `missing` is empty.
    """

    __module__ = "fielding_async"

    updated: tuple[str, ...] = ()
    """Ids of the target groups that were changed, or that were already in the wanted state."""
    failed: tuple[FailedTargetGroup, ...] = ()
    """The target groups that could not be changed, and why."""
    missing: tuple[str, ...] = ()
    """Ids of the request that are in neither of these lists. It is empty if the job object was created without these
    ids. Source: the SDK compares the ids."""

    def raise_for_failures(self) -> None:
        """Raise `JobFailedError` if any target group failed or is missing."""
        if not self.failed and not self.missing:
            return
        named = [f"{group.target_group_id} ({group.code or 'no code'})" for group in self.failed[:5]]
        named += [f"{missing} (missing)" for missing in self.missing[: 5 - len(named)]]
        count = len(self.failed) + len(self.missing)
        more = f" and {count - len(named)} more" if count > len(named) else ""
        raise JobFailedError(
            f"bulk job {self.job_id}: {count} target group{'s were' if count > 1 else ' was'} not updated:"
            f" {', '.join(named)}{more}",
            result=self,
        )


@frozen(kw_only=True)
class DraftResult(JobResult):
    """The state or the result of a launch-from-draft or schedule-from-draft job.

    Source: `GetLaunchFieldingRunFromDraftJobResponse`. `job_trace_id` is the trace id of the request that made the job.
    The exchange sends it if the job failed.
    """

    __module__ = "fielding_async"

    created_fielding_run_id: str | None = None
    """The id of the new run. `None` if the run does not exist yet. Source: `created_fielding_run_id`."""
    failure: Failure | None = None
    """Why the job failed. `None` if it did not fail."""
    job_trace_id: str | None = None
    """The trace id of the request that made the job. `None` if the job did not fail."""
