"""Processes in one virtual time, each with an event loop of its own, so that one can stand still while others go on."""

import asyncio
import sys
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from heapq import heappop, heappush
from itertools import count
from math import inf, nextafter
from typing import Any

from tests.tools.virtual_time import VirtualTimeLoop

__all__ = ["Process", "Universe"]

_MOST_ROUNDS = 100_000


class _ProcessLoop(VirtualTimeLoop):
    """The loop of a process: its time is that of the universe, less what it slept through."""

    def __init__(self, universe: "Universe") -> None:
        super().__init__()
        self._universe = universe
        self.slept = 0.0

    def time(self) -> float:
        return self._universe.now - self.slept

    def waits(self, timeout: float | None) -> None:
        """Wait for nothing: the universe decides when time goes on."""

    @property
    def next_time(self) -> float | None:
        """When it has something to do, by the universe's time; `None`: never."""
        ready: deque[Any] = getattr(self, "_ready")  # noqa: B009 - not in the type stubs
        scheduled: list[asyncio.TimerHandle] = getattr(self, "_scheduled")  # noqa: B009
        if ready:
            return self._universe.now
        live = [timer.when() for timer in scheduled if not timer.cancelled()]
        if not live:
            return None
        when = min(live) + self.slept
        while when - self.slept < min(live):  # rounded down: the timer would ring early, and for ever
            when = nextafter(when, inf)
        return when


class Process:
    """One process. What comes to it while it stands still is there when it goes on; after its death nothing is."""

    def __init__(self, universe: "Universe", name: str, main: "Callable[[Process], Coroutine[Any, Any, None]]") -> None:
        self.universe = universe
        self.name = name
        self.loop = _ProcessLoop(universe)
        self.loop.set_exception_handler(lambda loop, context: None)
        self.is_stopped = False
        self.is_dead = False
        self._inbox: list[Callable[[], None]] = []
        self._asleep_since: float | None = None
        self.error: BaseException | None = None
        self.task: asyncio.Task[None] = self.loop.create_task(main(self))

    def boot_time(self) -> float:
        """The clock that counts sleep."""
        return self.universe.now

    def deliver(self, message: Callable[[], None]) -> None:
        """Have a message arrive in its loop."""
        if self.is_dead:
            return
        if self.is_stopped:
            self._inbox.append(message)
        else:
            self.loop.call_soon(message)

    def stop(self, *, asleep: bool) -> None:
        """Let it stand still. `asleep`: its machine sleeps, so that its loop's clock stands still as well."""
        self.is_stopped = True
        self._asleep_since = self.universe.now if asleep else None

    def go_on(self) -> None:
        """End what `stop` began."""
        if self._asleep_since is not None:
            self.loop.slept += self.universe.now - self._asleep_since
            self._asleep_since = None
        self.is_stopped = False
        inbox, self._inbox = self._inbox, []
        for message in inbox:
            self.deliver(message)

    def run(self) -> None:
        """Do all that can be done now."""
        for _ in range(_MOST_ROUNDS):
            when = self.loop.next_time
            if self.is_dead or self.is_stopped or when is None or when > self.universe.now:
                return
            self._step()
        raise AssertionError(
            f"{self.name} goes round and round at {self.universe.now:.3f}\n{self.loop.describe_tasks()}"
        )

    def _step(self) -> None:
        loop = self.loop
        hooks = sys.get_asyncgen_hooks()
        before = events._get_running_loop()
        events._set_running_loop(loop)
        first, final = (getattr(loop, f"_asyncgen_{name}_hook") for name in ("firstiter", "finalizer"))
        sys.set_asyncgen_hooks(firstiter=first, finalizer=final)
        try:
            loop._run_once()  # type: ignore[attr-defined]
        finally:
            sys.set_asyncgen_hooks(*hooks)
            events._set_running_loop(before)

    def kill(self) -> None:
        """End it at once: nothing of it goes out any more."""
        if self.is_dead:
            return
        self.is_stopped = False
        self._inbox.clear()
        self.is_dead = True
        for _ in range(_MOST_ROUNDS):  # its tasks are taken apart, so that nothing is left behind
            tasks = asyncio.all_tasks(self.loop)
            if not tasks:
                break
            for task in tasks:
                task.cancel()
            self._step()
        self._step()
        if self.task.done() and not self.task.cancelled():
            self.error = self.task.exception()
        self.loop.close()


class Universe:
    """The time of all processes, and what happens between them."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.processes: list[Process] = []
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._number = count()

    def at(self, when: float, event: Callable[[], None]) -> None:
        """Have something happen at a time."""
        heappush(self._events, (max(when, self.now), next(self._number), event))

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        """Have something happen in so many seconds."""
        self.at(self.now + seconds, event)

    def start(self, name: str, main: Callable[[Process], Coroutine[Any, Any, None]]) -> Process:
        """Start a process."""
        process = Process(self, name, main)
        self.processes.append(process)
        return process

    def run(self, until: Callable[[], bool], most: float) -> bool:
        """Let time go on until something holds, or for so many seconds at most. Return whether it holds."""
        end = self.now + most
        while not until():
            for process in self.processes:
                process.run()
            self.processes = [process for process in self.processes if not process.is_dead]
            times = [self._events[0][0]] if self._events else []
            for process in self.processes:
                if not process.is_stopped and (when := process.loop.next_time) is not None:
                    times.append(when)
            if until():
                return True
            if not times or min(times) > end:
                return False
            self.now = max(self.now, min(times))
            while self._events and self._events[0][0] <= self.now:
                heappop(self._events)[2]()
        return True
