"""Draft jobs and bulk jobs: made once per idempotency key, and carried out when they are due."""

from datetime import datetime, timedelta
from hashlib import sha256

from attrs import evolve

from fielding_async.core.models import RunRef, RunStatus
from fielding_async.sandbox.serving.dates import MILLISECOND, floor
from fielding_async.sandbox.serving.ids import IdGenerator
from fielding_async.sandbox.serving.request_form import Request, RequestForm
from fielding_async.sandbox.serving.routes import OPERATIONS_BY_NAME, Operation

from .behaviour import Behaviour
from .job_faults import JobFails, JobFault
from .records import DraftRef, JobFailure, JobRecord
from .rules import STATUS_AFTER, StoredRun, after_action, refusal
from .runs import Cause, Runs

__all__ = ["Jobs"]

_NOT_FOUND = JobFailure("TargetGroupNotFound", "There is no such target group.")
_NO_RUN = JobFailure("TargetGroupInvalidState", "The target group has no run.")
_NO_DRAFT = JobFailure("TargetGroupInvalidState", "The target group is not a draft.")


class Jobs:
    """The jobs made so far."""

    def __init__(self, behaviour: Behaviour, runs: Runs, ids: IdGenerator) -> None:
        self.records: dict[str, JobRecord] = {}
        self._behaviour = behaviour
        self._runs = runs
        self._ids = ids
        self._keys: dict[tuple[str, ...], str] = {}
        self._pending: dict[str, JobRecord] = {}
        self._faults: dict[str, tuple[JobFault, ...]] = {}

    def with_key_of(self, request: Request, form: RequestForm) -> JobRecord | None:
        """Return the job made before under this idempotency key, by the same operation and ids of the path."""
        job_id = self._keys.get(_scope(request, form))
        return self.records[job_id] if job_id else None

    def differs(self, job: JobRecord, request: Request) -> bool:
        """Return whether the body of a request differs from that of the request that made the job."""
        return sha256(job.body).digest() != sha256(request.body).digest()

    def make(
        self, request: Request, form: RequestForm, user: str, now: datetime, faults: tuple[JobFault, ...]
    ) -> JobRecord:
        """Make a job. It is carried out at once if it waits neither for time nor for polls."""
        job = JobRecord(
            job_id=self._ids.ulid(),
            operation=request.operation.name,
            account_id=form.account_id,
            project_id=form.project_id,
            target_group_ids=tuple(dict.fromkeys(form.target_group_ids)) or (form.target_group_id,),
            start_fielding_at=form.start,
            end_fielding_at=form.end,
            idempotency_key=form.idempotency_key,
            body=request.body,
            created_at=now,
            created_by=user,
            due_at=now + timedelta(seconds=self._behaviour.job_seconds),
            trace_id=request.trace_id,
            request_id=request.request_id,
        )
        self._keys[_scope(request, form)] = job.job_id
        self._faults[job.job_id] = faults
        self.records[job.job_id] = self._pending[job.job_id] = job
        if job.due_at <= now and not self._behaviour.job_polls:
            self.carry_out(job.job_id, now)
        return self.records[job.job_id]

    def poll(self, operation: Operation, form: RequestForm, now: datetime) -> JobRecord | None:
        """Return a job for a request to its status endpoint, and count the poll.

        Return `None` if the endpoint has no such job.
        """
        job = self.records.get(form.job_id)
        if job is None or f"{job.operation}-status" != operation.name:
            return None
        if (job.account_id, job.project_id) != (form.account_id, form.project_id):
            return None
        if form.target_group_id and job.target_group_ids != (form.target_group_id,):
            return None
        self.records[job.job_id] = evolve(job, polls=job.polls + 1)
        if job.job_id in self._pending:
            self._pending[job.job_id] = self.records[job.job_id]
            if job.due_at <= now and job.polls >= self._behaviour.job_polls:
                self.carry_out(job.job_id, now)
        return self.records[job.job_id]

    def next_due(self, now: datetime) -> tuple[datetime, str] | None:
        """Return the first job that is due by `now`, never one that waits for polls."""
        if self._behaviour.job_polls:
            return None
        ready = [(job.due_at, job.job_id) for job in self._pending.values() if job.due_at <= now]
        return min(ready) if ready else None

    def carry_out(self, job_id: str, at: datetime) -> None:
        """Carry out a pending job."""
        job = self._pending.pop(job_id)
        faults = self._faults.pop(job_id)
        failing = next((fault for fault in faults if isinstance(fault, JobFails)), None)
        omitted = {group for fault in faults if not isinstance(fault, JobFails) for group in fault.target_group_ids}
        is_bulk = OPERATIONS_BY_NAME[job.operation].kind == "bulk"
        if failing is not None:
            done = evolve(job, status="Failed", failure=None if is_bulk else failing.failure)
        elif is_bulk:
            done = self._bulk(job, omitted, at)
        else:
            done = self._draft(job, at)
        self.records[job_id] = done

    def _bulk(self, job: JobRecord, omitted: set[str], at: datetime) -> JobRecord:
        updated: list[str] = []
        failed: list[tuple[str, JobFailure]] = []
        for group_id in job.target_group_ids:
            if group_id in omitted:
                continue
            failure = self._bulk_one(job, DraftRef(job.account_id, job.project_id, group_id), at)
            if failure is None:
                updated.append(group_id)
            else:
                failed.append((group_id, failure))
        return evolve(job, status="Completed", updated=tuple(updated), failed=tuple(failed))

    def _bulk_one(self, job: JobRecord, group: DraftRef, at: datetime) -> JobFailure | None:
        action = OPERATIONS_BY_NAME[job.operation].action
        if not self._runs.has_group(group):
            return _NOT_FOUND
        ref = self._runs.run_of(group)
        run = self._runs.accepted(ref) if ref else None
        if run is None:
            return _NO_RUN
        if run.status is STATUS_AFTER[action]:
            return None
        refused = refusal(action, run, at)
        if refused is not None:
            return JobFailure(refused.code, refused.detail)
        self._runs.write(after_action(action, run, at, self._behaviour), at, _cause(job))
        return None

    def _draft(self, job: JobRecord, at: datetime) -> JobRecord:
        (group_id,) = job.target_group_ids
        group = DraftRef(job.account_id, job.project_id, group_id)
        failure = self._draft_failure(job, group, at)
        if failure is not None:
            return evolve(job, status="Failed", failure=failure)
        precision = self._behaviour.date_precision
        ref = RunRef(job.account_id, job.project_id, group_id, self._ids.ulid())
        run = StoredRun(
            ref=ref,
            status=RunStatus.SCHEDULED if job.start_fielding_at else RunStatus.LIVE,
            version=1,
            start=floor(job.start_fielding_at or at, precision),
            end=floor(job.end_fielding_at or at, precision),
            changed_at=at,
            changed_by=job.created_by,
        )
        self._runs.create(run, at, _cause(job))
        return evolve(job, status="Completed", created_fielding_run_id=ref.fielding_run_id)

    def _draft_failure(self, job: JobRecord, group: DraftRef, at: datetime) -> JobFailure | None:
        if not self._runs.has_group(group):
            return _NOT_FOUND
        if not self._runs.is_draft(group):
            return _NO_DRAFT
        if (failure := self._runs.draft_failure(group)) is not None:
            return failure
        if job.start_fielding_at is not None and job.start_fielding_at < floor(at, MILLISECOND):
            return JobFailure("InvalidFieldingDates", "The start is in the past.")
        if job.end_fielding_at is not None and job.end_fielding_at <= at:
            return JobFailure("InvalidFieldingDates", "The end is in the past.")
        return None


def _scope(request: Request, form: RequestForm) -> tuple[str, ...]:
    return (
        request.operation.name,
        str(form.account_id),
        form.project_id,
        form.target_group_id,
        form.idempotency_key,
    )


def _cause(job: JobRecord) -> Cause:
    return Cause(
        operation=job.operation,
        by="job",
        user=job.created_by,
        trace_id=job.trace_id,
        body=job.body,
        request_id=job.request_id,
    )
