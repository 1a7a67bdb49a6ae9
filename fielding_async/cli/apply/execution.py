"""The work of `fielding apply`: rows in, a tally out; what stops it, and what it says at the end."""

import asyncio
import signal
import time
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from attrs import define, field

from fielding_async.cli.shared.output import clean, complain
from fielding_async.cli.shared.plan.checked_plan import CheckedPlan
from fielding_async.core.actions import Action
from fielding_async.core.config import Limits
from fielding_async.core.errors import (
    AuthenticationError,
    ConfigurationError,
    DeadlineExceededError,
    FieldingError,
    JournalError,
    NotFoundError,
    OutcomeUnknownError,
    PermissionDeniedError,
    ProtocolError,
    RateLimitError,
    ServerError,
    SkippedError,
    TransportError,
)
from fielding_async.core.models import RunRef
from fielding_async.session import FieldingSession

if TYPE_CHECKING:
    from fielding_async import Batch, Done
    from fielding_async.engine.limiter import Limiter

    from .command import Order

__all__ = ["Run", "Tally", "Trouble"]

_IN_A_ROW = 20


def _with_advice(error: FieldingError, *, is_begun: bool) -> FieldingError:
    """Return what kept the batch from beginning, with what to do where that is a matter of the journal.

    `is_begun`: the journal has rows already. Then a new one is no way out: it would begin the plan anew.
    """
    if not isinstance(error, ConfigurationError) or not error.message.startswith("journal="):
        return error
    advice = " (--journal FILE puts the journal elsewhere)"
    if "is in use by" in error.message:
        advice = ". The plan is being applied: wait for that to end"
    elif is_begun:
        advice = (
            ""
            if "cannot be used" not in error.message
            else (
                ". To go on, make it writable, or copy it and give the copy with --journal;"
                " with a new one the plan would begin anew"
            )
        )
    return ConfigurationError(f"{error.message}; no row was sent{advice}")


@define
class Tally:
    """What has become of the rows of this process so far; read by the display, from another thread."""

    began: float = field(factory=time.monotonic)
    done: int = 0
    failed: int = 0
    unknown: int = 0
    skipped: int = 0
    conflicts: int = 0

    @property
    def ended(self) -> int:
        """How many rows have ended."""
        return self.done + self.failed + self.unknown + self.skipped

    def add(self, done: "Done") -> None:
        """Count a row."""
        error = done.error
        if error is None:
            self.done += 1
            self.conflicts += done.result().conflicts
        elif isinstance(error, OutcomeUnknownError):
            self.unknown += 1
        elif isinstance(error, SkippedError):
            self.skipped += 1
        elif not isinstance(error, JournalError):
            self.failed += 1


@define
class Trouble:
    """Notices failures that say nothing of the row they struck, after which going on would only fail more rows.

    A row that failed stays failed when the plan is gone on with: so a token that has ended, or a network that is gone,
    must not be let run through a whole plan.
    """

    in_a_row: int = 0
    why: str | None = None

    def seen(self, error: Exception | None) -> bool:
        """Take account of how a row ended; return whether no more rows ought to be started."""
        if isinstance(error, SkippedError):
            return self.why is not None
        kinds = (
            PermissionDeniedError,
            TransportError,
            DeadlineExceededError,
            ServerError,
            RateLimitError,
            ProtocolError,
            OutcomeUnknownError,
        )
        self.in_a_row = self.in_a_row + 1 if isinstance(error, kinds) else 0
        if isinstance(error, AuthenticationError):
            self.why = f"the token is not accepted: {clean(error.message)}"
        elif self.in_a_row >= _IN_A_ROW and isinstance(error, FieldingError):
            self.why = f"{_IN_A_ROW} rows one after the other failed, at last with: {clean(error.message)}"
        return self.why is not None


class Run:
    """One go at a plan."""

    def __init__(
        self, order: "Order", checked: CheckedPlan, pairs: Iterator[tuple[RunRef, Action]], *, is_begun: bool
    ) -> None:
        self.order = order
        self.checked = checked
        self.tally: Tally = Tally()
        self.trouble: Trouble = Trouble()
        self.signals: list[signal.Signals] = []
        self.error: FieldingError | None = None
        self.batch: Batch | None = None
        self._pairs: Iterator[tuple[RunRef, Action]] = pairs
        self._is_begun = is_begun
        self._under_way = False
        self._limiter: Limiter | None = None

    def heed(self, signum: signal.Signals) -> bool:
        """Start no more rows on the first signal, and wait no longer on the second; whether that was done."""
        if self.batch is None or len(self.signals) >= 2:
            return False
        self.signals.append(signum)
        at_once = len(self.signals) == 2
        self.batch.stop(cancel=at_once)
        if self._under_way and not at_once:
            from .progress import pause_text

            pause = "" if self._limiter is None else pause_text(self._limiter)
            complain(
                f"fielding: apply: {signum.name}: no more rows are started; waiting for"
                f" {self.batch.in_flight} under way{pause} (once more: wait no longer)"
            )
        return True

    async def work(self) -> int:
        """Apply the plan, and report. Returns the exit status."""
        from .progress import Display
        from .report import report

        if not await self._look_first():
            return report(self)
        limits = Limits(concurrency=self.order.concurrency, rate=self.order.rate)
        try:
            async with (
                FieldingSession(limits=limits) as fielding,
                fielding.perform_all(
                    self._pairs,
                    journal=self.order.journal,
                    plan=self.checked.digest,
                    on_conflict=self.order.on_conflict,
                    stop_on=self._stops,
                ) as batch,
            ):
                self.batch, self._under_way = batch, True
                limiter = self._limiter = fielding.engine().limiter
                with Display(self.order, self.checked.rows, batch, self.tally, limiter):
                    async for done in batch:
                        self.tally.add(done)
                self._under_way = False
        except FieldingError as error:
            if self.batch is None:
                raise _with_advice(error, is_begun=self._is_begun) from None
            # rows may have been sent: this is for the report, which says what has become of them
            self.error = error
        return report(self)

    async def _look_first(self) -> bool:
        """Look at the run of the first row, which shows whether there is a server, and whether it takes the token.

        Returns whether there is a row at all. Raises the error of a look that says nothing of the row.

        A row that failed stays failed, so the first rows must not be what finds that out. By a session of its own: what
        is known of the run is for the rows themselves to find out.
        """
        first = next(self._pairs, None)
        if first is None:
            return False
        self._pairs = chain([first], self._pairs)
        try:
            async with FieldingSession() as fielding:
                await fielding.run(first[0]).get()
        except asyncio.CancelledError:
            complain("fielding: apply: no row was sent")
            raise
        except FieldingError as error:
            if isinstance(error, PermissionDeniedError | NotFoundError):
                if error.object is not None:
                    return True  # it may be the row that is wrong
                complain("fielding: apply: this is not the API's answer: look at FIELDING_BASE_URL, and at proxies")
            complain("fielding: apply: no row was sent, for not even a look at the first one's run succeeded:")
            raise
        return True

    def _stops(self, done: "Done") -> bool:
        stops = self.trouble.seen(done.error)
        return stops or (self.order.fail_fast and done.error is not None)
