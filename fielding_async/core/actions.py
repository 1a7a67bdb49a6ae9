"""Run actions as values: what each asks for, and whether a run is already where it leads.

The server decides which transitions are legal. The client only knows where an action leads.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import ClassVar

from attrs import field, frozen

from .dates import check_period, floor_to_milliseconds, to_text
from .errors import ConfigurationError, briefly
from .models import Action, FieldingRun, OnConflict

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
    "check_change",
    "check_if_match",
    "check_on_conflict",
]


@frozen
class StatusAction(Action):
    """An action that leads a run to a status.

    Neither this class nor its subclasses have fields.
    """

    target: ClassVar[str]
    """The status that the action leads to, one of `RunStatus`."""

    def is_there(self, run: FieldingRun) -> bool:
        """Return whether the run is where the action leads."""
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


@frozen(kw_only=True)  # by position, a single date would silently be the start
class Update(Action):
    """Change the dates of a run. `None` leaves a date as it is. Source: `PUT …/fielding-runs/{id}`.

    Datetimes must be aware. They are converted to UTC and rounded down to whole milliseconds when the object is
    created, so the SDK compares the same values as it sends. Raises `ConfigurationError` for a naive datetime, and for
    an end that is not after the start.
    """

    __module__ = "fielding_async"

    name: ClassVar[str] = "update"
    start_fielding_at: datetime | None = field(default=None, converter=_start)
    """The new start, aware, in UTC, whole milliseconds. `None` leaves the start as it is."""
    end_fielding_at: datetime | None = field(default=None, converter=_end)
    """The new end, aware, in UTC, whole milliseconds. `None` leaves the end as it is."""

    def __attrs_post_init__(self) -> None:
        check_period(self.start_fielding_at, self.end_fielding_at)

    @property
    def is_empty(self) -> bool:
        """Whether the update names neither a start nor an end."""
        return self.start_fielding_at is None and self.end_fielding_at is None

    def is_there(self, run: FieldingRun) -> bool:
        """Return whether the run has the dates that this update names."""
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


_STATUS_ACTIONS = frozenset(action.name for action in (LaunchNow, Pause, Resume, Complete, Relaunch))

Change = Callable[[FieldingRun], Update | None]
"""A callable change. It gets the run as it is now. It returns an `Update`, or `None` if there is nothing to do."""


PREVIOUS = "previous"
"""As `Guarded.if_match`: the ETag that the row before it on the same run left."""

_SENDABLE = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,4096}")  # as an If-Match: what `sendable_etag` lets pass


@frozen
class Guarded:
    """An action of a plan that is sent only under one ETag. The exchange refuses it if the run has another ETag.

    `if_match`: the ETag, exactly as the exchange sent it, or `"previous"`: the ETag that the run has after the row
    before it on the same run.
    """

    __module__ = "fielding_async.plans"

    action: Action
    """The action."""
    if_match: str
    """The ETag, exactly as the exchange sent it, or `"previous"`: the ETag that the run has after the row before it on
    the same run."""


def check_if_match(value: object) -> str:
    """Return `value` if it is an ETag that can be sent, or `PREVIOUS`; raises `ConfigurationError`."""
    if isinstance(value, str) and value == value.strip() != "*" and _SENDABLE.fullmatch(value):
        return value
    raise ConfigurationError(
        f'if_match={briefly(value)}: must be an ETag as the exchange writes it, such as W/"5", or {PREVIOUS}'
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
        f"action={briefly(value)}: must be LaunchNow(), Pause(), Resume(), Complete(), Relaunch() or Update(…)"
        f"{_meant_action(value)}"
    )


def _meant_action(value: object) -> str:
    """Return the remedy for a value that is no action, where it is known what was meant."""
    given = value  # without what the checks below narrow it to
    if isinstance(value, type) and issubclass(value, StatusAction | Update):
        return f": pass {value.__name__}({'…' * issubclass(value, Update)}), a value of the class"
    names = {kind.name: kind.__name__ for kind in (LaunchNow, Pause, Resume, Complete, Relaunch)}
    if isinstance(value, str) and value.replace("_", "-") in names:
        return f": pass {names[value.replace('_', '-')]}()"
    if isinstance(value, datetime):
        return ": pass Update(end_fielding_at=…)"
    if isinstance(given, type):
        return ": pass a value, not a class"
    return ": a callable is for run.update(…)" if callable(given) else ""


def check_on_conflict(value: OnConflict) -> OnConflict:
    """Return `value` if it is `"reapply"` or `"raise"`; raises `ConfigurationError`."""
    if value not in {"reapply", "raise"}:
        raise ConfigurationError(f'on_conflict={briefly(value)}: must be "reapply" or "raise"')
    return value


def check_change(value: object) -> None:
    """Raise `ConfigurationError` unless `value` is a callable change."""
    if callable(value) and not isinstance(value, type):
        return
    hint = ": pass the date by its name, end_fielding_at=…" if isinstance(value, datetime) else ""
    raise ConfigurationError(f"change={briefly(value)}: must be a callable that returns an Update, or an Update{hint}")


def call_change(change: Change, run: FieldingRun) -> Update | None:
    """Call a callable change on the run as it is now. Its own exceptions pass through."""
    answer: object = change(run)
    if answer is None:
        return None
    if not isinstance(answer, Update):
        hint = ": pass a plain callable, not an async one" if hasattr(answer, "__await__") else ""
        if hasattr(answer, "close"):
            answer.close()  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]
        raise ConfigurationError(f"change: must return an Update or None, not {type(answer).__name__}{hint}")
    return None if answer.is_empty else answer
