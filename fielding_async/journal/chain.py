"""The groups of a journal, numbered, counted and chained: writes them, and finds what is missing, doubled or altered.

The `commit` line of a group has its number, how many records follow, the time, a 16-bit sum of each record, which only
serves to name the line that is wrong, and a digest over the digest of the group before (in the first group: over all
lines before) and all of this group. Groups of format 1 have a number alone; chained groups may follow them. Pure.
"""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import blake2b
from itertools import islice
from struct import pack
from typing import Protocol
from zlib import crc32

from attrs import field, frozen

from fielding_async.core.dates import to_text

__all__ = [
    "NO_TIME",
    "DamagedError",
    "GroupReader",
    "Head",
    "ends_in",
    "group_bytes",
    "group_time",
    "head_of",
]

NO_TIME = ""
"""The time of a group of format 1, which has none."""

_BEGIN = b'{"commit":'
_END_BYTES = 35  # of the commit line, behind what the digest covers: the digest itself and `"}` with the line's end
_GROUP = re.compile(
    rb'\{"commit":(\d{1,15}),"records":(\d{1,9}),"time":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)",'
    rb'"sums":"((?:[0-9a-f]{4})*)","chain":"([0-9a-f]{32})"\}\n'
)
_UNCHAINED = re.compile(rb'\{"commit":(\d{1,15})\}\n')


class _Hash(Protocol):
    def update(self, data: bytes, /) -> object: ...

    def digest(self) -> bytes: ...


class DamagedError(Exception):
    """A line is missing, doubled, altered or unknown, and no crash can have left it so."""


@frozen
class Head:
    """How far a journal went: the number of its last group, and that group's digest.

    `ended`: how many rows have ended by then, `None` if that is not known.
    """

    groups: int
    digest: str
    ended: int | None = field(default=None, eq=False)


def ends_in(group: bytes) -> int:
    """Return how many rows end in a group."""
    return group.count(b'\n{"end":')


def group_bytes(number: int, time: datetime, records: Sequence[bytes], before: str) -> tuple[bytes, str]:
    """Return a whole group, and its digest. `before`: the digest of all that comes before it."""
    body = b"".join(records)
    start = b'{"commit":%d,"records":%d,"time":"%b","sums":"%b","chain":"' % (
        number,
        len(records),
        to_text(time).encode(),
        _sums(records),
    )
    digest = _digest(before, start, body)
    return b'%b%b"}\n%b' % (start, digest.encode(), body), digest


def head_of(group: bytes) -> Head | None:
    """Return what a head says once this group is durable; `None` if it is not a chained group."""
    found = _GROUP.match(group)
    return None if found is None else Head(int(found[1]), found[5].decode())


def group_time(group: bytes) -> str:
    """Return the time of a group; `NO_TIME` if it is not a chained one."""
    found = _GROUP.match(group)
    return NO_TIME if found is None else found[3].decode()


def _sums(records: Sequence[bytes]) -> bytes:
    return pack(f">{len(records)}H", *[crc32(record) & 0xFFFF for record in records]).hex().encode()


def _digest(before: str, start: bytes, body: bytes) -> str:
    digest = blake2b(before.encode(), digest_size=16)
    digest.update(start)
    digest.update(body)
    return digest.hexdigest()


