"""The rows of a batch in progress: starts them in the order of their runs, a task each, and records how they end."""

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

from fielding_async.core.batch_values import Done, DoneWithError, DoneWithOutcome, Leftover
from fielding_async.core.conflict.row_ends import RowEnd, row_end
from fielding_async.core.errors import FieldingError, JournalError, SessionClosedError, SkippedError
from fielding_async.core.models import Outcome, RunRef
from fielding_async.engine.engine import Engine
from fielding_async.engine.writing.write_call import WriteCall
from fielding_async.journal.journal import Journal
from fielding_async.journal.values import EndState

from .guards import Guards
from .open_rows import OpenRows
from .options import Options
from .row import Row, facts_of, outcome_unknown_if_unjudged
from .row_order import FailedRuns, RunQueues

__all__ = ["RowTasks"]


class RowTasks:
    """Performs rows: those of one run one after the other, others side by side.

    `ended`: rows that may be yielded; the batch takes them out. `cut_off`: rows that never will be. `stopping`: no more
    rows are started. `open`: rows that are tried again. `stuck`: how many were set aside after three tries. It calls
    `on_task_end` when a row is no longer in progress, `on_ended` when rows were added to `ended`, and `stop` when no
    more may start, with what is wrong, if anything.
    """

    def __init__(
        self,
        engine: Engine,
        options: Options,
        journal: Journal | None,
        *,
        on_task_end: Callable[[], None],
        on_ended: Callable[[], None],
        stop: Callable[[BaseException | None], None],
    ) -> None:
        self._engine = engine
        self._options = options
        self._journal = journal
        self._on_task_end = on_task_end
        self._on_ended = on_ended
        self._stop = stop
        self.set_concurrency(options.concurrency or engine.settings.limits.concurrency)
        self._skips_after_failure = options.on_row_failure == "skip"
        self._queues: RunQueues[Row] = RunQueues()
        self._failed_runs = FailedRuns()
        self._guards = Guards({} if journal is None else journal.replay.left)
        self._open_runs: set[RunRef] = set()  # with a row whose failure was not final
        self._ready: deque[Row] = deque()  # they start as soon as there is room
        self._running: dict[asyncio.Task[Outcome], Row] = {}
        self._recording: dict[int, Row] = {}  # ended, and the end is not durable yet
        self._context = contextvars.copy_context()
        self.ended: deque[Row] = deque()
        self.cut_off: list[Row] = []
        self.stopping: bool = False
        self.stuck: int = 0
        self.open: OpenRows = OpenRows(
            engine,
            options,
            journal,
            others=self._other_runs,
            waiting=lambda: self._queues.waiting,
            start=self._start,
            on_ready=on_task_end,
            on_stuck=self._set_aside,
            give_up=stop,
        )
        if journal is not None:
            journal.attach(self._running, self._on_durable_ends)

    def set_concurrency(self, rows: int) -> None:
        """Have up to `rows` rows in progress from now on."""
        slots = self._engine.settings.limits.concurrency
        # more rows than there are slots for them would get out of step, and share fewer groups of a journal
        self._concurrency = rows if rows > slots else min(rows, self._engine.limiter.background_slots)
        self._most_held = 2 * self._concurrency  # rows under way, or ended and not yielded

    # -- what there is

    @property
    def tasks(self) -> "list[asyncio.Task[Outcome]]":
        """The tasks of the rows in progress."""
        return [*self._running]

    @property
    def is_any_open(self) -> bool:
        """Whether a row is open, and to be tried again."""
        return len(self.open) > 0 or self.open.task is not None

    @property
    def in_flight(self) -> int:
        """How many rows are in progress."""
        return len(self._running)

    @property
    def under_way(self) -> bool:
        """Whether a row is in progress or to be tried again, or its end is being recorded."""
        return bool(self._running or self._recording) or self.is_any_open

    @property
    def waiting(self) -> bool:
        """Whether there are rows that have not been started."""
        return bool(self._ready or self._queues.waiting)

    def leftover(self) -> Iterator[Leftover]:
        """Yield what the batch lists of every row that was not yielded."""
        for row in (*self._ready, *self._queues, *self.open, *self._recording.values(), *self.ended):
            yield row.leftover(started=False)
        for row in self.cut_off:
            yield row.leftover(started=row.in_doubt)
        for row in self._running.values():
            yield row.leftover(started=True)

    # -- starting

    def has_room(self) -> bool:
        """Whether one more row may be taken: it could start now, or all that wait do so for their runs alone."""
        if self._ready or self._queues.waiting >= self._options.look_ahead:
            return False
        return self.open.wants_row or (self._may_start() and not self.open.is_paused and self.open.has_room)

    def made_room(self) -> bool:
        """Whether the row that was just taken out of `ended` was what kept the next one from starting."""
        return len(self._running) + len(self._recording) + len(self.ended) == self._most_held - 1

    def add(self, row: Row) -> None:
        """Take a row, and start it once those before it on its run have ended."""
        if row.checked_ref is None or self._queues.enter(row.checked_ref, row):
            self._ready.append(row)
            self.start_ready()

    def pass_over(self, row: Row, state: EndState) -> None:
        """Take note of how a row ended in an earlier batch."""
        self._guards.passed_over(row)
        run = row.checked_ref
        if state in {"failed", "unknown"} and run is not None and self._skips_after_failure:
            self._failed_runs.add(run, FieldingError(f"row {row.number} of the journal: {state}", ref=run))

    def _may_start(self) -> bool:
        running = len(self._running)
        return running < self._concurrency and running + len(self._recording) + len(self.ended) < self._most_held

    def start_ready(self) -> None:
        """Start the rows that are ready, as far as there is room."""
        while self._may_start() and not self.stopping and not self.open.is_paused:
            row = self.open.ready(is_idle=False) or (self._ready.popleft() if self._ready else None)
            if row is None:
                return
            problem: Exception | None = row.problem
            if problem is None and row.resumed is None:
                problem = self._failed_runs.skipped(row.checked_ref) if self._failed_runs.is_any else None
                if problem is None and row.if_match is not None:
                    problem = self._guards.refused(row)
            if problem is not None:
                self._end(row, problem)
                self._on_ended()
                continue
            self._start(row)

    def retry_if_idle(self) -> None:
        """Try rows again that were set aside, if nothing else is in progress or ready."""
        if self._running or self._ready:
            return
        while self._may_start() and not self.stopping and not self.open.is_paused:
            row = self.open.ready(is_idle=True)
            if row is None:
                return
            self._start(row)

    def _start(self, row: Row) -> None:
        assert row.checked_ref is not None  # noqa: S101 - it has no problem
        engine, options, row.started_at = self._engine, self._options, self._engine.loop.time()
        order = row.change if callable(row.action) else row.action
        call = WriteCall(
            *(engine, row.checked_ref, order, None, options.on_conflict, options.timeout),
            log=row,
            is_background=True,
            if_match=row.if_match and self._guards.etag_for(row),
            retry_limit=self.open.retry_limit,
        )
        # the current context may be that of the input, with spans of its rows
        task = engine.loop.create_task(call.run(), context=self._context.copy())
        self._running[task] = row
        task.add_done_callback(self._on_done)

    def _other_runs(self) -> Iterator[RunRef]:
        """Yield runs of the rows that come next, or are in progress."""
        for row in (*islice(self._ready, 2), *islice(self._running.values(), 2)):
            if row.checked_ref is not None:
                yield row.checked_ref

    # -- ending

    def cancel(self) -> None:
        """Cut off the rows in progress."""
        for task in self._running:
            task.cancel()

    def _on_done(self, task: "asyncio.Task[Outcome]") -> None:
        row = self._running.pop(task)
        if task.cancelled():
            self._on_cut_off(row)
        else:
            error = task.exception()
            if error is None or isinstance(error, Exception):
                self._end(row, task.result() if error is None else outcome_unknown_if_unjudged(row, error))
            else:  # such as KeyboardInterrupt: the loop has raised it already
                row.in_doubt = True
                self._on_cut_off(row)
        self._stop_if_journal_failed()
        self._on_task_end()

    def _on_cut_off(self, row: Row) -> None:
        self.cut_off.append(row)
        if row.has_intent and not row.in_doubt:
            row.settled()
        if not self.stopping:
            problem = "the task of a row was ended from outside; see batch.leftover"
            self._stop(FieldingError(problem, ref=row.checked_ref))

    def _end(self, row: Row, result: Outcome | Exception) -> None:
        error = result if isinstance(result, Exception) else None
        is_end = error is None or self._has_ended(row, error)
        if error is not None and not is_end and self._is_tried_again(row, error):
            self.open.add(row, error)
            return
        self.open.ended(row, succeeded=error is None)
        done: Done
        if isinstance(result, Exception):
            done = DoneWithError(row.ref, row.action, result, number=row.number, is_open=not is_end)
        else:
            done = DoneWithOutcome(row.ref, row.action, result, number=row.number)
        row.done = done
        self._guards.ended(row)
        journal = self._journal
        if is_end and journal is not None:
            # it is yielded once it is durable: a crash must not take back what the caller knows
            self._recording[row.number] = row
            journal.record_end(row.digest, done, row.if_match)
        else:
            self.ended.append(row)
        self._pass_on(row, error, is_end=is_end)

    def _pass_on(self, row: Row, error: Exception | None, *, is_end: bool) -> None:
        """Let the next row of the run start, or be skipped."""
        run = row.checked_ref
        if run is not None:
            if error is not None and not isinstance(error, SkippedError):
                is_behind_open = not is_end and self._journal is not None
                if self._skips_after_failure or is_behind_open:
                    self._failed_runs.add(run, error)
                if is_behind_open:
                    # a batch that resumes the journal tries this row again, which must be before later ones of its run
                    self._open_runs.add(run)
            successor = self._queues.leave(run)
            if successor is not None:
                self._ready.append(successor)
        if self._options.stop_on is not None and row.done is not None:
            self._call_stop_on(self._options.stop_on, row.done)

    def _has_ended(self, row: Row, error: Exception) -> bool:
        behind, plain = row.checked_ref in self._open_runs, self.open.prober.is_plain_token
        facts = facts_of(row, error, is_behind_open=behind, is_plain_token=plain, is_closing=self._engine.closing)
        return row_end(error, facts) is RowEnd.ENDED

    def _is_tried_again(self, row: Row, error: Exception) -> bool:
        """Whether a row that is open is tried again, and not yielded with its error."""
        if self.stopping or not self.open.is_active or error is row.problem:
            return False
        if row.may_leave is not None and not row.may_leave():
            return False
        return not isinstance(error, SkippedError | JournalError | SessionClosedError)

    def _set_aside(self, row: Row, error: Exception) -> None:
        """Yield a row that was tried three times, and let the batch go on. It stays open in the journal."""
        self.stuck += 1
        done = row.end_open(error)
        self._guards.ended(row)
        if self._journal is not None:
            self._journal.record_stuck(row.digest, done, row.if_match)
        self.ended.append(row)
        self._pass_on(row, error, is_end=False)
        self._on_ended()

    def stop(self) -> None:
        """Start no more rows. Those that are open are yielded with their error."""
        self.stopping = True
        for row in self.open.stop():
            assert row.problem_met is not None  # noqa: S101 - an open row has an error
            row.end_open(row.problem_met)
            self.ended.append(row)

    def _call_stop_on(self, stop_on: Callable[[Done], object], done: Done) -> None:
        try:
            if stop_on(done):
                self._stop(None)
        except BaseException as problem:
            self._stop(problem)  # raised out of the iteration
            if isinstance(problem, KeyboardInterrupt | SystemExit):
                raise

    def _on_durable_ends(self, numbers: list[int]) -> None:
        """Let rows be yielded whose ends are durable, or cannot be made so."""
        for number in numbers:
            self.ended.append(self._recording.pop(number))
        self._stop_if_journal_failed()
        self._on_ended()

    def _stop_if_journal_failed(self) -> None:
        if self._journal is not None and self._journal.error is not None:
            self._stop(self._journal.error)
