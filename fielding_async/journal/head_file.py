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

from .chain import Head
from .regular_file import open_regular

__all__ = ["HeadFile"]

_SUFFIX = ".head"
_SLOT = 128  # bytes: two slots lie in one sector of a disk


def _slot(head: Head) -> bytes:
    text = b'{"fielding_journal_head":1,"groups":%d,"digest":"%b"' % (head.groups, head.digest.encode())
    return (b'%b,"check":"%08x"}' % (text, crc32(text))).ljust(_SLOT - 1) + b"\n"


def _read_slot(slot: bytes) -> Head | None:
    """Return what a slot says; `None` if it is not whole."""
    try:
        record: dict[str, Any] = json.loads(slot)
        head = Head(int(record["groups"]), str(record["digest"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return head if _slot(head) == slot else None


class HeadFile:
    """The head of the journal at `path`, which is called `name` in errors."""

    def __init__(self, path: str, name: str) -> None:
        self._path = path + _SUFFIX
        self._fd = -1
        self._turn = 0
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
            raise ConfigurationError(f"{self.name} cannot be read: {error.strerror or error}") from error
        if not data.strip(b"\0"):
            return None
        slots = (_read_slot(data[:_SLOT]), _read_slot(data[_SLOT:]))
        heads = [head for head in slots if head is not None]
        if not heads or len(data) != 2 * _SLOT:
            raise ConfigurationError(
                f"{self.name} is not the head of a journal, or was changed; move it away, or put back the one that was"
                " there"
            )
        return max(heads, key=lambda head: head.groups)

    def write(self, head: Head, owner: "tuple[int, int] | None" = None) -> None:
        """Write `head`, which is not behind the one before. `owner`: the user and group that a new file gets.

        The first write replaces a file that is there, whatever it is; no link is followed. Raises `OSError`.
        """
        if self._fd < 0:
            self._create(head, owner)
            return
        os.lseek(self._fd, self._turn * _SLOT, os.SEEK_SET)
        os.write(self._fd, _slot(head))
        self._turn = 1 - self._turn

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
            finally:
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
