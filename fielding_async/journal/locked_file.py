"""The file of a journal: opens, locks, binds, reads and appends to it, and makes it durable. All calls block."""

import contextlib
import errno
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from fielding_async.core.errors import ConfigurationError

from .chain import Head, ends_in, head_of
from .head_file import HeadFile
from .lines import header_line
from .reader import LONGEST_FIRST_LINE, ReadJournal, read_lines
from .regular_file import belongs_to_another_user, check_single_name, open_regular
from .replay import Replay, begins_a_journal
from .values import Binding, is_same_exchange

__all__ = ["LockedFile", "lock", "unlock"]

_OPEN_TRIES = 10
_HEAD_EVERY = 0.1  # seconds; behind every group it would add a tenth to the CPU of a batch


def _refuse_other(name: str, wanted: Binding, found: Binding) -> None:
    is_same = is_same_exchange(wanted.base_url, found.base_url)
    for what, same, ours, theirs in (
        ("exchange", is_same, wanted.base_url, found.base_url),
        ("API version", wanted.api_version == found.api_version, wanted.api_version, found.api_version),
        ("plan", wanted.plan == found.plan, wanted.plan, found.plan),
    ):
        if not same:
            raise ConfigurationError(
                f"{name}: belongs to another {what}: it was started for {theirs or 'a plan without a digest'},"
                f" and this batch is for {ours or 'a plan without a digest'}: name another journal"
            )


def _ignore(text: str) -> None:
    """Stand in for who reports warnings."""


