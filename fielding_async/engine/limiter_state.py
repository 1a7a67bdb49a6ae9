"""What can be asked of a session's limiter: slots, requests that wait, pace and pause."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fielding_async.core.errors import RateLimitError
from fielding_async.core.pace.waiting_line import Priority, WaitingLine, background_slots

from .gate_queue import GateQueue
from .membership import PacerLike

if TYPE_CHECKING:
    from fielding_async.telemetry.signal_names import WaitReason

__all__ = ["LimiterState"]


class LimiterState:
    """The state of a limiter, which may be read at any time.

    `serve`: gives permissions to the requests in `line`.
    """

    def __init__(
        self,
        pacer: PacerLike,
        concurrency: int,
        line: WaitingLine[Any],
        loop: asyncio.AbstractEventLoop,
        serve: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._pacer = pacer
        self._free = self._concurrency = concurrency
        self.background_slots: int = background_slots(concurrency)
        """How many slots the background may take."""
        self._free_in_background = self.background_slots
        self._waiting_line = line
        self.gate_queue: GateQueue = GateQueue(pacer, loop, serve)
        """Where requests that may not leave yet wait at the socket."""
        self._last_429: RateLimitError | None = None
        self._refusals = 0
        self._closed: Callable[[], BaseException] | None = None

    @property
    def in_flight(self) -> int:
        """How many slots are taken."""
        return self._concurrency - self._free

    @property
    def waiting(self) -> int:
        """How many requests wait for a permission."""
        return self._waiting_line.waiting

    @property
    def waiting_by_class(self) -> dict[Priority, int]:
        """How many requests of each class wait for a permission."""
        return dict(zip(Priority, self._waiting_line.counts, strict=True))

    @property
    def oldest_wait(self) -> float:
        """The seconds for which the request has waited that has waited longest; 0 if none waits."""
        since = self._waiting_line.oldest()
        return 0.0 if since is None else max(0.0, self._loop.time() - since)

    @property
    def pace(self) -> float | None:
        """Requests a second that are allowed now; `None` if nothing limits them."""
        interval = self._pacer.interval
        return 1.0 / interval if interval else None

    @property
    def refusals(self) -> int:
        """How many requests met a 429."""
        return self._refusals

    @property
    def pause_left(self) -> float:
        """Seconds until the pause after a 429 is over; 0 when there is none."""
        return max(0.0, self._pacer.paused_until - self._loop.time())

    @property
    def waits_for(self) -> "WaitReason | None":
        """What keeps the next request from being sent; `None` if nothing does."""
        return self._waits_for(is_background=False)

    def _waits_for(self, *, is_background: bool) -> "WaitReason | None":
        if self.pause_left:
            return "pause"
        if not self._free or (is_background and not self._free_in_background):
            return "concurrency"
        is_free = not self._waiting_line.waiting and self._has_room(is_background=is_background)
        return None if is_free and self._pacer.ready_at() <= self._loop.time() else "rate"

    @property
    def refusal(self) -> RateLimitError | None:
        """The 429 that all requests wait for, if one is the reason."""
        return self._last_429 if self.pause_left or self._pacer.pauses_in_a_row else None

    @property
    def is_closed(self) -> bool:
        """Whether there are no permissions any more."""
        return self._closed is not None

    def demand(self) -> tuple[int, int]:
        """Return how many requests wait: of calls, and of the background."""
        background = sum(self._waiting_line.counts[Priority.BACKGROUND_UNDER_WAY :])
        return self._waiting_line.waiting - background, background

    def _has_room(self, *, is_background: bool) -> bool:
        """Whether slots and gate allow one more permission."""
        if not self._free or (is_background and not self._free_in_background):
            return False
        return not (self.gate_queue.waiting and self.gate_queue.is_crowded(is_background=is_background))
