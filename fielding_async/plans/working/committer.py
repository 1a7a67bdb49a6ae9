"""The one writer of a worker: commits the groups of all of its shards together, and renews their leases.

A commit whose reply is lost may have been made, and may still be on its way. So it is looked for before it is made
again, and nothing of it counts as durable until it was found or the server has reported it.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable

from attrs import define

from fielding_async.core.errors import FieldingError
from fielding_async.plans.values.plan_values import PlanState

from .lease import Lease, Slice, Terms
from .patience import Patience, StoreLostError
from .shard_store import GroupCommit, LeaseLostError, ShardStore

__all__ = ["Committer", "OnCommitted"]

_LEAST_WAIT = 0.001  # seconds

OnCommitted = Callable[[OSError | None], None]
"""Called with `None` once a group is durable, or with why it is not."""


@define(eq=False)
class _Write:
    group: GroupCommit
    lease: Lease
    on_committed: OnCommitted


class Committer:
    """Writes for one worker, in a task of its own from `start` to `aclose`.

    `state`: of the plan, as the last renewal found it; `None` if the plan is gone. `on_news`: called after a renewal.
    """

    def __init__(
        self,
        store: ShardStore,
        patience: Patience,
        terms: Terms,
        slice_: Slice,
        holder: str,
        on_news: Callable[[], None],
    ) -> None:
        self._store = store
        self._patience = patience
        self._terms = terms
        self._slice = slice_
        self._holder = holder
        self._on_news = on_news
        self._loop = asyncio.get_running_loop()
        self._leases: dict[int, tuple[int, Lease]] = {}  # by shard, with the epoch
        self._writes: dict[int, deque[_Write]] = {}  # by shard
        self._late: list[tuple[int, int, bytes]] = []
        self._renew_at = 0.0
        self._wake = asyncio.Event()
        self._is_closing = False
        self._task: asyncio.Task[None] | None = None
        self.state: PlanState | None = "sealed"

    def start(self) -> None:
        """Start the task."""
        self._renew_at = self._patience.clock() + self._terms.renew_every
        self._task = self._loop.create_task(self._run(), name="fielding-async committer")

    async def aclose(self) -> None:
        """End the task after what is to be written."""
        self._is_closing = True
        self._wake.set()
        if self._task is not None:
            await self._task

    def cut(self) -> None:
        """Cancel the task, and end all that waits for it: what it has not written is not on record."""
        if self._task is not None:
            self._task.cancel()
        waiting, self._writes = self._writes, {}
        for write in itertools.chain.from_iterable(waiting.values()):
            write.on_committed(OSError("its worker was cut off"))

    # -- what shards do

    def enter(self, shard: int, epoch: int, lease: Lease) -> None:
        """Renew the lease of a shard from now on."""
        self._leases[shard] = epoch, lease

    def leave(self, shard: int) -> None:
        """Renew the lease of a shard no more."""
        self._leases.pop(shard, None)

    def write(self, group: GroupCommit, lease: Lease, on_committed: OnCommitted) -> None:
        """Start to commit a group. Those of one shard are committed in order, each in a transaction of its own."""
        self._writes.setdefault(group.shard, deque()).append(_Write(group, lease, on_committed))
        self._wake.set()

    def add_late(self, shard: int, epoch: int, lines: bytes) -> None:
        """Keep what is known of a shard that is no longer ours, if the database is there."""
        self._late.append((shard, epoch, lines))
        self._wake.set()

    # -- the task

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            wait = self._renew_at - self._patience.clock()
            if self._leases and wait <= 0:
                await self._renew()
            elif self._writes:
                await self._commit([writes[0] for writes in self._writes.values()])
            elif self._late:
                await self._keep_late()
            elif self._is_closing:
                return
            else:
                timer = self._loop.call_later(max(_LEAST_WAIT, wait), self._wake.set) if self._leases else None
                await self._wake.wait()
                if timer is not None:
                    timer.cancel()

    async def _renew(self) -> None:
        asked_at = self._patience.clock()
        epochs = {shard: epoch for shard, (epoch, _) in self._leases.items()}
        try:
            renewed, state = await self._patience.once(lambda: self._store.renew(epochs, self._terms.length))
        except StoreLostError:
            self._renew_at = self._patience.clock() + self._terms.renew_every / 4
            return
        except FieldingError:
            self._renew_at = self._patience.clock() + self._terms.renew_every
            return
        self._renew_at = asked_at + self._terms.renew_every
        self.state = state
        for shard, epoch in epochs.items():
            if (found := self._leases.get(shard)) is None or found[0] != epoch:
                continue
            if shard in renewed:
                found[1].renew(asked_at)
            else:
                found[1].lose()
        self._on_news()

    async def _commit(self, writes: list[_Write]) -> None:
        """Commit one group of each of some shards, until each is durable or cannot be made so."""
        tries = 0
        problem: OSError | None = None
        is_unsure = False
        while True:
            now = self._patience.clock()
            is_late = now >= self._slice.cut_at
            over = [write for write in writes if problem is not None and (is_late or not write.lease.holds(now))]
            for write in over:
                self._end(write, problem)
            writes = [write for write in writes if write not in over]
            if not writes:
                return
            if tries:
                await self._patience.wait(tries)
            try:
                if is_unsure:
                    writes = await self._look_for(writes)
                    if not writes:
                        return
                is_unsure = True  # until there is a reply
                moved = await self._patience.once(lambda some=writes: self._store.commit([each.group for each in some]))  # type: ignore[misc]
            except StoreLostError as error:
                problem, tries = error, tries + 1
                continue
            except FieldingError as error:  # such as tables that were dropped: no time helps
                for write in writes:
                    self._end(write, OSError(error.message))
                return
            for write in writes:
                if write.group.shard in moved:
                    self._end(write, None)
            # of the others an earlier commit may have been made after it was looked for, or the epoch is over
            writes = [write for write in writes if write.group.shard not in moved]
            tries, problem = 0, OSError("the group could be neither committed nor found")

    async def _look_for(self, writes: list[_Write]) -> list[_Write]:
        """Look for groups that may have been committed. Return those that were not, and still can be."""
        found = await self._patience.once(lambda: self._store.find([write.group for write in writes]))
        left: list[_Write] = []
        for write in writes:
            group, there = write.group, found.get(write.group.shard)
            if there is None or there.epoch != group.epoch:
                write.lease.lose()
            if there is not None and there.lines == group.lines:
                self._end(write, None)
            elif there is not None and there.epoch == group.epoch and there.groups == group.number - 1:
                left.append(write)
            else:
                write.lease.lose()
                self._end(write, LeaseLostError("its lease was lost, and another worker goes on with it"))
        return left

    def _end(self, write: _Write, problem: OSError | None) -> None:
        group = write.group
        waiting = self._writes[group.shard]
        waiting.popleft()
        if not waiting:
            del self._writes[group.shard]
        if problem is not None:
            self._late.append((group.shard, group.epoch, group.lines))
        write.on_committed(problem)

    async def _keep_late(self) -> None:
        late, self._late = self._late, []
        for shard, epoch, lines in late:
            try:
                await self._patience.once(
                    lambda shard=shard, epoch=epoch, lines=lines: self._store.add_late(  # type: ignore[misc]
                        shard, epoch, self._holder, lines
                    )
                )
            except (StoreLostError, FieldingError):
                return  # it is only evidence, and who goes on with the shard finds out by itself
