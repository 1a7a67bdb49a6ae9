"""The runs and target groups: their accepted states, the states that GETs show, and the writes made."""

from collections import deque
from datetime import datetime, timedelta
from heapq import heappop, heappush

from attrs import evolve, frozen

from fielding_async.core.models import RunRef, RunStatus
from fielding_async.sandbox.serving.bound import Bound, Kept

from .behaviour import Behaviour
from .records import By, DraftRef, JobFailure, Write
from .rules import StoredRun, due

__all__ = ["Cause", "Runs"]

_ENTRY = 1024  # bytes of memory of a write beside its body, about


@frozen(kw_only=True)
class Cause:
    """The cause of a write: its operation, who made it, and the request behind it."""

    operation: str
    by: By
    user: str
    if_match: str | None = None
    trace_id: str | None = None
    body: bytes = b""
    request_id: int | None = None


class Runs:
    """Target groups and their runs.

    Each run has a list of accepted states, each with the time from which it is visible. The next write is
    checked against the last one. States too old to be shown again are dropped.
    """

    def __init__(self, behaviour: Behaviour, kept: Kept) -> None:
        self.writes: deque[Write] = deque()
        self.bound: Bound = Bound(kept)
        self._behaviour = behaviour
        self._lag = timedelta(seconds=behaviour.read_lag)
        self._delay = timedelta(seconds=behaviour.apply_delay)
        self._states: dict[RunRef, deque[tuple[datetime, StoredRun]]] = {}
        self._groups: dict[DraftRef, RunRef | JobFailure | None] = {}
        self._projects: set[tuple[int, str]] = set()
        self._schedule: list[tuple[datetime, int, RunRef]] = []  # a heap; entries of runs changed since are stale
        self._pauses: list[tuple[datetime, int, RunRef]] = []  # a heap: by the exchange itself
        self._count = 0

    def add_draft(self, group: DraftRef, failure: JobFailure | None) -> None:
        """Add a draft target group. A job that launches or schedules it fails with `failure`, if there is one."""
        self._groups[group] = failure
        self._projects.add((group.account_id, group.project_id))

    def add(self, run: StoredRun) -> None:
        """Add a run, its target group and its project, without recording a write."""
        ref = run.ref
        self._groups[DraftRef(ref.account_id, ref.project_id, ref.target_group_id)] = ref
        self._projects.add((ref.account_id, ref.project_id))
        self._states[ref] = deque([(run.changed_at, run)])
        self._schedule_clock(run)

    def has_project(self, account_id: int, project_id: str) -> bool:
        """Return whether the account has the project."""
        return (account_id, project_id) in self._projects

    def has_group(self, group: DraftRef) -> bool:
        """Return whether the project has the target group."""
        return group in self._groups

    def run_of(self, group: DraftRef) -> RunRef | None:
        """Return the run of a target group; `None` for a draft and for an unknown target group."""
        found = self._groups.get(group)
        return found if isinstance(found, RunRef) else None

    def draft_failure(self, group: DraftRef) -> JobFailure | None:
        """Return the failure of a job on this draft, if it was set up to fail."""
        found = self._groups.get(group)
        return found if isinstance(found, JobFailure) else None

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
        cause = Cause(operation="start" if step[1] is RunStatus.LIVE else "end", by="clock", user=user)
        at = max(at, run.changed_at)
        steps_version, steps_etag = self._behaviour.clock_steps_version, self._behaviour.clock_steps_etag
        if steps_etag is None:
            steps_etag = steps_version
        self.write(evolve(run, status=step[1]), at, cause, steps_version=steps_version, steps_etag=steps_etag)

    def schedule_pause(self, ref: RunRef, at: datetime) -> None:
        """Let the exchange pause the run by itself at this time, if it is live then."""
        self._count += 1
        heappush(self._pauses, (at, self._count, ref))

    def next_pause(self, now: datetime) -> datetime | None:
        """Return when the exchange pauses the next run, if that is by `now`; else `None`."""
        return self._pauses[0][0] if self._pauses and self._pauses[0][0] <= now else None

    def pause_first(self, user: str) -> None:
        """Let the exchange pause the run that `next_pause` found, if it is live."""
        at, _, ref = heappop(self._pauses)
        self.pause(ref, at, user)

    def pause(self, ref: RunRef, now: datetime, user: str) -> None:
        """Let the exchange pause the run, if it is live."""
        run = self.accepted(ref)
        if run is None or run.status is not RunStatus.LIVE:
            return
        self.write(
            evolve(run, status=RunStatus.PAUSED),
            max(now, run.changed_at),
            Cause(operation="exchange-pause", by="exchange", user=user),
            steps_version=self._behaviour.pause_steps_version,
            steps_etag=self._behaviour.pause_steps_etag,
        )

    def _schedule_clock(self, run: StoredRun) -> None:
        if (step := due(run)) is not None:
            self._count += 1
            heappush(self._schedule, (step[0], self._count, run.ref))

    def _record(self, before: StoredRun | None, after: StoredRun, now: datetime, cause: Cause) -> None:
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
