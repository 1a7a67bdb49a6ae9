"""A database: a few connections that are opened when they are needed, on the event loop that entered it."""

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from fielding_async.core.errors import SessionClosedError

from .connection import Connection
from .driver import Driver, DriverConnection

__all__ = ["Database"]

MOST_CONNECTIONS = 8
"""The most connections of one `PostgresPlans`. More callers wait for one."""

_IDLE_SECONDS = 60.0  # after which a connection is not used again: something in between may have dropped it in silence
_LAST_SECONDS = 5.0  # that connections in use get to notice that they were cut


class Database:
    """The connections to one database. Bound to the event loop, thread and process that it is made in.

    `check`: called with the first connection, and again until it has raised nothing.
    """

    def __init__(
        self, driver: Driver, check: Callable[[Connection], Awaitable[None]], *, most: int = MOST_CONNECTIONS
    ) -> None:
        self._driver = driver
        self._check_tables = check
        self._is_checked = False
        self._loop = asyncio.get_running_loop()
        self._thread, self._process = threading.get_ident(), os.getpid()
        self._free = asyncio.Semaphore(most)
        self._idle: list[tuple[DriverConnection, float]] = []
        self._in_use: set[DriverConnection] = set()
        self._opening: set[asyncio.Task[DriverConnection]] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._unused = asyncio.Event()
        self._unused.set()
        self.is_closed: bool = False

    @property
    def name(self) -> str:
        """What messages call it: host and database."""
        return self._driver.address.shown

    @property
    def is_over(self) -> bool:
        """Whether it is closed and no connection is left."""
        return self.is_closed and not (self._in_use or self._idle or self._closing)

    def check(self) -> None:
        """Raise `SessionClosedError` unless this is its loop, thread and process, and it is open."""
        self.check_place()
        if self.is_closed:
            raise SessionClosedError("the plans are closed: make new ones for what comes after")

    def check_place(self) -> None:
        """Raise `SessionClosedError` unless this is its loop, thread and process."""
        if os.getpid() != self._process:
            raise SessionClosedError(
                "the plans were entered in another process and cannot be used after a fork: make them in each process"
            )
        if threading.get_ident() != self._thread:
            raise SessionClosedError(
                "the plans were entered in another thread: use them there, or make them in each thread"
            )
        if asyncio.get_running_loop() is not self._loop:
            raise SessionClosedError(
                "the plans were entered on another event loop: make them for each asyncio.run, or do all work in one"
            )

    @asynccontextmanager
    async def connection(self, *, is_checked: bool = True, seconds: float | None = None) -> AsyncGenerator[Connection]:
        """Lend a connection to the task that enters this, until it leaves.

        `is_checked`: whether the tables must be those of this version. `seconds`: how long a statement may take; left
        out, the driver's limit. Raises `SessionClosedError`, what
        `Driver.connect` and the check raise; once the database is closed, `SessionClosedError` in place of what the
        block raises.
        """
        self.check()
        async with self._free:
            self.check()
            connection = await self._take()
            self._in_use.add(connection)
            self._unused.clear()
            connection.seconds = self._driver.seconds if seconds is None else seconds
            is_good = False
            try:
                self.check()
                if is_checked and not self._is_checked:
                    await self._check_tables(connection)
                    self._is_checked = True
                yield connection
                is_good = True
            except Exception:
                if self.is_closed:
                    raise SessionClosedError(
                        "the plans were closed while the call was in progress: close them after it"
                    ) from None
                is_good = True  # an error that leaves it in an unknown state makes it unusable
                raise
            finally:
                self._give_back(connection, is_good=is_good)

    async def _take(self) -> DriverConnection:
        while self._idle:
            connection, since = self._idle.pop()
            if connection.is_alive() and self._loop.time() - since < _IDLE_SECONDS:
                return connection
            self._start_closing(connection)
        opening = self._loop.create_task(self._driver.connect())
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)
        try:
            return await opening
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self.is_closed or (task and task.cancelling()):
                raise
        raise SessionClosedError("the plans were closed while the call was in progress: close them after it")

    def _give_back(self, connection: DriverConnection, *, is_good: bool) -> None:
        if is_good and connection.is_usable and not self.is_closed:
            self._idle.append((connection, self._loop.time()))
        else:
            self._start_closing(connection)
        self._in_use.discard(connection)
        if not self._in_use:
            self._unused.set()

    def _start_closing(self, connection: DriverConnection) -> None:
        # in a task of its own: the server is told of a statement that was cancelled, and nobody waits for that
        closing = self._loop.create_task(connection.close())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    def close_now(self) -> None:
        """Cut all connections at once. What is in progress ends in `SessionClosedError`; `aclose` cleans up."""
        self.is_closed = True
        for opening in self._opening:
            opening.cancel()
        for connection in (*self._in_use, *(connection for connection, _ in self._idle)):
            connection.cut()

    async def aclose(self) -> None:
        """Close all connections; those in use are cut. When it returns or raises, no socket of ours is left open."""
        self.is_closed = True
        for opening in tuple(self._opening):
            opening.cancel()
        for connection in tuple(self._in_use):
            connection.cut()
        while self._idle:
            self._start_closing(self._idle.pop()[0])
        try:
            async with asyncio.timeout(_LAST_SECONDS):
                await self._unused.wait()  # first: what is in use is closed when it is given back
                while self._opening or self._closing:
                    await asyncio.wait(self._opening | self._closing)
        except TimeoutError:
            pass  # whoever holds a connection that was cut gets no further with it
        finally:
            for closing in tuple(self._closing):
                closing.cancel()

    def abandon(self) -> bool:
        """Cut what is open, as nobody can close it any more. Return whether something was."""
        is_open = not self.is_closed and os.getpid() == self._process
        if is_open and not self._loop.is_closed():
            self.close_now()
        return is_open
