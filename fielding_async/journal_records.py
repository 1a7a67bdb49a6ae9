"""The lines of a journal, and what they add up to: values in, values out.

A journal is JSON lines. The first binds it to a format, an exchange and a plan; then come groups of records, each group
made durable as one and begun by a `commit` line. A row is named by its place in the input and a digest of what it asks
for. Records of a row: `intent` (this leaves now, under this ETag), `settled` (that cannot be applied any more), `end`.
"""

import json
from array import array
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from hashlib import blake2b
from json.encoder import encode_basestring_ascii
from typing import Any, Literal

from attrs import frozen

from .actions import Action, Complete, LaunchNow, Pause, Relaunch, Resume, StatusAction, Update, check_action
from .dates import parse_timestamp, to_text
from .errors import ConfigurationError
from .models import FieldingRun, Outcome, RunRef

__all__ = [
    "NO_ROW",
    "Binding",
    "DamagedError",
    "EndState",
    "JournalCounts",
    "JournalRow",
    "JournalSummary",
    "Replay",
    "begins_a_journal",
    "commit_line",
    "end_line",
    "failure_line",
    "header_line",
    "intent_line",
    "read_binding",
    "row_digest",
    "settled_line",
]

FORMAT = 1
NO_ROW = 1
"""The digest of a row that is none: its ref or its action is bad."""

_MOST_ROWS = 1 << 27
_LONGEST_MESSAGE = 2000
_STATUS_ACTIONS = {action.name: action for action in (LaunchNow(), Pause(), Resume(), Complete(), Relaunch())}

EndState = Literal["done", "failed", "unknown", "skipped"]
"""How a row ended."""

_STATES: tuple[EndState, ...] = ("done", "failed", "unknown", "skipped")
_CODE_OF: dict[str, int] = {"accepted": 1, "already": 1, "unconfirmed": 1, "failed": 2, "unknown": 3, "skipped": 4}

_encode = json.JSONEncoder(separators=(",", ":")).encode
_quote: Callable[[str], str] = encode_basestring_ascii


@frozen
class Binding:
    """What a journal belongs to. `plan`: a digest of the whole plan, where the caller knew it."""

    base_url: str
    api_version: str
    plan: str | None = None


@frozen(kw_only=True)
class JournalCounts:
    """How many rows of a journal ended in which way. `in_flight`: begun, and their end is not on record."""

    done: int = 0
    failed: int = 0
    unknown: int = 0
    skipped: int = 0
    in_flight: int = 0

    @property
    def ended(self) -> int:
        """How many rows have ended, one way or another."""
        return self.done + self.failed + self.unknown + self.skipped


@frozen(kw_only=True)
class JournalSummary:
    """What a journal holds.

    `plan` is the digest of the plan that it is bound to, if one was named. `outcomes` counts the rows that ended, by
    the name of the action and by `accepted`, `already`, `unconfirmed`, `failed`, `unknown` or `skipped`.
    """

    base_url: str
    api_version: str
    plan: str | None
    counts: JournalCounts
    outcomes: Mapping[tuple[str, str], int]


@frozen(kw_only=True)
class JournalRow:
    """A row of a journal that did not end well.

    `number` is its place in the input, from 0. `ref` and `action` are `None` if they were no such thing (and for a row
    in flight `ref` is not on record). `error` is the name of the error's class, `message` its text; both are empty for
    a row in flight.
    """

    number: int
    ref: RunRef | None
    action: Action | None
    state: Literal["failed", "unknown", "skipped", "in flight"]
    error: str = ""
    message: str = ""
    trace_id: str | None = None


class DamagedError(Exception):
    """The journal cannot be trusted: a line in the middle of it cannot be read."""


def row_digest(ref: RunRef, action: Action) -> int:
    """Return a 32-bit digest, at least 2, of what a row asks for. Both must have been checked."""
    what = action.name if isinstance(action, StatusAction) else _encode(_action(action))
    text = f"{ref.account_id}/{ref.project_id}/{ref.target_group_id}/{ref.fielding_run_id}/{what}"
    return max(int.from_bytes(blake2b(text.encode(), digest_size=4).digest(), "big"), 2)


