"""The pauses of the session while a batch runs, for its journal: few records, however many pauses there are.

A pause starts with a 429 and ends when requests may be sent again. It is recorded in the first group that the journal
writes after that, so that no group is written for it; what is left at the end of the batch is recorded then. The first
records of a batch follow one another as the pauses do. With every further `_SAME_GAP` records the time that has to pass
between two of them doubles; one record then stands for all pauses of that time. So a day of pauses takes some hundred
records.
"""

from collections.abc import Callable
from math import inf

from fielding_async.core.errors import RateLimitError
from fielding_async.engine.limiter import Limiter
from fielding_async.journal.journal import Journal

__all__ = ["PauseRecorder"]

_SAME_GAP = 50  # records


class PauseRecorder:
    """Records the pauses of a session in the journal of one batch, from `begin` to `end`."""

    def __init__(self, limiter: Limiter, journal: Journal, clock: Callable[[], float]) -> None:
        self._limiter = limiter
        self._journal = journal
        self._clock = clock
        self._records = 0
        self._recorded_at = -inf
        self._count = 0  # of the pauses that are not on record
        self._began = 0.0  # the first of them
        self._paused = 0.0  # seconds of those before the last
        self._last_began = 0.0
        self._last_ends = -inf
        self._reason = ""

    def begin(self) -> None:
        """Observe pauses from now on; one may be in progress."""
        self._limiter.on_pause[self._observe] = None
        self._journal.before_group = self._record_if_over
        refusal, left = self._limiter.refusal, self._limiter.pause_left
        if refusal is not None and left > 0:
            self._observe(refusal, self._clock() + left)

    def end(self) -> None:
        """Observe no more, and record what is not on record yet. It may be called more than once."""
        self._limiter.on_pause.pop(self._observe, None)
        self._last_ends = min(self._last_ends, self._clock())
        self._record()

    def _observe(self, error: RateLimitError, until: float) -> None:
        """Take note of a 429 that keeps all requests back until a time."""
        now = self._clock()
        if not self._count or now > self._last_ends:
            if self._count:
                self._paused += self._last_ends - self._last_began
            else:
                self._began = now
            self._count += 1
            self._last_began = now
        self._last_ends = until
        self._reason = error.message

    def _record_if_over(self) -> None:
        now = self._clock()
        doublings = self._records // _SAME_GAP
        gap = 2.0 ** (doublings - 1) if doublings else 0.0
        if now >= self._last_ends and now - self._recorded_at >= gap:
            self._record()

    def _record(self) -> None:
        if not self._count:
            return
        seconds = self._paused + self._last_ends - self._last_began
        self._journal.record_pauses(seconds, self._reason, began=self._began, ended=self._last_ends, count=self._count)
        self._records += 1
        self._recorded_at = self._clock()
        self._count, self._paused = 0, 0.0
