"""What the tests share: sessions against a sandbox, and the six actions."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from fielding_async import (
    Complete,
    FieldingRun,
    FieldingSession,
    LaunchNow,
    Limits,
    Outcome,
    Pause,
    Relaunch,
    Resume,
    Retry,
    RunRef,
    Timeout,
    Update,
)
from fielding_async.core.actions import Action
from fielding_async.sandbox import ReceivedRequest, Sandbox

TOKEN = "secret-token-of-the-test"
QUICK = Retry(base=0.001, cap=0.01, conflict_base=0.001)
END = datetime(2031, 5, 17, 12, 30, 15, 123456, tzinfo=UTC)

# action, a status it can be performed from, the operation's name
ACTIONS: list[tuple[Action, str]] = [
    (LaunchNow(), "scheduled"),
    (Pause(), "live"),
    (Resume(), "paused"),
    (Complete(), "live"),
    (Relaunch(), "completed"),
    (Update(end_fielding_at=END), "live"),
]
ACTION_IDS = [action.name for action, _ in ACTIONS]

REF = RunRef(101, "0" * 26, "1" * 26, "run")


def session(sandbox: Sandbox, **arguments: Any) -> FieldingSession:
    """Return a session against the sandbox, with quick retries."""
    arguments.setdefault("retry", QUICK)
    arguments.setdefault("timeout", Timeout(total=20, attempt=20))
    arguments.setdefault("limits", Limits(adaptive=False))
    return FieldingSession(arguments.pop("auth", TOKEN), base_url=sandbox.url, **arguments)


def sent(sandbox: Sandbox, *operations: str) -> Sequence[ReceivedRequest]:
    """Return the requests received, of these operations or all."""
    return [request for request in sandbox.requests if not operations or request.operation in operations]


def applied(sandbox: Sandbox, by: str = "client") -> list[str]:
    """Return the operations applied, in order."""
    return [write.operation for write in sandbox.history if write.by == by]


def run_value(**changes: Any) -> FieldingRun:
    """Return a run as a GET might have brought it."""
    values: dict[str, Any] = {
        "id": "run",
        "status": "live",
        "version": 7,
        "start_fielding_at": datetime(2030, 1, 1, 8, 0, 1, tzinfo=UTC),
        "end_fielding_at": datetime(2030, 1, 31, 8, 0, 1, 5000, tzinfo=UTC),
        "last_changed_at": datetime(2029, 12, 31, tzinfo=UTC),
        "last_changed_by": "b551326b-ac9d-4d32-8823-4f025787dab9",
        "etag": 'W/"7"',
    }
    return FieldingRun(**values | changes)


def longer(run: FieldingRun, hours: float = 1) -> Update:
    """Return the update that extends a run: a callable change, with the default of an hour."""
    return Update(end_fielding_at=run.end_fielding_at + timedelta(hours=hours))


def effects(outcomes: Sequence[Outcome]) -> set[str]:
    """Return the effects of outcomes."""
    return {outcome.effect for outcome in outcomes}
