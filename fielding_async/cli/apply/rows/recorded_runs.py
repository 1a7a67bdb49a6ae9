"""The runs of a plan that names none: on record in its journal before the first write, and read from there ever after.

A plan that is continued is of the very runs that it started with, whatever runs its target groups have by then.
"""

import asyncio
import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from attrs import evolve

from fielding_async import Done, FieldingSession, PerformAll
from fielding_async.batch.options import Options
from fielding_async.batch.perform_all import journal_file, perform_all
from fielding_async.cli.shared.plan.cells.ids import NO_RUN
from fielding_async.core.actions import Action
from fielding_async.core.errors import ConfigurationError
from fielding_async.core.models import OnConflict, RunRef
from fielding_async.journal.chain import group_bytes
from fielding_async.journal.lines import resolved_lines
from fielding_async.journal.replay import Replay
from fielding_async.journal.storage import JournalStorage, OnWritten
from fielding_async.journal.values import Binding, ResolvedRuns

__all__ = ["RecordedRuns", "known_run"]


def known_run(ref: RunRef, runs: ResolvedRuns) -> RunRef:
    """Return a ref with the run of its target group, if it names none and that run is known; else the ref itself."""
    if ref.fielding_run_id != NO_RUN:
        return ref
    run = runs.get((ref.account_id, ref.project_id), {}).get(ref.target_group_id, NO_RUN)
    return evolve(ref, fielding_run_id=run)


class RecordedRuns:
    """The runs of one plan that names none. `target_groups`: how many it names.

    `found`: the runs that were found now; `None` if those of an earlier go are on record. `runs`: those that are used.
    """

    def __init__(self, found: ResolvedRuns | None, *, target_groups: int) -> None:
        self.found: ResolvedRuns | None = found
        self.target_groups: int = target_groups
        self.runs: ResolvedRuns = found or {}

    @property
    def text(self) -> str:
        """Where the runs come from, behind their number, for people."""
        return f"one for each target group, {'on record in the journal' if self.found is None else 'found now'}"

    def perform_all(
        self,
        fielding: FieldingSession,
        pairs: Iterable[tuple[RunRef, Action]],
        *,
        journal: "str | os.PathLike[str]",
        plan: str,
        concurrency: int,
        on_conflict: OnConflict,
        stop_on: Callable[[Done], object],
        wait: float,
    ) -> PerformAll:
        """Perform the rows as `FieldingSession.perform_all` does, each on the run on record for its target group."""
        opens = journal_file(journal)
        assert opens is not None  # noqa: S101 - there is a path
        options = Options(concurrency=concurrency, on_conflict=on_conflict, stop_on=stop_on, wait=wait)
        rows = ((self._recorded(ref), action) for ref, action in pairs)
        return perform_all(fielding, rows, options, storage=lambda: _Storage(opens(), self), plan=plan)

    def _recorded(self, ref: RunRef) -> RunRef:
        found = known_run(ref, self.runs)
        if found.fielding_run_id == NO_RUN:
            raise ConfigurationError(
                f"the journal has no run on record for the target group {ref.target_group_id}: put back the plan"
                " it is of"
            )
        return found


class _Storage:
    """The storage of a journal that has runs on record: once it is loaded, the runs are durable."""

    def __init__(self, inner: JournalStorage, runs: RecordedRuns) -> None:
        self.name: str = inner.name
        self._inner = inner
        self._runs = runs

    async def load(self, binding: Binding, replay: Replay) -> None:
        """Load the journal, and put the runs on record if it has none. Those on record are the ones that are used."""
        await self._inner.load(binding, replay)
        if not replay.resolved:
            await self._record(replay)
        self._runs.runs = replay.resolved

    async def _record(self, replay: Replay) -> None:
        found = self._runs.found
        if found is None or len(replay):
            raise ConfigurationError(
                f"{self.name}: has no runs on record for a plan that names none: it is not the journal that was"
                " there: put that one back"
            )
        lines = list(resolved_lines(found))
        group, digest = group_bytes(replay.commits + 1, datetime.now(UTC), lines, replay.digest)
        durable: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_written(problem: OSError | None) -> None:
            if durable.done():
                return  # cancelled
            if problem is None:
                durable.set_result(None)
            else:
                durable.set_exception(problem)

        self._inner.write(group, on_written)
        try:
            await durable
        except OSError as error:
            raise ConfigurationError(
                f"{self.name}: cannot be used: {error.strerror or error}: name a file that can be written"
            ) from error
        # not fed to `replay`, which has come to the journal's end, perhaps a torn one
        replay.commits += 1
        replay.digest = digest
        replay.resolved = found

    @property
    def may_leave(self) -> Callable[[], bool] | None:
        """As of the inner storage."""
        return self._inner.may_leave

    def write(self, blob: bytes, on_written: OnWritten, /) -> None:
        """Write a group, as the inner storage does."""
        self._inner.write(blob, on_written)

    def close(self) -> "asyncio.Future[None]":
        """Close the inner storage."""
        return self._inner.close()
