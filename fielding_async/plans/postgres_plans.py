"""`PostgresPlans`: plans in PostgreSQL that any number of processes work off together."""

import os
import sys
import warnings
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Literal, Self

from fielding_async.core.credentials import settings_of
from fielding_async.core.errors import JournalError, SessionClosedError
from fielding_async.core.redaction import Secret
from fielding_async.engine.engine import EngineSource
from fielding_async.journal.undo.undo_plan import UndoPlan
from fielding_async.journal.values import JournalEvent

from .administration import change_state, list_plans, plan_status
from .database.address import PLANS_URL, read_address
from .database.choice import DriverName, choose_driver, open_driver
from .database.database import Database
from .database.errors import StoreLostError
from .database.schema import check_tables, migrate
from .deletion import delete_older_than, delete_plan
from .reading.outage import plan_outage
from .reading.report import plan_report
from .reading.rows import plan_rows
from .reading.undo import undo_of
from .submission import PlanPairs, check_pairs, submit
from .values.plan_report import PlanReport, PlanRow
from .values.plan_state import Order
from .values.plan_values import PlanStatus, Submitted, Worked, check_days, check_plan_name
from .working.work import check_seconds, work

__all__ = ["PostgresPlans"]

_CONNECT_SECONDS = 10.0


class PostgresPlans:
    """Plans in a PostgreSQL database: `async with PostgresPlans() as plans: …`

    A plan is a list of rows. Each row has a run and an action. A plan is submitted once, under a name. Then any number
    of processes, on any number of hosts, can call `work`. Each row is performed once. The rows of one run are performed
    in the order of the plan.

    `url`: `postgresql://user:password@host:port/database`, with the parameters of libpq. `None` reads
    `FIELDING_PLANS_URL`. The search_path of the user decides where the tables are. `driver`: `"asyncpg"` or
    `"psycopg"`. If it is left out and both are installed, it is asyncpg. At most eight connections are opened, when
    they are needed.

    You can create the object before an event loop runs. Use it only on the event loop, in the thread and in the process
    in which you entered it with `async with`. In another place, its methods raise `SessionClosedError`. The methods
    raise `ConfigurationError` for a bad argument, for a plan that does not exist, and for a database that refuses the
    user or has no tables of this version. They raise `JournalError` if the database cannot be used now. The same call
    can then succeed later.

    Raises `ConfigurationError` for a bad argument, a missing setting or a driver that is not installed.
    """

    __module__ = "fielding_async.plans"

    def __init__(self, url: str | None = None, *, driver: Literal["asyncpg", "psycopg"] | None = None) -> None:
        self._database: Database | None = None  # first: plans whose arguments are refused have a `repr`, too
        self._closed = False
        url = Secret.of(url)  # a traceback may show local variables
        self._driver: DriverName = choose_driver(driver)
        self._address = read_address(url, settings_of(os.environ, (PLANS_URL,)), connect_timeout=_CONNECT_SECONDS)

    def __repr__(self) -> str:
        database: Database | None = getattr(self, "_database", None)
        is_closed: bool = getattr(self, "_closed", False)
        state = "closed" if is_closed else "not entered" if database is None else "open"
        address = getattr(self, "_address", None)
        return f"<PostgresPlans {address and address.shown} ({state})>"

    async def __aenter__(self) -> Self:
        if self._closed:
            raise SessionClosedError("the plans are closed, and can be entered once: make a new PostgresPlans")
        if self._database is not None:
            raise SessionClosedError(
                "the plans have been entered already, and can be entered once: make another PostgresPlans"
            )
        self._database = Database(open_driver(self._driver, self._address), check_tables)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections. Calls in progress are cut off, and raise `SessionClosedError`.

        If the plans are already closed, or were never entered, this call does nothing.
        """
        database = self._database
        if database is not None and not database.is_over:
            database.check_place()
        self._closed = True
        if database is not None:
            await database.aclose()

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        database: Database | None = getattr(self, "_database", None)
        if database is not None and not sys.is_finalizing() and database.abandon():
            _warn(f"unclosed {self!r}: leave its `async with`, or await its aclose()", ResourceWarning, source=self)

    def _entered(self) -> Database:
        """Return the database. Raises `SessionClosedError` unless it can be used here and now."""
        if self._database is None:
            raise SessionClosedError(
                "the plans are closed: make new ones for what comes after"
                if self._closed
                else "the plans have not been entered: use `async with PostgresPlans() as plans`"
            )
        self._database.check()
        return self._database

    @asynccontextmanager
    async def _call(self) -> AsyncGenerator[Database]:
        """Give the database to a method. A database that is lost becomes a `JournalError`, which callers catch."""
        database = self._entered()
        problem: StoreLostError
        try:
            yield database
        except StoreLostError as error:
            problem = error
        else:
            return
        raise JournalError(f"{problem.message}; the same call may succeed later")

    # -- tables

    async def create_tables(self) -> bool:
        """Create the tables of plans, or migrate older tables. Return whether anything was changed.

        Several processes can call this method at the same time. Raises `ConfigurationError` if the tables are of a
        newer version.
        """
        async with self._call() as database, database.connection(is_checked=False) as connection:
            return await migrate(connection)

    # -- plans

    async def submit(self, pairs: PlanPairs, *, plan: str) -> Submitted:
        """Store all rows of a plan, or none of them.

        `pairs`: the rows, an iterable or async iterable of (RunRef, action). It is read lazily and only once. An action
        can be `Guarded`. `plan`: the name of the plan, 1 to 200 printable characters, without a space at the start or
        the end.

        If you submit the same rows again under the same name, nothing changes. So if a call failed and you do not know
        whether the plan was stored, repeat the call. Raises `ConfigurationError` if the plan has other rows under this
        name, and for a bad row. The error for a bad row has its number, from 0. An exception of the input is not
        caught.
        """
        check_plan_name("plan", plan)
        check_pairs(pairs)
        async with self._call() as database:
            return await submit(database, pairs, plan)

    async def work(self, fielding: EngineSource, name: str, *, seconds: float = 15) -> Worked:
        """Work on a plan for about `seconds` seconds. Return what was done and what is left.

        `fielding`: an open `FieldingSession`. Any number of calls, in any processes, can work on one plan at the same
        time. `seconds`: the time after which the call starts no more rows, at least 0. Rows in progress then end within
        the time of one attempt (`Timeout.attempt`).

        If a plan is paused or cancelled, the call does not work on it. The first call binds the plan to the exchange of
        the session. Raises `ConfigurationError` if the plan is bound to another exchange.

        If a row fails for a reason that is not the row itself, the row stays open, as with `perform_all(journal=…)`,
        and later calls try it again.

        If the call is cancelled, it starts no more rows and waits for the rows in progress. If it is cancelled a second
        time, it cuts these rows off and keeps their leases. Such leases, and the leases of a process that was killed,
        expire after less than a minute by default. Other processes then continue with the rows.
        """
        check_plan_name("name", name)
        checked = check_seconds(seconds)
        async with self._call() as database:
            return await work(database, fielding, name, checked)

    async def list(self) -> "list[PlanStatus]":
        """Return the status of each plan, in the order of submission."""
        async with self._call() as database:
            return await list_plans(database)

    async def status(self, name: str) -> PlanStatus:
        """Return the status of a plan.

        This is fast for plans of any size, so you can call it every second.
        """
        check_plan_name("name", name)
        async with self._call() as database:
            return await plan_status(database, name)

    async def pause(self, name: str) -> bool:
        """Pause a plan: no more rows are started, and rows in flight end. Return whether this changed the state."""
        return await self._order(name, "pause")

    async def resume(self, name: str) -> bool:
        """Let processes work on a paused plan again. Return whether this changed the state."""
        return await self._order(name, "resume")

    async def cancel(self, name: str) -> bool:
        """Cancel a plan finally.

        No more rows are started, and rows in flight end. A cancelled plan cannot be resumed. Return whether this
        changed the state.
        """
        return await self._order(name, "cancel")

    async def _order(self, name: str, order: Order) -> bool:
        check_plan_name("name", name)
        async with self._call() as database:
            return await change_state(database, name, order)

    async def delete(self, name: str, *, force: bool = False) -> None:
        """Delete a plan and all its records.

        Raises `ConfigurationError` if a live worker holds a lease of the plan. With `force`, the plan is deleted
        anyway. The workers then send nothing more, and the results of their rows in flight are not recorded. If a
        deletion is interrupted, delete the plan again to complete it.
        """
        check_plan_name("name", name)
        async with self._call() as database:
            await delete_plan(database, name, is_forced=force)

    async def delete_older_than(self, days: float) -> tuple[str, ...]:
        """Delete the plans that ended, or were cancelled, more than `days` ago (0 or more). Return their names."""
        seconds = check_days(days) * 86_400
        async with self._call() as database:
            return await delete_older_than(database, seconds)

    # -- reading

    async def rows(self, name: str, *, all: bool = False) -> AsyncGenerator[PlanRow]:  # noqa: A002 - reads well
        """Yield the rows that did not end well, or with `all` every row of the plan, also rows that were not started.

        The rows come shard by shard. In each shard, rows that ended come first, in the order in which they ended. Then
        come stuck rows, rows in flight, and rows that were not started. Processes can work on the plan in the meantime.
        The memory holds a few hundred rows at a time, and five bytes for each row of a shard. Raises
        `ConfigurationError` if the records of the plan are damaged. The error names the plan, the shard and the group
        of records.
        """
        async with self._call() as database:
            async for row in plan_rows(database, name, all=all):
                yield row

    async def report(self, name: str) -> PlanReport:
        """Return a summary of all records of a plan. It reads all records, so it takes longer than `status`.

        Processes can work on the plan in the meantime. Raises `ConfigurationError` if the records of the plan are
        damaged.
        """
        async with self._call() as database:
            return await plan_report(database, name)

    async def outage(self, name: str) -> JournalEvent | None:
        """Return the latest outage of the exchange, or `None` if it is over.

        The workers of the plan record outages. An outage is over if a row has ended since, or if the exchange could be
        used again. The `reason` of the event says why the exchange cannot be used. This is as fast as `status`.
        """
        async with self._call() as database:
            return await plan_outage(database, name)

    async def undo(self, name: str) -> UndoPlan:
        """Return the rows that undo a plan, as `fielding journal undo` finds them. Nothing is sent.

        Pass the `pairs` of the result to `submit`. Raises `ConfigurationError` while the plan is unfinished or a
        process works on it, because not all its changes are known then. A cancelled plan can be undone when no worker
        holds a lease of it. Also raises `ConfigurationError` if the records of the plan are damaged.
        """
        async with self._call() as database:
            return await undo_of(database, name)
