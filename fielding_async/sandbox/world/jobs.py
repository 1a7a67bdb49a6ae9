"""Draft jobs and bulk jobs: made once per idempotency key, carried out when they fall due."""

from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from attrs import evolve

from fielding_async.core.models import RunRef, RunStatus
from fielding_async.sandbox.faults import JobFails
from fielding_async.sandbox.serving.dates import MILLISECOND, floor, text
from fielding_async.sandbox.serving.ids import Ids
from fielding_async.sandbox.serving.request_form import Call, Intake
from fielding_async.sandbox.serving.routes import OPERATIONS, Operation

from .behaviour import Behaviour
from .records import DraftRef, JobFailure, JobRecord
from .rules import LEADS_TO, StoredRun, acted, refusal
from .runs import Cause, Runs

__all__ = ["Jobs", "location", "shown"]

_HOST = "https://api.cint.com"
_BY_NAME = {operation.name: operation for operation in OPERATIONS}
_NOT_FOUND = JobFailure("TargetGroupNotFound", "There is no such target group.")
_NO_RUN = JobFailure("TargetGroupInvalidState", "The target group is a draft: it has no run.")
_NO_DRAFT = JobFailure("TargetGroupInvalidState", "The target group is not a draft.")


class Jobs:
    """The jobs made so far."""

    def __init__(self, behaviour: Behaviour, runs: Runs, ids: Ids) -> None:
        self.records: dict[str, JobRecord] = {}
        self._behaviour = behaviour
        self._runs = runs
        self._ids = ids
        self._keys: dict[tuple[str, ...], str] = {}
        self._pending: dict[str, JobRecord] = {}
        self._faults: dict[str, tuple[Any, ...]] = {}

    def known(self, call: Call, intake: Intake) -> JobRecord | None:
        """Return the job that this idempotency key has made here (by operation and ids of the path)."""
        job_id = self._keys.get(_scope(call, intake))
        return self.records[job_id] if job_id else None

    def differs(self, job: JobRecord, call: Call) -> bool:
        """Say whether a request has another body than the one that made the job."""
        return sha256(job.body).digest() != sha256(call.body).digest()

    def make(self, call: Call, intake: Intake, user: str, now: datetime) -> JobRecord:
        """Make a job; it is carried out at once if nothing keeps it waiting."""
        job = JobRecord(
            job_id=self._ids.ulid(),
            operation=call.operation.name,
            account_id=intake.account_id,
            project_id=intake.project_id,
            target_group_ids=tuple(dict.fromkeys(intake.target_group_ids)) or (intake.target_group_id,),
            start_fielding_at=intake.start,
            end_fielding_at=intake.end,
            idempotency_key=intake.key,
            body=call.body,
            created_at=now,
            created_by=user,
            due_at=now + timedelta(seconds=self._behaviour.job_seconds),
            trace_id=call.trace_id,
            request_id=call.request_id,
        )
        self._keys[_scope(call, intake)] = job.job_id
        self._faults[job.job_id] = call.job_faults
        self.records[job.job_id] = self._pending[job.job_id] = job
        if job.due_at <= now and not self._behaviour.job_polls:
            self.carry_out(job.job_id, now)
        return self.records[job.job_id]

    def poll(self, operation: Operation, intake: Intake, now: datetime) -> JobRecord | None:
        """Return a job for its status endpoint, and count the poll; `None` if it is not one of its jobs."""
        job = self.records.get(intake.job_id)
        if job is None or f"{job.operation}-status" != operation.name:
            return None
        if (job.account_id, job.project_id) != (intake.account_id, intake.project_id):
            return None
        if intake.target_group_id and job.target_group_ids != (intake.target_group_id,):
            return None
        self.records[job.job_id] = evolve(job, polls=job.polls + 1)
        if job.job_id in self._pending:
            self._pending[job.job_id] = self.records[job.job_id]
            if job.due_at <= now and job.polls >= self._behaviour.job_polls:
                self.carry_out(job.job_id, now)
        return self.records[job.job_id]

    def next_due(self, now: datetime) -> tuple[datetime, str] | None:
        """Return the first job that falls due by `now`; never one that waits for polls."""
        if self._behaviour.job_polls:
            return None
        ready = [(job.due_at, job.job_id) for job in self._pending.values() if job.due_at <= now]
        return min(ready) if ready else None

    def carry_out(self, job_id: str, at: datetime) -> None:
        """Carry a pending job out."""
        job = self._pending.pop(job_id)
        faults = self._faults.pop(job_id)
        failing = next((fault for fault in faults if isinstance(fault, JobFails)), None)
        omitted = {group for fault in faults if not isinstance(fault, JobFails) for group in fault.target_group_ids}
        if failing is not None:
            done = evolve(job, status="Failed", failure=None if _is_bulk(job) else failing.failure)
        elif _is_bulk(job):
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
        action = _BY_NAME[job.operation].action
        if not self._runs.has_group(group):
            return _NOT_FOUND
        ref = self._runs.run_of(group)
        run = self._runs.head(ref) if ref else None
        if run is None:
            return _NO_RUN
        if run.status is LEADS_TO[action]:
            return None
        refused = refusal(action, run, at)
        if refused is not None:
            return JobFailure(refused.code, refused.detail)
        self._runs.write(acted(action, run, at, self._behaviour), at, _cause(job))
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
        if self._runs.run_of(group) is not None:
            return _NO_DRAFT
        if (failure := self._runs.draft_failure(group)) is not None:
            return failure
        if job.start_fielding_at is not None and job.start_fielding_at < floor(at, MILLISECOND):
            return JobFailure("InvalidFieldingDates", "The start is in the past.")
        if job.end_fielding_at is not None and job.end_fielding_at <= at:
            return JobFailure("InvalidFieldingDates", "The end is in the past.")
        return None


