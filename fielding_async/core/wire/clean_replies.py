"""Removes secrets from each reply before anything else reads it.

So errors, values, log lines, spans and reports that quote a reply show none, even if they shorten it.
"""

from fielding_async.core.redaction import CleanHeaders, Redactor

from .replies import Attempted, Lost, NotSent, Response

__all__ = ["clean_reply"]


def clean_reply(attempted: Attempted, redactor: Redactor) -> Attempted:
    """Return the result of an attempt without secrets.

    A header that shows one is left out. In a body, in the keys and texts of JSON and in the reason of a failure, `***`
    replaces it.
    """
    if isinstance(attempted, Response):
        attempted.headers = CleanHeaders(attempted.headers, redactor)
        if attempted.body:
            attempted.body = redactor.body(attempted.body)
        return attempted
    reason = redactor.text(attempted.reason)
    if reason is attempted.reason:
        return attempted
    if isinstance(attempted, NotSent):
        return NotSent(reason, is_final=attempted.is_final)
    return Lost(reason, timed_out=attempted.timed_out, unreadable=attempted.unreadable)
