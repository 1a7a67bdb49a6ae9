"""Values of the Demand API: a fielding run, and the outcome of an action on it; and the state of a session.

All of them are frozen, comparable and picklable.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Literal

from attrs import define, evolve, field, frozen

from .base_error import RunRef

__all__ = [
    "Action",
    "Effect",
    "FailedTargetGroup",
    "Failure",
    "FailureDetail",
    "FieldingRun",
    "InvalidParam",
    "JobResult",
    "OnConflict",
    "Outcome",
    "RunInTheMaking",
    "RunRef",
    "RunStatus",
    "SessionStats",
    "as_ref",
]

Effect = Literal["accepted", "already", "unconfirmed"]
"""The effect of an action on a run: see `Outcome.effect`."""

OnConflict = Literal["reapply", "raise"]
"""What the SDK does if somebody else changed the run: send the action again if it is still wanted, or raise an error.
"""


class RunStatus(StrEnum):
    """The statuses of a fielding run that this version of the SDK knows. Members are equal to their plain strings."""

    __module__ = "fielding_async"

    SCHEDULED = "scheduled"
    LIVE = "live"
    PAUSED = "paused"
    COMPLETED = "completed"


@frozen(kw_only=True, weakref_slot=False)  # tens of thousands are kept: slots halve their size
class FieldingRun:
    """A fielding run as the exchange sent it, or as an accepted write of this session left it.

    Source: `FieldingRunItem` of the API. All datetimes are aware and in UTC.

    `status` is one of `RunStatus`, or a text that this version of the SDK does not know. `etag` is the ETag of the
    reply, byte for byte (`None` for a run from a list). `last_changed_at` and `last_changed_by` are `None` if the
    exchange did not send a value that can be read. For a run from a list, `version` can be `None` for this reason too.
    In `Outcome.run`, `version` is also `None` if another request would be needed to know it. A callable change can get
    the run as an accepted write of this session left it. The `version` of this run is one higher than before the write.
    """

    __module__ = "fielding_async"

    id: str
    """The run's id. Source: `id`."""
    status: str
    """One of `RunStatus`, or a text that this version of the SDK does not know. Source: `status`."""
    version: int | None
    """The version number, which each write raises by one. `None` if the exchange did not send it, and in `Outcome.run`
    if it is not known. Source: `version`."""
    start_fielding_at: datetime
    """When fielding starts: aware, in UTC. Source: `start_fielding_at`."""
    end_fielding_at: datetime
    """When fielding ends: aware, in UTC. Source: `end_fielding_at`."""
    last_changed_at: datetime | None = None
    """When the run was last changed: aware, in UTC. `None` if it is not known. Source: `last_changed_at`."""
    last_changed_by: str | None = None
    """Who last changed the run. `None` if it is not known. Source: `last_changed_by`."""
    account_id: int | None = None
    """The account's id. `None` if the exchange did not send it. Source: `account_id`."""
    project_id: str | None = None
    """The project's id. `None` if the exchange did not send it. Source: `project_id`."""
    target_group_id: str | None = None
    """The target group's id. `None` if the exchange did not send it. Source: `target_group_id`."""
    etag: str | None = None
    """The ETag of the reply, byte for byte. `None` for a run from a list. Source: header `ETag`."""
    start_text: str | None = field(default=None, repr=False, eq=False)
    """`start_fielding_at` as the exchange wrote it. An update that does not name the start sends back this text.

    `None` if the text has the API's own form, `YYYY-MM-DDThh:mm:ss.sssZ`.
    """
    end_text: str | None = field(default=None, repr=False, eq=False)
    """`end_fielding_at` as the exchange wrote it, in the same way as `start_text`."""


@define(eq=False, weakref_slot=False)
class RunInTheMaking:
    """A class with the slots of `FieldingRun` that is not frozen, so that its `__init__` is cheaper.

    A run that is made for every write is made as one of these, and its class is then set to `FieldingRun`.
    """

    id: str
    status: str
    version: int | None
    start_fielding_at: datetime
    end_fielding_at: datetime
    last_changed_at: datetime | None
    last_changed_by: str | None
    account_id: int | None
    project_id: str | None
    target_group_id: str | None
    etag: str | None
    start_text: str | None
    end_text: str | None


