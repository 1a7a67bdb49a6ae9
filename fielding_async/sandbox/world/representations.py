"""Runs and jobs as responses show them: JSON bodies, the Location of a job, and the value that `inspect` returns."""

from typing import Any

from fielding_async.core.models import FieldingRun
from fielding_async.sandbox.serving.dates import MILLISECOND, floor, text
from fielding_async.sandbox.serving.replies import Reply, json_reply
from fielding_async.sandbox.serving.routes import OPERATIONS_BY_NAME

from .behaviour import Behaviour
from .records import JobFailure, JobRecord
from .rules import StoredRun

__all__ = ["accepted_reply", "job_body", "job_location", "location", "run_body", "run_changes", "run_value"]

_HOST = "https://api.cint.com"


def run_body(run: StoredRun) -> dict[str, Any]:
    """Return the JSON object of a run."""
    return {
        "id": run.ref.fielding_run_id,
        "last_changed_at": text(floor(run.changed_at, MILLISECOND)),
        "last_changed_by": run.changed_by,
        "start_fielding_at": text(run.start),
        "end_fielding_at": text(run.end),
        "status": run.status,
        "version": run.version,
    }


def run_value(run: StoredRun, etag: str) -> FieldingRun:
    """Return a run as a value of the public model."""
    return FieldingRun(
        id=run.ref.fielding_run_id,
        status=run.status,
        version=run.version,
        start_fielding_at=run.start,
        end_fielding_at=run.end,
        last_changed_at=run.changed_at,
        last_changed_by=run.changed_by,
        account_id=run.ref.account_id,
        project_id=run.ref.project_id,
        target_group_id=run.ref.target_group_id,
        etag=etag,
        start_text=text(run.start),
        end_text=text(run.end),
    )


def run_changes(before: StoredRun | None, after: StoredRun, reason: str | None) -> tuple[dict[str, Any], ...]:
    """Return what changed between two states of a run, as the change log shows it; before its run it was a draft."""
    items: list[dict[str, Any]] = []
    was = "draft" if before is None else before.status
    if was != after.status:
        items.append({"object": "status_change", "new_value": after.status, "old_value": was})
        items[0] |= {"reason_code": reason} if reason else {}
    for name, old, new in (
        ("start", before and before.start, after.start),
        ("end", before and before.end, after.end),
    ):
        if old != new:
            kind = f"fielding_period_{name}_date_change"
            items.append({"object": kind, "new_value": text(new), "old_value": text(old) if old else None})
    return tuple(items)


def accepted_reply(action: str, run: StoredRun, etag: str) -> Reply:
    """Return the reply to an accepted update or action."""
    headers = (("ETag", etag),)
    match action:
        case "update":
            return json_reply(202, {"id": run.ref.fielding_run_id}, headers)
        case "launch-now":
            content = {"start_fielding_at": text(run.start), "end_fielding_at": text(run.end)}
            return json_reply(200, content, headers)
        case _:
            return Reply(204, headers)


def job_location(job: JobRecord, behaviour: Behaviour) -> str:
    """Return the Location of a new job, in the form that `Behaviour.location` names."""
    operation = OPERATIONS_BY_NAME[job.operation]
    path = operation.template.format(
        account_id=job.account_id, project_id=job.project_id, target_group_id=job.target_group_ids[0]
    )
    if behaviour.location == "published" and operation.kind == "bulk":
        path = path.rpartition("/")[0] + f"/{operation.action}"
    return location(f"{path}/{job.job_id}", job.job_id, behaviour)


def location(path: str, resource_id: str, behaviour: Behaviour) -> str:
    """Return the Location of a resource, in the form that `Behaviour.location` names."""
    match behaviour.location:
        case "published":
            return path.removeprefix("/v1")
        case "url":
            return _HOST + path
        case "path":
            return path
        case "id":
            return resource_id


def job_body(job: JobRecord, behaviour: Behaviour) -> dict[str, Any]:
    """Return the JSON object that the status endpoint of a job answers with."""
    content: dict[str, Any] = {
        "job_id": job.job_id,
        "created_at": text(floor(job.created_at, MILLISECOND)),
        "created_by": job.created_by,
        "status": job.status,
    }
    if OPERATIONS_BY_NAME[job.operation].kind == "bulk":
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
