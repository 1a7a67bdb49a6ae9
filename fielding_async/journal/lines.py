"""The lines of a journal, as they are written.

A journal is JSON lines. The first line binds it to a format, an exchange and a plan. Groups of records follow; each
starts with a `commit` line (see `chain`), and is made durable as one. A row is identified by its place in the input and
a digest of what it asks for. The records of a row: `intent` (a write is about to leave under this ETag), `settled`
(that write cannot be applied any more), `end` and `stuck` (set aside for now). An `event` is of the whole batch. If a
plan names target groups and no runs, `resolved` records hold the run of each, before the first record of a row.
"""

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from json.encoder import encode_basestring_ascii
from typing import Any, Literal
from zlib import crc32

from fielding_async.core.actions import Action, Update
from fielding_async.core.dates import to_text
from fielding_async.core.models import FieldingRun, Outcome, RunRef

from .values import Binding, EndState, JournalEventKind, ResolvedRuns

__all__ = [
    "NO_ROW",
    "end_line",
    "event_line",
    "failure_line",
    "header_line",
    "intent_line",
    "is_as_written",
    "pause_line",
    "resolved_lines",
    "row_digest",
    "settled_line",
]

NO_ROW = 1
"""The digest of a bad row: its ref or its action is not valid."""

_LONGEST_MESSAGE = 2000
_RUNS_AT_ONCE = 100  # in a record
_CHECK_BYTES = 21  # of a first line: `,"check":"…"}` and the end of the line

_encode = json.JSONEncoder(separators=(",", ":")).encode
_quote: Callable[[str], str] = encode_basestring_ascii


def row_digest(ref: RunRef, action: Action, if_match: str | None = None) -> int:
    """Return a 32-bit digest, at least 2, of what a row asks for. Both must have been checked."""
    what = action.name if not isinstance(action, Update) else _encode(_action(action))
    text = f"{ref.account_id}/{ref.project_id}/{ref.target_group_id}/{ref.fielding_run_id}/{what}"
    if if_match is not None:
        text = f"{text}/{if_match}"
    digest = crc32(text.encode())
    return digest if digest > NO_ROW else NO_ROW + 1


def header_line(binding: Binding) -> bytes:
    """Return the first line, which binds the journal, in the format that `binding` names."""
    line = _line(
        {
            "fielding_journal": binding.format,
            "base_url": binding.base_url,
            "api_version": binding.api_version,
            "plan": binding.plan,
        }
    )
    if binding.format == 1:
        return line
    start = line.removesuffix(b"}\n")
    return b'%b,"check":"%08x"}\n' % (start, crc32(start))


def is_as_written(line: bytes) -> bool:
    """Whether a first line of format 2 is as `header_line` wrote it."""
    start = line[:-_CHECK_BYTES]
    return line[-_CHECK_BYTES:] == b',"check":"%08x"}\n' % crc32(start)


def intent_line(number: int, digest: int, action: Action, base: FieldingRun, ref: RunRef | None = None) -> bytes:
    """Return the record of a write that is about to leave under the ETag of `base`. `ref` must have been checked."""
    # formatted by hand, in half the time of the encoder: there is one for every write
    what = f'"{action.name}"' if not isinstance(action, Update) else _encode(_action(action))
    parents = "" if ref is None else f'"parents":[{_parents(ref)}],'
    return (
        f'{{"intent":{number},"row":"{digest:08x}","action":{what},{parents}'
        f'"run":{_quote(base.id)},"etag":{_quote(base.etag or "")},"version":{_number(base.version)},'
        f'"status":{_quote(base.status)},"start_at":{_quote(base.start_text or to_text(base.start_fielding_at))},'
        f'"end_at":{_quote(base.end_text or to_text(base.end_fielding_at))},'
        f'"changed_at":{_optional_date(base.last_changed_at)},"changed_by":{_optional(base.last_changed_by)}}}\n'
    ).encode()


