"""The door for what comes from outside: secrets are taken out of a reply before anything reads it for a text.

Every text that is made of it later is clean, however it is shortened: errors, values, log lines, spans, reports.
"""

from fielding_async.core.redaction import CleanHeaders, Redactor

from .replies import Attempted, Lost, NotSent, Response

__all__ = ["clean_reply"]


def clean_reply(attempted: Attempted, redactor: Redactor) -> Attempted:
    """Return the result of an attempt without secrets.

    A header that shows one is left out; in a body, in the reason of a failure and in the keys and texts of JSON, `***`
    stands in its place.
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
