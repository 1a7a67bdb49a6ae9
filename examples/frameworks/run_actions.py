"""Pauses and resumes runs for the applications in this folder, and reports the result in a reply and in the log."""

import logging
from typing import Any

from fielding_async import (
    ConfigurationError,
    FieldingError,
    FieldingSession,
    InvalidRunStateError,
    NotFoundError,
    OutcomeUnknownError,
    Pause,
    PreconditionFailedError,
    RateLimitError,
    Resume,
    SessionClosedError,
)

ACTIONS = {"pause": Pause(), "resume": Resume()}
log = logging.getLogger("runs")


async def act(fielding: FieldingSession, ref: str, action: str, timeout: float) -> tuple[int, dict[str, Any]]:
    """Perform an action. Return an HTTP status and what is known; `effect` is `"none"` if nothing was changed."""
    if action not in ACTIONS:
        return 404, {"effect": "none", "error": f"an action is one of {', '.join(ACTIONS)}"}
    try:
        outcome = await fielding.run(ref).perform(ACTIONS[action], timeout=timeout)
    except FieldingError as error:
        status = status_of(error)
        known = {"effect": "unknown" if status == 202 else "none", "error": str(error), "trace_id": error.trace_id}
    else:
        status, known = 200, {"effect": outcome.effect, "trace_id": outcome.trace_id}
    log.info("%s %s: %s", action, ref, known)  # also if the client has closed the connection
    return status, known


def status_of(error: FieldingError) -> int:
    """Return the HTTP status for an error."""
    match error:
        case OutcomeUnknownError():
            return 202  # the write may have been applied; after a 5xx, clients and proxies could repeat the request
        case ConfigurationError():
            return 400  # ids that cannot exist: nothing was sent
        case NotFoundError():
            return 404
        case InvalidRunStateError() | PreconditionFailedError():
            return 409
        case RateLimitError() | SessionClosedError():
            return 503
        case _:
            return 502  # the exchange refused the token, failed, or could not be reached in time
