"""Run actions as values: what each asks for, and whether a run is already where it leads.

The server decides which transitions are legal. The client only knows where an action leads.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import ClassVar

from attrs import field, frozen

from .dates import check_period, floor_to_milliseconds, to_text
from .errors import ConfigurationError
from .models import FieldingRun, OnConflict

__all__ = [
    "PREVIOUS",
    "Action",
    "Change",
    "Complete",
    "Guarded",
    "LaunchNow",
    "Pause",
    "Relaunch",
    "Resume",
    "StatusAction",
    "Update",
    "call_change",
    "check_action",
    "check_if_match",
    "check_on_conflict",
]


@frozen
class StatusAction:
    """An action that leads a run to a status. `name` is the last segment of its path, `target` the status.

    Neither this class nor its subclasses have fields.
    """

    name: ClassVar[str]
    target: ClassVar[str]

    def is_there(self, run: FieldingRun) -> bool:
        """Whether the run is where the action leads."""
        return run.status == self.target


class LaunchNow(StatusAction):
    """Launch a scheduled run now. Source: `POST …/fielding-runs/{id}/launch-now`."""

    __module__ = "fielding_async"
    __slots__ = ()
    name: ClassVar[str] = "launch-now"
    target: ClassVar[str] = "live"


class Pause(StatusAction):
    """Pause a live run. Source: `POST …/fielding-runs/{id}/pause`."""

    __module__ = "fielding_async"
    __slots__ = ()
    name: ClassVar[str] = "pause"
    target: ClassVar[str] = "paused"


class Resume(StatusAction):
    """Resume a paused run. Source: `POST …/fielding-runs/{id}/resume`."""

    __module__ = "fielding_async"
    __slots__ = ()
    name: ClassVar[str] = "resume"
    target: ClassVar[str] = "live"


class Complete(StatusAction):
    """Complete a live or scheduled run. Source: `POST …/fielding-runs/{id}/complete`."""

    __module__ = "fielding_async"
    __slots__ = ()
    name: ClassVar[str] = "complete"
    target: ClassVar[str] = "completed"


class Relaunch(StatusAction):
    """Relaunch a completed run. Source: `POST …/fielding-runs/{id}/relaunch`."""

    __module__ = "fielding_async"
    __slots__ = ()
    name: ClassVar[str] = "relaunch"
    target: ClassVar[str] = "live"


def _start(value: datetime | None) -> datetime | None:
    return None if value is None else floor_to_milliseconds("start_fielding_at", value)


def _end(value: datetime | None) -> datetime | None:
    return None if value is None else floor_to_milliseconds("end_fielding_at", value)


@frozen
class Update:
    """Change the dates of a run. `None` leaves that bound as it is. Source: `PUT …/fielding-runs/{id}`.

    Datetimes must be aware; they are converted to UTC and floored to whole milliseconds here, so that what is compared
    is what is sent. Raises `ConfigurationError` for a naive datetime or an end that is not after the start.
    """

    __module__ = "fielding_async"

    name: ClassVar[str] = "update"
    start_fielding_at: datetime | None = field(default=None, converter=_start)
    end_fielding_at: datetime | None = field(default=None, converter=_end)

    def __attrs_post_init__(self) -> None:
        check_period(self.start_fielding_at, self.end_fielding_at)

    @property
    def is_empty(self) -> bool:
        """Whether neither bound is named."""
        return self.start_fielding_at is None and self.end_fielding_at is None

    def is_there(self, run: FieldingRun) -> bool:
        """Whether the run has the dates that this update names."""
        return all(wanted == has for wanted, has in self.bounds(run))

    def bounds(self, run: FieldingRun) -> list[tuple[datetime, datetime]]:
        """Return each named bound, with that of the run."""
        pairs = ((self.start_fielding_at, run.start_fielding_at), (self.end_fielding_at, run.end_fielding_at))
        return [(wanted, has) for wanted, has in pairs if wanted is not None]

    def texts(self, run: FieldingRun) -> tuple[str, str]:
        """Return the texts of start and end to send: a bound that is not named exactly as the server wrote it."""
        start = self.start_fielding_at
        end = self.end_fielding_at
        return (
            to_text(start) if start is not None else run.start_text or to_text(run.start_fielding_at),
            to_text(end) if end is not None else run.end_text or to_text(run.end_fielding_at),
        )


Action = StatusAction | Update
"""One of `LaunchNow`, `Pause`, `Resume`, `Complete`, `Relaunch`, `Update`."""

_STATUS_ACTIONS = frozenset(action.name for action in (LaunchNow, Pause, Resume, Complete, Relaunch))

Change = Callable[[FieldingRun], Update | None]
"""A callable change: it gets the run as it is now, and returns an `Update`, or `None` if there is nothing to do."""


PREVIOUS = "previous"
"""As `Guarded.if_match`: the ETag that the row before it on the same run left."""

_SENDABLE = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,4096}")  # as an If-Match: what `sendable_etag` lets pass


@frozen
class Guarded:
    """An action of a batch that is sent under one ETag only: if the run has another one, it is refused.

    `if_match`: the ETag as the exchange wrote it, or `PREVIOUS`.
    """

    action: Action
    if_match: str


def check_if_match(value: object) -> str:
    """Return `value` if it is an ETag that can be sent, or `PREVIOUS`; raises `ConfigurationError`."""
    if isinstance(value, str) and value == value.strip() != "*" and _SENDABLE.fullmatch(value):
        return value
    raise ConfigurationError(
        f'if_match={value!r:.60}: must be an ETag as the exchange writes it, such as W/"5", or {PREVIOUS}'
    )


def check_action(value: object) -> Action:
    """Return `value` if it is an action that can be performed; raises `ConfigurationError`."""
    if isinstance(value, Update):
        if value.is_empty:
            raise ConfigurationError("Update(): must name start_fielding_at, end_fielding_at or both")
        return value
    if isinstance(value, StatusAction) and getattr(value, "name", None) in _STATUS_ACTIONS:
        return value
    raise ConfigurationError(
        f"action={value!r}: must be LaunchNow(), Pause(), Resume(), Complete(), Relaunch() or Update(...)"
    )


def check_on_conflict(value: OnConflict) -> OnConflict:
    """Return `value` if it is `"reapply"` or `"raise"`; raises `ConfigurationError`."""
    if value not in {"reapply", "raise"}:
        raise ConfigurationError(f'on_conflict={value!r}: must be "reapply" or "raise"')
    return value


def call_change(change: Change, run: FieldingRun) -> Update | None:
    """Call a callable change on the run as it is now. Its own exceptions pass through."""
    answer: object = change(run)
    if answer is None:
        return None
    if not isinstance(answer, Update):
        hint = " (an async callable cannot be used)" if hasattr(answer, "__await__") else ""
        if hasattr(answer, "close"):
            answer.close()  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]
        raise ConfigurationError(f"change: must return an Update or None, not {type(answer).__name__}{hint}")
    return None if answer.is_empty else answer
