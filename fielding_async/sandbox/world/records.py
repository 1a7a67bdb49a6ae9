"""What the sandbox tells about itself: draft target groups, writes applied, requests received, jobs made."""

from datetime import datetime
from typing import Literal

from attrs import field, frozen

from fielding_async.core.models import RunRef

__all__ = ["By", "DraftRef", "FailureReason", "JobFailure", "JobRecord", "ReceivedRequest", "Write"]

By = Literal["client", "colleague", "job", "clock"]
"""Who made a write: the client under test, somebody else, a draft or bulk job, or the passing of time."""


@frozen
class DraftRef:
    """The ids of a draft target group, which has no run yet."""

    __module__ = "fielding_async.sandbox"

    account_id: int
    project_id: str
    target_group_id: str


@frozen
class FailureReason:
    """One detailed reason of a failed draft job; what is `None` is left out."""

    __module__ = "fielding_async.sandbox"

    name: str | None = None
    reason: str | None = None
    detail: str | None = None


@frozen
class JobFailure:
    """Why a draft job, or one target group of a bulk job, failed."""

    __module__ = "fielding_async.sandbox"

    code: str
    description: str
    reasons: tuple[FailureReason, ...] = ()


@frozen(kw_only=True)
class Write:
    """One change of a run, in the order applied.

    `seq` counts from 1. `operation` is the operation's name; `"touch"` for a colleague's write, `"start"` or
    `"end"` for the clock's. What is `None` did not exist before (a run made by a job) or does not apply.
    `request_id` is the `ReceivedRequest.id` of the request that caused it.
    """

    __module__ = "fielding_async.sandbox"

    seq: int
    ref: RunRef
    operation: str
    by: By
    at: datetime
    if_match: str | None = None
    etag_before: str | None
    etag_after: str
    status_before: str | None
    status_after: str
    start_before: datetime | None
    start_after: datetime
    end_before: datetime | None
    end_after: datetime
    trace_id: str | None = None
    body: bytes = b""
    request_id: int | None = None


@frozen(kw_only=True)
class ReceivedRequest:
    """One request that reached the sandbox, in the order of arrival.

    `path` is raw: as sent, with its query. `operation` is `None` for an unknown path or method. `status` is
    the status answered, `None` while the request is under way and when the connection was cut before a status
    line. `applied` says whether it changed a run or made a job. `received_at` is in seconds of a monotonic
    clock, good for differences only.
    """

    __module__ = "fielding_async.sandbox"

    id: int
    method: str
    path: str
    operation: str | None
    ref: RunRef | None
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    received_at: float
    status: int | None = None
    applied: bool = False

    def header(self, name: str) -> str | None:
        """Return a header's value, whatever the case of its name: the first one, `None` if absent."""
        return next(iter(self.header_values(name)), None)

    def header_values(self, name: str) -> list[str]:
        """Return all values of a header, whatever the case of its name."""
        wanted = name.lower()
        return [value for key, value in self.headers if key.lower() == wanted]


@frozen(kw_only=True)
class JobRecord:
    """A draft or bulk job as it stands.

    `target_group_ids` are those asked for (for a draft job its own one). `updated` and `failed` are a bulk
    job's results, `created_fielding_run_id` and `failure` a draft job's. `polls` counts the status requests
    answered.
    """

    __module__ = "fielding_async.sandbox"

    job_id: str
    operation: str
    account_id: int
    project_id: str
    target_group_ids: tuple[str, ...]
    start_fielding_at: datetime | None = None
    end_fielding_at: datetime | None = None
    idempotency_key: str
    body: bytes = field(repr=False)
    created_at: datetime
    created_by: str
    due_at: datetime
    trace_id: str
    request_id: int | None
    status: Literal["Processing", "Completed", "Failed"] = "Processing"
    polls: int = 0
    updated: tuple[str, ...] = ()
    failed: tuple[tuple[str, JobFailure], ...] = ()
    created_fielding_run_id: str | None = None
    failure: JobFailure | None = None
