"""Sends the rows of a plan: counts how they end, stops on signals and failures."""

import gc
import signal
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import cast

from fielding_async import Batch, Done, FieldingSession, JournalCounts, JournalSummary, Limits, read_journal
from fielding_async.cli.shared.output import duration, printable, write_stderr
from fielding_async.cli.shared.plan.checked_plan import CheckedPlan
from fielding_async.core.actions import Action
from fielding_async.core.errors import APIError, ConfigurationError, FieldingError
from fielding_async.core.models import RunRef
from fielding_async.journal.reader import ReadJournal
from fielding_async.journal.records import DoneRows

from .order import Order
from .progress import Display, RateView, pause_text
from .rows.recorded_runs import RecordedRuns
from .tally import MissingRuns, Tally

__all__ = ["Execution", "Pair"]

Pair = tuple[RunRef, Action] | DoneRows
"""A row as a batch takes it, or rows of which the journal says that they are done."""

_COLLECT_EVERY = 10_000  # objects more than were freed; a row leaves none behind that only a collection frees


class Execution:
    """One execution of a plan.

    `earlier`: what the journal held before, `None` if there was none. `runs`: those of a plan that names none.
    `signals`: those received, in order. `error`: what ended the batch early, after rows may have been sent.
    """

    def __init__(
        self,
        order: Order,
        checked: CheckedPlan,
        pairs: Iterator[Pair],
        journal: ReadJournal,
        earlier: JournalSummary | None,
        *,
        runs: RecordedRuns | None = None,
    ) -> None:
        self.order = order
        self.checked = checked
        self.earlier: JournalCounts | None = None if earlier is None else earlier.counts
        self.tally: Tally = Tally()
        self.missing: MissingRuns = MissingRuns()
        self.signals: list[signal.Signals] = []
        self.error: FieldingError | None = None
        self._batch: Batch | None = None
        self._pairs: Iterator[Pair] = pairs
        self._journal = journal
        self._earlier = earlier
        self.runs: RecordedRuns | None = runs
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
        """Start no more rows on the first signal, cancel those in progress on the second; return if it did either."""
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
                f" {self._batch.in_flight} in progress{pause} (a second signal ends the wait)"
            )
        return True

    async def run(self) -> None:
        """Send the rows. Raises `FieldingError` if the batch could not be started; later errors are kept in `error`."""
        first = next(self._pairs, None)
        if first is None:
            return
        self._pairs = chain([first], self._pairs)
        groups = self._groups
        # one slot more, as rows leave one to calls
        limits = Limits(concurrency=self.order.concurrency + 1, rate=self.order.rate)
        try:
            async with (
                FieldingSession(limits=limits) as fielding,
                (fielding.perform_all if self.runs is None else partial(self.runs.perform_all, fielding))(
                    cast("Iterator[tuple[RunRef, Action]]", self._pairs),
                    journal=self._journal,
                    plan=self.checked.digest,
                    concurrency=self.order.concurrency,
                    on_conflict=self.order.on_conflict,
                    stop_on=self._stops,
                    wait=self.order.wait,
                ) as batch,
            ):
                if self._groups < groups:
                    raise ConfigurationError(
                        f"the journal {printable(str(self.order.journal))} was cut back or replaced after the command"
                        " read it; no row was sent. Put back the one that was there. To continue with this one instead,"
                        " give the same command again"
                    )
                self._batch, self._is_running = batch, True
                self.earlier = batch.earlier  # read again, now that nobody else can write it
                limiter = self._limiter = fielding.engine().limiter
                display = Display(self.order, self.checked.rows, batch, self.tally, limiter)
                with display as self._display, _collecting_rarely():
                    async for done in batch:
                        self.tally.add(done)
                self._is_running = False
        except FieldingError as error:
            if self._batch is None:
                raise _with_advice(error, has_journal=self.earlier is not None) from None
            # rows may have been sent: the report says how they ended
            self.error = error

    def summary(self) -> JournalSummary:
        """Return what the journal holds at the end. Raises `ConfigurationError` if it cannot be read."""
        if self._batch is None and self.is_over and self._earlier is not None:
            return self._earlier
        if self._batch is not None and self.error is None and self._all_ended:
            # every end was durable before it was counted here: the journal need not be read again
            summary = self._journal.finished(self.tally.outcomes)
            if summary is not None:
                return summary
        return read_journal(self.order.journal)

    @property
    def _groups(self) -> int:
        """How many groups the journal had when it was read last, by this command or by its batch."""
        return 0 if self._journal.replay is None else self._journal.replay.commits

    @property
    def _all_ended(self) -> bool:
        before = self.earlier.ended if self.earlier else 0
        return not self.tally.open and before + self.tally.ended == self.checked.rows

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
            lines.append("  this is not the API's answer: check FIELDING_BASE_URL, and proxies")
        return "\n".join([*lines, "  to find out more: fielding doctor"])

    @property
    def is_given_up(self) -> bool:
        """Whether the batch stopped for an outage, so that its rows are open."""
        outage = None if self._batch is None else self._batch.outage
        return outage is not None and outage.is_given_up

    def _stops(self, done: Done) -> bool:
        stops = self.missing.observe(done.error)
        return stops or (self.order.fail_fast and done.error is not None)


@contextmanager
def _collecting_rarely() -> Generator[None]:
    """Collect garbage less often, and pass over what is there already: else it takes a fourteenth of the time."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_COLLECT_EVERY, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _with_advice(error: FieldingError, *, has_journal: bool) -> FieldingError:
    """Return the error that kept the batch from starting, with advice if it is about the journal.

    `has_journal`: the journal has rows already. Then another journal is no remedy: the plan would start from its
    start.
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
                " with a new one the plan would start again"
            )
        )
    said = error.message.removesuffix(": name a file that can be written")  # another one would begin anew
    return ConfigurationError(f"{said}; no row was sent{advice}")
