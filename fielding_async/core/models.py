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
"""What became of a run action; see `Outcome.effect`."""

OnConflict = Literal["reapply", "raise"]
"""What a run action does when somebody else changed the run: send again if it is still wanted, or raise."""


class RunStatus(StrEnum):
    """The statuses of a fielding run that this version knows. Members equal their plain strings."""

    __module__ = "fielding_async"

    SCHEDULED = "scheduled"
    LIVE = "live"
    PAUSED = "paused"
    COMPLETED = "completed"


@frozen(kw_only=True, weakref_slot=False)  # tens of thousands are kept: slots halve their size
class FieldingRun:
    """A fielding run as the server showed it, or as an accepted write of this session left it.

    Source: `FieldingRunItem` of the API; all datetimes are aware and in UTC.

    `status` is one of `RunStatus`, or a text that this version does not know. `etag` is the ETag it came with, byte
    for byte (`None` from a list). `last_changed_at` and `last_changed_by`, and in a list `version`, are `None` where
    the server did not send a value that can be read. In `Outcome.run`, `version` is also `None` where it is not known
    without another request. A callable change may get the run as an accepted write of this session left it; `version`
    is then one higher than before that write.
    """

    __module__ = "fielding_async"

    id: str
    """The run's id. Source: `id`."""
    status: str
    """One of `RunStatus`, or a text that this version does not know. Source: `status`."""
    version: int | None
    """The number of writes that the exchange counts on the run. `None` where the server did not send it, and in
    `Outcome.run` where it is not known. Source: `version`."""
    start_fielding_at: datetime
    """When fielding starts: aware, in UTC. Source: `start_fielding_at`."""
    end_fielding_at: datetime
    """When fielding ends: aware, in UTC. Source: `end_fielding_at`."""
    last_changed_at: datetime | None = None
    """When the run was last changed: aware, in UTC. `None` where it is not known. Source: `last_changed_at`."""
    last_changed_by: str | None = None
    """Who last changed the run. `None` where it is not known. Source: `last_changed_by`."""
    account_id: int | None = None
    """The account's id. `None` where the server did not send it. Source: `account_id`."""
    project_id: str | None = None
    """The project's id. `None` where the server did not send it. Source: `project_id`."""
    target_group_id: str | None = None
    """The target group's id. `None` where the server did not send it. Source: `target_group_id`."""
    etag: str | None = None
    """The ETag that it came with, byte for byte. `None` from a list. Source: header `ETag`."""
    start_text: str | None = field(default=None, repr=False, eq=False)
    """`start_fielding_at` as the server wrote it, which an update that does not name it sends back.

    `None` where that is `YYYY-MM-DDThh:mm:ss.sssZ`, the API's own form.
    """
    end_text: str | None = field(default=None, repr=False, eq=False)
    """`end_fielding_at` likewise."""


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
    """What a run is asked to do, as a value.

    The base of `LaunchNow`, `Pause`, `Resume`, `Complete`, `Relaunch` and `Update`, and the type of a list that mixes
    them. `Run.perform` and `FieldingSession.perform_all` take these six; a class of your own is refused.
    """

    __module__ = "fielding_async"
    __slots__ = ()

    name: ClassVar[str]
    """The action's name: for `Update` it is `"update"`, for the others the last segment of the path of its request."""

    def is_there(self, run: FieldingRun) -> bool:
        """Return whether the run is where the action leads."""
        raise NotImplementedError


@frozen(kw_only=True, slots=False)  # one is made for every write: with slots it would take twice as long
class Outcome:
    """What became of one run action.

    `effect` is `"accepted"` (the server took our request), `"already"` (the run was where the action leads; none of
    our requests was seen to be taken) or `"unconfirmed"` (it is there, and one of our attempts without a reply may
    have led it there).

    `requests` counts the HTTP requests sent, GETs included. `conflicts` counts the 412s, without one that may be due to
    our own attempt whose reply was lost. `action` is the action performed
    (for a callable change the `Update` that it last returned, `None` if it had nothing to do). The dates are given
    where they are known without another request. `run` is the run as this call left it.
    """

    __module__ = "fielding_async"

    ref: RunRef
    """The run that the action was for."""
    action: Action | None
    """The action performed. For a callable change it is the `Update` that it last returned, or `None` if it had nothing
    to do."""
    effect: Effect
    """`"accepted"`, `"already"` or `"unconfirmed"`, as above. Source: the judgement of the replies."""
    etag: str | None
    """The ETag of the run as this call left it; `None` if it is not known. Source: header `ETag`."""
    requests: int
    """HTTP requests sent for this call, GETs included. Source: this library's own count."""
    conflicts: int
    """412s met, without one that may be due to our own attempt whose reply was lost. Source: this library's own
    count."""
    trace_id: str
    """The W3C trace id of the call, 32 hexadecimal digits. Source: this library, or the trace that was continued."""
    start_fielding_at: datetime | None = None
    """When fielding starts, aware, in UTC; `None` if it is not known without another request."""
    end_fielding_at: datetime | None = None
    """When fielding ends, aware, in UTC; `None` if it is not known without another request."""
    _run: FieldingRun | None = field(default=None, repr=False, alias="run")

    @property
    def run(self) -> FieldingRun:
        """The run as this call left it, as far as that is known without another request.

        After an accepted write `version`, `last_changed_at` and `last_changed_by` are `None`, unless the run was
        fetched since. If the write went by another session's hint (`Shared`), only its id, status and ETag are known,
        and the dates where the reply told them: otherwise both dates are `None`, whatever their type says.
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
    """The kind of failure, in the server's words; `None` if it sent none. Source: `code`."""
    description: str | None = None
    """What went wrong, in the server's words; `None` if it sent none. Source: `description`."""


@frozen(kw_only=True)
class FailureDetail:
    """One detailed reason of a failed draft job (`FieldingRunJobFailureReasonDetail`)."""

    __module__ = "fielding_async"

    name: str | None = None
    """What the reason is about; `None` if the server sent none. Source: `name`."""
    reason: str | None = None
    """The reason; `None` if the server sent none. Source: `reason`."""
    detail: str | None = None
    """More about it; `None` if the server sent none. Source: `detail`."""


@frozen(kw_only=True)
class Failure:
    """Why a draft job failed (`FieldingRunJobFailureReason`)."""

    __module__ = "fielding_async"

    code: str
    """The kind of failure, in the server's words. Source: `code`."""
    description: str
    """What went wrong, in the server's words. Source: `description`."""
    reasons: tuple[FailureDetail, ...] = ()
    """The detailed reasons, none or more. Source: `reasons`."""


@frozen(kw_only=True)
class JobResult:
    """What draft jobs and bulk jobs have in common. `status` is `Processing`, `Completed`, `Failed` or a newer text.

    `created_at` and `created_by` are `None` where the server did not send a value that can be read.
    """

    __module__ = "fielding_async"

    job_id: str
    """The job's id. Source: `job_id`."""
    status: str
    """`"Processing"`, `"Completed"`, `"Failed"` or a newer text. Source: `status`."""
    created_at: datetime | None = None
    """When the job was made, aware, in UTC; `None` if it cannot be read. Source: `created_at`."""
    created_by: str | None = None
    """Who made the job; `None` if it cannot be read. Source: `created_by`."""

    @property
    def ended(self) -> bool:
        """Whether the job is over. A status that this version does not know counts as still running."""
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
