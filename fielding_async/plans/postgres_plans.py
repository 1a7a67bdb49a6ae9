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

    A plan is a list of rows, each a run and an action, that is submitted once under a name. Any number of processes
    then call `work`, on any number of hosts: each row is performed once, the rows of a run in their order.

    `url`: `postgresql://user:password@host:port/database`, with the parameters of libpq; `None` reads
    `FIELDING_PLANS_URL`. The tables are those of the user's search_path. `driver`: `"asyncpg"` or `"psycopg"`; left
    out, asyncpg if both are installed. At most eight connections are opened, when they are needed.

    It may be built before any event loop runs, and is used on the loop, thread and process that it was entered in.
    Otherwise its methods raise `SessionClosedError`. They raise `ConfigurationError` for a bad argument, a plan that is
    not there, a database that refuses the user or has no tables of this version; and `JournalError` if the database
    cannot be used now: the same call may succeed later.

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
        """Close the connections. Calls in progress are cut off, and end in `SessionClosedError`.

        Closing again, or without having entered, does nothing.
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
        """Make the tables of plans, or migrate older ones. Return whether anything was changed.

        Any number of processes may call it at once. Tables of a newer version are a `ConfigurationError`.
        """
        async with self._call() as database, database.connection(is_checked=False) as connection:
            return await migrate(connection)

    # -- plans

    async def submit(self, pairs: PlanPairs, *, plan: str) -> Submitted:
        """Store a plan, all of it or nothing.

        `pairs`: the rows, an iterable or async iterable of (RunRef, action), read lazily, once; an action may be
        `Guarded`. `plan`: its name, 1 to 200 printable characters, no blank at either end.

        To submit the same rows again under the same name changes nothing, so a call whose end was lost can be repeated.
        Other rows under that name are a `ConfigurationError`. So is a bad row, with its number, from 0. What the input
        raises passes through.
        """
        check_plan_name("plan", plan)
        check_pairs(pairs)
        async with self._call() as database:
            return await submit(database, pairs, plan)

    async def work(self, fielding: EngineSource, name: str, *, seconds: float = 15) -> Worked:
        """Work on a plan for about so many seconds, and return what was done and what is left.

        `fielding`: an open `FieldingSession`. Any number of calls may work on one plan at once, in any processes. At
        the end of `seconds`, at least 0, nothing new starts; what is in progress ends within the time of one attempt
        (`Timeout.attempt`). A plan that is paused or cancelled is left as it is. The first call binds the plan to the
        session's exchange: one for another exchange is a `ConfigurationError`.

        Rows that failed for a reason that is not their own stay open, as with `perform_all(journal=…)`, and later calls
        try them again. When it is cancelled, it starts nothing more and waits for what is in progress; cancelled again,
        it cuts that off, and keeps the leases of what was cut off. Those, and the leases of a process that is killed,
        are over after less than a minute, by default; others then go on.
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
        """Return how far a plan is. Quick, whatever its size: it may be asked every second."""
        check_plan_name("name", name)
        async with self._call() as database:
            return await plan_status(database, name)

    async def pause(self, name: str) -> bool:
        """Have no more rows of a plan started; what is in flight ends. Return whether it was not paused before."""
        return await self._order(name, "pause")

    async def resume(self, name: str) -> bool:
        """Let a paused plan be worked on again. Return whether it was paused."""
        return await self._order(name, "resume")

    async def cancel(self, name: str) -> bool:
        """Have no more rows of a plan started, finally; what is in flight ends. Return whether it was not cancelled."""
        return await self._order(name, "cancel")

    async def _order(self, name: str, order: Order) -> bool:
        check_plan_name("name", name)
        async with self._call() as database:
            return await change_state(database, name, order)

    async def delete(self, name: str, *, force: bool = False) -> None:
        """Delete a plan and all that is on record of it.

        A plan that a live worker holds a lease of is a `ConfigurationError`, unless `force`: the workers then send
        nothing more, and what they have in flight is on record nowhere. An interrupted deletion is completed by
        another one.
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
        """Yield the rows that did not end well, or with `all` every row of the plan, also those not started.

        They come shard by shard: in each those that ended, in the order in which they did; then those that are stuck;
        then those in flight; then those not started. The plan may be worked on meanwhile. A few hundred rows are in
        memory at a time, and five bytes for each row of a shard. Raises `ConfigurationError` if what is on record of
        the plan is damaged; it names the plan, the shard and the group.
        """
        async with self._call() as database:
            async for row in plan_rows(database, name, all=all):
                yield row

    async def report(self, name: str) -> PlanReport:
        """Return what is on record of a plan. All of it is read, so it takes longer than `status`.

        The plan may be worked on meanwhile. Raises `ConfigurationError` as `rows` does.
        """
        async with self._call() as database:
            return await plan_report(database, name)

    async def outage(self, name: str) -> JournalEvent | None:
        """Return the outage that workers of a plan met last; `None` if a row has ended since, or the exchange was back.

        Its `reason` says why the exchange cannot be used. Quick, as `status` is.
        """
        async with self._call() as database:
            return await plan_outage(database, name)

    async def undo(self, name: str) -> UndoPlan:
        """Return the rows that take back what a plan did, as `fielding journal undo` finds them; nothing is sent.

        `submit` takes its `pairs`. Raises `ConfigurationError` while the plan is unfinished or worked on, for then not
        all its changes are known; one that was cancelled can be taken back once no worker holds a lease of it. Raises
        it for a damaged record, too.
        """
        async with self._call() as database:
            return await undo_of(database, name)
