"""Time limits of many tasks, on one timer.

A timer for each request costs more than the request's own bookkeeping. Most limits are of one length, so they end in
the order in which they started, and one timer for the oldest serves all. A limit that ends sooner gets a timer.
"""

import asyncio
from math import inf

from attrs import define

__all__ = ["DeadlineTimer", "Limit"]


@define(eq=False)
class Limit:
    """The time limit of a task. `due`: a time of the loop's clock. `expired`: the task was cancelled for it."""

    task: "asyncio.Task[object]"
    cancelled_before: int
    due: float
    timer: asyncio.TimerHandle | None = None
    expired: bool = False

    def cut(self) -> None:
        """Cancel the task, once."""
        if not self.expired:
            self.expired = True
            self.task.cancel()

    def undo(self) -> bool:
        """Undo the cancellation, if there was one. Returns whether nobody else cancelled the task either."""
        if not self.expired:
            return False
        self.expired = False
        return self.task.uncancel() <= self.cancelled_before


class DeadlineTimer:
    """The time limits of one session. Lives on one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.limits: dict[Limit, None] = {}
        """Those that wait for the one timer, in the order in which they end."""
        self._early: dict[Limit, None] = {}  # those with a timer of their own
        self._latest = -inf
        self._timer: asyncio.TimerHandle | None = None

    def start(self, seconds: float) -> Limit:
        """Limit the current task. Must be followed by `stop`."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - coroutines of the SDK run in tasks
        due = self._loop.time() + seconds
        limit = Limit(task, task.cancelling(), due)
        if due < self._latest:
            limit.timer = self._loop.call_at(due, limit.cut)
            self._early[limit] = None
            return limit
        self._latest = due
        self.limits[limit] = None
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._fire, due)
        return limit

    def stop(self, limit: Limit) -> None:
        """End a limit, whether it expired or not."""
        if limit.timer is None:
            self.limits.pop(limit, None)
        else:
            limit.timer.cancel()
            self._early.pop(limit, None)
        if limit.expired:
            limit.undo()

    def _fire(self, due: float) -> None:
        self._timer = None
        for limit in list(self.limits):
            if limit.due > due:
                self._timer = self._loop.call_at(limit.due, self._fire, limit.due)
                return
            del self.limits[limit]
            limit.cut()

    def cut_all(self) -> None:
        """Cancel all tasks that are limited, each as if its time were up."""
        for limit in [*self.limits, *self._early]:
            limit.cut()

    def close(self) -> None:
        """Cancel the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
