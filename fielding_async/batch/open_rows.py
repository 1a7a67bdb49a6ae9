"""The open rows of a batch: finds out whose trouble it is, tries rows again, and rides outages out.

After a row that failed for what is not its own, a GET of another run tells whose trouble it is. If that succeeds, the
row is set aside and tried again later, up to three times. If it fails, or if twenty rows met the same refusal with none
accepted between, it is an outage: no row starts until a probe succeeds. After such refusals a probe tells nothing, so
one row is then tried alone before all others.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator

from attrs import define

from fielding_async.core.batch_values import Outage
from fielding_async.core.config import TimeoutArg
from fielding_async.core.conflict.refusal_streak import RefusalStreak
from fielding_async.core.conflict.row_ends import is_bound_to_fail_again
from fielding_async.core.credentials import BearerToken
from fielding_async.core.errors import SessionClosedError
from fielding_async.core.models import RunRef
from fielding_async.engine.backoff_waits import probe_waits
from fielding_async.engine.engine import Engine
from fielding_async.journal.journal import Journal

from .options import Options
from .probe import GoodRuns, probe
from .row import Row

__all__ = ["OpenRows"]

_TRIES = 3
_LEAST_ASIDE = 40  # rows that may be set aside before no more are taken, whatever `look_ahead` is
_FIRST_RETRY, _NEXT_RETRY = 1.0, 4.0  # seconds at most until the second and the third try


@define(eq=False)
class _State:
    """An outage. It lasts until a row is accepted; `accepted`: how many had been when it began."""

    began: float
    accepted: int
    reason: str
    waits: Iterator[float]
    next_probe_at: float | None = None
    needs_trial: bool = False
    is_given_up: bool = False


class OpenRows:
    """The rows that are open, of one batch.

    `others`: runs that may be looked at. `start`: starts a row at once. `on_ready`: rows may start again. `on_stuck`:
    takes a row that was tried three times. `give_up`: stops the batch, for an outage that is not waited for any longer,
    or with what went wrong here.
    """

    def __init__(
        self,
        engine: Engine,
        options: Options,
        journal: Journal | None,
        *,
        others: Callable[[], Iterable[RunRef]],
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
        self._start = start
        self._on_ready = on_ready
        self._on_stuck = on_stuck
        self._give_up = give_up
        self.is_active: bool = journal is not None or options.wait > 0
        """Whether open rows are tried again at all; if not, they are yielded with their error."""
        self._undecided: list[Row] = []  # whose trouble it is, is being found out
        self._aside: dict[Row, tuple[float, int]] = {}  # when to try again, and how many were accepted before
        self._again: list[Row] = []  # to be started again, before all others
        self._good = GoodRuns()
        self._accepted = 0
        self._streak = RefusalStreak()
        self._state: _State | None = None
        self._trial: tuple[Row, asyncio.Future[bool]] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    # -- what there is

    @property
    def task(self) -> "asyncio.Task[None] | None":
        """The task that looks and probes, if it is under way."""
        return self._task

    @property
    def is_paused(self) -> bool:
        """Whether no rows are to be started for now."""
        return self._task is not None

    @property
    def has_room(self) -> bool:
        """Whether more rows may be taken, though some are set aside."""
        return len(self._aside) < max(self._options.look_ahead, _LEAST_ASIDE)

    def __len__(self) -> int:
        return len(self._undecided) + len(self._aside) + len(self._again)

    def __iter__(self) -> Iterator[Row]:
        yield from (*self._undecided, *self._aside, *self._again)

    @property
    def outage(self) -> Outage | None:
        """The outage under way, or the one that was given up."""
        state = self._state
        if state is None or not (self._task is not None or state.is_given_up):
            return None
        now, probe_at = self._loop.time(), state.next_probe_at
        return Outage(
            reason=state.reason,
            seconds=now - state.began,
            next_probe_in=None if probe_at is None else max(0.0, probe_at - now),
            wait_left=0.0 if state.is_given_up else max(0.0, state.began + self._options.wait - now),
            is_given_up=state.is_given_up,
        )

    # -- what happens to rows

    def add(self, row: Row, error: Exception) -> None:
        """Take a row that failed for what is not its own."""
        row.problem_met = error
        if self._trial is not None and self._trial[0] is row:
            self._undecided.append(row)
            self._end_trial(succeeded=False)
            return
        self._undecided.append(row)
        if self._task is None:
            self._task = self._loop.create_task(self._find_out(), name="fielding-async probe")
            self._task.add_done_callback(self._on_task_end)

    def ended(self, row: Row, *, succeeded: bool) -> None:
        """Take note that a row has ended."""
        row.problem_met = None
        if self._trial is not None and self._trial[0] is row:
            self._end_trial(succeeded=True)
        if succeeded and row.checked_ref is not None:
            self._accepted += 1
            self._streak.clear()
            self._good.add(row.checked_ref)

    def _end_trial(self, *, succeeded: bool) -> None:
        if self._trial is not None and not self._trial[1].done():
            self._trial[1].set_result(succeeded)
        self._trial = None

    def ready(self, *, is_idle: bool) -> Row | None:
        """Return the next row to try again, if there is one. `is_idle`: nothing else can be started."""
        if self._again:
            return self._again.pop(0)
        if not self._aside:
            return None
        now = self._loop.time()
        for row, (due, accepted) in self._aside.items():
            # others come first, so that a refusal that all rows meet shows before a row is out of tries
            if due <= now and (is_idle or self._accepted > accepted):
                del self._aside[row]
                return row
        return None

    def stop(self) -> list[Row]:
        """Look, probe and try no more. Return the rows that are open."""
        left = [*self]
        self._undecided.clear()
        self._aside.clear()
        self._again.clear()
        if self._task is not None:
            self._task.cancel()
        if self._timer is not None:
            self._timer.cancel()
        return left

    # -- whose trouble it is

    async def _find_out(self) -> None:
        while self._undecided:
            rows = [*self._undecided]
            failure = await self._look(rows, self._options.timeout)
            is_streak = False
            if failure is None:
                for row in rows:
                    assert row.problem_met is not None  # noqa: S101 - an open row has an error
                    self._streak.add(row.number, row.problem_met, row.started_at)
                self._streak.looked_at = self._loop.time()
                is_streak = self._streak.is_full
                if not is_streak:
                    self._set_aside(rows)
                    continue
                failure = rows[-1].problem_met
            assert failure is not None  # noqa: S101 - an open row has an error
            if not await self._ride_out(failure, needs_trial=is_streak):
                return

    async def _look(self, rows: list[Row], timeout: TimeoutArg) -> Exception | None:
        troubled = {row.checked_ref: None for row in rows if row.checked_ref is not None}
        ref = self._good.pick(troubled.keys(), (*self._others(), *(r.checked_ref for r in self if r.checked_ref)))
        return await probe(self._engine, ref, timeout)

    def _set_aside(self, rows: list[Row]) -> None:
        """Each of these rows alone is in trouble: try it again later, or not any more."""
        now = self._loop.time()
        for row in rows:
            self._undecided.remove(row)
            row.tries += 1
            row.try_again()
            assert row.problem_met is not None  # noqa: S101
            if row.tries >= _TRIES:
                error, row.problem_met = row.problem_met, None
                self._on_stuck(row, error)
                continue
            ceiling = _FIRST_RETRY if row.tries == 1 else _NEXT_RETRY
            due = now + self._engine.uniform(ceiling / 2, ceiling)
            self._aside[row] = due, self._accepted
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._loop.time()
        times = [due for due, _ in self._aside.values() if due > now]
        if times:
            self._timer = self._loop.call_at(min(times), self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._set_timer()
        self._on_ready()

    # -- outages

    async def _ride_out(self, failure: Exception, *, needs_trial: bool) -> bool:
        """Wait until the exchange can be used again. Returns whether it can; if not, the batch has been stopped."""
        state = self._begin_outage(failure)
        state.needs_trial |= needs_trial
        while True:
            left = state.began + self._options.wait - self._loop.time()
            if left <= 0 or is_bound_to_fail_again(failure, is_plain_token=self.is_plain_token):
                state.is_given_up, state.next_probe_at = True, None
                self._give_up(None)
                return False
            wait = min(next(state.waits), left)
            state.next_probe_at = self._loop.time() + wait
            await asyncio.sleep(wait)
            state.next_probe_at = None
            left = state.began + self._options.wait - self._loop.time()
            if left <= 0:
                continue
            found = await self._look(self._undecided, left)
            if found is None and state.needs_trial and self._accepted == state.accepted:
                found = await self._try_one()
            if found is None:
                break
            failure = found
            state.reason = _text(failure)
        self._end_outage(state)
        return True

    @property
    def is_plain_token(self) -> bool:
        """Whether the token of the session is a fixed one, which nothing renews."""
        return isinstance(self._engine.settings.auth, BearerToken)

    def _begin_outage(self, failure: Exception) -> _State:
        state, now = self._state, self._loop.time()
        if state is None or state.accepted != self._accepted:  # else it goes on: no row was accepted since
            state = self._state = _State(now, self._accepted, "", probe_waits(self._engine.uniform))
        state.reason = _text(failure)
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

    def _end_outage(self, state: _State) -> None:
        if self._journal is not None:
            self._journal.record_event("back", self._loop.time() - state.began, state.reason)
        self._streak.looked_at = self._loop.time()
        self._streak.clear()
        for row in (*self._aside, *self._undecided):
            row.tries = 0 if state.needs_trial else row.tries
        rows = sorted(self._undecided, key=lambda row: row.number)
        self._undecided.clear()
        for row in rows:
            row.try_again()
        self._again += rows
        state.needs_trial = False

    def _on_task_end(self, task: "asyncio.Task[None]") -> None:
        self._task = None
        self._end_trial(succeeded=False)
        if not task.cancelled():
            error = task.exception()
            if error is not None and not isinstance(error, SessionClosedError):
                self._give_up(error)
        self._on_ready()


def _text(error: BaseException) -> str:
    return str(getattr(error, "message", None) or error) or type(error).__name__
