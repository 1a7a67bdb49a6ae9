"""The attempts of one request: whether to send it again, how it ended, and the errors of a write that ended so."""

from enum import Enum
from math import inf
from typing import Any, ClassVar

from attrs import define

from fielding_async.core.errors import (
    APIError,
    FieldingError,
    OutcomeUnknownError,
    OutcomeUnknownTimeoutError,
    PreconditionFailedError,
    ServerError,
)
from fielding_async.core.wire.replies import Accepted, Answer, Failed, Response, Throttled

__all__ = ["Attempts", "Next", "RequestEnd", "RetryLimit", "SingleAttempts", "outcome_unknown", "refusal"]


class Next(Enum):
    """What to do after an attempt."""

    FINAL = "the answer stands, a success or not"
    AT_ONCE = "attempt again as soon as the limiter permits"
    AFTER_A_WAIT = "attempt again after a backoff"
    GIVE_UP = "attempts used up"


@define
class Attempts:
    """The attempts of one request, which is sent with the same precondition each time.

    `may_be_applied`: one of them, if the request is a write, may have been applied. `only_server_errors`: each such
    attempt was answered with a 5xx that the exchange itself made; `server_error` is the last of these answers.
    `only_pages`: each was answered with a 4xx whose body is a page of something in between.
    """

    is_single: ClassVar[bool] = False
    """Whether none follows one that may have been applied."""

    allowed: int
    used: int = 0
    may_be_applied: bool = False
    only_server_errors: bool = True
    only_pages: bool = True
    server_error: ServerError | None = None

    def doubt(self, answer: Failed) -> None:
        """Note what an answer leaves in doubt. Alone, for an attempt that is made again with another token."""
        if not answer.may_be_applied:
            return
        self.may_be_applied = True
        self.only_pages &= answer.is_page
        if answer.of_exchange and isinstance(answer.error, ServerError):
            self.server_error = answer.error
        else:
            self.only_server_errors = False

    def note(self, answer: Answer) -> Next:
        """Count an attempt with its answer, and return what is next."""
        if isinstance(answer, Throttled):
            return Next.AT_ONCE  # a 429 uses up no attempt; the wait is the pause of the whole session
        self.used += 1
        if isinstance(answer, Accepted):
            return Next.FINAL
        self.doubt(answer)
        if not answer.repeatable or answer.unclear is not None or (self.is_single and self.may_be_applied):
            return Next.FINAL
        return Next.AFTER_A_WAIT if self.used < self.allowed else Next.GIVE_UP


@define
class SingleAttempts(Attempts):
    """The attempts of a write of which a second one may do something else."""

    is_single: ClassVar[bool] = True


@define(eq=False)
class RetryLimit:
    """Until when requests that share it are sent again: `seconds` from the first failure since one was last answered.

    So none goes on by itself for longer while the server is away, and none is cut short while others are answered.
    `failing_since`: the time of that failure; `None` if there is none.
    """

    seconds: float
    failing_since: float | None = None

    def note(self, answer: Answer, now: float) -> None:
        """Note what became of an attempt of one of the requests."""
        if not isinstance(answer, Failed) or not answer.repeatable:
            self.failing_since = None
        elif self.failing_since is None:
            self.failing_since = now

    @property
    def until(self) -> float:
        """The time from which no wait before another attempt goes on; infinity while requests are answered."""
        return inf if self.failing_since is None else self.failing_since + self.seconds


@define(eq=False)
class RequestEnd:
    """How a request ended: `accepted`, or else `failure`, that of the last attempt.

    `unclear`: a success that must be checked (see `Failed`). `gave_up`: attempts or time were used up.
    `out_of_time`: the deadline was one of the reasons.
    """

    attempts: Attempts
    accepted: Response | None = None
    failure: FieldingError | None = None
    unclear: Response | None = None
    gave_up: bool = False
    out_of_time: bool = False

    @property
    def error(self) -> FieldingError:
        """The failure of a request that was not accepted."""
        assert self.failure is not None  # noqa: S101 - callers check `accepted` first
        return self.failure

    def unknown(self, what: str, failure: FieldingError | None = None) -> OutcomeUnknownError:
        """Return the error of a write that is not looked into. `failure`: what is wrong with an accepted reply."""
        return outcome_unknown(what, failure or self.error, None, out_of_time=self.out_of_time)


def outcome_unknown(what: str, failure: FieldingError, current: Any, *, out_of_time: bool) -> OutcomeUnknownError:
    """Return the error for a write whose effect cannot be established; the last failure is its cause.

    `current`: the resource as fetched since, if it was. `out_of_time`: the deadline was one of the reasons.
    """
    cls = OutcomeUnknownTimeoutError if out_of_time else OutcomeUnknownError
    error = cls(f"{what}; last failure: {failure.message}", current=current, method=failure.method, path=failure.path)
    error.__cause__ = failure
    return error


def refusal(failure: FieldingError, *, seen: Any, wanted: object, current: Any) -> PreconditionFailedError:
    """Return the error for an action that is refused because the resource has changed, with what the server said."""
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
