"""The file of a journal: opened, locked, read, appended to and made durable, off the event loop in one thread."""

import asyncio
import contextlib
import os
import queue
import stat
import sys
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from .errors import ConfigurationError
from .journal_records import header_line
from .journal_replay import DamagedError, Replay, begins_a_journal, read_binding
from .journal_values import Binding

__all__ = ["FileStorage", "Storage", "read_lines"]

_LONGEST_LINE = 1 << 20
_TRIES = 10
_Written = Callable[[OSError | None], None]


class Storage(Protocol):
    """Where the lines of a journal are kept. The calls come from one event loop, one at a time."""

    name: str

    async def load(self, binding: Binding, replay: Replay) -> None:
        """Lock it, bind it if it is new, have `replay` read it, and cut a torn tail. Raises `ConfigurationError`."""
        ...

    def write(self, blob: bytes, written: _Written) -> None:
        """Append, and call `written` on the loop once it is durable, or with what went wrong."""
        ...

    def close(self) -> "asyncio.Future[None]":
        """Unlock and close, after what was begun before. May be called more than once."""
        ...


def read_lines(fd: int, name: str, replay: Replay) -> Iterator[Binding]:
    """Read a journal from its start: yield what it is bound to, and then, after each line more, nothing but control.

    It yields after every line so that a caller can take rows out of `replay` as they come.
    """
    with os.fdopen(fd, "rb", closefd=False) as file:
        file.seek(0)
        first = file.readline(_LONGEST_LINE)
        if not first.endswith(b"\n"):
            problem = "its first line is incomplete" if begins_a_journal(first) else "is not a journal of this library"
            raise ConfigurationError(f"{name}: {problem}")
        try:
            binding = read_binding(first)
        except ConfigurationError as error:
            raise ConfigurationError(f"{name}: {error.message}") from None
        replay.good_bytes = len(first)
        yield binding
        while line := file.readline(_LONGEST_LINE):
            try:
                replay.feed(line)
            except DamagedError as error:
                raise ConfigurationError(f"{name}: is damaged: {error}") from None
            yield binding


def _refuse_other(name: str, wanted: Binding, found: Binding) -> None:
    for what, ours, theirs in (
        ("exchange", wanted.base_url, found.base_url),
        ("API version", wanted.api_version, found.api_version),
        ("plan", wanted.plan, found.plan),
    ):
        if ours != theirs:
            raise ConfigurationError(
                f"{name}: belongs to another {what}: it was begun for {theirs or 'a plan without a digest'},"
                f" and this batch is for {ours or 'a plan without a digest'}"
            )


class _File:
    """The open file; used by the thread alone."""

    def __init__(self, path: str, name: str) -> None:
        self._path = path
        self._name = name
        self._fd = -1
        self._problem: OSError | None = None

    def load(self, binding: Binding, replay: Replay) -> None:
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
        start = os.pread(self._fd, _LONGEST_LINE, 0) if hasattr(os, "pread") else _start_of(self._fd)
        if b"\n" not in start and begins_a_journal(start):
            # new, or its first line was torn: nothing has left yet
            os.ftruncate(self._fd, 0)
            self.write(header_line(binding))
            _sync_folder(self._path)
            return
        for found in read_lines(self._fd, self._name, replay):
            _refuse_other(self._name, binding, found)
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
                    break
            self.close()
        else:
            raise ConfigurationError(f"{self._name}: is replaced by another file all the time")
        if hasattr(os, "fchmod"):
            os.fchmod(self._fd, 0o600)

    def write(self, blob: bytes) -> None:
        if self._problem is not None:
            raise self._problem  # behind a line that it tore, no group could be read
        try:
            view = memoryview(blob)
            while view:
                view = view[os.write(self._fd, view) :]
            _sync(self._fd)
        except OSError as error:
            self._problem = error
            raise

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _start_of(fd: int) -> bytes:
    os.lseek(fd, 0, os.SEEK_SET)
    return os.read(fd, _LONGEST_LINE)


if sys.platform == "win32":  # pragma: no cover - tried on Windows by hand
    import msvcrt

    def _lock(fd: int) -> bool:
        os.lseek(fd, 1 << 40, os.SEEK_SET)  # a place that is never written
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

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
        folder = os.open(Path(path).absolute().parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


_Job = Callable[[], None]


def _work(jobs: "queue.SimpleQueue[_Job | None]", file: _File) -> None:
    while (job := jobs.get()) is not None:
        job()
        del job  # what it holds is not to live until the next one comes
    with contextlib.suppress(OSError):
        file.close()


class FileStorage:
    """A journal in a file, of the running loop. Its lock dies with the process.

    Its thread begins with `load`, and ends with `close` or once nobody uses it any more.
    """

    def __init__(self, path: str) -> None:
        self.name: str = f"journal={path!r}"
        self._file = _File(path, self.name)
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed: asyncio.Future[None] | None = None
        # what waits for the writes begun, in their order. The thread holds none of it: it would keep alive, for a
        # moment too long, a journal that everybody else has forgotten
        self._begun: deque[_Written] = deque()
        self._end = weakref.finalize(self, self._jobs.put, None)

    async def load(self, binding: Binding, replay: Replay) -> None:
        """Lock it, bind it if it is new, have `replay` read it, and cut a torn tail. Raises `ConfigurationError`."""
        threading.Thread(target=_work, args=(self._jobs, self._file), name="fielding-journal", daemon=True).start()
        loop, file = self._loop, self._file
        loaded: asyncio.Future[None] = loop.create_future()

        def load() -> None:
            problem: BaseException | None = None
            try:
                file.load(binding, replay)
            except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
                problem = error
            _tell(loop, _settle, loaded, problem)

        self._jobs.put(load)
        await loaded

    def write(self, blob: bytes, written: _Written) -> None:
        """Append, and call `written` on the loop once it is durable, or with what went wrong."""
        loop, file, storage = self._loop, self._file, weakref.ref(self)
        self._begun.append(written)

        def write() -> None:
            problem: OSError | None = None
            try:
                file.write(blob)
            except OSError as error:
                problem = error
            _tell(loop, _wrote, storage, problem)

        self._jobs.put(write)

    def wrote(self, problem: OSError | None) -> None:
        """Tell of the oldest write that was not told of yet."""
        self._begun.popleft()(problem)

    def close(self) -> "asyncio.Future[None]":
        """Unlock and close, after what was begun before. May be called more than once."""
        if self._closed is None:
            loop = self._loop
            closed = self._closed = loop.create_future()
            file = self._file

            def close() -> None:
                problem: BaseException | None = None
                try:
                    file.close()
                except OSError as error:
                    problem = error
                _tell(loop, _settle, closed, problem)

            self._jobs.put(close)
            self._end()
        return self._closed


def _tell(loop: asyncio.AbstractEventLoop, what: Callable[..., object], *args: object) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is gone, and with it whoever waited
        loop.call_soon_threadsafe(what, *args)


def _wrote(storage: "weakref.ref[FileStorage]", problem: OSError | None) -> None:
    alive = storage()
    if alive is not None:
        alive.wrote(problem)


def _settle(future: "asyncio.Future[None]", problem: BaseException | None) -> None:
    if future.done():
        return
    if problem is None:
        future.set_result(None)
    else:
        future.set_exception(problem)
