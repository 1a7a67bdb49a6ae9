"""The column `if_match` of a plan: the only ETag that a row may be sent under. Pure."""

from typing import cast

from fielding_async.core.actions import PREVIOUS, Action, Guarded, check_if_match
from fielding_async.core.errors import ConfigurationError

__all__ = ["guarded", "if_match_problem"]


def if_match_problem(value: object) -> str | None:
    """Return what is wrong with the value of a cell; `None` if it is an ETag, or `previous`."""
    try:
        check_if_match(value)
    except ConfigurationError:
        return f'is not an ETag as the exchange writes it, such as W/"5", or {PREVIOUS}'
    return None


def guarded(action: Action, if_match: str | None) -> Action:
    """Return the action as a batch takes it."""
    return action if if_match is None else cast("Action", Guarded(action, if_match))
