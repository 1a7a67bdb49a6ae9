"""What the lines of a journal say about its rows, and which lines are incomplete or damaged. Pure."""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, get_args

from attrs import evolve

from fielding_async.core.actions import Action
from fielding_async.core.models import FieldingRun, RunRef

from .chain import DamagedError, GroupReader, Head
from .records import (
    CODE_OF,
    STATES,
    RowStates,
    add_runs,
    begins_a_journal,
    ended_counts,
    read_binding,
    read_event,
    read_intent,
    read_row,
    text_of,
    time_of,
    unknown_record,
)
from .values import Binding, JournalCounts, JournalEvent, JournalEventKind, JournalRow, ResolvedRuns

__all__ = ["DamagedError", "Replay", "begins_a_journal", "read_binding"]


_QUICK = re.compile(
    rb'\{"(intent|end)":(\d{1,9}),"row":"([0-9a-f]{8})",'
    rb'(?:"action":(?:"(?:launch-now|pause|resume|complete|relaunch)"|\["update",)|"as":"([a-z]+)","do":"([a-z?-]+)")'
)
_EVENTS = get_args(JournalEventKind)
_Sent = tuple[FieldingRun, RunRef | None, datetime | None]  # the run under whose ETag, the run's ref, when


class Replay(RowStates):
    """The state of every row of a journal, from its lines. A row that ended takes five bytes of memory.

    `commits`: the number of the last group. `digest`: of all up to its end. `good_bytes`: the length of what could be
    read, in bytes; the rest is an incomplete end. `outcomes`: how many rows ended, by the name of the action and the
    outcome. `left`: the ETags that rows with an `if_match` left, under which later rows may have to be sent.
    `resolved`: the runs of the target groups of a plan that names no runs.
    """

    def __init__(self, *, keep: bool = False, keep_done: bool = False, notes_digest: bool = False) -> None:
        super().__init__()
        self._keep = keep or keep_done
        self._keep_done = keep_done
        self._groups = GroupReader()
        self._groups.whole = sha256() if notes_digest else None
        self._unread: dict[int, tuple[int, bytes, str]] = {}  # lines of intents, which are read when that is needed
        self._open: dict[int, tuple[Action, FieldingRun]] = {}
        self._sent: dict[int, _Sent] = {}  # with `keep`: the last intents of the rows without an end
        self._stuck: dict[int, JournalRow] = {}
        self.commits: int = 0
        self.digest: str = ""
        self.good_bytes: int = 0
        self.outcomes: dict[tuple[str, str], int] = {}
        self.left: dict[int, str] = {}
        self.resolved: ResolvedRuns = {}
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
        self._take(self._groups.feed(line))
        self._advance()

    def feed_group(self, line: bytes, following: Iterator[bytes]) -> bytes:
        """Take the next line, and if it starts a group, its records from the lines that follow. Return the last one.

        Does what `feed` does with these lines, in less time. Raises `DamagedError`.
        """
        records, is_taken = self._groups.feed_group(line, following)
        if is_taken:
            self._take(records)
            self._advance()
        else:
            for each in (line, *records):
                self.feed(each)
        return records[-1] if records else line

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
        while self._unread:
            self._read_intent(next(iter(self._unread)))
        return self._open

    def _read_intent(self, number: int) -> None:
        """Read the last intent of a row, if it was not read yet."""
        place, line, time = self._unread.pop(number, (0, b"", ""))
        if not line:
            return
        try:
            record = json.loads(line.decode())
            self._keep_intent(number, read_intent(record), record, time)
        except (ValueError, KeyError, TypeError, OverflowError):
            raise unknown_record(place) from None

    @property
    def digest_of_all(self) -> bytes | None:
        """The SHA-256 of all that was fed; `None` if it was not noted, or if there is an incomplete end."""
        groups = self._groups
        return None if groups.whole is None or groups.problem else groups.whole.digest()

    def adopt(self, other: "Replay") -> None:
        """Take over what `other` has read of the same journal. The head stays that of this one."""
        head = self._groups.head
        vars(self).update(vars(other))
        self._groups.head = head

    @property
    def incomplete(self) -> str:
        """What is wrong with the incomplete end, if there is one; else empty."""
        return self._groups.problem

    @property
    def is_chained(self) -> bool:
        """Whether a group of it has a digest."""
        return bool(self._groups.time)

    def _advance(self) -> None:
        groups = self._groups
        self.commits, self.digest, self.good_bytes = groups.groups, groups.digest, groups.good_bytes

    def _take(self, records: Sequence[bytes]) -> None:
        """Take records that were checked already."""
        is_quick = bool(self._groups.time) and not self._keep_done
        for place, record in enumerate(records, self._groups.first_line):
            try:
                if not (is_quick and self._take_quickly(record, place)):
                    self._apply(json.loads(record.decode()))  # from bytes it would detect the encoding first
            except (ValueError, KeyError, TypeError, OverflowError):
                raise unknown_record(place) from None

    def _take_quickly(self, line: bytes, place: int) -> bool:
        """Take a chained record of the most frequent kinds without reading all of it. Return whether it was taken."""
        found = _QUICK.match(line)
        if found is None:
            return False
        what, row, digest, outcome, action = found.groups()
        if what == b"intent":
            number = self.keep(int(row), int(digest, 16))
            if not self._states[number]:
                self._unread[number] = place, line, self._groups.time
                if self._stuck:
                    self._stuck.pop(number, None)
            return True
        code = CODE_OF[outcome.decode()]
        # the ETag that a guarded row left is kept
        if (self._keep and code > 1) or b',"if_match":' in line:
            return False
        number = self.keep(int(row), int(digest, 16))
        self._end(number, code, (action.decode(), outcome.decode()))
        return True

    def _apply(self, record: dict[str, Any]) -> None:
        if "end" in record:
            self._apply_end(record)
        elif "intent" in record:
            self._apply_intent(record)
        elif "settled" in record:
            number = self._number(record["settled"], record)
            if self._keep:
                self._read_intent(number)  # the row may show under which ETag it was sent
            self._open.pop(number, None)
            self._unread.pop(number, None)
        elif "stuck" in record:
            if self._keep:
                self._read_intent(record["stuck"])
            row = self._row(record, record["stuck"], None)
            number = self._number(record["stuck"], record)
            if not self._states[number]:
                self._stuck[number] = row
        elif "resolved" in record:
            add_runs(self.resolved, record, is_first=not self._states)
        elif record["event"] in _EVENTS:
            if self._keep:
                self.events.append(read_event(record, self._time()))
        else:
            raise ValueError(record["event"])

    def _apply_intent(self, record: dict[str, Any]) -> None:
        intent = read_intent(record)
        number = self._number(record["intent"], record)
        if not self._states[number]:
            self._stuck.pop(number, None)
            self._unread.pop(number, None)
            self._keep_intent(number, intent, record, self._groups.time)

    def _keep_intent(self, number: int, intent: tuple[Action, FieldingRun], record: dict[str, Any], time: str) -> None:
        self._open[number] = intent
        if self._keep:
            ref = None
            if "parents" in record:
                account_id, project_id, target_group_id = record["parents"]
                ref = RunRef(account_id, project_id, target_group_id, intent[1].id)
            self._sent[number] = intent[1], ref, time_of(time)

    def _apply_end(self, record: dict[str, Any]) -> None:
        code = CODE_OF[record["as"]]
        key = text_of(record["do"]), text_of(record["as"])
        number = record["end"]
        if self._keep and code > 1:
            self._read_intent(number)
        row = self._row(record, number, code) if self._keep and (code > 1 or self._keep_done) else None
        number = self._number(number, record)
        if not self._end(number, code, key):
            return
        if row is not None:
            self.rows.append(row)
        if "if_match" in record and record["as"] == "accepted" and record["etag"] is not None:
            self.left[number] = text_of(record["etag"])

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
        before, sent_to, _ = self._sent.get(number, (None, None, None))
        sent = self._open.get(number)
        row = read_row(record, number, STATES[code - 1] if code else "stuck", sent and sent[0])
        return evolve(row, ref=row.ref or sent_to, before=before, time=self._time())

    def _number(self, number: Any, record: dict[str, Any]) -> int:
        """Return the number of a row, and keep its digest. Raises `ValueError` if it is none."""
        if type(number) is not int:
            raise TypeError(number)
        return self.keep(number, int(record["row"], 16))

    def counts(self) -> JournalCounts:
        """Return how many rows ended in each way, and how many are in flight."""
        in_flight = self._open.keys() | self._unread.keys()
        in_flight -= self._stuck.keys()
        return evolve(ended_counts(self.outcomes), in_flight=len(in_flight), stuck=len(self._stuck))

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
