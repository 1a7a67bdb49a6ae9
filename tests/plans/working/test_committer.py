"""The one writer of a worker, over a store that does what the test says."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, cast

from fielding_async import JournalCounts
from fielding_async.plans.working.committer import Committer
from fielding_async.plans.working.lease import Lease, Slice, Terms
from fielding_async.plans.working.patience import Patience
from fielding_async.plans.working.shard_store import GroupCommit, ShardStore

TERMS = Terms(attempt=1.0)


class SilentStore:
    """Its commits get no reply."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def commit(self, groups: Sequence[GroupCommit]) -> set[int]:
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")


def middle(low: float, high: float) -> float:
    return (low + high) / 2


async def test_what_waits_for_a_committer_that_is_cut_off_ends() -> None:
    """Both the group that is on its way and the one behind it: who waits for them would wait for ever."""
    store = SilentStore()
    ends: list[OSError | None] = []
    patience = Patience(time.monotonic, middle)
    slice_ = Slice(time.monotonic() + 1000.0, TERMS.attempt)
    committer = Committer(cast("ShardStore", store), patience, TERMS, slice_, "worker", lambda: None)
    committer.start()
    lease = Lease.granted(TERMS, time.monotonic())
    for number in (1, 2):
        values: dict[str, Any] = {"digest": "", "ended": 0, "counts": JournalCounts(), "lines": b""}
        committer.write(GroupCommit(shard=0, epoch=1, number=number, **values), lease, ends.append)
    await store.asked.wait()
    committer.cut()
    assert [str(end) for end in ends] == ["its worker was cut off"] * 2
    for _ in range(3):
        await asyncio.sleep(0)
    assert len(ends) == 2
