"""JSON of the API, read and written. A body of the wrong shape raises a `ProtocolError` that names the field."""

import json
from datetime import datetime
from decimal import Decimal
from sys import intern
from typing import Any, cast

from attrs import define, evolve, frozen

from fielding_async.core.dates import odd_text
from fielding_async.core.errors import ProtocolError
from fielding_async.core.job_results import BatchResult, DraftResult
from fielding_async.core.models import FailedTargetGroup, Failure, FieldingRun, InvalidParam, RunRef

from .structuring import Report, structure

__all__ = [
    "ErrorBody",
    "LaunchedDates",
    "decode_batch_result",
    "decode_draft_result",
    "decode_error",
    "decode_launched_dates",
    "decode_run",
    "decode_run_id",
    "decode_run_list",
    "encode",
    "load_json",
    "not_json",
]

_MAX_SHOWN = 500
_MAX_PARAMS = 10


@frozen
class LaunchedDates:
    """The body of a launch-now reply (`LaunchNowFieldingRunResponse`), with the dates as the server wrote them."""

    start_fielding_at: datetime
    end_fielding_at: datetime
    start_text: str | None
    end_text: str | None


@frozen
class ErrorBody:
    """The fields of an error body; one that is missing or unusable is `None` or empty.

    `is_page`: it is neither empty nor a JSON object, so that something else than the exchange made it.
    """

    object: str | None = None
    detail: str | None = None
    error_id: str | None = None
    invalid_params: tuple[InvalidParam, ...] = ()
    is_page: bool = False


_shape = define(
    eq=False, repr=False
)  # for classes that only hold a body while it is read: more methods would cost import time


@_shape
class _RunId:
    id: str


@_shape
class _RunList:
    data: list[dict[str, Any]]


@_shape
class _TargetGroup:
    target_group_id: str


@_shape
class _Reason:
    code: str | None = None
    description: str | None = None


@_shape
class _FailedGroup:
    target_group_id: str
    failure_reason: _Reason | None = None


@_shape
class _Updated:
    data: list[_TargetGroup] | None = None


@_shape
class _Failed:
    data: list[_FailedGroup] | None = None


@_shape
class _BatchJob:
    job_id: str
    status: str
    created_at: datetime | None = None
    created_by: str | None = None
    updated_target_groups: _Updated | None = None
    failed_target_groups: _Failed | None = None


@_shape
class _DraftJob:
    job_id: str
    status: str
    created_at: datetime | None = None
    created_by: str | None = None
    created_fielding_run_id: str | None = None
    failure_reason: dict[str, Any] | None = None
    job_trace_id: str | None = None


