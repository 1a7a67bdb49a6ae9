"""SIGINT and SIGTERM: the first one cancels the work, which then reports what may have been applied; the second exits.

Work that can stop more gently handles the first signals itself.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from .output import write_stderr

__all__ = ["Interrupted", "run_async"]


class Interrupted(BaseException):
    """A signal cancelled the work. `status` is the exit status of the process: 128 plus the number of the signal."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.name: str = signal.Signals(signum).name
        self.status: int = 128 + signum


def run_async(
    work: Callable[[], Coroutine[Any, Any, int]], *, on_signal: Callable[[signal.Signals], bool] | None = None
) -> int:
    """Run a coroutine to its end, and return its result. Raises `Interrupted` if a signal cancelled it.

    `on_signal` is called first for every signal. If it returns true it has handled the signal, and the work continues.
    """
    received: list[int] = []

    async def guarded() -> int:
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()

        def handle(signum: int) -> None:
            if on_signal is not None and on_signal(signal.Signals(signum)):
                return
            if received:
                _exit_at_once(signum)
            received.append(signum)
            if task is not None:
                task.cancel()

        for signum in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(signum) is signal.SIG_IGN:
                continue  # the parent has it ignored, as a shell does for its background jobs
            try:
                loop.add_signal_handler(signum, handle, signum)
            except (NotImplementedError, RuntimeError, ValueError):
                break  # Windows, or not the main thread: asyncio's own handling of Ctrl-C remains
        return await work()

    try:
        return asyncio.run(guarded())
    except asyncio.CancelledError:
        if not received:
            raise
    except KeyboardInterrupt:
        received.append(signal.SIGINT)
    raise Interrupted(received[0])


def _exit_at_once(signum: int) -> None:
    if sys.stderr is not None and sys.stderr.isatty():  # pyright: ignore[reportUnnecessaryComparison]
        sys.stderr.write("\x1b[?25h")  # a live display hides the cursor
    write_stderr("fielding: stopped at once; what was under way may or may not have been applied")
    os._exit(128 + signum)
