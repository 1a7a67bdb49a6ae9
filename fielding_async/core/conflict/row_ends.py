"""Whether a row is the cause of its own failure, so that it has ended, or not, so that it stays open. Pure.

E1  A row ends in a failure that the exchange, with its own error body, gives for what the row says: 400, 404 or 422 of
    a write, 404 of the run; 412 where that was asked for, or where somebody else changed the same since.
E2  It ends as unknown after a GET that succeeded and could not tell. Where that GET shows the very ETag that the write
    was sent under, the write can be continued; so the row stays open, unless the exchange refused the write.
E3  A row that is wrong in itself ends, and so does one that is not sent because an earlier one of its run ended badly.
E4  Nothing else ends a row: no connection, 401, 403, 429, 5xx, other statuses, a reply that cannot be understood, time
    that ran out, an error page of something between here and the exchange, a closed session or journal.
"""

from enum import Enum

from attrs import frozen

from fielding_async.core.errors import (
    APIError,
    AuthenticationError,
    ConfigurationError,
    OutcomeUnknownError,
    PermissionDeniedError,
    PreconditionFailedError,
    ProtocolError,
    RateLimitError,
    SkippedError,
    TransportError,
    public_name,
)

__all__ = ["RowEnd", "RowFacts", "exchange_answers", "is_bound_to_fail_again", "refusal_kind", "row_end"]

_OWN = frozenset({400, 404, 422})


class RowEnd(Enum):
    """What becomes of a row that failed."""

    ENDED = "the failure is the row's own, and final"
    OPEN = "the failure says nothing of the row, and may pass"
    BOUND_TO_FAIL_AGAIN = "the failure says nothing of the row, and does not pass while the settings stay the same"


@frozen(kw_only=True)
class RowFacts:
    """What is known of a row beside its error.

    `is_bad`: the error is what is wrong with its ref or action. `is_behind_open`: an earlier row of its run is open.
    `sent_under`: the ETag of the last write of it that may have been applied, `None` if there is none.
    `is_plain_token`: the session's token is a fixed one, which nothing renews. `is_closing`: the session is being
    closed, and cuts calls off.
    """

    is_bad: bool = False
    is_behind_open: bool = False
    sent_under: str | None = None
    is_plain_token: bool = False
    is_closing: bool = False


def row_end(error: BaseException | None, facts: RowFacts) -> RowEnd:
    """Return whether a row has ended. `error`: what its call raised, `None` if it succeeded."""
    if error is None or _is_own(error, facts):
        return RowEnd.ENDED
    is_bound = is_bound_to_fail_again(error, is_plain_token=facts.is_plain_token)
    return RowEnd.BOUND_TO_FAIL_AGAIN if is_bound else RowEnd.OPEN


def _is_own(error: BaseException, facts: RowFacts) -> bool:
    if facts.is_bad or isinstance(error, SkippedError):
        return not facts.is_behind_open
    if isinstance(error, OutcomeUnknownError):
        current = error.current
        if current is None or facts.is_closing:
            return False
        return current.etag != facts.sent_under or _is_refusal(error.__cause__)
    return isinstance(error, PreconditionFailedError) or _is_refusal(error)


def _is_refusal(error: BaseException | None) -> bool:
    """Whether the exchange refused what the row says. A GET says nothing but which run it is about."""
    if not isinstance(error, APIError) or error.object is None or error.status not in _OWN:
        return False
    return error.status == 404 or error.method != "GET"


def is_bound_to_fail_again(error: BaseException, *, is_plain_token: bool) -> bool:
    """Whether an error of the session does not pass by waiting.

    These are a certificate that is not trusted, a proxy that wants another password, a bad setting, and a fixed token
    that the exchange refuses: it answers one that has expired with a 403.
    """
    if isinstance(error, OutcomeUnknownError) and error.__cause__ is not None:
        return is_bound_to_fail_again(error.__cause__, is_plain_token=is_plain_token)
    if isinstance(error, AuthenticationError):
        return is_plain_token
    if isinstance(error, PermissionDeniedError):
        return is_plain_token and error.object is not None
    return isinstance(error, ConfigurationError) or (isinstance(error, TransportError) and error.is_final)


def exchange_answers(error: BaseException | None) -> bool:
    """Whether a GET of a run shows that the exchange can be used. `error`: what it raised, `None` if it succeeded."""
    return error is None or (isinstance(error, APIError) and error.status == 404 and error.object is not None)


def refusal_kind(error: BaseException) -> str | None:
    """Return what rows that met the same refusal have in common; `None` if nothing was refused, such as a timeout."""
    if isinstance(error, OutcomeUnknownError) and error.__cause__ is not None:
        return refusal_kind(error.__cause__)
    if isinstance(error, APIError) and not isinstance(error, RateLimitError):
        return str(error.status)
    return public_name(error) if isinstance(error, ProtocolError) else None
