"""The journal of a shard, kept in the database."""

import asyncio
import re
from functools import partial

from fielding_async.core.batch_values import Done
from fielding_async.core.errors import ConfigurationError, OutcomeUnknownError, SkippedError
from fielding_async.journal.chain import DamagedError, Head, ends_in, head_of
from fielding_async.journal.lines import end_line, failure_line, row_digest
from fielding_async.journal.reader import damaged
from fielding_async.journal.replay import Replay
from fielding_async.journal.storage import OnWritten
from fielding_async.journal.values import Binding, EndState, is_same_exchange
from fielding_async.plans.values.shard_counts import ShardCounts

from .committer import Committer
from .lease import Lease, Slice
from .patience import Patience
from .shard_store import Claim, GroupCommit, ShardStore

__all__ = ["ShardStorage"]

_GROUPS_AT_ONCE = 64
_END = re.compile(rb'^\{"end":(\d+),', re.MULTILINE)


class ShardStorage:
    """The `JournalStorage` of a shard that this worker has a lease of.

    `ended`: how many rows have ended durably here. `problem`: why nothing can be written any more. `replay`: what is on
    record of earlier holders, once it is loaded.
    """

    def __init__(
        self,
        store: ShardStore,
        claim: Claim,
        lease: Lease,
        slice_: Slice,
        committer: Committer,
        patience: Patience,
        plan: str,
    ) -> None:
        self.name: str = f"plan {plan!r}, shard {claim.shard}"
        self._store = store
        self._claim = claim
        self._lease = lease
        self._slice = slice_
        self._committer = committer
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._counts = ShardCounts()
        self._under_way = 0
        self._kept_late: set[int] = set()  # rows that end in groups which could not be committed
        self._closed: asyncio.Future[None] | None = None
        self.ended: int = 0
        self.problem: OSError | None = None
        self.replay: Replay = Replay()

    async def load(self, binding: Binding, replay: Replay) -> None:
        """Have `replay` read what is on record. Nothing is cut off: a group is there as a whole or not at all.

        Raises `ConfigurationError` if it is damaged or of another plan, `StoreLostError` if the database stays away.
        """
        claim = self._claim
        self.replay = replay
        head = Head(claim.groups, claim.digest, claim.ended) if claim.groups else None
        try:
            for first in range(0, claim.groups + 1, _GROUPS_AT_ONCE):
                before = min(first + _GROUPS_AT_ONCE, claim.groups + 1)
                groups = await self._patience.ask(
                    partial(self._store.groups, claim.shard, first, before), lambda: self._lease.until
                )
                for number, blob in groups:
                    if number == 0:
                        self._begin(blob, binding, head)
                        continue
                    lines = iter(blob.splitlines(keepends=True))
                    for line in lines:
                        replay.feed_group(line, lines)
                if len(groups) < before - first:
                    raise DamagedError(f"of its groups {first} to {before - 1} only {len(groups)} are there")
        except DamagedError as error:
            raise damaged(self.name, error) from None
        self._counts = ShardCounts(replay)

    def _begin(self, line: bytes, binding: Binding, head: Head | None) -> None:
        try:
            found = self.replay.begin(line, head)
        except ConfigurationError as error:
            raise ConfigurationError(f"{self.name}: {error.message}") from None
        is_of_plan = found.plan == binding.plan and found.api_version == binding.api_version
        if not is_of_plan or not is_same_exchange(found.base_url, binding.base_url):
            raise ConfigurationError(
                f"{self.name}: its journal is of another plan or exchange: restore the tables of plans from a backup"
            )

    def may_leave(self) -> bool:
        """Whether a write may leave: it is over before the lease is, and the slice goes on."""
        now = self._patience.clock()
        return self.problem is None and self._lease.may_leave(now) and now < self._slice.leaves_until

    def write(self, blob: bytes, on_written: OnWritten) -> None:
        """Start to commit a group of lines."""
        self._under_way += 1
        claim, head = self._claim, head_of(blob)
        assert head is not None  # noqa: S101 - `Journal` writes chained groups
        self._counts.add(blob)
        group = GroupCommit(
            shard=claim.shard,
            epoch=claim.epoch,
            number=head.groups,
            digest=head.digest,
            ended=ends_in(blob),
            counts=self._counts.counts,
            lines=blob,
        )
        written = partial(self._written, on_written, group)
        if self.problem is None:
            self._committer.write(group, self._lease, written)
        else:
            self._committer.add_late(claim.shard, claim.epoch, blob)
            self._loop.call_soon(written, self.problem)

    def _written(self, on_written: OnWritten, group: GroupCommit, problem: OSError | None) -> None:
        self._under_way -= 1
        if problem is None:
            self.ended += group.ended
        else:
            self.problem = self.problem or problem
            self._kept_late.update(map(int, _END.findall(group.lines)))  # the committer keeps these
        on_written(problem)
        self._close_if_idle()

    def keep_late(self, done: Done) -> None:
        """Keep how a row ended that cannot be recorded any more, as evidence."""
        if done.number in self._kept_late:
            return
        ref, action = done.ref, done.action
        digest = row_digest(ref, action)
        if done.error is None:
            line = end_line(done.number, digest, action, done.outcome)
        else:
            error = done.error
            state: EndState = "failed"
            if isinstance(error, OutcomeUnknownError | SkippedError):
                state = "unknown" if isinstance(error, OutcomeUnknownError) else "skipped"
            line = failure_line(done.number, digest, ref, action, state, error)
        self._committer.add_late(self._claim.shard, self._claim.epoch, line)

    def close(self) -> "asyncio.Future[None]":
        """Return a future that is done once all writes so far are. The lease is given back by whoever claimed it."""
        if self._closed is None:
            self._closed = self._loop.create_future()
        self._close_if_idle()
        return self._closed

    def _close_if_idle(self) -> None:
        if self._closed is not None and not self._under_way and not self._closed.done():
            self._closed.set_result(None)
