"""What the app answers: its values, and the answer to each error of the SDK. Pure.

The values are standard dataclasses, which FastAPI reads as response models and `dataclasses.asdict` makes JSON of.
"""

import math
from dataclasses import dataclass
from typing import Literal

from fielding_async import (
    AuthenticationError,
    ConfigurationError,
    DeadlineExceededError,
    FieldingError,
    FieldingRun,
    InvalidRunStateError,
    NotFoundError,
    Outcome,
    OutcomeUnknownError,
    PermissionDeniedError,
    PreconditionFailedError,
    RateLimitError,
    SessionClosedError,
)

__all__ = [
    "KINDS",
    "ActionDone",
    "Health",
    "Kind",
    "Problem",
    "RunView",
    "changed",
    "done",
    "problem_of",
    "read_problem",
]


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as the page shows it.

    Times are RFC 3339 texts. `changed`: when the run was last changed, `None` if that is not known. `seen`: what a
    click on the page sends back, so that it is performed only if the run is still as the page showed it.
    """

    status: str
    starts: str
    ends: str
    changed: str | None
    seen: str

    @classmethod
    def of(cls, run: FieldingRun) -> "RunView":
        """Return what the page shows of a run."""
        return cls(
            status=str(run.status),
            starts=run.start_fielding_at.isoformat(),
            ends=run.end_fielding_at.isoformat(),
            changed=None if run.last_changed_at is None else run.last_changed_at.isoformat(),
            seen=seen_text(run),
        )


@dataclass(frozen=True, slots=True)
class ActionDone:
    """The run is where the click leads. `effect`, `requests` and `conflicts` are those of the SDK's `Outcome`."""

    effect: Literal["accepted", "already", "unconfirmed"]
    run: RunView
    requests: int
    conflicts: int
    trace_id: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something was not done, or is not known to be done.

    `status`: of the HTTP response. `error`: a word for programs. `message`: a text for people, which says what to do.
    `run`: the run as it is now, if the exchange showed it. `retry_after`: seconds after which it can work.
    """

    status: int
    error: str
    message: str
    run: RunView | None = None
    retry_after: int | None = None
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """The state of the app. `status`: `ok`, `stopping`, or `broken` if the runs are not fetched any more.

    `in_flight`: requests to the exchange. `waiting`: requests that wait for a permission to be sent. `pause_left`:
    seconds of the exchange's pause.
    """

    status: str
    in_flight: int
    waiting: int
    pause_left: float


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of error is answered. `reason` says what went wrong, `remedy` what to do."""

    status: int
    error: str
    reason: str
    remedy: str


# The first that fits counts. An unknown outcome is a 202: clients and proxies repeat a 5xx, and it may have been done.
# The app's own token and pace are not the caller's fault, so that none of their errors is a 4xx.
KINDS: dict[type[FieldingError], Kind] = {
    OutcomeUnknownError: Kind(
        202, "unknown", "It is not known whether this was done", "Check the status of the run before you try again."
    ),
    PreconditionFailedError: Kind(
        409, "changed", "the run has changed since this page showed it", "Check the run, then try again."
    ),
    InvalidRunStateError: Kind(409, "wrong-state", "the run is in a state that does not allow it", "Check the run."),
    NotFoundError: Kind(404, "not-found", "the exchange has no such run (404)", "Check the ids of the run."),
    RateLimitError: Kind(503, "busy", "the exchange accepts no requests for now", "Try again in {seconds} s."),
    SessionClosedError: Kind(503, "stopping", "the app is being stopped", "Try again in {seconds} s."),
    DeadlineExceededError: Kind(504, "too-slow", "the exchange did not answer in time", "Try again."),
    AuthenticationError: Kind(
        502, "token", "the exchange does not accept the token of this app", "Tell the people who run this app."
    ),
    PermissionDeniedError: Kind(
        502, "token", "the exchange does not allow this with the token of this app", "Tell the people who run this app."
    ),
    ConfigurationError: Kind(500, "internal", "this app has a fault", "Tell the people who run this app."),
    FieldingError: Kind(502, "exchange", "the exchange failed, or could not be reached", "Try again later."),
}
_RESTART = 5  # seconds in which an app that is stopped is usually back


def kind_of(error: FieldingError) -> Kind:
    """Return how an error is answered."""
    return next(kind for of, kind in KINDS.items() if isinstance(error, of))


def seen_text(run: FieldingRun) -> str:
    """Return what a decision about a run rests on, as the SDK's `seen=` compares it: its status and dates."""
    return f"{run.status} {run.start_fielding_at.isoformat()} {run.end_fielding_at.isoformat()}"


def done(outcome: Outcome) -> ActionDone:
    """Return the answer to a click that ended well: `Outcome.run` has the status, so that no GET is needed."""
    return ActionDone(
        outcome.effect, RunView.of(outcome.run), outcome.requests, outcome.conflicts, trace_id=outcome.trace_id
    )


def changed(run: FieldingRun) -> Problem:
    """Return the answer to a click on a run that is no longer as the page showed it."""
    kind = KINDS[PreconditionFailedError]
    return Problem(kind.status, kind.error, f"Nothing was done: {kind.reason}. {kind.remedy}", RunView.of(run))


def problem_of(error: FieldingError, pause_left: float = 0.0) -> Problem:
    """Return the answer to a click that ended in an error. `pause_left`: seconds, from the session's `stats()`."""
    kind = kind_of(error)
    seconds: int | None = None
    if isinstance(error, RateLimitError):
        seconds = max(1, math.ceil(pause_left or error.retry_after or 0))
    elif isinstance(error, SessionClosedError):
        seconds = _RESTART
    reason = kind.reason if isinstance(error, OutcomeUnknownError) else f"Nothing was done: {kind.reason}"
    current: FieldingRun | None = getattr(error, "current", None)
    return Problem(
        kind.status,
        kind.error,
        f"{reason}. {kind.remedy.format(seconds=seconds)}",
        None if current is None else RunView.of(current),
        seconds,
        error.trace_id,
    )


def read_problem(error: FieldingError) -> str:
    """Return why a run cannot be read, as the page says it."""
    return kind_of(error).reason
