"""The action of a plan, as the options ask for it. Pure."""

from datetime import datetime

import click

from fielding_async.core.actions import Action, Complete, Pause, Resume, Update

__all__ = ["PLANS", "planned_action"]

_STATUS_ACTIONS: dict[str, Action] = {action.name: action for action in (Pause(), Resume(), Complete())}
PLANS = (*_STATUS_ACTIONS, Update.name)
"""The actions that a plan can be written for."""


def planned_action(name: str | None, start: datetime | None, end: datetime | None) -> Action | None:
    """Return the action that the options ask for; `None` for no plan. Raises `click.UsageError`."""
    if name != Update.name:
        if start is not None or end is not None:
            option = "--end" if start is None else "--start"
            raise click.UsageError(f"{option} is for --plan update: give that, or leave it out.")
        return None if name is None else _STATUS_ACTIONS[name]
    if start is None and end is None:
        raise click.UsageError("--plan update has nothing to change: give --start, --end or both.")
    if start is not None and end is not None and end <= start:
        raise click.UsageError("--end must be after --start.")
    return Update(start_fielding_at=start, end_fielding_at=end)
