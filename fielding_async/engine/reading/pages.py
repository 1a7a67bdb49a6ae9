"""The pages of a list, fetched one after the other, each in a task of its own.

A task, so that a page can be fetched while the one before is read, and so that a caller who stops waiting for it loses
nothing. The session knows of every such task and waits for it when it closes. No task holds the iterator that started
it: an iterator that nobody holds any more is collected at once, and ends its tasks.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from attrs import evolve, frozen

from fielding_async.core.config import TimeoutArg
from fielding_async.core.errors import ProtocolError, SessionClosedError
from fielding_async.core.wire.discovery.pages import Page, PageOrder
from fielding_async.engine.engine import Engine

from .read import Read, read_in

__all__ = ["PageReader", "Started", "call_on_loop", "start"]

_T = TypeVar("_T")


@frozen
class _Failed:
    error: Exception


async def _ended(work: Callable[[], Coroutine[Any, Any, _T]]) -> _T | _Failed:
    """Return what came of the work: nobody may be left to ask its task for an exception."""
    try:
        return await work()
    except Exception as error:  # noqa: BLE001 - raised where the result is read
        return _Failed(error)


class Started(Generic[_T]):
    """Work that goes on in a task that the session knows of."""

    __slots__ = ("task",)

    def __init__(self, task: "asyncio.Task[_T | _Failed]") -> None:
        self.task: asyncio.Task[_T | _Failed] = task

    def result(self) -> _T:
        """Return what came of it, or raise its error. For work that has ended."""
        if self.task.cancelled():
            raise SessionClosedError("the page was not fetched: its task was cancelled")
        result = self.task.result()
        if isinstance(result, _Failed):
            raise result.error
        return result


def start(engine: Engine, work: Callable[[], Coroutine[Any, Any, _T]]) -> Started[_T]:
    """Start work in a task. To be called on the loop of the session."""
    return Started(engine.sender.start_reader(_ended(work)))


def call_on_loop(loop: asyncio.AbstractEventLoop, function: Callable[[], object]) -> None:
    """Call a function on the event loop: at once if this is where it runs, else soon, and never if it is closed.

    For `__del__`, which may run in any thread.
    """
    if loop.is_closed():
        return
    if asyncio._get_running_loop() is loop:
        function()
    else:
        loop.call_soon_threadsafe(function)


class PageReader(Generic[_T]):
    """Fetches the pages of one list, for one iteration. `is_at_end`: there are no more to fetch."""

    def __init__(self, engine: Engine, read: Read[Page[_T]], timeout: TimeoutArg) -> None:
        self._engine = engine
        self._read = read
        self._timeout = timeout
        self._order = PageOrder(read.row.name)
        self._cursor: str | None = None
        self._endless: ProtocolError | None = None
        self.is_at_end: bool = False

    def start(self) -> Started[tuple[_T, ...]]:
        """Start to fetch the next page; the one before must have ended."""
        return start(self._engine, self._fetch)

    async def _fetch(self) -> tuple[_T, ...]:
        if self._endless is not None:
            raise self._endless
        read = self._read
        if self._cursor is not None:
            read = evolve(read, params=(*read.params, ("start_after", self._cursor)))
        with self._engine.call(read.row.name, self._timeout, ids=read.ids, is_background=True) as call:
            page = await read_in(self._engine, call, read)
            is_new = False
            try:
                self._order.check_new(page)
                is_new = True
                self._cursor = self._order.cursor_after(page)
                self.is_at_end = self._cursor is None
            except ProtocolError as error:
                error.filled(method=read.row.method, path=read.row.path.format_map(read.ids)).status = read.row.success
                if not is_new:
                    raise
                # raised after the entries of this page: in place of the next one
                self._endless = error.filled(trace_id=call.trace.trace_id)
        return page.items
