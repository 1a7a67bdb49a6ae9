"""Requests as values, built from operations."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any
from urllib.parse import quote, urlencode

from attrs import define, field

from fielding_async.core.actions import Action, Update
from fielding_async.core.errors import ProtocolError
from fielding_async.core.models import FieldingRun, RunRef

from .bodies import encode
from .operations import BY_NAME, Operation

__all__ = [
    "AS_IT_IS",
    "FRESH",
    "Request",
    "action_request",
    "ids_to_check",
    "request",
    "request_to",
    "run_request",
]

_GET = BY_NAME["get"]

FRESH = ("Cache-Control", "no-cache")
"""A cache must not answer without asking the exchange (RFC 9111, section 5.2.1.4)."""

AS_IT_IS = ("Accept-Encoding", "identity")
"""What compresses a reply on its way drops or rewrites its ETag (RFC 9110, section 8.8.3.3)."""

_COMPRESSED = ("Accept-Encoding", "gzip, deflate")


@define
class Request:
    """One HTTP request, complete but for what each attempt adds (token, trace context).

    `path` is relative to the base URL; `headers` holds what the operation itself needs. `query` is empty, or the
    encoded query with its question mark; it may hold what users search for, so errors and telemetry do not show it.
    """

    operation: Operation
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = field(default=None, repr=False)
    query: str = field(default="", repr=False)


def request(
    row: Operation,
    ids: Mapping[str, Any],
    *,
    headers: Sequence[tuple[str, str]] = (),
    body: Any = None,
    params: Sequence[tuple[str, str]] = (),
) -> Request:
    """Build the request of an operation; `ids` fill its path template, `params` are its query in this order."""
    content = (_COMPRESSED,) if body is None else (_COMPRESSED, ("Content-Type", "application/json"))
    fresh = (FRESH,) if row.method == "GET" else ()
    return Request(
        row,
        row.path.format_map(ids),
        (*content, *fresh, *headers),
        None if body is None else encode(body),
        f"?{urlencode(params, quote_via=quote)}" if params else "",
    )


def _path(row: Operation, ref: RunRef) -> str:
    return row.pattern % (ref.account_id, ref.project_id, ref.target_group_id, ref.fielding_run_id)


def run_request(ref: RunRef) -> Request:
    """Build the GET of a run."""
    row = _GET
    return Request(row, _path(row, ref), (FRESH, AS_IT_IS))


def action_request(ref: RunRef, action: Action, base: FieldingRun) -> Request:
    """Build the write of an action under the ETag of `base`. An update sends back the bounds that it does not name."""
    if base.etag is None:
        raise ProtocolError("a write needs an ETag")
    row = BY_NAME[action.name]
    path = _path(row, ref)
    if not isinstance(action, Update):
        return Request(row, path, (AS_IT_IS, ("If-Match", base.etag)))
    start, end = action.texts(base)
    body = encode({"start_fielding_at": start, "end_fielding_at": end})
    return Request(row, path, (AS_IT_IS, ("Content-Type", "application/json"), ("If-Match", base.etag)), body)


def request_to(
    row: Operation, path: str, query: str, headers: Sequence[tuple[str, str]], body: bytes | None
) -> Request:
    """Build a request to any path. Its ETag may count, so that its reply must come as it is."""
    fresh = (FRESH,) if row.method == "GET" else ()
    content = () if body is None else (("Content-Type", "application/json"),)
    return Request(row, path, (AS_IT_IS, *fresh, *content, *headers), body, query)


_PARENTS = {"accounts": "account", "projects": "project", "target-groups": "target group", "fielding-runs": "run"}


def ids_to_check(path: str) -> str:
    """Return the ids that a path names, as the remedy of a 404; nothing if it names none, or only an account."""
    parts = path.strip("/").split("/")
    ids = [f"{_PARENTS[name]} {value}" for name, value in pairwise(parts) if name in _PARENTS]
    return f" (check the ids and their order: {', '.join(ids)})" if len(ids) > 1 else ""
