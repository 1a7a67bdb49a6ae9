"""The open rows of a batch: finds out why they failed, tries them again, and waits for the end of outages.

After a row failed that is not the cause itself, a GET of another run shows whether others would fail too. If that
succeeds, the row is set aside and tried again later, up to three times. If it fails, or if twenty rows met the same
refusal with none accepted between (or all rows of a short plan), it is an outage: no row starts until a probe succeeds.
After such refusals a probe shows nothing, so one row is then tried alone before all others.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator

from fielding_async.core.batch_values import Outage
from fielding_async.core.conflict.attempts import RetryLimit
from fielding_async.core.conflict.refusal_streak import RefusalStreak
from fielding_async.core.conflict.row_ends import is_bound_to_fail_again
from fielding_async.core.errors import RateLimitError, SessionClosedError
from fielding_async.core.models import RunRef
from fielding_async.engine.backoff_waits import probe_waits
from fielding_async.engine.engine import Engine
from fielding_async.journal.journal import Journal

from .options import Options
from .outage_state import OutageState, reason_of
from .probe import Prober
from .row import Row, runs_of
from .rows_aside import RowsAside

__all__ = ["OpenRows"]

_TRIES = 3
_LEAST_ASIDE = 40  # rows that may be set aside before no more are taken, whatever `look_ahead` is
_STEPS = 3  # of the event loop, in which an input gives a row unless it waits for something
_LEAST_RETRYING = 1.0  # seconds, whatever `wait` is: a connection may be cut


class OpenRows:
    """The rows that are open, of one batch.

    `others`: runs that may be fetched. `waiting`: how many rows wait behind others of their runs. `start`: starts a row
    at once. `on_ready`: rows may start again. `on_stuck`: takes a row that was tried three times. `give_up`: stops the
    batch, for an outage that is not waited for any longer, or with what went wrong here.
    """

    def __init__(
        self,
        engine: Engine,
        options: Options,
        journal: Journal | None,
        *,
        others: Callable[[], Iterable[RunRef]],
        waiting: Callable[[], int],
        start: Callable[[Row], None],
        on_ready: Callable[[], None],
        on_stuck: Callable[[Row, Exception], None],
        give_up: Callable[[BaseException | None], None],
    ) -> None:
        self._engine = engine
        self._loop = engine.loop
        self._options = options
        self._journal = journal
        self._others = others
        self._waiting = waiting
        self._start = start
        self._on_ready = on_ready
        self._on_stuck = on_stuck
        self._give_up = give_up
        self.is_active: bool = journal is not None or options.wait > 0
        """Whether open rows are tried again at all; if not, they are yielded with their error."""
        self.retry_limit: RetryLimit | None = RetryLimit(max(options.wait, _LEAST_RETRYING)) if self.is_active else None
        """Until when the requests of rows and probes are sent again, before it shows whether this is an outage."""
        self.wants_row: bool = False
        """Whether one more row should be taken, so that its run can be fetched; it is not started yet."""
        self.all_rows: int | None = None
        """How many rows the batch has, once that is known and if none of them ended in an earlier batch."""
        self._undecided: list[Row] = []  # it is being found out whether others would fail too
        self._aside = RowsAside(engine, on_ready)
        self._again: list[Row] = []  # to be started again, before all others
        self.prober: Prober = Prober(engine, self.retry_limit)
        self._accepted = 0
        self._streak = RefusalStreak()
        self._state: OutageState | None = None
        self._trial: tuple[Row, asyncio.Future[bool]] | None = None
        self._task: asyncio.Task[None] | None = None

    # -- what there is

    @property
    def task(self) -> "asyncio.Task[None] | None":
        """The task that probes, if it is in progress."""
        return self._task

    @property
    def is_paused(self) -> bool:
        """Whether no rows are to be started for now."""
        return self._task is not None

    @property
    def has_room(self) -> bool:
        """Whether more rows may be taken, though some are set aside."""
        return len(self._aside.rows) < max(self._options.look_ahead, _LEAST_ASIDE)

    def __len__(self) -> int:
        return len(self._undecided) + len(self._aside.rows) + len(self._again)

    def __iter__(self) -> Iterator[Row]:
        yield from (*self._undecided, *self._aside.rows, *self._again)

    @property
    def outage(self) -> Outage | None:
        """The outage in progress, or the one that was given up."""
        state = self._state
        if state is None or not (self._task is not None or state.is_given_up):
            return None
        return state.value(self._loop.time(), self._options.wait)

    # -- what happens to rows

    def add(self, row: Row, error: Exception) -> None:
        """Take a row that failed, and is not the cause itself."""
        row.problem_met = error
        self._undecided.append(row)
        if self._trial is not None and self._trial[0] is row:
            self._end_trial(succeeded=False)
        elif self._task is None or self._task.done():  # one that is over, with its end to be noted yet, has not seen it
            self._task = self._loop.create_task(self._find_cause(), name="fielding-async probe")
            self._task.add_done_callback(self._on_task_end)

    def ended(self, row: Row, *, succeeded: bool) -> None:
        """Take note that a row has ended."""
        row.problem_met = None
        if self._trial is not None and self._trial[0] is row:
            self._end_trial(succeeded=True)
        if succeeded and row.checked_ref is not None:
            self._accepted += 1
            self._streak.clear()
            self.prober.succeeded(row.checked_ref)

    def _end_trial(self, *, succeeded: bool) -> None:
        if self._trial is not None and not self._trial[1].done():
            self._trial[1].set_result(succeeded)
        self._trial = None

    def ready(self, *, is_idle: bool) -> Row | None:
        """Return the next row to try again, if there is one. `is_idle`: nothing else can be started."""
        if self._again:
            return self._again.pop(0)
        if not self._aside.rows:
            return None
        return self._aside.take_due(self._accepted, is_idle=is_idle)

    def stop(self) -> list[Row]:
        """Probe and try no more. Return the rows that are open."""
        left = [*self]
        self._undecided.clear()
        self._aside.stop()
        self._again.clear()
        if self._task is not None:
            self._task.cancel()
        return left

    # -- the cause of a failure

    async def _find_cause(self) -> None:
        while self._undecided:
            rows = [*self._undecided]
            await self._get_next_row(rows)
            failure = await self.prober.first(runs_of(rows), self._more_runs(), self._options.timeout)
            is_streak = False
            if failure is None:
                for row in rows:
                    assert row.problem_met is not None  # noqa: S101 - an open row has an error
                    self._streak.add(row.number, row.problem_met, row.started_at)
                self._streak.answered_at = self._loop.time()
                is_streak = self._streak.is_full or self._is_every_row_refused(rows)
                if not is_streak:
                    self._set_aside(rows)
                    continue
                failure = rows[-1].problem_met
            assert failure is not None  # noqa: S101 - an open row has an error
            if not await self._wait_for_end(failure, needs_trial=is_streak):
                return

    async def _get_next_row(self, rows: list[Row]) -> None:
        """Have the next row taken, unless a row succeeded on another run than those of `rows`."""
        if self.prober.has_good_run(runs_of(rows)):
            return
        self.wants_row = True
        self._on_ready()
        for _ in range(_STEPS):
            await asyncio.sleep(0)
        self.wants_row = False

    def _is_every_row_refused(self, rows: list[Row]) -> bool:
        """Whether all rows of the batch met the same refusal, now that one of these is out of tries."""
        if self.all_rows is None or all(row.tries + 1 < _TRIES for row in rows):
            return False
        return self._streak.is_of_all(self.all_rows - self._waiting())

    def _more_runs(self) -> Iterator[RunRef]:
        """Yield runs that may be fetched."""
        yield from self._others()
        yield from runs_of(self)

    def _set_aside(self, rows: list[Row]) -> None:
        """Each of these rows fails alone: try it again later, or not any more."""
        for row in rows:
            self._undecided.remove(row)
            # a 429 says nothing of the row, while others are accepted
            row.tries += not isinstance(row.problem_met, RateLimitError) or self._accepted == row.accepted_before
            row.accepted_before = self._accepted
            row.try_again()
            assert row.problem_met is not None  # noqa: S101
            if row.tries >= _TRIES:
                error, row.problem_met = row.problem_met, None
                self._on_stuck(row, error)
                continue
            self._aside.add(row, self._accepted)
        self._aside.set_timer()

    # -- outages

    async def _wait_for_end(self, failure: Exception, *, needs_trial: bool) -> bool:
        """Wait until the exchange can be used again. Returns whether it can; if not, the batch has been stopped."""
        state = self._begin_outage(failure)
        state.needs_trial |= needs_trial
        while True:
            left = state.left(self._loop.time(), self._options.wait)
            if left <= 0 or is_bound_to_fail_again(failure, is_plain_token=self.prober.is_plain_token):
                state.is_given_up, state.next_probe_at = True, None
                self._give_up(None)
                return False
            wait = min(next(state.waits), left)
            state.next_probe_at = self._loop.time() + wait
            await asyncio.sleep(wait)
            state.next_probe_at = None
            left = state.left(self._loop.time(), self._options.wait)
            if left <= 0:
                continue
            found = await self.prober.next(runs_of(self._undecided), self._more_runs(), left)
            if found is None and state.needs_trial and self._accepted == state.accepted:
                found = await self._try_one()
            if found is None:
                break
            failure = found
            state.reason = reason_of(failure)
        self._end_outage(state)
        return True

    def _begin_outage(self, failure: Exception) -> OutageState:
        state = self._state
        if state is None or state.accepted != self._accepted:  # else it goes on: no row was accepted since
            began = self._loop.time()
            if self.retry_limit is not None and self.retry_limit.failing_since is not None:
                began = self.retry_limit.failing_since
            state = self._state = OutageState(began, self._accepted, "", probe_waits(self._engine.uniform))
        state.reason = reason_of(failure)
        if self._journal is not None:
            self._journal.record_event("outage", None, state.reason)
        return state

    async def _try_one(self) -> Exception | None:
        """Try one of the rows alone. Returns its failure, `None` if it ended."""
        if not self._undecided:
            return None
        row = self._undecided.pop(0)
        row.try_again()
        over: asyncio.Future[bool] = self._loop.create_future()
        self._trial = row, over
        self._start(row)
        return None if await over else row.problem_met

    def _end_outage(self, state: OutageState) -> None:
        if self._journal is not None:
            self._journal.record_event("back", self._loop.time() - state.began, state.reason)
        self._streak.answered_at = self._loop.time()
        self._streak.clear()
        for row in (*self._aside.rows, *self._undecided):
            row.tries = 0 if state.needs_trial else row.tries
        rows = sorted(self._undecided, key=lambda row: row.number)
        self._undecided.clear()
        for row in rows:
            row.try_again()
        self._again += rows
        state.needs_trial = False

    def _on_task_end(self, task: "asyncio.Task[None]") -> None:
        if self._task is task:
            self._task = None
            self._end_trial(succeeded=False)
        if not task.cancelled():
            error = task.exception()
            if error is not None and not isinstance(error, SessionClosedError):
                self._give_up(error)
        self._on_ready()
