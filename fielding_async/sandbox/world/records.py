"""Records of the state: ids of draft target groups, writes applied to runs, jobs made."""

from datetime import datetime
from typing import Any, Literal, cast

from attrs import field, frozen

from fielding_async.core.models import RunRef
from fielding_async.sandbox.serving import checks
from fielding_async.sandbox.serving.checks import checked

__all__ = ["DraftRef", "FailureReason", "JobFailure", "JobRecord", "Write", "WriteOrigin"]

WriteOrigin = Literal["client", "colleague", "job", "clock", "exchange"]
"""The origin of a write: the client under test, another user, a draft or bulk job, the clock, or the exchange."""


@frozen
class DraftRef:
    """The ids of a draft target group, which has no run yet."""

    __module__ = "fielding_async.sandbox"

    account_id: int
    """The account's id."""
    project_id: str
    """The project's id."""
    target_group_id: str
    """The target group's id."""


@frozen
class FailureReason:
    """One detailed reason of a failed draft job."""

    __module__ = "fielding_async.sandbox"

    name: str | None = field(default=None, validator=checked(checks.optional(checks.text)))
    """What the reason is about; `None` if it is left out of the response."""
    reason: str | None = field(default=None, validator=checked(checks.optional(checks.text)))
    """The reason; `None` if it is left out of the response."""
    detail: str | None = field(default=None, validator=checked(checks.optional(checks.text)))
    """More about it; `None` if it is left out of the response."""


def _as_tuple(value: Any) -> Any:
    return tuple(cast("list[FailureReason]", value)) if isinstance(value, list) else value


def _are_reasons(value: Any) -> bool:
    return isinstance(value, tuple) and all(
        isinstance(each, FailureReason) for each in cast("tuple[object, ...]", value)
    )


def _reasons(call: str, name: str, value: Any) -> None:
    if not _are_reasons(value):
        raise checks.wrong(call, name, value, "a tuple of FailureReason")


@frozen
class JobFailure:
    """Why a draft job, or one target group of a bulk job, failed."""

    __module__ = "fielding_async.sandbox"

    code: str = field(validator=checked(checks.text))
    """The kind of failure."""
    description: str = field(validator=checked(checks.text))
    """What failed, in words."""
    reasons: tuple[FailureReason, ...] = field(default=(), converter=_as_tuple, validator=checked(_reasons))
    """The detailed reasons; left out of the response if there are none."""


@frozen(kw_only=True)
class Write:
    """One change of a run, in the order applied."""

    __module__ = "fielding_async.sandbox"

    seq: int
    """The number of the write, from 1."""
    ref: RunRef
    """The run."""
    operation: str
    """The operation's name; `"touch"` for a write by `Sandbox.touch` or `SecondWriter`, `"start"` or `"end"` for the
    clock's, `"exchange-pause"` where the exchange paused a live run by itself."""
    by: WriteOrigin
    """The origin of the write."""
    at: datetime
    """When the write was accepted, aware, in UTC, by the sandbox's clock."""
    if_match: str | None = None
    """The `If-Match` header of the request; `None` unless `by` is `"client"`."""
    etag_before: str | None
    """The ETag before the write; `None` if the run did not exist before (a job made it)."""
    etag_after: str
    """The ETag after the write."""
    status_before: str | None
    """The status before the write; `None` if the run did not exist before."""
    status_after: str
    """The status after the write."""
    start_before: datetime | None
    """The start of fielding before the write, aware, in UTC; `None` if the run did not exist before."""
    start_after: datetime
    """The start of fielding after the write, aware, in UTC."""
    end_before: datetime | None
    """The end of fielding before the write, aware, in UTC; `None` if the run did not exist before."""
    end_after: datetime
    """The end of fielding after the write, aware, in UTC."""
    trace_id: str | None = None
    """The W3C trace id of the request that caused the write; `None` unless `by` is `"client"` or `"job"`."""
    body: bytes = b""
    """The body of the request that caused the write; empty unless `by` is `"client"` or `"job"`."""
    request_id: int | None = None
    """The `ReceivedRequest.id` of the request that caused the write; `None` unless `by` is `"client"` or `"job"`."""


@frozen(kw_only=True)
class JobRecord:
    """A draft or bulk job in its current state."""

    __module__ = "fielding_async.sandbox"

    job_id: str
    """The job's id."""
    operation: str
    """The name of the operation that made the job."""
    account_id: int
    """The account's id."""
    project_id: str
    """The project's id."""
    target_group_ids: tuple[str, ...]
    """The ids of the target groups of the request, each once; for a draft job its own one."""
    start_fielding_at: datetime | None = None
    """The start of fielding in the request, aware, in UTC; `None` if the request has no start."""
    end_fielding_at: datetime | None = None
    """The end of fielding in the request, aware, in UTC; `None` for a bulk job."""
    idempotency_key: str
    """The `Idempotency-Key` of the request."""
    body: bytes = field(repr=False)
    """The body of the request."""
    created_at: datetime
    """When the job was made, aware, in UTC, by the sandbox's clock."""
    created_by: str
    """The id of the user who made the job."""
    due_at: datetime
    """When the job is due: `Behaviour.job_seconds` after `created_at`, aware, in UTC."""
    trace_id: str
    """The W3C trace id of the request, 32 hexadecimal digits."""
    request_id: int | None
    """The `ReceivedRequest.id` of the request; `None` if it has none."""
    status: Literal["Processing", "Completed", "Failed"] = "Processing"
    """`"Processing"`, `"Completed"` or `"Failed"`."""
    polls: int = 0
    """How many status requests were answered."""
    updated: tuple[str, ...] = ()
    """The ids of the target groups that a bulk job reports as updated; empty for a draft job."""
    failed: tuple[tuple[str, JobFailure], ...] = ()
    """The ids of the target groups that a bulk job could not change, each with the reason; empty for a draft job."""
    created_fielding_run_id: str | None = None
    """The id of the run that a draft job made; `None` if it has made none, and for a bulk job."""
    failure: JobFailure | None = None
    """Why a draft job failed; `None` if it has not failed, and for a bulk job."""
