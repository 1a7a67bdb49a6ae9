"""Readers of the caller's input, a plain or an async iterator. They read no further than the batch has room."""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Iterator
from typing import Protocol

from fielding_async.core.errors import FieldingError

__all__ = ["AsyncIteratorReader", "InputReader", "IteratorReader", "RowReceiver"]

_ROWS_AT_ONCE = 200  # before other callbacks of the loop get their turn


class RowReceiver(Protocol):
    """What the rows are read for: the batch."""

    def has_room(self) -> bool:
        """Whether one more row may be read."""
        ...

    def take(self, pair: object) -> None:
        """Take a row."""
        ...

    def input_ended(self, error: BaseException | None) -> None:
        """Take note that there are no more rows. `error`: what the input raised, if it did."""
        ...


class InputReader(Protocol):
    """Reads the input for a batch. `task`: the task in which it does, if any."""

    task: "asyncio.Task[None] | None"

    def read_on(self) -> None:
        """Read on, as long as there is room."""
        ...

    def close(self) -> None:
        """Read no more."""
        ...


class IteratorReader:
    """Reads an iterator in callbacks of the loop.

    The iterator runs in a context of its own: what a generator sets between its rows, such as a current span, is there
    when it goes on, and nowhere else.
    """

    task: "asyncio.Task[None] | None" = None

    def __init__(self, iterator: Iterator[object], receiver: RowReceiver) -> None:
        self._iterator: Iterator[object] | None = iterator
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._next_turn: asyncio.Handle | None = None

    def read_on(self) -> None:
        """Read on, as long as there is room."""
        self._next_turn = None
        left = _ROWS_AT_ONCE
        while self._iterator is not None and self._receiver.has_room():
            if not left:
                self._next_turn = self._loop.call_soon(self.read_on)
                return
            left -= 1
            try:
                pair = self._context.run(next, self._iterator)
            except StopIteration:
                self._end(None)
            except (KeyboardInterrupt, SystemExit) as error:
                self._end(error)
                raise
            except BaseException as error:  # noqa: BLE001 - raised out of the iteration
                self._end(error)
            else:
                self._receiver.take(pair)

    def _end(self, error: BaseException | None) -> None:
        self.close()
        self._receiver.input_ended(error)

    def close(self) -> None:
        """Read no more."""
        self._iterator = None
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None


class AsyncIteratorReader:
    """Reads an async iterator in a task."""

    def __init__(self, iterator: AsyncIterator[object], receiver: RowReceiver) -> None:
        self._iterator = iterator
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()
        self._wake: asyncio.Future[None] | None = None
        self._closed = False
        self.task: asyncio.Task[None] | None = None

    def read_on(self) -> None:
        """Read on, as long as there is room."""
        if self._closed:
            return
        if self.task is None:
            self.task = self._loop.create_task(self._read())
            self.task.add_done_callback(self._on_task_end)
        elif self._wake is not None and not self._wake.done() and self._receiver.has_room():
            self._wake.set_result(None)

    async def _read(self) -> None:
        taken = 0
        while True:
            while not self._receiver.has_room():
                self._wake = self._loop.create_future()
                await self._wake
            try:
                pair = await anext(self._iterator)
            except StopAsyncIteration:
                return
            self._receiver.take(pair)
            if self._closed:
                return  # the input swallowed the cancellation, and gave one more row
            taken += 1
            if taken % _ROWS_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _on_task_end(self, task: "asyncio.Task[None]") -> None:
        if self._closed:
            if not task.cancelled():
                task.exception()  # marks it as retrieved: nothing is done with it any more
            return
        self._closed = True
        if task.cancelled():
            self._receiver.input_ended(FieldingError("pairs: the input was cancelled"))
        else:
            self._receiver.input_ended(task.exception())

    def close(self) -> None:
        """Read no more."""
        if self._closed:
            return  # a second cancellation would interrupt the input while it cleans up
        self._closed = True
        if self.task is not None:
            self.task.cancel()