def as_ref(value: object) -> Any:
    """Return the ref of a `Run`, which is not imported here. Another value is left to the check that follows."""
    kind = type(value)
    ref = getattr(value, "ref", None)
    is_run = (kind.__module__, kind.__name__) == ("fielding_async", "Run")
    return ref if is_run and isinstance(ref, RunRef) else value


class Action:
    """An action on a run, as a value.

    This is the base class of `LaunchNow`, `Pause`, `Resume`, `Complete`, `Relaunch` and `Update`. Use it as the type of
    a list that contains several of them. `Run.perform` and `FieldingSession.perform_all` accept these six classes only.
    """

    __module__ = "fielding_async"
    __slots__ = ()

    name: ClassVar[str]
    """The action's name. For `Update`, it is `"update"`. For the other actions, it is the last segment of the path of
    the request."""

    def is_there(self, run: FieldingRun) -> bool:
        """Return whether the run already has the status, or the dates, that the action leads to."""
        raise NotImplementedError


@frozen(kw_only=True, slots=False)  # one is made for every write: with slots it would take twice as long
class Outcome:
    """The result of an action on a run.

    `effect` is `"accepted"`, `"already"` or `"unconfirmed"`. `"accepted"`: the exchange accepted our request.
    `"already"`: the run was already in the wanted state, and as far as the SDK knows, the exchange accepted none of our
    requests. `"unconfirmed"`: the run is in the wanted state, and one of our attempts without a reply may have caused
    this.

    `requests` is the number of HTTP requests sent, GETs included. `conflicts` is the number of 412s. A 412 that may be
    due to our own attempt whose reply was lost is not counted. `action` is the action that was performed. For a
    callable change, it is the last `Update` that the callable returned, or `None` if there was nothing to do. The dates
    are set if they are known without another request. `run` is the run as this call left it.
    """

    __module__ = "fielding_async"

    ref: RunRef
    """The run on which the action was performed."""
    action: Action | None
    """The action that was performed. For a callable change, it is the last `Update` that the callable returned, or
    `None` if there was nothing to do."""
    effect: Effect
    """`"accepted"`, `"already"` or `"unconfirmed"`, as above. Source: the SDK decides it from the replies."""
    etag: str | None
    """The ETag of the run as this call left it; `None` if it is not known. Source: header `ETag`."""
    requests: int
    """The number of HTTP requests sent for this call, GETs included. Source: the SDK counts them."""
    conflicts: int
    """The number of 412s. A 412 that may be due to our own attempt whose reply was lost is not counted. Source: the SDK
    counts them."""
    trace_id: str
    """The W3C trace id of the call, 32 hexadecimal digits. Source: the SDK, or the trace that the call continues."""
    start_fielding_at: datetime | None = None
    """When fielding starts, aware, in UTC; `None` if it is not known without another request."""
    end_fielding_at: datetime | None = None
    """When fielding ends, aware, in UTC; `None` if it is not known without another request."""
    _run: FieldingRun | None = field(default=None, repr=False, alias="run")

    @property
    def run(self) -> FieldingRun:
        """The run as this call left it, as far as it is known without another request.

        After an accepted write, `version`, `last_changed_at` and `last_changed_by` are `None`, unless the run was
        fetched after the write. If the write used a hint of another session (`Shared`), only the id, the status and the
        ETag are known. The dates are then `None`, whatever their type says, except if the reply contained them.
        """
        run = self._run
        if run is None:
            raise AttributeError("this Outcome was made without a run")
        is_as_written = self.effect == "accepted" and run.last_changed_at is None and run.last_changed_by is None
        return evolve(run, version=None) if is_as_written else run


@frozen
class InvalidParam:
    """One entry of `invalid_params` in an error body."""

    __module__ = "fielding_async"

    name: str
    """The name of the parameter. Source: `name`."""
    reason: str
    """What is wrong with it, in the server's words. Source: `reason`."""


