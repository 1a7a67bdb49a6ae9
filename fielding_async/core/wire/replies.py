"""The results of attempts at a request, as values.

An attempt ends as a `Response`, or, without one, as `NotSent` or `Lost`; `read` returns what that means.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from attrs import define, field, frozen

from fielding_async.core.actions import Action, LaunchNow, StatusAction, Update
from fielding_async.core.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    FieldingError,
    InvalidRunStateError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionFailedError,
    ProtocolError,
    RateLimitError,
    ServerError,
    TransportError,
)
from fielding_async.core.models import FieldingRun, RunInTheMaking

from .bodies import ErrorBody, decode_error, decode_launched_dates, decode_run_id
from .operations import ANY_SUCCESS
from .requests import Request, ids_to_check
from .response_headers import is_aged, job_id_from_location, retry_after_seconds, sendable_etag

__all__ = [
    "Accepted",
    "Answer",
    "Attempted",
    "Failed",
    "Lost",
    "NotSent",
    "Response",
    "Throttled",
    "api_error",
    "api_error_class",
    "came_from_a_cache",
    "created_job_id",
    "decoded",
    "error_type_of",
    "read",
    "read_etag",
    "reply_delay",
    "run_after_write",
]


@define
class Response:
    """A response that was read to its end. `headers` ignores the case of names."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    etag: str | None = field(default=None, init=False)  # as read for a run action
    is_documented: bool = False  # but for the ETag
    is_redacted: bool = field(default=False, init=False)  # secrets were taken out of its body


@frozen
class NotSent:
    """The attempt failed before the request was sent. `is_final`: another attempt is bound to fail as well."""

    reason: str
    is_final: bool = False


@frozen
class Lost:
    """The request was sent, or may have been, and no usable response came back.

    `timed_out`: its time was up, and the server may still receive it. `unreadable`: what came back cannot be read.
    """

    reason: str
    timed_out: bool = False
    unreadable: bool = False


Attempted = Response | NotSent | Lost
_T = TypeVar("_T")


@define
class Accepted:
    """A response with the documented success status, and a body that can be read."""

    response: Response


@frozen
class Throttled:
    """429: refused because of the rate, nothing applied."""

    error: RateLimitError


@frozen
class Failed:
    """Anything else.

    `repeatable`: worth another attempt. `may_be_applied`: if it was a write, it may have been applied. `retry_after`:
    seconds, as the server asked. `of_exchange`: a 5xx that the exchange itself made. `is_page`: a 4xx that it did not.
    `unclear`: a success of a run action that is not the documented one, or has no ETag: a GET tells what it means.
    """

    error: FieldingError
    repeatable: bool
    may_be_applied: bool
    retry_after: float = 0.0
    of_exchange: bool = False
    is_page: bool = False
    unclear: Response | None = None


Answer = Accepted | Throttled | Failed


def read(asked: Request, attempted: Attempted, now: datetime) -> Answer:
    """Return what the result of an attempt means.

    `now` (aware) is used where a Retry-After is a date and the reply has no `Date`.
    """
    if not isinstance(attempted, Response):
        if isinstance(attempted, Lost) and attempted.unreadable:
            return _unusable(asked, ProtocolError(attempted.reason))
        error = TransportError(attempted.reason, method=asked.operation.method, path=asked.path)
        error.is_final = isinstance(attempted, NotSent) and attempted.is_final
        return Failed(error, repeatable=not error.is_final, may_be_applied=isinstance(attempted, Lost))
    status = attempted.status
    is_action = asked.operation.is_action
    if status == asked.operation.success:
        problem = _unreadable(asked, attempted)
        if problem is None:
            if not is_action:
                return Accepted(attempted)
            attempted.etag = read_etag(attempted)
            if attempted.etag is not None or not asked.operation.needs_etag:
                return Accepted(attempted)
            attempted.is_documented = True
            problem = ProtocolError(f"{status}: a reply without an ETag header that could be sent back")
    elif asked.operation.success == ANY_SUCCESS and 200 <= status < 300:
        return Accepted(attempted)
    elif status < 400:
        problem = ProtocolError(f"{status}: {_undocumented(status)} ({asked.operation.success or '2xx'} expected)")
    else:
        problem = None
    if problem is not None:
        problem.status = status
        return _unusable(asked, problem, attempted if is_action and 200 <= status < 300 else None)
    said = decode_error(attempted.body)
    is_judged = is_action or asked.operation.is_sent_once
    is_page = is_judged and said.is_page and 400 <= status < 500 and status != 408  # that one may arrive later
    if is_page and status in _OF_PRECONDITION:
        what = f"{status}: a page in place of the exchange's error body"
        problem = ProtocolError(f"{what}; something between here and the exchange made it", status=status)
        return _unusable(asked, problem)
    refusal = _api_error(asked, status, said)
    if status == 404 and came_from_a_cache(attempted):
        refusal.is_aged = True
    seconds = retry_after_seconds(attempted.headers.get("Retry-After"), attempted.headers.get("Date"), now)
    if isinstance(refusal, RateLimitError):
        refusal.retry_after = seconds
        return Throttled(refusal)
    transient = status >= 500 or status == 408
    return Failed(
        refusal,
        repeatable=transient,
        may_be_applied=transient or is_page,
        retry_after=seconds or 0.0,
        of_exchange=status in _OWN_FAILURES and said.object is not None,
        is_page=is_page,
    )


