"""What the tasks of a queue share in a worker process: one session, one `PostgresPlans`, and the end on a signal."""

import asyncio
import logging
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from attrs import frozen

from fielding_async import FieldingSession
from fielding_async.core.errors import ConfigurationError, JournalError, briefly
from fielding_async.plans import PostgresPlans, Worked

__all__ = ["LANES", "SECONDS", "WorkerProcess", "check_lanes", "check_seconds"]

SECONDS = 15.0
"""How long a slice takes, unless told otherwise."""

LANES = 8
"""How many jobs of one plan wait in the queue at most, unless told otherwise."""

_MOST_SECONDS = 3600.0
_MOST_HELD = 5.0  # seconds
_MOST_LANES = 1000
_DATABASE_WAIT = 5.0  # seconds until a database that could not be used is asked again

_log = logging.getLogger("fielding_async.queues")


def check_seconds(value: object) -> float:
    """Return the seconds of a slice; raises `ConfigurationError`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= _MOST_SECONDS:
        raise ConfigurationError(f"seconds={briefly(value)}: must be a number of seconds, 1 to {_MOST_SECONDS:.0f}")
    return float(value)


def check_lanes(value: object) -> int:
    """Return a number of lanes; raises `ConfigurationError`."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST_LANES:
        raise ConfigurationError(f"lanes={briefly(value)}: must be a whole number, 1 to {_MOST_LANES}")
    return value


@frozen
class _Opened:
    fielding: FieldingSession
    plans: PostgresPlans


class WorkerProcess:
    """Makes a session and a `PostgresPlans` at the first use, and closes them when the event loop ends.

    The queues do not all say when a worker ends. A task keeps both open: `asyncio.run` cancels it at its end, and
    `aclose` ends it. `session`, `plans`: called once in each process. `seconds`: of a slice.
    """

    def __init__(
        self, session: Callable[[], FieldingSession], plans: Callable[[], PostgresPlans], seconds: float
    ) -> None:
        self._make_session = session
        self._make_plans = plans
        self.seconds = seconds
        self._keeper: asyncio.Task[None] | None = None
        self._opened: asyncio.Future[_Opened] | None = None
        self._closing = asyncio.Event()
        self._stopping = asyncio.Event()
        self._working: set[asyncio.Task[Worked]] = set()

    async def open(self) -> None:
        """Make the session and the connections now, so that what is wrong with them shows at the start."""
        await self._open()

    async def _open(self) -> _Opened:
        if self._opened is None or (self._opened.done() and (self._opened.cancelled() or self._opened.exception())):
            loop = asyncio.get_running_loop()
            self._opened = loop.create_future()
            self._closing = asyncio.Event()
            self._keeper = loop.create_task(self._keep(self._opened), name="fielding-async: session of the worker")
            self._listen_for_signals(loop)
        return await asyncio.shield(self._opened)

    async def _keep(self, opened: "asyncio.Future[_Opened]") -> None:
        try:
            async with self._make_session() as fielding, self._make_plans() as plans:
                opened.set_result(_Opened(fielding, plans))
                await self._closing.wait()
        except Exception as problem:
            if opened.done():
                raise
            opened.set_exception(problem)

    async def aclose(self) -> None:
        """Close what was opened."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            self._closing.set()
            await keeper

    async def unfinished(self) -> list[str]:
        """Return the names of the plans that have rows left and may be worked on."""
        opened = await self._open()
        return [status.name for status in await opened.plans.list() if status.state == "sealed" and status.left]

    async def work(self, plan: str) -> Worked | None:
        """Work on a plan for one slice; `None` if it was cut short: by a signal, or as the database is away."""
        opened = await self._open()
        if self._stopping.is_set():
            return None
        working = asyncio.create_task(opened.plans.work(opened.fielding, plan, seconds=self.seconds))
        self._working.add(working)
        try:
            return await working
        except JournalError as problem:  # the database cannot be used now
            _log.warning("plan %r: %s", plan, problem)
            return None
        except asyncio.CancelledError:
            if not self._stopping.is_set() or _is_cancelled():
                raise
            return None
        finally:
            self._working.discard(working)

    def next_in(self, worked: Worked) -> float:
        """Return in how many seconds the next job of a plan with rows left is of use.

        Others give back what they hold at the end of their slices, long before their leases would be over.
        """
        return min(worked.wait, _MOST_HELD) if worked.held else worked.wait

    @property
    def retry_in(self) -> float:
        """In how many seconds the next job is of use, after a slice that was cut short."""
        return 0.0 if self._stopping.is_set() else _DATABASE_WAIT

    async def wait(self, seconds: float) -> None:
        """Wait for so many seconds, for a slice's length at most, and not longer than until a signal to end."""
        if seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), min(seconds, self.seconds))

    def _listen_for_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have SIGTERM and SIGINT end the slices in progress: a queue waits for its jobs, however long they take.

        taskiq ends its workers with a SIGINT. A handler of the queue is called as before. One that was added to the
        event loop is as well, as the loop hears of every signal that Python handles.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            before = signal.getsignal(number)
            if callable(before):  # otherwise it ends the process at once, and is not to be kept from that
                signal.signal(number, self._handler(loop, before))

    def _handler(
        self, loop: asyncio.AbstractEventLoop, before: Callable[[int, FrameType | None], object]
    ) -> Callable[[int, FrameType | None], None]:
        def stop(number: int, frame: FrameType | None) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._stop)
            before(number, frame)

        return stop

    def _stop(self) -> None:
        self._stopping.set()
        for working in self._working:
            working.cancel()


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
