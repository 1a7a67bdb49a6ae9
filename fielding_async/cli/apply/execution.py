"""Sends the rows of a plan: counts how they end, stops on signals and failures."""

import signal
from collections.abc import Iterator
from itertools import chain

from fielding_async import Batch, Done, FieldingSession, JournalCounts, Limits
from fielding_async.cli.shared.output import duration, printable, write_stderr
from fielding_async.cli.shared.plan.checked_plan import CheckedPlan
from fielding_async.core.actions import Action
from fielding_async.core.errors import APIError, ConfigurationError, FieldingError
from fielding_async.core.models import RunRef

from .order import Order
from .progress import Display, RateView, pause_text
from .tally import MissingRuns, Tally

__all__ = ["Execution"]


class Execution:
    """One execution of a plan.

    `earlier`: what the journal held before, `None` if there was none. `signals`: those received, in order. `error`:
    what ended the batch early, after rows may have been sent.
    """

    def __init__(
        self,
        order: Order,
        checked: CheckedPlan,
        pairs: Iterator[tuple[RunRef, Action]],
        *,
        earlier: JournalCounts | None,
    ) -> None:
        self.order = order
        self.checked = checked
        self.earlier: JournalCounts | None = earlier
        self.tally: Tally = Tally()
        self.missing: MissingRuns = MissingRuns()
        self.signals: list[signal.Signals] = []
        self.error: FieldingError | None = None
        self._batch: Batch | None = None
        self._pairs: Iterator[tuple[RunRef, Action]] = pairs
        self._is_running = False
        self._limiter: RateView | None = None
        self._display: Display | None = None

    @property
    def sent_now(self) -> int:
        """How many rows were taken up here: what was sent for them is on record, or was reported."""
        batch = self._batch
        if batch is None:
            return 0
        never_sent = sum(row.state == "never sent" for row in batch.leftover)
        return batch.taken - batch.passed - never_sent - self.tally.skipped

    @property
    def is_over(self) -> bool:
        """Whether the journal says of every row how it ended: there is nothing to send."""
        return self.earlier is not None and self.earlier.ended == self.checked.rows

    @property
    def has_begun(self) -> bool:
        """Whether rows may have been sent."""
        return self._batch is not None

    def on_signal(self, signum: signal.Signals) -> bool:
        """Start no more rows on the first signal, cancel those under way on the second; return if it did either."""
        if self._batch is None or len(self.signals) >= 2:
            return False
        self.signals.append(signum)
        at_once = len(self.signals) == 2
        self._batch.stop(cancel=at_once)
        if self._is_running and not at_once:
            pause = "" if self._limiter is None else pause_text(self._limiter)
            say = write_stderr if self._display is None else self._display.say
            say(
                f"fielding: apply: {signum.name}: no more rows are started; waiting for"
                f" {self._batch.in_flight} under way{pause} (once more: wait no longer)"
            )
        return True

    async def run(self) -> None:
        """Send the rows. Raises `FieldingError` if the batch could not be started; later errors are kept in `error`."""
        first = next(self._pairs, None)
        if first is None:
            return
        self._pairs = chain([first], self._pairs)
        # one slot more, as rows leave one to calls
        limits = Limits(concurrency=self.order.concurrency + 1, rate=self.order.rate)
        try:
            async with (
                FieldingSession(limits=limits) as fielding,
                fielding.perform_all(
                    self._pairs,
                    journal=self.order.journal,
                    plan=self.checked.digest,
                    concurrency=self.order.concurrency,
                    on_conflict=self.order.on_conflict,
                    stop_on=self._stops,
                    wait=self.order.wait,
                ) as batch,
            ):
                self._batch, self._is_running = batch, True
                self.earlier = batch.earlier  # read again, now that nobody else can write it
                limiter = self._limiter = fielding.engine().limiter
                with Display(self.order, self.checked.rows, batch, self.tally, limiter) as self._display:
                    async for done in batch:
                        self.tally.add(done)
                self._is_running = False
        except FieldingError as error:
            if self._batch is None:
                raise _with_advice(error, has_journal=self.earlier is not None) from None
            # rows may have been sent: the report says how they ended
            self.error = error

    @property
    def stopped(self) -> str | None:
        """Why the batch stopped before its end, as lines, if it did so by itself."""
        outage = None if self._batch is None else self._batch.outage
        if outage is None or not outage.is_given_up:
            return self.missing.reason
        waited = f"; the command waited {duration(outage.seconds)}" if outage.seconds >= 1 else ""
        lines = [f"the exchange cannot be used: {printable(outage.reason)}{waited}"]
        error = self.tally.last_open
        if isinstance(error, APIError) and error.status in {403, 404} and error.object is None:
            lines.append("  this is not the API's answer: look at FIELDING_BASE_URL, and at proxies")
        return "\n".join([*lines, "  to find out more: fielding doctor"])

    @property
    def is_given_up(self) -> bool:
        """Whether the batch stopped for an outage, so that its rows are open."""
        outage = None if self._batch is None else self._batch.outage
        return outage is not None and outage.is_given_up

    def _stops(self, done: Done) -> bool:
        stops = self.missing.observe(done.error)
        return stops or (self.order.fail_fast and done.error is not None)


def _with_advice(error: FieldingError, *, has_journal: bool) -> FieldingError:
    """Return the error that kept the batch from starting, with advice if it is about the journal.

    `has_journal`: the journal has rows already. Then another journal is no remedy: the plan would start from its
    beginning.
    """
    if not isinstance(error, ConfigurationError) or not error.message.startswith("journal="):
        return error
    advice = " (--journal FILE puts the journal elsewhere)"
    if "is in use by" in error.message:
        advice = ". The plan is being applied: wait for that to end"
    elif has_journal:
        advice = (
            ""
            if "cannot be used" not in error.message
            else (
                ". To continue, make it writable, or copy it and give the copy with --journal;"
                " with a new one the plan would begin anew"
            )
        )
    return ConfigurationError(f"{error.message}; no row was sent{advice}")
