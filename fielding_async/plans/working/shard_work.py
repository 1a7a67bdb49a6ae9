"""One shard that a worker has claimed: performed as a batch whose journal is in the database, then given back."""

import asyncio
from collections.abc import Callable
from functools import partial
from math import inf

from attrs import frozen

from fielding_async.batch.batch import Batch
from fielding_async.batch.options import Options
from fielding_async.batch.perform_all import perform_all
from fielding_async.core.errors import FieldingError, JournalError, SessionClosedError
from fielding_async.engine.engine import EngineSource

from .committer import Committer
from .held_shards import held_shard
from .lease import Lease, Slice
from .patience import Patience, StoreLostError
from .shard_rows import shard_pairs
from .shard_storage import ShardStorage
from .shard_store import Claim, ShardStore

__all__ = ["ShardWork", "Workplace"]

_OUTAGE_PAUSE = 15.0  # seconds before a shard is claimed again whose batch was stopped by an outage
_STUCK_PAUSE = 60.0  # and one in which nothing is left but rows that were tried three times
_BROKEN_PAUSE = 60.0
_SETTLING = 0.2  # seconds after its first row
_LONGEST_START = 2.0  # seconds after the claim, by which a shard that starts no row has none to start


@frozen(kw_only=True, eq=False)
class Workplace:
    """What the shards of one worker share. `plan`: its name, `digest`: that of its rows. `on_change`: of any shard."""

    store: ShardStore
    session: EngineSource
    committer: Committer
    patience: Patience
    slice: Slice
    plan: str
    digest: str
    on_change: Callable[[], None]


class ShardWork:
    """The work on one shard, in a task of its own.

    `has_outage`: an outage stopped it. `error`: what went wrong, beyond what another call may repair.
    A shard with a write on the way is not given back (L2 in `lease`): its lease runs out.
    """

    def __init__(self, place: Workplace, claim: Claim, lease: Lease, rows: int) -> None:
        self._place = place
        self._claim = claim
        self._lease = lease
        self._storage = ShardStorage(
            place.store, claim, lease, place.slice, place.committer, place.patience, place.plan
        )
        self._batch: Batch | None = None
        self._rows = rows
        self._is_stopping = self._is_cut = False
        self.shard: int = claim.shard
        self._began = asyncio.get_running_loop().time()
        self._filled_at = inf  # when a row of it was first seen in progress
        self.has_outage: bool = False
        self.error: BaseException | None = None
        place.committer.enter(claim.shard, claim.epoch, lease)
        self.task: asyncio.Task[None] = asyncio.get_running_loop().create_task(
            self._run(), name=f"fielding-async shard {claim.shard}"
        )
        self.task.add_done_callback(self._on_done)

    @property
    def in_flight(self) -> int:
        """How many rows are in progress."""
        return 0 if self._batch is None else self._batch.in_flight

    def is_settled(self, now: float) -> bool:
        """Whether it has had time to start rows: first it reads what is on record, which can take long."""
        if self._filled_at == inf and self.in_flight:
            self._filled_at = now
        return now - self._filled_at >= _SETTLING or now - self._began >= _LONGEST_START

    @property
    def ended(self) -> int:
        """How many rows have ended durably here."""
        return self._storage.ended

    def set_rows(self, rows: int) -> None:
        """Have up to so many rows in progress from now on."""
        if rows != self._rows:
            self._rows = rows
            if self._batch is not None:
                self._batch.set_concurrency(rows)

    def stop(self, *, cancel: bool = False) -> None:
        """Start no more rows. With `cancel`, cut off those that are in progress."""
        self._is_stopping = True
        self._is_cut |= cancel
        if self._batch is not None:
            self._batch.stop(cancel=cancel)
        elif cancel:
            self.task.cancel()  # what is on record is being read

    def stop_if_lapsed(self) -> None:
        """Start no more rows if none could be sent."""
        if not self._is_stopping and not self._storage.may_leave():
            self.stop()

    def _on_done(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled():
            task.exception()  # it is asked for where the task is awaited, unless the worker was cut off
        self._place.on_change()

    async def _run(self) -> None:
        pause: float | None = None
        try:
            pause = await self._perform()
        except (StoreLostError, JournalError) as error:
            # the rows are open, and the lease is over or soon will be
            if self._storage.problem is None:
                self.error = error
        except SessionClosedError as error:
            self.error = error
        except Exception as error:  # noqa: BLE001 - raised by the worker, once all is given back
            self.error, pause = error, _BROKEN_PAUSE
        finally:
            self._place.committer.leave(self.shard)
            if not self._has_write_on_the_way():
                await self._release(pause)

    async def _perform(self) -> float | None:
        """Perform rows until none is left or the slice ends. Return the pause that the shard needs."""
        place, claim, lease, storage = self._place, self._claim, self._lease, self._storage
        engine = place.session.engine()
        held = held_shard(engine, place.digest, claim)
        pairs = shard_pairs(place.store, claim, lease, storage, place.patience, held, engine.memory.start_over)
        wait = max(0.0, place.slice.ends - place.patience.clock())
        has_open = False
        options = Options(concurrency=self._rows, wait=wait)
        async with perform_all(place.session, pairs, options, storage=lambda: storage, plan=place.digest) as batch:
            self._batch = batch
            batch.set_concurrency(self._rows)  # it may have changed since
            if self._is_stopping:
                batch.stop()
            try:
                async for done in batch:
                    if done.is_open:
                        has_open |= not isinstance(done.error, JournalError | SessionClosedError)
                    elif storage.problem is not None:
                        storage.keep_late(done)
            finally:
                was_stopped = self._is_stopping
                self.has_outage = batch.outage is not None
        # a slice may be too short to find out that this is an outage
        if self.has_outage or (has_open and not storage.ended):
            return _OUTAGE_PAUSE
        return _STUCK_PAUSE if batch.stuck and not was_stopped else None

    def _has_write_on_the_way(self) -> bool:
        """Whether a write may have left whose row was cut off."""
        return self._is_cut and self._batch is not None and any(row.state == "unknown" for row in self._batch.leftover)

    async def _release(self, pause: float | None) -> None:
        """Give the shard back, if it is still ours. Where that cannot be, its lease runs out."""
        lease, claim, patience = self._lease, self._claim, self._place.patience
        if not lease.holds(patience.clock()):
            return
        release = partial(self._place.store.release, claim.shard, claim.epoch, pause)
        lease_until = lease.until
        lease.lose()
        try:
            await patience.ask(release, lambda: min(lease_until, self._place.slice.cut_at))
        except (StoreLostError, FieldingError):
            return
