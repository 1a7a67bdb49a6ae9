"""What the lines of a journal say about its rows, and which lines are incomplete or damaged. Pure."""

import json
import re
from array import array
from collections.abc import Iterator
from datetime import datetime
from typing import Any, get_args

from fielding_async.core.actions import Action, Update
from fielding_async.core.models import FieldingRun, RunRef

from .chain import DamagedError, GroupReader, Head
from .records import begins_a_journal, read_action, read_binding, read_intent, text_of, time_of, unknown_record
from .values import Binding, EndState, EventKind, JournalCounts, JournalEvent, JournalRow

__all__ = ["DamagedError", "Replay", "begins_a_journal", "read_binding"]

_MOST_ROWS = 1 << 27
_STATES: tuple[EndState, ...] = ("done", "failed", "unknown", "skipped")
_CODE_OF: dict[str, int] = {"accepted": 1, "already": 1, "unconfirmed": 1, "failed": 2, "unknown": 3, "skipped": 4}

_QUICK = re.compile(
    rb'\{"(intent|end)":(\d{1,9}),"row":"([0-9a-f]{8})",'
    rb'(?:"action":(?:"(?:launch-now|pause|resume|complete|relaunch)"|\["update",)|"as":"([a-z]+)","do":"([a-z?-]+)")'
)
_EVENTS = get_args(EventKind)
_Sent = tuple[FieldingRun, RunRef | None, datetime | None]  # the run under whose ETag, the run's ref, when