_OF_PRECONDITION = frozenset({412, 422})  # after which a write is judged anew: a gateway's own would apply it twice

_OWN_FAILURES = frozenset({500, 501, 503})  # the others say of a server behind that its answer is missing


def _undocumented(status: int) -> str:
    if status == 304:
        return "not modified, although the request had no condition that allows this answer"
    return "a redirect, which is not followed" if status >= 300 else "an undocumented status"


def _unusable(asked: Request, problem: FieldingError, unclear: Response | None = None) -> Failed:
    # a read would return the same again; a write may have been applied
    problem.filled(method=asked.operation.method, path=asked.path)
    return Failed(problem, repeatable=asked.operation.is_write, may_be_applied=True, unclear=unclear)


def error_type_of(attempted: Attempted, answer: "Throttled | Failed") -> str:
    """Return the kind of a failure: a status, `"timeout"`, `"connection"` or the name of an error class."""
    if isinstance(attempted, Response) and attempted.status >= 400:
        return str(attempted.status)
    if isinstance(answer.error, TransportError):
        return "timeout" if isinstance(attempted, Lost) and attempted.timed_out else "connection"
    return type(answer.error).__name__


_BY_STATUS: dict[int, type[APIError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    412: PreconditionFailedError,
    422: InvalidRunStateError,
    429: RateLimitError,
}


def api_error_class(status: int) -> type[APIError]:
    """Return the error class for an HTTP status; plain `APIError` for one without a class of its own."""
    return ServerError if 500 <= status <= 599 else _BY_STATUS.get(status, APIError)


def api_error(asked: Request, response: Response) -> APIError:
    """Return the error that a status and its body mean."""
    return _api_error(asked, response.status, decode_error(response.body))


def _api_error(asked: Request, status: int, said: ErrorBody) -> APIError:
    message = f"{status} {said.object or ''}".rstrip() + (f": {said.detail}" if said.detail else "")
    message += ids_to_check(asked.path) if status == 404 and said.object else ""
    if said.invalid_params:
        message += " (" + "; ".join(f"{param.name}: {param.reason}" for param in said.invalid_params) + ")"
    cls = _BY_STATUS.get(status) or api_error_class(status)
    return cls(
        message,
        status=status,
        object=said.object,
        detail=said.detail,
        error_id=said.error_id,
        invalid_params=said.invalid_params,
        method=asked.operation.method,
        path=asked.path,
    )


def _unreadable(asked: Request, response: Response) -> ProtocolError | None:
    """Return what is wrong with the body of a successful write; reads are decoded by their callers."""
    try:
        if asked.operation.name == "update":
            decode_run_id(response.body)
        elif asked.operation.name == LaunchNow.name:
            decode_launched_dates(response.body)
    except ProtocolError as problem:
        return problem
    return None


def decoded(asked: Request, response: Response, decode: Callable[[bytes], _T]) -> _T:
    """Return the body of a success, read by `decode`. Its `ProtocolError` gets method, path and status."""
    try:
        return decode(response.body)
    except ProtocolError as problem:
        problem.filled(method=asked.operation.method, path=asked.path).status = response.status
        raise


def came_from_a_cache(response: Response) -> bool:
    """Whether a cache answered by itself, so that the run may have changed since."""
    return (age := response.headers.get("Age")) is not None and is_aged(age)


def read_etag(response: Response) -> str | None:
    """Return the ETag of a response if it can be sent back, else `None`."""
    return sendable_etag(response.headers.get("ETag"))


def run_after_write(action: Action, base: FieldingRun, response: Response) -> FieldingRun:
    """Return the run as an accepted write leaves it. Who changed it last, and when, is not known.

    Its version is one higher, as evidence for a later judgement, unless the ETag is unchanged.
    """
    etag = response.etag or read_etag(response)
    status, start_at, end_at = base.status, base.start_fielding_at, base.end_fielding_at
    start, end = base.start_text, base.end_text
    if isinstance(action, StatusAction):
        status = action.target
        if isinstance(action, LaunchNow):
            dates = decode_launched_dates(response.body)
            start_at, end_at = dates.start_fielding_at, dates.end_fielding_at
            start, end = dates.start_text, dates.end_text
    elif isinstance(action, Update):
        if action.start_fielding_at is not None:
            start_at, start = action.start_fielding_at, None
        if action.end_fielding_at is not None:
            end_at, end = action.end_fielding_at, None
    version = None if base.version is None else base.version + (etag != base.etag)
    ids = base.account_id, base.project_id, base.target_group_id
    made: Any = RunInTheMaking(base.id, status, version, start_at, end_at, None, None, *ids, etag, start, end)
    made.__class__ = FieldingRun
    run: FieldingRun = made
    return run


def created_job_id(response: Response) -> str:
    """Return the id of the job that a 201 made; raises `ProtocolError` if its `Location` cannot be read."""
    location = response.headers.get("Location")
    if location is None:
        raise ProtocolError("the job was made, but the reply has no Location header to read its id from")
    job_id = job_id_from_location(location)
    if job_id is None:
        raise ProtocolError(f"the job was made, but its Location holds no job id: {location[:200]!r}")
    return job_id


def reply_delay(response: Response, now: datetime) -> float:
    """Return the seconds that a Retry-After of a successful reply asks for; 0 if none. `now` as for `read`."""
    return retry_after_seconds(response.headers.get("Retry-After"), response.headers.get("Date"), now) or 0.0
