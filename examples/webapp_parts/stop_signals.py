"""Notices SIGTERM and SIGINT while a server that has its own handlers runs the app."""

import asyncio
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

__all__ = ["on_stop_signal"]


@contextmanager
def on_stop_signal(stop: Callable[[], object]) -> Generator[None]:
    """Call `stop` in the event loop as soon as a signal asks the server to stop, before the server's own handler.

    Needed where a server (Uvicorn) waits for open connections before it tells the app that it stops: the streams
    would never end. Signals that the server does not handle, and servers outside the main thread, are left alone.
    """
    loop = asyncio.get_running_loop()
    before: dict[int, Callable[[int, FrameType | None], object]] = {}

    def on_signal(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stop)
        before[number](number, frame)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(number)
            if callable(handler):
                before[number] = handler
                signal.signal(number, on_signal)
    try:
        yield
    finally:
        for handled, handler in before.items():
            signal.signal(handled, handler)