def _scope(call: Call, intake: Intake) -> tuple[str, ...]:
    return (
        call.operation.name,
        str(intake.account_id),
        intake.project_id,
        intake.target_group_id,
        intake.key,
    )


def _is_bulk(job: JobRecord) -> bool:
    return _BY_NAME[job.operation].kind == "bulk"


def _cause(job: JobRecord) -> Cause:
    return Cause(
        operation=job.operation,
        by="job",
        user=job.created_by,
        trace_id=job.trace_id,
        body=job.body,
        request_id=job.request_id,
    )


def location(job: JobRecord, behaviour: Behaviour) -> str:
    """Return the Location of a new job, in the form that is switched on."""
    operation = _BY_NAME[job.operation]
    path = operation.template.format(
        account_id=job.account_id, project_id=job.project_id, target_group_id=job.target_group_ids[0]
    )
    match behaviour.location:
        case "published":
            if operation.kind == "bulk":
                path = path.rpartition("/")[0] + f"/{operation.action}"
            return f"{path.removeprefix('/v1')}/{job.job_id}"
        case "url":
            return f"{_HOST}{path}/{job.job_id}"
        case "path":
            return f"{path}/{job.job_id}"
        case "id":
            return job.job_id


def shown(job: JobRecord, behaviour: Behaviour) -> dict[str, Any]:
    """Return a job as its status endpoint shows it."""
    content: dict[str, Any] = {
        "job_id": job.job_id,
        "created_at": text(floor(job.created_at, MILLISECOND)),
        "created_by": job.created_by,
        "status": job.status,
    }
    if _is_bulk(job):
        updated = [{"target_group_id": group} for group in job.updated]
        failed = [{"target_group_id": group, "failure_reason": _failure(why)} for group, why in job.failed]
        content["updated_target_groups"] = {"data": updated, "has_more": False}
        content["failed_target_groups"] = {"data": failed, "has_more": False}
        return content
    results = {
        "created_fielding_run_id": job.created_fielding_run_id,
        "failure_reason": _failure(job.failure) if job.failure else None,
        "job_trace_id": job.trace_id if job.status == "Failed" else None,
    }
    content |= {name: value for name, value in results.items() if value is not None or behaviour.job_nulls}
    return content


def _failure(failure: JobFailure) -> dict[str, Any]:
    content: dict[str, Any] = {"code": failure.code, "description": failure.description}
    if failure.reasons:
        content["reasons"] = [
            {name: value for name, value in (("name", r.name), ("reason", r.reason), ("detail", r.detail)) if value}
            for r in failure.reasons
        ]
    return content
