"""What both drivers have in common: time limits, transactions, streams, and no exception of a driver that gets out."""

import asyncio
import select
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

from fielding_async.core.errors import FieldingError, JournalError
from fielding_async.core.redaction import without_frames

from .address import Address
from .connection import Row
from .errors import StoreLostError, meaning_of

__all__ = ["Driver", "DriverConnection"]

STATEMENT_SECONDS = 30.0
"""How long a statement, or a step of a COPY, may take before its connection is given up."""

_ROWS_AT_ONCE = 500  # of a stream
_ENDED = ("08", "57P", "58")  # classes of SQLSTATE after which the server closes the connection
_cursors = count()


class DriverConnection(ABC):
    """A connection over one of the drivers. A subclass has what differs: five methods."""

    def __init__(self, address: Address, seconds: float) -> None:
        self._address = address
        self._in_transaction = self._has_failed = False
        self._timer: asyncio.TimerHandle | None = None
        self._is_late = False
        self._is_cut = False
        self.seconds: float = seconds
        """How long a statement, or a step of a COPY, may take."""
        self.is_usable: bool = True
        """Whether its state is known; a connection that is not usable is closed, not kept."""

    # -- what a driver does

    @abstractmethod
    async def _fetch(self, sql: str, args: Sequence[Any]) -> list[Row]: ...

    @abstractmethod
    async def _run(self, sql: str) -> None: ...

    @abstractmethod
    async def _copy(self, table: str, columns: Sequence[str], chunks: AsyncIterable[bytes]) -> None: ...

    @abstractmethod
    def is_closed(self) -> bool:
        """Whether it is known to have ended."""

    @abstractmethod
    def _descriptor(self) -> int: ...

    def is_alive(self) -> bool:
        """Whether nothing says that an idle connection has ended. Asks nobody."""
        # whoever is idle has nothing to read but that it ends, which the driver may not have got to
        return not self.is_closed() and not has_something_to_read(self._descriptor())

    @abstractmethod
    def _cut(self) -> None: ...

    @abstractmethod
    async def _close(self) -> None: ...

    def cut(self) -> None:
        """Cut the connection at once; what waits for the server raises. `close` is still to be called."""
        self._is_cut = True
        self.is_usable = False
        self._cut()

    async def close(self) -> None:
        """Close it, after the server was informed of a statement that was cancelled. Raises nothing of a driver."""
        self._no_limit()
        await self._close()

    # -- what a user of it calls

    async def fetch(self, sql: str, *args: Any) -> list[Row]:
        """Run one statement; see `Connection.fetch`."""
        rows: list[Row] = await self._guarded(self._fetch(sql, args))
        return rows

    async def run(self, sql: str) -> None:
        """Run statements; see `Connection.run`."""
        await self._guarded(self._run(sql))

    @asynccontextmanager
    async def transaction(self, *, is_snapshot: bool = False) -> AsyncGenerator[None]:
        """Run what follows as one transaction; see `Connection.transaction`."""
        if self._in_transaction:
            raise RuntimeError("a transaction is in progress on this connection")
        await self.run("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY" if is_snapshot else "BEGIN")
        self._in_transaction, self._has_failed = True, False
        try:
            yield
            if self._has_failed:  # the server would answer the commit with a rollback, and no error
                raise JournalError(f"{self._address.shown}: a statement of the transaction failed")
        except Exception:
            self._in_transaction = False
            if self.is_usable:
                try:
                    await self.run("ROLLBACK")
                except (OSError, FieldingError):
                    self.is_usable = False  # what led here is raised
            raise
        except BaseException:
            self._in_transaction = self.is_usable = False  # a cancelled task waits for nothing: the server rolls back
            raise
        self._in_transaction = False
        await self.run("COMMIT")

    async def copy_in(self, table: str, columns: Sequence[str], chunks: AsyncIterable[bytes]) -> None:
        """Copy rows into a table; see `Connection.copy_in`."""
        problem: list[Exception] = []

        async def watched() -> AsyncGenerator[bytes]:
            # the limit is for the server's part of each step, not for whoever makes the chunks
            self._no_limit()
            try:
                async for chunk in chunks:
                    self._limit()
                    yield chunk
                    self._no_limit()
            except Exception as error:
                problem.append(error)
                raise
            finally:
                self._limit()

        source = watched()
        try:
            await self._guarded(self._copy(table, columns, source))
        except (OSError, FieldingError):
            if not problem:
                raise
            self.is_usable = not self._is_cut and not self.is_closed()  # the server was told, and has answered
        else:
            return
        finally:
            await source.aclose()
            self._no_limit()
        raise problem[0]

    async def stream(self, sql: str, *args: Any) -> AsyncIterator[Row]:
        """Iterate over the rows of a SELECT; see `Connection.stream`."""
        if not self._in_transaction:
            raise RuntimeError("a stream needs a transaction")
        name = f"fielding_{next(_cursors)}"
        # by statements, as a portal of the protocol would need a named prepared statement, which outlives it
        await self.fetch(f"DECLARE {name} NO SCROLL CURSOR FOR {sql}", *args)
        rows = [()]
        while rows:
            rows = await self.fetch(f"FETCH {_ROWS_AT_ONCE} FROM {name}")
            for row in rows:
                yield row
        await self.run(f"CLOSE {name}")

    async def _guarded(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Await what a driver does, with the limit on time, and with its errors in our words."""
        if not self.is_usable:
            work.close()
            raise StoreLostError(f"{self._address.shown}: the connection was lost before")
        self._limit()
        try:
            return await work
        except Exception as error:  # noqa: BLE001 - translated
            self._has_failed = True
            code = getattr(error, "sqlstate", None)
            if code is None or code.startswith(_ENDED) or self.is_closed():
                self.is_usable = False
            if self._is_late:
                error = TimeoutError()
            problem = meaning_of(error, where=self._address.shown, clean=self._address.clean)
        except BaseException as error:  # noqa: BLE001 - raised again
            self.is_usable = False
            raise without_frames(error)  # noqa: B904 - frames of a driver show the password
        finally:
            self._no_limit()
        raise problem

    def _limit(self) -> None:
        """Cut the connection once the limit on time has passed.

        What a driver does when it is cancelled instead waits for the server again.
        """
        self._no_limit()
        self._timer = asyncio.get_running_loop().call_later(self.seconds, self._too_late)

    def _no_limit(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_late(self) -> None:
        self._is_late = True
        self.cut()


def has_something_to_read(descriptor: int) -> bool:
    """Whether bytes or an end have arrived at a socket; `False` where that cannot be told."""
    if descriptor < 0 or not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


class Driver(ABC):
    """Opens connections to one address."""

    def __init__(self, address: Address, *, seconds: float = STATEMENT_SECONDS) -> None:
        self.address: Address = address
        self.seconds: float = seconds

    @abstractmethod
    async def _open(self) -> DriverConnection: ...

    async def connect(self) -> DriverConnection:
        """Return a new connection. Raises `StoreLostError`, `ConfigurationError`, `JournalError`."""
        try:
            async with asyncio.timeout(self.address.connect_timeout):
                return await self._open()
        except Exception as error:  # noqa: BLE001 - translated
            if isinstance(error, FieldingError):
                problem: Exception = error
            else:
                where, clean = self.address.shown, self.address.clean
                problem = meaning_of(error, where=where, clean=clean, is_connecting=True)
        except BaseException as error:  # noqa: BLE001 - raised again
            raise without_frames(error)  # noqa: B904
        raise problem
