"""Many rows at once: taken lazily, performed side by side, given back as they end.

Everything happens in callbacks of the loop and in one task for each row under way; the consumer's `async for` only
takes from a queue, so that nothing is ever suspended inside somebody else's timeout or task group (PEP 789).
"""

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable
from functools import partial

from attrs import frozen

from .batches import Done, Leftover, OnRowFailure, Stop
from .engine import DEFAULT, Engine, TimeoutArg
from .errors import (
    ConfigurationError,
    FieldingError,
    JournalError,
    SessionClosedError,
    SkippedError,
)
from .handles import perform_order
from .intake import Intake
from .journal import Journal
from .journal_values import JournalCounts
from .models import OnConflict, Outcome, RunRef
from .ordering import Failures, Lanes
from .rows import Row, is_for_good, make_row, resume, too_short

__all__ = ["Batch", "Options"]


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


class Batch:
    """The rows of a batch as they end: an async iterator of `Done`, from `async with fielding.perform_all(…) as batch`.

    Rows are taken and sent only once it is iterated. It may be iterated by one task at a time.
    """

    def __init__(self, engine: Engine, options: Options, journal: Journal | None) -> None:
        self._engine = engine
        self._options = options
        self._journal = journal
        self._loop = engine.loop
        self._concurrency = options.concurrency or engine.settings.limits.concurrency
        self._skipping = options.on_row_failure == "skip"
        self._most_held = 2 * self._concurrency  # rows under way or ended and not yielded
        self._earlier = JournalCounts() if journal is None else journal.replay.counts()
        self._on_record = 0 if journal is None else len(journal.replay)  # rows from here on are new to the journal
        self._intake: Intake | None = None
        self._lanes: Lanes[Row] = Lanes()
        self._failures = Failures()
        self._unsettled: set[RunRef] = set()  # runs of rows that failed, but not for good
        self._ready: deque[Row] = deque()  # may start as soon as there is room
        self._running: dict[asyncio.Task[Outcome], Row] = {}
        self._recording: dict[Row, None] = {}  # ended, and that is not durable yet
        self._ended: deque[Row] = deque()
        self._cut: list[Row] = []  # taken, and will never be yielded
        self._taken = 0
        self._passed = 0
        self._begun = False
        self._exhausted = False
        self._stopping = False
        self._left = False
        self._error: BaseException | None = None
        self._consumer: asyncio.Future[None] | None = None
        self._pumping: asyncio.Handle | None = None
        self._context = contextvars.copy_context()

    def __repr__(self) -> str:
        state = "left" if self._left else "stopping" if self._stopping else "open"
        return f"<Batch: {self._taken} rows taken, {len(self._running)} in flight ({state})>"

    # -- what the consumer sees

    @property
    def taken(self) -> int:
        """How many rows were taken from the input, those passed over included."""
        return self._taken

    @property
    def passed(self) -> int:
        """How many rows were passed over, because the journal says how they ended."""
        return self._passed

    @property
    def in_flight(self) -> int:
        """How many rows are under way."""
        return len(self._running)

    @property
    def earlier(self) -> JournalCounts:
        """What the journal held when the batch was entered; all 0 without a journal."""
        return self._earlier

    @property
    def leftover(self) -> tuple[Leftover, ...]:
        """Every row that was taken and not yielded, in input order: never sent, unknown, or ended since."""
        rows = [row.left(started=False) for row in (*self._ready, *self._lanes, *self._recording, *self._ended)]
        rows += [row.left(started=row.in_doubt) for row in self._cut]
        rows += [row.left(started=True) for row in self._running.values()]
        return tuple(sorted(rows, key=lambda row: row.number))

    def stop(self, *, cancel: bool = False) -> None:
        """Start no more rows. What is in flight is still yielded, or with `cancel` cut off; then the iteration ends.

        For signal handlers of the loop, and for any other code on it.
        """
        self._stop(None)
        if cancel:
            self._cancel_rows()

    def __aiter__(self) -> "Batch":
        return self

    async def __anext__(self) -> Done:
        """Return the next row that has ended.

        Raises what the input raised, once all rows taken before have been yielded; `JournalError` if the journal cannot
        be written, `ConfigurationError` if it belongs to other rows, `SessionClosedError` if the session was closed.
        """
        if self._left:
            raise ConfigurationError("perform_all: the batch has been left; see batch.leftover")
        if self._consumer is not None:
            raise ConfigurationError("perform_all: the batch is being iterated by another task")
        while not self._ended:
            if not self._begun:
                self._begun = True
                self._pump_soon()
            elif self._at_rest():
                await self._finish()
            self._consumer = self._loop.create_future()
            try:
                await self._consumer
            finally:
                self._consumer = None
        row = self._ended.popleft()
        if self._held() == self._most_held - 1:
            self._pump_soon()
        assert row.done is not None  # noqa: S101 - that is why it is among the ended
        return row.done

    def _at_rest(self) -> bool:
        if self._running or self._recording:
            return False
        return self._stopping or (self._exhausted and not self._ready and not self._lanes.waiting)

    async def _finish(self) -> None:
        """End the iteration. Raises `StopAsyncIteration`, or what is wrong."""
        if self._journal is not None and not isinstance(self._error, JournalError):
            try:
                await self._journal.flush()
            except JournalError as problem:
                self._stop(problem)
        error, self._error = self._error, None
        if isinstance(error, StopIteration | StopAsyncIteration):  # it would end the iteration as if all were done
            raise RuntimeError(f"perform_all: the input or stop_on raised {type(error).__name__}") from error
        if error is not None:
            raise error
        raise StopAsyncIteration

    # -- the input

    def begin(self, intake: Intake) -> None:
        """Set where the rows come from."""
        self._intake = intake

    def has_room(self) -> bool:
        """Whether one more row may be taken: if it could start now, or others wait for their runs alone."""
        return (
            not self._stopping
            and not self._exhausted
            and not self._ready
            and self._may_start()
            and self._lanes.waiting < self._options.look_ahead
        )

    def take(self, pair: object) -> None:
        """Take a row of the input."""
        number = self._taken
        try:
            row = make_row(number, pair, self._journal)
        except ConfigurationError as error:
            self.input_ended(error)
            return
        self._taken += 1
        if self._stopping:
            self._cut.append(row)
            return
        if number < self._on_record and self._journal is not None and self._passes(row, self._journal):
            return
        if row.lane is None or self._lanes.offer(row.lane, row):
            self._ready.append(row)
            self._launch()

    def _passes(self, row: Row, journal: Journal) -> bool:
        """Whether the row is not to be performed, as its end is on record, or it is not the row on record."""
        try:
            state = resume(row, journal)
        except ConfigurationError as error:
            self._cut.append(row)
            self._stop(error)
            return True
        if state is None:
            return False
        self._passed += 1
        if state in {"failed", "unknown"} and row.lane is not None and self._skipping:
            self._failures.add(row.lane, FieldingError(f"row {row.number} of the journal: {state}", ref=row.lane))
        return True

    def input_ended(self, error: BaseException | None) -> None:
        """Take note that no more rows come. An `error` is raised once those taken have been yielded."""
        self._exhausted = True
        if self._intake is not None:
            self._intake.close()
        if error is None and self._journal is not None:
            error = too_short(self._taken, self._journal)
        self._error = self._error or error
        self._wake()

    # -- the rows

    def _pump_soon(self) -> None:
        if self._pumping is None:
            self._pumping = self._loop.call_soon(self._pump, context=self._context)

    def _pump(self) -> None:
        self._pumping = None
        self._launch()
        if self._intake is not None and not self._stopping:
            self._intake.pull()
        self._wake()

    def _held(self) -> int:
        return len(self._running) + len(self._recording) + len(self._ended)

    def _may_start(self) -> bool:
        return len(self._running) < self._concurrency and self._held() < self._most_held

    def _launch(self) -> None:
        while self._ready and self._may_start() and not self._stopping:
            row = self._ready.popleft()
            problem = row.problem or self._skips(row)
            if problem is not None:
                self._end(row, None, problem)
                continue
            task = self._loop.create_task(
                perform_order(
                    self._engine,
                    row.ref,
                    row.action.name,
                    row.action,
                    seen=None,
                    on_conflict=self._options.on_conflict,
                    timeout=self._options.timeout,
                    ledger=row,
                ),
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

    def _over(self, task: "asyncio.Task[Outcome]") -> None:
        row = self._running.pop(task)
        if task.cancelled():
            self._cut_off(row)
        else:
            error = task.exception()
            if error is None:
                self._end(row, task.result(), None)
            elif isinstance(error, Exception):
                self._end(row, None, error)
            else:  # it went through the loop already
                row.in_doubt = True
                self._cut_off(row)
        if self._engine.exchanger.closing:
            self._stop(SessionClosedError("the session was closed while the batch was under way"))
        elif self._journal is not None and self._journal.error is not None:
            self._stop(self._journal.error)
        self._pump_soon()

    def _cut_off(self, row: Row) -> None:
        self._cut.append(row)
        if row.intended and not row.in_doubt:
            row.settled()
        if not self._stopping:
            self._stop(FieldingError("the task of a row was ended from outside; see batch.leftover", ref=row.lane))

    def _end(self, row: Row, outcome: Outcome | None, error: Exception | None) -> None:
        done = row.done = Done(row.ref, row.action, outcome, error, number=row.number)
        is_final = error is None or is_for_good(
            row, error, closing=self._engine.exchanger.closing, unsettled=self._unsettled
        )
        if is_final and self._journal is not None:
            # what is told is on record: a crash must not make it untrue
            self._recording[row] = None
            self._journal.ended(row.digest, done, partial(self._recorded, row))
        else:
            self._ended.append(row)
        if row.lane is not None:
            if error is not None and self._skipping and not isinstance(error, SkippedError):
                self._failures.add(row.lane, error)
                if not is_final:
                    self._unsettled.add(row.lane)
            successor = self._lanes.ended(row.lane)
            if successor is not None:
                self._ready.append(successor)
        stop_on = self._options.stop_on
        if stop_on is not None:
            try:
                if stop_on(done):
                    self._stop(None)
            except (KeyboardInterrupt, SystemExit) as problem:
                self._stop(problem)
                raise
            except BaseException as problem:  # noqa: BLE001 - raised out of the iteration
                self._stop(problem)

    def _recorded(self, row: Row) -> None:
        del self._recording[row]
        self._ended.append(row)
        self._wake()

    # -- the end

    def _wake(self) -> None:
        if self._consumer is not None and not self._consumer.done() and (self._ended or self._at_rest()):
            self._consumer.set_result(None)

    def _stop(self, error: BaseException | None) -> None:
        self._error = self._error or error
        self._stopping = True
        if self._intake is not None:
            self._intake.close()
        self._wake()

    def _cancel_rows(self) -> None:
        for task in self._running:
            task.cancel()

    async def leave(self, *, at_once: bool) -> None:
        """Start nothing new, and wait for what is in flight or cut it off. A cancellation meanwhile cuts it off."""
        self._left = True
        self._stop(None)
        if at_once:
            self._cancel_rows()
        cancelled: asyncio.CancelledError | None = None
        while tasks := self._under_way():
            try:
                await asyncio.wait(tasks)
            except asyncio.CancelledError as error:
                cancelled = error
                self._cancel_rows()
        if self._journal is not None:
            await self._journal.aclose()
        if cancelled is not None:
            raise cancelled

    def _under_way(self) -> "list[asyncio.Task[Outcome] | asyncio.Task[None]]":
        reading = None if self._intake is None else self._intake.task
        return [*self._running, *([] if reading is None or reading.done() else [reading])]

    def abandon(self) -> None:
        """Cut everything off, and wait for nothing: the consumer's coroutine is being closed."""
        self._left = True
        self._stop(None)
        self._cancel_rows()
        if self._journal is not None:
            self._journal.close_soon()