def _parents(ref: RunRef) -> str:
    return f'{ref.account_id},"{ref.project_id}","{ref.target_group_id}"'  # ULIDs: nothing in them needs quoting


def _number(value: int | None) -> str:
    return "null" if value is None else str(value)


def _optional_date(value: datetime | None) -> str:
    return "null" if value is None else f'"{to_text(value)}"'


def _optional(value: str | None) -> str:
    return "null" if value is None else _quote(value)


def settled_line(number: int, digest: int) -> bytes:
    """Return the record which says that nothing sent for this row so far can be applied any more."""
    return b'{"settled":%d,"row":"%08x"}\n' % (number, digest)


def end_line(number: int, digest: int, action: Action, outcome: Outcome, if_match: str | None = None) -> bytes:
    """Return the record of a row that ended well. The ref of `outcome` must have been checked."""
    what = f',"action":{_encode(_action(action))}' if isinstance(action, Update) else ""
    under = "" if if_match is None else f',"if_match":{_quote(if_match)}'
    return (
        f'{{"end":{number},"row":"{digest:08x}","as":"{outcome.effect}","do":"{action.name}"{what},'
        f'"ref":[{_parents(outcome.ref)},{_quote(outcome.ref.fielding_run_id)}],"trace":"{outcome.trace_id}",'
        f'"etag":{_optional(outcome.etag)},"conflicts":{outcome.conflicts}{under}}}\n'
    ).encode()


def failure_line(
    number: int,
    digest: int,
    ref: RunRef | None,
    action: Action | None,
    state: EndState | Literal["stuck"],
    error: Exception,
    if_match: str | None = None,
) -> bytes:
    """Return the record of a row that failed, is unknown, was skipped or is stuck, with what a new plan needs of it."""
    return _line(
        {
            "stuck" if state == "stuck" else "end": number,
            "row": f"{digest:08x}",
            "as": state,
            "do": "?" if action is None else action.name,
            "ref": ref and [ref.account_id, ref.project_id, ref.target_group_id, ref.fielding_run_id],
            "action": action and _action(action),
            "error": type(error).__name__,
            "message": str(error)[:_LONGEST_MESSAGE],
            "trace": getattr(error, "trace_id", None),
            "conflicts": getattr(error, "conflicts", 0),
            **({} if if_match is None else {"if_match": if_match}),
        }
    )


def event_line(kind: JournalEventKind, seconds: float | None, reason: str) -> bytes:
    """Return the record of something that happened to the whole batch."""
    return _line(_event(kind, seconds, reason))


def pause_line(seconds: float, reason: str, *, began: datetime, ended: datetime, count: int) -> bytes:
    """Return the record of `count` pauses of the session. `seconds`: how long they took together."""
    times = {"began": to_text(began), "ended": to_text(ended), "count": count}
    return _line({**_event("pause", seconds, reason), **times})


def _event(kind: JournalEventKind, seconds: float | None, reason: str) -> dict[str, Any]:
    return {
        "event": kind,
        "seconds": None if seconds is None else round(seconds, 3),
        "reason": reason[:_LONGEST_MESSAGE],
    }


def resolved_lines(runs: ResolvedRuns) -> Iterator[bytes]:
    """Yield the records of the run of each target group. All ids must have been checked."""
    for (account_id, project_id), run_of in runs.items():
        pairs = list(run_of.items())
        for start in range(0, len(pairs), _RUNS_AT_ONCE):
            some = dict(pairs[start : start + _RUNS_AT_ONCE])
            yield _line({"resolved": [account_id, project_id], "runs": some})


def _line(record: dict[str, Any]) -> bytes:
    return _encode(record).encode() + b"\n"


def _action(action: Action) -> str | list[str | None]:
    if not isinstance(action, Update):
        return action.name
    return [action.name, _date(action.start_fielding_at), _date(action.end_fielding_at)]


def _date(value: datetime | None) -> str | None:
    return None if value is None else to_text(value)
