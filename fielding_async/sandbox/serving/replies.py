"""Answers of the exchange, as values: status, headers, JSON bodies."""

import json
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from .ids import Ids

__all__ = ["ERRORS", "InvalidParams", "Reply", "error", "json_reply", "too_many_requests"]

InvalidParams = tuple[tuple[str, str], ...]
"""Pairs of a parameter's name and what is wrong with it."""

ERRORS: Mapping[int, tuple[str, str]] = {
    400: ("bad_request_error", "The request is not valid."),
    401: ("authorization_error", "The request carries no valid token."),
    403: ("authorization_error", "The token does not allow this operation, or has expired."),
    404: ("not_found_error", "There is no such resource."),
    405: ("method_not_allowed_error", "The resource does not have this method."),
    412: ("precondition_failed_error", "The run has another version than the one in If-Match."),
    422: ("invalid_state_error", "The run is in a state that does not allow this."),
    500: ("unexpected_internal_error", "The exchange failed."),
    502: ("bad_gateway_error", "The exchange could not be reached."),
    503: ("service_unavailable_error", "The exchange is not available."),
    504: ("gateway_timeout_error", "The exchange did not answer in time."),
}
"""Type and text of the error body, by status."""


@frozen
class Reply:
    """An answer: header order and spelling are kept."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


def json_reply(status: int, content: object, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """Return an answer with a JSON body."""
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    return Reply(status, (("Content-Type", "application/json"), *headers), body)


def error(
    status: int,
    ids: Ids,
    *,
    detail: str | None = None,
    invalid: InvalidParams = (),
    headers: tuple[tuple[str, str], ...] = (),
) -> Reply:
    """Return an error answer in the exchange's common form; `detail` replaces the usual text."""
    kind, usual = ERRORS.get(status, ("unexpected_error", "The request failed."))
    content: dict[str, Any] = {
        "id": ids.uuid(),
        "object": kind,
        "detail": usual if detail is None else detail,
        "invalid_params": [{"name": name, "reason": reason} for name, reason in invalid] or None,
    }
    return json_reply(status, content, headers)


def too_many_requests(retry_after: str | None) -> Reply:
    """Return the 429 answer, which has a form of its own; `retry_after` is its header, `None` for none."""
    content = {"object": "too_many_requests_problem_details", "details": "The rate limit is exceeded."}
    return json_reply(429, content, () if retry_after is None else (("Retry-After", retry_after),))