class GroupReader:
    """Takes the lines of a journal in order, and gives back the records that are whole and as they were written.

    `groups`: the number of the last whole group. `digest`: of all up to its end. `good_bytes`: the length of what was
    given back, in bytes. `lines`: how many lines were taken. `first_time`, `time`: when the first and the last whole
    group were written. `first_line`: the number of the line of the first record that was given back last, from 1.
    `head`: if set, the group that it names must have its digest. `whole`: a digest of the first `good_bytes`, if it is
    set before the first line; that of the chain leaves out the digests on the lines themselves.
    """

    def __init__(self) -> None:
        self.groups: int = 0
        self.digest: str = ""
        self.good_bytes: int = 0
        self.lines: int = 1
        self.first_time: str | None = None
        self.time: str = NO_TIME
        self.first_line: int = 0
        self.head: Head | None = None
        self.whole: _Hash | None = None
        self._unchained = blake2b(digest_size=16)  # over all lines before the first chained group
        self._may_be_unchained = True
        self._problem = ""  # of the lines behind the last whole group: a torn end, unless another group follows
        self._commit: re.Match[bytes] | None = None  # of the group that is being read
        self._commit_line = 0
        self._records: list[bytes] = []
        self._missing = 0  # records of it

    def begin(self, line: bytes, *, chained: bool) -> None:
        """Take the first line. `chained`: every group has a digest."""
        self._may_be_unchained = not chained
        self._add_unchained(line)

    def feed(self, line: bytes) -> Sequence[bytes]:
        """Take the next line. Return the records, if a group is whole now. Raises `DamagedError`.

        A crash can leave the last group incomplete, whatever its bytes: nothing was sent or reported that relies on it,
        so that it can be cut off. Whatever has another group behind it was durable once.
        """
        self.lines += 1
        is_begin = line.startswith(_BEGIN)
        if (self._problem or not is_begin) and _BEGIN in line:  # in a record its quotes would be escaped
            raise DamagedError(self._problem or f"line {self.lines} cannot be read")
        if self._problem:
            return ()
        if is_begin:
            return self._begin_group(line)
        if self._may_be_unchained:
            return self._take_unchained(line)
        if not self._missing:
            what = f"is none of the records of group {self.groups}" if _is_whole(line) else "cannot be read"
            self._problem = f"line {self.lines} {what}"
            return ()
        self._records.append(line)
        self._missing -= 1
        return () if self._missing else self._end_group()

    def feed_group(self, line: bytes, following: Iterator[bytes]) -> tuple[list[bytes], bool]:
        """Take the next line and all records of the group that it starts, from the lines that follow.

        Return the records, and whether they were taken. If they were not, nothing was: `feed` then has to take the line
        and these records one by one, and finds out what is wrong.
        """
        found = _GROUP.fullmatch(line)
        if found is None or self._problem or self._missing or int(found[1]) != self.groups + 1:
            return [], False
        count = int(found[2])
        if not count or len(found[4]) != 4 * count:
            return [], False
        records = list(islice(following, count))
        body = b"".join(records)
        digest = _digest(self.digest, line[:-_END_BYTES], body)
        head = self.head
        if digest != found[5].decode() or _is_other(head, self.groups + 1, digest):
            return records, False
        self._may_be_unchained = False
        self.lines += 1
        self._commit_line = self.lines
        self.lines += count
        self._add_group(found, digest, body)
        return records, True

    def _add_unchained(self, line: bytes) -> None:
        if self.whole is not None:
            self.whole.update(line)
        self._unchained.update(line)
        self.digest = self._unchained.hexdigest()
        self.good_bytes += len(line)

    def _take_unchained(self, line: bytes) -> Sequence[bytes]:
        if not _is_whole(line):
            self._problem = f"line {self.lines} cannot be read"
            return ()
        self.first_line = self.lines
        self._add_unchained(line)
        return (line,)

    def _begin_group(self, line: bytes) -> Sequence[bytes]:
        if self._missing:
            raise DamagedError(self._what_is_wrong())
        found = _GROUP.fullmatch(line)
        number = int((found or _UNCHAINED.fullmatch(line) or (0, -1))[1])
        if number >= 0 and number != self.groups + 1:
            why = f"group {self.groups + 1} is missing" if number > self.groups else "it is there twice"
            raise DamagedError(f"line {self.lines} starts group {number}: {why}")
        if found is None:
            return self._begin_unchained(line, number)
        if len(found[4]) != 4 * int(found[2]) or not found[4]:
            raise DamagedError(f"line {self.lines} is not as it was written")
        self._may_be_unchained = False
        self._commit, self._commit_line = found, self.lines
        self._records, self._missing = [], int(found[2])
        return ()

    def _begin_unchained(self, line: bytes, number: int) -> Sequence[bytes]:
        if self._may_be_unchained:
            records = self._take_unchained(line)
            if records and number > 0:
                self.groups = number
                return ()
            return records
        if number > 0:
            raise DamagedError(
                f"line {self.lines} starts a group without a digest: an earlier version of this library wrote it, which"
                " cannot continue this journal"
            )
        if _is_whole(line):
            raise DamagedError(f"line {self.lines} is no record that this version knows, or was altered")
        self._problem = f"line {self.lines} cannot be read"
        return ()

    def _end_group(self) -> Sequence[bytes]:
        found, records = self._commit, self._records
        assert found is not None  # noqa: S101 - a group has been begun
        body = b"".join(records)
        digest = _digest(self.digest, found[0][:-_END_BYTES], body)
        if digest != found[5].decode():
            self._problem = self._what_is_wrong()
            if _sums(records) == found[4]:  # a torn write does not leave every record whole
                raise DamagedError(self._problem)
            return ()
        if _is_other(self.head, self.groups + 1, digest):
            raise DamagedError(
                f"line {self._commit_line} starts group {self.groups + 1}, which is not the one that the head names:"
                " journal and head are of different batches, or one of them is an older copy"
            )
        self._add_group(found, digest, body)
        self._records = []
        return records

    def _add_group(self, found: re.Match[bytes], digest: str, body: bytes) -> None:
        """Take note of a whole group. `found`: its commit line."""
        if self.whole is not None:
            self.whole.update(found[0])
            self.whole.update(body)
        self.groups += 1
        self.digest = digest
        self.time = found[3].decode()
        self.first_time = self.first_time or self.time
        self.good_bytes += len(found[0]) + len(body)
        self.first_line = self._commit_line + 1

    @property
    def problem(self) -> str:
        """What is wrong with the lines behind the last whole group, if there are any."""
        return self._what_is_wrong() if self._missing else self._problem

    def _what_is_wrong(self) -> str:
        """Return which line of the group that is being read is the first that is wrong."""
        found, records = self._commit, self._records
        assert found is not None  # noqa: S101 - a group has been begun
        sums, actual = found[4], _sums(records)
        number, count = int(found[1]), int(found[2])
        commit = found[0]
        with_actual = commit[: found.start(4)] + actual + commit[found.end(4) : -_END_BYTES]
        is_record_right = _digest(self.digest, with_actual, b"".join(records)) == found[5].decode()
        wrong = next((n for n in range(len(records)) if sums[4 * n : 4 * n + 4] != actual[4 * n : 4 * n + 4]), None)
        if (wrong is None and not self._missing) or is_record_right:
            return f"line {self._commit_line} is not as it was written"
        if wrong is None:
            there = len(records)
            line = self._commit_line + there + 1
            return f"line {line} is not record {there + 1} of the {count} of group {number}: that one is missing"
        return (
            f"line {self._commit_line + wrong + 1} is not record {wrong + 1} of the {count} of group {number}: it was"
            " altered, or a line is missing or doubled there"
        )


def _is_other(head: Head | None, group: int, digest: str) -> bool:
    """Whether this is the group that the head names, with another digest."""
    return head is not None and head.groups == group and head.digest != digest


def _is_whole(line: bytes) -> bool:
    if not line.endswith(b"\n"):
        return False
    try:
        json.loads(line.decode())
    except (ValueError, RecursionError):
        return False
    return True
