"""The head of a journal: a small file beside it, which says how far it went. It shows a journal that was cut back.

It is replaced behind every group that is durable, and never ahead of one. It is not synced itself: after a power cut it
may be older than the journal, or empty. All calls block.
"""

import contextlib
import json
import os
from typing import Any

from fielding_async.core.errors import ConfigurationError

from .chain import Head
from .regular_file import open_regular

__all__ = ["HeadFile"]

_SUFFIX = ".head"
_LONGEST = 4096


class HeadFile:
    """The head of the journal at `path`, which is called `name` in errors."""

    def __init__(self, path: str, name: str) -> None:
        self._path = path + _SUFFIX
        self._new_path = path + _SUFFIX + ".new"
        self.name: str = f"{name}: its head {self._path!r}"

    def read(self) -> Head | None:
        """Return what it says; `None` if there is none, or a power cut has emptied it.

        Raises `ConfigurationError` if it cannot be read, or is something else.
        """
        try:
            fd = open_regular(self._path, os.O_RDONLY, self.name)
            try:
                data = os.read(fd, _LONGEST)
            finally:
                os.close(fd)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigurationError(f"{self.name} cannot be read: {error.strerror or error}") from error
        if not data.strip(b"\0"):
            return None
        try:
            record: dict[str, Any] = json.loads(data)
            if record["fielding_journal_head"] != 1:
                raise ValueError(record)
            return Head(int(record["groups"]), str(record["digest"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ConfigurationError(
                f"{self.name} is not the head of a journal; move it away, or put back the one that was there"
            ) from None

    def write(self, head: Head, owner: "tuple[int, int] | None" = None) -> None:
        """Replace it, whole or not at all. `owner`: the user and group that get it. Raises `OSError`."""
        text = b'{"fielding_journal_head":1,"groups":%d,"digest":"%b"}\n' % (head.groups, head.digest.encode())
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            fd = open_regular(self._new_path, flags, self.name)
        except FileExistsError:  # a crash has left it
            os.unlink(self._new_path)  # noqa: PTH108
            fd = open_regular(self._new_path, flags, self.name)
        try:
            if owner is not None:
                os.fchown(fd, *owner)
            os.write(fd, text)
        finally:
            os.close(fd)
        os.replace(self._new_path, self._path)  # noqa: PTH105

    def remove_new(self) -> None:
        """Remove what a write that failed has left."""
        with contextlib.suppress(OSError):
            os.unlink(self._new_path)  # noqa: PTH108
