"""Every error the SDK raises.

FieldingError
├── ConfigurationError (also ValueError)       an argument is wrong or a setting is missing; nothing was sent
├── SessionClosedError (also RuntimeError)     the session is not open, or belongs to another loop, thread or process
├── TransportError                             no usable reply (connection, TLS, reset, timeout); nothing was applied
├── DeadlineExceededError (also TimeoutError)  time ran out; nothing was applied
├── OutcomeUnknownError                        it is unknown whether a write was applied
│   └── OutcomeUnknownTimeoutError (also TimeoutError)                  the same, because time ran out
├── ProtocolError                              the SDK cannot use a reply
├── JobFailedError                             a draft or bulk job ended Failed
├── SkippedError                               a row of a batch was not sent: an earlier row of the same run failed
├── JournalError                               the journal of a batch cannot be written; nothing more was sent
└── APIError                                   the server answered with an error; APIError itself: any status not below
    ├── BadRequestError 400     AuthenticationError 401        PermissionDeniedError 403   NotFoundError 404
    ├── PreconditionFailedError 412     InvalidRunStateError 422     RateLimitError 429
    └── ServerError 5xx

Errors carry plain values only, so they pickle, and never a token or secret.
"""

from typing import Any

from .base_error import ConfigurationError, FieldingError, briefly
from .models import Action, FieldingRun, InvalidParam, JobResult

__all__ = [
    "APIError",
    "AuthenticationError",
    "BadRequestError",
    "ConfigurationError",
    "DeadlineExceededError",
    "FieldingError",
    "InvalidRunStateError",
    "JobFailedError",
    "JournalError",
    "NotFoundError",
    "OutcomeUnknownError",
    "OutcomeUnknownTimeoutError",
    "PermissionDeniedError",
    "PreconditionFailedError",
    "ProtocolError",
    "RateLimitError",
    "ServerError",
    "SessionClosedError",
    "SkippedError",
    "TransportError",
    "briefly",
    "public_name",
]


class SessionClosedError(FieldingError, RuntimeError):
    """The session is not entered, is closed, or belongs to another event loop, thread or process."""

    __module__ = "fielding_async"


class TransportError(FieldingError):
    """There was no usable reply, and nothing was applied.

    Examples of causes are a refused connection, TLS, a reset, or a timeout. `is_final` is `True` if another attempt
    would fail as well, for example because a certificate is not trusted, or because a proxy refuses to connect.
    """

    __module__ = "fielding_async"

    is_final: bool = False
    """Whether another attempt is bound to fail as well."""


class DeadlineExceededError(FieldingError, TimeoutError):
    """Time ran out, and nothing was applied: no attempt of the write was sent, or each one was refused.

    `conflicts` is the number of attempts that got a 412. The last 412 is the `__cause__`. `current` is the run as it
    was last fetched, or `None` if it was not fetched. For an update of a Fielding Assistant, `current` is a
    `FieldingAssistant`.
    """

    __module__ = "fielding_async"

    conflicts: int
    """How many attempts met a 412."""
    current: FieldingRun | Any | None
    """The run, or the `FieldingAssistant`, as last known; `None` if it was not fetched."""

    def __init__(
        self, message: str, *, conflicts: int = 0, current: FieldingRun | Any | None = None, **context: Any
    ) -> None:
        super().__init__(message, **context)
        self.conflicts = conflicts
        self.current = current


class OutcomeUnknownError(FieldingError):
    """It is unknown whether a write was applied.

    `current` is the run as it was last fetched, or `None` if it could not be fetched. For an update of a Fielding
    Assistant, `current` is a `FieldingAssistant`. The last failure is the `__cause__`. If the deadline was the cause,
    the error is also a `TimeoutError`.
    """

    __module__ = "fielding_async"

    current: FieldingRun | Any | None
    """The run, or the `FieldingAssistant`, as last seen; `None` if it could not be fetched."""

    def __init__(self, message: str, *, current: FieldingRun | Any | None = None, **context: Any) -> None:
        super().__init__(message, **context)
        self.current = current


class OutcomeUnknownTimeoutError(OutcomeUnknownError, TimeoutError):
    """`OutcomeUnknownError` whose cause was the deadline."""

    __module__ = "fielding_async"


class ProtocolError(FieldingError):
    """The SDK cannot use a reply: its JSON is not valid or has another form, it has no ETag, it is a redirect, or it is
    too large.

    `status` is the HTTP status of the reply, or `None` if the status is not known.
    """

    __module__ = "fielding_async"

    status: int | None
    """The HTTP status of the response; `None` where it is not known."""

    def __init__(self, message: str, *, status: int | None = None, **context: Any) -> None:
        super().__init__(message, **context)
        self.status = status


class JobFailedError(FieldingError):
    """A draft or bulk job ended with the status `Failed`, or `raise_for_failures` found target groups that a job did
    not change."""

    __module__ = "fielding_async"

    result: JobResult
    """The job as it ended: a `BatchResult` or a `DraftResult`."""

    def __init__(self, message: str, *, result: JobResult, **context: Any) -> None:
        super().__init__(message, **context)
        self.result = result


