"""What states mean: the simulation's own reading of the API."""

from fielding_async.core.actions import Action, StatusAction

from .records import CallRecord, State

__all__ = ["changes", "is_there"]


def changes(call: CallRecord) -> list[State]:
    """Return what the call's writes changed; a write that left the run and its ETag as they were changed nothing."""
    return [state for state in call.applications if not state.is_noop]


def is_there(action: Action, state: State) -> bool:
    """Whether a state is where an action leads: the simulation's own reading."""
    if isinstance(action, StatusAction):
        return state.status == action.target
    wanted = ((action.start_fielding_at, state.start), (action.end_fielding_at, state.end))
    return all(date is None or round(date.timestamp() * 1000) == ms for date, ms in wanted)
