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
    project_id: str
    target_group_id: str


@frozen
class FailureReason:
    """One detailed reason of a failed draft job. A field that is `None` is left out of the response."""

    __module__ = "fielding_async.sandbox"

    name: str | None = field(default=None, validator=checked(checks.optional(checks.text)))
    reason: str | None = field(default=None, validator=checked(checks.optional(checks.text)))
    detail: str | None = field(default=None, validator=checked(checks.optional(checks.text)))


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
    description: str = field(validator=checked(checks.text))
    reasons: tuple[FailureReason, ...] = field(default=(), converter=_as_tuple, validator=checked(_reasons))


@frozen(kw_only=True)
class Write:
    """One write that changed a run. Writes are in the order in which they were applied.

    `seq` is the number of the write, from 1. `operation` is the name of the operation. It is `"touch"` for a write by
    `Sandbox.touch` or `SecondWriter`, `"start"` or `"end"` for a change by the clock, and `"exchange-pause"` if the
    exchange paused a live run by itself. A field is `None` if it does not apply, or if the run did not exist before (a
    job made it). `request_id` is the `ReceivedRequest.id` of the request that caused the write.
    """

    __module__ = "fielding_async.sandbox"

    seq: int
    ref: RunRef
    operation: str
    by: WriteOrigin
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
class JobRecord:
    """A draft job or a bulk job in its current state.

    `target_group_ids` are the target groups of the request (for a draft job, its one target group). `updated` and
    `failed` are the results of a bulk job. `created_fielding_run_id` and `failure` are the results of a draft job.
    `polls` is the number of requests for the status that were answered.
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
