"""The search for the runs of a project: its target groups page by page, and the runs of each, side by side.

Everything happens in callbacks of the loop and in one task for each request in progress; the caller's `async for` only
takes from a queue. At most `concurrency` requests are in progress, pages included. A request is started only while its
result would have room, and while nobody waits for a run at most `concurrency` requests that found none, so that a slow
caller holds the search back and one that has gone ends it. Target groups held at any time: fewer than a page, and the
page that is fetched ahead.
"""

import asyncio
from collections import deque
from functools import partial
from typing import Any

from attrs import Factory, define

from fielding_async.core.config import TimeoutArg
from fielding_async.core.discovery.found_runs import FoundRun
from fielding_async.core.discovery.target_groups import TargetGroupItem, TargetGroupStatus
from fielding_async.core.errors import NotFoundError
from fielding_async.core.models import FieldingRun, RunRef
from fielding_async.core.wire.discovery.bodies import decode_runs
from fielding_async.core.wire.discovery.pages import Page
from fielding_async.core.wire.operations import operation
from fielding_async.engine.engine import Engine

from .pages import PageReader, Started, start
from .read import Read, read_value

__all__ = ["PAGE_SIZE", "RunSearch", "runs_of"]

PAGE_SIZE = 100
"""The number of target groups on a page."""


def runs_of(account_id: int, project_id: str, target_group_id: str) -> Read[Page[FieldingRun]]:
    """Return how the runs of a target group are read."""
    ids: dict[str, Any] = {
        "account_id": account_id,
        "project_id": project_id,
        "target_group_id": target_group_id,
    }
    return Read(operation("list"), ids, lambda body, report: decode_runs(body, **ids, report=report))


@define(eq=False)
class RunSearch:
    """One search. `statuses`: those that a run may have; `None`: any.

    `found`: what was found and not taken yet. `vanished`: how many target groups had no run any more when they were
    asked for it.
    """

    engine: Engine
    account_id: int
    project_id: str
    pages: PageReader[TargetGroupItem]
    statuses: frozenset[str] | None
    concurrency: int
    timeout: TimeoutArg
    found: "deque[FoundRun]" = Factory(deque)  # pyright: ignore[reportUnknownVariableType]
    vanished: int = 0
    _queue: "deque[TargetGroupItem]" = Factory(deque)  # pyright: ignore[reportUnknownVariableType]
    _seen: "set[str]" = Factory(set)  # pyright: ignore[reportUnknownVariableType]
    _page: Started[tuple[TargetGroupItem, ...]] | None = None
    _lists: "dict[asyncio.Task[Any], tuple[TargetGroupItem, Started[Page[FieldingRun]]]]" = Factory(dict)  # pyright: ignore[reportUnknownVariableType]
    _page_error: Exception | None = None
    _error: Exception | None = None
    _is_closed: bool = False
    _unasked: int = 0  # requests that ended without a find since somebody last asked for one
    _waiter: "asyncio.Future[None] | None" = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be found."""
        if self._is_closed:
            return True
        if self._page is not None or self._lists:
            return False
        return self._error is not None or (not self._queue and not self._has_more_pages())

    @property
    def error(self) -> Exception | None:
        """What went wrong, if something did. It is raised after what was found."""
        return self._error or self._page_error

    async def wait(self) -> None:
        """Go on until something was found, or the search is over."""
        self.go_on()
        if not self.found and not self.is_over:
            self._waiter = self.engine.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def go_on(self) -> None:
        """Start as many requests as have room, as somebody asks for runs."""
        self._unasked = 0
        self._advance()

    def _advance(self) -> None:
        while self._may_start():
            held = len(self._queue) + len(self._lists) + len(self.found)
            if self._page is None and held < PAGE_SIZE and self._has_more_pages():
                self._page = self.pages.start()
                self._page.task.add_done_callback(self._page_ended)
            elif self._queue and len(self._lists) + len(self.found) < self.concurrency:
                self._list_runs(self._queue.popleft())
            else:
                break

    def _may_start(self) -> bool:
        if self._is_closed or self._error is not None:
            return False
        if self._waiter is None and self._unasked >= self.concurrency:
            return False
        return len(self._lists) + (self._page is not None) < self.concurrency

    def close(self) -> None:
        """End the search and its requests, and forget what was found."""
        self._is_closed = True
        self._queue.clear()
        self.found.clear()
        for task in self.tasks():
            task.cancel()
        self._wake()

    def tasks(self) -> "list[asyncio.Task[Any]]":
        """Return the tasks in progress."""
        return [*self._lists, *(() if self._page is None else (self._page.task,))]

    def _has_more_pages(self) -> bool:
        return not self.pages.is_at_end and self._page_error is None

    def _list_runs(self, group: TargetGroupItem) -> None:
        read = runs_of(self.account_id, self.project_id, group.id)
        started = start(self.engine, partial(read_value, self.engine, read, self.timeout, is_background=True))
        self._lists[started.task] = group, started
        started.task.add_done_callback(self._list_ended)

    def _page_ended(self, _: object) -> None:
        page, self._page = self._page, None
        if self._is_closed or page is None:
            return
        try:
            groups = page.result()
        except Exception as error:  # noqa: BLE001 - raised after what was found
            self._page_error = error
            groups = ()
        for group in groups:
            # a draft has no run; target groups may move to a later page while pages are read
            if group.status != TargetGroupStatus.DRAFT and group.id not in self._seen:
                self._seen.add(group.id)
                self._queue.append(group)
        self._request_ended(len(self.found))

    def _list_ended(self, task: "asyncio.Task[Any]") -> None:
        group, started = self._lists.pop(task)
        if self._is_closed:
            return
        before = len(self.found)
        try:
            runs = started.result().items
        except NotFoundError as error:
            if error.object is not None:
                self.vanished += 1
            else:  # not the exchange's own words: something in between knows no such path
                self._fail(error)
        except Exception as error:  # noqa: BLE001 - raised after what was found
            self._fail(error)
        else:
            for run in runs:
                if self.statuses is None or run.status in self.statuses:
                    ref = RunRef(self.account_id, self.project_id, group.id, run.id)
                    self.found.append(FoundRun(ref=ref, run=run, target_group=group))
        self._request_ended(before)

    def _fail(self, error: Exception) -> None:
        """Start nothing new; what is in progress may still find something."""
        self._error = self._error or error
        if self._page is not None:
            self._page.task.cancel()

    def _request_ended(self, before: int) -> None:
        """Take up what a request has changed. `before`: how many finds there were."""
        if len(self.found) == before:
            self._unasked += 1
        self._advance()
        if self.found or self.is_over:
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