# -- writing


def header_line(binding: Binding) -> bytes:
    """Return the first line."""
    return _line(
        {
            "fielding_journal": FORMAT,
            "base_url": binding.base_url,
            "api_version": binding.api_version,
            "plan": binding.plan,
        }
    )


def commit_line(number: int) -> bytes:
    """Return the line that begins a group."""
    return b'{"commit":%d}\n' % number


def intent_line(number: int, digest: int, action: Action, base: FieldingRun) -> bytes:
    """Return the record of a write that is about to leave under the ETag of `base`."""
    # written out by hand: it is made for every write, and takes half the time this way
    what = f'"{action.name}"' if isinstance(action, StatusAction) else _encode(_action(action))
    return (
        f'{{"intent":{number},"row":"{digest:08x}","action":{what},'
        f'"run":{_quote(base.id)},"etag":{_quote(base.etag or "")},"version":{base.version},'
        f'"status":{_quote(base.status)},"start_at":{_quote(base.start_text or to_text(base.start_fielding_at))},'
        f'"end_at":{_quote(base.end_text or to_text(base.end_fielding_at))},'
        f'"changed_at":"{to_text(base.last_changed_at)}","changed_by":{_quote(base.last_changed_by)}}}\n'
    ).encode()


def settled_line(number: int, digest: int) -> bytes:
    """Return the record that nothing sent for this row so far can be applied any more."""
    return b'{"settled":%d,"row":"%08x"}\n' % (number, digest)


def end_line(number: int, digest: int, action: Action, outcome: Outcome) -> bytes:
    """Return the record of a row that ended well."""
    return b'{"end":%d,"row":"%08x","as":"%b","do":"%b","trace":"%b"}\n' % (
        number,
        digest,
        outcome.effect.encode(),
        action.name.encode(),
        outcome.trace_id.encode(),
    )


def failure_line(
    number: int, digest: int, ref: RunRef | None, action: Action | None, state: EndState, error: Exception
) -> bytes:
    """Return the record of a row that failed, is unknown or was skipped, with all that a new plan would need."""
    return _line(
        {
            "end": number,
            "row": f"{digest:08x}",
            "as": state,
            "do": "?" if action is None else action.name,
            "ref": ref and [ref.account_id, ref.project_id, ref.target_group_id, ref.fielding_run_id],
            "action": action and _action(action),
            "error": type(error).__name__,
            "message": str(error)[:_LONGEST_MESSAGE],
            "trace": getattr(error, "trace_id", None),
        }
    )


def _line(record: dict[str, Any]) -> bytes:
    return _encode(record).encode() + b"\n"


def _action(action: Action) -> str | list[str | None]:
    if not isinstance(action, Update):
        return action.name
    return [action.name, _date(action.start_fielding_at), _date(action.end_fielding_at)]


def _date(value: datetime | None) -> str | None:
    return None if value is None else to_text(value)


# -- reading


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
    except (ValueError, KeyError, TypeError):
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
        start_fielding_at=parse_timestamp(record["start_at"]),
        end_fielding_at=parse_timestamp(record["end_at"]),
        last_changed_at=parse_timestamp(record["changed_at"]),
        last_changed_by=_text(record["changed_by"]),
        etag=_text(record["etag"]),
        start_text=record["start_at"],
        end_text=record["end_at"],
    )
    return _read_action(record["action"]), base


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
        before a later group means that the file was changed by something else.
        """
        self._lines += 1
        if self._torn_at:
            if line.startswith(b'{"commit":') and line.endswith(b"}\n"):
                raise DamagedError(f"line {self._torn_at + 1} cannot be read, and is not the end of the file")
            return
        if line.endswith(b"\n") and self._take(line):
            self.good_bytes += len(line)
        else:
            self._torn_at = self._lines

    def _take(self, line: bytes) -> bool:
        try:
            record = json.loads(line)
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
        except (ValueError, KeyError, TypeError, RecursionError):
            return False
        return True

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
