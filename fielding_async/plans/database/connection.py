"""What the rest of `plans` sees of a database: a connection, whichever driver it is over.

SQL is written once for both drivers. Placeholders are `$1`, `$2`, …, each with a cast (`$1::bigint`), as one driver
lets the server find the types and the other one states its own. Nothing stays on a connection from one transaction to
the next: no prepared statement, no setting, no lock. So a pooler that hands out connections for one transaction each,
such as PgBouncer, can stand in between.
"""

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

__all__ = ["Connection", "Row"]

Row = tuple[Any, ...]


class Connection(Protocol):
    """A connection that one task uses.

    Each method raises `StoreLostError` for what may be tried again, and `ConfigurationError` or `JournalError`
    otherwise; see `errors`. Where the reply to a statement or a commit is lost, it may have been applied.
    """

    async def fetch(self, sql: str, *args: Any) -> list[Row]:
        """Run one statement, and return its rows. Outside a transaction it commits. Times are aware and in UTC.

        An argument may be a list of `int`, `str`, `bytes`, `bool` or `float`, cast to an array.
        """
        ...

    async def run(self, sql: str) -> None:
        """Run statements without arguments and results, separated by semicolons."""
        ...

    def transaction(self, *, is_snapshot: bool = False) -> AbstractAsyncContextManager[None]:
        """Run what follows as one transaction, committed at the end, rolled back if an exception leaves it.

        `is_snapshot`: all statements of it see the database as the first one does, and it writes nothing.
        """
        ...

    async def copy_in(self, table: str, columns: Sequence[str], chunks: AsyncIterable[bytes]) -> None:
        """Copy rows into a table: `chunks` have whole lines of COPY's text format.

        What `chunks` raises passes through, and nothing is stored.
        """
        ...

    def stream(self, sql: str, *args: Any) -> AsyncIterator[Row]:
        """Iterate over the rows of a SELECT, within a transaction. A few hundred at a time are in memory."""
        ...
