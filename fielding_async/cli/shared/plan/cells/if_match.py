"""The column `if_match` of a plan: the only ETag that a row may be sent under. Pure."""

import re
from typing import cast

from fielding_async.core.actions import PREVIOUS, Action, Guarded, check_if_match
from fielding_async.core.errors import ConfigurationError

__all__ = ["guarded", "if_match_problem"]

_UNQUOTED = f"""is not an ETag, which has quotes: W/"5" or "5" (in CSV \"\"\"5\"\"\"), or {PREVIOUS}"""
_ETAG = re.compile(r'(?:W/)?"[^"]*"')


def if_match_problem(value: object) -> str | None:
    """Return what is wrong with the value of a cell; `None` if it is an ETag, or `previous`."""
    try:
        etag = check_if_match(value)
    except ConfigurationError:
        return f'is not an ETag as the exchange writes it, such as W/"5", or {PREVIOUS}'
    if etag == PREVIOUS or _ETAG.fullmatch(etag):
        return None
    return _UNQUOTED


def guarded(action: Action, if_match: str | None) -> Action:
    """Return the action as a batch takes it."""
    return action if if_match is None else cast("Action", Guarded(action, if_match))
