"""An asyncio event loop whose time is virtual: it jumps to the next timer when nothing is ready, and never sleeps.

`run(main())` is `asyncio.run` on such a loop. A day of timeouts takes milliseconds, and the same program does the same
every time. If the main task can never go on (nothing is ready and no timer is set), `Deadlock` says who waits where.
Threads, sockets and subprocesses have no place on it.
"""

import asyncio
from asyncio import base_events
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

__all__ = ["Deadlock", "Livelock", "VirtualTimeLoop", "run"]

_T = TypeVar("_T")
_START = 1000.0
_MOST_STEPS = 200_000


class Deadlock(Exception):  # noqa: N818 - reads better at `raise`
    """Nothing is ready, no timer is set, and the main task is not done."""


class Livelock(Exception):  # noqa: N818
    """The loop goes round and round while its time stands still."""


class _Jumps:
    """In the place of a selector: instead of waiting, time is moved to the next timer."""

    def __init__(self, loop: "VirtualTimeLoop") -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        self._loop.waits(timeout)
        return []


class VirtualTimeLoop(base_events.BaseEventLoop):
    """An event loop in virtual time, which starts at 1000 seconds.

    `on_jump`, if set, is called each time before time moves: everything that was ready has then been done.
    """

    def __init__(self, start: float = _START) -> None:
        super().__init__()
        self._now = start
        self._steps = 0
        self._clock_resolution = 1e-9
        self._selector = _Jumps(self)
        self.on_jump: Callable[[], None] | None = None

    def time(self) -> float:
        """Return the virtual time, in seconds."""
        return self._now

    def waits(self, timeout: float | None) -> None:
        """Take the place of waiting for `timeout` seconds; `None` is for ever."""
        if timeout == 0:
            self._steps += 1
            if self._steps > _MOST_STEPS:
                raise Livelock(f"{_MOST_STEPS} rounds at {self._now:.3f} s\n{self.describe_tasks()}")
            return
        self._steps = 0
        if self.on_jump is not None:
            self.on_jump()
        if timeout is None:
            raise Deadlock(f"nothing is ready and no timer is set at {self._now:.3f} s\n{self.describe_tasks()}")
        # exactly the timer's own time: a sum would miss it by a rounding error
        scheduled: list[asyncio.TimerHandle] = getattr(self, "_scheduled")  # noqa: B009 - not in the type stubs
        self._now = max(self._now, scheduled[0].when())

    def describe_tasks(self) -> str:
        """Return a line for each task that is not done: its name and where it waits."""
        lines: list[str] = []
        for task in sorted(asyncio.all_tasks(self), key=lambda task: task.get_name()):
            coroutine: Any = task.get_coro()
            places: list[str] = []
            while coroutine is not None and getattr(coroutine, "cr_frame", None) is not None:
                frame = coroutine.cr_frame
                places.append(f"{frame.f_code.co_qualname}:{frame.f_lineno}")
                coroutine = coroutine.cr_await
            lines.append(f"  {task.get_name()}: {' > '.join(places) or 'not started'}")
        return "\n".join(lines) or "  no task is pending"

    def _process_events(self, event_list: list[Any]) -> None:
        """Do nothing: there are no file descriptors."""

    def _write_to_self(self) -> None:
        """Do nothing: no thread waits to be woken."""

    def run_in_executor(  # type: ignore[override]  # it never returns
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> "asyncio.Future[Any]":
        """Refuse: what happens in threads happens in real time."""
        raise NotImplementedError("there are no threads in virtual time")


def run(main: Coroutine[Any, Any, _T], *, loop: VirtualTimeLoop | None = None) -> _T:
    """Run a coroutine to its end in virtual time, as `asyncio.run` does in real time."""
    runner = asyncio.Runner(loop_factory=lambda: loop or VirtualTimeLoop())
    try:
        return runner.run(main)
    finally:
        with suppress(Deadlock, Livelock):
            runner.close()
