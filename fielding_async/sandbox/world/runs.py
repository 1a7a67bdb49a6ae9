"""The runs and target groups: their accepted states, the states that GETs show, and the writes made."""

from collections import deque
from datetime import datetime, timedelta
from heapq import heappop, heappush

from attrs import evolve, frozen

from fielding_async.core.models import RunRef, RunStatus
from fielding_async.sandbox.catalog.catalog import Catalog
from fielding_async.sandbox.catalog.records import StoredGroup
from fielding_async.sandbox.serving.bound import Bound, Kept

from .behaviour import Behaviour
from .records import DraftRef, JobFailure, Write, WriteOrigin
from .representations import run_changes
from .rules import StoredRun, due

__all__ = ["Cause", "Runs"]

_ENTRY = 1024  # bytes of memory of a write beside its body, about


@frozen(kw_only=True)
class Cause:
    """The cause of a write: its operation, who made it, and the request behind it.

    `reason`: the reason code that the change log shows for a change of status.
    """

    operation: str
    by: WriteOrigin
    user: str
    if_match: str | None = None
    trace_id: str | None = None
    body: bytes = b""
    request_id: int | None = None
    reason: str | None = None


class Runs:
    """Target groups and their runs.

    Each run has a list of accepted states, each with the time from which it is visible. The next write is
    checked against the last one. States too old to be shown again are dropped.
    """

    def __init__(self, behaviour: Behaviour, kept: Kept, catalog: Catalog) -> None:
        self.writes: deque[Write] = deque()
        self.bound: Bound = Bound(kept)
        self._behaviour = behaviour
        self._catalog = catalog
        self._lag = timedelta(seconds=behaviour.read_lag)
        self._delay = timedelta(seconds=behaviour.apply_delay)
        self._states: dict[RunRef, deque[tuple[datetime, StoredRun]]] = {}
        self._failures: dict[DraftRef, JobFailure] = {}
        self._schedule: list[tuple[datetime, int, RunRef]] = []  # a heap; entries of runs changed since are stale
        self._pauses: list[tuple[datetime, int, RunRef, str]] = []  # a heap: by the exchange itself, and its reason
        self._count = 0

    def add_draft(self, group: DraftRef, failure: JobFailure | None, now: datetime) -> None:
        """Add a draft target group. A job that launches or schedules it fails with `failure`, if there is one."""
        self._catalog.add_group(group.account_id, group.project_id, group.target_group_id, now)
        if failure is not None:
            self._failures[group] = failure

    def add(self, run: StoredRun) -> None:
        """Add a run, with its target group and its project where there is none, without recording a write."""
        now = run.changed_at
        was_live = run.status is not RunStatus.SCHEDULED
        until = min(now, run.end) if run.status is RunStatus.COMPLETED else now
        self._catalog.set_run(
            run.ref,
            run.status,
            now,
            live_since=min(run.start, now) if was_live else now,
            live_until=until,
            reached=run.goal_reached,
        )
        self._states[run.ref] = deque([(now, run)])
        self._schedule_clock(run)

    def count(self) -> int:
        """Return how many runs there are."""
        return len(self._states)

    def has_project(self, account_id: int, project_id: str) -> bool:
        """Return whether the account has the project."""
        return self._catalog.project(account_id, project_id) is not None

    def has_group(self, group: DraftRef) -> bool:
        """Return whether the project has the target group."""
        return self._stored(group) is not None

    def run_of(self, group: DraftRef) -> RunRef | None:
        """Return the run of a target group; `None` for one without a run and for an unknown one."""
        stored = self._stored(group)
        return None if stored is None else stored.run

    def is_draft(self, group: DraftRef) -> bool:
        """Return whether there is such a target group, and it is a draft."""
        stored = self._stored(group)
        return stored is not None and stored.run is None and stored.status == "draft"

    def draft_failure(self, group: DraftRef) -> JobFailure | None:
        """Return the failure of a job on this draft, if it was set up to fail."""
        return self._failures.get(group)

    def _stored(self, group: DraftRef) -> StoredGroup | None:
        return self._catalog.group(group.account_id, group.project_id, group.target_group_id)

    def accepted(self, ref: RunRef) -> StoredRun | None:
        """Return the run as last accepted, which writes are checked against."""
        states = self._states.get(ref)
        return states[-1][1] if states else None

    def applied(self, ref: RunRef, now: datetime) -> StoredRun | None:
        """Return the run as it is now, without writes that are accepted but not yet applied."""
        return self._at(ref, now)

    def shown(self, ref: RunRef, now: datetime) -> StoredRun | None:
        """Return the run as a GET shows it now."""
        return self._at(ref, now - self._lag)

    def _at(self, ref: RunRef, moment: datetime) -> StoredRun | None:
        states = self._states.get(ref)
        if not states:
            return None
        return next((run for since, run in reversed(states) if since <= moment), states[0][1])

    def etag(self, run: StoredRun) -> str:
        """Return the ETag of a run."""
        return self._behaviour.etag_of(run.version + run.etag_shift)

    def create(self, run: StoredRun, now: datetime, cause: Cause) -> None:
        """Add a run that a job makes, and record it as a write."""
        self.add(run)
        self._record(None, run, now, cause)

    def write(
        self, wanted: StoredRun, now: datetime, cause: Cause, *, steps_version: bool = True, steps_etag: bool = True
    ) -> StoredRun:
        """Accept a new state of a run and record the write. Return the state with its version, time and user.

        Without `steps_version` the version stays, without `steps_etag` the ETag.
        """
        states = self._states[wanted.ref]
        since, before = states[-1]
        step = self._behaviour.version_step
        after = evolve(
            wanted,
            version=before.version + step * steps_version,
            etag_shift=before.etag_shift + step * (steps_etag - steps_version),
            changed_at=now,
            changed_by=cause.user,
        )
        later = self._delay if cause.by == "client" else timedelta(0)
        states.append((max(since, now + later), after))
        while len(states) > 1 and states[1][0] <= now - self._lag:
            states.popleft()
        self._schedule_clock(after)
        self._record(before, after, now, cause)
        return after

    def next_due(self, now: datetime) -> datetime | None:
        """Return when the clock changes the next run, if that is by `now`; else `None`."""
        while self._schedule and self._schedule[0][0] <= now:
            at, _, ref = self._schedule[0]
            run = self.accepted(ref)
            if run is not None and (step := due(run)) is not None and step[0] == at:
                return at
            heappop(self._schedule)
        return None

    def change_first_due(self, user: str) -> None:
        """Let the clock change the run that `next_due` found."""
        at, _, ref = heappop(self._schedule)
        run = self._states[ref][-1][1]
        step = due(run)
        if step is None:
            return
        ends = step[1] is RunStatus.COMPLETED
        reason = "past_scheduled_end_date" if ends else None
        cause = Cause(operation="end" if ends else "start", by="clock", user=user, reason=reason)
        at = max(at, run.changed_at)
        steps_version, steps_etag = self._behaviour.clock_steps_version, self._behaviour.clock_steps_etag
        if steps_etag is None:
            steps_etag = steps_version
        self.write(evolve(run, status=step[1]), at, cause, steps_version=steps_version, steps_etag=steps_etag)

    def schedule_pause(self, ref: RunRef, at: datetime, reason: str) -> None:
        """Let the exchange pause the run by itself at this time, if it is live then."""
        self._count += 1
        heappush(self._pauses, (at, self._count, ref, reason))

    def next_pause(self, now: datetime) -> datetime | None:
        """Return when the exchange pauses the next run, if that is by `now`; else `None`."""
        return self._pauses[0][0] if self._pauses and self._pauses[0][0] <= now else None

    def pause_first(self, user: str) -> None:
        """Let the exchange pause the run that `next_pause` found, if it is live."""
        at, _, ref, reason = heappop(self._pauses)
        self.pause(ref, at, user, reason)

    def pause(self, ref: RunRef, now: datetime, user: str, reason: str) -> None:
        """Let the exchange pause the run, if it is live. `reason`: the code that the change log shows."""
        run = self.accepted(ref)
        if run is None or run.status is not RunStatus.LIVE:
            return
        self.write(
            evolve(run, status=RunStatus.PAUSED),
            max(now, run.changed_at),
            Cause(operation="exchange-pause", by="exchange", user=user, reason=reason),
            steps_version=self._behaviour.pause_steps_version,
            steps_etag=self._behaviour.pause_steps_etag,
        )

    def _schedule_clock(self, run: StoredRun) -> None:
        if (step := due(run)) is not None:
            self._count += 1
            heappush(self._schedule, (step[0], self._count, run.ref))

    def _note_change(self, before: StoredRun | None, after: StoredRun, now: datetime, cause: Cause) -> None:
        """Let the target group follow its run, and write into its change log what changed."""
        group = self._stored(DraftRef(after.ref.account_id, after.ref.project_id, after.ref.target_group_id))
        if group is None:
            return
        if before is not None and before.status is not after.status:
            self._catalog.set_status(group, after.status, now)
        user = {"clock": "system", "exchange": "marketplace"}.get(cause.by, cause.user)
        self._catalog.record_change(group, now, user, run_changes(before, after, cause.reason))

    def _record(self, before: StoredRun | None, after: StoredRun, now: datetime, cause: Cause) -> None:
        self._note_change(before, after, now, cause)
        for _ in range(self.bound.add(_ENTRY + len(cause.body))):
            self.writes.popleft()
        self.writes.append(
            Write(
                seq=self.bound.dropped + len(self.writes) + 1,
                ref=after.ref,
                operation=cause.operation,
                by=cause.by,
                at=now,
                if_match=cause.if_match,
                etag_before=self.etag(before) if before else None,
                etag_after=self.etag(after),
                status_before=before.status if before else None,
                status_after=after.status,
                start_before=before.start if before else None,
                start_after=after.start,
                end_before=before.end if before else None,
                end_after=after.end,
                trace_id=cause.trace_id,
                body=cause.body,
                request_id=cause.request_id,
            )
        )
