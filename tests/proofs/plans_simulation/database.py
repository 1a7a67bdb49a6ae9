"""The database of plans in memory: one truth, and clients whose requests and replies may be late or lost."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from attrs import Factory, define, evolve

from fielding_async.plans.database.errors import StoreLostError
from fielding_async.plans.values.plan_values import PlanState
from fielding_async.plans.working.shard_store import Claim, Found, GroupCommit, Left, StoredRow

from .processes import Process, Universe

__all__ = ["Client", "Database", "Shard"]


@define(eq=False)
class Shard:
    """A shard as the tables have it. `groups`: the lines of each, with its epoch; number 0 is the first line."""

    rows: list[StoredRow]
    epoch: int = 0
    holder: str | None = None
    lease_until: float | None = None
    not_before: float | None = None
    digest: str = ""
    ended: int = 0
    finished: bool = False
    groups: list[tuple[int, bytes]] = Factory(list[tuple[int, bytes]])


class Database:
    """What is committed. `clock_offset`: the server's clock may jump. `is_down`: it restarts."""

    checks_epoch = True
    """A mutant may switch this off."""

    def __init__(self, universe: Universe, shards: list[Shard], first_line: bytes) -> None:
        self.universe = universe
        self.shards = shards
        self.first_line = first_line
        self.clock_offset = 0.0
        self.is_down = False
        self.life = 0
        self.late: list[tuple[int, int, bytes]] = []
        self.claims_met_intents = 0
        self.claims = 0
        self.open_at_claim: Callable[[Shard], bool] = lambda shard: False

    @property
    def now(self) -> float:
        return self.universe.now + self.clock_offset

    @property
    def is_finished(self) -> bool:
        return all(shard.finished for shard in self.shards)

    def restart(self, seconds: float) -> None:
        """Be down for a while. Whatever is under way is not done, or its reply is lost."""
        self.is_down, self.life = True, self.life + 1

        def up() -> None:
            self.is_down = False

        self.universe.after(seconds, up)

    # -- statements: each is a transaction

    def claim(self, holder: str, count: int, seconds: float) -> list[Claim]:
        taken: list[Claim] = []
        order = sorted(range(len(self.shards)), key=lambda number: (not self.shards[number].groups, number))
        for number in order:
            shard = self.shards[number]
            is_leased = shard.lease_until is not None and shard.lease_until > self.now
            is_paused = shard.not_before is not None and shard.not_before > self.now
            if shard.finished or is_leased or is_paused or len(taken) == count:
                continue
            shard.epoch += 1
            shard.holder, shard.lease_until, shard.not_before = holder, self.now + seconds, None
            self.claims += 1
            if not shard.groups:
                shard.groups.append((shard.epoch, self.first_line))
            elif self.open_at_claim(shard):
                self.claims_met_intents += 1
            taken.append(self._claim(number))
        return taken

    def _claim(self, number: int) -> Claim:
        shard = self.shards[number]
        return Claim(
            shard=number,
            epoch=shard.epoch,
            rows=len(shard.rows),
            groups=len(shard.groups) - 1,
            digest=shard.digest,
            ended=shard.ended,
        )

    def claimed(self, holder: str) -> list[Claim]:
        return [self._claim(number) for number, shard in enumerate(self.shards) if shard.holder == holder]

    def renew(self, epochs: Mapping[int, int], seconds: float) -> tuple[set[int], PlanState | None]:
        renewed = {number for number, epoch in epochs.items() if self.shards[number].epoch == epoch}
        for number in renewed:
            shard = self.shards[number]
            shard.lease_until = None if shard.finished else self.now + seconds
        return renewed, "sealed"

    def commit(self, groups: Sequence[GroupCommit]) -> set[int]:
        moved: set[int] = set()
        for group in groups:
            shard = self.shards[group.shard]
            is_ours = shard.epoch == group.epoch or not self.checks_epoch
            if not is_ours or len(shard.groups) != group.number:
                continue
            shard.groups.append((group.epoch, group.lines))
            shard.digest, shard.ended = group.digest, shard.ended + group.ended
            if shard.ended >= len(shard.rows):
                shard.finished, shard.holder, shard.lease_until = True, None, None
            moved.add(group.shard)
        return moved

    def find(self, groups: Sequence[GroupCommit]) -> dict[int, Found]:
        found: dict[int, Found] = {}
        for group in groups:
            shard = self.shards[group.shard]
            lines = shard.groups[group.number][1] if group.number < len(shard.groups) else None
            epoch = shard.epoch if self.checks_epoch else group.epoch
            found[group.shard] = Found(epoch=epoch, groups=len(shard.groups) - 1, lines=lines)
        return found

    def release(self, number: int, epoch: int, pause: float | None) -> None:
        shard = self.shards[number]
        if shard.epoch == epoch:
            shard.holder = shard.lease_until = None
            shard.not_before = None if pause is None else self.now + pause

    def add_late(self, shard: int, epoch: int, holder: str, lines: bytes) -> None:
        self.late.append((shard, epoch, lines))

    def read_groups(self, number: int, first: int, before: int) -> list[tuple[int, bytes]]:
        groups = self.shards[number].groups
        return [(place, groups[place][1]) for place in range(first, min(before, len(groups)))]

    def read_rows(self, number: int, first: int, before: int) -> list[StoredRow]:
        return self.shards[number].rows[first:before]

    def left(self) -> Left:
        open_shards = [shard for shard in self.shards if not shard.finished]
        held = [shard for shard in open_shards if (shard.lease_until or 0.0) > self.now]
        waits = [max(0.0, (s.lease_until or 0.0) - self.now, (s.not_before or 0.0) - self.now) for s in open_shards]
        rows, of_held = (sum(len(shard.rows) - shard.ended for shard in some) for some in (open_shards, held))
        return Left(rows=rows, held=of_held, wait=min(waits, default=0.0))


