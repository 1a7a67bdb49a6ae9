"""SIGINT, SIGTERM and SIGHUP: the first cancels the work, which reports what may have been applied; the second exits.

Work that can stop more gently handles the first signals itself. A signal that the parent has ignored stays ignored, as
with `nohup` or for the background jobs of a shell.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from .output import drop_stdout, write_stderr

__all__ = ["Interrupted", "interrupting", "interrupting_output", "run_async"]

_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""The signals that end a command. Windows has no SIGHUP."""

_HANGUP = getattr(signal, "SIGHUP", None)

_Handlers = dict[signal.Signals, Any]


class Interrupted(BaseException):
    """A signal ended the work. `status` is the exit status of the process: 128 plus the number of the signal."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.name: str = signal.Signals(signum).name
        self.status: int = 128 + signum


def _heard() -> _Handlers:
    """Return the handlers of the signals that are not ignored."""
    handlers = {signum: signal.getsignal(signum) for signum in _SIGNALS}
    return {signum: handler for signum, handler in handlers.items() if handler is not signal.SIG_IGN}


def _restore(handlers: _Handlers) -> None:
    for signum, handler in handlers.items():
        if handler is not None:  # it was not set from Python, and cannot be
            signal.signal(signum, handler)


@contextmanager
def interrupting() -> Generator[None]:
    """Raise `Interrupted` in the block at each signal. For work without a loop; only in the main thread."""

    def handle(signum: int, _: FrameType | None) -> None:
        raise Interrupted(signum)

    before = _heard()
    changed: _Handlers = {}
    try:
        for signum in before:
            try:
                signal.signal(signum, handle)
            except ValueError:
                break  # not the main thread
            changed[signum] = before[signum]
        yield
    finally:
        _restore(changed)


@contextmanager
def interrupting_output() -> Generator[None]:
    """Raise `Interrupted` at a signal while the block writes to stdout, and drop what is not written yet.

    A loop sees no signal while a write waits for a reader that does not read, such as a pager.
    """
    try:
        with interrupting():
            yield
    except Interrupted:
        drop_stdout()
        raise


def run_async(
    work: Callable[[], Coroutine[Any, Any, int]], *, on_signal: Callable[[signal.Signals], bool] | None = None
) -> int:
    """Run a coroutine to its end, and return its result. Raises `Interrupted` if a signal cancelled it.

    `on_signal` is called first for every signal, except a SIGHUP that is not the first one. If it returns true it has
    handled the signal, and the work continues.
    """
    received: list[int] = []
    heard: list[int] = []

    async def guarded() -> int:
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()

        def handle(signum: int) -> None:
            heard.append(signum)
            if signum == _HANGUP and len(heard) > 1:
                return  # a terminal that is closed sends several, and nobody is there to be impatient
            if on_signal is not None and on_signal(signal.Signals(signum)):
                return
            if received:
                _exit_at_once(signum)
            received.append(signum)
            if task is not None:
                task.cancel()

        for signum in before:
            try:
                loop.add_signal_handler(signum, handle, signum)
            except (NotImplementedError, RuntimeError, ValueError):
                break  # Windows, or not the main thread: asyncio's own handling of Ctrl-C remains
            changed[signum] = before[signum]
        return await work()

    before = _heard()
    changed: _Handlers = {}
    try:
        return asyncio.run(guarded())
    except asyncio.CancelledError:
        if not received:
            raise
    except KeyboardInterrupt:
        received.append(signal.SIGINT)
    finally:
        _restore(changed)  # the loop has set the system's own
    raise Interrupted(received[0])


def _exit_at_once(signum: int) -> None:
    if sys.stderr is not None and sys.stderr.isatty():  # pyright: ignore[reportUnnecessaryComparison]
        sys.stderr.write("\x1b[?25h")  # a live display hides the cursor
    write_stderr("fielding: stopped at once; what was in progress may or may not have been applied")
    os._exit(128 + signum)