class Replay:
    """The state of every row of a journal, from its lines. A row that ended takes five bytes of memory.

    `commits`: the number of the last group. `digest`: of all up to its end. `good_bytes`: the length of what could be
    read, in bytes; the rest is an incomplete end. `outcomes`: how many rows ended, by the name of the action and the
    outcome.
    """

    def __init__(self, *, keep: bool = False, keep_done: bool = False) -> None:
        self._states = bytearray()
        self._digests = array("I")
        self._keep = keep or keep_done
        self._keep_done = keep_done
        self._groups = GroupReader()
        self._unread: dict[int, tuple[int, bytes]] = {}  # lines of intents, which are read at the end
        self._open: dict[int, tuple[Action, FieldingRun]] = {}
        self._sent: dict[int, _Sent] = {}  # with `keep`: the last intents of the rows without an end
        self._stuck: dict[int, JournalRow] = {}
        self.commits: int = 0
        self.digest: str = ""
        self.good_bytes: int = 0
        self.outcomes: dict[tuple[str, str], int] = {}
        self.rows: list[JournalRow] = []
        """With `keep`: the rows that did not end well, with `keep_done` all that ended, until the caller empties it."""
        self.events: list[JournalEvent] = []
        """With `keep`: what happened to the batch, until the caller empties it."""

    def begin(self, line: bytes, head: Head | None = None) -> Binding:
        """Take the first line. `head`: a group that must be there, with this digest.

        Raises `ConfigurationError`, which says what is wrong but not in which file.
        """
        binding = read_binding(line)
        self._groups.head = head
        self._groups.begin(line, chained=binding.format > 1)
        self._advance()
        return binding

    def feed(self, line: bytes) -> None:
        """Take the next line, newline included. Raises `DamagedError`.

        What a crash can have left of the last group is kept out, and lies beyond `good_bytes`.
        """
        records = self._groups.feed(line)
        for place, record in enumerate(records):
            try:
                if not self._take_quickly(record, place):
                    self._apply(json.loads(record.decode()))  # from bytes it would detect the encoding first
            except (ValueError, KeyError, TypeError, OverflowError):
                raise unknown_record(self._groups.first_line + place) from None
        self._advance()

    def end(self) -> None:
        """Check that the journal goes at least as far as its head says, and that what is open can be read.

        Raises `DamagedError`.
        """
        groups = self._groups
        head = groups.head
        if head is None or head.groups <= self.commits:
            self.open  # noqa: B018 - it is read now
            return
        if groups.problem and head.groups == self.commits + 1:
            raise DamagedError(f"{groups.problem}, and its head says that this group was whole")
        raise DamagedError(
            f"it ends with group {self.commits} (line {groups.lines}), and its head says that there were {head.groups}:"
            " it was cut back, or it is an older copy"
        )

    @property
    def open(self) -> dict[int, tuple[Action, FieldingRun]]:
        """The rows without an end whose write may be applied, with the action and the run in their last intent.

        Raises `DamagedError` if one of them cannot be read.
        """
        for number, (place, line) in self._unread.items():
            try:
                self._open[number] = read_intent(json.loads(line))
            except (ValueError, KeyError, TypeError, OverflowError):
                raise unknown_record(place) from None
        self._unread.clear()
        return self._open

    @property
    def is_chained(self) -> bool:
        """Whether a group of it has a digest."""
        return bool(self._groups.time)

    def _advance(self) -> None:
        groups = self._groups
        self.commits, self.digest, self.good_bytes = groups.groups, groups.digest, groups.good_bytes

    def _take_quickly(self, line: bytes, place: int) -> bool:
        """Take a chained record of the most frequent kinds, which was checked already, without reading all of it."""
        if self._keep or not self._groups.time:
            return False
        found = _QUICK.match(line)
        if found is None:
            return False
        number = self._keep_digest(int(found[2]), int(found[3], 16))
        if found[1] == b"intent":
            if not self._states[number]:
                self._unread[number] = self._groups.first_line + place, line
                self._stuck.pop(number, None)
        else:
            outcome = found[4].decode()
            self._end(number, _CODE_OF[outcome], (found[5].decode(), outcome))
        return True

    def _apply(self, record: dict[str, Any]) -> None:
        if "end" in record:
            self._apply_end(record)
        elif "intent" in record:
            self._apply_intent(record)
        elif "settled" in record:
            number = self._number(record["settled"], record)
            self._open.pop(number, None)
            self._unread.pop(number, None)
        elif "stuck" in record:
            row = self._row(record, record["stuck"], None)
            number = self._number(record["stuck"], record)
            if not self._states[number]:
                self._stuck[number] = row
        elif record["event"] in _EVENTS:
            if self._keep:
                self.events.append(self._event(record))
        else:
            raise ValueError(record["event"])

    def _apply_intent(self, record: dict[str, Any]) -> None:
        intent = read_intent(record)
        number = self._number(record["intent"], record)
        if self._states[number]:
            return
        self._open[number] = intent
        self._stuck.pop(number, None)
        if self._keep:
            ref = None
            if "parents" in record:
                account_id, project_id, target_group_id = record["parents"]
                ref = RunRef(account_id, project_id, target_group_id, intent[1].id)
            self._sent[number] = intent[1], ref, self._time()

    def _apply_end(self, record: dict[str, Any]) -> None:
        code = _CODE_OF[record["as"]]
        key = text_of(record["do"]), text_of(record["as"])
        number = record["end"]
        row = self._row(record, number, code) if self._keep and (code > 1 or self._keep_done) else None
        number = self._number(number, record)
        if self._end(number, code, key) and row is not None:
            self.rows.append(row)

    def _end(self, number: int, code: int, key: tuple[str, str]) -> bool:
        """Take note of how a row ended. Return whether that is new."""
        self._open.pop(number, None)
        self._unread.pop(number, None)
        self._sent.pop(number, None)
        self._stuck.pop(number, None)
        if self._states[number]:
            return False
        self._states[number] = code
        self.outcomes[key] = self.outcomes.get(key, 0) + 1
        return True

    def _row(self, record: dict[str, Any], number: int, code: int | None) -> JournalRow:
        """Return the row of a record that says how it ended, or that it is stuck (`code` is `None`)."""
        ref = record.get("ref")
        ended = record["as"]
        before, sent_to, _ = self._sent.get(number, (None, None, None))
        values: dict[str, Any] = {"state": "stuck" if code is None else _STATES[code - 1]}
        if code == 1:
            what = record.get("action", record["do"])
            values |= {"effect": ended, "etag": record.get("etag") if ended == "accepted" else None}
        else:
            what = record["action"]
            values |= {"error": text_of(record["error"]), "message": text_of(record["message"])}
        return JournalRow(
            number=number,
            ref=RunRef(*ref) if ref else sent_to,
            action=what and self._action(what, number),
            trace_id=record["trace"],
            time=self._time(),
            before=before,
            conflicts=int(record.get("conflicts", 0)),
            **values,
        )

    def _action(self, what: Any, number: int) -> Action | None:
        if what == Update.name:  # an update of format 1 that ended well: its intent has the dates
            sent = self._open.get(number)
            return sent and sent[0]
        return read_action(what)

    def _event(self, record: dict[str, Any]) -> JournalEvent:
        time = self._time()
        kind, seconds = record["event"], record["seconds"]
        if time is None:
            raise ValueError(kind)
        return JournalEvent(
            time=time, kind=kind, seconds=None if seconds is None else float(seconds), reason=text_of(record["reason"])
        )

    def _number(self, number: Any, record: dict[str, Any]) -> int:
        """Return the number of a row, and keep its digest. Raises `ValueError` if it is none."""
        if type(number) is not int:
            raise TypeError(number)
        return self._keep_digest(number, int(record["row"], 16))

    def _keep_digest(self, number: int, digest: int) -> int:
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
        return _STATES[code - 1] if code else None

    def counts(self) -> JournalCounts:
        """Return how many rows ended in each way, and how many are in flight."""
        by_state = dict.fromkeys(_STATES, 0)
        for (_, outcome), rows in self.outcomes.items():
            by_state[_STATES[_CODE_OF[outcome] - 1]] += rows
        in_flight = self._open.keys() | self._unread.keys()
        return JournalCounts(**by_state, in_flight=len(in_flight - self._stuck.keys()), stuck=len(self._stuck))

    def _time(self) -> datetime | None:
        return time_of(self._groups.time)

    def written(self) -> tuple[datetime | None, datetime | None]:
        """Return the times of the first and of the last group, where they are on record."""
        return time_of(self._groups.first_time), self._time()

    def without_end(self) -> Iterator[JournalRow]:
        """Yield the rows that are stuck, then those in flight. Their refs, runs and times need `keep`."""
        for _, row in sorted(self._stuck.items()):
            yield row
        for number, (action, _) in sorted(self.open.items()):
            if number not in self._stuck:
                before, ref, time = self._sent.get(number, (None, None, None))
                yield JournalRow(number=number, ref=ref, action=action, state="in flight", before=before, time=time)
