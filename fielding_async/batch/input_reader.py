"""The caller's input, sync or async, read only as far as there is room."""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Iterator
from typing import Protocol

from fielding_async.core.errors import FieldingError

__all__ = ["AsyncIntake", "Intake", "SyncIntake", "Taker"]

_AT_A_TIME = 200  # rows taken before others get their turn on the loop


class Taker(Protocol):
    """Who takes the rows."""

    def has_room(self) -> bool:
        """Whether one more may be taken."""
        ...

    def take(self, pair: object) -> None:
        """Take one."""
        ...

    def input_ended(self, error: BaseException | None) -> None:
        """Take note that no more comes, and why."""
        ...


class Intake(Protocol):
    """A way to read the input."""

    task: "asyncio.Task[None] | None"

    def pull(self) -> None:
        """Read on, as far as there is room."""
        ...

    def close(self) -> None:
        """Read no more."""
        ...


class SyncIntake:
    """Reads an iterator in callbacks of the loop.

    It runs in a context of its own: what a generator sets between its rows (a current span) is there when it goes on,
    and nowhere else.
    """

    task: "asyncio.Task[None] | None" = None

    def __init__(self, iterator: Iterator[object], taker: Taker) -> None:
        self._iterator: Iterator[object] | None = iterator
        self._taker = taker
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._again: asyncio.Handle | None = None

    def pull(self) -> None:
        """Read on, as far as there is room."""
        self._again = None
        left = _AT_A_TIME
        while self._iterator is not None and self._taker.has_room():
            if not left:
                self._again = self._loop.call_soon(self.pull)
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
                self._taker.take(pair)

    def _end(self, error: BaseException | None) -> None:
        self.close()
        self._taker.input_ended(error)

    def close(self) -> None:
        """Read no more."""
        self._iterator = None
        if self._again is not None:
            self._again.cancel()
            self._again = None


class AsyncIntake:
    """Reads an async iterator in a task."""

    def __init__(self, iterator: AsyncIterator[object], taker: Taker) -> None:
        self._iterator = iterator
        self._taker = taker
        self._loop = asyncio.get_running_loop()
        self._wake: asyncio.Future[None] | None = None
        self._closed = False
        self.task: asyncio.Task[None] | None = None

    def pull(self) -> None:
        """Read on, as far as there is room."""
        if self._closed:
            return
        if self.task is None:
            self.task = self._loop.create_task(self._read())
            self.task.add_done_callback(self._over)
        elif self._wake is not None and not self._wake.done() and self._taker.has_room():
            self._wake.set_result(None)

    async def _read(self) -> None:
        taken = 0
        while True:
            while not self._taker.has_room():
                self._wake = self._loop.create_future()
                await self._wake
            try:
                pair = await anext(self._iterator)
            except StopAsyncIteration:
                return
            self._taker.take(pair)
            if self._closed:
                return  # the input has kept the cancellation to itself
            taken += 1
            if taken % _AT_A_TIME == 0:
                await asyncio.sleep(0)

    def _over(self, task: "asyncio.Task[None]") -> None:
        if self._closed:
            if not task.cancelled():
                task.exception()  # whatever it is, nobody asks for it any more
            return
        self._closed = True
        if task.cancelled():
            self._taker.input_ended(FieldingError("pairs: the input was cancelled"))
        else:
            self._taker.input_ended(task.exception())

    def close(self) -> None:
        """Read no more."""
        if self._closed:
            return  # it is cleaning up
        self._closed = True
        if self.task is not None:
            self.task.cancel()