@define
class Faults:
    """What may happen to a request of a client to the database."""

    latency: float = 0.002
    lost_before: float = 0.0
    lost_after: float = 0.0
    hangs: float = 0.0
    lingers: float = 0.0
    """The share of requests that are cut off for their client, and done a while later."""


class Client:
    """The `ShardStore` of one process. `is_cut_off`: nothing gets through, and nobody says so."""

    def __init__(self, database: Database, process: Process, dice: Random, faults: Faults) -> None:
        self._database = database
        self._process = process
        self._dice = dice
        self.faults = evolve(faults)
        self.is_cut_off = False

    async def _ask(self, statement: Callable[[], Any]) -> Any:
        universe, process, database, dice, faults = (
            self._database.universe,
            self._process,
            self._database,
            self._dice,
            self.faults,
        )
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def say(value: Any, error: StoreLostError | None = None) -> None:
            def arrive() -> None:
                if not reply.done():
                    if error is None:
                        reply.set_result(value)
                    else:
                        reply.set_exception(error)

            if not self.is_cut_off:
                process.deliver(arrive)

        life = database.life
        fate = dice.random()
        before, after = (faults.latency * dice.uniform(0.5, 1.5) for _ in range(2))

        def execute() -> None:
            if database.is_down or database.life != life:
                say(None, StoreLostError("the server restarts"))
                return
            value = statement()
            if fate < faults.lost_before + faults.lost_after:
                universe.after(after, lambda: say(None, StoreLostError("the connection was cut")))
            elif fate < faults.lost_before + faults.lost_after + faults.hangs:
                return  # nobody says anything
            else:
                universe.after(after, lambda: say(value) if database.life == life else say(None, lost))

        lost = StoreLostError("the connection was lost")
        if process.is_dead or self.is_cut_off:
            return await reply
        if fate < faults.lost_before:
            if dice.random() < faults.lingers:
                universe.after(dice.uniform(0.0, 2.0), lambda: None if database.is_down else statement())
            universe.after(before, lambda: say(None, lost))
        else:
            universe.after(before, execute)
        return await reply

    async def claim(self, holder: str, count: int, seconds: float) -> list[Claim]:
        return await self._ask(lambda: self._database.claim(holder, count, seconds))  # type: ignore[no-any-return]

    async def claimed(self, holder: str) -> list[Claim]:
        return await self._ask(lambda: self._database.claimed(holder))  # type: ignore[no-any-return]

    async def renew(self, epochs: Mapping[int, int], seconds: float) -> tuple[set[int], PlanState | None]:
        return await self._ask(lambda: self._database.renew(epochs, seconds))  # type: ignore[no-any-return]

    async def commit(self, groups: Sequence[GroupCommit]) -> set[int]:
        return await self._ask(lambda: self._database.commit(groups))  # type: ignore[no-any-return]

    async def find(self, groups: Sequence[GroupCommit]) -> dict[int, Found]:
        return await self._ask(lambda: self._database.find(groups))  # type: ignore[no-any-return]

    async def release(self, shard: int, epoch: int, pause: float | None) -> None:
        await self._ask(lambda: self._database.release(shard, epoch, pause))

    async def add_late(self, shard: int, epoch: int, holder: str, lines: bytes) -> None:
        await self._ask(lambda: self._database.add_late(shard, epoch, holder, lines))

    async def groups(self, shard: int, first: int, before: int) -> list[tuple[int, bytes]]:
        return await self._ask(lambda: self._database.read_groups(shard, first, before))  # type: ignore[no-any-return]

    async def rows(self, shard: int, first: int, before: int) -> list[StoredRow]:
        return await self._ask(lambda: self._database.read_rows(shard, first, before))  # type: ignore[no-any-return]

    async def left(self) -> Left:
        return await self._ask(lambda: self._database.left())  # type: ignore[no-any-return]
