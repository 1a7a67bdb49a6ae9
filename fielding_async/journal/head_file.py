"""The head of a journal: a small file beside it, which says how far it went. It shows a journal that was cut back.

It is written behind the groups that are durable, and never ahead of one. It has two slots, which take turns, so that
whatever ends a write, the slot before it is whole. It is not synced: after a power cut it may be older than the
journal, or empty. All calls block.
"""

import contextlib
import json
import os
from typing import Any
from zlib import crc32

from fielding_async.core.errors import ConfigurationError

from .chain import Head, head_of
from .regular_file import open_regular

__all__ = ["HeadFile", "ended_by_head"]

_SUFFIX = ".head"
_SLOT = 128  # bytes: two slots lie in one sector of a disk
_ROOM = _SLOT - 40  # bytes: with so many or more there is no room for the count of rows
_BLOCK = 1 << 16  # bytes that are read at once from the end of a journal
_RENAMES_OPEN_FILES = os.name != "nt"


def ended_by_head(path: str, name: str) -> int | None:
    """Return how many rows of a journal have ended, without reading all of it; `None` if that is unknown without it.

    It can if the head names the last group of the journal. Raises `ConfigurationError` and `OSError`.
    """
    head = HeadFile(path, name).read()
    if head is None or head.ended is None:
        return None
    fd = open_regular(path, os.O_RDONLY, name)
    try:
        return head.ended if head_of(_last_group(fd)) == head else None
    finally:
        os.close(fd)


def _last_group(fd: int) -> bytes:
    """Return the end of a journal, from the last line on that starts a group; empty if it is not whole."""
    place = os.lseek(fd, 0, os.SEEK_END)
    tail = b""
    while place > 0:
        step = min(_BLOCK, place)
        place = os.lseek(fd, place - step, os.SEEK_SET)
        tail = os.read(fd, step) + tail
        start = tail.rfind(b'\n{"commit":')
        if start >= 0:
            group = tail[start + 1 :]
            return group if group.endswith(b"\n") else b""
    return b""


def _slot(head: Head) -> bytes:
    text = b'{"fielding_journal_head":1,"groups":%d,"digest":"%b"' % (head.groups, head.digest.encode())
    if head.ended is not None and len(text) < _ROOM:
        text += b',"ended":%d' % head.ended
    return (b'%b,"check":"%08x"}' % (text, crc32(text))).ljust(_SLOT - 1) + b"\n"


def _read_slot(slot: bytes) -> Head | None:
    """Return what a slot says; `None` if it is not whole."""
    try:
        record: dict[str, Any] = json.loads(slot)
        head = Head(int(record["groups"]), str(record["digest"]), int(record["ended"]) if "ended" in record else None)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return head if _slot(head) == slot else None


class HeadFile:
    """The head of the journal at `path`, which is called `name` in errors."""

    def __init__(self, path: str, name: str) -> None:
        self._path = path + _SUFFIX
        self._fd = -1
        self._turn = 0
        self.was_lost: bool = False
        """Whether it was removed, replaced or emptied between two writes."""
        self.name: str = f"{name}: its head {self._path!r}"

    def read(self) -> Head | None:
        """Return what it says; `None` if there is none, or a power cut has emptied it.

        Raises `ConfigurationError` if it cannot be read, or is something else.
        """
        try:
            fd = open_regular(self._path, os.O_RDONLY, self.name)
            try:
                data = os.read(fd, 4 * _SLOT)
            finally:
                os.close(fd)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigurationError(
                f"{self.name} cannot be read: {error.strerror or error}: make it readable"
            ) from error
        if not data.strip(b"\0"):
            return None
        slots = (_read_slot(data[:_SLOT]), _read_slot(data[_SLOT:]))
        heads = [head for head in slots if head is not None]
        if not heads or len(data) != 2 * _SLOT:
            raise ConfigurationError(
                f"{self.name} is not the head of a journal, or was changed: move it away, or put back the one that was"
                " there"
            )
        return max(heads, key=lambda head: head.groups)

    def write(self, head: Head, owner: "tuple[int, int] | None" = None) -> None:
        """Write `head`, which is not behind the one before. `owner`: the user and group that a new file gets.

        The first write replaces a file that is there, whatever it is; no link is followed. So does one that finds that
        the file of the write before is gone. Raises `OSError`.
        """
        if not self.is_in_place():
            self.was_lost = True
            self.close()
        if self._fd < 0:
            self._create(head, owner)
            return
        os.lseek(self._fd, self._turn * _SLOT, os.SEEK_SET)
        os.write(self._fd, _slot(head))
        self._turn = 1 - self._turn

    def is_in_place(self) -> bool:
        """Whether the file that was written last is there, and whole in length; also if none was written."""
        if self._fd < 0:
            return True
        try:
            found = os.lstat(self._path)
        except FileNotFoundError:
            return False
        except OSError:
            return True  # that is unknown, and a new one could not be made either
        return os.path.samestat(found, os.fstat(self._fd)) and found.st_size == 2 * _SLOT

    def _create(self, head: Head, owner: "tuple[int, int] | None") -> None:
        new = self._path + ".new"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)  # noqa: PTH108 - a crash has left it
        try:
            fd = open_regular(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, self.name)
            try:
                if owner is not None:
                    os.fchown(fd, *owner)
                os.write(fd, 2 * _slot(head))
                if _RENAMES_OPEN_FILES:  # opened anew by its path, it might be a file that has just replaced it
                    os.replace(new, self._path)  # noqa: PTH105
                    self._fd = fd
                    return
            finally:
                if self._fd != fd:
                    os.close(fd)
            os.replace(new, self._path)  # noqa: PTH105
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(new)  # noqa: PTH108
            raise
        self._fd = open_regular(self._path, os.O_WRONLY, self.name)

    def close(self) -> None:
        """Close it. May be called more than once."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)
