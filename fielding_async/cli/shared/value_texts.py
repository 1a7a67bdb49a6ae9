"""Values of the SDK as lines of text and as JSON objects. Pure: writes nothing."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from fielding_async.core.actions import StatusAction, Update
from fielding_async.core.dates import to_text
from fielding_async.core.errors import APIError, ConfigurationError, FieldingError, JobFailedError, OutcomeUnknownError
from fielding_async.core.job_results import BatchResult, DraftResult
from fielding_async.core.models import (
    FailedTargetGroup,
    Failure,
    FailureDetail,
    FieldingRun,
    InvalidParam,
    Outcome,
    RunRef,
)

from .output import counted, printable

if TYPE_CHECKING:
    from fielding_async import TargetGroupProgress

__all__ = [
    "error_lines",
    "error_object",
    "failure_lines",
    "json_value",
    "outcome_lines",
    "outcome_object",
    "progress_text",
    "reached",
    "run_lines",
    "run_object",
    "status_style",
    "time_text",
]

_NOT_SHOWN = {"message", "result"}


def json_value(value: object) -> Any:
    """Return a value of the SDK as a JSON value. A `RunRef` becomes its text."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return str(value)
        case datetime():
            return to_text(value)
        case RunRef():
            return str(value)
        case FieldingRun():
            return run_object(value)
        case StatusAction():
            return {"name": value.name}
        case Update():
            bounds = {"start_fielding_at": value.start_fielding_at, "end_fielding_at": value.end_fielding_at}
            return {"name": value.name} | {name: to_text(bound) for name, bound in bounds.items() if bound is not None}
        case FailedTargetGroup():
            return {"target_group_id": value.target_group_id, "code": value.code, "description": value.description}
        case InvalidParam():
            return {"name": value.name, "reason": value.reason}
        case Failure():
            return {"code": value.code, "description": value.description, "reasons": json_value(value.reasons)}
        case FailureDetail():
            return {"name": value.name, "reason": value.reason, "detail": value.detail}
        case tuple():
            return [json_value(item) for item in cast("tuple[object, ...]", value)]
        case _:
            return str(value)


def time_text(time: datetime) -> str:
    """Return a time as people read it: RFC 3339, without milliseconds where there are none."""
    return to_text(time).replace(".000Z", "Z")


def run_object(run: FieldingRun, ref: RunRef | None = None) -> dict[str, Any]:
    """Return a run as a JSON object."""
    named = {"ref": str(ref)} if ref is not None else {}
    return {
        "kind": "run",
        **named,
        "id": run.id,
        "status": str(run.status),
        "version": run.version,
        "start_fielding_at": to_text(run.start_fielding_at),
        "end_fielding_at": to_text(run.end_fielding_at),
        "last_changed_at": json_value(run.last_changed_at),
        "last_changed_by": run.last_changed_by,
        "etag": run.etag,
    }


def run_lines(run: FieldingRun, ref: RunRef) -> list[str]:
    """Return a run as lines."""
    at = "not known" if run.last_changed_at is None else to_text(run.last_changed_at)
    changed = f"{at} by {printable(run.last_changed_by or 'not known')}"
    return [
        str(ref),
        f"  status   {printable(run.status)}",
        f"  start    {to_text(run.start_fielding_at)}",
        f"  end      {to_text(run.end_fielding_at)}",
        f"  changed  {changed}",
        f"  version  {run.version}, ETag {printable(run.etag or 'none')}",
    ]


_STYLES = {"live": "green", "active": "green", "paused": "yellow", "scheduled": "cyan", "completed": "dim"}


def status_style(status: str) -> str:
    """Return the style of a status on a terminal with colours."""
    return _STYLES.get(status, "")


def reached(progress: "TargetGroupProgress") -> int | None:
    """Return how many of its goal a target group has: completes, or prescreens where these are counted."""
    is_prescreens = progress.filling_strategy == "prescreens"
    return progress.current_prescreens if is_prescreens else progress.current_completes


def progress_text(reached: int | None, goal: int | None) -> str:
    """Return the progress to a goal, such as `412 of 1,000`; nothing if it is not known."""
    if reached is None:
        return ""
    return f"{reached:,}" if goal is None else f"{reached:,} of {goal:,}"


