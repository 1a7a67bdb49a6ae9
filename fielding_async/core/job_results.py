"""The results of draft jobs and bulk jobs."""

from attrs import frozen

from .errors import JobFailedError
from .models import FailedTargetGroup, Failure, JobResult

__all__ = ["BatchResult", "DraftResult"]


@frozen(kw_only=True)
class BatchResult(JobResult):
    """A bulk job as it stands, or as it ended. Source: `GetBulk…TargetGroupJobResponse`.

    `updated` holds the ids of the target groups that were changed (or were already where the job leads), `failed` those
    that could not be, `missing` those asked for that are in neither list; it is empty for a handle rebuilt without ids.
    """

    __module__ = "fielding_async"

    updated: tuple[str, ...] = ()
    """Ids of the target groups that were changed, or were already where the job leads."""
    failed: tuple[FailedTargetGroup, ...] = ()
    """The target groups that could not be changed, and why."""
    missing: tuple[str, ...] = ()
    """Ids asked for that are in neither list; empty for a handle rebuilt without ids. Source: this library compares
    them."""

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
    """A launch-from-draft or schedule-from-draft job as it stands, or as it ended.

    Source: `GetLaunchFieldingRunFromDraftJobResponse`. `job_trace_id` is the trace id of the creating request, sent
    when the job failed.
    """

    __module__ = "fielding_async"

    created_fielding_run_id: str | None = None
    """The id of the new run; `None` while there is none. Source: `created_fielding_run_id`."""
    failure: Failure | None = None
    """Why the job failed; `None` if it did not."""
    job_trace_id: str | None = None
    """The trace id of the request that made the job, sent when it failed; otherwise `None`."""
