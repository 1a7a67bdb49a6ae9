"""Replies as values: status, headers and JSON bodies, errors and Retry-After among them."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from math import ceil
from typing import Any, Literal, get_args

from attrs import frozen

from .ids import IdGenerator

__all__ = [
    "ERRORS",
    "RETRY_AFTER_FORMS",
    "InvalidParams",
    "Reply",
    "RetryAfter",
    "error_reply",
    "json_reply",
    "retry_after_text",
    "too_many_requests",
]

InvalidParams = tuple[tuple[str, str], ...]
"""Pairs of a parameter's name and what is wrong with it."""

RetryAfterForm = Literal["seconds", "decimal", "date", "absent", "zero"]
"""The form of a Retry-After header: whole or decimal seconds, an HTTP date, no header, or 0."""

RetryAfter = RetryAfterForm | Callable[[float], str | None]
"""The form of a Retry-After header, or a function that gets the seconds to wait and returns the text of the header."""

RETRY_AFTER_FORMS: tuple[str, ...] = get_args(RetryAfterForm)

ERRORS: Mapping[int, tuple[str, str]] = {
    400: ("bad_request_error", "The request is not valid."),
    401: ("authorization_error", "The request carries no valid token."),
    403: ("authorization_error", "The token does not allow this operation, or has expired."),
    404: ("not_found_error", "There is no such resource."),
    405: ("method_not_allowed_error", "The resource does not have this method."),
    412: ("precondition_failed_error", "The run has another version than the one in If-Match."),
    413: ("content_too_large_error", "The body is too long."),
    421: ("misdirected_request_error", "The server does not answer for this host."),
    422: ("invalid_state_error", "The run is in a state that does not allow this."),
    431: ("header_fields_too_large_error", "The headers are too long."),
    500: ("unexpected_internal_error", "The exchange failed."),
    502: ("bad_gateway_error", "The exchange could not be reached."),
    503: ("service_unavailable_error", "The exchange is not available."),
    504: ("gateway_timeout_error", "The exchange did not answer in time."),
}
"""The `object` and the `detail` of the error body, by status."""


@frozen
class Reply:
    """A reply. Order and spelling of its headers are kept."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


def json_reply(status: int, content: object, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """Return a reply with a JSON body."""
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    return Reply(status, (("Content-Type", "application/json"), *headers), body)


def error_reply(
    status: int,
    ids: IdGenerator,
    *,
    detail: str | None = None,
    invalid: InvalidParams = (),
    headers: tuple[tuple[str, str], ...] = (),
) -> Reply:
    """Return an error reply in the API's common form. `detail` replaces the usual text."""
    kind, usual = ERRORS.get(status, ("unexpected_error", "The request failed."))
    content: dict[str, Any] = {
        "id": ids.uuid(),
        "object": kind,
        "detail": usual if detail is None else detail,
        "invalid_params": [{"name": name, "reason": reason} for name, reason in invalid] or None,
    }
    return json_reply(status, content, headers)


def too_many_requests(retry_after: str | None) -> Reply:
    """Return the 429 reply, which has a form of its own. `retry_after` is its header, `None` for no header."""
    content = {"object": "too_many_requests_problem_details", "details": "The rate limit is exceeded."}
    return json_reply(429, content, () if retry_after is None else (("Retry-After", retry_after),))


def retry_after_text(form: RetryAfter, wait: float, now: datetime) -> str | None:
    """Write a Retry-After header for a wait in seconds, rounded up; `None` if the header is left out.

    `now` is the base of a date; it must be the time that the reply's `Date` shows.
    """
    match form:
        case "seconds":
            return str(max(1, ceil(wait)))
        case "decimal":
            return f"{ceil(wait * 1000) / 1000:.3f}"
        case "date":
            # Rounded up to the next second, the resolution of the date.
            until = now + timedelta(seconds=wait, microseconds=999_999)
            return format_datetime(until.astimezone(UTC).replace(microsecond=0), usegmt=True)
        case "absent":
            return None
        case "zero":
            return "0"
        case _:
            return form(wait)
