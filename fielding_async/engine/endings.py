"""The errors that a write ends in when it was refused on a look at the run, or cannot be told."""

from fielding_async.core.actions import Action
from fielding_async.core.errors import (
    APIError,
    FieldingError,
    OutcomeUnknownError,
    OutcomeUnknownTimeoutError,
    PreconditionFailedError,
)
from fielding_async.core.models import FieldingRun

__all__ = ["refusal", "unknown"]


def refusal(
    failure: FieldingError, *, seen: FieldingRun | None, wanted: Action | None, current: FieldingRun | None
) -> PreconditionFailedError:
    """Return the error for an action refused because the run has changed, with what the server said, if it did."""
    said = failure if isinstance(failure, APIError) else None
    return PreconditionFailedError(
        failure.message,
        status=412,
        object=said and said.object,
        detail=said and said.detail,
        error_id=said and said.error_id,
        invalid_params=said.invalid_params if said else (),
        seen=seen,
        wanted=wanted,
        current=current,
        method=failure.method,
        path=failure.path,
    )


def unknown(what: str, failure: FieldingError, current: FieldingRun | None, out_of_time: bool) -> OutcomeUnknownError:
    """Return the error for a write whose effect cannot be established; the last failure is its cause."""
    cls = OutcomeUnknownTimeoutError if out_of_time else OutcomeUnknownError
    error = cls(f"{what}; last failure: {failure.message}", current=current, method=failure.method, path=failure.path)
    error.__cause__ = failure
    return error
