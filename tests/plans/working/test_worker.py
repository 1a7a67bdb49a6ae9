"""One call of `work` over a store that does what the test says: what it concludes from replies that are lost."""

import asyncio
import time
from collections.abc import Mapping, Sequence

import pytest

from fielding_async import Pause
from fielding_async.journal.lines import header_line
from fielding_async.journal.values import Binding
from fielding_async.plans.database.errors import StoreLostError
from fielding_async.plans.values.plan_values import PlanState
from fielding_async.plans.values.row_text import action_text
from fielding_async.plans.working.lease import Slice, Terms
from fielding_async.plans.working.shard_store import Claim, Found, GroupCommit, Left, StoredRow
from fielding_async.plans.working.work import Worker
from fielding_async.sandbox import Sandbox
from tests.tools.sessions import sent, session

FIRST = Claim(shard=0, epoch=1, rows=1, groups=0, digest="", ended=0)


class Store:
    """A plan with one row. Its commits get no reply, and time passes meanwhile. The second claim gets no reply."""

    def __init__(self, row: StoredRow, first_line: bytes) -> None:
        self.row = row
        self.first_line = first_line
        self.passed = 0.0
        self.claims = 0
        self.loads = 0
        self.looks = 0

    def clock(self) -> float:
        """Return the time of the worker's clock."""
        return time.monotonic() + self.passed

    async def claim(self, holder: str, count: int, seconds: float) -> list[Claim]:
        self.claims += 1
        if self.claims == 2:
            raise StoreLostError("no reply")
        return [FIRST] if self.claims == 1 else []

    async def claimed(self, holder: str) -> list[Claim]:
        self.looks += 1
        return [FIRST]

    async def renew(self, epochs: Mapping[int, int], seconds: float) -> tuple[set[int], PlanState | None]:
        raise StoreLostError("no reply")

    async def commit(self, groups: Sequence[GroupCommit]) -> set[int]:
        self.passed += 100.0
        raise StoreLostError("no reply")

    async def find(self, groups: Sequence[GroupCommit]) -> dict[int, Found]:
        raise StoreLostError("no reply")

    async def release(self, shard: int, epoch: int, pause: float | None) -> None:
        raise AssertionError("a lease that is over is not given back")

    async def add_late(self, shard: int, epoch: int, holder: str, lines: bytes) -> None:
        raise StoreLostError("no reply")

    async def groups(self, shard: int, first: int, before: int) -> list[tuple[int, bytes]]:
        self.loads += 1
        return [(0, self.first_line)]

    async def rows(self, shard: int, first: int, before: int) -> list[StoredRow]:
        return [self.row]

    async def left(self) -> Left:
        return Left(rows=1, held=0, wait=1.0)


async def test_a_shard_whose_lease_is_over_is_no_new_claim(sandbox: Sandbox) -> None:
    """After a claim without a reply its worker looks for what it has got: an epoch that it had before is none of it.

    The lease of that epoch was granted long before the claim was asked for, and would be counted from then.
    """
    ref = sandbox.add_run("live")
    row = (ref.account_id, ref.project_id, ref.target_group_id, ref.fielding_run_id, action_text(Pause()), None)
    async with session(sandbox) as fielding:
        settings = fielding.engine().settings
        store = Store(row, header_line(Binding(settings.base_url, settings.api_version, "digest")))
        slice_ = Slice(store.clock() + 1000.0, 20.0)
        worker = Worker(
            store, fielding, "p", "digest", slice_, clock=store.clock, holder="holder", terms=Terms(attempt=20.0)
        )
        worked = await worker.run()
    assert (worked.rows, worked.left) == (0, 1)
    assert (store.claims, store.looks, store.loads) == (3, 1, 1)
    assert not sent(sandbox, "pause")


class SlowStore(Store):
    """Its claim is made at once, and its reply takes for ever."""

    def __init__(self) -> None:
        super().__init__((101, "", "", "", "", None), b"")
        self.is_asked = asyncio.Event()
        self.released: list[tuple[int, int]] = []

    async def claim(self, holder: str, count: int, seconds: float) -> list[Claim]:
        self.is_asked.set()
        never: asyncio.Future[list[Claim]] = asyncio.get_running_loop().create_future()
        return await never

    async def release(self, shard: int, epoch: int, pause: float | None) -> None:
        self.released.append((shard, epoch))


async def test_a_claim_that_is_cut_off_is_given_back(sandbox: Sandbox) -> None:
    """A worker that is cancelled while it claims leaves no lease behind, for which others would have to wait."""
    store = SlowStore()
    async with session(sandbox) as fielding:
        slice_ = Slice(store.clock() + 1000.0, 20.0)
        worker = Worker(store, fielding, "p", "digest", slice_, clock=store.clock, holder="holder")
        task = asyncio.create_task(worker.run())
        await store.is_asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert store.released == [(FIRST.shard, FIRST.epoch)]
