"""Which request gets the next permission: three classes, and within each first come, first served.

1. GETs that settle a lost write.
2. Calls: those in progress, then first requests.
3. The background (rows of batches, polls of jobs): those in progress, then first requests.

While the first two classes wait, the background gets one of ten permissions, so that neither keeps the other from
going on. A request of the background moves up when a call comes to wait for it.

An entry that no longer waits stays in its heap until it comes to the top, or until such entries are the larger part.
So the cost of a step hardly depends on how many wait.
"""

from collections import deque
from enum import IntEnum
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

from attrs import define

__all__ = ["Patience", "Priority", "Waiter", "WaitingLine", "background_slots"]


class Priority(IntEnum):
    """Who is served first: the lower number."""

    SETTLING = 0
    """A GET that settles a lost write."""
    UNDER_WAY = 1
    """A request of a call that had a permission before."""
    FIRST = 2
    """The first request of a call."""
    BACKGROUND_UNDER_WAY = 3
    """A request of a row or a poll, if its call had a permission before."""
    BACKGROUND = 4
    """The first request of a row, or the first poll."""

    @property
    def is_background(self) -> bool:
        """Whether it is in the last class."""
        return self >= Priority.BACKGROUND_UNDER_WAY


_CALLS: tuple[Priority, ...] = (Priority.SETTLING, Priority.UNDER_WAY, Priority.FIRST)
_BACKGROUND: tuple[Priority, ...] = (Priority.BACKGROUND_UNDER_WAY, Priority.BACKGROUND)
_SHARE = 10  # of so many permissions the background gets one while calls wait
_UP = Priority.BACKGROUND - Priority.FIRST
_LEAST_STALE = 64  # entries, below which cleaning up is not worth while
_MOST_PAUSES = 3  # pauses in a row, each followed by another 429


def background_slots(slots: int) -> int:
    """Return how many of a session's slots the background may take: of ten or more, one is kept for calls."""
    return slots - 1 if slots >= _SHARE else slots


@define(eq=False)
class Waiter:
    """A request that waits for a permission. `place`: the lower is served first within a class.

    `since`: from when it has waited. `waits`: it has neither been served nor gone.
    """

    priority: Priority
    place: int
    since: float
    waits: bool = True


W = TypeVar("W", bound=Waiter)


class WaitingLine(Generic[W]):
    """The requests that wait. `waiting`: how many; `counts`: how many of each `Priority`."""

    def __init__(self) -> None:
        self.waiting: int = 0
        self.counts: list[int] = [0] * len(Priority)
        self._heaps: list[list[tuple[int, int, W]]] = [[] for _ in Priority]
        self._entered = 0
        self._stale = 0  # entries of what no longer waits there
        self._passed_over = 0  # permissions given to calls since the background had one, while it waited

    def enter(self, waiter: W) -> None:
        """Put a request in the line."""
        self.waiting += 1
        self.counts[waiter.priority] += 1
        self._push(waiter)

    def _push(self, waiter: W) -> None:
        self._entered += 1
        heappush(self._heaps[waiter.priority], (waiter.place, self._entered, waiter))

    def first(self, *, with_background: bool) -> W | None:
        """Return the request that is next. `with_background`: one of the background may be."""
        counts = self.counts
        calls_wait = counts[0] or counts[1] or counts[2]
        if with_background and (not calls_wait or self._passed_over >= _SHARE - 1) and (counts[3] or counts[4]):
            classes = _BACKGROUND
        elif calls_wait:
            classes = _CALLS
        else:
            return None
        priority = next(priority for priority in classes if counts[priority])
        heap = self._heaps[priority]
        while not (heap[0][2].waits and heap[0][2].priority is priority):
            heappop(heap)
            self._stale -= 1
        return heap[0][2]

    def serve(self, waiter: W) -> None:
        """Take the request out that `first` has returned, for it has its permission."""
        heappop(self._heaps[waiter.priority])
        self._count_out(waiter)
        if waiter.priority.is_background:
            self._passed_over = 0
        elif self.counts[3] or self.counts[4]:
            self._passed_over += 1

    def leave(self, waiter: W) -> None:
        """Take a request out that gave up or was cancelled."""
        if waiter.waits:
            self._count_out(waiter)
            self._left_stale()

    def lift(self, waiter: W) -> None:
        """Move a request of the background up to the class of calls; it keeps its place."""
        if waiter.waits and waiter.priority.is_background:
            self.counts[waiter.priority] -= 1
            waiter.priority = Priority(waiter.priority - _UP)
            self.counts[waiter.priority] += 1
            self._push(waiter)
            self._left_stale()

    def ahead_of(self, priority: Priority) -> int:
        """Return how many requests are ahead of a new one, without the share of the background."""
        return sum(self.counts[: priority + 1])

    def oldest(self) -> float | None:
        """Return since when the request that has waited longest has waited; `None` if none waits."""
        # copies, as it may be called in another thread
        waiting = [waiter for heap in self._heaps for _, _, waiter in heap[:] if waiter.waits]
        return min((waiter.since for waiter in waiting), default=None)

    def clear(self) -> list[W]:
        """Empty the line, and return those that waited."""
        found = [entry[2] for heap in self._heaps for entry in heap if entry[2].waits]
        self._heaps = [[] for _ in Priority]
        self.counts = [0] * len(Priority)
        self.waiting = self._stale = 0
        left: list[W] = []
        for waiter in found:
            if waiter.waits:  # one that was lifted is there twice
                waiter.waits = False
                left.append(waiter)
        return left

    def _count_out(self, waiter: W) -> None:
        waiter.waits = False
        self.waiting -= 1
        self.counts[waiter.priority] -= 1

    def _left_stale(self) -> None:
        self._stale += 1
        if self._stale <= _LEAST_STALE or self._stale <= self.waiting:
            return
        self._stale = 0
        for priority, heap in zip(Priority, self._heaps, strict=True):
            heap[:] = [entry for entry in heap if entry[2].waits and entry[2].priority is priority]
            heapify(heap)


class Patience(Generic[W]):
    """Which requests without a deadline give up, because each pause is followed by another 429.

    `waiters`: those that wait, in the order in which they give up, with the time of that and the pauses before.
    """

    def __init__(self) -> None:
        self._pauses = 0
        self.waiters: deque[tuple[W, float, int]] = deque()

    def enter(self, waiter: W, patience: float) -> None:
        """Note that a request starts to wait. `patience`: seconds, the same for all."""
        self.waiters.append((waiter, waiter.since + patience, self._pauses))

    def leave(self) -> None:
        """Forget those that wait no more, as far as they are the oldest."""
        while self.waiters and not self.waiters[0][0].waits:
            self.waiters.popleft()

    def give_up(self, now: float, in_a_row: int) -> list[W]:
        """Note that one more pause starts, of so many in a row, and return the requests that have waited too long.

        While no request waits, pauses need not be noted.
        """
        self._pauses += 1
        given_up: list[W] = []
        while self.waiters and in_a_row >= _MOST_PAUSES:
            waiter, until, pauses = self.waiters[0]
            if waiter.waits and (self._pauses - pauses < _MOST_PAUSES or now < until):
                break
            self.waiters.popleft()
            if waiter.waits:
                given_up.append(waiter)
        return given_up
