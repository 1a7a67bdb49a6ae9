"""A journal in a file. Its blocking calls are made in a thread of its own, so that the event loop never waits."""

import asyncio
import contextlib
import queue
import threading
import warnings
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial

from .locked_file import LockedFile
from .reader import ReadJournal
from .replay import Replay
from .storage import OnWritten
from .values import Binding

__all__ = ["FileStorage"]

_Job = Callable[[], None]


def _run_jobs(jobs: "queue.SimpleQueue[_Job | None]", file: LockedFile) -> None:
    """Run jobs until `None` comes, then close the file: what the thread does."""
    while True:
        try:
            job = jobs.get(timeout=file.head_due())
        except queue.Empty:
            file.write_next_head()
            continue
        if job is None:
            break
        job()
        del job  # it must not keep alive what it refers to until the next one comes
    with contextlib.suppress(OSError):
        file.close()


class FileStorage:
    """The `JournalStorage` in a file, for the running loop. Its lock ends with the process.

    `known`: what was read of it before. Its thread starts with `load`, and ends after `close` or once nothing refers to
    the storage any more.
    """

    may_leave: None = None

    def __init__(self, path: str, known: ReadJournal | None = None) -> None:
        self.name: str = f"journal={path!r}"
        self._file = LockedFile(path, self.name, known)
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._file.on_warning = partial(_call_on, self._loop, _warn)
        self._closed: asyncio.Future[None] | None = None
        # callbacks of the writes under way, in order. The thread holds none of them: it would keep a journal alive for
        # a moment after everything else has let go of it
        self._under_way: deque[OnWritten] = deque()
        self._end_thread = weakref.finalize(self, self._jobs.put, None)

    async def load(self, binding: Binding, replay: Replay) -> None:
        """Lock the file, bind it if it is new, have `replay` read it, and cut off an incomplete end.

        Raises `ConfigurationError`.
        """
        threading.Thread(target=_run_jobs, args=(self._jobs, self._file), name="fielding-journal", daemon=True).start()
        loop, file = self._loop, self._file
        loaded: asyncio.Future[None] = loop.create_future()

        def load() -> None:
            problem: BaseException | None = None
            try:
                file.load(binding, replay)
            except BaseException as error:  # noqa: BLE001 - it is raised where it is awaited
                problem = error
            _call_on(loop, _resolve, loaded, problem)

        self._jobs.put(load)
        await loaded
        if file.warning:
            warnings.warn(file.warning, stacklevel=2)
            self._jobs.put(file.make_missing_head)

    def write(self, blob: bytes, on_written: OnWritten) -> None:
        """Start to append `blob`. `on_written` is called on the loop once it is durable, or with what went wrong."""
        loop, file, storage = self._loop, self._file, weakref.ref(self)
        self._under_way.append(on_written)

        def write() -> None:
            problem: OSError | None = None
            try:
                file.write(blob)
            except OSError as error:
                problem = error
            _call_on(loop, _complete_write, storage, problem)
            file.note_head_of(blob)  # the batch does not wait for it

        self._jobs.put(write)

    def complete_oldest_write(self, problem: OSError | None) -> None:
        """Report the oldest write in progress as durable, or as failed."""
        self._under_way.popleft()(problem)

    def close(self) -> "asyncio.Future[None]":
        """Start to unlock and close the file, after the writes so far. May be called more than once."""
        if self._closed is None:
            loop = self._loop
            closed = self._closed = loop.create_future()
            file = self._file
            file.load_abandoned = True

            def close() -> None:
                problem: BaseException | None = None
                try:
                    file.close()
                except OSError as error:
                    problem = error
                _call_on(loop, _resolve, closed, problem)

            self._jobs.put(close)
            self._end_thread()
        return self._closed


def _call_on(loop: asyncio.AbstractEventLoop, what: Callable[..., object], *args: object) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed, so nothing waits for it
        loop.call_soon_threadsafe(what, *args)


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=1)


def _complete_write(storage: "weakref.ref[FileStorage]", problem: OSError | None) -> None:
    alive = storage()
    if alive is not None:
        alive.complete_oldest_write(problem)


def _resolve(future: "asyncio.Future[None]", problem: BaseException | None) -> None:
    if future.done():
        return
    if problem is None:
        future.set_result(None)
    else:
        future.set_exception(problem)
