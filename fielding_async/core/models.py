"""Values of the Demand API: a fielding run, and the outcome of an action on it; and the state of a session.

All of them are frozen, comparable and picklable.
"""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from attrs import define, evolve, field, frozen

__all__ = [
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


@frozen(cache_hash=True, weakref_slot=False)
class RunRef:
    """The four ids that name a fielding run.

    Source: path parameters of `GET …/fielding-runs/{fielding_run_id}`. Ids are checked when a handle is made from it.
    """

    __module__ = "fielding_async"

    account_id: int
    project_id: str
    target_group_id: str
    fielding_run_id: str

    def __str__(self) -> str:
        return f"{self.account_id}/{self.project_id}/{self.target_group_id}/{self.fielding_run_id}"


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
    status: str
    version: int | None
    start_fielding_at: datetime
    end_fielding_at: datetime
    last_changed_at: datetime | None = None
    last_changed_by: str | None = None
    account_id: int | None = None
    project_id: str | None = None
    target_group_id: str | None = None
    etag: str | None = None
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
    action: object
    effect: Effect
    etag: str | None
    requests: int
    conflicts: int
    trace_id: str
    start_fielding_at: datetime | None = None
    end_fielding_at: datetime | None = None
    _run: FieldingRun | None = field(default=None, repr=False, alias="run")

    @property
    def run(self) -> FieldingRun:
        """The run as this call left it, as far as that is known without another request.

        After an accepted write `version`, `last_changed_at` and `last_changed_by` are `None`, unless the run was
        fetched since.
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
    reason: str


@frozen(kw_only=True)
class FailedTargetGroup:
    """A target group that a bulk job could not change, and why (`BulkFailedTargetGroups`)."""

    __module__ = "fielding_async"

    target_group_id: str
    code: str | None = None
    description: str | None = None


@frozen(kw_only=True)
class FailureDetail:
    """One detailed reason of a failed draft job (`FieldingRunJobFailureReasonDetail`)."""

    __module__ = "fielding_async"

    name: str | None = None
    reason: str | None = None
    detail: str | None = None


@frozen(kw_only=True)
class Failure:
    """Why a draft job failed (`FieldingRunJobFailureReason`)."""

    __module__ = "fielding_async"

    code: str
    description: str
    reasons: tuple[FailureDetail, ...] = ()


@frozen(kw_only=True)
class JobResult:
    """What draft jobs and bulk jobs have in common. `status` is `Processing`, `Completed`, `Failed` or a newer text.

    `created_at` and `created_by` are `None` where the server did not send a value that can be read.
    """

    job_id: str
    status: str
    created_at: datetime | None = None
    created_by: str | None = None

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
    """Those of `waiting` that let calls go first: rows of `perform_all` and polls of jobs."""
    waiting_turns: int = 0
    """Calls that wait now for earlier calls of this session on the same run."""
    oldest_wait: float = 0.0
    """Seconds: the longest time that a request which waits now has waited for its permission; 0 if none waits."""
    pace: float | None = None
    """Requests a second that are allowed now: configured as `Limits.rate`, or learned. `None` if none is known."""
    pause_left: float = 0.0
    """Seconds until the pause after a 429 is over; 0 if there is none."""
    requests: int = 0
    """HTTP requests that were sent and are over, of all calls, also of those that failed; without those for tokens."""
    refusals: int = 0
    """Requests that were answered with 429."""
    conflicts: int = 0
    """Conflicts (412), as `Outcome.conflicts` counts them."""
    lost_replies: int = 0
    """Attempts at a write that may have been applied without a usable reply."""
    unknown: int = 0
    """Calls that ended in `OutcomeUnknownError`."""
    runs_cached: int = 0
    """Runs that the session remembers, at most `etag_cache_size`."""