class SkippedError(FieldingError):
    """A row of a batch was not sent, because an earlier row of the same run failed or its outcome is unknown."""

    __module__ = "fielding_async"

    because: BaseException
    """The error of the earlier row of the same run."""

    def __init__(self, message: str, *, because: BaseException, **context: Any) -> None:
        super().__init__(message, **context)
        self.because = because


class JournalError(FieldingError):
    """The journal of a batch cannot be written, for example because the disk is full.

    The journal has a record of every write that was sent. The error of the operating system is the `__cause__`.
    """

    __module__ = "fielding_async"


class APIError(FieldingError):
    """The server answered with an error.

    `status` is the HTTP status. `object`, `detail`, `error_id` and `invalid_params` are the fields of the error body.
    If the body does not have a field, its value is `None` or empty. `is_aged` is `True` for a 404 that came from a
    cache (`Age` above 0).
    """

    __module__ = "fielding_async"

    status: int
    """The HTTP status."""
    object: str | None
    """The kind of error, in the server's words; `None` if it sent none. Source: `object`."""
    detail: str | None
    """What went wrong, in the server's words; `None` if it sent nothing. Source: `detail`."""
    error_id: str | None
    """The server's id of this error; `None` if it sent none. Source: `error_id`."""
    invalid_params: tuple[InvalidParam, ...]
    """The parameters that the server refused, none or more. Source: `invalid_params`."""

    is_aged: bool = False
    """Whether it is a 404 that a cache served (`Age` above 0)."""

    def __init__(
        self,
        message: str,
        *,
        status: int,
        object: str | None = None,  # noqa: A002 - the API's own word
        detail: str | None = None,
        error_id: str | None = None,
        invalid_params: tuple[InvalidParam, ...] = (),
        **context: Any,
    ) -> None:
        super().__init__(message, **context)
        self.status = status
        self.object = object
        self.detail = detail
        self.error_id = error_id
        self.invalid_params = invalid_params


class BadRequestError(APIError):
    """400: the request is not valid."""

    __module__ = "fielding_async"


class AuthenticationError(APIError):
    """401: no valid token."""

    __module__ = "fielding_async"


class PermissionDeniedError(APIError):
    """403: not allowed, or the token has expired."""

    __module__ = "fielding_async"


class NotFoundError(APIError):
    """404: there is no such resource."""

    __module__ = "fielding_async"


class PreconditionFailedError(APIError):
    """412: the run was changed by somebody else, and the action was not sent again.

    Either the caller asked not to continue after a conflict, or the reply to an earlier attempt was lost and somebody
    else has since changed something that the action would change.

    `seen` is the run that the action was based on, and `wanted` is the action. `current` is the run as it is now, or
    `None` if it could not be fetched in time. For an update of a Fielding Assistant, each of the three is a
    `FieldingAssistant`.
    """

    __module__ = "fielding_async"

    seen: FieldingRun | Any | None
    """The run, or the `FieldingAssistant`, that the action was based on."""
    wanted: Action | Any | None
    """The action, or the `FieldingAssistant`, that was to be sent; `None` if it is not known."""
    current: FieldingRun | Any | None
    """The run, or the `FieldingAssistant`, as it is now; `None` if it was not fetched in time."""

    def __init__(
        self,
        message: str,
        *,
        seen: FieldingRun | Any | None = None,
        wanted: Action | Any | None = None,
        current: FieldingRun | Any | None = None,
        **context: Any,
    ) -> None:
        super().__init__(message, **context)
        self.seen = seen
        self.wanted = wanted
        self.current = current


class InvalidRunStateError(APIError):
    """422: the run is in a state that does not allow the action; `current` is the run, if it could be fetched."""

    __module__ = "fielding_async"

    current: FieldingRun | Any | None
    """The run as it is now; `None` if it was not fetched."""

    def __init__(self, message: str, *, current: FieldingRun | Any | None = None, **context: Any) -> None:
        super().__init__(message, **context)
        self.current = current


class RateLimitError(APIError):
    """429: the pause that the server asked for would end after the deadline of the call.

    `retry_after` is the wait that the server named with its 429, in seconds from that reply, or `None` if it named no
    wait.
    """

    __module__ = "fielding_async"

    retry_after: float | None
    """Seconds from the 429 that the server asked to wait; `None` if it named none."""

    def __init__(self, message: str, *, retry_after: float | None = None, **context: Any) -> None:
        super().__init__(message, **context)
        self.retry_after = retry_after


class ServerError(APIError):
    """5xx: the server failed, on every attempt. A draft or bulk job may have been made nevertheless."""

    __module__ = "fielding_async"


def public_name(error: BaseException) -> str:
    """Return the name of an error's class, or of its nearest base that users catch."""
    kind = type(error)
    if not isinstance(error, FieldingError):
        return kind.__qualname__
    names = [base.__name__ for base in kind.__mro__ if base is not OutcomeUnknownTimeoutError]
    return next(name for name in names if name in __all__)
