"""Works on a plan slice by slice, shows how far it is, and ends a slice at a signal."""

import asyncio
import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from attrs import frozen

from fielding_async import FieldingSession, Limits
from fielding_async.cli.shared.exit_status import Exit
from fielding_async.cli.shared.output import printable, write_json, write_stderr, write_stdout
from fielding_async.core.errors import JournalError
from fielding_async.plans import PlanStatus, PostgresPlans, Worked

from .showing.progress import Pace
from .showing.texts import counts_text, heading, outage_text, progress_line, state_of, status_exit, status_object

if TYPE_CHECKING:
    from fielding_async.coordination import Shared

__all__ = ["Order", "PlanWork"]

SHARED_URL = "FIELDING_SHARED_URL"
_FIRST, _EVERY = 2.0, 10.0  # seconds until the first line of progress, and between lines
_LEAST_WAIT, _LONGEST_WAIT = 0.5, 30.0  # seconds between two slices
_DATABASE_WAIT = 5.0  # seconds until a database that could not be used is asked again

_sleep = asyncio.sleep


@frozen(kw_only=True)
class Order:
    """What is asked for. `seconds`: of a slice. `is_until_done`: slices follow until no row is left."""

    name: str
    seconds: float
    is_until_done: bool
    concurrency: int
    rate: float | None
    as_json: bool


class PlanWork:
    """One go at a plan. `has_begun`: whether rows may have been sent. `signals`: those received, in order."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._task: asyncio.Task[Worked] | None = None  # the slice that is under way
        self._ends = asyncio.Event()
        self._rows = 0
        self._said = ""
        self.has_begun: bool = False
        self.signals: list[signal.Signals] = []

    def on_signal(self, signum: signal.Signals) -> bool:
        """End the slice on the first signal, cut off what is in progress on the second; return if it did either."""
        if not self.has_begun or len(self.signals) >= 2:
            return False
        self.signals.append(signum)
        self._ends.set()
        if self._task is not None and not self._task.done():
            self._task.cancel()
            if len(self.signals) == 1:
                write_stderr(
                    f"fielding: plans work: {signum.name}: no more rows are started; waiting for those in progress (a"
                    " second signal ends the wait)"
                )
        return True

    async def run(self, plans: PostgresPlans) -> int:
        """Work on the plan. Returns the exit status."""
        order = self._order
        status = await plans.status(order.name)  # before anything is begun: is there such a plan?
        # one slot more, as rows leave one to calls
        limits = Limits(concurrency=order.concurrency + 1, rate=order.rate)
        async with FieldingSession(limits=limits, shared=_shared()) as fielding:
            self.has_begun = True
            progress = asyncio.get_running_loop().create_task(self._show_progress(plans))
            try:
                await self._slices(plans, fielding)
            finally:
                progress.cancel()
                with suppress(asyncio.CancelledError):
                    await progress
        status = await plans.status(order.name)
        if status.left and (outage := await plans.outage(order.name)) is not None:
            self._say(outage_text(outage))
        return self._report(status)

    async def _slices(self, plans: PostgresPlans, fielding: FieldingSession) -> None:
        """Work slice by slice, until the plan has ended, one slice was done, or a signal came."""
        order = self._order
        while not self._ends.is_set():
            try:
                worked = await self._slice(plans, fielding)
            except JournalError as error:
                if not order.is_until_done:
                    raise
                self._say(f"the database cannot be used now: {error.message}")
                await self._pause(_DATABASE_WAIT)
                continue
            if worked is None or not order.is_until_done or not worked.left:
                return
            if worked.wait and not worked.rows:
                status = await plans.status(order.name)
                held = f"; {worked.held:,} rows are leased by others" if worked.held else ""
                outage = await plans.outage(order.name)
                why = f"{state_of(status)}, nothing to do for now{held}" if outage is None else outage_text(outage)
                self._say(why)
            await self._pause(min(max(worked.wait, _LEAST_WAIT if not worked.rows else 0.0), _LONGEST_WAIT))

    async def _slice(self, plans: PostgresPlans, fielding: FieldingSession) -> Worked | None:
        """Work for one slice; return `None` if a signal ended it."""
        order = self._order
        self._task = asyncio.get_running_loop().create_task(plans.work(fielding, order.name, seconds=order.seconds))
        try:
            worked = await asyncio.shield(self._task)
        except asyncio.CancelledError:
            if self._task.cancelled() and self.signals:
                return None
            self._task.cancel()
            await asyncio.wait([self._task])
            raise
        self._rows += worked.rows
        return worked

    async def _pause(self, seconds: float) -> None:
        """Wait so long, or until a signal comes."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ends.wait()

    def _say(self, text: str) -> None:
        """Write what holds the work up, once for the same thing."""
        if text != self._said:
            self._said = text
            write_stderr(printable(f"fielding: plans work: {self._order.name}: {text}"))

    async def _show_progress(self, plans: PostgresPlans) -> None:
        pace, loop = Pace(), asyncio.get_running_loop()
        await _sleep(_FIRST)
        while True:
            with suppress(JournalError):  # the slice meets it, too
                status = await plans.status(self._order.name)
                pace.add(loop.time(), status)
                write_stderr(progress_line(status, pace.rows_per_second))
            await _sleep(_EVERY)

    def _report(self, status: PlanStatus) -> int:
        exit_status = 128 + self.signals[0] if self.signals else status_exit(status)
        if self._order.as_json:
            more = {"kind": "work", "rows_here": self._rows, "exit_status": int(exit_status)}
            write_json({**status_object(status), **more})
            return exit_status
        left = f", {status.left:,} left" if status.left else ""
        write_stdout(f"{heading(status)}{left}; {self._rows:,} of them here; {counts_text(status)}")
        if exit_status != Exit.DONE and not status.left:
            write_stdout(printable(f"to see why: fielding plans report {status.name}"))
        return exit_status


def _shared() -> "Shared | None":
    """Return the pace that all workers keep together, if one is set."""
    if not os.environ.get(SHARED_URL):
        return None
    from fielding_async.coordination import Shared

    return Shared()