def encode(value: Any) -> bytes:
    """Write a request body: compact JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def load_json(body: bytes, what: str, *, exact: bool = False) -> Any:
    """Return the JSON value of a body; raises `ProtocolError`. `exact`: a number with a point is a `Decimal`."""
    try:
        return json.loads(body, parse_float=Decimal) if exact else json.loads(body)
    except (ValueError, RecursionError) as error:
        problem = not_json(body, what, error)
    raise ProtocolError(problem)


def not_json(body: bytes, what: str, error: Exception) -> str:
    """Return the text that says of a body that it is no JSON, and what it may be instead."""
    if body.lstrip()[:1] == b"<":
        return (
            f"{what}: an HTML page in place of JSON; it is from something between here and the exchange, such as a"
            f" proxy, a filter or the login page of a network: {body[:80]!r}"
        )
    return f"{what}: not JSON ({type(error).__name__}): {body[:80]!r}"


def _run(
    data: Any, etag: str | None, what: str, asked: RunRef | None = None, report: Report | None = None
) -> FieldingRun:
    if isinstance(data, dict):
        data = cast("dict[str, Any]", data)
        start, end = data.get("start_fielding_at"), data.get("end_fielding_at")
        data = {**data, "etag": etag, "start_text": odd_text(start), "end_text": odd_text(end)}
        for name in ("status", "last_changed_by"):
            # one str object for the many runs in memory
            value = data.get(name)
            if type(value) is str:
                data[name] = intern(value)
        if asked is not None and data.get("id") == asked.fielding_run_id:
            data["id"] = asked.fielding_run_id
        if type(data.get("version")) is not int:  # it may be `None` elsewhere, but the judgement needs it
            raise ProtocolError(f"{what}: must be int, not {type(data.get('version')).__name__} @ $.version")
    return structure(data, FieldingRun, what, report)


def decode_run(body: bytes, etag: str | None, asked: RunRef | None = None, report: Report | None = None) -> FieldingRun:
    """Read a `GetFieldingRunResponse`; raises `ProtocolError`, also if it is another run than was `asked` for.

    `report`: as for `structure`, here and below.
    """
    run = _run(load_json(body, "fielding run"), etag, "fielding run", asked, report)
    if asked is not None:
        for name, has, wanted in (
            ("id", run.id, asked.fielding_run_id),
            ("account_id", run.account_id, asked.account_id),
            ("project_id", run.project_id, asked.project_id),
            ("target_group_id", run.target_group_id, asked.target_group_id),
        ):
            if has is not None and has != wanted:
                raise ProtocolError(f"fielding run: $.{name} is {str(has)[:60]!r}, but {wanted!r} was asked for")
    return run


def decode_run_list(body: bytes, report: Report | None = None) -> list[FieldingRun]:
    """Read a `GetListFieldingRunsResponse`; raises `ProtocolError`."""
    what = "list of fielding runs"
    return [_run(entry, None, what, report=report) for entry in structure(load_json(body, what), _RunList, what).data]


def decode_run_id(body: bytes) -> str:
    """Read an `UpdateFieldingRunResponse`; raises `ProtocolError`."""
    return structure(load_json(body, "update reply"), _RunId, "update reply").id


def decode_launched_dates(body: bytes) -> LaunchedDates:
    """Read a `LaunchNowFieldingRunResponse`; raises `ProtocolError`."""
    data = load_json(body, "launch-now reply")
    if isinstance(data, dict):
        data = cast("dict[str, Any]", data)
        data["start_text"] = odd_text(data.get("start_fielding_at"))
        data["end_text"] = odd_text(data.get("end_fielding_at"))
    return structure(data, LaunchedDates, "launch-now reply")


def decode_batch_result(body: bytes, asked: tuple[str, ...], report: Report | None = None) -> BatchResult:
    """Read a `GetBulk…TargetGroupJobResponse`; `asked` are the ids of the job. Raises `ProtocolError`."""
    job = structure(load_json(body, "bulk job"), _BatchJob, "bulk job", report)
    updated = tuple(group.target_group_id for group in (job.updated_target_groups or _Updated()).data or ())
    failed = tuple(
        FailedTargetGroup(
            target_group_id=group.target_group_id,
            code=(group.failure_reason or _Reason()).code,
            description=(group.failure_reason or _Reason()).description,
        )
        for group in (job.failed_target_groups or _Failed()).data or ()
    )
    result = BatchResult(
        job_id=job.job_id,
        status=job.status,
        created_at=job.created_at,
        created_by=job.created_by,
        updated=updated,
        failed=failed,
        missing=(),
    )
    if not result.ended:
        return result
    named = {*updated, *(group.target_group_id for group in failed)}
    return evolve(result, missing=tuple(entry for entry in asked if entry not in named))


def decode_draft_result(body: bytes, report: Report | None = None) -> DraftResult:
    """Read a `Get…FieldingRunFromDraftJobResponse`; raises `ProtocolError`."""
    job = structure(load_json(body, "draft job"), _DraftJob, "draft job", report)
    failure = None
    if job.failure_reason is not None:
        reason: dict[str, Any] = {**job.failure_reason, "reasons": job.failure_reason.get("reasons") or []}
        failure = structure(reason, Failure, "draft job failure_reason", report)
    return DraftResult(
        job_id=job.job_id,
        status=job.status,
        created_at=job.created_at,
        created_by=job.created_by,
        created_fielding_run_id=job.created_fielding_run_id,
        failure=failure,
        job_trace_id=job.job_trace_id,
    )


def decode_error(body: bytes) -> ErrorBody:
    """Read an error body as far as it can be read. Never raises: the status alone says which error it is."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return ErrorBody(detail=_text(body.decode("utf-8", "replace")), is_page=bool(body.strip()))
    if not isinstance(data, dict):
        return ErrorBody(is_page=True)
    said = cast("dict[str, Any]", data)
    listed: object = said.get("invalid_params")
    params: list[InvalidParam] = []
    entries = cast("list[object]", listed if isinstance(listed, list) else [])
    for entry in entries[:_MAX_PARAMS]:
        match entry:
            case {"name": str(name), "reason": str(reason)}:
                params.append(InvalidParam(_text(name) or "", _text(reason) or ""))
            case other:
                del other  # an entry of another shape says nothing usable
    return ErrorBody(
        object=_text(said.get("object")),
        detail=_text(said.get("detail")) or _text(said.get("details")),  # only a 429 has `details`
        error_id=_text(said.get("id")),
        invalid_params=tuple(params),
    )


def _text(value: Any) -> str | None:
    """Return a short printable text, or `None`: what a server says goes into terminals and logs."""
    if not isinstance(value, str) or not value.strip():
        return None
    return "".join(char if char.isprintable() else " " for char in value.strip()[:_MAX_SHOWN])
