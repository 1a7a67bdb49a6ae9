"""SIGINT and SIGTERM: the first one cancels the work, which then tells what may have been done; the second one ends.

Work that can stop more gently heeds the first ones itself.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from .output import complain

__all__ = ["Interrupted", "run_async"]


class Interrupted(BaseException):
    """The work was cancelled by a signal. `status` is what the process exits with: 128 and the signal's number."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.name: str = signal.Signals(signum).name
        self.status: int = 128 + signum


def run_async(
    work: Callable[[], Coroutine[Any, Any, int]], *, heed: Callable[[signal.Signals], bool] | None = None
) -> int:
    """Run a coroutine to its end, and return what it returns. Raises `Interrupted` if a signal cancelled it.

    `heed` is asked first about every signal: if it returns true it has dealt with it, and the work goes on.
    """
    received: list[int] = []

    async def guarded() -> int:
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()

        def on_signal(signum: int) -> None:
            if heed is not None and heed(signal.Signals(signum)):
                return
            if received:
                _leave_at_once(signum)
            received.append(signum)
            if task is not None:
                task.cancel()

        for signum in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(signum) is signal.SIG_IGN:
                continue  # whoever started us wants it ignored, as a shell does for its background jobs
            try:
                loop.add_signal_handler(signum, on_signal, signum)
            except (NotImplementedError, RuntimeError, ValueError):
                break  # Windows, or not the main thread: asyncio's own handling of Ctrl-C is left
        return await work()

    try:
        return asyncio.run(guarded())
    except asyncio.CancelledError:
        if not received:
            raise
    except KeyboardInterrupt:
        received.append(signal.SIGINT)
    raise Interrupted(received[0])


def _leave_at_once(signum: int) -> None:
    if sys.stderr is not None and sys.stderr.isatty():  # pyright: ignore[reportUnnecessaryComparison]
        sys.stderr.write("\x1b[?25h")  # a live display hides the cursor
    complain("fielding: stopped at once; what was under way may or may not have been applied")
    os._exit(128 + signum)
