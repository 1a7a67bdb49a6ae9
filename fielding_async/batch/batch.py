"""The batch that the caller iterates over: takes rows lazily, has them performed, and yields them as they end.

The work is done in callbacks of the loop and in one task for each row in progress. The caller's `async for` only takes
from a queue, so that nothing is suspended inside a timeout or a task group of the caller (PEP 789).
"""

import asyncio
import contextvars

from fielding_async.core.batch_values import Done, Leftover, Outage
from fielding_async.core.errors import ConfigurationError, JournalError, SessionClosedError
from fielding_async.core.models import Outcome
from fielding_async.engine.engine import Engine
from fielding_async.journal.journal import Journal
from fielding_async.journal.records import DoneRows
from fielding_async.journal.values import JournalCounts

from .input_reader import InputReader
from .options import Options
from .pauses import PauseRecorder
from .row import Row, input_too_short, make_row, resume
from .row_tasks import RowTasks

__all__ = ["Batch"]


class Batch:
    """A batch in progress: an async iterator of `Done`, from `async with fielding.perform_all(…) as batch`.

    It takes no row and sends nothing before you iterate over it. Only one task at a time may iterate over it.
    """

    __module__ = "fielding_async"

    def __init__(self, engine: Engine, options: Options, journal: Journal | None) -> None:
        self._journal = journal
        self._engine = engine
        self._loop = engine.loop
        self._rows = RowTasks(
            engine, options, journal, on_task_end=self._advance_soon, on_ended=self._wake, stop=self._stop
        )
        self._pauses = None if journal is None else PauseRecorder(engine.limiter, journal, engine.loop.time)
        self._earlier = JournalCounts() if journal is None else journal.replay.counts()
        self._on_record = 0 if journal is None else len(journal.replay)  # rows from this number on are new
        self._reader: InputReader | None = None
        self._taken = 0
        self._passed = 0
        self._iterated = False
        self._exhausted = False
        self._left = False
        self._error: BaseException | None = None
        self._consumer: asyncio.Future[None] | None = None
        self._advance_handle: asyncio.Handle | None = None
        self._context = contextvars.copy_context()

    def __repr__(self) -> str:
        state = "left" if self._left else "stopping" if self._rows.stopping else "open"
        return f"<Batch: {self._taken} rows taken, {self._rows.in_flight} in flight ({state})>"

    # -- the caller's side

    @property
    def taken(self) -> int:
        """How many rows were taken from the input, including the rows of `passed`."""
        return self._taken

    @property
    def passed(self) -> int:
        """How many rows were not performed, because the journal has their ends."""
        return self._passed

    @property
    def in_flight(self) -> int:
        """How many rows are in progress."""
        return self._rows.in_flight

    @property
    def outage(self) -> Outage | None:
        """The outage during which the batch waits, or because of which it stopped; `None` if there is none.

        May be read from any thread.
        """
        return self._rows.open.outage

    @property
    def open(self) -> int:
        """How many rows wait to be tried again, because their failure had another cause than the row itself.

        It is 0 when the batch has stopped, because the batch then yields these rows, with `Done.is_open`.
        """
        return len(self._rows.open)

    @property
    def stuck(self) -> int:
        """How many rows failed three times for another cause than the row itself, so that this batch gave them up.

        The batch yields them with `Done.is_open`. The next batch with the same journal tries them again.
        """
        return self._rows.stuck

    @property
    def earlier(self) -> JournalCounts:
        """How many rows were in each state when the batch read its journal; all 0 without a journal."""
        return self._earlier

    @property
    def leftover(self) -> tuple[Leftover, ...]:
        """The rows that were taken from the input and not yielded, in the order of the input; see `Leftover`."""
        return tuple(sorted(self._rows.leftover(), key=lambda row: row.number))

    def stop(self, *, cancel: bool = False) -> None:
        """Start no more rows. Rows in flight are still yielded, or with `cancel` cancelled. Then the iteration ends.

        Call it on the event loop, for example in a signal handler of the loop.
        """
        self._stop(None)
        if cancel:
            self._rows.cancel()

    def set_concurrency(self, rows: int) -> None:
        """Have up to `rows` rows in progress from now on, at least 1. For those who share a session's slots out."""
        self._rows.set_concurrency(rows)
        if self._iterated:
            self._advance_soon()

    def __aiter__(self) -> "Batch":
        return self

    async def __anext__(self) -> Done:
        """Return the next row that has ended.

        Raises what the input raised, once all rows taken before have been yielded; `JournalError` if the journal cannot
        be written, `ConfigurationError` if it belongs to other rows, `SessionClosedError` if the session was closed.
        """
        if self._left:
            raise ConfigurationError(
                "perform_all: the batch has been left: use batch.leftover, or iterate inside `async with`"
            )
        if self._consumer is not None:
            raise ConfigurationError("perform_all: the batch is being iterated by another task: use one task")
        ended = self._rows.ended
        while not ended:
            if not self._iterated:
                self._iterated = True
                self._advance_soon()
            elif self._is_over():
                await self._finish()
            self._consumer = self._loop.create_future()
            try:
                await self._consumer
            finally:
                self._consumer = None
        row = ended.popleft()
        if self._rows.made_room():
            self._advance_soon()
        assert row.done is not None  # noqa: S101 - all rows in `ended` have it
        return row.done

    def _is_over(self) -> bool:
        return not self._rows.under_way and self._no_row_starts()

    def _no_row_starts(self) -> bool:
        return self._rows.stopping or (self._exhausted and not self._rows.waiting)

    async def _finish(self) -> None:
        """End the iteration: raise `StopAsyncIteration`, or what went wrong."""
        if self._journal is not None and not isinstance(self._error, JournalError):
            try:
                await self._journal.flush()
            except JournalError as problem:
                self._stop(problem)
        error, self._error = self._error, None
        if isinstance(error, StopIteration | StopAsyncIteration):  # it would end the iteration as if nothing were wrong
            raise RuntimeError(f"perform_all: the input or stop_on raised {type(error).__name__}") from error
        if error is not None:
            raise error
        raise StopAsyncIteration

    # -- the input

    def read_from(self, reader: InputReader) -> None:
        """Set what the rows are read with."""
        self._reader = reader
        self._engine.on_close[self._session_closes] = None
        if self._pauses is not None:
            self._pauses.begin()

    def has_room(self) -> bool:
        """Whether one more row may be taken: it could start now, or all that wait do so for their runs alone."""
        return not self._rows.stopping and not self._exhausted and self._rows.has_room()

    def take(self, pair: object) -> None:
        """Take a row from the input, or rows that are done."""
        number = self._taken
        if isinstance(pair, DoneRows):
            self._take_done(pair)
            return
        try:
            row = make_row(number, pair, self._journal)
        except Exception as error:  # noqa: BLE001 - the repr of a bad row is called, and may raise anything
            self.input_ended(error)
            return
        self._taken += 1
        if number < self._on_record and self._journal is not None and self._passes(row, self._journal):
            return
        if self._rows.stopping:
            self._rows.cut_off.append(row)
        else:
            self._rows.add(row)

    def _take_done(self, done: DoneRows) -> None:
        """Pass over rows that are done."""
        journal = self._journal
        if journal is None or not journal.replay.are_done(self._taken, done):
            name = "perform_all" if journal is None else journal.name
            self._stop(
                ConfigurationError(f"{name}: row {self._taken}, or one after it, is not on record as done: pass it")
            )
            return
        self._taken += done.rows
        self._passed += done.rows

    def _passes(self, row: Row, journal: Journal) -> bool:
        """Whether the row is not performed: its end is on record, or another row is on record in its place."""
        try:
            state = resume(row, journal)
        except ConfigurationError as error:
            self._rows.cut_off.append(row)
            self._stop(error)
            return True
        if state is None:
            return False
        self._passed += 1
        self._rows.pass_over(row, state)
        return True

    def input_ended(self, error: BaseException | None) -> None:
        """Take note that there are no more rows. An `error` is raised once those taken have been yielded."""
        self._exhausted = True
        if self._reader is not None:
            self._reader.close()
        if error is None and self._journal is not None and not self._rows.stopping:
            error = input_too_short(self._taken, self._journal)
        if error is None and not self._earlier.ended:
            self._rows.open.all_rows = self._taken
        self._error = self._error or error
        self._wake()

    def _advance_soon(self) -> None:
        if self._advance_handle is None:
            self._advance_handle = self._loop.call_soon(self._advance, context=self._context)

    def _advance(self) -> None:
        self._advance_handle = None
        self._rows.start_ready()
        if self._reader is not None and not self._rows.stopping:
            self._reader.read_on()
        self._rows.retry_if_idle()
        self._wake()

    # -- the end

    def _wake(self) -> None:
        if self._consumer is not None and not self._consumer.done() and (self._rows.ended or self._is_over()):
            self._consumer.set_result(None)

    def _stop(self, error: BaseException | None) -> None:
        self._error = self._error or error
        self._rows.stop()
        if self._reader is not None:
            self._reader.close()
        self._wake()

    def _session_closes(self) -> None:
        if (
            self._rows.in_flight or self._rows.is_any_open or not self._no_row_starts()
        ):  # if not, all rows have ended already
            self._stop(SessionClosedError("the session was closed while the batch was in progress"))

    def _leave(self) -> None:
        self._left = True
        self._engine.on_close.pop(self._session_closes, None)
        self._stop(None)

    async def leave(self, *, at_once: bool) -> None:
        """Start nothing new, and wait for what is in flight or cut it off. A cancellation while waiting cuts it off."""
        self._leave()
        if at_once:
            self._rows.cancel()
        cancelled: asyncio.CancelledError | None = None
        while tasks := self._under_way():
            try:
                await asyncio.wait(tasks)
            except asyncio.CancelledError as error:
                cancelled = error
                for task in tasks:
                    task.cancel()
        if self._journal is not None and self._pauses is not None:
            self._pauses.end()
            try:
                await self._journal.aclose()
            except JournalError as problem:
                if cancelled is None:
                    raise
                cancelled.add_note(f"fielding-async: {problem}")
        if cancelled is not None:
            raise cancelled

    def _under_way(self) -> "list[asyncio.Task[Outcome] | asyncio.Task[None]]":
        others = (None if self._reader is None else self._reader.task, self._rows.open.task)
        return [*self._rows.tasks, *(task for task in others if task is not None and not task.done())]

    def abandon(self) -> None:
        """Cut everything off, and wait for nothing: the caller's coroutine is being closed."""
        if not self._loop.is_closed():  # if it is, no task can be cancelled
            self._leave()
            self._rows.cancel()
        if self._journal is not None and self._pauses is not None:
            self._pauses.end()
            self._journal.start_closing()