def outcome_object(outcome: Outcome) -> dict[str, Any]:
    """Return the outcome of an action as a JSON object."""
    names = ("ref", "action", "effect", "etag", "requests", "conflicts", "trace_id")
    dates = ("start_fielding_at", "end_fielding_at")
    return {"kind": "outcome"} | {name: json_value(getattr(outcome, name)) for name in (*names, *dates)}


_EFFECTS = {
    "accepted": "done",
    "already": "nothing to do, the run was already in the wanted state",
    "unconfirmed": "done, probably: a reply was lost, and the run is in the wanted state",
}


def outcome_lines(outcome: Outcome, name: str) -> list[str]:
    """Return the outcome of an action as lines."""
    lines = [f"{name}: {_EFFECTS[outcome.effect]}", f"  run       {outcome.ref}"]
    if outcome.start_fielding_at is not None and outcome.end_fielding_at is not None:
        lines.append(f"  dates     {to_text(outcome.start_fielding_at)} to {to_text(outcome.end_fielding_at)}")
    sent = f"{counted(outcome.requests, 'request')}, {counted(outcome.conflicts, 'conflict')}"
    return [*lines, f"  sent      {sent}", f"  trace id  {outcome.trace_id}"]


def failure_lines(failure: Failure) -> list[str]:
    """Return why the job of a draft failed: what the exchange calls it, then each reason."""
    return [f"{printable(failure.code)}: {printable(failure.description)}", *map(_reason, failure.reasons)]


def _reason(reason: FailureDetail) -> str:
    return ": ".join(printable(text) for text in (reason.name, reason.reason, reason.detail) if text)


def error_object(error: FieldingError, **more: object) -> dict[str, Any]:
    """Return an error as a JSON object: the name of its class, its message and its fields."""
    fields: Mapping[str, Any] = vars(error)
    shown = {name: json_value(value) for name, value in fields.items() if name not in _NOT_SHOWN and name[:1] != "_"}
    return {"kind": "error", "error": _class_name(error), "message": error.message, **shown, **more}


def _class_name(error: FieldingError) -> str:
    # `OutcomeUnknownTimeoutError` is a kind of it; users of the command line know one name
    return "OutcomeUnknownError" if isinstance(error, OutcomeUnknownError) else type(error).__name__


_HINTS = {
    401: "the token is not accepted: check FIELDING_TOKEN and FIELDING_BASE_URL",
    403: "not allowed, or the token has expired",
}


# messages name arguments of the session; the command line reads these from environment variables
_SETTINGS = {
    "token: ": "FIELDING_TOKEN: ",
    "client_id: ": "FIELDING_CLIENT_ID: ",
    "client_secret: ": "FIELDING_CLIENT_SECRET: ",
}


def error_lines(error: FieldingError, doing: str) -> list[str]:
    """Return an error as one or two lines: what went wrong, then what helps to understand it."""
    if isinstance(error, ConfigurationError):
        message = error.message
        for argument, setting in _SETTINGS.items():
            if message.startswith(argument):
                message = setting + message[len(argument) :]
        message = message.removesuffix(", or pass auth=")
        return [f"fielding: {printable(message)}"]
    lines = [f"fielding: {doing}: {_class_name(error)}: {printable(error.message)}"]
    details: list[str] = []
    if isinstance(error, APIError) and error.status in _HINTS:
        details.append(_HINTS[error.status])
    current = getattr(error, "current", None)
    if isinstance(current, FieldingRun):
        dates = f"{to_text(current.start_fielding_at)} to {to_text(current.end_fielding_at)}"
        details.append(f"the run is now {printable(current.status)}, {dates}")
    elif isinstance(error, OutcomeUnknownError) and error.ref is not None:
        details.append(f"look before anything is sent again: fielding run get {error.ref}")
    result = error.result if isinstance(error, JobFailedError) else None
    if isinstance(result, BatchResult) and (result.updated or result.failed):
        details.append(f"{len(result.updated)} updated, {len(result.failed)} failed")
    if isinstance(result, DraftResult) and result.failure is not None:
        details += map(_reason, result.failure.reasons)
    if error.trace_id:
        details.append(f"trace id {error.trace_id}")
    return [*lines, *([f"  {'; '.join(details)}"] if details else [])]
