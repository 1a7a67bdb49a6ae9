"""Plans put directly into the tables: the lines of their shards are written by hand."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import define, field

from fielding_async import Action, FieldingRun, Outcome, RunRef
from fielding_async.core.actions import StatusAction
from fielding_async.core.models import Effect
from fielding_async.journal.chain import ends_in, group_bytes
from fielding_async.journal.lines import end_line, failure_line, header_line, intent_line, row_digest
from fielding_async.journal.replay import Replay
from fielding_async.journal.values import Binding
from fielding_async.plans.database.address import read_address
from fielding_async.plans.database.choice import choose_driver, open_driver
from fielding_async.plans.database.connection import Connection
from fielding_async.plans.database.database import Database
from fielding_async.plans.database.schema import check_tables, migrate

__all__ = ["BASE_URL", "BEGAN", "Shard", "StoredPlan", "database", "ref_of", "run_of", "store"]

BASE_URL = "https://fake.invalid/v1"
BEGAN = datetime(2031, 5, 17, 9, tzinfo=UTC)


def ref_of(run: int) -> RunRef:
    """A run by its number."""
    return RunRef(101, "0" * 26, f"01{run:024d}", f"02{run:024d}")


def run_of(ref: RunRef, version: int, status: str = "live") -> FieldingRun:
    """A run at a version."""
    return FieldingRun(
        id=ref.fielding_run_id,
        status=status,
        version=version,
        start_fielding_at=BEGAN - timedelta(days=9),
        end_fielding_at=BEGAN + timedelta(days=9),
        last_changed_at=None,
        last_changed_by=None,
        etag=f'W/"{version}"',
    )


@define(eq=False)
class Shard:
    """A shard's rows, with their numbers in the plan, and its journal. Groups are a second apart."""

    rows: list[tuple[int, RunRef, Action]] = field(factory=list[tuple[int, RunRef, Action]])
    groups: list[tuple[int, bytes]] = field(factory=list[tuple[int, bytes]])
    late: list[tuple[int, str, bytes]] = field(factory=list[tuple[int, str, bytes]])
    digest: str = ""
    ended: int = 0
    time: datetime = BEGAN
    epoch: int = 1
    holder: str | None = None

    def begin(self, digest: str = "0" * 64) -> None:
        """Write the first line."""
        line = header_line(Binding(BASE_URL, "2025-12-18", digest))
        replay = Replay()
        replay.begin(line)
        self.digest = replay.digest
        self.groups.append((self.epoch, line))

    def group(self, *records: bytes, seconds: float = 1.0) -> None:
        """Write a group of records."""
        if not self.groups:
            self.begin()
        self.time += timedelta(seconds=seconds)
        blob, self.digest = group_bytes(len(self.groups), self.time, records, self.digest)
        self.ended += ends_in(blob)
        self.groups.append((self.epoch, blob))

    def intent(self, place: int, version: int, status: str = "live") -> bytes:
        """The record of a write that is about to leave."""
        _, ref, action = self.rows[place]
        return intent_line(place, row_digest(ref, action), action, run_of(ref, version, status), ref)

    def accepted(self, place: int, version: int, effect: Effect = "accepted") -> bytes:
        """The record of a row that ended well, and left the run at this version."""
        _, ref, action = self.rows[place]
        outcome = Outcome(
            ref=ref,
            action=action,
            effect=effect,
            etag=f'W/"{version}"',
            trace_id=f"{place:032x}",
            requests=1,
            conflicts=0,
        )
        return end_line(place, row_digest(ref, action), action, outcome)

    def ended_with(self, place: int, state: Any, error: Exception) -> bytes:
        """The record of a row that did not end well, or is stuck."""
        _, ref, action = self.rows[place]
        return failure_line(place, row_digest(ref, action), ref, action, state, error)


@define
class StoredPlan:
    """A plan to be put into the tables."""

    shards: Sequence[Shard]
    name: str = "plan"
    state: str = "sealed"

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return sum(len(shard.rows) for shard in self.shards)


@asynccontextmanager
async def database(url: str) -> AsyncGenerator[Database]:
    """The database at a URL, with the tables of plans."""
    address = read_address(url, {}, connect_timeout=10.0)
    found = Database(open_driver(choose_driver(None), address), check_tables)
    try:
        async with found.connection(is_checked=False) as connection:
            await migrate(connection)
        yield found
    finally:
        await found.aclose()


async def store(url: str, plan: StoredPlan) -> None:
    """Put a plan into the tables, in place of one of the same name."""
    async with database(url) as found, found.connection() as connection, connection.transaction():
        for table in ("row", "shard", "group", "late"):
            await connection.fetch(
                f"DELETE FROM fielding_plan_{table} USING fielding_plan p"
                f" WHERE fielding_plan_{table}.plan_id = p.plan_id AND p.name = $1::text",
                plan.name,
            )
        await connection.fetch("DELETE FROM fielding_plan WHERE name = $1::text", plan.name)
        ((plan_id,),) = await connection.fetch(
            "INSERT INTO fielding_plan (name, digest, state, row_count, shard_count, base_url, api_version)"
            " VALUES ($1::text, $2::text, $3::text, $4::bigint, $5::integer, $6::text, '2025-12-18') RETURNING plan_id",
            plan.name,
            "0" * 64,
            plan.state,
            plan.rows,
            len(plan.shards),
            BASE_URL,
        )
        for number, shard in enumerate(plan.shards):
            await _store_shard(connection, plan_id, number, shard)


async def _store_shard(connection: Connection, plan_id: int, number: int, shard: Shard) -> None:
    await connection.fetch(
        "INSERT INTO fielding_plan_shard (plan_id, shard, row_count, epoch, holder, lease_until, groups, digest, ended)"
        " VALUES ($1::bigint, $2::integer, $3::integer, $4::bigint, $5::text,"
        " clock_timestamp() + interval '1 hour', $6::integer, $7::text, $8::integer)",
        *(
            plan_id,
            number,
            len(shard.rows),
            shard.epoch,
            shard.holder,
            len(shard.groups[1:]),
            shard.digest,
            shard.ended,
        ),
    )
    for place, (row, ref, action) in enumerate(shard.rows):
        text = action.name if isinstance(action, StatusAction) else "?"
        await connection.fetch(
            "INSERT INTO fielding_plan_row VALUES ($1::bigint, $2::integer, $3::integer, $4::bigint, $5::integer,"
            " $6::text, $7::text, $8::text, $9::text, NULL)",
            *(plan_id, number, place, row, ref.account_id, ref.project_id, ref.target_group_id),
            *(ref.fielding_run_id, text),
        )
    for group, (epoch, lines) in enumerate(shard.groups):
        await connection.fetch(
            "INSERT INTO fielding_plan_group (plan_id, shard, number, epoch, lines)"
            " VALUES ($1::bigint, $2::integer, $3::integer, $4::bigint, $5::bytea)",
            *(plan_id, number, group, epoch, lines),
        )
    for epoch, holder, lines in shard.late:
        await connection.fetch(
            "INSERT INTO fielding_plan_late (plan_id, shard, epoch, holder, lines)"
            " VALUES ($1::bigint, $2::integer, $3::bigint, $4::text, $5::bytea)",
            *(plan_id, number, epoch, holder, lines),
        )
