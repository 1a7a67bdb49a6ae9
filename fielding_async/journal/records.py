"""Reads the first line and the records of a journal, and keeps the states of its rows. Pure."""

import json
from array import array
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal
from zlib import crc32

from attrs import frozen

from fielding_async.core.actions import Action, Complete, LaunchNow, Pause, Relaunch, Resume, Update, check_action
from fielding_async.core.dates import parse_timestamp
from fielding_async.core.errors import ConfigurationError, briefly
from fielding_async.core.models import FieldingRun, RunRef

from .chain import DamagedError
from .lines import is_as_written
from .values import FORMAT, Binding, EndState, JournalCounts, JournalEvent, JournalRow, ResolvedRuns

__all__ = [
    "CODE_OF",
    "NOT_A_JOURNAL",
    "STATES",
    "DoneRows",
    "RowStates",
    "add_runs",
    "begins_a_journal",
    "ended_counts",
    "read_action",
    "read_binding",
    "read_event",
    "read_intent",
    "read_row",
    "text_of",
    "time_of",
    "unknown_record",
]

STATES: tuple[EndState, ...] = ("done", "failed", "unknown", "skipped")
"""How rows end, by their code less 1."""

CODE_OF: dict[str, int] = {"accepted": 1, "already": 1, "unconfirmed": 1, "failed": 2, "unknown": 3, "skipped": 4}
"""The code of each outcome on record."""

_MOST_ROWS = 1 << 27
_STATUS_ACTIONS = {action.name: action for action in (LaunchNow(), Pause(), Resume(), Complete(), Relaunch())}

_parse_date = lru_cache(4096)(parse_timestamp)  # of millions of dates many may be the same


NOT_A_JOURNAL = "is not a journal of this library: name another file"


def begins_a_journal(data: bytes) -> bool:
    """Whether these are the first bytes of a journal, however few."""
    mark = b'{"fielding_journal":'
    return data[: len(mark)] == mark[: len(data)]


def read_binding(line: bytes) -> Binding:
    """Read the first line. Raises `ConfigurationError`, which says what is wrong but not in which file."""
    try:
        record = json.loads(line)
        version = record["fielding_journal"]
        binding = Binding(record["base_url"], record["api_version"], record["plan"], format=version)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ConfigurationError(NOT_A_JOURNAL) from None
    if version not in (1, FORMAT):
        raise ConfigurationError(
            f"is a journal of format {briefly(version, 20)}, and this version reads formats 1 to {FORMAT}: use a newer"
            " version"
        )
    if version == FORMAT and not is_as_written(line):
        raise ConfigurationError("is damaged: line 1 is not as it was written: put back the whole file")
    return binding


def read_action(value: Any) -> Action:
    """Return the action of a record. Raises `ValueError`, `KeyError` or `TypeError`."""
    if isinstance(value, str):
        return _STATUS_ACTIONS[value]
    name, start, end = value
    if name != Update.name:
        raise ValueError(name)
    return check_action(
        Update(start_fielding_at=start and parse_timestamp(start), end_fielding_at=end and parse_timestamp(end))
    )


def read_intent(record: dict[str, Any]) -> tuple[Action, FieldingRun]:
    """Return the action of an intent and the run under whose ETag it was sent. Raises as `read_action` does."""
    base = FieldingRun(
        id=text_of(record["run"]),
        status=text_of(record["status"]),
        version=None if record["version"] is None else int(record["version"]),
        start_fielding_at=_parse_date(record["start_at"]),
        end_fielding_at=_parse_date(record["end_at"]),
        last_changed_at=None if record["changed_at"] is None else _parse_date(record["changed_at"]),
        last_changed_by=None if record["changed_by"] is None else text_of(record["changed_by"]),
        etag=text_of(record["etag"]),
        start_text=record["start_at"],
        end_text=record["end_at"],
    )
    return read_action(record["action"]), base


def add_runs(runs: ResolvedRuns, record: dict[str, Any], *, is_first: bool) -> None:
    """Add the runs of a record to `runs`. `is_first`: no row is on record yet. Raises as `read_action` does.

    The run of a target group is on record once, and before the first row: no row can be of another run.
    """
    account_id, project_id = record["resolved"]
    if type(account_id) is not int:
        raise TypeError(type(account_id).__name__)
    known = runs.setdefault((account_id, text_of(project_id)), {})
    new = {text_of(group): text_of(run) for group, run in dict(record["runs"]).items()}
    if not is_first or not known.keys().isdisjoint(new):
        raise ValueError(project_id)
    known.update(new)


