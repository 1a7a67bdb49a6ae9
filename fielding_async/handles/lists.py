"""Lists: what `list_…()` returns, and its iterations."""

import asyncio
from collections import deque
from collections.abc import Generator
from typing import Any, Generic, Self, TypeVar

from fielding_async.core.config import TimeoutArg
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.wire.discovery.pages import Page
from fielding_async.engine.engine import Engine, EngineSource
from fielding_async.engine.reading.pages import PageReader, Started, call_on_loop
from fielding_async.engine.reading.read import Read

__all__ = ["Listing", "ListingIterator"]

T = TypeVar("T")


class Listing(Generic[T]):
    """A list of the exchange, fetched page by page: `async for item in …`, or `items = await ….all()`.

    Nothing is sent before the first iteration. Each iteration starts with the first entry. While your program reads the
    entries of a page, the session fetches the next page. The requests have the lowest priority in the session, like
    rows of `perform_all`, and are retried like every GET. `timeout` applies to each request, in seconds.

    If a request fails, the iteration first yields the entries of the pages before, and then raises the error. It also
    raises `ProtocolError` for a list that would never end, and `SessionClosedError`.
    """

    __module__ = "fielding_async"

    def __init__(self, session: EngineSource, read: Read[Page[T]], timeout: TimeoutArg) -> None:
        self._session = session
        self._read = read
        self._timeout = timeout

    def __repr__(self) -> str:
        ids = "/".join(map(str, self._read.ids.values()))
        return f"<Listing: {self._read.row.name}{ids and f' of {ids}'}>"

    def __aiter__(self) -> "ListingIterator[T]":
        return ListingIterator(self._session, self._read, self._timeout)

    async def all(self) -> list[T]:
        """Return all entries. Raises the errors of an iteration."""
        iterator = aiter(self)
        try:
            return [item async for item in iterator]
        finally:
            await iterator.aclose()

    def __await__(self) -> Generator[Any, None, list[T]]:
        """Return what `all()` returns."""
        return self.all().__await__()


class ListingIterator(Generic[T]):
    """One iteration over a `Listing`, by one task at a time. Its `timeout` applies to each request, in seconds.

    You do not have to close it. If you leave the iteration early, the request in flight is cancelled when Python
    garbage-collects the iterator. `aclose()` cancels the request at once.
    """

    __module__ = "fielding_async"

    def __init__(self, session: EngineSource, read: Read[Page[T]], timeout: TimeoutArg) -> None:
        self._session = session
        self._read = read
        self._timeout = timeout
        self._engine: Engine | None = None
        self._pages: PageReader[T] | None = None
        self._items: deque[T] = deque()
        self._ahead: Started[tuple[T, ...]] | None = None
        self._is_over = False
        self._is_waited_for = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        """Return the next entry. Raises `ConfigurationError` while another task waits for it."""
        while not self._items:
            await self._read_page()
        return self._items.popleft()

    async def aclose(self) -> None:
        """End the iteration. Returns when none of its requests is in flight."""
        self._is_over = True
        self._items.clear()
        if self._ahead is not None and not self._ahead.task.done():
            self._ahead.task.cancel()
            await asyncio.wait([self._ahead.task])

    def __del__(self) -> None:
        ahead: Started[Any] | None = getattr(self, "_ahead", None)
        if ahead is not None and self._engine is not None and not ahead.task.done():
            call_on_loop(self._engine.loop, ahead.task.cancel)

    async def _read_page(self) -> None:
        if self._is_over:
            raise StopAsyncIteration
        if self._is_waited_for:
            raise ConfigurationError("the list is being iterated by another task; use an iterator for each task")
        pages = self._pages
        if self._engine is None or pages is None:
            engine = self._session.engine()
            engine.check()
            self._engine = engine
            pages = self._pages = PageReader(engine, self._read, self._timeout)
        else:
            self._engine.check_place()
        if self._ahead is None:
            if pages.is_at_end:
                self._is_over = True
                raise StopAsyncIteration
            self._ahead = pages.start()
        self._is_waited_for = True
        try:
            await asyncio.wait([self._ahead.task])
        finally:
            self._is_waited_for = False
        if self._is_over:  # closed meanwhile
            raise StopAsyncIteration
        page, self._ahead = self._ahead, None
        try:
            self._items.extend(page.result())
        except Exception:
            self._is_over = True
            raise
        if not pages.is_at_end:
            self._ahead = pages.start()
