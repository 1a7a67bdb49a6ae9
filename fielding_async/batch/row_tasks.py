"""The rows of a batch under way: started in the order of their runs, a task each, and put on record as they end."""

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Iterator

from attrs import frozen

from fielding_async.core.batch_values import Done, Leftover, OnRowFailure, Stop
from fielding_async.core.errors import FieldingError, SkippedError
from fielding_async.core.models import OnConflict, Outcome, RunRef
from fielding_async.engine.engine import DEFAULT, Engine, TimeoutArg
from fielding_async.engine.run_action import RunAction
from fielding_async.journal.journal import Journal
from fielding_async.journal.values import EndState

from .row import Row, in_truth, is_for_good
from .row_order import Failures, Lanes

__all__ = ["Options", "RowTasks"]


@frozen(kw_only=True)
class Options:
    """How a batch is performed; checked."""

    concurrency: int | None = None
    look_ahead: int = 1000
    on_row_failure: OnRowFailure = "skip"
    stop: Stop = "drain"
    stop_on: Callable[[Done], object] | None = None
    on_conflict: OnConflict = "reapply"
    timeout: TimeoutArg = DEFAULT


class RowTasks:
    """Performs rows, side by side but for those of one run.

    `ended`: rows that may be told of, for the batch to take. `cut`: rows that never will be. `stopping`: none is
    started any more. It calls `on_over` when a row is no longer under way, `on_ended` when rows came to `ended`, and
    `stop` when no more are to be started, with what is wrong.
    """

    def __init__(
        self,
        engine: Engine,
        options: Options,
        journal: Journal | None,
        *,
        on_over: Callable[[], None],
        on_ended: Callable[[], None],
        stop: Callable[[BaseException | None], None],
    ) -> None:
        self._engine = engine
        self._options = options
        self._journal = journal
        self._on_over = on_over
        self._on_ended = on_ended
        self._stop = stop
        self._concurrency = options.concurrency or engine.settings.limits.concurrency
        self._skipping = options.on_row_failure == "skip"
        self._most_held = 2 * self._concurrency  # rows under way or ended and not yielded
        self._lanes: Lanes[Row] = Lanes()
        self._failures = Failures()
        self._unsettled: set[RunRef] = set()  # runs of rows that failed, but not for good
        self._ready: deque[Row] = deque()  # may start as soon as there is room
        self._running: dict[asyncio.Task[Outcome], Row] = {}
        self._recording: dict[int, Row] = {}  # ended, and that is not durable yet
        self._context = contextvars.copy_context()
        self.ended: deque[Row] = deque()
        self.cut: list[Row] = []
        self.stopping: bool = False
        if journal is not None:
            journal.serve(self._running, self._recorded)

    # -- what there is

    @property
    def tasks(self) -> "list[asyncio.Task[Outcome]]":
        """The tasks of the rows under way."""
        return [*self._running]

    @property
    def in_flight(self) -> int:
        """How many rows are under way."""
        return len(self._running)

    @property
    def under_way(self) -> bool:
        """Whether a row is still to end, or to be put on record."""
        return bool(self._running or self._recording)

    @property
    def waiting(self) -> bool:
        """Whether there are rows that have not been started."""
        return bool(self._ready or self._lanes.waiting)

    def left(self) -> Iterator[Leftover]:
        """Yield what is to be said of every row that was not yielded."""
        for row in (*self._ready, *self._lanes, *self._recording.values(), *self.ended):
            yield row.left(started=False)
        for row in self.cut:
            yield row.left(started=row.in_doubt)
        for row in self._running.values():
            yield row.left(started=True)

    # -- starting

    def has_room(self) -> bool:
        """Whether one more row may be taken: if it could start now, or others wait for their runs alone."""
        return not self._ready and self._may_start() and self._lanes.waiting < self._options.look_ahead

    def was_full(self) -> bool:
        """Whether the row that was just taken from those that ended makes room."""
        return self._held() == self._most_held - 1

    def offer(self, row: Row) -> None:
        """Take a row, and start it once those before it on its run are over."""
        if row.lane is None or self._lanes.offer(row.lane, row):
            self._ready.append(row)
            self.launch()

    def passed(self, row: Row, state: EndState) -> None:
        """Take note of how a row ended in an earlier batch."""
        if state in {"failed", "unknown"} and row.lane is not None and self._skipping:
            self._failures.add(row.lane, FieldingError(f"row {row.number} of the journal: {state}", ref=row.lane))

    def _held(self) -> int:
        return len(self._running) + len(self._recording) + len(self.ended)

    def _may_start(self) -> bool:
        return len(self._running) < self._concurrency and self._held() < self._most_held

    def launch(self) -> None:
        """Start what may be started."""
        while self._ready and self._may_start() and not self.stopping:
            row = self._ready.popleft()
            problem = row.problem or self._skips(row)
            if problem is not None:
                self._end(row, None, problem)
                self._on_ended()
                continue
            assert row.lane is not None  # noqa: S101 - it has no problem
            task = self._engine.loop.create_task(
                RunAction(
                    self._engine,
                    row.lane,
                    row.action,
                    seen=None,
                    on_conflict=self._options.on_conflict,
                    timeout=self._options.timeout,
                    log=row,
                ).run(),
                context=self._context.copy(),  # not that of an input that took a span for its own rows
            )
            self._running[task] = row
            task.add_done_callback(self._over)

    def _skips(self, row: Row) -> SkippedError | None:
        if row.lane is None or row.resumed is not None:
            return None
        why = self._failures.why(row.lane)
        if why is None:
            return None
        return SkippedError(f"not sent: an earlier row of this run failed: {why}", because=why, ref=row.lane)

    # -- ending

    def cancel(self) -> None:
        """Cut off what is under way."""
        for task in self._running:
            task.cancel()

    def _over(self, task: "asyncio.Task[Outcome]") -> None:
        row = self._running.pop(task)
        if task.cancelled():
            self._cut_off(row)
        else:
            error = task.exception()
            if error is None:
                self._end(row, task.result(), None)
            elif isinstance(error, Exception):
                self._end(row, None, in_truth(row, error))
            else:  # it went through the loop already
                row.in_doubt = True
                self._cut_off(row)
        self._stop_if_not_on_record()
        self._on_over()

    def _cut_off(self, row: Row) -> None:
        self.cut.append(row)
        if row.intended and not row.in_doubt:
            row.settled()
        if not self.stopping:
            self._stop(FieldingError("the task of a row was ended from outside; see batch.leftover", ref=row.lane))

    def _end(self, row: Row, outcome: Outcome | None, error: Exception | None) -> None:
        done = row.done = Done(row.ref, row.action, outcome, error, number=row.number)
        journal, closing = self._journal, self._engine.closing
        is_final = (
            journal is None or error is None or is_for_good(row, error, closing=closing, unsettled=self._unsettled)
        )
        if is_final and journal is not None:
            # what is told is on record: a crash must not make it untrue
            self._recording[row.number] = row
            journal.ended(row.digest, done)
        else:
            self.ended.append(row)
        if row.lane is not None:
            if error is not None and not isinstance(error, SkippedError):
                if self._skipping or not is_final:
                    self._failures.add(row.lane, error)
                if not is_final:
                    # whoever resumes the journal goes on with it, and that must not be behind a later one
                    self._unsettled.add(row.lane)
            successor = self._lanes.ended(row.lane)
            if successor is not None:
                self._ready.append(successor)
        if self._options.stop_on is not None:
            self._ask_whether_to_stop(self._options.stop_on, done)

    def _ask_whether_to_stop(self, stop_on: Callable[[Done], object], done: Done) -> None:
        try:
            if stop_on(done):
                self._stop(None)
        except (KeyboardInterrupt, SystemExit) as problem:
            self._stop(problem)
            raise
        except BaseException as problem:  # noqa: BLE001 - raised out of the iteration
            self._stop(problem)

    def _recorded(self, rows: list[int]) -> None:
        """Tell of rows whose ends are durable, or cannot be made so."""
        for number in rows:
            self.ended.append(self._recording.pop(number))
        self._stop_if_not_on_record()
        self._on_ended()

    def _stop_if_not_on_record(self) -> None:
        if self._journal is not None and self._journal.error is not None:
            self._stop(self._journal.error)
