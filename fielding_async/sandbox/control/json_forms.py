"""Runs, writes, requests and jobs of a sandbox as JSON objects. No header that may hold a token is among them."""

from datetime import UTC, datetime
from typing import Any

from fielding_async.core.models import FieldingRun, RunRef
from fielding_async.sandbox.serving.request_log import ReceivedRequest
from fielding_async.sandbox.world.records import JobRecord, Write

__all__ = ["job_object", "request_object", "run_object", "write_object"]

_LONGEST = 300  # characters of a text that a client sent


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def run_object(ref: RunRef, run: FieldingRun, progress: float | None) -> dict[str, Any]:
    """Return a run. `progress`: the share of its completes goal, 0 to 1."""
    return {
        "ref": str(ref),
        "account_id": ref.account_id,
        "project_id": ref.project_id,
        "target_group_id": ref.target_group_id,
        "fielding_run_id": ref.fielding_run_id,
        "status": str(run.status),
        "version": run.version,
        "etag": run.etag,
        "start_fielding_at": _time(run.start_fielding_at),
        "end_fielding_at": _time(run.end_fielding_at),
        "progress": progress,
    }


def write_object(write: Write) -> dict[str, Any]:
    """Return a write that was applied."""
    return {
        "seq": write.seq,
        "ref": str(write.ref),
        "operation": write.operation,
        "by": write.by,
        "at": _time(write.at),
        "if_match": write.if_match,
        "etag_before": write.etag_before,
        "etag_after": write.etag_after,
        "status_before": write.status_before,
        "status_after": write.status_after,
        "end_before": _time(write.end_before),
        "end_after": _time(write.end_after),
        "trace_id": write.trace_id,
        "request_id": write.request_id,
    }


def request_object(request: ReceivedRequest) -> dict[str, Any]:
    """Return a request that was received. `status` is null while it is in progress, and where no reply was sent."""
    parent = (request.header("traceparent") or "").split("-")
    return {
        "id": request.id,
        "method": request.method[:20],
        "path": request.path[:_LONGEST],
        "operation": request.operation,
        "ref": None if request.ref is None else str(request.ref)[:_LONGEST],
        "if_match": (request.header("if-match") or "")[:_LONGEST] or None,
        "trace_id": parent[1][:32] if len(parent) > 1 else None,
        "status": request.status,
        "applied": request.applied,
    }


def job_object(job: JobRecord) -> dict[str, Any]:
    """Return a job."""
    return {
        "job_id": job.job_id,
        "operation": job.operation,
        "account_id": job.account_id,
        "project_id": job.project_id,
        "target_group_ids": list(job.target_group_ids),
        "idempotency_key": job.idempotency_key[:_LONGEST],
        "status": job.status,
        "updated": list(job.updated),
        "failed": [group for group, _ in job.failed],
        "created_fielding_run_id": job.created_fielding_run_id,
    }
