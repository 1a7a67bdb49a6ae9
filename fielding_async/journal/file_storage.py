"""Where a journal is kept: a file, written off the event loop by one thread of its own."""

import asyncio
import contextlib
import queue
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import Protocol

from .locked_file import LockedFile
from .replay import Replay
from .values import Binding

__all__ = ["FileStorage", "Storage"]

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


_Job = Callable[[], None]


def _work(jobs: "queue.SimpleQueue[_Job | None]", file: LockedFile) -> None:
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
        self._file = LockedFile(path, self.name)
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
            file.given_up = True

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
