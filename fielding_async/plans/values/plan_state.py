"""What may be done with a plan in which state: pause, resume, cancel, delete.

             pause     resume    cancel      delete
sealed       paused    (same)    cancelled   deleting
paused       (same)    sealed    cancelled   deleting
cancelled    refused   refused   (same)      deleting
deleting     refused   refused   refused     (same)

A plan all of whose rows have ended can only be deleted. To pause, resume or cancel it is refused: whoever asks believes
that rows are left.
"""

from typing import Literal

from fielding_async.core.errors import ConfigurationError

from .plan_values import PlanState

__all__ = ["Order", "next_state"]

Order = Literal["pause", "resume", "cancel", "delete"]

_NEXT: dict[tuple[PlanState, Order], PlanState] = {
    ("sealed", "pause"): "paused",
    ("paused", "pause"): "paused",
    ("sealed", "resume"): "sealed",
    ("paused", "resume"): "sealed",
    ("sealed", "cancel"): "cancelled",
    ("paused", "cancel"): "cancelled",
    ("cancelled", "cancel"): "cancelled",
    ("sealed", "delete"): "deleting",
    ("paused", "delete"): "deleting",
    ("cancelled", "delete"): "deleting",
    ("deleting", "delete"): "deleting",
}
_WHY: dict[PlanState, str] = {
    "cancelled": "it was cancelled, which is final: submit the rows again under another name",
    "deleting": "its deletion has started: delete it again to complete that",
}


def next_state(name: str, state: PlanState, order: Order, *, is_over: bool) -> PlanState:
    """Return the state that an order leads a plan to, the same if there is nothing to do.

    `is_over`: whether all rows have ended, or the plan was cancelled.

    Raises `ConfigurationError` for an order that the state does not allow.
    """
    found = _NEXT.get((state, order))
    if found is None:
        raise ConfigurationError(f"plan {name!r} cannot be {_done(order)}: {_WHY[state]}")
    if is_over and order != "delete" and state != "cancelled":
        raise ConfigurationError(
            f"plan {name!r} cannot be {_done(order)}: it is finished, all of its rows have ended: submit another plan"
        )
    return found


def _done(order: Order) -> str:
    return {"pause": "paused", "resume": "resumed", "cancel": "cancelled", "delete": "deleted"}[order]
