"""The file of a journal on the disk: opened, locked, bound, read, appended to and made durable. All of it blocks."""

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from fielding_async.core.errors import ConfigurationError

from .lines import header_line
from .replay import DamagedError, Replay, begins_a_journal, read_binding
from .values import Binding, is_same_exchange

__all__ = ["LockedFile", "read_lines"]

_LONGEST_FIRST_LINE = 1 << 20
_TRIES = 10


def read_lines(fd: int, name: str, replay: Replay) -> Iterator[Binding]:
    """Read a journal from its start: yield what it is bound to, and then, after each line more, nothing but control.

    It yields after every line so that a caller can take rows out of `replay` as they come.
    """
    with os.fdopen(fd, "rb", closefd=False) as file:
        file.seek(0)
        first = file.readline(_LONGEST_FIRST_LINE)
        if not first.endswith(b"\n"):
            problem = "its first line is incomplete" if begins_a_journal(first) else "is not a journal of this library"
            raise ConfigurationError(f"{name}: {problem}")
        try:
            binding = read_binding(first)
        except ConfigurationError as error:
            raise ConfigurationError(f"{name}: {error.message}") from None
        replay.good_bytes = len(first)
        yield binding
        while line := file.readline():  # however long: an ETag may be
            try:
                replay.feed(line)
            except DamagedError as error:
                raise ConfigurationError(f"{name}: is damaged: {error}") from None
            yield binding
            if not line.endswith(b"\n"):
                return  # whoever writes it may be about to write the rest


def _refuse_other(name: str, wanted: Binding, found: Binding) -> None:
    is_same = is_same_exchange(wanted.base_url, found.base_url)
    for what, same, ours, theirs in (
        ("exchange", is_same, wanted.base_url, found.base_url),
        ("API version", wanted.api_version == found.api_version, wanted.api_version, found.api_version),
        ("plan", wanted.plan == found.plan, wanted.plan, found.plan),
    ):
        if not same:
            raise ConfigurationError(
                f"{name}: belongs to another {what}: it was begun for {theirs or 'a plan without a digest'},"
                f" and this batch is for {ours or 'a plan without a digest'}"
            )


class LockedFile:
    """The file of a journal that is being written: its calls block, and come from one thread.

    `given_up`: set, by any thread, to end a `load` that is under way.
    """

    def __init__(self, path: str, name: str) -> None:
        self._path = path
        self._name = name
        self._fd = -1
        self._counts_names = False  # not every file system does
        self._problem: OSError | None = None
        self.given_up: bool = False

    def load(self, binding: Binding, replay: Replay) -> None:
        """Lock it, bind it if it is new, have `replay` read it, cut a torn tail. Raises `ConfigurationError`."""
        try:
            self._load(binding, replay)
        except OSError as error:
            self.close()
            raise ConfigurationError(f"{self._name}: cannot be used: {error.strerror or error}") from error
        except BaseException:
            self.close()
            raise

    def _load(self, binding: Binding, replay: Replay) -> None:
        self._open()
        size = os.fstat(self._fd).st_size
        start = b"" if size >= _LONGEST_FIRST_LINE else _start_of(self._fd)
        if size < _LONGEST_FIRST_LINE and b"\n" not in start and begins_a_journal(start):
            # new, or its first line was torn: nothing has left yet
            _make_private(self._fd)
            os.ftruncate(self._fd, 0)
            self.write(header_line(binding))
            _sync_folder(self._path)
            return
        for found in read_lines(self._fd, self._name, replay):
            _refuse_other(self._name, binding, found)
            if self.given_up:
                raise ConfigurationError(f"{self._name}: is no longer wanted")
        _make_private(self._fd)
        if replay.good_bytes < size:
            os.ftruncate(self._fd, replay.good_bytes)
        _sync(self._fd)  # what was read and is relied upon may be in no more than the cache yet

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        flags |= getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0)
        for _ in range(_TRIES):
            self._fd = os.open(self._path, flags, 0o600)
            if not stat.S_ISREG(os.fstat(self._fd).st_mode):
                raise ConfigurationError(f"{self._name}: is not a regular file")
            if not _lock(self._fd):
                raise ConfigurationError(f"{self._name}: is in use by another batch, of this process or another")
            # it may have been deleted between opening and locking
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.stat(self._path), os.fstat(self._fd)):  # noqa: PTH116
                    self._counts_names = os.fstat(self._fd).st_nlink > 0
                    break
            self.close()
        else:
            raise ConfigurationError(f"{self._name}: is replaced by another file all the time")

    def write(self, blob: bytes) -> None:
        """Append, and make it durable. Raises `OSError`, and from then on again."""
        if self._problem is not None:
            raise self._problem  # behind a line that it tore, no group could be read
        try:
            view = memoryview(blob)
            while view:
                view = view[os.write(self._fd, view) :]
            _sync(self._fd)
            if self._counts_names and not os.fstat(self._fd).st_nlink:
                raise FileNotFoundError(errno.ENOENT, "it was deleted")
        except OSError as error:
            self._problem = error
            raise

    def close(self) -> None:
        """Unlock and close. May be called more than once."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            try:
                _unlock(fd)  # a process that was forked meanwhile has a copy of it, and with that the lock
            finally:
                os.close(fd)


def _start_of(fd: int) -> bytes:
    os.lseek(fd, 0, os.SEEK_SET)  # to append, no place matters
    return os.read(fd, _LONGEST_FIRST_LINE)


def _make_private(fd: int) -> None:
    if hasattr(os, "fchmod"):
        os.fchmod(fd, 0o600)


if sys.platform == "win32":  # pragma: no cover - tried on Windows by hand
    import msvcrt

    def _lock(fd: int) -> bool:
        os.lseek(fd, 1 << 40, os.SEEK_SET)  # a place that is never written
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(fd: int) -> None:
        """Do nothing: it is closed next, and no process inherits it."""

    def _sync(fd: int) -> None:
        os.fsync(fd)

    def _sync_folder(path: str) -> None:
        """Do nothing: a folder cannot be synced there."""

else:
    import fcntl

    def _lock(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_UN)

    def _sync(fd: int) -> None:
        full = getattr(fcntl, "F_FULLFSYNC", None)  # macOS: fsync alone leaves it in the disk's own cache
        if full is not None:  # pragma: no cover
            try:
                fcntl.fcntl(fd, full)
            except OSError:
                pass
            else:
                return
        getattr(os, "fdatasync", os.fsync)(fd)

    def _sync_folder(path: str) -> None:
        try:
            folder = os.open(Path(path).absolute().parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            # of some file systems, or of a folder that may not be listed; one that is resumed does without as well
            if error.errno not in {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM}:
                raise
