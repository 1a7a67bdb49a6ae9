"""The runs of a project: what `project.find_runs(…)` returns, and its iterations."""

import asyncio
from collections.abc import Callable, Generator
from inspect import isawaitable, iscoroutine
from typing import Any, Self

from attrs import field, frozen

from fielding_async.core.config import TimeoutArg
from fielding_async.core.discovery.found_runs import FoundRun
from fielding_async.core.discovery.target_groups import TargetGroupItem
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.wire.discovery.pages import Page
from fielding_async.engine.engine import EngineSource
from fielding_async.engine.reading.pages import PageReader, call_on_loop
from fielding_async.engine.reading.read import Read
from fielding_async.engine.reading.run_search import RunSearch

__all__ = ["FoundRuns", "FoundRunsIterator", "Wanted"]


@frozen(kw_only=True)
class Wanted:
    """What is searched for: the project's target groups, the statuses of runs, and a judgement of the caller's."""

    session: EngineSource = field(repr=False)
    account_id: int
    project_id: str
    groups: Read[Page[TargetGroupItem]] = field(repr=False)
    statuses: frozenset[str] | None
    where: Callable[[FoundRun], object] | None
    concurrency: int
    timeout: TimeoutArg

    def search(self) -> RunSearch:
        """Return a search that has not started. Raises `SessionClosedError`."""
        engine = self.session.engine()
        engine.check()
        pages = PageReader(engine, self.groups, self.timeout)
        return RunSearch(engine, self.account_id, self.project_id, pages, self.statuses, self.concurrency, self.timeout)


class FoundRuns:
    """The search for the runs of a project: `async for found in …`, or `await ….all()`.

    Nothing is sent before the first iteration, and only GETs are sent. Each iteration starts a new search. If a request
    fails, the iteration first yields the runs that were found, and then raises the error. It raises an exception of
    `where`, and `SessionClosedError`, at once.
    """

    __module__ = "fielding_async"

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted

    def __repr__(self) -> str:
        return f"<FoundRuns of {self._wanted.account_id}/{self._wanted.project_id}>"

    def __aiter__(self) -> "FoundRunsIterator":
        return FoundRunsIterator(self._wanted)

    async def all(self) -> list[FoundRun]:
        """Return all runs, in the order in which they were found. Raises the errors of an iteration."""
        iterator = aiter(self)
        try:
            return [found async for found in iterator]
        finally:
            await iterator.aclose()

    def __await__(self) -> Generator[Any, None, list[FoundRun]]:
        """Return what `all()` returns."""
        return self.all().__await__()


class FoundRunsIterator:
    """One search for the runs of a project. Only one task at a time may iterate over it.

    You do not have to close it. If you leave the iteration early, its requests are cancelled when Python
    garbage-collects the iterator. `aclose()` cancels them at once.
    """

    __module__ = "fielding_async"

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._search: RunSearch | None = None
        self._is_over = False
        self._is_waited_for = False

    @property
    def vanished(self) -> int:
        """The number of target groups that were listed, but no longer existed when their runs were fetched (404)."""
        return 0 if self._search is None else self._search.vanished

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> FoundRun:
        """Return the next run that was found. Raises `ConfigurationError` while another task waits for it."""
        if self._is_over:
            raise StopAsyncIteration
        if self._is_waited_for:
            raise ConfigurationError(
                "find_runs: the search is being iterated by another task: use one task, or a search for each"
            )
        if self._search is None:
            self._search = self._wanted.search()
        search = self._search
        search.engine.check_place()
        while True:
            while search.found:
                found = search.found.popleft()
                search.go_on()
                if self._is_wanted(found):
                    return found
            if self._is_over:  # closed meanwhile
                raise StopAsyncIteration
            if search.is_over:
                self._is_over = True
                if search.error is not None:
                    raise search.error
                raise StopAsyncIteration
            self._is_waited_for = True
            try:
                await search.wait()
            finally:
                self._is_waited_for = False

    async def aclose(self) -> None:
        """End the search. Returns when none of its requests is in flight."""
        self._is_over = True
        if self._search is not None:
            tasks = self._search.tasks()
            self._search.close()
            if tasks:
                await asyncio.wait(tasks)

    def __del__(self) -> None:
        search: RunSearch | None = getattr(self, "_search", None)
        if search is not None and search.tasks():
            call_on_loop(search.engine.loop, search.close)

    def _is_wanted(self, found: FoundRun) -> bool:
        where = self._wanted.where
        if where is None:
            return True
        try:
            wanted = where(found)
            if not isawaitable(wanted):
                return bool(wanted)
        except BaseException as error:
            self._end()
            if isinstance(error, StopIteration | StopAsyncIteration):  # it would end the loop as if nothing were wrong
                raise RuntimeError(f"find_runs: where raised {type(error).__name__}") from error
            raise
        if iscoroutine(wanted):
            wanted.close()
        self._end()
        raise ConfigurationError("where: must be a plain callable, not an async one: fetch in your loop instead")

    def _end(self) -> None:
        self._is_over = True
        if self._search is not None:
            self._search.close()
