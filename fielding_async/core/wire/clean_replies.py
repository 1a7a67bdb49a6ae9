"""Removes secrets from each reply before anything else reads it.

So errors, values, log lines, spans and reports that quote a reply show none, even if they shorten it.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from fielding_async.core.redaction import CleanHeaders, Redactor

from .operations import ANY_SUCCESS
from .replies import Accepted, Answer, Attempted, Lost, NotSent, Response, read, read_etag
from .requests import Request

__all__ = ["clean_reply", "read_clean"]

_NO_TIME = datetime.min.replace(tzinfo=UTC)  # only what refuses says when to come again


def read_clean(asked: Request, attempted: Attempted, redactor: Redactor, clock: Callable[[], datetime]) -> Answer:
    """Return what the result of an attempt means, as `read` does, without secrets. `clock` returns the time, aware."""
    if isinstance(attempted, Response) and attempted.status == 204:
        if asked.operation.is_action and asked.operation.success == 204:
            etag = attempted.etag = read_etag(attempted)  # nothing else is read of it
            if etag is not None and (len(etag) < redactor.shortest or not redactor.shows(etag)):
                return Accepted(attempted)
        if asked.operation.success != ANY_SUCCESS:  # of such a reply the caller gets all headers
            answer = read(asked, attempted, _NO_TIME)
            etag = attempted.etag
            if etag is None or not redactor.shows(etag):
                return answer
    now = clock() if isinstance(attempted, Response) and attempted.status >= 400 else _NO_TIME
    return read(asked, clean_reply(attempted, redactor), now)


def clean_reply(attempted: Attempted, redactor: Redactor) -> Attempted:
    """Return the result of an attempt without secrets.

    A header that shows one is left out. In a body, in the keys and texts of JSON and in the reason of a failure, `***`
    replaces it.
    """
    if isinstance(attempted, Response):
        attempted.headers = CleanHeaders(attempted.headers, redactor)
        if attempted.body:
            clean = redactor.body(attempted.body)
            attempted.is_redacted = clean != attempted.body
            attempted.body = clean
        return attempted
    reason = redactor.text(attempted.reason)
    if reason is attempted.reason:
        return attempted
    if isinstance(attempted, NotSent):
        return NotSent(reason, is_final=attempted.is_final)
    return Lost(reason, timed_out=attempted.timed_out, unreadable=attempted.unreadable)
