"""The form of a request: its ids, headers, query and body are checked and read before anything is searched for."""

import json
import re
from datetime import date, datetime
from typing import cast

from attrs import frozen

from .dates import parse
from .query_form import NO_QUERY, Query, read_query
from .replies import InvalidParams
from .routes import Operation

__all__ = ["PROJECT_ID", "Request", "RequestForm", "read_form"]

PROJECT_ID = re.compile(r"[0-9A-Z]{26}")
"""The form of the ids of projects and target groups."""

_INT32 = range(-(2**31), 2**31)
_KEY_LENGTH = 255


@frozen(kw_only=True)
class Request:
    """A request with a route, not yet checked. Header names are in lower case; repeated headers are joined.

    `query` is raw: as sent, without the question mark.
    """

    operation: Operation
    ids: dict[str, str]
    headers: dict[str, str]
    query: str = ""
    body: bytes = b""
    trace_id: str = ""
    request_id: int | None = None


@frozen(kw_only=True)
class RequestForm:
    """The contents of a well-formed request. What its operation does not take is empty."""

    account_id: int = 0
    project_id: str = ""
    target_group_id: str = ""
    fielding_run_id: str = ""
    job_id: str = ""
    if_match: str = ""
    idempotency_key: str = ""
    start: datetime | None = None
    end: datetime | None = None
    target_group_ids: tuple[str, ...] = ()
    query: Query = NO_QUERY


def read_form(request: Request) -> RequestForm | InvalidParams:
    """Check the form of a request. Return its contents, or everything that is wrong with it."""
    problems: list[tuple[str, str]] = []
    account = _account(request.ids.get("account_id", "0"))
    if account is None:
        problems.append(("account_id", "must be a 32-bit integer"))
    problems += [
        (name, "must be 26 characters of 0-9 and A-Z")
        for name in ("project_id", "target_group_id")
        if name in request.ids and not PROJECT_ID.fullmatch(request.ids[name])
    ]
    version = request.headers.get("cint-api-version")
    if not version:
        problems.append(("Cint-API-Version", "is missing"))
    elif not _is_day(version):
        problems.append(("Cint-API-Version", "must be a date of the form YYYY-MM-DD"))
    if_match = request.headers.get("if-match", "")
    if request.operation.needs_if_match and not if_match:
        problems.append(("If-Match", "is missing"))
    key = request.headers.get("idempotency-key", "")
    if request.operation.needs_key and not key:
        problems.append(("Idempotency-Key", "is missing"))
    elif request.operation.needs_key and len(key) > _KEY_LENGTH:
        problems.append(("Idempotency-Key", f"must have at most {_KEY_LENGTH} characters"))
    start, end, groups = _body(request, problems)
    query = read_query(request.operation.name, request.query, problems)
    if problems or account is None:
        return tuple(problems)
    return RequestForm(
        account_id=account,
        project_id=request.ids.get("project_id", ""),
        target_group_id=request.ids.get("target_group_id", ""),
        fielding_run_id=request.ids.get("fielding_run_id", ""),
        job_id=request.ids.get("job_id", ""),
        if_match=if_match,
        idempotency_key=key,
        start=start,
        end=end,
        target_group_ids=groups,
        query=query,
    )


def _account(raw: str) -> int | None:
    if not re.fullmatch(r"-?(0|[1-9][0-9]{0,9})", raw):
        return None
    number = int(raw)
    return number if number in _INT32 else None


def _is_day(raw: str) -> bool:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", raw):
        return False
    try:
        date.fromisoformat(raw)
    except ValueError:
        return False
    return True


def _body(
    request: Request, problems: list[tuple[str, str]]
) -> tuple[datetime | None, datetime | None, tuple[str, ...]]:
    kind = request.operation.body
    nothing: tuple[None, None, tuple[str, ...]] = (None, None, ())
    if kind == "none":
        return nothing
    if kind == "empty":
        if request.body.strip() not in {b"", b"{}"}:
            problems.append(("body", "must be empty"))
        return nothing
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        problems.append(("Content-Type", "must be application/json"))
        return nothing
    try:
        raw: object = json.loads(request.body.decode())
    except (ValueError, RecursionError):
        problems.append(("body", "must be JSON in UTF-8"))
        return nothing
    if not isinstance(raw, dict):
        problems.append(("body", "must be an object"))
        return nothing
    content = cast("dict[str, object]", raw)
    if kind == "ids":
        return None, None, _groups(content, problems)
    if kind == "assistant":
        return nothing  # `assistants` reads it, as its numbers count
    start = None if kind == "launch" else _moment(content, "start_fielding_at", problems)
    end = _moment(content, "end_fielding_at", problems)
    if kind == "schedule" and start is not None and end is not None and end <= start:
        problems.append(("end_fielding_at", "must be after start_fielding_at"))
    return start, end, ()


def _moment(content: dict[str, object], name: str, problems: list[tuple[str, str]]) -> datetime | None:
    if name not in content:
        problems.append((name, "is missing"))
        return None
    try:
        return parse(content[name])
    except ValueError as problem:
        problems.append((name, str(problem)))
        return None


def _groups(content: dict[str, object], problems: list[tuple[str, str]]) -> tuple[str, ...]:
    raw = content.get("target_group_ids")
    if not isinstance(raw, list) or not raw:
        problems.append(("target_group_ids", "must be a list of at least one id"))
        return ()
    entries = cast("list[object]", raw)
    problems += [
        (f"target_group_ids[{place}]", "must be 26 characters of 0-9 and A-Z")
        for place, entry in enumerate(entries)
        if not isinstance(entry, str) or not PROJECT_ID.fullmatch(entry)
    ]
    return tuple(str(entry) for entry in entries)