def read_row(
    record: dict[str, Any], number: int, state: EndState | Literal["stuck"], sent: Action | None
) -> JournalRow:
    """Return the row of a record that says how it ended, or that it is stuck. Raises as `read_action` does.

    `sent`: the action of its last intent. What else its intent says is left out, and the time.
    """
    ref, ended = record.get("ref"), record["as"]
    values: dict[str, Any] = {"state": state}
    if state == "done":
        what = record.get("action", record["do"])
        values |= {"effect": ended, "etag": record.get("etag") if ended == "accepted" else None}
    else:
        what = record["action"]
        values |= {"error": text_of(record["error"]), "message": text_of(record["message"])}
    # of an update of format 1 that ended well, the intent alone has the dates
    action = sent if what == Update.name else what and read_action(what)
    return JournalRow(
        number=number,
        ref=RunRef(*ref) if ref else None,
        action=action,
        trace_id=record["trace"],
        conflicts=int(record.get("conflicts", 0)),
        if_match=record.get("if_match"),
        **values,
    )


def read_event(record: dict[str, Any], time: datetime | None) -> JournalEvent:
    """Return the event of a record in a group of this time. Raises as `read_action` does."""
    kind, seconds = record["event"], record["seconds"]
    if time is None:
        raise ValueError(kind)
    return JournalEvent(
        time=time,
        kind=kind,
        seconds=None if seconds is None else float(seconds),
        reason=text_of(record["reason"]),
        began_at=time_of(record.get("began")),
        ended_at=time_of(record.get("ended")),
        count=int(record.get("count", 1)),
    )


def unknown_record(line: int) -> DamagedError:
    """Return the error for a line that is whole and says something unknown."""
    return DamagedError(f"line {line} is no record that this version knows; a newer version may have written it")


def time_of(text: str | None) -> datetime | None:
    """Return the time of a group; `None` for one of format 1. Raises `ValueError`."""
    return None if not text else _parse_date(text)


def text_of(value: Any) -> str:
    """Return `value` if it is a text; raises `TypeError`."""
    if not isinstance(value, str):
        raise TypeError(type(value).__name__)
    return value


def ended_counts(outcomes: Mapping[tuple[str, str], int]) -> JournalCounts:
    """Return how many rows ended in each way. `outcomes`: how many, by the name of the action and the outcome."""
    by_state = dict.fromkeys(STATES, 0)
    for (_, outcome), rows in outcomes.items():
        by_state[STATES[CODE_OF[outcome] - 1]] += rows
    return JournalCounts(**by_state)


@frozen
class DoneRows:
    """Rows of which a journal says that they are done: in the input of a batch it stands for all of them.

    `rows`: how many there are. `check_sum`: the CRC-32 of their digests, as 32-bit numbers in the machine's order.
    """

    rows: int
    check_sum: int


class RowStates:
    """How each row of a journal ended, and the digest of what it asks for, in five bytes a row."""

    def __init__(self) -> None:
        self._states = bytearray()
        self._digests = array("I")

    def keep(self, number: int, digest: int) -> int:
        """Keep the digest of a row, and return its number. Raises `ValueError` if it is none."""
        if not 0 <= number < _MOST_ROWS or not 0 < digest < 1 << 32:
            raise ValueError(number)
        missing = number + 1 - len(self._states)
        if missing > 0:
            self._states.extend(bytes(missing))
            self._digests.extend([0] * missing)
        self._digests[number] = digest
        return number

    def __len__(self) -> int:
        """Return the highest number of a row on record, plus one."""
        return len(self._states)

    def differs(self, number: int, digest: int) -> bool:
        """Whether another row is on record under this number."""
        return number < len(self._digests) and self._digests[number] not in {0, digest}

    def row_digest(self, number: int) -> int:
        """Return the digest of the row on record under this number; 0 if there is none."""
        return self._digests[number] if number < len(self._digests) else 0

    def state(self, number: int) -> EndState | None:
        """Return how a row ended; `None` if no end is on record."""
        code = self._states[number] if number < len(self._states) else 0
        return STATES[code - 1] if code else None

    def are_done(self, first: int, done: DoneRows) -> bool:
        """Whether these rows are on record as done, and no other ones. `first`: the number of the first of them."""
        end = first + done.rows
        if self._states.count(1, first, end) != done.rows:
            return False
        return crc32(self._digests[first:end].tobytes()) == done.check_sum

    def done_rows(self, first: int) -> DoneRows | None:
        """Return the rows from `first` on that are on record as done, up to the next other one; `None` if none is."""
        states = self._states[first:]
        rows = len(states) - len(states.lstrip(b"\1"))
        return DoneRows(rows, crc32(self._digests[first : first + rows].tobytes())) if rows else None