class LockedFile:
    """The file of a journal that a batch writes. All calls block, and come from one thread.

    `load_abandoned`: may be set by any thread, and ends a `load` that is in progress. `warning`: what the user has to
    know of a journal that was loaded, if anything.
    """

    def __init__(self, path: str, name: str, known: ReadJournal | None = None) -> None:
        self._path = path
        self._known = ReadJournal(path) if known is None else known
        self._name = name
        self._fd = -1
        self._is_new = False
        self._counts_links = False  # not every file system does
        self._problem: OSError | None = None
        self._head = HeadFile(path, name)
        self._next_head: Head | None = None
        self._new_head: Head | None = None
        self._last_head: Head | None = None
        self._ended = 0  # rows
        self._head_written = -math.inf
        self._owner: tuple[int, int] | None = None  # of the head, where that is not this user
        self._is_loss_reported = False
        self.on_warning: Callable[[str], None] = _ignore
        """Called with what the user has to know while the file is written."""
        self.warning: str = ""
        self.load_abandoned: bool = False

    def load(self, binding: Binding, replay: Replay) -> None:
        """Lock the file, bind it if it is new, have `replay` read it, and cut off an incomplete end.

        Raises `ConfigurationError`.
        """
        try:
            self._load(binding, replay)
        except OSError as error:
            self.close()
            raise ConfigurationError(
                f"{self._name}: cannot be used: {error.strerror or error}: name a file that can be written"
            ) from error
        except BaseException:
            self.close()
            raise

    def _load(self, binding: Binding, replay: Replay) -> None:
        self._open()
        is_foreign = not self._is_new and belongs_to_another_user(self._fd)
        if is_foreign and os.geteuid() != 0:  # root goes on with what a user began
            raise self._belongs_to_another_user()
        size = os.fstat(self._fd).st_size
        start = b"" if size >= LONGEST_FIRST_LINE else _start_of(self._fd)
        if size < LONGEST_FIRST_LINE and b"\n" not in start and begins_a_journal(start):
            # new, or a crash left its first line incomplete: nothing has been sent yet
            if is_foreign:
                raise self._belongs_to_another_user()
            self._begin(binding, replay)
            return
        head = self._head.read()
        found = binding
        for found in read_lines(self._fd, self._name, replay, head, self._known):
            _refuse_other(self._name, binding, found)
            if self.load_abandoned:
                raise ConfigurationError(f"{self._name}: is no longer wanted: the batch was left while it was read")
        if not is_foreign:
            _make_private(self._fd)
        if replay.good_bytes < size:
            os.ftruncate(self._fd, replay.good_bytes)
        _sync(self._fd)  # what was read may be in the cache only, and the batch relies on it
        self._known.note_loaded(found, replay, self._fd)
        if is_foreign:
            status = os.fstat(self._fd)
            self._owner = status.st_uid, status.st_gid
        self._ended = replay.counts().ended
        if replay.is_chained:
            if head is None:
                self.warning = (
                    f"{self._head.name} is missing: it is not known whether the end of the journal was cut off; it"
                    f" ends with group {replay.commits}"
                )
                self._new_head = Head(replay.commits, replay.digest, self._ended)
            else:
                self._write_head(Head(replay.commits, replay.digest, self._ended))

    def _begin(self, binding: Binding, replay: Replay) -> None:
        """Write the first line."""
        head = self._head.read()
        if head is not None and head.groups:
            if self._is_new:
                os.unlink(self._path)  # noqa: PTH108 - so that whoever puts it back finds its place free
            raise ConfigurationError(
                f"{self._head.name} says that the journal had {head.groups} groups, and it is empty: put it back,"
                " or move the"
                " head away too, to start again"
            )
        _make_private(self._fd)
        os.ftruncate(self._fd, 0)
        line = header_line(binding)
        replay.begin(line)
        self.write(line)
        self._known.note_loaded(binding, replay, self._fd)
        _sync_folder(self._path)
        self._write_head(Head(0, replay.digest))

    def make_missing_head(self) -> None:
        """Write the head that was missing, once that was told: the caller may take the warning for an error."""
        if self._new_head is not None:
            self._write_head(self._new_head)

    def _write_head(self, head: Head) -> None:
        """Say how far the journal goes. Without a head nothing is lost, so that what keeps it away is passed over."""
        self._last_head, what = head, "it was written again"
        try:
            self._head.write(head, self._owner)
        except (OSError, ConfigurationError) as error:
            what = f"it cannot be written again: {getattr(error, 'strerror', None) or error}"
        if self._head.was_lost and not self._is_loss_reported:
            self._is_loss_reported = True
            self.on_warning(
                f"{self._head.name} was removed, replaced or emptied while a batch writes the journal; {what}. Keep the"
                " two files together"
            )

    def _belongs_to_another_user(self) -> ConfigurationError:
        why = "belongs to another user, who could read and change it"
        return ConfigurationError(f"{self._name}: {why}; delete it, or name another file")

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_APPEND
        for _ in range(_OPEN_TRIES):
            try:
                self._fd = open_regular(self._path, flags | os.O_CREAT | os.O_EXCL, self._name)
                self._is_new = True
            except FileExistsError:
                self._is_new = False
                try:
                    self._fd = open_regular(self._path, flags, self._name)
                except FileNotFoundError:
                    continue  # it was deleted a moment ago
            check_single_name(self._fd, self._name)
            if not lock(self._fd):
                raise ConfigurationError(
                    f"{self._name}: is in use by another batch: wait for its end, or name another file"
                )
            # it may have been deleted or replaced between opening and locking
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.lstat(self._path), os.fstat(self._fd)):
                    self._counts_links = os.fstat(self._fd).st_nlink > 0
                    break
            self.close()
        else:
            raise ConfigurationError(f"{self._name}: is replaced by another file all the time: stop what does that")

    def write(self, blob: bytes) -> None:
        """Append `blob` and make it durable. Raises `OSError`; after that, so does every later call."""
        if self._problem is not None:
            raise self._problem  # behind the incomplete line that it left, no group could be read
        try:
            view = memoryview(blob)
            while view:
                view = view[os.write(self._fd, view) :]
            _sync(self._fd)
            if self._counts_links and not os.fstat(self._fd).st_nlink:
                raise FileNotFoundError(errno.ENOENT, "it was deleted")
            self._known.note_added(blob)
        except OSError as error:
            self._problem = error
            raise

    def note_head_of(self, blob: bytes) -> None:
        """Take note that `blob`, which was written, is durable; the head says so soon, once `head_due` is over."""
        found = head_of(blob) if self._problem is None else None
        if found is not None:
            self._ended += ends_in(blob)
            self._next_head = Head(found.groups, found.digest, self._ended)
        if self.head_due() == 0:
            self.write_next_head()

    def head_due(self) -> float | None:
        """Return in how many seconds the head has to be written; `None` if it says all there is."""
        if self._next_head is None:
            return None
        return max(0.0, self._head_written + _HEAD_EVERY - time.monotonic())

    def write_next_head(self) -> None:
        """Write the head, if it does not say all there is."""
        head, self._next_head = self._next_head, None
        if head is not None:
            self._write_head(head)
            self._head_written = time.monotonic()

    def close(self) -> None:
        """Unlock and close. May be called more than once."""
        if not self._head.is_in_place():
            self._next_head = self._next_head or self._last_head
        self.write_next_head()
        with contextlib.suppress(OSError):
            self._head.close()
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            try:
                unlock(fd)  # a process forked meanwhile has a copy of the descriptor, which would keep the lock
            finally:
                os.close(fd)


def _start_of(fd: int) -> bytes:
    os.lseek(fd, 0, os.SEEK_SET)  # appending does not depend on the position
    return os.read(fd, LONGEST_FIRST_LINE)


def _make_private(fd: int) -> None:
    if hasattr(os, "fchmod"):
        os.fchmod(fd, 0o600)


if sys.platform == "win32":  # pragma: no cover - tried on Windows by hand
    import msvcrt

    def lock(fd: int) -> bool:
        """Lock an open file; return whether nobody else has."""
        os.lseek(fd, 1 << 40, os.SEEK_SET)  # beyond all that is ever written
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def unlock(fd: int) -> None:
        """Do nothing: the file is closed next, which unlocks it, and no process inherits it."""

    def _sync(fd: int) -> None:
        os.fsync(fd)

    def _sync_folder(path: str) -> None:
        """Do nothing: Windows cannot sync a folder."""

else:
    import fcntl

    def lock(fd: int) -> bool:
        """Lock an open file; return whether nobody else has."""
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(fd: int) -> None:
        """Unlock an open file."""
        fcntl.flock(fd, fcntl.LOCK_UN)

    def _sync(fd: int) -> None:
        full = getattr(fcntl, "F_FULLFSYNC", None)  # macOS: after fsync alone, data may be in the disk's cache only
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
            # some file systems cannot sync a folder, and some folders cannot be opened; a journal that is resumed needs
            # no sync of its folder either
            if error.errno not in {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM}:
                raise
