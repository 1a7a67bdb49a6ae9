"""A session for code that is not async: it is open on an event loop in a thread of its own, one in each process.

outcome = session_thread().call(lambda fielding: fielding.run(ref).pause(timeout=30))
"""

import asyncio
import atexit
import os
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import TypeVar

from fielding_async import FieldingSession, SessionClosedError

T = TypeVar("T")
DRAIN = 10.0  # seconds that calls in progress get when the thread is stopped


class SessionThread:
    """Keeps one session open. Any number of threads may call it at once. It does not survive a fork."""

    def __init__(self, make: Callable[[], FieldingSession] = FieldingSession) -> None:
        self._make = make
        self._opened = Future[FieldingSession]()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._keep_open()), name="fielding", daemon=True)
        self._lock = threading.Lock()
        self._stopped = False

    def start(self) -> None:
        """Enter the session. Raises what that raises: `ConfigurationError` for a missing setting."""
        self._thread.start()
        self._opened.result()

    def call(self, work: Callable[[FieldingSession], Awaitable[T]]) -> T:
        """Await `work(session)` on the session's loop. Return what it returns, or raise what it raises."""
        fielding = self._opened.result()

        async def on_the_loop() -> T:
            return await work(fielding)

        with self._lock:
            if self._stopped:
                raise SessionClosedError("the session's thread was stopped")
            future = asyncio.run_coroutine_threadsafe(on_the_loop(), self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()  # if a signal's handler raised it, such as a time limit of a worker, the call is cancelled
            raise

    def stop(self, drain: float = DRAIN) -> None:
        """Refuse new calls, give those under way `drain` seconds to end, then close the session."""
        with self._lock:
            if self._stopped:
                return
            self._stopped, self._drain = True, drain
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _keep_open(self) -> None:
        try:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            async with self._make() as fielding:
                self._opened.set_result(fielding)
                await self._stop.wait()
                await fielding.aclose(drain=self._drain)
        except BaseException as error:
            if self._opened.done():
                raise
            self._opened.set_exception(error)  # start() raises it
            return
        calls = asyncio.all_tasks() - {asyncio.current_task()}
        if calls:  # each has its result or its error, and its caller is about to get it
            await asyncio.wait(calls, timeout=1)


_of_process: dict[int, SessionThread] = {}
_lock = threading.Lock()


def session_thread() -> SessionThread:
    """Return the process's own, started at its first use and stopped when the process exits."""
    with _lock:
        if (pid := os.getpid()) not in _of_process:  # a forked child has the parent's object, but not its thread
            made = SessionThread()
            made.start()
            atexit.register(made.stop)
            _of_process[pid] = made
        return _of_process[pid]
