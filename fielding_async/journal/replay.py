"""The lines of a journal, read: what they add up to, what is torn, what is damaged. Pure."""

import json
from array import array
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from fielding_async.core.actions import Action, Complete, LaunchNow, Pause, Relaunch, Resume, Update, check_action
from fielding_async.core.dates import parse_timestamp
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import FieldingRun, RunRef

from .lines import FORMAT
from .values import Binding, EndState, JournalCounts, JournalRow

__all__ = ["DamagedError", "Replay", "begins_a_journal", "read_binding"]

_MOST_ROWS = 1 << 27
_STATUS_ACTIONS = {action.name: action for action in (LaunchNow(), Pause(), Resume(), Complete(), Relaunch())}
_STATES: tuple[EndState, ...] = ("done", "failed", "unknown", "skipped")
_CODE_OF: dict[str, int] = {"accepted": 1, "already": 1, "unconfirmed": 1, "failed": 2, "unknown": 3, "skipped": 4}

_moment = lru_cache(4096)(parse_timestamp)  # there may be millions of dates, and many of them the same


class DamagedError(Exception):
    """The journal cannot be trusted: a line in the middle of it cannot be read."""


def begins_a_journal(data: bytes) -> bool:
    """Whether these are the first bytes of a journal, however few."""
    mark = b'{"fielding_journal":'
    return data[: len(mark)] == mark[: len(data)]


def read_binding(line: bytes) -> Binding:
    """Read the first line. Raises `ConfigurationError`, which says what is wrong with it but not where."""
    try:
        record = json.loads(line)
        version = record["fielding_journal"]
        binding = Binding(record["base_url"], record["api_version"], record["plan"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ConfigurationError("is not a journal of this library") from None
    if version != FORMAT:
        raise ConfigurationError(f"is a journal of format {version!r:.20}; this version reads format {FORMAT}")
    return binding


def _read_action(value: Any) -> Action:
    if isinstance(value, str):
        return _STATUS_ACTIONS[value]
    name, start, end = value
    if name != Update.name:
        raise ValueError(name)
    return check_action(Update(start and parse_timestamp(start), end and parse_timestamp(end)))


def _read_intent(record: dict[str, Any]) -> tuple[Action, FieldingRun]:
    base = FieldingRun(
        id=_text(record["run"]),
        status=_text(record["status"]),
        version=int(record["version"]),
        start_fielding_at=_moment(record["start_at"]),
        end_fielding_at=_moment(record["end_at"]),
        last_changed_at=_moment(record["changed_at"]),
        last_changed_by=_text(record["changed_by"]),
        etag=_text(record["etag"]),
        start_text=record["start_at"],
        end_text=record["end_at"],
    )
    return _read_action(record["action"]), base


def _read_line(line: bytes) -> Any:
    """Return what a line says; `None` if it was torn."""
    if not line.endswith(b"\n"):
        return None
    try:
        return json.loads(line.decode())  # it would look for the encoding otherwise
    except (ValueError, RecursionError):
        return None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(type(value).__name__)
    return value


class Replay:
    """What the lines of a journal add up to. A row that ended takes five bytes.

    `good_bytes`: the length of what could be read; what comes after it is a torn tail. `open`: rows in flight, with the
    action and the run that their last intent names.
    """

    def __init__(self, *, keep: bool = False) -> None:
        self._states = bytearray()
        self._digests = array("I")
        self._keep = keep
        self._torn_at = 0
        self._lines = 0
        self.commits: int = 0
        self.good_bytes: int = 0
        self.open: dict[int, tuple[Action, FieldingRun]] = {}
        self.outcomes: dict[tuple[str, str], int] = {}
        self.rows: list[JournalRow] = []
        """With `keep`: the rows that did not end well, since the caller last emptied this list."""

    def feed(self, line: bytes) -> None:
        """Take the next line after the first, with its newline. Raises `DamagedError`.

        Of what a crash tore nobody had been told that it is durable, so it can be cut; but a line that cannot be read
        before a later group means that the file was changed by something else, and so does a whole line that is no
        record: no crash leaves one.
        """
        self._lines += 1
        if self._torn_at:
            if line.startswith(b'{"commit":') and line.endswith(b"}\n"):
                raise DamagedError(f"line {self._torn_at + 1} cannot be read, and is not the end of the file")
            return
        record = _read_line(line)
        if record is None:
            self._torn_at = self._lines
            return
        try:
            self._take(record)
        except (ValueError, KeyError, TypeError, OverflowError):
            raise DamagedError(
                f"line {self._lines + 1} is no record that this version knows; a newer version may have written it"
            ) from None
        self.good_bytes += len(line)

    def _take(self, record: dict[str, Any]) -> None:
        if "end" in record:
            self._end(record)
        elif "intent" in record:
            number = self._row(record["intent"], record)
            intent = _read_intent(record)
            if not self._states[number]:
                self.open[number] = intent
        elif "settled" in record:
            self.open.pop(self._row(record["settled"], record), None)
        else:
            self.commits = int(record["commit"])

    def _end(self, record: dict[str, Any]) -> None:
        code = _CODE_OF[record["as"]]
        key = _text(record["do"]), _text(record["as"])
        ref = record.get("ref")
        row = None
        if self._keep and code > 1:
            row = JournalRow(
                number=int(record["end"]),
                ref=ref and RunRef(*ref),
                action=record["action"] and _read_action(record["action"]),
                state=record["as"],
                error=_text(record["error"]),
                message=_text(record["message"]),
                trace_id=record["trace"],
            )
        number = self._row(record["end"], record)
        self.open.pop(number, None)
        if self._states[number]:
            return
        self._states[number] = code
        self.outcomes[key] = self.outcomes.get(key, 0) + 1
        if row is not None:
            self.rows.append(row)

    def _row(self, number: Any, record: dict[str, Any]) -> int:
        digest = int(record["row"], 16)
        if type(number) is not int or not 0 <= number < _MOST_ROWS or not 0 < digest < 1 << 32:
            raise ValueError(number)
        missing = number + 1 - len(self._states)
        if missing > 0:
            self._states.extend(bytes(missing))
            self._digests.extend([0] * missing)
        self._digests[number] = digest
        return number

    def __len__(self) -> int:
        """Return one more than the highest number of a row on record."""
        return len(self._states)

    def differs(self, number: int, digest: int) -> bool:
        """Whether this row is on record as another one."""
        return number < len(self._digests) and self._digests[number] not in {0, digest}

    def state(self, number: int) -> EndState | None:
        """Return how a row ended; `None` if that is not on record."""
        code = self._states[number] if number < len(self._states) else 0
        return _STATES[code - 1] if code else None

    def counts(self) -> JournalCounts:
        """Count the rows."""
        by_state = dict.fromkeys(_STATES, 0)
        for (_, outcome), rows in self.outcomes.items():
            by_state[_STATES[_CODE_OF[outcome] - 1]] += rows
        return JournalCounts(**by_state, in_flight=len(self.open))

    def in_flight(self) -> Iterator[JournalRow]:
        """Yield the rows in flight."""
        for number, (action, _) in sorted(self.open.items()):
            yield JournalRow(number=number, ref=None, action=action, state="in flight")
