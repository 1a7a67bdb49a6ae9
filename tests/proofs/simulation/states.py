"""What states mean: the simulation's own reading of the API."""

from fielding_async import AssistantOutcome, FieldingAssistant, Update
from fielding_async.core.actions import StatusAction

from .assistant_checks import is_assignment
from .records import CallRecord, State

__all__ = ["changes", "is_there", "wanted_of"]


def changes(call: CallRecord) -> list[State]:
    """Return what the call's writes changed; a write that left the run and its ETag as they were changed nothing."""
    return [state for state in call.applications if not state.is_noop]


def wanted_of(call: CallRecord) -> object:
    """Return what a call that succeeded wanted: an action, an assignment, `None` for nothing to do."""
    if call.kind == "value":
        return call.wanted
    if isinstance(call.outcome, AssistantOutcome):
        return call.asked[-1][1] if call.asked else None
    return call.outcome.action


def is_there(action: object, state: State) -> bool:
    """Whether a state is where an action leads, or the assignment that was wanted: the simulation's own reading."""
    if isinstance(action, FieldingAssistant):
        return is_assignment(action, state)
    if isinstance(action, StatusAction):
        return state.status == action.target
    assert isinstance(action, Update)
    wanted = ((action.start_fielding_at, state.start), (action.end_fielding_at, state.end))
    return all(date is None or round(date.timestamp() * 1000) == ms for date, ms in wanted)