@frozen(kw_only=True)
class FailedTargetGroup:
    """A target group that a bulk job could not change, and why (`BulkFailedTargetGroups`)."""

    __module__ = "fielding_async"

    target_group_id: str
    """The target group's id. Source: `target_group_id`."""
    code: str | None = None
    """The kind of failure, in the exchange's words. `None` if the exchange sent none. Source: `code`."""
    description: str | None = None
    """The cause of the failure, in the exchange's words. `None` if the exchange sent none. Source: `description`."""


@frozen(kw_only=True)
class FailureDetail:
    """One detailed reason of a failed draft job (`FieldingRunJobFailureReasonDetail`)."""

    __module__ = "fielding_async"

    name: str | None = None
    """What the reason is about. `None` if the exchange sent none. Source: `name`."""
    reason: str | None = None
    """The reason. `None` if the exchange sent none. Source: `reason`."""
    detail: str | None = None
    """More about the reason. `None` if the exchange sent none. Source: `detail`."""


@frozen(kw_only=True)
class Failure:
    """Why a draft job failed (`FieldingRunJobFailureReason`)."""

    __module__ = "fielding_async"

    code: str
    """The kind of failure, in the exchange's words. Source: `code`."""
    description: str
    """The cause of the failure, in the exchange's words. Source: `description`."""
    reasons: tuple[FailureDetail, ...] = ()
    """The detailed reasons, none or more. Source: `reasons`."""


@frozen(kw_only=True)
class JobResult:
    """The fields that the results of draft jobs and bulk jobs have in common.

    `status` is `Processing`, `Completed`, `Failed`, or a text that this version of the SDK does not know. `created_at`
    and `created_by` are `None` if the exchange did not send a value that can be read.
    """

    __module__ = "fielding_async"

    job_id: str
    """The job's id. Source: `job_id`."""
    status: str
    """`"Processing"`, `"Completed"`, `"Failed"`, or a text that this version of the SDK does not know. Source:
    `status`."""
    created_at: datetime | None = None
    """When the job was made, aware, in UTC; `None` if it cannot be read. Source: `created_at`."""
    created_by: str | None = None
    """Who made the job; `None` if it cannot be read. Source: `created_by`."""

    @property
    def ended(self) -> bool:
        """Whether the job is over. A status that this version of the SDK does not know counts as still running."""
        return self.status in {"Completed", "Failed"}


@frozen(kw_only=True)
class SessionStats:
    """The state of a session now, and its counts since it was entered: the value of `FieldingSession.stats()`.

    Source: this library's own records. No request is sent for it.
    """

    __module__ = "fielding_async"

    in_flight: int = 0
    """Requests in flight: those that have a slot of `Limits.concurrency` now."""
    waiting: int = 0
    """Requests that wait now for a permission to send: for a slot, the pace, or the end of a pause."""
    waiting_batch: int = 0
    """Requests of `waiting` that let others go first: rows of `perform_all`, pages of lists, polls of jobs."""
    waiting_turns: int = 0
    """Calls that wait now for earlier calls of this session on the same run."""
    oldest_wait: float = 0.0
    """Seconds for which the oldest of the requests that wait now has waited for its permission; 0 if none waits."""
    pace: float | None = None
    """The pace, in requests a second: `Limits.rate`, or found by the session. `None` if the session has no pace."""
    pause_left: float = 0.0
    """Seconds until the pause after a 429 is over; 0 if there is none."""
    requests: int = 0
    """HTTP requests of all calls that were sent and have ended, with or without success; no requests for tokens."""
    refusals: int = 0
    """Requests that were answered with 429."""
    conflicts: int = 0
    """Conflicts (412), as `Outcome.conflicts` counts them."""
    lost_replies: int = 0
    """Attempts at a write that got no usable reply, so that the write may have been applied."""
    unknown: int = 0
    """Calls that ended in `OutcomeUnknownError`."""
    members: int | None = None
    """Sessions that share one pace, this session included; `None` for a session without `shared`.

    It is 0 while Redis cannot be reached.
    """
    runs_cached: int = 0
    """Runs that the session remembers, at most `etag_cache_size`."""
