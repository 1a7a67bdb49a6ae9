"""The seam between a worker and the database: what is asked of it, as values. Simulations have a store of their own."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from attrs import frozen

from fielding_async.journal.values import JournalCounts
from fielding_async.plans.values.plan_values import PlanState

__all__ = ["HELD_WAIT", "Claim", "Found", "GroupCommit", "LeaseLostError", "Left", "ShardStore", "StoredRow"]

HELD_WAIT = 5.0
"""Seconds after which shards that others hold may be asked for again: they may give one back at any time."""

StoredRow = tuple[int, str, str, str, str, str | None]
"""A row of a plan: account, project, target group, run, action as text, and the only ETag, if any."""


class LeaseLostError(OSError):
    """The shard's epoch is over: another worker has it, or the plan is being deleted."""


@frozen(kw_only=True)
class Claim:
    """A shard that was claimed, under its new epoch. `rows`: how many it has. The rest is the head of its journal."""

    shard: int
    epoch: int
    rows: int
    groups: int
    digest: str
    ended: int


@frozen(kw_only=True, eq=False)
class GroupCommit:
    """A group to commit, behind `number - 1` others. `ended`: rows that end in it; `counts`: of the whole shard."""

    shard: int
    epoch: int
    number: int
    digest: str
    ended: int
    counts: JournalCounts
    lines: bytes


@frozen(kw_only=True)
class Found:
    """What is there of a shard. `lines`: of the group that was looked for, `None` if there is none."""

    epoch: int
    groups: int
    lines: bytes | None


@frozen(kw_only=True)
class Left:
    """What is left of a plan: rows, those of them `held` by leases, and the seconds until a shard may be free."""

    rows: int
    held: int
    wait: float


class ShardStore(Protocol):
    """The shards of one plan. Each method raises `StoreLostError` if it may be tried again.

    A change whose reply is lost may have been made. Each change is one transaction, and durable when it is reported.
    """

    async def claim(self, holder: str, count: int, seconds: float) -> list[Claim]:
        """Claim up to `count` shards that nobody has, for so long. None of a plan that may not be worked on."""
        ...

    async def claimed(self, holder: str) -> list[Claim]:
        """Return the shards that this holder has."""
        ...

    async def renew(self, epochs: Mapping[int, int], seconds: float) -> tuple[set[int], PlanState | None]:
        """Renew the leases of shards that have these epochs still. Return those, and the state of the plan."""
        ...

    async def commit(self, groups: Sequence[GroupCommit]) -> set[int]:
        """Add groups to shards that have their epochs and as many groups as expected. Return these shards."""
        ...

    async def find(self, groups: Sequence[GroupCommit]) -> dict[int, Found]:
        """Return what is there of the shards of these groups."""
        ...

    async def release(self, shard: int, epoch: int, pause: float | None) -> None:
        """Give a shard back, if it has this epoch still. `pause`: the seconds before anybody may claim it."""
        ...

    async def add_late(self, shard: int, epoch: int, holder: str, lines: bytes) -> None:
        """Keep what the holder of an epoch that is over knew."""
        ...

    async def groups(self, shard: int, first: int, before: int) -> list[tuple[int, bytes]]:
        """Return groups of a shard by their numbers, in order. Number 0 is the first line of the journal."""
        ...

    async def rows(self, shard: int, first: int, before: int) -> list[StoredRow]:
        """Return rows of a shard by their places, in order."""
        ...

    async def left(self) -> Left:
        """Return what is left of the plan, and finish the plan if that is nothing."""
        ...
