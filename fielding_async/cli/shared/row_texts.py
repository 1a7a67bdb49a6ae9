"""Rows of a journal as texts and as JSON objects: the effect, what was changed from what to what, the error. Pure."""

import re
from typing import Any

from attrs import asdict, fields_dict

from fielding_async import JournalRow
from fielding_async.core.actions import Pause, Resume, StatusAction, Update
from fielding_async.core.dates import to_text
from fielding_async.core.models import FieldingRun, RunRef

from .value_texts import json_value, time_text

__all__ = ["EFFECTS", "after_object", "before_object", "change_text", "effect_of", "error_text", "row_object"]

EFFECTS = ("accepted", "already", "unconfirmed", "failed", "unknown", "skipped", "stuck", "in flight")
"""What can have become of a row: the effects of a row that is done, and the other states."""

_REQUEST = re.compile(r"(?:^|(?<=: ))[A-Z]+ /\S*: ")
_TRACE = re.compile(r" \[trace_id=[^\]]*\]$")
_EARLIER = re.compile(r": row \d+ of the journal: [a-z]+$")  # counted from 0: not a line of the plan
_APPLIED = {"accepted", "unconfirmed"}
_NOT_TOLD = {"unknown", "stuck", "in flight"}


def effect_of(row: JournalRow) -> str:
    """Return what became of a row: one of `EFFECTS`."""
    return row.effect or "accepted" if row.state == "done" else row.state


def error_text(row: JournalRow, *, trace: bool = False) -> str:
    """Return a row's error without what the row itself says, or what is of no use to people."""
    message = _EARLIER.sub("", _TRACE.sub("", _REQUEST.sub("", row.message)))
    return f"{row.error}: {message}" + (f" [trace_id={row.trace_id}]" if trace and row.trace_id else "")


def before_object(row: JournalRow) -> dict[str, Any] | None:
    """Return the run under whose ETag the row's last write was sent, as a JSON object; `None` if nothing was sent."""
    run = row.before
    if run is None:
        return None
    return {
        "status": str(run.status),
        "start_fielding_at": to_text(run.start_fielding_at),
        "end_fielding_at": to_text(run.end_fielding_at),
        "etag": run.etag,
        "version": run.version,
        "last_changed_at": json_value(run.last_changed_at),
        "last_changed_by": run.last_changed_by,
    }


def after_object(row: JournalRow) -> dict[str, Any] | None:
    """Return the run as the row's write left it, as a JSON object; `None` if the write is not known to be applied.

    A date that the action may have changed, and that no reply showed, is `None`.
    """
    if effect_of(row) not in _APPLIED or row.before is None or row.action is None:
        return None
    status, start, end = _after(row.action, row.before)
    return {"status": status, "start_fielding_at": start, "end_fielding_at": end, "etag": row.etag}


def _after(action: object, run: FieldingRun) -> tuple[str, str | None, str | None]:
    start, end = to_text(run.start_fielding_at), to_text(run.end_fielding_at)
    if isinstance(action, Update):
        return (
            str(run.status),
            start if action.start_fielding_at is None else to_text(action.start_fielding_at),
            end if action.end_fielding_at is None else to_text(action.end_fielding_at),
        )
    target = str(getattr(action, "target", ""))
    return (target, start, end) if isinstance(action, Pause | Resume) else (target, None, None)


def change_text(row: JournalRow) -> str:
    """Return from what to what the row's write changed the run: `live -> paused`, `end 2031-… -> 2031-…`.

    A write that may or may not be applied has a question mark. The text is empty if the row sent nothing, or changed
    nothing.
    """
    effect = effect_of(row)
    run, action = row.before, row.action
    if run is None or action is None or effect not in _APPLIED | _NOT_TOLD:
        return ""
    mark = "?" if effect in _NOT_TOLD else ""
    if isinstance(action, StatusAction):
        return f"{run.status} -> {action.target}{mark}"
    if not isinstance(action, Update):
        return ""
    parts: list[str] = []
    for name, wanted, had in (
        ("start", action.start_fielding_at, run.start_fielding_at),
        ("end", action.end_fielding_at, run.end_fielding_at),
    ):
        if wanted is not None and wanted != had:
            parts.append(f"{name} {time_text(had)} -> {time_text(wanted)}{mark}")
    return ", ".join(parts)


def row_object(row: JournalRow) -> dict[str, Any]:
    """Return a row as a JSON object."""
    ref = row.ref
    return {
        "kind": "row",
        "number": row.number,
        "time": json_value(row.time),
        "ref": json_value(ref),
        **(dict.fromkeys(fields_dict(RunRef)) if ref is None else asdict(ref)),
        "action": json_value(row.action),
        "before": before_object(row),
        "after": after_object(row),
        "effect": effect_of(row),
        "conflicts": row.conflicts,
        "trace_id": row.trace_id,
        "error": row.error or None,
        "message": row.message or None,
    }
